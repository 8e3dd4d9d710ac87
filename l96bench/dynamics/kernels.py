"""The truth's equations as Numba kernels: classical RK4 in strict IEEE arithmetic.

Bits are a promise here, so every operation and its order is spelled out: no ``fastmath`` (and therefore no fused
multiply-add), sums in a fixed order, no libm function. The rings of all three scales obey one equation,

    dv_m/dt = -adv v_{m+1} (v_{m+2} - v_{m-1}) - damp v_m + forcing_m,

Y as it stands, X and Z read backwards (X with adv = damp = 1). It is written once, as the four Runge-Kutta stages of
a ring. A ring lies in a buffer with two cells of padding at each end, and its neighbours are slices of that buffer
at fixed offsets: that is what lets LLVM vectorize the loops, element by element, without changing a bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FREE, RECORD, DRIVEN = 0, 1, 2
"""What `advance_*` does with `stages`: nothing; store X at every Runge-Kutta stage; take X from there."""

_jit = njit(cache=True, nogil=True, error_model="numpy")


@_jit
def coupling(rows: NDArray, scale: float, out: NDArray) -> None:
    """S_k = -scale sum_j Y_{j,k} for rows (K, J), in one fixed order: four interleaved partial sums, then the rest."""
    n_rows, n = rows.shape
    quarters = n // 4
    for k in range(n_rows):
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for i in range(quarters):
            s0 += rows[k, 4 * i]
            s1 += rows[k, 4 * i + 1]
            s2 += rows[k, 4 * i + 2]
            s3 += rows[k, 4 * i + 3]
        total = (s0 + s1) + (s2 + s3)
        for j in range(4 * quarters, n):
            total += rows[k, j]
        out[k] = -(scale * total)


@_jit
def to_flux(U: NDArray) -> None:
    """Replace the sector terms S by the momentum-conserving tendency U_k = S_{k-1} - S_{k+1}, in place."""
    K = U.shape[0]
    first, before = U[0], U[K - 1]
    for k in range(K - 1):
        here = U[k]
        U[k] = before - U[k + 1]
        before = here
    U[K - 1] = before - first


@_jit
def _slow(x, U, F, out):
    """dX_k/dt = X_{k-1} (X_{k+1} - X_{k-2}) - X_k + F + U_k (Lorenz 1996)."""
    K = x.shape[0]
    out[0] = x[K - 1] * (x[1] - x[K - 2]) - x[0] + F + U[0]
    out[1] = x[0] * (x[2] - x[K - 1]) - x[1] + F + U[1]
    for i in range(K - 3):
        out[i + 2] = x[i + 1] * (x[i + 3] - x[i]) - x[i + 2] + F + U[i + 2]
    out[K - 1] = x[K - 2] * (x[0] - x[K - 3]) - x[K - 1] + F + U[K - 1]


@_jit
def _spread(values: NDArray, scale: float, out: NDArray) -> None:
    """Write scale * values[k] into the whole row k of `out`."""
    n_rows, n = out.shape
    for k in range(n_rows):
        value = scale * values[k]
        for j in range(n):
            out[k, j] = value


@_jit
def _wrap(ring: NDArray) -> None:
    """Fill the two padding cells on each side of a ring."""
    n = ring.shape[0] - 4
    ring[0] = ring[n]
    ring[1] = ring[n + 1]
    ring[n + 2] = ring[2]
    ring[n + 3] = ring[3]


@_jit
def _first_stage(a, v, p, q, forcing, adv, damp, total, out, step):
    """First stage of a ring with slices (a, v, p, q): total = k, out = v + step k."""
    for m in range(v.shape[0]):
        k = -adv * p[m] * (q[m] - a[m]) - damp * v[m] + forcing[m]
        total[m] = k
        out[m] = v[m] + step * k


@_jit
def _middle_stage(a, v, p, q, forcing, adv, damp, start, total, out, step):
    """Second and third stage: total += 2 k, out = start + step k."""
    for m in range(v.shape[0]):
        k = -adv * p[m] * (q[m] - a[m]) - damp * v[m] + forcing[m]
        total[m] += 2.0 * k
        out[m] = start[m] + step * k


@_jit
def _last_stage(a, v, p, q, forcing, adv, damp, total, start, weight):
    """Fourth stage: start += weight (total + k)."""
    for m in range(v.shape[0]):
        k = -adv * p[m] * (q[m] - a[m]) - damp * v[m] + forcing[m]
        start[m] += weight * (total[m] + k)


@_jit
def _exchange(mode, stage, x):
    """Store this stage's X (mode RECORD) or overwrite it (mode DRIVEN)."""
    if mode == RECORD:
        stage[:] = x
    elif mode == DRIVEN:
        x[:] = stage


