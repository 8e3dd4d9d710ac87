"""The truth's equations as Numba kernels: classical RK4 in strict IEEE arithmetic.

Bits are a promise here, so every operation and its order is spelled out: no ``fastmath`` (and therefore no fused
multiply-add), sums in a fixed order, no libm function. The rings of all three scales obey one equation,

    dv_m/dt = -adv v_{m+1} (v_{m+2} - v_{m-1}) - damp v_m + forcing_m,

Y as it stands, X and Z read backwards (X with adv = damp = 1). For the fast rings it is written once, as the stages of
RK4. A fast ring lies in a buffer with two cells of padding at each end, and its neighbours are slices of that buffer at
fixed offsets: that is what lets LLVM vectorize the loops, element by element, without changing a bit.

The states s1, s2, s3 at the stages of RK4 hold the slopes, so that these need not be kept:
z + dt/6 (k1 + 2 k2 + 2 k3 + k4) = (s1 + 2 s2 + s3 - z) / 3 + dt/6 k4, which saves a quarter of the memory traffic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l96bench.jit import inline_kernel, kernel

FREE, RECORD, DRIVEN = 0, 1, 2
"""What `advance_*` does with `stages`: nothing; store X at every Runge-Kutta stage; take X from there."""


@inline_kernel
def copy_vector(target, source):
    """Copy a vector; NumPy's assignment to a slice takes seconds to compile, for the sake of its error's text."""
    for i in range(source.shape[0]):
        target[i] = source[i]


@inline_kernel
def copy_rows(target, source):
    """Copy a matrix, as `copy_vector`."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@inline_kernel
def row_sum(rows, k):
    """Return the sum of row k, in one fixed order: four interleaved partial sums, then the rest."""
    n = rows.shape[1]
    quarters = n // 4
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for i in range(quarters):
        s0 += rows[k, 4 * i]
        s1 += rows[k, 4 * i + 1]
        s2 += rows[k, 4 * i + 2]
        s3 += rows[k, 4 * i + 3]
    total = (s0 + s1) + (s2 + s3)
    for j in range(4 * quarters, n):
        total += rows[k, j]
    return total


@kernel
def coupling(rows: NDArray, scale: float, out: NDArray) -> None:
    """Compute S_k = -scale sum_j Y_{j,k} for rows (K, J)."""
    for k in range(rows.shape[0]):
        out[k] = -(scale * row_sum(rows, k))


@kernel
def to_flux(U: NDArray) -> None:
    """Replace the sector terms S by the momentum-conserving tendency U_k = S_{k-1} - S_{k+1}, in place."""
    K = U.shape[0]
    first, before = U[0], U[K - 1]
    for k in range(K - 1):
        here = U[k]
        U[k] = before - U[k + 1]
        before = here
    U[K - 1] = before - first


@kernel
def _slow(x, U, F, out):
    """Compute dX_k/dt = X_{k-1} (X_{k+1} - X_{k-2}) - X_k + F + U_k (Lorenz 1996)."""
    K = x.shape[0]
    out[0] = x[K - 1] * (x[1] - x[K - 2]) - x[0] + F + U[0]
    out[1] = x[0] * (x[2] - x[K - 1]) - x[1] + F + U[1]
    for i in range(K - 3):
        out[i + 2] = x[i + 1] * (x[i + 3] - x[i]) - x[i + 2] + F + U[i + 2]
    out[K - 1] = x[K - 2] * (x[0] - x[K - 3]) - x[K - 1] + F + U[K - 1]


@kernel
def _exert(rows, x, scale, flux, U, forcing):
    """Compute the coupling of neighbouring scales: U_k = -scale sum_j Y_{j,k} (or its flux); forcing = scale x_k."""
    n_rows, n = rows.shape
    for k in range(n_rows):
        U[k] = -(scale * row_sum(rows, k))
        value = scale * x[k]
        for j in range(n):
            forcing[k, j] = value
    if flux:
        to_flux(U)


@kernel
def wrap(ring: NDArray) -> None:
    """Fill the two padding cells on each side of a ring."""
    n = ring.shape[0] - 4
    ring[0] = ring[n]
    ring[1] = ring[n + 1]
    ring[n + 2] = ring[2]
    ring[n + 3] = ring[3]


