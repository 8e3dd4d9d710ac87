"""First-order autoregressions in time: the noise of the literature's stochastic closures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import Closure, as_closure, name_of
from l96bench.errors import ModelError

__all__ = ["AR1Closure", "AR1Noise", "NoisyClosure", "ar1_noise"]


class AR1Noise:
    """A stationary AR(1) with std `sigma` and autocorrelation `phi` over `interval`, for each member and point."""

    def __init__(self, phi: float, interval: float, dt: float, sigma: float = 1.0, every: int = 1) -> None:
        if not 0 <= phi < 1:
            raise ValueError(f"phi must be at least 0 and below 1 to be stationary and rescalable; got {phi}.")
        if not 0 <= sigma < math.inf:
            raise ValueError(f"sigma must be a finite standard deviation; got {sigma}.")
        if not (interval > 0 and dt > 0):
            raise ValueError(f"interval and dt are positive times in MTU; got {interval} and {dt}.")
        self.phi_dt = phi ** (dt / interval)
        self._sigma, self._innovation, self._every = sigma, sigma * math.sqrt(1 - self.phi_dt**2), every
        self._n_members: int | None = None
        self._steps = 0

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget all; the next step draws from the stationary distribution."""
        self._n_members, self._rng, self._steps = n_members, rng, 0

    def step(self, shape: tuple[int, ...]) -> NDArray:
        """Return the noise of this step, of shape (member, K)."""
        if shape[0] != self._n_members:
            raise ModelError(f"The noise was started for {self._n_members} members; X has {shape[0]} rows.")
        if self._steps == 0:
            self._noise: NDArray = self._sigma * self._rng.standard_normal(shape)
        elif self._steps % self._every == 0:
            self._noise = self.phi_dt * self._noise + self._innovation * self._rng.standard_normal(shape)
        self._steps += 1
        return self._noise


class NoisyClosure:
    """The base of closures with noise beside deterministic parts, such as a mean."""

    deterministic = False

    def __init__(self, noise: AR1Noise, *parts: Closure) -> None:
        self.noise, self._parts = noise, parts

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Start the parts, and the noise anew from its stationary distribution."""
        for part in self._parts:
            part.start(n_members, rng)
        self.noise.start(n_members, rng)

    def remember(self, history: NDArray) -> None:
        """Pass past states (past, member, K) to the parts that have a memory."""
        for part in self._parts:
            if hasattr(part, "remember"):
                part.remember(history)


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

    Sources: Wilks (2005), Q. J. R. Meteorol. Soc. 131, 389-407; Arnold, Moroz and Palmer (2013), Phil. Trans. R. Soc. A
    371, 20110479, "additive AR(1)".
    """

    def __init__(self, mean: Any, phi: float, sigma: float, interval: float, dt: float = 0.01) -> None:
        noise = AR1Noise(phi, interval, dt, sigma)
        self.mean = as_closure(mean, dt)
        super().__init__(noise, self.mean)
        if not self.mean.deterministic:
            raise ValueError(f"the mean of an AR1Closure must be deterministic; {name_of(mean)} is not.")
        self.phi, self.sigma, self.interval, self.dt = float(phi), float(sigma), float(interval), float(dt)
        self.phi_dt = self.noise.phi_dt

    def step(self, X: NDArray) -> NDArray:
        """Return the mean's U (member, K) plus the residual of this step."""
        return self.mean.step(X) + self.noise.step(X.shape)

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