@_jit
def advance_two_scale(x, y, F, hcb, cb, c, flux, dt, n_steps, mode, stages):
    """Advance x (K,) and y (K, J) in place by n_steps RK4 steps.

    `stages` is (n_steps, 4, K) for the modes RECORD and DRIVEN, else empty. In mode DRIVEN x is not advanced.
    """
    K, J = y.shape
    M = K * J
    z, s, r = np.empty(M + 4), np.empty(M + 4), np.empty(M + 4)
    za, z0, zp, zq = z[1 : M + 1], z[2 : M + 2], z[3 : M + 3], z[4 : M + 4]
    sa, s0, sp, sq = s[1 : M + 1], s[2 : M + 2], s[3 : M + 3], s[4 : M + 4]
    ra, r0, rp, rq = r[1 : M + 1], r[2 : M + 2], r[3 : M + 3], r[4 : M + 4]
    z2, s2, r2 = z0.reshape(K, J), s0.reshape(K, J), r0.reshape(K, J)
    total, forcing = np.empty(M), np.empty(M)
    forcing2 = forcing.reshape(K, J)
    xz, xs, xk, xtotal, U = np.empty(K), np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    z2[:] = y
    xz[:] = x
    for i in range(n_steps):
        if mode != FREE:
            _exchange(mode, stages[i, 0], xz)
        _wrap(z)
        coupling(z2, hcb, U)
        if flux:
            to_flux(U)
        _slow(xz, U, F, xk)
        _spread(xz, hcb, forcing2)
        _first_stage(za, z0, zp, zq, forcing, cb, c, total, s0, 0.5 * dt)
        for k in range(K):
            xtotal[k] = xk[k]
            xs[k] = xz[k] + 0.5 * dt * xk[k]

        if mode != FREE:
            _exchange(mode, stages[i, 1], xs)
        _wrap(s)
        coupling(s2, hcb, U)
        if flux:
            to_flux(U)
        _slow(xs, U, F, xk)
        _spread(xs, hcb, forcing2)
        _middle_stage(sa, s0, sp, sq, forcing, cb, c, z0, total, r0, 0.5 * dt)
        for k in range(K):
            xtotal[k] += 2.0 * xk[k]
            xs[k] = xz[k] + 0.5 * dt * xk[k]

        if mode != FREE:
            _exchange(mode, stages[i, 2], xs)
        _wrap(r)
        coupling(r2, hcb, U)
        if flux:
            to_flux(U)
        _slow(xs, U, F, xk)
        _spread(xs, hcb, forcing2)
        _middle_stage(ra, r0, rp, rq, forcing, cb, c, z0, total, s0, dt)
        for k in range(K):
            xtotal[k] += 2.0 * xk[k]
            xs[k] = xz[k] + dt * xk[k]

        if mode != FREE:
            _exchange(mode, stages[i, 3], xs)
        _wrap(s)
        coupling(s2, hcb, U)
        if flux:
            to_flux(U)
        _slow(xs, U, F, xk)
        _spread(xs, hcb, forcing2)
        _last_stage(sa, s0, sp, sq, forcing, cb, c, total, z0, dt / 6.0)
        for k in range(K):
            xz[k] += dt / 6.0 * (xtotal[k] + xk[k])
    if mode != DRIVEN:
        x[:] = xz
    y[:] = z2


