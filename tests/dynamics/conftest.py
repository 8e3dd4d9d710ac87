"""An independent implementation of every regime in plain NumPy, as the equations are written in the papers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.regimes import Regime

State = tuple[NDArray[np.float64], ...]


def coupling(regime: Regime, Y: NDArray[np.float64]) -> NDArray[np.float64]:
    """U (..., K) from Y (..., K, J)."""
    S = -(regime.h * regime.c / regime.b) * Y.sum(axis=-1)
    return np.roll(S, 1, -1) - np.roll(S, -1, -1) if regime.coupling == "flux" else S


def slow_tendency(
    X: NDArray[np.float64], U: NDArray[np.float64], F: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """dX/dt of (..., K), after Lorenz (1996)."""
    return np.roll(X, 1, -1) * (np.roll(X, -1, -1) - np.roll(X, 2, -1)) - X + F + U


def tendency(regime: Regime, state: State) -> State:
    """The time derivatives of (X,), (X, Y) or (X, Y, Z), after Lorenz (1996) and Thornes et al. (2017)."""
    X = state[0]
    if regime.scales == 1:
        return (slow_tendency(X, np.zeros_like(X), regime.F),)
    h, b, c = regime.h, regime.b, regime.c
    Y = state[1]
    y = Y.ravel()
    dy = -c * b * np.roll(y, -1) * (np.roll(y, -2) - np.roll(y, 1)) - c * y + h * c / b * np.repeat(X, regime.J)
    dX = slow_tendency(X, coupling(regime, Y), regime.F)
    if regime.scales == 2:
        return dX, dy.reshape(Y.shape)
    d, e, g = regime.d, regime.e, regime.g
    Z = state[2]
    z = Z.ravel()
    dy -= h * e / d * Z.sum(axis=-1).ravel()
    dz = e * d * np.roll(z, 1) * (np.roll(z, -1) - np.roll(z, 2)) - g * e * z + h * e / d * np.repeat(y, regime.I)
    return dX, dy.reshape(Y.shape), dz.reshape(Z.shape)


def advance(regime: Regime, state: State, n_steps: int, dt: float) -> State:
    """The state after n_steps of classical RK4."""

    def moved(by: float, rates: State) -> State:
        return tuple(part + by * rate for part, rate in zip(state, rates, strict=True))

    for _ in range(n_steps):
        k1 = tendency(regime, state)
        k2 = tendency(regime, moved(dt / 2, k1))
        k3 = tendency(regime, moved(dt / 2, k2))
        k4 = tendency(regime, moved(dt, k3))
        sums = zip(k1, k2, k3, k4, strict=True)
        state = moved(dt / 6, tuple(r1 + 2 * r2 + 2 * r3 + r4 for r1, r2, r3, r4 in sums))
    return state


def resolved_step(
    X: NDArray[np.float64], U: NDArray[np.float64], F: float | NDArray[np.float64], dt: float
) -> NDArray[np.float64]:
    """One RK4 step of the resolved model (..., K), U held through the stages."""
    k1 = slow_tendency(X, U, F)
    k2 = slow_tendency(X + dt / 2 * k1, U, F)
    k3 = slow_tendency(X + dt / 2 * k2, U, F)
    k4 = slow_tendency(X + dt * k3, U, F)
    return X + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


@pytest.fixture(scope="session")
def reference() -> SimpleNamespace:
    """The functions of this file."""
    return SimpleNamespace(
        coupling=coupling, slow_tendency=slow_tendency, tendency=tendency, advance=advance, resolved_step=resolved_step
    )


@pytest.fixture(scope="session")
def settled() -> dict[str, State]:
    """A state of every regime after 5 MTU, by the regime's id; copy it before changing it."""
    from l96bench.dynamics.truth import advance as advance_truth
    from l96bench.dynamics.truth import random_state
    from l96bench.regimes import REGIMES

    states = {}
    for regime in REGIMES:
        state = random_state(regime, [1, 2, 3])
        advance_truth(regime, state, 5000)
        states[regime.id] = state
    return states
