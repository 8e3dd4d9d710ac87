"""The truth's equations as Numba kernels: classical RK4 in strict IEEE arithmetic.

Bits are a promise here, so every operation and its order is spelled out: no ``fastmath`` (and therefore no fused
multiply-add), sums in a fixed order, no libm function. The rings of all three scales obey one equation,

    dv_m/dt = -adv v_{m+1} (v_{m+2} - v_{m-1}) - damp v_m + forcing_m,

Y as it stands, X and Z read backwards (X with adv = damp = 1). Two scales are advanced in lanes: the ring is
cut into as many equal pieces as there are lanes, which lie side by side, so that the neighbours of all lanes are those
of the next row, kept in registers from one row to the next. That takes a K that the lanes divide.

Three scales, and two for every other K, are advanced ring by ring. A ring lies in a buffer with two cells of padding at
each end, and its neighbours are slices of that buffer at fixed offsets, so that LLVM vectorizes the loops. The bits are
the same either way.

The states s1, s2, s3 at the stages of RK4 hold the slopes, so that these need not be kept:
z + dt/6 (k1 + 2 k2 + 2 k3 + k4) = (s1 + 2 s2 + s3 - z) / 3 + dt/6 k4, which saves a quarter of the memory traffic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.lanes import WIDTH, fill, load, store, turn_left, turn_right
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
def _slope(forcing, adv, damp, before, here, after, second):
    """Compute dv_m/dt of a fast ring, of numbers or lanes, from v_{m-1}, v_m, v_{m+1} and v_{m+2}."""
    return forcing - adv * after * (second - before) - damp * here


@kernel
def _stage(a, v, p, q, forcing, adv, damp, start, out, step):
    """Compute a stage of a fast ring with slices (a, v, p, q): out = start + step k, k being the slope at v."""
    for m in range(v.shape[0]):
        out[m] = start[m] + step * _slope(forcing[m], adv, damp, a[m], v[m], p[m], q[m])


@kernel
def _last_stage(a, v, p, q, forcing, adv, damp, first, second, start, sixth):
    """Compute the last stage: start = (first + 2 second + v - start) / 3 + sixth k; v is the third stage's state."""
    for m in range(v.shape[0]):
        k = _slope(forcing[m], adv, damp, a[m], v[m], p[m], q[m])
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
def to_lanes(rows: NDArray, ring: NDArray) -> None:
    """Copy the cells of `rows` (K, J) into a ring in lanes, each lane's piece of the ring beside the others'."""
    J = rows.shape[1]
    piece = rows.size // WIDTH
    for lane in range(WIDTH):
        for i in range(piece):
            m = lane * piece + i
            ring[WIDTH * i + lane] = rows[m // J, m % J]


@kernel
def from_lanes(ring: NDArray, rows: NDArray) -> None:
    """Copy a ring in lanes back into `rows` (K, J)."""
    J = rows.shape[1]
    piece = rows.size // WIDTH
    for lane in range(WIDTH):
        for i in range(piece):
            m = lane * piece + i
            rows[m // J, m % J] = ring[WIDTH * i + lane]


@kernel
def _close(ring):
    """Fill the two rows of padding after a ring in lanes with the first two, each lane's from the next lane."""
    n = ring.shape[0] // WIDTH - 2
    store(ring, n, turn_left(load(ring, 0)))
    store(ring, n + 1, turn_left(load(ring, 1)))


@inline_kernel
def _sector_sums(ring, J, out):
    """Compute the sums of all sectors in the order of `row_sum`."""
    for r in range(out.shape[0] // WIDTH):
        s0, s1, s2, s3 = fill(0.0), fill(0.0), fill(0.0), fill(0.0)
        i = r * J
        for _ in range(J // 4):
            s0, s1 = s0 + load(ring, i), s1 + load(ring, i + 1)
            s2, s3 = s2 + load(ring, i + 2), s3 + load(ring, i + 3)
            i += 4
        total = (s0 + s1) + (s2 + s3)
        for _ in range(J % 4):
            total = total + load(ring, i)
            i += 1
        store(out, r, total)


@inline_kernel
def _exert_in_lanes(ring, J, x, scale, flux, sums, U, forcing):
    """Close the ring, and compute the coupling as `_exert`, with one row of forcing for each sector of a lane."""
    _close(ring)
    _sector_sums(ring, J, sums)
    sectors = x.shape[0] // WIDTH
    for lane in range(WIDTH):
        for r in range(sectors):
            k = lane * sectors + r
            U[k] = -(scale * sums[WIDTH * r + lane])
            forcing[WIDTH * r + lane] = scale * x[k]
    if flux:
        to_flux(U)


@kernel
def _stage_in_lanes(ring, J, forcing, adv, damp, start, out, step):
    """Compute a stage as `_stage`."""
    advs, damps, steps = fill(adv), fill(damp), fill(step)
    before, here, after = turn_right(load(ring, ring.shape[0] // WIDTH - 3)), load(ring, 0), load(ring, 1)
    for r in range(forcing.shape[0] // WIDTH):
        f = load(forcing, r)
        for i in range(r * J, (r + 1) * J):
            second = load(ring, i + 2)
            k = _slope(f, advs, damps, before, here, after, second)
            store(out, i, load(start, i) + steps * k)
            before, here, after = here, after, second


@kernel
def _last_stage_in_lanes(ring, J, forcing, adv, damp, first, second, start, sixth):
    """Compute the last stage as `_last_stage`."""
    advs, damps, sixths, two, third = fill(adv), fill(damp), fill(sixth), fill(2.0), fill(1.0 / 3.0)
    before, here, after = turn_right(load(ring, ring.shape[0] // WIDTH - 3)), load(ring, 0), load(ring, 1)
    for r in range(forcing.shape[0] // WIDTH):
        f = load(forcing, r)
        for i in range(r * J, (r + 1) * J):
            far = load(ring, i + 2)
            k = _slope(f, advs, damps, before, here, after, far)
            states = load(first, i) + two * load(second, i) + here - load(start, i)
            store(start, i, states * third + sixths * k)
            before, here, after = here, after, far


@kernel
def advance_two_scale(x, y, F, hcb, cb, c, flux, dt, n_steps, mode, stages):
    """Advance x (K,), y (K, J) in place by RK4; `stages` is (n_steps, 4, K) in the modes RECORD and DRIVEN.

    K is a multiple of WIDTH.
    """
    K, J = y.shape
    rings, xs = np.empty((4, K * J + 2 * WIDTH)), np.empty((4, K))
    forcing, sums, U, k = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    to_lanes(y, rings[0])
    copy_vector(xs[0], x)
    for i in range(n_steps):
        for stage in range(4):
            if mode != FREE:
                _exchange(mode, stages, i, stage, xs[stage])
            _exert_in_lanes(rings[stage], J, xs[stage], hcb, flux, sums, U, forcing)
            _slow(xs[stage], U, F, k)
            if stage < 3:
                step = 0.5 * dt if stage < 2 else dt
                _stage_in_lanes(rings[stage], J, forcing, cb, c, rings[0], rings[stage + 1], step)
                for j in range(K):
                    xs[stage + 1, j] = xs[0, j] + step * k[j]
        _last_stage_in_lanes(rings[3], J, forcing, cb, c, rings[1], rings[2], rings[0], dt / 6.0)
        for j in range(K):
            xs[0, j] = (xs[1, j] + 2.0 * xs[2, j] + xs[3, j] - xs[0, j]) * (1.0 / 3.0) + dt / 6.0 * k[j]
    if mode != DRIVEN:
        copy_vector(x, xs[0])
    from_lanes(rings[0], y)


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
