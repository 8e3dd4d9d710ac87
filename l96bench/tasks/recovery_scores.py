"""Scores of equations against one instance of `equation-recovery`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from l96bench.data.instances import Instance
from l96bench.data.recovery import InstanceData, load_instance
from l96bench.equations import EquationSet, Monomial
from l96bench.errors import EquationError, ModelWarning
from l96bench.metrics import symbolic
from l96bench.metrics.ensemble import valid_prediction_time

__all__ = [
    "CAP",
    "METRICS",
    "NOT_FINITE",
    "UNPARSEABLE",
    "InstanceScorer",
    "Scores",
    "require_readable",
    "warn_of_unusable",
]

CAP = 10.0
"""Upper bound of recorded errors and residuals: ten times those of empty equations."""
UNPARSEABLE, NOT_FINITE = "unparseable", "not finite"
"""Reasons why equations are unusable."""
_THRESHOLD = 0.4
"""Forecasts are valid up to this RMSE in climatological standard deviations, as in `online-rollout`."""
_STRIDE = 10
"""Stride in test samples at which tendencies are compared: 0.5 MTU."""
_TRAINING_STRIDE = 10
"""Stride in training samples to which the best coefficients are fitted: 0.1 MTU."""
_DT, _FAST_DT = 0.01, 0.0025
"""Time steps of forecasts in MTU, without and with fast variables; coefficients accurate to 0.1 % err more."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Metrics of equations on one instance, by default those of unusable equations.

    Errors and residuals are at most `CAP`; `effective_residual`, for hidden instances, is against the best equations
    with the same terms. `valid_prediction_time` is in Lyapunov times, or in MTU where there are fast variables.
    """

    precision: float = 0.0
    recall: float = 0.0
    f1: float = 0.0
    coefficient_error: float = 1.0
    operator_residual: float = 1.0
    effective_residual: float = 1.0
    valid_prediction_time: float = 0.0
    n_terms: float = 0.0
    fault: str = ""
    message: str = ""

    @property
    def score(self) -> float:
        """``100 (F1 + max(0, 1 - operator residual)) / 2``."""
        return 50.0 * (self.f1 + max(0.0, 1.0 - self.operator_residual))

    @property
    def failed(self) -> float:
        """1 if the equations are unusable, else 0."""
        return float(bool(self.fault))


METRICS = (*[field.name for field in fields(Scores)][:-2], "failed")
"""The metrics in `Scores`."""


@lru_cache(maxsize=256)
def parsed(texts: tuple[str, ...], K: int, J: int) -> EquationSet | EquationError:
    """Return the set of equations, or what is wrong with them; the same texts, which take seconds, are read once."""
    try:
        return EquationSet.parse(list(texts), K, J)
    except EquationError as error:
        return error.with_traceback(None)


def require_readable(texts: Sequence[str], K: int, J: int) -> None:
    """Raise `EquationError` unless these are equations."""
    found = parsed(tuple(texts), K, J)
    if isinstance(found, EquationError):
        raise EquationError(str(found))


class InstanceScorer:
    """Scores equations against one instance; equivalent equations are scored once."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.true = EquationSet.parse(instance.texts, instance.K, instance.observed_J)
        ends = [0, instance.K, self.true.n_targets]
        self.groups = tuple(range(*pair) for pair in pairwise(ends) if pair[0] < pair[1])
        self._known: dict[EquationSet, tuple[Scores, str]] = {}

    def score(self, texts: Sequence[str]) -> tuple[Scores, str]:
        """Return the scores of equations, and their canonical terms as text (empty if unparseable)."""
        equations = parsed(tuple(texts), self.true.K, self.true.J)
        if isinstance(equations, EquationError):
            return Scores(fault=UNPARSEABLE, message=str(equations)), ""
        if equations not in self._known:
            self._known[equations] = self._score(equations), repr(equations.equations)
        return self._known[equations]

    def best(self, equations: EquationSet) -> EquationSet:
        """Fit the same terms to the training tendencies; `ValueError` if a term is not finite there."""
        states = np.ascontiguousarray(self._data.train[::_TRAINING_STRIDE])
        tendency = self._full_tendency(states, self._data.train_U, _TRAINING_STRIDE)
        monomials = list(dict.fromkeys(monomial for _, monomial in sorted(equations.support, key=str)))
        support = np.array(
            [[(target, monomial) in equations.support for monomial in monomials] for target in range(tendency.shape[1])]
        )
        coefficients = symbolic.best_coefficients(self._features(monomials, states), tendency, support)
        return EquationSet.from_coefficients(monomials, coefficients, equations.K, equations.J)

    def _features(self, monomials: Sequence[Monomial], states: Array) -> Array:
        """Return the values (state, monomial) of monomials, evaluated as tendencies in batches."""
        n = self.true.n_targets
        blocks = [np.empty((len(states), 0))]
        for some in (monomials[start : start + n] for start in range(0, len(monomials), n)):
            each = EquationSet.from_coefficients(some, np.eye(n)[:, : len(some)], self.true.K, self.true.J)
            blocks.append(each.tendency(states)[:, : len(some)])
        return np.concatenate(blocks, axis=1)

    def _score(self, equations: EquationSet) -> Scores:
        tendency = equations.tendency(self._states)
        wrong = int((~np.isfinite(tendency).all(axis=1)).sum())
        if wrong:
            return Scores(fault=NOT_FINITE, message=f"not finite at {wrong} of {len(tendency)} test states")
        found, true = _coefficients(equations), _coefficients(self.true)
        support = symbolic.support_scores(found.keys() | equations.inner_terms, true.keys(), self.groups)
        return Scores(
            precision=support.precision,
            recall=support.recall,
            f1=support.f1,
            coefficient_error=min(CAP, symbolic.coefficient_error(found, true, self.groups)),
            operator_residual=min(CAP, symbolic.operator_residual(tendency, self._tendency, self.groups)),
            effective_residual=self._effective_residual(equations, tendency) if self.instance.hidden else 0.0,
            valid_prediction_time=self._valid_time(equations),
            n_terms=float(equations.n_terms),
        )

    def _effective_residual(self, equations: EquationSet, tendency: Array) -> float:
        try:
            difference = tendency - self.best(equations).tendency(self._states)
            return min(CAP, symbolic.operator_residual(self._tendency + difference, self._tendency, self.groups))
        except (ValueError, EquationError):  # not finite on the training states, though on the test states
            return CAP

    def _valid_time(self, equations: EquationSet) -> float:
        """Return the valid prediction time of X from the first states of the test trajectories."""
        data, K = self._data, self.instance.K
        std = float(data.train[:, :K].std())
        rmse = symbolic.forecast_rmse(
            equations.tendency,
            data.test,
            interval=data.test_interval,
            dt=_FAST_DT if self.true.J else _DT,
            K=K,
            stop=_THRESHOLD * std,
        )
        leads = data.test_interval * np.arange(len(rmse))
        return valid_prediction_time(rmse, leads, std, _THRESHOLD) * self.instance.clock

    @cached_property
    def _data(self) -> InstanceData:
        return load_instance(self.instance)

    @cached_property
    def _states(self) -> Array:
        """The test states (state, variable) at which tendencies are compared."""
        test = self._data.test[:, ::_STRIDE]
        return np.array(test).reshape(-1, test.shape[2])

    @cached_property
    def _tendency(self) -> Array:
        """The full tendencies (state, target) of the test states."""
        U = self._data.test_U
        return self._full_tendency(self._states, None if U is None else U[:, ::_STRIDE].reshape(-1, U.shape[2]), 1)

    def _full_tendency(self, states: Array, U: Array | None, stride: int) -> Array:
        """Return the true right-hand side plus the tendency of hidden fast variables."""
        tendency = self.true.tendency(states)
        return tendency if U is None else tendency + U[::stride]


def _coefficients(equations: EquationSet) -> dict[tuple[int, Monomial], float]:
    """Return the coefficients by target and monomial."""
    return {
        (target, monomial): value
        for target in range(equations.n_targets)
        for monomial, value in equations.monomials(target).items()
    }


def warn_of_unusable(scores: Sequence[Scores]) -> None:
    """Warn of equations that score 0 because they cannot be read, or give no finite numbers."""
    for kind in (UNPARSEABLE, NOT_FINITE):
        own = [each for each in scores if each.fault == kind]
        if own:
            text = f"the equations of {len(own)} of {len(scores)} problems score 0 ({kind}); the first: "
            warnings.warn(text + " ".join(own[0].message.split())[:400], ModelWarning, stacklevel=4)
