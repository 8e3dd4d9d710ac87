"""First-order autoregressions in time: the noise of the literature's stochastic closures."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import whole_multiple
from l96bench.dynamics.closures import HISTORY_INTERVAL, MODEL_DT, Closure, as_closure, name_of
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.errors import ModelError, NoGraphError

__all__ = ["AR1Closure", "AR1Noise", "Noise", "NoisyClosure", "WhiteNoise", "ar1_noise", "require_model_step"]


class Noise(Protocol):
    """Noise at every point of each member of a run of the resolved model."""

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget all; `n_members` rows are coming, and all randomness comes from `rng`."""

    def step(self, shape: tuple[int, ...]) -> NDArray:
        """Return the noise of this step, of shape (member, K)."""

    def graph(self, builder: GraphBuilder, K: int) -> str:
        """Add the noise (n, K), float64, with the same bits; see `Closure`."""


class AR1Noise:
    """A stationary AR(1) with std `sigma` and autocorrelation `phi` over `interval`, for each member and point."""

    def __init__(self, phi: float, interval: float, dt: float, sigma: float = 1.0) -> None:
        if not 0 <= phi < 1:
            raise ValueError(f"phi must be at least 0 and below 1 to be stationary and rescalable; got {phi}.")
        if not 0 <= sigma < math.inf:
            raise ValueError(f"sigma must be a finite standard deviation; got {sigma}.")
        if not (interval > 0 and dt > 0):
            raise ValueError(f"interval and dt are positive times in MTU; got {interval} and {dt}.")
        self.phi_dt, self.dt = phi ** (dt / interval), dt
        self._sigma, self._innovation = sigma, math.sqrt(1 - self.phi_dt**2)
        self._n_members: int | None = None

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget all; before the next step the noise has its stationary distribution."""
        self._n_members, self._rng = n_members, rng
        self._unit: NDArray | None = None

    def step(self, shape: tuple[int, ...]) -> NDArray:
        """Return the noise of this step, of shape (member, K)."""
        _require_members(shape, self._n_members)
        before = self._rng.standard_normal(shape) if self._unit is None else self._unit
        self._unit = self.phi_dt * before + self._innovation * self._rng.standard_normal(shape)
        return self._sigma * self._unit

    def graph(self, builder: GraphBuilder, K: int) -> str:
        """Add the noise (n, K), float64, with the same bits; see `Closure`."""
        require_model_step(self.dt)
        before = builder.state(K, np.float64, "normal", MODEL_DT, past=False)
        unit = _sum(builder, (self.phi_dt, before), (self._innovation, builder.noise(K, np.float64, MODEL_DT)))
        builder.keep(before, unit)
        return builder.node("Mul", builder.constant(self._sigma, np.float64), unit)


class WhiteNoise:
    """Noise of variance 1 that is independent over 0.05 MTU, the interval of the data, and smooth in between.

    It is the sum of the draws of the last 0.05 MTU, divided by the square root of their number.
    """

    def __init__(self, dt: float) -> None:
        self.dt, self._n_draws = dt, whole_multiple(HISTORY_INTERVAL, dt, "the noise's interval", "the model step dt")
        self._n_members: int | None = None

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget all draws."""
        self._n_members, self._rng, self._steps = n_members, rng, 0

    def step(self, shape: tuple[int, ...]) -> NDArray:
        """Return the noise of this step, of shape (member, K)."""
        _require_members(shape, self._n_members)
        if self._steps == 0:
            self._draws = self._rng.standard_normal((self._n_draws, *shape))
        else:
            self._draws[self._steps % self._n_draws] = self._rng.standard_normal(shape)
        self._steps += 1
        return np.asarray(self._draws.sum(axis=0) / math.sqrt(self._n_draws))

    def graph(self, builder: GraphBuilder, K: int) -> str:
        """Add the noise (n, K), float64, with the same bits; see `Closure`."""
        require_model_step(self.dt)
        return builder.noise(K, np.float64)


