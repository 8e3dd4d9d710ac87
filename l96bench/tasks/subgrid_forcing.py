"""The family `subgrid-forcing`: predict the subgrid forcing U from the resolved state X (offline, a priori)."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.data.splits import get_split
from l96bench.data.store import array_digest
from l96bench.dynamics.closures import checked_forcing
from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.dynamics.predictions import (
    MEMBERS,
    FreshCopy,
    check_alone,
    mean_of,
    predict,
    within_reach,
)
from l96bench.dynamics.steps import SteppedClosure
from l96bench.equations.closure import EquationClosure
from l96bench.errors import ModelError, ModelWarning
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.metrics import conservation, ensemble, pointwise
from l96bench.metrics.bounds import BOUND
from l96bench.metrics.glossary import Metric
from l96bench.progress import progress as show_progress
from l96bench.regimes import seed_word
from l96bench.results.record import Failures, ModelInfo, Result
from l96bench.results.score import Value
from l96bench.tasks.artifacts import EQUATIONS, ONNX, PREDICTIONS, Content, Expected
from l96bench.tasks.closure_task import LITERATURE, ClosureTask, Samples, sign_fault
from l96bench.tasks.definitions import LEARNING, OFFLINE
from l96bench.tasks.parts import COMMAND, Aligned, Column, Parts, Reference, Work, seed_spread, value_of
from l96bench.tasks.sources import MINIATURE

__all__ = ["Prediction", "SubgridForcing"]

_BATCH = 4000
_METHOD = "block bootstrap over 200 blocks of 10 MTU of the test trajectories, percentile interval"


@dataclass(frozen=True)
class Prediction:
    """Predicted U in the layout of a split, the number of unusable values, and members of a stochastic model."""

    mean: NDArray[np.float64]
    members: NDArray[np.float64] | None = None
    non_finite: int = 0
    too_far: int = 0


@dataclass(frozen=True)
class SubgridForcing(ClosureTask):
    """Offline skill: 100 R² of the predicted U, pooled over times and points, about the training mean.

    A model is an estimator with ``predict``: X ``(n, K)`` -> U ``(n, K)``, a function of that kind, or a closure. Rows
    come in a fixed random order, so that only the instantaneous state can be used. Values that are not finite are
    scored as the climatological mean, values more than 10 climatological standard deviations from it are clipped; both
    are counted.

    Parameters
    ----------
    regime_id : str
        The regime whose data are used.
    version : int
        Raised by every change that moves a score.
    training_budgets : tuple of float
        Shorter training sets for learning curves: prefixes of the training trajectory, in MTU.
    source : Source, optional
        Where the data come from; the registered data sets by default.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> model = l96bench.PolynomialRegressor(degree=1).fit(task.train.X, task.train.U)
    >>> 0.0 < task.score(model) < 100.0
    True
    """

    training_budgets: tuple[float, ...] = (10.0, 100.0, 1000.0)

    family: ClassVar[str] = "subgrid-forcing"
    title: ClassVar[str] = "Subgrid forcing"
    question: ClassVar[str] = (
        "Predict the subgrid forcing U from the resolved state X. "
        "0 points: the climatological mean of U. 100 points: U exactly."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("R² shift", "r2_shift", ".3f"),
        Column("R² 10 MTU", "r2_budget_10", ".3f"),
        Column("R² 100 MTU", "r2_budget_100", ".3f"),
        Column("RMSE", "rmse", ".3f"),
        Column("bias", "bias", ".3f"),
        Column("conservation error", "conservation_error", ".2g", optional=True),
    )
    glossary: ClassVar[tuple[Metric, ...]] = (*OFFLINE, *LEARNING)
    artifact_kinds: ClassVar[tuple[str, ...]] = (ONNX, EQUATIONS, PREDICTIONS)
    redrawn: ClassVar[bool] = True
    env_id: ClassVar[str | None] = "l96bench/SubgridForcing-v2"
    splits: ClassVar[tuple[str, ...]] = ("train", "test", "shift")
    block: ClassVar[float] = 10.0
    miniature_budgets: ClassVar[tuple[float, ...]] = (10.0, 20.0)
    warm_up: ClassVar[float] = 0.0

    @cached_property
    def mean_U(self) -> float:
        """Mean of the training U over times and points: the climatological forecast."""
        return float(np.mean(self.train.U))

    @cached_property
    def std_U(self) -> float:
        """Standard deviation of the training U over times and points."""
        return float(np.std(self.train.U))

    def assess(self, model: Any, work: Work) -> Parts:
        """Predict U on the test trajectories and, where there is one, in the warmer climate."""
        found = {}
        with (
            show_progress("predicting", len(self._scored_splits), work.progress) as report,
            FreshCopy(model, here=self.source is MINIATURE, keeps_nothing=_keeps_nothing(model)) as copy,
        ):
            for name, suffix in self._scored_splits:
                found[suffix] = self._predict(model, getattr(self, name), copy)
                report(1)
        return self._all_parts(found)

    @property
    def _scored_splits(self) -> tuple[tuple[str, str], ...]:
        """The scored splits, and the suffixes of their metrics."""
        return (("test", ""), ("shift", "_shift")) if self.has_shift else (("test", ""),)

    def _all_parts(self, found: Mapping[str, Prediction]) -> Parts:
        parts = self._parts(found[""])
        if "_shift" in found:
            parts.metrics.update(self._pooled(self.shift, found["_shift"], "_shift"))
        return parts

    def evaluate_predictions(
        self, U: ArrayLike, U_shift: ArrayLike | None = None, info: ModelInfo | None = None
    ) -> Result:
        """Score predicted U without a model; raise `ModelError` if a shape or dtype is wrong.

        Parameters
        ----------
        U, U_shift : arrays of the shape of ``task.test.U`` and ``task.shift.U``
            Without the second there are no shifted metrics.
        info : ModelInfo, optional
        """
        found = {"": self._finished(checked_forcing(U, self.test.U.shape, "predictions of test"), None)}
        if U_shift is not None:
            found["_shift"] = self._finished(checked_forcing(U_shift, self.shift.U.shape, "predictions of shift"), None)
        parts = self._all_parts(found)
        if fault := sign_fault(found[""].mean, self.test.U):
            warnings.warn(fault, ModelWarning, stacklevel=2)
        return self.result(info or _PREDICTIONS, parts)

    def _parts(self, prediction: Prediction) -> Parts:
        truth, mean = self._scored(self.test.U), self._scored(prediction.mean)
        sse, sst = self._blocks(truth, mean)
        weights = self.weights(len(sse), "offline")
        replicates = 100.0 * pointwise.r2_replicates(weights, sse, sst)
        metrics = self._pooled(self.test, prediction, "")
        X = self._scored(self.test.X)
        bins = pointwise.block_sums_by_quantile(truth, mean, X, self.mean_U, self._block)
        for name, sums in bins.items():
            key = "r2_quantile_" + "_".join(f"{int(end):02d}" for end in name.rstrip("%").split("-"))
            estimate = 1.0 - float(sums[0].sum() / sums[1].sum())
            metrics[key] = value_of(estimate, pointwise.r2_replicates(weights, *sums))
        failures = Failures(
            non_finite=prediction.non_finite,
            diverged=prediction.too_far,
            of=prediction.mean.size,
            note="values; diverged: more than 10 climatological standard deviations from the mean",
        )
        digest = array_digest(prediction.mean)
        return Parts(100.0 * metrics["r2"].value, replicates, _METHOD, metrics, failures, digest)

    def _pooled(self, samples: Samples, prediction: Prediction, suffix: str) -> dict[str, Value]:
        """Return R², RMSE, bias and, for stochastic models, CRPS and spread-skill ratio, with intervals."""
        truth, mean = self._scored(samples.U), self._scored(prediction.mean)
        sse, sst = self._blocks(truth, mean)
        weights = self.weights(len(sse), "offline")
        n_values = truth.size / len(sse)
        errors = (mean - truth).reshape(len(sse), -1).mean(axis=1)
        drawn = weights.sum(axis=1)
        metrics = {
            "r2": value_of(pointwise.r2(truth, mean, self.mean_U), pointwise.r2_replicates(weights, sse, sst)),
            "rmse": value_of(pointwise.rmse(truth, mean), np.sqrt(weights @ sse / (drawn * n_values))),
            "bias": value_of(pointwise.bias(truth, mean), weights @ errors / drawn),
        }
        if prediction.members is not None:
            members = np.moveaxis(prediction.members, 0, 2)[:, self._skipped :]
            crps = ensemble.crps(truth, members)
            blocks = crps.reshape(len(sse), -1).mean(axis=1)
            metrics["crps"] = value_of(float(crps.mean()), weights @ blocks / drawn)
            variance = (MEMBERS + 1) / MEMBERS * members.var(axis=2, ddof=1).reshape(len(sse), -1).mean(axis=1)
            error = np.square(members.mean(axis=2) - truth).reshape(len(sse), -1).mean(axis=1)
            ratio = float(np.sqrt(variance.mean() / error.mean()))
            metrics["spread_skill"] = value_of(ratio, np.sqrt((weights @ variance) / (weights @ error)))
        if self.regime.coupling == "flux":
            metrics["conservation_error"] = self._conservation_error(prediction, weights)
        return {name + suffix: value for name, value in metrics.items()}

    def _conservation_error(self, prediction: Prediction, weights: NDArray[np.float64]) -> Value:
        """Return the RMS of the mean of U over the ring, over the standard deviation of U, by member if any."""
        drawn = prediction.mean[None] if prediction.members is None else prediction.members
        squares = np.square(conservation.momentum_source(drawn[:, :, self._skipped :])).mean(axis=0)
        sums = squares.reshape(weights.shape[1], -1).sum(axis=1) / self.std_U**2
        counts = np.full(len(sums), squares.size / len(sums))
        return value_of(conservation.root_mean_square(sums, counts), conservation.rms_replicates(weights, sums, counts))

    def learning_curve(self, model: Any) -> dict[str, Value]:
        """Return R² of clones of the model fitted to less data, if it can be cloned and fitted."""
        from sklearn.base import BaseEstimator, clone

        if not isinstance(model, BaseEstimator) or not callable(getattr(model, "fit", None)):
            return {}
        curve = {}
        for budget in self.training_budgets:
            smaller = clone(model)
            self.fit(smaller, budget)
            curve[f"r2_budget_{budget:g}"] = self._pooled(self.test, self._predict(smaller, self.test), "")["r2"]
        return curve

    def possible_scores(self, row: Result) -> tuple[float, float]:
        """Return 100 R², the only score."""
        score = 100.0 * row.metrics["r2"].value
        return score, score

    def aligned(self, row: Result) -> Sequence[Aligned]:
        """Return the squared RMSE and R², as ``R² = 1 - RMSE² / variance``."""
        found = []
        for suffix in {"", "_shift"} if self.has_shift else {""}:
            rmse, r2 = row.metrics[f"rmse{suffix}"], row.metrics[f"r2{suffix}"].value
            slack = seed_spread(rmse, len(row.model.seeds)) ** 2
            found.append(Aligned(f"R²{suffix}", rmse.value**2, r2, slack))
        return found

    @property
    def _skipped(self) -> int:
        """Unscored samples at the start of every trajectory."""
        return round(self.warm_up / self.test.interval)

    def _scored(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values)[:, self._skipped :]

    def _blocks(self, truth: NDArray[np.float64], mean: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
        return pointwise.block_sums(truth, mean, self.mean_U, self._block)

    @property
    def _block(self) -> int:
        """Samples per bootstrap block."""
        return round(self.block / self.test.interval)

    def _predict(self, model: Any, samples: Samples, copy: FreshCopy | None = None) -> Prediction:
        """Predict every sample of a split, in a fixed random order, in batches of one size.

        With a copy of the model, raise `ModelError` if U of a state depends on more than that state.
        """
        if isinstance(model, SteppedClosure) and model.form.has_memory:
            raise ModelError(
                "expected a model of the present X, got one with a memory, which these states in random order do not "
                "give; try subgrid-forcing-memory"
            )
        rows = samples.X.reshape(-1, self.regime.K)
        order = np.random.default_rng([self.regime.word, self.version, seed_word("order")]).permutation(len(rows))
        size = min(_BATCH, len(rows))
        places = np.resize(order, (-(-len(rows) // size), size))  # a last batch is filled with states of the first
        mean = np.empty(rows.shape)
        members = None
        rng = self._members_rng()
        states = []
        for chosen in places:
            states.append(rng.bit_generator.state)
            mean[chosen], drawn = predict(model, rows[chosen], rng)
            if drawn is not None:
                members = np.empty((MEMBERS, *rows.shape)) if members is None else members
                members[:, chosen] = drawn
        if copy is not None:
            # The seed follows from all predictions: no model can know which of them are compared.
            seed = int(array_digest(mean), 16)
            which = np.random.default_rng(seed).integers(len(places), size=size)
            if not callable(getattr(model, "predict", None)) and members is not None:
                which[:] = which[0]  # the draws of one batch
            compared = places[which, np.arange(size)]
            ask = partial(mean_of, state=states[which[0]])
            check_alone(copy, ask, rows[compared], mean[compared], self.train.X, seed)
        return self._finished(mean.reshape(samples.X.shape), members)

    def _members_rng(self) -> np.random.Generator:
        return np.random.default_rng([self.regime.word, self.version, seed_word("members")])

    def _finished(self, mean: NDArray[np.float64], members: NDArray[np.float64] | None) -> Prediction:
        """Count and replace unusable values."""
        reach = BOUND * self.std_U
        mean, wrong, far = within_reach(mean, self.mean_U, reach)
        if members is not None:
            members = members.reshape(len(members), *mean.shape)
            members, wrong_member, far_member = within_reach(members, self.mean_U, reach)
            wrong, far = wrong | wrong_member.any(axis=0), far | far_member.any(axis=0)
        return Prediction(mean, members, int(wrong.sum()), int(far.sum()))

    def in_miniature(self) -> Self:
        """Return a copy with the data and the training budgets of the miniature."""
        return replace(super().in_miniature(), training_budgets=self.miniature_budgets)

    @property
    def form(self) -> str:
        """The regime, whose test data predictions are for."""
        return self.regime_id

    @property
    def expected_predictions(self) -> Expected:
        """The required shapes and digest of a file of predictions; data without recorded digests are read."""
        names = [name for name, _ in self._scored_splits]
        digest = None if self.source is MINIATURE else self.data_digests.get(f"{self.regime_id}/test/X")
        if digest is None:
            shapes = {name: getattr(self, name).X.shape for name in names}
            return Expected(shapes, array_digest(np.asarray(self.test.X)))
        splits = {name: get_split(self.regime, name) for name in names}
        rows = {name: (each.n_trajectories, round(each.duration / each.interval)) for name, each in splits.items()}
        return Expected({name: (*shape, self.regime.K) for name, shape in rows.items()}, digest)

    def check_content(self, content: Content) -> None:
        """Check a closure as for every family of closures; predictions are checked when they are read."""
        if content.kind != PREDICTIONS:
            super().check_content(content)

    def evaluate_content(self, content: Content, info: ModelInfo) -> Result:
        """Score the closure, or the predictions, in a file."""
        if content.kind != PREDICTIONS:
            return super().evaluate_content(content, info)
        return self.evaluate_predictions(content.value["test"], content.value.get("shift"), info)

    @property
    def references(self) -> Mapping[str, Reference]:
        """Reference predictions: the climatological mean (0), U itself (100) and a quartic, as in the literature."""
        return MappingProxyType(
            {
                "floor": Reference(_FLOOR, self._evaluate_floor),
                "literature": Reference(LITERATURE, self.evaluate_literature),
                "ceiling": Reference(_CEILING, self._evaluate_ceiling),
            }
        )

    def _evaluate_floor(self) -> Result:
        return self.evaluate(lambda X: np.full_like(X, self.mean_U), _FLOOR)

    def _evaluate_ceiling(self) -> Result:
        exact = {suffix: Prediction(np.array(getattr(self, name).U)) for name, suffix in self._scored_splits}
        return self.result(_CEILING, self._all_parts(exact))


_FLOOR = ModelInfo(name="climatological mean of U", kind="reference", inputs="none", parameters=1, command=COMMAND)
_CEILING = ModelInfo(name="U exactly", kind="reference", inputs="U", command=COMMAND)
_PREDICTIONS = ModelInfo(name="predictions", kind="predictions", inputs="unknown", command="l96bench score")


def _keeps_nothing(model: Any) -> bool:
    """Return whether a model has no state because it is run as a graph or by a kernel of this package."""
    regressors = sys.modules.get("l96bench.estimators.regressors")
    if regressors is not None and type(model) is regressors.PolynomialRegressor:
        return True
    return type(model) in (OnnxClosure, SteppedClosure, EquationClosure, Polynomial, NoClosure)