@_jit
def record_two_scale(x, y, F, hcb, cb, c, flux, dt, every, X, U, Y):
    """Store the state and its U in X (n, K), U (n, K) and, unless empty, Y (n, K, J), `every` steps apart.

    x and y are advanced in place, `every` steps past the last sample, so that one call carries on where another ended.
    """
    no_stages = np.empty((0, 4, x.shape[0]))
    for i in range(X.shape[0]):
        X[i] = x
        coupling(y, hcb, U[i])
        if flux:
            to_flux(U[i])
        if Y.shape[0] > 0:
            Y[i] = y
        advance_two_scale(x, y, F, hcb, cb, c, flux, dt, every, FREE, no_stages)


@_jit
def _subtract_sums(z, hed, W, forcing):
    """forcing_m -= hed sum_i Z_{i,m}."""
    coupling(z, hed, W)
    for m in range(forcing.shape[0]):
        forcing[m] += W[m]


@_jit
def advance_three_scale(x, y, z, F, hcb, cb, c, hed, ed, ge, flux, dt, n_steps, mode, stages):
    """Advance x (K,), y (K, J) and z (K, J, I) in place by n_steps RK4 steps; `mode`, `stages` as in the two-scale one.

    The Z ring is the Y ring read backwards: e d Z_{n-1} (Z_{n+1} - Z_{n-2}) has its neighbours mirrored.
    """
    K, J, I = z.shape  # noqa: E741
    M, N = K * J, K * J * I
    rings_y, rings_z = np.empty((3, M + 4)), np.empty((3, N + 4))
    ytotal, yforcing, W, ztotal, zforcing = np.empty(M), np.empty(M), np.empty(M), np.empty(N), np.empty(N)
    yforcing2, zforcing2 = yforcing.reshape(K, J), zforcing.reshape(M, I)
    xz, xs, xk, xtotal, U = np.empty(K), np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    y0, z0 = rings_y[0, 2 : M + 2], rings_z[0, 2 : N + 2]
    y0.reshape(K, J)[:] = y
    z0.reshape(K, J, I)[:] = z
    xz[:] = x
    for i in range(n_steps):
        for stage in range(4):
            step = dt if stage == 2 else 0.5 * dt
            now, then = (0, 1) if stage == 0 else (2 - stage % 2, 1 + stage % 2)
            xnow = xz if stage == 0 else xs
            if mode != FREE:
                _exchange(mode, stages[i, stage], xnow)
            r, t = rings_y[now], rings_z[now]
            _wrap(r)
            _wrap(t)
            yv, zv = r[2 : M + 2], t[2 : N + 2]
            coupling(yv.reshape(K, J), hcb, U)
            if flux:
                to_flux(U)
            _slow(xnow, U, F, xk)
            _spread(xnow, hcb, yforcing2)
            _subtract_sums(zv.reshape(M, I), hed, W, yforcing)
            _spread(yv, hed, zforcing2)
            ya, yp, yq = r[1 : M + 1], r[3 : M + 3], r[4 : M + 4]
            za, zp, zq = t[3 : N + 3], t[1 : N + 1], t[0:N]
            yout, zout = rings_y[then, 2 : M + 2], rings_z[then, 2 : N + 2]
            if stage == 0:
                _first_stage(ya, yv, yp, yq, yforcing, cb, c, ytotal, yout, step)
                _first_stage(za, zv, zp, zq, zforcing, ed, ge, ztotal, zout, step)
                for k in range(K):
                    xtotal[k] = xk[k]
                    xs[k] = xz[k] + step * xk[k]
            elif stage < 3:
                _middle_stage(ya, yv, yp, yq, yforcing, cb, c, y0, ytotal, yout, step)
                _middle_stage(za, zv, zp, zq, zforcing, ed, ge, z0, ztotal, zout, step)
                for k in range(K):
                    xtotal[k] += 2.0 * xk[k]
                    xs[k] = xz[k] + step * xk[k]
            else:
                _last_stage(ya, yv, yp, yq, yforcing, cb, c, ytotal, y0, dt / 6.0)
                _last_stage(za, zv, zp, zq, zforcing, ed, ge, ztotal, z0, dt / 6.0)
                for k in range(K):
                    xz[k] += dt / 6.0 * (xtotal[k] + xk[k])
    if mode != DRIVEN:
        x[:] = xz
    y[:] = y0.reshape(K, J)
    z[:] = z0.reshape(K, J, I)


