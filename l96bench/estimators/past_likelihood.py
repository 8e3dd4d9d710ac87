"""A blind closure that finds the system out from noisy observations of the past, by the likelihood of a filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from l96bench.checks import checked_random_state, whole_multiple
from l96bench.dynamics import resolved_kernels
from l96bench.dynamics.closures import HISTORY_INTERVAL, MODEL_DT, Closure, Stateless
from l96bench.dynamics.steps import Block, StepForm, SteppedClosure
from l96bench.errors import ModelError
from l96bench.estimators.in_context import RANGES, RowStep
from l96bench.estimators.similarity import SimilarityPolynomial, SimilarityRecurrentRegressor

__all__ = ["PastLikelihoodClosure", "PastLikelihoodRegressor"]

Array = NDArray[Any]

_STEPS = whole_multiple(HISTORY_INTERVAL, MODEL_DT)
_SPIN_UP = 10
"""Innovations at the start of a past that are not counted."""
_LEAST, _MOST = -60.0, 80.0
"""X beyond which a filter is stopped."""
_LOW = np.array([RANGES["F"][0], *np.log([RANGES[name][0] for name in "hc"])])
_HIGH = np.array([RANGES["F"][1], *np.log([RANGES[name][1] for name in "hc"])])
_MEAN, _STD = (_LOW + _HIGH) / 2.0, (_HIGH - _LOW) / np.sqrt(12.0)
"""The prior of F, log h and log c has the moments of uniform numbers in the ranges, which estimates do not leave."""
_STARTS = _MEAN + _STD * (np.indices((3, 3, 3)).reshape(3, -1).T - 1.0)
_CHANGES = 0.01 * _STD
"""By which F, log h and log c are changed to find out how the innovations depend on them."""
_GAIN_ROWS = 1000
"""Observations of each training system from which the gain is learned."""


class PastLikelihoodRegressor(BaseEstimator):
    """A closure of the similarity laws for the F, h and c under which a filter makes the observed past most likely.

    The filter is the resolved model under `SimilarityPolynomial`, corrected at every observation by a constant gain
    times the innovation, the difference of observation and forecast. With innovations d of variance s,

        F, log h, log c = argmin  sum d^2 / s + sum (p - mean_p)^2 / std_p^2

    by Gauss-Newton from the likeliest of 27 systems; the second sum is a normal prior. The gain and s are those of the
    training systems, whose F, h and c are known. F serves the estimate alone: the resolved model has its own.

    Parameters
    ----------
    closure_model : SimilarityRecurrentRegressor or SimilarityPolynomial, optional
        The closure that is given h and c; by default a `SimilarityRecurrentRegressor` with the same random state. A
        polynomial is without noise.
    iterations : int
        Steps of Gauss-Newton.
    error : float
        Standard deviation of the errors of the observations.
    random_state : int or None
        Seed of everything; None draws a new one.

    Attributes
    ----------
    gain_, variance_ : float
        The gain and s.

    References
    ----------
    Ljung (1999), System Identification, ch. 7, for prediction-error estimates and their likelihood.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import PastLikelihoodRegressor, SimilarityPolynomial
    >>> systems = l96bench.make_task("unseen-physics/interpolate-v1").miniature().train
    >>> model = PastLikelihoodRegressor(SimilarityPolynomial(noise=False)).fit(systems)
    >>> model.estimate(systems[0].X[:100, None]).shape
    (1, 3)
    """

    def __init__(
        self,
        closure_model: SimilarityRecurrentRegressor | SimilarityPolynomial | None = None,
        iterations: int = 8,
        error: float = 1.0,
        random_state: int | None = 0,
    ) -> None:
        self.closure_model, self.iterations, self.error = closure_model, iterations, error
        self.random_state = random_state

    def fit(self, systems: Sequence[Any], y: None = None) -> Self:
        """Fit to a list of `SystemSamples`."""
        seed = checked_random_state(self.random_state)
        model = clone(SimilarityRecurrentRegressor() if self.closure_model is None else self.closure_model)
        if isinstance(model, SimilarityPolynomial):
            if model.noise:
                raise ModelError("expected a SimilarityPolynomial without noise, got one with it. Try noise=False.")
        else:
            model.set_params(random_state=seed)
        self.model_ = model.fit(systems)
        self.filter_ = SimilarityPolynomial(noise=False).fit(systems)
        rng = np.random.default_rng(seed)
        X = np.stack([each.X[:_GAIN_ROWS] for each in systems], axis=1)
        seen = X + self.error * rng.standard_normal(X.shape)
        known = np.array([(each.regime.F, np.log(each.regime.h), np.log(each.regime.c)) for each in systems])
        self.gain_ = 0.4
        for _ in range(4):  # the gain that a regression of the forecasts' errors gives depends on them a little
            d = self._innovations(seen, known)
            errors = d - (seen - X)[1:]
            self.gain_ = float((d * errors)[_SPIN_UP:].sum() / np.square(d)[_SPIN_UP:].sum())
        self.variance_ = float(np.square(self._innovations(seen, known))[_SPIN_UP:].mean())
        return self

    def estimate(self, past: ArrayLike) -> Array:
        """Return F, log h and log c (n, 3) from observations (time, n, K), 0.05 MTU apart."""
        check_is_fitted(self)
        past = np.asarray(past, dtype=np.float64)
        n = past.shape[1]
        found, fits = np.tile(_MEAN, (n, 1)), np.full(n, np.inf)
        for start in _STARTS:
            trial = np.tile(start, (n, 1))
            misfit = self._misfit(self._innovations(past, trial), trial)
            found[misfit < fits], fits = trial[misfit < fits], np.minimum(misfit, fits)
        damping = np.full(n, 0.1)
        d = self._innovations(past, found)
        for _ in range(self.iterations):
            changed = [self._innovations(past, found + change) for change in np.diag(_CHANGES)]
            slopes = np.stack([(each - d)[_SPIN_UP:] / change for each, change in zip(changed, _CHANGES, strict=True)])
            curvature = np.einsum("itnk,jtnk->nij", slopes, slopes) / self.variance_ + np.diag(_STD**-2.0)
            gradient = np.einsum("itnk,tnk->ni", slopes, d[_SPIN_UP:]) / self.variance_ + (found - _MEAN) / _STD**2
            damped = curvature * (1.0 + damping[:, None, None] * np.eye(3))
            trial = np.clip(found - np.linalg.solve(damped, gradient[..., None])[..., 0], _LOW, _HIGH)
            ahead = self._innovations(past, trial)
            misfit = self._misfit(ahead, trial)
            better = misfit < fits
            found[better], d[:, better], fits[better] = trial[better], ahead[:, better], misfit[better]
            damping *= np.where(better, 0.3, 10.0)
        return found

    def _misfit(self, d: Array, told: Array) -> Array:
        """Return what an estimate minimizes, (n,)."""
        return np.square(d[_SPIN_UP:]).sum(axis=(0, 2)) / self.variance_ + np.square((told - _MEAN) / _STD).sum(axis=1)

    def _innovations(self, past: Array, told: Array) -> Array:
        """Return the filter's innovations (time - 1, n, K) under F, log h and log c `told` (n, 3)."""
        n = past.shape[1]
        F, coefficients = np.ascontiguousarray(told[:, 0]), self.filter_.at(*np.exp(told[:, 1:].T))
        limits = np.full(n, _LEAST), np.full(n, _MOST), F / 4.0, np.full(n, -1)
        X, d = past[0].copy(), np.empty((len(past) - 1, *past.shape[1:]))
        for time in range(len(d)):
            resolved_kernels.advance_polynomial(X, coefficients, F, MODEL_DT, _STEPS, *limits, time)
            d[time] = past[time + 1] - X
            X += self.gain_ * d[time]
        return d

    def closure(self, dt: float = MODEL_DT) -> PastLikelihoodClosure:
        """Return the blind closure for a resolved model that steps by `dt` MTU."""
        check_is_fitted(self)
        return PastLikelihoodClosure(self, dt)


