"""A closure whose noise has a size that a network predicts from the state."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from l96bench.dynamics.ar1 import Noise, NoisyClosure, ar1_noise
from l96bench.dynamics.closures import Closure, as_closure
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.polynomial import ten_digits
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.regressors import LocalRegressor
from l96bench.estimators.ring import RingRegressor, lag_one_correlation
from l96bench.estimators.stochastic import unit_noise

__all__ = ["HeteroscedasticClosure", "HeteroscedasticRegressor"]


class HeteroscedasticRegressor(RingRegressor):
    """A network for the mean of U plus red noise whose size a second network predicts.

    The closure is::

        U = m(X) + s(X) e,        e an AR(1) of variance 1,        s(X) = c exp E[log |U - m(X)|]

    The second network is fitted to the log of the residual's size; c scales the training residual over s(X) to variance
    1.

    Parameters
    ----------
    estimator : regressor of X (n, K) -> U (n, K), default LocalRegressor(TorchRegressor())
        Of the mean m.
    noise_estimator : regressor of X (n, K) -> log size (n, K), default that of the mean
        Of the logarithm of the residual's size.
    interval : float
        Time in MTU between the rows of X, which are successive states of a trajectory.

    Attributes
    ----------
    estimators_ : list of the fitted clones, for the mean and for the log size
    scale_, phi_ : float
        c, and the autocorrelation of e over `interval`, pooled over points; 0 if it came out negative.

    References
    ----------
    Harvey (1976), Econometrica 44, 461-465, for the regression of log sizes; Arnold, Moroz and Palmer (2013),
    Phil. Trans. R. Soc. A 371, 20110479, for state-dependent red noise as a closure.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import HeteroscedasticRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = HeteroscedasticRegressor(l96bench.PolynomialRegressor(degree=1)).fit(run.X, run.U)
    >>> model.scale_ > 0.0, 0.0 <= model.phi_ < 1.0
    (True, True)
    """

    def __init__(self, estimator: Any = None, noise_estimator: Any = None, interval: float = 0.05) -> None:
        self.estimator, self.noise_estimator, self.interval = estimator, noise_estimator, interval

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) in time order and y, which is U (n, K) or the U of point 0 alone."""
        X, U = self._checked_training(X, y)
        mean = LocalRegressor(TorchRegressor()) if self.estimator is None else self.estimator
        fitted, predicted = self._fitted_mean(mean, X, U)
        residual = U - predicted
        least = 1e-3 * float(residual.std()) + np.finfo(np.float64).tiny
        sizes = np.log(np.maximum(np.abs(residual), least))
        noise = clone(mean if self.noise_estimator is None else self.noise_estimator).fit(X, self._like_y(sizes))
        self.estimators_ = [fitted, noise]
        e = residual / np.exp(np.asarray(noise.predict(X)).reshape(U.shape))
        self.scale_ = ten_digits(float(e.std()))
        self.phi_ = lag_one_correlation(e[:-1], e[1:])
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the mean of U (n, K) for the states X (n, K), or that of point 0 if fitted to it alone."""
        return np.asarray(self.estimators_[0].predict(self._checked_states(X)), dtype=np.float64)

    def std(self, X: ArrayLike) -> NDArray:
        """Return the standard deviation s(X) of U about `predict`, in its shape."""
        return self.scale_ * np.exp(np.asarray(self.estimators_[1].predict(self._checked_states(X)), dtype=np.float64))

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Draw U (member, n, K) along a trajectory X (n, K) in time order."""
        mean, std = self.predict(X), self.std(X)
        noise = ar1_noise((len(mean), n_members, *mean.shape[1:]), self.phi_, 1.0, rng)
        return mean + std * np.moveaxis(noise, 1, 0)

    def closure(self, dt: float = 0.01) -> HeteroscedasticClosure:
        """Return the stochastic closure for a resolved model with the step `dt` (MTU)."""
        check_is_fitted(self)
        mean, log_size = as_closure(self.estimators_[0], dt), as_closure(self.estimators_[1], dt)
        return HeteroscedasticClosure(mean, log_size, self.scale_, unit_noise(self.phi_, self.interval, dt))


class HeteroscedasticClosure(NoisyClosure):
    """The closure U = mean(X) + scale exp(log_size(X)) e with red noise e of variance 1.

    Parameters
    ----------
    mean, log_size : Closure
        Deterministic.
    scale : float
        Factor on the size.
    noise : Noise
        Red or white, of variance 1.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import HeteroscedasticRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> closure = HeteroscedasticRegressor(l96bench.PolynomialRegressor(degree=1)).fit(run.X, run.U).closure(0.01)
    >>> type(closure).__name__, closure.deterministic
    ('HeteroscedasticClosure', False)
    """

    def __init__(self, mean: Closure, log_size: Closure, scale: float, noise: Noise) -> None:
        super().__init__(noise, mean, log_size)
        self.mean, self.log_size, self.scale = mean, log_size, scale

    def step(self, X: NDArray) -> NDArray:
        """Return U (member, K) for the states X (member, K)."""
        self.last_mean = np.asarray(self.mean.step(X), dtype=np.float64)
        return self.last_mean + self.scale * np.exp(self.log_size.step(X)) * self.noise.step(X.shape)

    @property
    def graph_is_exact(self) -> bool:
        """False: the exponential of the graph rounds differently."""
        return False

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the mean's graph and the noise times its size; see `Closure`."""
        mean = builder.closure(x, self.mean, K)
        builder.mean(mean)
        size = builder.node("Exp", builder.closure(x, self.log_size, K))
        size = builder.node("Mul", builder.constant(self.scale, np.float64), size)
        return builder.node("Add", mean, builder.node("Mul", size, self.noise.graph(builder, K)))