@kernel
def _stage(a, v, p, q, forcing, adv, damp, start, out, step):
    """Compute a stage of a fast ring with slices (a, v, p, q): out = start + step k, k being the slope at v."""
    for m in range(v.shape[0]):
        out[m] = start[m] + step * (forcing[m] - adv * p[m] * (q[m] - a[m]) - damp * v[m])


@kernel
def _last_stage(a, v, p, q, forcing, adv, damp, first, second, start, sixth):
    """Compute the last stage: start = (first + 2 second + v - start) / 3 + sixth k; v is the third stage's state."""
    for m in range(v.shape[0]):
        k = forcing[m] - adv * p[m] * (q[m] - a[m]) - damp * v[m]
        start[m] = (first[m] + 2.0 * second[m] + v[m] - start[m]) * (1.0 / 3.0) + sixth * k


@kernel
def _exchange(mode, stages, i, stage, x):
    """Store X of a stage of step i (mode RECORD), or overwrite it (mode DRIVEN)."""
    if mode == RECORD:
        for k in range(x.shape[0]):
            stages[i, stage, k] = x[k]
    elif mode == DRIVEN:
        for k in range(x.shape[0]):
            x[k] = stages[i, stage, k]


@kernel
def advance_two_scale(x, y, F, hcb, cb, c, flux, dt, n_steps, mode, stages):
    """Advance x (K,), y (K, J) in place by RK4; `stages` is (n_steps, 4, K) in the modes RECORD and DRIVEN."""
    K, J = y.shape
    M = K * J
    z, r, s, t = np.empty(M + 4), np.empty(M + 4), np.empty(M + 4), np.empty(M + 4)
    za, z0, zp, zq = z[1 : M + 1], z[2 : M + 2], z[3 : M + 3], z[4 : M + 4]
    ra, r0, rp, rq = r[1 : M + 1], r[2 : M + 2], r[3 : M + 3], r[4 : M + 4]
    sa, s0, sp, sq = s[1 : M + 1], s[2 : M + 2], s[3 : M + 3], s[4 : M + 4]
    ta, t0, tp, tq = t[1 : M + 1], t[2 : M + 2], t[3 : M + 3], t[4 : M + 4]
    z2, r2, s2, t2 = z0.reshape(K, J), r0.reshape(K, J), s0.reshape(K, J), t0.reshape(K, J)
    forcing, xz, xr, xs, xt = np.empty(M), np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    forcing2, U, k = forcing.reshape(K, J), np.empty(K), np.empty(K)
    copy_rows(z2, y)
    copy_vector(xz, x)
    half, sixth = 0.5 * dt, dt / 6.0
    for i in range(n_steps):
        if mode != FREE:
            _exchange(mode, stages, i, 0, xz)
        wrap(z)
        _exert(z2, xz, hcb, flux, U, forcing2)
        _slow(xz, U, F, k)
        _stage(za, z0, zp, zq, forcing, cb, c, z0, r0, half)
        for j in range(K):
            xr[j] = xz[j] + half * k[j]
        if mode != FREE:
            _exchange(mode, stages, i, 1, xr)
        wrap(r)
        _exert(r2, xr, hcb, flux, U, forcing2)
        _slow(xr, U, F, k)
        _stage(ra, r0, rp, rq, forcing, cb, c, z0, s0, half)
        for j in range(K):
            xs[j] = xz[j] + half * k[j]
        if mode != FREE:
            _exchange(mode, stages, i, 2, xs)
        wrap(s)
        _exert(s2, xs, hcb, flux, U, forcing2)
        _slow(xs, U, F, k)
        _stage(sa, s0, sp, sq, forcing, cb, c, z0, t0, dt)
        for j in range(K):
            xt[j] = xz[j] + dt * k[j]
        if mode != FREE:
            _exchange(mode, stages, i, 3, xt)
        wrap(t)
        _exert(t2, xt, hcb, flux, U, forcing2)
        _slow(xt, U, F, k)
        _last_stage(ta, t0, tp, tq, forcing, cb, c, r0, s0, z0, sixth)
        for j in range(K):
            xz[j] = (xr[j] + 2.0 * xs[j] + xt[j] - xz[j]) * (1.0 / 3.0) + sixth * k[j]
    if mode != DRIVEN:
        copy_vector(x, xz)
    copy_rows(y, z2)


