"""Lorenz-96 with a free coefficient for every term: the truths whose equations are to be recovered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics import generalized_kernels as kernels
from l96bench.dynamics.truth import SPIN_UP, TRUTH_DT, require_reach
from l96bench.errors import L96BenchError
from l96bench.regimes import Regime

__all__ = ["Coefficients", "advance", "lyapunov_exponent", "random_state", "record"]

_TANGENT_DT = 0.01
"""Time step of the tangent-linear runs, in MTU: that of the resolved model."""
_TANGENT_EVERY = 5
"""Steps between two rescalings of the tangent vector."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Coefficients of the terms of a Lorenz-96 system, one or two-scale, on periodic rings.

    m = k J + j runs over the K J variables of the fast ring; damping is per MTU::

        dX_k/dt = a1 X_{k-1} X_{k+1} - a2 X_{k-1} X_{k-2} - d X_k + F - hx sum_j Y_{j,k}
        dY_m/dt = -p1 Y_{m+1} Y_{m+2} + p2 Y_{m+1} Y_{m-1} - c Y_m + hy X_{m // J}

    Lorenz (1996) has a1 = a2 = d = 1, p1 = p2 = c b and hx = hy = h c / b; advection conserves energy if a1 = a2, p1 =
    p2.
    """

    a1: float
    a2: float
    d: float
    F: float
    hx: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    c: float = 0.0
    hy: float = 0.0

    @classmethod
    def of(cls, regime: Regime) -> Coefficients:
        """Return the coefficients of a regime with one or two scales and local coupling, else raise L96BenchError."""
        if regime.scales > 2 or regime.coupling != "local":
            raise L96BenchError(f"expected a regime with one or two scales and local coupling, got {regime.id!r}")
        if not regime.J:
            return cls(1.0, 1.0, 1.0, float(regime.F))
        hcb, cb = float(regime.h * regime.c / regime.b), float(regime.c * regime.b)
        return cls(1.0, 1.0, 1.0, float(regime.F), hcb, cb, cb, float(regime.c), hcb)


def random_state(coefficients: Coefficients, K: int, J: int, words: Sequence[int]) -> tuple[Array, Array]:
    """Return initial values from uniform bits alone: X (K,) in [0, F), Y (K, J) in [-0.05, 0.05)."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(word) for word in words])))
    return rng.random(K) * coefficients.F, (rng.random((K, J)) - 0.5) / 10.0


def advance(coefficients: Coefficients, X: Array, Y: Array, n_steps: int, dt: float = TRUTH_DT) -> None:
    """Advance X (K,) and Y (K, J), with J = 0 for a single scale, in place by so many RK4 steps."""
    require_reach()
    kernels.advance(X, Y, *astuple(coefficients), dt, n_steps)


def record(
    coefficients: Coefficients,
    X: Array,
    Y: Array,
    n_samples: int,
    every: int,
    dt: float = TRUTH_DT,
    store_fast: bool = True,
) -> tuple[Array, Array, Array]:
    """Return X (n, K), U (n, K) and Y (n, K, J) every `every` RK4 steps; the given state is advanced in place."""
    K, J = Y.shape
    xs, us, ys = np.empty((n_samples, K)), np.empty((n_samples, K)), np.empty((n_samples * store_fast, K, J))
    require_reach()
    kernels.record(X, Y, *astuple(coefficients), dt, every, xs, us, ys)
    return xs, us, ys


def lyapunov_exponent(
    coefficients: Coefficients, K: int, duration: float = 3000.0, words: Sequence[int] = (0,)
) -> float:
    """Return the largest Lyapunov exponent of a single-scale system per MTU (Benettin et al. 1980, Meccanica 15, 9)."""
    if any(astuple(coefficients)[4:]):
        raise L96BenchError("expected a single-scale system: with fast variables, the exponent is the fast scale's")
    x, _ = random_state(coefficients, K, 0, words)
    v = np.ones(K) / np.arange(1.0, K + 1.0)
    slow = astuple(coefficients)[:4]
    kernels.growth(x, v, *slow, _TANGENT_DT, round(SPIN_UP / _TANGENT_DT), _TANGENT_EVERY)
    total = kernels.growth(x, v, *slow, _TANGENT_DT, round(duration / _TANGENT_DT), _TANGENT_EVERY)
    return float(total / duration)
