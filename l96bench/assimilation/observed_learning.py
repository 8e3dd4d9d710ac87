"""Simple ways from noisy observations of X to a closure: analysis increments, and state augmentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone

from l96bench.assimilation.models import AugmentedModel
from l96bench.assimilation.observed import ObservedSeries
from l96bench.assimilation.smoother import ensemble_smoother
from l96bench.assimilation.state_space import RedNoiseModel, StateSpaceModel
from l96bench.checks import checked_random_state, whole_multiple
from l96bench.dynamics.closures import MODEL_DT
from l96bench.dynamics.polynomial import Polynomial, fitted_coefficients, ten_digits
from l96bench.errors import L96BenchError, ModelError
from l96bench.regimes import Regime

if TYPE_CHECKING:
    from l96bench.estimators.network import TorchRegressor
    from l96bench.estimators.regressors import StencilClosure

__all__ = ["AugmentedPolynomial", "IncrementNetwork", "IncrementPolynomial"]

Array = NDArray[np.float64]
T = TypeVar("T")

_INFLATIONS = (1.05, 1.1, 1.2, 1.35, 1.5)
"""Those that are tried where none is given."""


@dataclass(frozen=True, slots=True)
class _Increments:
    """Backgrounds of a filter, what its model lacks by the increments, (row, series, K), and where that is seen."""

    background: Array
    missing: Array
    seen: NDArray[np.bool_]


def _increments(
    observations: ObservedSeries,
    model: StateSpaceModel,
    n_members: int,
    inflation: float,
    length: float,
    spin_up: float,
    rng: np.random.Generator,
) -> tuple[_Increments, float]:
    """Filter the observations in series of `length` MTU; return what its increments show, and its log likelihood."""
    values = observations.cut(length)
    rows, n_series, K = values.shape
    mean, spread = np.nanmean(values), np.nanstd(values)
    initial = mean + spread * rng.standard_normal((n_series, n_members, K))
    n_steps, still = whole_multiple(observations.window, MODEL_DT), np.zeros((n_series * n_members, K))

    def advance(states: Array, time: int) -> Array:
        return model.advance(np.concatenate([states, still], axis=1), observations.F, rng, n_steps)[:, :K]

    found = ensemble_smoother(advance, initial, values, observations.std, rng=rng, inflation=inflation, lag=0)
    first = min(round(spin_up / observations.window), rows // 2)
    background = found.forecasts[first:].mean(axis=2)
    missing = (found.states[first:].mean(axis=2) - background) / observations.window
    return _Increments(background, missing, np.isfinite(values[first:])), float(found.log_likelihood[first:].sum())


def _likeliest(given: float | None, filtered: Callable[[float], tuple[T, float]]) -> tuple[float, T]:
    """Return the inflation that is given, or else the likeliest of a few, and what a filter finds with it.

    `filtered` returns what it finds and its log likelihood.
    """
    tried = _INFLATIONS if given is None else (given,)
    found = [filtered(inflation) for inflation in tried]
    best = int(np.argmax([np.nan_to_num(likelihood, nan=-np.inf) for _, likelihood in found]))
    return tried[best], found[best][0]


class _LearnedPolynomial(BaseEstimator):
    """The base of models that learn one polynomial, with the coefficients ``coef_``, lowest order first."""

    degree: int
    inflation: float | None
    random_state: int | None
    coef_: Array

    def fit(self, observations: ObservedSeries) -> Self:
        """Fit to an `ObservedSeries`."""
        seed = checked_random_state(self.random_state)

        def filtered(inflation: float) -> tuple[Array, float]:
            return self._filtered(observations, inflation, np.random.default_rng(seed))

        self.inflation_, self.coef_ = _likeliest(self.inflation, filtered)
        return self

    def _filtered(
        self, observations: ObservedSeries, inflation: float, rng: np.random.Generator
    ) -> tuple[Array, float]:
        """Return the coefficients after a filter with this inflation, and its log likelihood."""
        raise NotImplementedError

    def closure(self, dt: float = MODEL_DT) -> Polynomial:
        """Return the polynomial; it does not depend on dt."""
        if not hasattr(self, "coef_"):
            raise ModelError(f"this {type(self).__name__} is not fitted yet. Try fit(observations) first.")
        return Polynomial(self.coef_)

    def given_U(self, X: ArrayLike, U: ArrayLike) -> Polynomial:
        """Return the polynomial fitted to true X and U, both (time, K)."""
        return Polynomial(fitted_coefficients(X, U, self.degree))


class IncrementPolynomial(_LearnedPolynomial):
    """A polynomial fitted to the analysis increments of an ensemble Kalman filter whose model has no closure.

    At the observed points the mean's increment, divided by the MTU between analyses, is regressed on the mean's
    background. Since an analysis makes up for a part of the error only, the closure is too weak after one pass; with
    more of them the model is given what was found, and what its increments still show is added. That is also the error
    of the background, which increments take back and backgrounds contain: every pass adds damping, many add too much.

    Parameters
    ----------
    degree, n_members : int
        Highest power of X, and members of the filter.
    inflation : float, optional
        Of the forecast anomalies, as the ensemble does not know that the model lacks U; by default the one of a few, up
        to 1.5, that makes the observations most likely.
    length, spin_up : float
        MTU of the series into which the observations are cut, which are filtered side by side, and at the start of each
        that is not fitted to.
    passes : int
        Through the observations.
    random_state : int or None
        Seed of all randomness; None draws a new one.

    Attributes
    ----------
    coef_ : (degree + 1,) array
        The coefficients of the added tendency, lowest order first.
    inflation_ : float
        That given, or the likeliest.

    References
    ----------
    Leith (1978), Annu. Rev. Fluid Mech. 10, 107-128: increments as a sample of the model's error, linear in
    the state.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> series = l96bench.make_task("observed-closure/wilks-f20-dense-v1").miniature().train
    >>> model = da.IncrementPolynomial(degree=1, n_members=10, inflation=1.3, length=5.0).fit(series)
    >>> model.coef_.shape
    (2,)
    """

    def __init__(
        self,
        degree: int = 4,
        n_members: int = 40,
        inflation: float | None = None,
        length: float = 20.0,
        spin_up: float = 2.0,
        passes: int = 1,
        random_state: int | None = 0,
    ) -> None:
        self.degree, self.n_members, self.inflation = degree, n_members, inflation
        self.length, self.spin_up, self.passes, self.random_state = length, spin_up, passes, random_state

    def _filtered(
        self, observations: ObservedSeries, inflation: float, rng: np.random.Generator
    ) -> tuple[Array, float]:
        if self.passes < 1:
            raise L96BenchError(f"expected at least one pass through the observations, got passes={self.passes}")
        coefficients = np.zeros(self.degree + 1)
        for _ in range(self.passes):
            found, likelihood = self._missing(observations, coefficients, inflation, rng)
            coefficients = coefficients + found
        return coefficients, likelihood

    def _missing(
        self, observations: ObservedSeries, coefficients: Array, inflation: float, rng: np.random.Generator
    ) -> tuple[Array, float]:
        """Return what a model with these coefficients lacks, by the increments to it, and its log likelihood."""
        model = RedNoiseModel(coefficients[:, None], 0.0, 0.0)
        found, likelihood = _increments(observations, model, self.n_members, inflation, self.length, self.spin_up, rng)
        missing = fitted_coefficients(found.background[found.seen], found.missing[found.seen], self.degree)
        return missing, likelihood

    def __repr__(self) -> str:
        return f"{type(self).__name__}(degree={self.degree}, random_state={self.random_state})"


class IncrementNetwork(BaseEstimator):
    """A stencil network fitted to the analysis increments of an ensemble Kalman filter whose model has no closure.

    As `IncrementPolynomial`, but for the network, which sees the mean's background at a point and its neighbours; at
    points that are not observed the background stands for what is not known. Later passes fit a network to what the one
    before it said and what the increments still show, together.

    Parameters
    ----------
    estimator : TorchRegressor, optional
        The network; by default 64 and 64 units with weight decay, as in ``baselines/da_stencil_network.py``.
    radius, n_members : int
        Neighbours on either side that are seen, and members of the filter.
    inflation : float, optional
        As in `IncrementPolynomial`, chosen in the first pass.
    length, spin_up : float
        As in `IncrementPolynomial`.
    passes : int
        Through the observations.
    random_state : int or None
        Seed of all randomness; None draws a new one.

    Attributes
    ----------
    network_ : TorchRegressor
        The fitted network.
    inflation_ : float
        That given, or the likeliest.

    References
    ----------
    Brajard et al. (2021), Phil. Trans. R. Soc. A 379, 20200086, for networks learned from analyses.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> series = l96bench.make_task("observed-closure/wilks-f20-dense-v1").miniature().train
    >>> network = l96bench.TorchRegressor(hidden=(4,), epochs=1, min_steps=1)
    >>> model = da.IncrementNetwork(network, radius=1, n_members=10, inflation=1.3, length=5.0).fit(series)
    >>> model.closure().predict(series.values[:2] * 0.0).shape
    (2, 8)
    """

    def __init__(
        self,
        estimator: TorchRegressor | None = None,
        radius: int = 2,
        n_members: int = 40,
        inflation: float | None = None,
        length: float = 20.0,
        spin_up: float = 2.0,
        passes: int = 1,
        random_state: int | None = 0,
    ) -> None:
        self.estimator, self.radius, self.n_members, self.inflation = estimator, radius, n_members, inflation
        self.length, self.spin_up, self.passes, self.random_state = length, spin_up, passes, random_state

    def fit(self, observations: ObservedSeries) -> Self:
        """Fit to an `ObservedSeries`."""
        from l96bench.assimilation.network_maximization import RedNoiseNetwork

        if self.passes < 1:
            raise L96BenchError(f"expected at least one pass through the observations, got passes={self.passes}")
        seed = checked_random_state(self.random_state)

        def filtered(model: StateSpaceModel, inflation: float) -> tuple[_Increments, float]:
            rng = np.random.default_rng(seed)
            return _increments(observations, model, self.n_members, inflation, self.length, self.spin_up, rng)

        without = RedNoiseModel(np.zeros((1, 1)), 0.0, 0.0)
        self.inflation_, found = _likeliest(self.inflation, partial(filtered, without))
        self._K = observations.K
        self.network_ = self._fitted(found.background, found.missing, found.seen, seed)
        for _ in range(1, self.passes):
            model = RedNoiseNetwork(self.network_, self.radius, 0.0, 0.0)
            again, _ = filtered(model, self.inflation_)
            total = model.mean(again.background, again.background) + again.missing
            self.network_ = self._fitted(again.background, total, again.seen, seed)
        return self

    def _fitted(self, X: Array, U: Array, seen: NDArray[np.bool_], seed: int | None) -> TorchRegressor:
        """Return a network fitted to the stencils of X (..., K) and U at the points that are `seen`."""
        from l96bench.estimators.network import TorchRegressor
        from l96bench.estimators.ring import stencil_index

        network = TorchRegressor(weight_decay=0.01) if self.estimator is None else self.estimator
        rows = X[..., stencil_index(X.shape[-1], self.radius)][seen]
        return clone(network).set_params(random_state=seed).fit(rows, U[seen])

    def closure(self, dt: float = MODEL_DT) -> StencilClosure:
        """Return the network as a closure; it does not depend on dt."""
        if not hasattr(self, "network_"):
            raise ModelError("this IncrementNetwork is not fitted yet. Try fit(observations) first.")
        return self._closure(self.network_, self._K)

    def _closure(self, network: TorchRegressor, K: int) -> StencilClosure:
        from l96bench.estimators.regressors import StencilClosure
        from l96bench.estimators.ring import stencil_index

        return StencilClosure(network, stencil_index(K, self.radius))

    def given_U(self, X: ArrayLike, U: ArrayLike) -> StencilClosure:
        """Return the same network fitted to true X and U, both (time, K)."""
        states, forcing = np.asarray(X, dtype=np.float64), np.asarray(U, dtype=np.float64)
        seen = np.ones(states.shape, dtype=bool)
        network = self._fitted(states, forcing, seen, checked_random_state(self.random_state))
        return self._closure(network, states.shape[1])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(radius={self.radius}, passes={self.passes}, random_state={self.random_state})"


class AugmentedPolynomial(_LearnedPolynomial):
    """The polynomial that state augmentation ends with: a filter estimates its coefficients together with X.

    The filter goes through the observations once, with an `AugmentedModel`; the closure has the mean coefficients over
    the last half.

    Parameters
    ----------
    regime : str or Regime
        The resolved model.
    std : (degree + 1,) array
        Standard deviations of the coefficients' prior, whose mean is 0, lowest order first.
    n_members : int
        More than K + degree + 1.
    inflation : float, optional
        Of the analysis anomalies of X; by default the one of a few, up to 1.5, that makes the observations most likely.
    floor : float
        As in `AugmentedModel`.
    random_state : int or None
        Seed of all randomness; None draws a new one.

    Attributes
    ----------
    coef_ : (degree + 1,) array
        The coefficients of the added tendency, lowest order first.
    inflation_ : float
        That given, or the likeliest.

    References
    ----------
    Aksoy, Zhang and Nielsen-Gammon (2006), Geophys. Res. Lett. 33, L12801.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> series = l96bench.make_task("observed-closure/wilks-f20-dense-v1").miniature().train
    >>> model = da.AugmentedPolynomial(std=(1.0, 0.5), n_members=20, inflation=1.1).fit(series)
    >>> model.coef_.shape
    (2,)
    """

    def __init__(
        self,
        regime: str | Regime = "wilks-f20",
        std: ArrayLike = (1.0, 0.5, 0.05, 0.005, 0.0005),
        n_members: int = 40,
        inflation: float | None = None,
        floor: float = 0.02,
        random_state: int | None = 0,
    ) -> None:
        self.regime, self.std, self.n_members = regime, tuple(np.ravel(std)), n_members
        self.inflation, self.floor, self.random_state = inflation, floor, random_state
        self.degree = len(self.std) - 1

    def _filtered(
        self, observations: ObservedSeries, inflation: float, rng: np.random.Generator
    ) -> tuple[Array, float]:
        zero = np.zeros(self.degree + 1)
        model = AugmentedModel(self.regime, zero, self.std, floor=self.floor, F=observations.F)
        K, values = observations.K, observations.values[:, None]
        if model.layout.K != K:
            raise L96BenchError(f"expected observations on {model.layout.K} points, got {K}")
        centre = np.where(np.isfinite(values[0]), values[0], np.nanmean(values))
        spread = np.where(np.isfinite(values[0]), observations.std, np.nanstd(values))
        X = centre[:, None] + spread[:, None] * rng.standard_normal((1, self.n_members, K))
        initial = model.embed(X, [rng])

        def advance(states: Array, time: int) -> Array:
            analysis = model.constrain(states[None])
            mean = analysis.mean(axis=1, keepdims=True)
            analysis[..., :K] += (inflation - 1.0) * (analysis[..., :K] - mean[..., :K])
            moved = model.advance(analysis[0], observations.window)
            lost = ~np.isfinite(moved).all(axis=1)
            if lost.all():
                raise ModelError(f"every member of the filter blew up by the observations of time {time}")
            moved[lost] = moved[~lost][rng.integers(np.count_nonzero(~lost), size=np.count_nonzero(lost))]
            return moved

        found = ensemble_smoother(advance, initial, values, observations.std, rng=rng, lag=0)
        mean = found.states[len(values) // 2 :, 0, :, K:].mean(axis=(0, 1))
        return np.array([ten_digits(float(value)) for value in mean]), float(found.log_likelihood.sum())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.regime!r}, std={self.std}, random_state={self.random_state})"
