"""Ensembles in one call: resolved models with a polynomial each, and two-scale models."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from l96bench.dynamics import kernels

_jit = njit(cache=True, nogil=True, error_model="numpy")


@_jit
def advance_polynomials(
    X: NDArray,
    coefficients: NDArray,
    F: NDArray,
    dt: float,
    n_steps: int,
    low: NDArray,
    high: NDArray,
    rest: NDArray,
    left: NDArray,
) -> None:
    """As `kernels.advance_polynomial`, row i of X (member, K) under coefficients[i] of (member, degree + 1)."""
    for i in range(X.shape[0]):
        one = slice(i, i + 1)
        kernels.advance_polynomial(
            X[one], coefficients[i], F[one], dt, n_steps, low[one], high[one], rest[one], left[one], 0
        )


@_jit
def advance_two_scale(
    states: NDArray,
    K: int,
    J: int,
    F: float,
    hcb: float,
    cb: float,
    c: float,
    flux: bool,
    dt: float,
    n_steps: int,
) -> None:
    """As `kernels.advance_two_scale`, freely, for every row of `states` (member, K + K J), which holds X and then Y."""
    no_stages = np.empty((0, 4, K))
    for i in range(states.shape[0]):
        x, y = states[i, :K], states[i, K:].reshape(K, J)
        kernels.advance_two_scale(x, y, F, hcb, cb, c, flux, dt, n_steps, kernels.FREE, no_stages)
