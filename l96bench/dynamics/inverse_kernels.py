"""The inverse of the resolved model: the tendency that, held through a step, takes a state to a given one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.resolved_kernels import block_step
from l96bench.jit import kernel

__all__ = ["solve_forcing"]

Array = NDArray[np.float64]


@kernel
def _linear_slope(x: Array, v: Array, out: Array) -> None:
    """Compute the derivative of the resolved tendency at x in the direction v, all of shape (K,)."""
    K = x.shape[0]
    for k in range(K):
        up, down, far = (k + 1) % K, (k - 1) % K, (k - 2) % K
        out[k] = v[down] * (x[up] - x[far]) + x[down] * (v[up] - v[far]) - v[k]


@kernel
def solve_forcing(
    X: Array, target: Array, dt: float, tolerance: float, max_iterations: int, forcing: Array
) -> NDArray[np.int64]:
    """Fill `forcing` with F + U (member, K) that take X to `target` in one RK4 step; return iterations (member,).

    Newton's method with the step's inverse derivative approximated by (1 - dt/2 J) / dt, J the Jacobian of the
    tendency.
    """
    n, K = X.shape
    ring, work, zero = np.empty(K + 3), np.empty(K + 3), np.zeros(K)
    slope, total, missing, correction = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    used = np.full(n, max_iterations)
    for i in range(n):
        forcing[i] = 0.0
        for iteration in range(max_iterations + 1):
            ring[2 : K + 2] = X[i]
            block_step(ring, work, slope, total, forcing[i], zero, 1, dt)
            largest = 0.0
            for k in range(K):
                missing[k] = target[i, k] - ring[k + 2]
                if not abs(missing[k]) <= largest:  # also when it is no number
                    largest = abs(missing[k])
            arrived = largest <= tolerance
            if not arrived and (iteration == max_iterations or not largest < np.inf):
                break
            _linear_slope(X[i], missing, correction)
            for k in range(K):
                forcing[i, k] += missing[k] / dt - 0.5 * correction[k]
            if arrived:  # and one correction better
                used[i] = iteration
                break
    return used
