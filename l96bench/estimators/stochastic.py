"""Closures of Arnold et al. (2013): a deterministic mean plus noise whose strength may depend on the state.

All have the form U = mean(X) + s(X) e with a noise e of mean 0 and variance 1 that is independent at every point:

======================================  ==========================================================
form                                    s(X)
======================================  ==========================================================
``"additive"``                          s_0
``"state dependent"``                   s_0 + s_1 abs(X)
``"multiplicative"``                    s_1 mean(X), so that U = (1 + s_1 e) mean(X)
``"multiplicative and additive"``       s_0 + s_1 abs(mean(X))
======================================  ==========================================================

The noise is red, a first-order autoregression in time, or white: independent over the interval of the data and smooth
in between (`WhiteNoise`), so that its effect on X does not depend on the time step of the model.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from sklearn.utils.validation import check_is_fitted

from l96bench.dynamics.ar1 import AR1Noise, Noise, NoisyClosure, WhiteNoise, ar1_noise
from l96bench.dynamics.closures import as_closure
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.polynomial import ten_digits
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.estimators.ring import RingRegressor

__all__ = ["NoiseForm", "StochasticClosure", "StochasticRegressor", "unit_noise"]

NoiseForm = Literal["additive", "state dependent", "multiplicative", "multiplicative and additive"]
_BINS = 20
"""Bins of equal population for measuring the strength of the noise."""


class StochasticRegressor(RingRegressor):
    """A regressor for the mean of U plus red or white noise whose strength may depend on the state.

    Parameters
    ----------
    estimator : deterministic regressor of X (n, K) -> U (n, K), default PolynomialRegressor(degree=3)
        Of the mean of U.
    form : {"additive", "state dependent", "multiplicative", "multiplicative and additive"}
        The form of s(X); see the module's docstring.
    white : bool
        Use white noise instead of noise with the autocorrelation of the residual.
    interval : float
        Time in MTU between the rows of X, which are successive states of ONE trajectory.

    Attributes
    ----------
    scale_ : tuple of two floats
        s_0 and s_1, at least 0. Where both are free they are fitted to the standard deviation of the residual in bins
        of abs(X) or abs(mean(X)). In every form the noise has the variance of the residual.
    phi_ : float
        Autocorrelation of e over `interval`, pooled over points: the sum of r(t) r(t + interval) over that of s(t) s(t
        + interval), r being the residual; 0 if negative, or for white noise.

    References
    ----------
    Arnold, Moroz and Palmer (2013), Phil. Trans. R. Soc. A 371, 20110479, doi:10.1098/rsta.2011.0479: the
    forms, with a cubic mean and white or AR(1) noise.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import StochasticRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = StochasticRegressor(form="state dependent").fit(run.X, run.U)
    >>> model.closure(0.01).deterministic, 0.0 <= model.phi_ < 1.0
    (False, True)
    """

    def __init__(
        self, estimator: Any = None, form: NoiseForm = "additive", white: bool = False, interval: float = 0.05
    ) -> None:
        self.estimator, self.form, self.white, self.interval = estimator, form, white, interval

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) in time order and y, which is U (n, K) or the U of point 0 alone."""
        _check_form(self.form)
        X, U = self._checked_training(X, y)
        regressor = PolynomialRegressor(degree=3) if self.estimator is None else self.estimator
        self.estimator_, mean = self._fitted_mean(regressor, X, U)
        residual, states = U - mean, X[:, self._points()]
        self.scale_ = _fitted_scale(self.form, residual, states, mean)
        strength = _strength(self.form, self.scale_, states, mean)
        self.phi_ = 0.0 if self.white else _fitted_phi(residual, strength)
        return self

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Draw U (member, n, K) along a trajectory X (n, K) in time order."""
        mean = self.predict(X)
        states = self._like_y(np.asarray(X, dtype=np.float64)[:, self._points()])
        noise = ar1_noise((len(mean), n_members, *mean.shape[1:]), self.phi_, 1.0, rng)
        return mean + _strength(self.form, self.scale_, states, mean) * np.moveaxis(noise, 1, 0)

    def closure(self, dt: float = 0.01) -> StochasticClosure:
        """Return the stochastic closure for a resolved model with the step `dt` (MTU)."""
        check_is_fitted(self)
        return StochasticClosure(
            self.estimator_, self.form, self.scale_, unit_noise(0.0 if self.white else self.phi_, self.interval, dt), dt
        )


def unit_noise(phi: float, interval: float, dt: float) -> Noise:
    """Return noise of variance 1: red, or white when phi is 0; see the head of this module."""
    return AR1Noise(phi, interval, dt) if phi else WhiteNoise(dt)


class StochasticClosure(NoisyClosure):
    """The closure U = mean(X) + s(X) e of a deterministic model and the noise e.

    Parameters
    ----------
    mean : model
        Whatever `as_closure` accepts, deterministic.
    form : {"additive", "state dependent", "multiplicative", "multiplicative and additive"}
        As for `StochasticRegressor`.
    scale : (s_0, s_1)
        As `StochasticRegressor.scale_`.
    noise : Noise
        Of variance 1.
    dt : float
        Step of the resolved model in MTU.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import StochasticClosure, StochasticRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> closure = StochasticRegressor().fit(run.X, run.U).closure(0.01)
    >>> isinstance(closure, StochasticClosure), closure.form
    (True, 'additive')
    """

    def __init__(self, mean: Any, form: NoiseForm, scale: tuple[float, float], noise: Noise, dt: float) -> None:
        _check_form(form)
        self.mean = as_closure(mean, dt)
        if not self.mean.deterministic:
            raise ValueError(f"the mean of a StochasticClosure must be deterministic; {type(mean).__name__} is not.")
        super().__init__(noise, self.mean)
        self.form, self.scale = form, scale

    def step(self, X: NDArray) -> NDArray:
        """Return U (member, K) for the states X (member, K): the mean plus noise."""
        self.last_mean = mean = np.asarray(self.mean.step(X), dtype=np.float64)
        return mean + _strength(self.form, self.scale, X, mean) * self.noise.step(X.shape)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the mean's graph and the noise times its strength; see `Closure`."""
        mean = builder.closure(x, self.mean, K)
        builder.mean(mean)
        strength = builder.constant(self.scale[0], np.float64)
        if self.form != "additive":
            seen = x if self.form == "state dependent" else mean
            depends = seen if self.form == "multiplicative" else builder.node("Abs", seen)
            scaled = builder.node("Mul", builder.constant(self.scale[1], np.float64), depends)
            strength = builder.node("Add", strength, scaled)
        return builder.node("Add", mean, builder.node("Mul", strength, self.noise.graph(builder, K)))


