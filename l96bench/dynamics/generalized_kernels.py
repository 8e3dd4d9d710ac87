"""Numba kernels of `l96bench.dynamics.generalized`; a1 .. hy are the fields of `Coefficients`, in order."""

from __future__ import annotations

import math

import numpy as np

from l96bench.dynamics.draws import portable_log
from l96bench.dynamics.kernels import copy_rows, copy_vector, coupling, row_sum, wrap
from l96bench.jit import kernel


@kernel
def _slow(x, U, a1, a2, d, F, out):
    """Compute dX_k/dt = a1 X_{k-1} X_{k+1} - a2 X_{k-1} X_{k-2} - d X_k + F + U_k."""
    K = x.shape[0]
    out[0] = x[K - 1] * (a1 * x[1] - a2 * x[K - 2]) - d * x[0] + F + U[0]
    out[1] = x[0] * (a1 * x[2] - a2 * x[K - 1]) - d * x[1] + F + U[1]
    for i in range(K - 3):
        out[i + 2] = x[i + 1] * (a1 * x[i + 3] - a2 * x[i]) - d * x[i + 2] + F + U[i + 2]
    out[K - 1] = x[K - 2] * (a1 * x[0] - a2 * x[K - 3]) - d * x[K - 1] + F + U[K - 1]


@kernel
def _exert(rows, x, hx, hy, U, forcing):
    """Compute the coupling of the scales: U_k = -hx sum_j Y_{j,k}; forcing = hy x_k."""
    n_rows, n = rows.shape
    for k in range(n_rows):
        U[k] = -(hx * row_sum(rows, k))
        value = hy * x[k]
        for j in range(n):
            forcing[k, j] = value


@kernel
def _stage(a, v, p, q, forcing, p1, p2, c, start, out, step):
    """Compute a stage of the fast ring with slices (a, v, p, q): out = start + step k, k being the slope at v."""
    for m in range(v.shape[0]):
        out[m] = start[m] + step * (forcing[m] - p[m] * (p1 * q[m] - p2 * a[m]) - c * v[m])


@kernel
def _last_stage(a, v, p, q, forcing, p1, p2, c, first, second, start, sixth):
    """Compute the last stage: start = (first + 2 second + v - start) / 3 + sixth k; v is the third stage's state."""
    for m in range(v.shape[0]):
        k = forcing[m] - p[m] * (p1 * q[m] - p2 * a[m]) - c * v[m]
        start[m] = (first[m] + 2.0 * second[m] + v[m] - start[m]) * (1.0 / 3.0) + sixth * k


@kernel
def _step(start, k, step, out):
    """Compute a stage of the slow ring: out = start + step k."""
    for i in range(out.shape[0]):
        out[i] = start[i] + step * k[i]


@kernel
def advance(x, y, a1, a2, d, F, hx, p1, p2, c, hy, dt, n_steps):
    """Advance x (K,) and y (K, J), J = 0 for a single scale, in place by n_steps RK4 steps."""
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
    for _ in range(n_steps):
        wrap(z)
        _exert(z2, xz, hx, hy, U, forcing2)
        _slow(xz, U, a1, a2, d, F, k)
        _stage(za, z0, zp, zq, forcing, p1, p2, c, z0, r0, half)
        _step(xz, k, half, xr)
        wrap(r)
        _exert(r2, xr, hx, hy, U, forcing2)
        _slow(xr, U, a1, a2, d, F, k)
        _stage(ra, r0, rp, rq, forcing, p1, p2, c, z0, s0, half)
        _step(xz, k, half, xs)
        wrap(s)
        _exert(s2, xs, hx, hy, U, forcing2)
        _slow(xs, U, a1, a2, d, F, k)
        _stage(sa, s0, sp, sq, forcing, p1, p2, c, z0, t0, dt)
        _step(xz, k, dt, xt)
        wrap(t)
        _exert(t2, xt, hx, hy, U, forcing2)
        _slow(xt, U, a1, a2, d, F, k)
        _last_stage(ta, t0, tp, tq, forcing, p1, p2, c, r0, s0, z0, sixth)
        for j in range(K):
            xz[j] = (xr[j] + 2.0 * xs[j] + xt[j] - xz[j]) * (1.0 / 3.0) + sixth * k[j]
    copy_vector(x, xz)
    copy_rows(y, z2)


@kernel
def record(x, y, a1, a2, d, F, hx, p1, p2, c, hy, dt, every, X, U, Y):
    """Store X (n, K), U (n, K) and, unless empty, Y (n, K, J) every `every` steps, advancing x and y in place."""
    for i in range(X.shape[0]):
        copy_vector(X[i], x)
        coupling(y, hx, U[i])
        if Y.shape[0] > 0:
            copy_rows(Y[i], y)
        advance(x, y, a1, a2, d, F, hx, p1, p2, c, hy, dt, every)


@kernel
def _slow_tangent(x, v, a1, a2, d, out):
    """Compute the derivative of `_slow` along v: the tangent-linear tendency."""
    K = x.shape[0]
    for i in range(K):
        a, p, q = (i - 2) % K, (i - 1) % K, (i + 1) % K
        out[i] = v[p] * (a1 * x[q] - a2 * x[a]) + x[p] * (a1 * v[q] - a2 * v[a]) - d * v[i]


@kernel
def growth(x, v, a1, a2, d, F, dt, n_steps, every):
    """Return the logarithm of the growth of v along x, both advanced in place; v gets length 1 every so many steps."""
    K = x.shape[0]
    zero, growth = np.zeros(K), 0.0
    xs, vs, k, w, kv, wv = x.copy(), v.copy(), np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    for i in range(n_steps):
        for stage in range(4):
            _slow(xs, zero, a1, a2, d, F, k)
            _slow_tangent(xs, vs, a1, a2, d, kv)
            weight = 1.0 if stage in (0, 3) else 2.0
            ahead = dt if stage == 2 else 0.5 * dt
            for j in range(K):
                w[j] = k[j] if stage == 0 else w[j] + weight * k[j]
                wv[j] = kv[j] if stage == 0 else wv[j] + weight * kv[j]
                xs[j] = x[j] + ahead * k[j]
                vs[j] = v[j] + ahead * kv[j]
        for j in range(K):
            x[j] += dt / 6.0 * w[j]
            v[j] += dt / 6.0 * wv[j]
        if (i + 1) % every == 0:
            square = 0.0
            for j in range(K):
                square += v[j] * v[j]
            length = math.sqrt(square)
            growth += portable_log(length)
            for j in range(K):
                v[j] /= length
        xs[:], vs[:] = x, v
    return growth
