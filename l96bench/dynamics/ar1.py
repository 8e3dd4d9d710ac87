"""First-order autoregressions in time: the noise of the literature's stochastic closures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import as_closure, name_of
from l96bench.errors import ModelError

__all__ = ["AR1Closure", "ar1_noise"]


class AR1Closure:
    """A deterministic closure plus a residual that is a first-order autoregression in time.

    U = mean(X) + e;  e' = phi_dt e + sigma sqrt(1 - phi_dt^2) z, z standard normal, independent for each member and
    point, started from its stationary distribution. phi is rescaled to the model step, phi_dt = phi ** (dt /
    interval), so that the residual forgets at the same rate for every dt.

    Parameters
    ----------
    mean : model
        Whatever `as_closure` accepts, deterministic.
    phi : float
        Autocorrelation of the residual over `interval`, 0 <= phi < 1.
    sigma : float
        Stationary standard deviation of the residual (not of its innovations).
    interval : float
        Time in MTU over which `phi` was measured.
    dt : float
        Step of the resolved model in MTU.

    References
    ----------
    Wilks (2005), Q. J. R. Meteorol. Soc. 131, 389-407; Arnold, Moroz and Palmer (2013), Phil. Trans. R. Soc. A 371,
    20110479, "additive AR(1)".
    """

    deterministic = False

    def __init__(self, mean: Any, phi: float, sigma: float, interval: float, dt: float = 0.01) -> None:
        if not 0 <= phi < 1:
            raise ValueError(f"phi must be at least 0 and below 1 to be stationary and rescalable; got {phi}.")
        if not 0 <= sigma < math.inf:
            raise ValueError(f"sigma must be a finite standard deviation; got {sigma}.")
        if not (interval > 0 and dt > 0):
            raise ValueError(f"interval and dt are positive times in MTU; got {interval} and {dt}.")
        self.mean = as_closure(mean, dt)
        if not self.mean.deterministic:
            raise ValueError(f"the mean of an AR1Closure must be deterministic; {name_of(mean)} is not.")
        self.phi, self.sigma, self.interval, self.dt = float(phi), float(sigma), float(interval), float(dt)
        self.phi_dt = self.phi ** (self.dt / self.interval)
        self._innovation = self.sigma * math.sqrt(1 - self.phi_dt**2)
        self._n_members: int | None = None
        self._rng = np.random.default_rng(0)
        self._residual: NDArray | None = None

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget the residual; the next step draws a new one from its stationary distribution."""
        self.mean.start(n_members, rng)
        self._n_members, self._rng, self._residual = n_members, rng, None

    def remember(self, history: NDArray) -> None:
        """Pass the past states (past, member, K) on to a mean that has a memory."""
        if hasattr(self.mean, "remember"):
            self.mean.remember(history)

    def step(self, X: NDArray) -> NDArray:
        """The mean's U (member, K) plus the residual of this step."""
        if len(X) != self._n_members:
            raise ModelError(f"AR1Closure was started for {self._n_members} members; X has {len(X)} rows.")
        noise = self._rng.standard_normal(X.shape)
        if self._residual is None:
            self._residual = self.sigma * noise
        else:
            self._residual = self.phi_dt * self._residual + self._innovation * noise
        return self.mean.step(X) + self._residual

    def predict(self, X: NDArray) -> Any:
        """The mean alone: U (n, K) for the states X (n, K)."""
        if not callable(getattr(self.mean, "predict", None)):
            raise ModelError(f"{name_of(self.mean)} depends on more than the present X; it has no predict(X).")
        return self.mean.predict(X)  # type: ignore[attr-defined]

    def sample(self, X: NDArray, n_members: int, rng: np.random.Generator, interval: float = 0.05) -> NDArray:
        """Draws of U (member, n, K) along a trajectory X (n, K) whose states are `interval` MTU apart."""
        phi = self.phi ** (interval / self.interval)
        return self.predict(X) + np.moveaxis(ar1_noise((len(X), n_members, X.shape[1]), phi, self.sigma, rng), 1, 0)

    def __repr__(self) -> str:
        return f"AR1Closure({self.mean!r}, phi={self.phi}, sigma={self.sigma}, interval={self.interval}, dt={self.dt})"


def ar1_noise(shape: tuple[int, ...], phi: float, sigma: float, rng: np.random.Generator) -> NDArray:
    """Stationary first-order autoregressions of the given shape, time first: correlation `phi`, std `sigma`."""
    noise = sigma * rng.standard_normal(shape)
    innovation = math.sqrt(1 - phi**2)
    for i in range(1, len(noise)):
        noise[i] = phi * noise[i - 1] + innovation * noise[i]
    return noise