def _check_form(form: str) -> None:
    if form not in get_args(NoiseForm):
        raise ValueError(f"form must be one of {get_args(NoiseForm)}; got {form!r}.")


def _dependence(form: NoiseForm, X: NDArray, mean: NDArray) -> NDArray:
    """Return the factor of s_1 in s(X)."""
    match form:
        case "additive":
            return np.zeros_like(mean)
        case "state dependent":
            return np.abs(X)
        case "multiplicative":
            return mean
        case "multiplicative and additive":
            return np.abs(mean)


def _strength(form: NoiseForm, scale: tuple[float, float], X: NDArray, mean: NDArray) -> NDArray:
    """Return s(X) in the shape of X."""
    return np.asarray(scale[0] + scale[1] * _dependence(form, X, mean), dtype=np.float64)


def _fitted_scale(form: NoiseForm, residual: NDArray, X: NDArray, mean: NDArray) -> tuple[float, float]:
    """Return s_0 and s_1 fitted to the residuals (n, points), with their variance."""
    variance = float(np.mean(np.square(residual)))
    dependence = _dependence(form, X, mean).ravel()
    shape = {"additive": (1.0, 0.0), "multiplicative": (0.0, 1.0)}.get(form) or _binned(residual.ravel(), dependence)
    power = float(np.mean(np.square(shape[0] + shape[1] * dependence)))
    factor = math.sqrt(variance / power) if power > 0 else 0.0
    return ten_digits(factor * shape[0]), ten_digits(factor * shape[1])


def _binned(residual: NDArray, dependence: NDArray) -> tuple[float, float]:
    """Fit the line s_0 + s_1 x, both at least 0, to the standard deviations of the residual in bins of x."""
    order = np.argsort(dependence, kind="stable")
    bins = [part for part in np.array_split(order, _BINS) if part.size]
    at = np.array([dependence[part].mean() for part in bins])
    spread = np.array([math.sqrt(np.mean(np.square(residual[part]))) for part in bins])
    line, _ = nnls(np.stack([np.ones_like(at), at], axis=1), spread)
    return float(line[0]), float(line[1])


def _fitted_phi(residual: NDArray, strength: NDArray) -> float:
    """Return the lag-one autocorrelation of residual / strength, without dividing by a strength near 0."""
    power = float(np.sum(strength[:-1] * strength[1:]))
    phi = float(np.sum(residual[:-1] * residual[1:])) / power if power > 0 else 0.0
    return ten_digits(min(max(phi, 0.0), 1.0 - 1e-9))
