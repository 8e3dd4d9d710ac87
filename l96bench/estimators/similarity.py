"""Closures for systems with other h and c: fast variables that are slaved to X obey one law in scaled variables.

With b and J fixed, dY/dt / c depends on h X alone, and U = -(h c / b) sum Y: so U / (h c) is one functional of the path
of h X, in the time c t. The models below learn it from all training systems together; what c does to the memory, which
is counted in MTU, is left to an input log c.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from l96bench.dynamics.ar1 import AR1Closure
from l96bench.dynamics.closures import HISTORY_INTERVAL, as_closure
from l96bench.dynamics.polynomial import Polynomial, ten_digits
from l96bench.dynamics.steps import SteppedClosure
from l96bench.errors import ModelError
from l96bench.estimators.generative import ProbabilisticRecurrentRegressor
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.recurrences import GatedUnit, RecurrentStep
from l96bench.estimators.recurrent import pooled_moments
from l96bench.estimators.regressors import StencilClosure
from l96bench.estimators.ring import stencil_index
from l96bench.parallel import one_thread
from l96bench.regimes import Regime

__all__ = ["NearestSystem", "OneForAll", "SimilarityNetwork", "SimilarityPolynomial", "SimilarityRecurrentRegressor"]

Array = NDArray[np.float64]


class SimilarityRecurrentRegressor(ProbabilisticRecurrentRegressor):
    """A gated recurrent unit with noise for all systems, in the variables h X and U / (h c), with an input log c.

    The past of half of the training paths has the errors of observations, since that of a test has them.

    Parameters
    ----------
    units, radius, epochs : int
        As for `ProbabilisticRecurrentRegressor`.
    warm_up, length, batch_size, min_steps : int
        As for `ProbabilisticRecurrentRegressor`.
    learning_rate : float
        As for `ProbabilisticRecurrentRegressor`.
    n_noise, n_draws : int
        As for `ProbabilisticRecurrentRegressor`.
    random_state : int or None
        As for `ProbabilisticRecurrentRegressor`.
    error : float
        Standard deviation of the errors of the observed past.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import SimilarityRecurrentRegressor
    >>> systems = l96bench.make_task("unseen-physics/interpolate-v1").miniature().train
    >>> model = SimilarityRecurrentRegressor(units=4, epochs=1, min_steps=2).fit(systems)
    >>> model.closure(0.01, systems[0].regime).deterministic
    False
    """

    def __init__(
        self,
        units: int = 16,
        radius: int = 2,
        epochs: int = 10,
        warm_up: int = 16,
        length: int = 24,
        batch_size: int = 128,
        learning_rate: float = 0.02,
        min_steps: int = 3000,
        n_noise: int = 2,
        n_draws: int = 2,
        error: float = 1.0,
        random_state: int | None = 0,
    ) -> None:
        super().__init__(
            *(units, radius, epochs, warm_up, length, batch_size, learning_rate, min_steps, n_noise, n_draws),
            random_state=random_state,
        )
        self.error = error

    def fit(self, systems: Sequence[Any], y: None = None) -> Self:  # type: ignore[override]
        """Fit to a list of `SystemSamples`, all of as many times and points."""
        self._check_parameters()
        h, c, X, U = _similar(systems)
        self._index = stencil_index(X.shape[2], self.radius)
        self.scales_ = {"X": pooled_moments(X), "U": pooled_moments(U), "c": pooled_moments(np.log(c))}
        (x_mean, x_std), (u_mean, u_std), (c_mean, c_std) = self.scales_.values()
        stencils = np.take((X - x_mean) / x_std, self._index, axis=2)
        told = np.stack([(np.log(c) - c_mean) / c_std, self.error * h / x_std], axis=1)[:, None]
        inputs = np.concatenate([stencils, np.broadcast_to(told, (*stencils.shape[:3], 2))], axis=3)
        with one_thread():
            learned, self.loss_curve_ = self._trained(
                torch.from_numpy(inputs.reshape(len(X), -1, inputs.shape[3]).astype(np.float32)),
                torch.from_numpy(((U - u_mean) / u_std).reshape(len(X), -1).astype(np.float32)),
            )
        self.weights_ = {name: tensor.detach().numpy() for name, tensor in learned.items()}
        return self

    def _width(self, stencils: torch.Tensor) -> int:
        return stencils.shape[2] - 1

    def _seen(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return inputs (time, piece, width) without the last one, the size of the errors of half of the pasts."""
        x, size = x[..., :-1].clone(), x[: self.warm_up, :, -1:]
        observed = (torch.rand((x.shape[1], 1), generator=generator) < 0.5) * size
        noise = torch.randn((*observed.shape[:2], x.shape[2] - 1), generator=generator)
        x[: self.warm_up, :, :-1] += observed * noise
        return x

    def closure(self, dt: float = 0.01, regime: Regime | None = None) -> SteppedClosure:
        """Return the stochastic closure of a system for a resolved model that steps by `dt` MTU."""
        regime = _told(self, regime)
        return SteppedClosure(RecurrentStep(GatedUnit(self.weights_of(regime), self.n_noise), self._index), dt)

    def weights_of(self, regime: Regime) -> dict[str, NDArray]:
        """Return the weights of the unit of a system, for X and U in their own units."""
        (x_mean, x_std), (u_mean, u_std), (c_mean, c_std) = self.scales_.values()
        weights = {name: array.astype(np.float64) for name, array in self.weights_.items()}
        width, unit = self._index.shape[1], regime.h * regime.c
        told, inputs = weights["input"][:, width], np.delete(weights["input"], width, axis=1)
        weights["input_bias"] += told * (np.log(regime.c) - c_mean) / c_std
        weights["input_bias"] -= inputs[:, :width].sum(axis=1) * x_mean / x_std
        inputs[:, :width] *= regime.h / x_std
        weights |= {"input": inputs, "output": weights["output"] * u_std * unit}
        weights["output_bias"] = (weights["output_bias"] * u_std + u_mean) * unit
        return {name: array.astype(np.float32) for name, array in weights.items()}