@_jit
def record_three_scale(x, y, z, F, hcb, cb, c, hed, ed, ge, flux, dt, every, X, U, Y, Z):
    """As `record_two_scale`, with Z (n, K, J, I) or an empty array."""
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


@_jit
def resolved_step(x, U, F, dt, total, k, xs):
    """One RK4 step of the resolved model, in place, U held through the stages; total, k, xs (K,) are work space."""
    K = x.shape[0]
    _slow(x, U, F, k)
    for i in range(K):
        total[i] = k[i]
        xs[i] = x[i] + 0.5 * dt * k[i]
    _slow(xs, U, F, k)
    for i in range(K):
        total[i] += 2.0 * k[i]
        xs[i] = x[i] + 0.5 * dt * k[i]
    _slow(xs, U, F, k)
    for i in range(K):
        total[i] += 2.0 * k[i]
        xs[i] = x[i] + dt * k[i]
    _slow(xs, U, F, k)
    for i in range(K):
        x[i] += dt / 6.0 * (total[i] + k[i])


@_jit
def record_single_scale(x, F, dt, every, X):
    """Store the single-scale state in X (n, K), `every` RK4 steps apart; x is advanced past the last sample."""
    K = x.shape[0]
    zero, total, k, xs = np.zeros(K), np.empty(K), np.empty(K), np.empty(K)
    for i in range(X.shape[0]):
        X[i] = x
        for _ in range(every):
            resolved_step(x, zero, F, dt, total, k, xs)


@_jit
def advance_resolved(X, U, F, dt, low, high, rest, left, now):
    """One step of every member that is still inside its limits.

    X, U (member, K); F, low, high, rest (member,). A member with an X outside [low, high], or not finite, gets
    left[member] = now and rests at `rest` from there on.
    """
    n, K = X.shape
    total, k, xs = np.empty(K), np.empty(K), np.empty(K)
    for i in range(n):
        if left[i] < 0:
            resolved_step(X[i], U[i], F[i], dt, total, k, xs)
            _leave(X, i, low, high, rest, left, now)


@_jit
def _leave(X, i, low, high, rest, left, now):
    """Retire member i when a point of it is outside [low, high] or not a number."""
    for j in range(X.shape[1]):
        if not low[i] <= X[i, j] <= high[i]:
            left[i] = now
    if left[i] >= 0:
        for j in range(X.shape[1]):
            X[i, j] = rest[i]


@_jit
def advance_polynomial(X, coefficients, F, dt, n_steps, low, high, rest, left, now):
    """As n_steps calls of `advance_resolved` under U = sum_i c_i X^i (Horner), member by member."""
    n, K = X.shape
    U, total, k, xs = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    top = coefficients.shape[0] - 1
    for i in range(n):
        for step in range(n_steps):
            if left[i] >= 0:
                break
            for j in range(K):
                u = coefficients[top]
                for degree in range(top - 1, -1, -1):
                    u = u * X[i, j] + coefficients[degree]
                U[j] = u
            resolved_step(X[i], U, F[i], dt, total, k, xs)
            _leave(X, i, low, high, rest, left, now + step)
