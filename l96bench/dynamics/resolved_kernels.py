"""Numba kernels of the resolved model by classical RK4, bit for bit the same for any batch and CPU (see `kernels`)."""

from __future__ import annotations

import numpy as np

from l96bench.dynamics.kernels import copy_vector
from l96bench.jit import inline_kernel, kernel

LANES = 16
"""Members of the resolved model that are stepped side by side: their work space stays in the fastest cache."""


@inline_kernel
def _slopes(a, p, v, q, F, U, out):
    """Compute dX/dt of rings side by side as slices (see `block_step`): v_k' = p_k (q_k - a_k) - v_k + F + U_k."""
    for m in range(out.shape[0]):
        out[m] = p[m] * (q[m] - a[m]) - v[m] + F[m] + U[m]


@inline_kernel
def _pad(rings, lanes):
    """Fill the padding of rings side by side: two points before the first, and one behind the last."""
    n = rings.shape[0] - 3 * lanes
    for m in range(lanes):
        rings[m] = rings[n + m]
        rings[lanes + m] = rings[n + lanes + m]
        rings[n + 2 * lanes + m] = rings[2 * lanes + m]


@kernel
def block_step(x, y, k, total, F, U, lanes, dt):
    """Make one RK4 step of several members of the resolved model side by side, U held through the stages.

    In x ((K + 3) lanes,) point j of member m lies at (j + 2) lanes + m, so that LLVM vectorizes over members, or over
    points of one member. y is work space like x; k, total, F and U (K lanes,) lie like its inside.
    """
    n = k.shape[0]
    half, sixth = 0.5 * dt, dt / 6.0
    x0, y0 = x[2 * lanes : 2 * lanes + n], y[2 * lanes : 2 * lanes + n]
    ya, yp, yq = y[:n], y[lanes : lanes + n], y[3 * lanes : 3 * lanes + n]
    _pad(x, lanes)
    _slopes(x[:n], x[lanes : lanes + n], x0, x[3 * lanes : 3 * lanes + n], F, U, k)
    for m in range(n):
        total[m] = k[m]
        y0[m] = x0[m] + half * k[m]
    for stage in range(2):
        step = half if stage == 0 else dt
        _pad(y, lanes)
        _slopes(ya, yp, y0, yq, F, U, k)
        for m in range(n):
            total[m] += 2.0 * k[m]
            y0[m] = x0[m] + step * k[m]
    _pad(y, lanes)
    _slopes(ya, yp, y0, yq, F, U, k)
    for m in range(n):
        x0[m] += sixth * (total[m] + k[m])


@kernel
def _gather(left, start, members):
    """Fill `members` with those that are still inside, from `start` on: how many there are, and where to go on."""
    lanes = 0
    while start < left.shape[0] and lanes < members.shape[0]:
        if left[start] < 0:
            members[lanes] = start
            lanes += 1
        start += 1
    return lanes, start


@kernel
def _lay_out(X, F, members, lanes, x, f):
    """Lay members of X (member, K) side by side in x, and their forcing beside them."""
    K = X.shape[1]
    for m in range(lanes):
        i = members[m]
        for j in range(K):
            x[(j + 2) * lanes + m] = X[i, j]
            f[j * lanes + m] = F[i]


@kernel
def _leave(x, members, lanes, K, low, high, rest, left, now):
    """Retire the members that have a point outside [low, high] or not a number; those that left before stay at rest."""
    for m in range(lanes):
        i = members[m]
        if left[i] < 0:
            for j in range(K):
                if not low[i] <= x[(j + 2) * lanes + m] <= high[i]:
                    left[i] = now
        if left[i] >= 0:
            for j in range(K):
                x[(j + 2) * lanes + m] = rest[i]


@kernel
def advance_resolved(X, U, F, dt, low, high, rest, left, now):
    """Step the members inside [low, high]; one that leaves or is not finite gets left = now and stays at `rest`."""
    n, K = X.shape
    members = np.empty(min(LANES, n), np.int64)
    work = np.empty((6, (K + 3) * members.shape[0]))
    lanes, next_member = _gather(left, 0, members)
    while lanes > 0:
        size = K * lanes
        x, y, f, u = work[0, : size + 3 * lanes], work[1, : size + 3 * lanes], work[2, :size], work[3, :size]
        _lay_out(X, F, members, lanes, x, f)
        for m in range(lanes):
            for j in range(K):
                u[j * lanes + m] = U[members[m], j]
        block_step(x, y, work[4, :size], work[5, :size], f, u, lanes, dt)
        _leave(x, members, lanes, K, low, high, rest, left, now)
        _lay_back(x, members, lanes, X)
        lanes, next_member = _gather(left, next_member, members)


@kernel
def _lay_back(x, members, lanes, X):
    """Store members that lie side by side in X (member, K)."""
    for m in range(lanes):
        for j in range(X.shape[1]):
            X[members[m], j] = x[(j + 2) * lanes + m]


@kernel
def advance_polynomial(X, coefficients, F, dt, n_steps, low, high, rest, left, now):
    """Step n_steps times as `advance_resolved`, under polynomials with coefficients (member or 1, degree + 1)."""
    n, K = X.shape
    shared, n_coefficients = coefficients.shape[0] == 1, coefficients.shape[1]
    members = np.empty(min(LANES, n), np.int64)
    work = np.empty((6 + n_coefficients, (K + 3) * members.shape[0]))
    lanes, next_member = _gather(left, 0, members)
    while lanes > 0:
        size = K * lanes
        x, y, f, u = work[0, : size + 3 * lanes], work[1, : size + 3 * lanes], work[2, :size], work[3, :size]
        x0, c = x[2 * lanes : 2 * lanes + size], work[6:, :size]
        _lay_out(X, F, members, lanes, x, f)
        for d in range(n_coefficients):
            for j in range(K):
                for m in range(lanes):
                    c[d, j * lanes + m] = coefficients[0 if shared else members[m], d]
        for step in range(n_steps):
            copy_vector(u, c[n_coefficients - 1])
            for d in range(n_coefficients - 2, -1, -1):
                cd = c[d]
                for m in range(size):
                    u[m] = u[m] * x0[m] + cd[m]
            block_step(x, y, work[4, :size], work[5, :size], f, u, lanes, dt)
            _leave(x, members, lanes, K, low, high, rest, left, now + step)
        _lay_back(x, members, lanes, X)
        lanes, next_member = _gather(left, next_member, members)


@kernel
def record_single_scale(x, F, dt, every, X):
    """Store the single-scale state in X (n, K), `every` RK4 steps apart; x is advanced past the last sample."""
    K = x.shape[0]
    ring, work, zero, forcing = np.empty(K + 3), np.empty(K + 3), np.zeros(K), np.full(K, F)
    k, total, inside = np.empty(K), np.empty(K), ring[2 : K + 2]
    copy_vector(inside, x)
    for i in range(X.shape[0]):
        copy_vector(X[i], inside)
        for _ in range(every):
            block_step(ring, work, k, total, forcing, zero, 1, dt)
    copy_vector(x, inside)