class SimilarityPolynomial(BaseEstimator):
    """A polynomial of h X for U / (h c) whose coefficients are linear in 1 / c, alone or with red noise.

        U / (h c) = sum_p (a_p + b_p / c) (h X)^p + sigma e,        log sigma and log(-log phi) linear in log c

    phi being the autocorrelation of e over 0.05 MTU.

    Parameters
    ----------
    degree : int
        Highest power of h X.
    noise : bool
        With the noise.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import SimilarityPolynomial
    >>> systems = l96bench.make_task("unseen-physics/interpolate-v1").miniature().train
    >>> model = SimilarityPolynomial(degree=1, noise=False).fit(systems)
    >>> model.closure(0.01, systems[0].regime).deterministic
    True
    """

    def __init__(self, degree: int = 4, noise: bool = True) -> None:
        self.degree, self.noise = degree, noise

    def fit(self, systems: Sequence[Any], y: None = None) -> Self:
        """Fit to a list of `SystemSamples`."""
        _, c, X, U = _similar(systems)
        self._scale = float(np.abs(X).max())
        powers = np.stack([(X / self._scale) ** p for p in range(self.degree + 1)], axis=-1)
        columns = np.concatenate([powers, powers / c[:, None, None]], axis=-1)
        design, target = columns.reshape(-1, columns.shape[-1]), U.ravel()
        self.coef_ = np.linalg.lstsq(design.T @ design, design.T @ target, rcond=None)[0].reshape(2, -1)
        self.noise_ = _noise_laws(U - columns @ self.coef_.ravel(), c)
        return self

    def closure(self, dt: float = 0.01, regime: Regime | None = None) -> Any:
        """Return the closure of a system for a resolved model that steps by `dt` MTU."""
        regime = _told(self, regime)
        mean = Polynomial([ten_digits(float(value)) for value in self.at(regime.h, regime.c)])
        return _with_noise(mean, self.noise_, regime, dt) if self.noise else mean

    def at(self, h: ArrayLike, c: ArrayLike) -> Array:
        """Return the coefficients of U as a polynomial of X, (degree + 1,), or a row of them for each h and c (n,)."""
        check_is_fitted(self)
        h, c = (np.asarray(each, dtype=np.float64)[..., None] for each in (h, c))
        powers = (h / self._scale) ** np.arange(self.degree + 1)
        return np.asarray((self.coef_[0] + self.coef_[1] / c) * powers * h * c)


class SimilarityNetwork(BaseEstimator):
    """A network for U / (h c) given h X at a point and its neighbours, and log c, alone or with red noise.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer.
    radius : int
        Neighbours seen on either side.
    noise : bool
        With the noise of `SimilarityPolynomial`.
    random_state : int or None
        Seed of the network; None draws a new one.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import SimilarityNetwork
    >>> systems = l96bench.make_task("unseen-physics/interpolate-v1").miniature().train
    >>> model = SimilarityNetwork(hidden=(4,), noise=False).fit(systems)
    >>> model.closure(0.01, systems[0].regime).deterministic
    True
    """

    def __init__(
        self, hidden: Sequence[int] = (64, 64), radius: int = 2, noise: bool = True, random_state: int | None = 0
    ) -> None:
        self.hidden, self.radius, self.noise, self.random_state = hidden, radius, noise, random_state

    def fit(self, systems: Sequence[Any], y: None = None) -> Self:
        """Fit to a list of `SystemSamples`."""
        _, c, X, U = _similar(systems)
        self._index = stencil_index(X.shape[2], self.radius)
        stencils = np.take(X, self._index, axis=2)
        column = np.broadcast_to(np.log(c)[:, None], stencils.shape[:3])[..., None]
        rows = np.concatenate([stencils, column], axis=3).reshape(-1, stencils.shape[3] + 1)
        self.estimator_ = TorchRegressor(self.hidden, random_state=self.random_state).fit(rows, U.ravel())
        self.noise_ = _noise_laws(U - self.estimator_.predict(rows).reshape(U.shape), c)
        return self

    def closure(self, dt: float = 0.01, regime: Regime | None = None) -> Any:
        """Return the closure of a system for a resolved model that steps by `dt` MTU."""
        regime, width = _told(self, regime), self._index.shape[1]
        own = copy.copy(self.estimator_)
        coefs = [np.array(each, dtype=np.float64) for each in own.coefs_]
        intercepts = [np.array(each, dtype=np.float64) for each in own.intercepts_]
        intercepts[0] += coefs[0][:, width] * np.log(regime.c)
        coefs[0] = coefs[0][:, :width] * regime.h
        coefs[-1], intercepts[-1] = (each[-1] * regime.h * regime.c for each in (coefs, intercepts))
        own.coefs_, own.intercepts_ = ([each.astype(np.float32) for each in part] for part in (coefs, intercepts))
        own.n_features_in_ = width
        mean = StencilClosure(own, self._index)
        return _with_noise(mean, self.noise_, regime, dt) if self.noise else mean