class NoisyClosure:
    """The base of closures with noise beside deterministic parts, such as a mean.

    After a step, `last_mean` is the mean of its U (member, K) given X and the state.
    """

    deterministic = False
    last_mean: NDArray | None = None

    def __init__(self, noise: Noise, *parts: Closure) -> None:
        self.noise, self._parts = noise, parts
        if any(hasattr(part, "remember") for part in parts):
            self.remember = self._remember

    @property
    def graph_is_exact(self) -> bool:
        """Whether the closure and its graph give the same bits."""
        return all(getattr(part, "graph_is_exact", False) for part in self._parts)

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Start the parts, and the noise anew from its stationary distribution."""
        for part in self._parts:
            part.start(n_members, rng)
        self.noise.start(n_members, rng)

    def _remember(self, history: NDArray) -> None:
        for part in self._parts:
            if hasattr(part, "remember"):
                part.remember(history)


def require_model_step(dt: float) -> None:
    """Raise `NoGraphError` unless dt is the step of the resolved model, for which graphs are written."""
    if dt != MODEL_DT:
        raise NoGraphError(f"expected a closure for the resolved model's step of {MODEL_DT} MTU, got one for {dt}")


def _require_members(shape: tuple[int, ...], n_members: int | None) -> None:
    if shape[0] != n_members:
        raise ModelError(f"The noise was started for {n_members} members; X has {shape[0]} rows.")


def _sum(builder: GraphBuilder, *terms: tuple[float, str]) -> str:
    """Add ``a x + b y`` in float64."""
    first, second = (builder.node("Mul", builder.constant(factor, np.float64), x) for factor, x in terms)
    return builder.node("Add", first, second)


class AR1Closure(NoisyClosure):
    """A deterministic closure plus a residual that is a first-order autoregression in time, U = mean(X) + e.

    Parameters
    ----------
    mean : model
        Whatever `as_closure` accepts, deterministic.
    phi, sigma : float
        Autocorrelation of e over `interval`, 0 <= phi < 1, and its stationary standard deviation (not of its
        innovations).
    interval, dt : float
        Time over which `phi` was measured, and step of the resolved model, in MTU.

    References
    ----------
    Wilks (2005), Q. J. R. Meteorol. Soc. 131, 389-407; Arnold, Moroz and Palmer (2013), Phil. Trans. R. Soc. A
    371, 20110479, "additive AR(1)".

    Examples
    --------
    >>> import l96bench
    >>> mean = l96bench.PUBLISHED["wilks2005_f20"].polynomial
    >>> noisy = l96bench.AR1Closure(mean, phi=0.9, sigma=1.5, interval=0.05)
    >>> truth = l96bench.simulate("wilks-f20", 1.0, spin_up=5.0)
    >>> members = [truth.X[0]] * 10
    >>> l96bench.rollout(noisy, members, 1.0, regime="wilks-f20").X.shape
    (20, 10, 8)
    """

    def __init__(self, mean: Any, phi: float, sigma: float, interval: float, dt: float = 0.01) -> None:
        noise = AR1Noise(phi, interval, dt, sigma)
        self.mean = as_closure(mean, dt)
        super().__init__(noise, self.mean)
        if not self.mean.deterministic:
            raise ValueError(f"the mean of an AR1Closure must be deterministic; {name_of(mean)} is not.")
        self.phi, self.sigma, self.interval, self.dt = float(phi), float(sigma), float(interval), float(dt)
        self.phi_dt = noise.phi_dt

    def step(self, X: NDArray) -> NDArray:
        """Return the mean's U (member, K) plus the residual of this step."""
        self.last_mean = np.asarray(self.mean.step(X), dtype=np.float64)
        return self.last_mean + self.noise.step(X.shape)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the mean's graph and the residual; see `Closure`."""
        mean = builder.closure(x, self.mean, K)
        builder.mean(mean)
        return builder.node("Add", mean, self.noise.graph(builder, K))

    def predict(self, X: NDArray) -> Any:
        """Return the mean alone: U (n, K) for the states X (n, K)."""
        if not callable(getattr(self.mean, "predict", None)):
            raise ModelError(f"{name_of(self.mean)} depends on more than the present X; it has no predict(X).")
        return self.mean.predict(X)  # type: ignore[attr-defined]

    def sample(self, X: NDArray, n_members: int, rng: np.random.Generator, interval: float = 0.05) -> NDArray:
        """Return draws of U (member, n, K) along a trajectory X (n, K) whose states are `interval` MTU apart."""
        phi = self.phi ** (interval / self.interval)
        return self.predict(X) + np.moveaxis(ar1_noise((len(X), n_members, X.shape[1]), phi, self.sigma, rng), 1, 0)

    def __repr__(self) -> str:
        return f"AR1Closure({self.mean!r}, phi={self.phi}, sigma={self.sigma}, interval={self.interval}, dt={self.dt})"


def ar1_noise(shape: tuple[int, ...], phi: float, sigma: float, rng: np.random.Generator) -> NDArray:
    """Return stationary first-order autoregressions of the given shape, time first: correlation `phi`, std `sigma`."""
    noise = sigma * rng.standard_normal(shape)
    innovation = math.sqrt(1 - phi**2)
    for i in range(1, len(noise)):
        noise[i] = phi * noise[i - 1] + innovation * noise[i]
    return noise