class PastLikelihoodClosure:
    """The closure of each row's own system, once its past has been seen; before, that of the prior's mean.

    Parameters
    ----------
    model : PastLikelihoodRegressor
        Fitted.
    dt : float
        Step of the resolved model in MTU.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import PastLikelihoodRegressor, SimilarityPolynomial
    >>> systems = l96bench.make_task("unseen-physics/interpolate-v1").miniature().train
    >>> model = PastLikelihoodRegressor(SimilarityPolynomial(noise=False)).fit(systems)
    >>> model.closure().deterministic
    True
    """

    def __init__(self, model: PastLikelihoodRegressor, dt: float) -> None:
        self._model, self._dt = model, dt
        self.deterministic = isinstance(model.model_, SimilarityPolynomial)

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget everything; `n_members` rows are coming, and all randomness comes from `rng`."""
        self._n, self._rng = n_members, rng
        self._closure: Closure | None = None

    def remember(self, history: Array) -> None:
        """Estimate each row's system from its observed past, (past, member, K), `HISTORY_INTERVAL` MTU apart."""
        rows = history.swapaxes(0, 1).reshape(self._n, -1)
        _, first, row = np.unique(rows, axis=0, return_index=True, return_inverse=True)  # members share their past
        self._begin(self._model.estimate(history[:, first])[row.ravel(), 1:], history)

    def _begin(self, told: Array, history: Array | None = None) -> None:
        model = self._model.model_
        if isinstance(model, SimilarityPolynomial):
            self._closure = _RowPolynomials(model.at(*np.exp(told.T)))
        else:
            self._closure = SteppedClosure(_ToldStep(model, told), self._dt)
        self._closure.start(self._n, self._rng)
        if history is not None and isinstance(self._closure, SteppedClosure):
            self._closure.remember(history)

    def step(self, X: Array) -> Array:
        """Return the added tendency U (member, K) for the states X (member, K)."""
        if self._closure is None:
            self._begin(np.tile(_MEAN[1:], (self._n, 1)))
        assert self._closure is not None
        return self._closure.step(X)


class _RowPolynomials(Stateless):
    """A polynomial for each row."""

    def __init__(self, coefficients: Array) -> None:
        self._coefficients = coefficients

    def predict(self, X: Array) -> Array:
        U = np.zeros(X.shape)
        for column in self._coefficients.T[::-1]:
            U = U * X + column[:, None]
        return U


class _ToldStep:
    """The recurrence of a `SimilarityRecurrentRegressor` with a log h and log c for each row."""

    dtype = np.float32

    def __init__(self, model: SimilarityRecurrentRegressor, told: Array) -> None:
        self._rows, self._told = RowStep(model, len(model._index)), told
        self.K = self._rows.K
        self.form = StepForm((Block(self.K * self._rows.units),), (Block(self.K * self._rows.n_noise),))

    def __call__(self, X: Array, state: Array, noise: Array, uniform: Array) -> tuple[Array, Array, None]:
        """Return U (n, K) and the next state; see `l96bench.dynamics.steps.Step`."""
        kept, drawn = (np.ascontiguousarray(each).reshape(X.size, -1) for each in (state, noise))
        U, ahead = self._rows(X, self._told[: len(X)], kept, drawn)
        return U, ahead.reshape(state.shape), None