class OneForAll(BaseEstimator):
    """One blind closure: an estimator fitted to the X and U of all systems, one after the other.

    Parameters
    ----------
    estimator : estimator of U (n, K) from X (n, K) in time order
        A clone of it is fitted.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import OneForAll
    >>> systems = l96bench.make_task("unseen-physics/interpolate-v1").miniature().train
    >>> model = OneForAll(l96bench.PolynomialRegressor(degree=1)).fit(systems)
    >>> l96bench.check_closure(model.closure(0.01))  # nothing is wrong
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, systems: Sequence[Any], y: None = None) -> Self:
        """Fit to a list of `SystemSamples`."""
        X, U = (np.concatenate([getattr(each, name) for each in systems]) for name in "XU")
        self.estimator_ = clone(self.estimator).fit(X, U)
        return self

    def closure(self, dt: float = 0.01) -> Any:
        """Return the estimator's closure."""
        check_is_fitted(self)
        return as_closure(self.estimator_, dt)


class NearestSystem(BaseEstimator):
    """The closure of the training system whose F, h and c are nearest, in standard deviations of the training systems.

    Parameters
    ----------
    estimator : estimator of U (n, K) from X (n, K) in time order
        A clone of it is fitted to each system.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import NearestSystem
    >>> systems = l96bench.make_task("unseen-physics/interpolate-v1").miniature().train
    >>> model = NearestSystem(l96bench.PolynomialRegressor(degree=1)).fit(systems)
    >>> l96bench.check_closure(model.closure(0.01, systems[0].regime))  # nothing is wrong
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, systems: Sequence[Any], y: None = None) -> Self:
        """Fit to a list of `SystemSamples`."""
        self.parameters_ = np.array([_parameters(each.regime) for each in systems])
        self.estimators_ = [clone(self.estimator).fit(each.X, each.U) for each in systems]
        return self

    def closure(self, dt: float = 0.01, regime: Regime | None = None) -> Any:
        """Return the closure of the nearest training system."""
        regime = _told(self, regime)
        spread = self.parameters_.std(axis=0)
        away = (self.parameters_ - _parameters(regime)) / np.where(spread > 0.0, spread, 1.0)
        return as_closure(self.estimators_[int(np.argmin(np.square(away).sum(axis=1)))], dt)


def _parameters(regime: Regime) -> Array:
    return np.array([regime.F, regime.h, regime.c])


def _similar(systems: Sequence[Any]) -> tuple[Array, Array, Array, Array]:
    """Return h and c (system,), and h X and U / (h c), (time, system, K)."""
    h, c = (np.array([getattr(each.regime, name) for each in systems]) for name in "hc")
    X, U = (np.stack([getattr(each, name) for each in systems], axis=1) for name in "XU")
    return h, c, X * h[:, None], U / (h * c)[:, None]


def _told(model: Any, regime: Regime | None) -> Regime:
    """Return the regime that a fitted model is told."""
    check_is_fitted(model)
    if regime is None:
        raise ModelError(f"{type(model).__name__}: expected closure(dt, regime), with the h and c of a system")
    return regime


def _noise_laws(residual: Array, c: Array) -> Array:
    """Return slope and offset in log c of log sigma and of log(-log phi), (2, 2), of residuals (time, system, K)."""
    sigma = residual.std(axis=(0, 2))
    phi = (residual[1:] * residual[:-1]).mean(axis=(0, 2)) / np.square(residual).mean(axis=(0, 2))
    sizes = np.log(sigma), np.log(-np.log(np.clip(phi, 0.01, 0.99)))
    degree = min(1, len(c) - 1)
    return np.array([np.append(np.zeros(1 - degree), np.polyfit(np.log(c), each, degree)) for each in sizes])


def _with_noise(mean: Any, laws: Array, regime: Regime, dt: float) -> AR1Closure:
    """Return a mean with the red noise of a system."""
    size, memory = (ten_digits(float(np.exp(np.polyval(law, np.log(regime.c))))) for law in laws)
    phi, sigma = ten_digits(float(np.exp(-memory))), ten_digits(size * regime.h * regime.c)
    return AR1Closure(mean, phi, sigma, HISTORY_INTERVAL, dt)