@kernel
def record_two_scale(x, y, F, hcb, cb, c, flux, dt, every, X, U, Y):
    """Store X (n, K), U (n, K) and, unless empty, Y (n, K, J) every `every` steps, advancing x and y in place."""
    no_stages, free = np.empty((0, 4, x.shape[0])), np.int64(FREE)  # a constant would be compiled for itself
    for i in range(X.shape[0]):
        copy_vector(X[i], x)
        coupling(y, hcb, U[i])
        if flux:
            to_flux(U[i])
        if Y.shape[0] > 0:
            copy_rows(Y[i], y)
        advance_two_scale(x, y, F, hcb, cb, c, flux, dt, every, free, no_stages)


@kernel
def advance_three_scale(x, y, z, F, hcb, cb, c, hed, ed, ge, flux, dt, n_steps, mode, stages):
    """Advance x (K,), y (K, J) and z (K, J, I) in place by RK4; `mode` and `stages` as in `advance_two_scale`."""
    K, J, I = z.shape  # noqa: E741
    M, N = K * J, K * J * I
    ys, zs = np.empty((4, M + 4)), np.empty((4, N + 4))
    yforcing, W, zforcing = np.empty(M), np.empty(M), np.empty(N)
    xs, k, U = np.empty((4, K)), np.empty(K), np.empty(K)
    y0, z0 = ys[0, 2 : M + 2], zs[0, 2 : N + 2]
    y0.reshape(K, J)[:] = y
    z0.reshape(K, J, I)[:] = z
    xs[0] = x
    for i in range(n_steps):
        for stage in range(4):
            step = 0.5 * dt if stage < 2 else dt
            if mode != FREE:
                _exchange(mode, stages, i, stage, xs[stage])
            wrap(ys[stage])
            wrap(zs[stage])
            ya, yv, yp, yq = ys[stage, 1 : M + 1], ys[stage, 2 : M + 2], ys[stage, 3 : M + 3], ys[stage, 4 : M + 4]
            za, zv, zp, zq = zs[stage, 3 : N + 3], zs[stage, 2 : N + 2], zs[stage, 1 : N + 1], zs[stage, 0:N]
            _exert(yv.reshape(K, J), xs[stage], hcb, flux, U, yforcing.reshape(K, J))
            _exert(zv.reshape(M, I), yv, hed, False, W, zforcing.reshape(M, I))
            for m in range(M):
                yforcing[m] += W[m]
            if stage < 3:
                _stage(ya, yv, yp, yq, yforcing, cb, c, y0, ys[stage + 1, 2 : M + 2], step)
                _stage(za, zv, zp, zq, zforcing, ed, ge, z0, zs[stage + 1, 2 : N + 2], step)
            else:
                _last_stage(ya, yv, yp, yq, yforcing, cb, c, ys[1, 2 : M + 2], ys[2, 2 : M + 2], y0, dt / 6.0)
                _last_stage(za, zv, zp, zq, zforcing, ed, ge, zs[1, 2 : N + 2], zs[2, 2 : N + 2], z0, dt / 6.0)
            _slow(xs[stage], U, F, k)
            if stage < 3:
                for j in range(K):
                    xs[stage + 1, j] = xs[0, j] + step * k[j]
        for j in range(K):
            xs[0, j] = (xs[1, j] + 2.0 * xs[2, j] + xs[3, j] - xs[0, j]) * (1.0 / 3.0) + dt / 6.0 * k[j]
    if mode != DRIVEN:
        x[:] = xs[0]
    y[:] = y0.reshape(K, J)
    z[:] = z0.reshape(K, J, I)


@kernel
def record_three_scale(x, y, z, F, hcb, cb, c, hed, ed, ge, flux, dt, every, X, U, Y, Z):
    """Store as `record_two_scale`, with Z (n, K, J, I) or an empty array."""
    no_stages = np.empty((0, 4, x.shape[0]))
    for i in range(X.shape[0]):
        X[i] = x
        coupling(y, hcb, U[i])
        if flux:
            to_flux(U[i])
        if Y.shape[0] > 0:
            Y[i] = y
            Z[i] = z
        advance_three_scale(x, y, z, F, hcb, cb, c, hed, ed, ge, flux, dt, every, FREE, no_stages)
