"""The square-root filters as Numba kernels, in strict IEEE arithmetic like the kernels of the truth.

A cycle of hundreds of analyses amplifies the last bit of each, so an archive of increments has the same digest on
every CPU only if the filter has no BLAS, no LAPACK and no libm in it. Nothing is lost by that: for the 8 to 40 rows of
these matrices the factorization below is faster than a LAPACK call, and it needs no eigenvectors.

With S = R^{-1/2} H A / sqrt(m - 1), one row an observation and one column a member, d = R^{-1/2} (y - H mean), and the
eigenvalues l of S' S (members) or S S' (observations, when they are fewer), q = sqrt(1 + l), the analysis is

    mean + A' S' V q^-2 V' d / sqrt(m - 1)        A (I + S' S)^{-1/2}

(Hunt, Kostelich and Szunyogh 2007, section 2.3). V is kept as the reflections and rotations that made it: the columns
of A pass through them forth and back.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_jit = njit(cache=True, nogil=True, error_model="numpy")
_EPSILON = 2.0**-52
_SWEEPS = 8
"""Iterations allowed for each eigenvalue, on average; 1.7 are usual."""


@_jit
def _dot(a, b):
    """The sum of a_i b_i in one fixed order: four interleaved partial sums, then the rest."""
    n = a.shape[0]
    quarters = n // 4
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for i in range(quarters):
        s0 += a[4 * i] * b[4 * i]
        s1 += a[4 * i + 1] * b[4 * i + 1]
        s2 += a[4 * i + 2] * b[4 * i + 2]
        s3 += a[4 * i + 3] * b[4 * i + 3]
    total = (s0 + s1) + (s2 + s3)
    for i in range(4 * quarters, n):
        total += a[i] * b[i]
    return total


@_jit
def _add(scale, x, y):
    """Add scale x to y."""
    for i in range(x.shape[0]):
        y[i] += scale * x[i]


@_jit
def _reflect(v, M, w):
    """M becomes (I - v v') M; w is work space of the width of M."""
    w[:] = 0.0
    for i in range(v.shape[0]):
        _add(v[i], M[i], w)
    for i in range(v.shape[0]):
        _add(-v[i], w, M[i])


@_jit
def _tridiagonalize(B, d, e, work):
    """Reduce the symmetric B to the diagonal d and, beside it, e; row k of B keeps its reflection behind column k."""
    n = B.shape[0]
    for k in range(n - 2):
        v = B[k, k + 1 :]
        norm = math.sqrt(_dot(v, v))
        d[k] = B[k, k]
        e[k] = -norm if v[0] > 0.0 else norm
        if norm == 0.0:
            continue
        v[0] -= e[k]
        scale = math.sqrt(2.0 / _dot(v, v))
        for i in range(v.shape[0]):
            v[i] *= scale
        w = work[k + 1 : n]
        w[:] = 0.0
        for i in range(v.shape[0]):
            _add(v[i], B[k + 1 + i, k + 1 :], w)
        _add(-0.5 * _dot(v, w), v, w)
        for i in range(v.shape[0]):
            row, vi, wi = B[k + 1 + i, k + 1 :], v[i], w[i]
            for j in range(v.shape[0]):
                row[j] -= vi * w[j] + wi * v[j]
    for k in range(max(n - 2, 0), n):
        d[k] = B[k, k]
        e[k] = B[k, k + 1] if k + 1 < n else 0.0


@_jit
def _diagonalize(d, e, cosines, sines, rows):
    """Make d the eigenvalues by implicit QL; returns how many rotations of rows (i, i + 1) were stored, -1 for failure.

    The algorithm of tql2 (Bowdler, Martin, Reinsch and Wilkinson 1968, Numerische Mathematik 11, 293).
    """
    n = d.shape[0]
    iterations, count = 0, 0
    for first in range(n):
        while True:
            last = first
            while last < n - 1 and abs(e[last]) > _EPSILON * (abs(d[last]) + abs(d[last + 1])):
                last += 1
            if last == first:
                break
            iterations += 1
            if not iterations <= _SWEEPS * n:
                return -1
            g = (d[first + 1] - d[first]) / (2.0 * e[first])
            r = math.sqrt(g * g + 1.0)
            g = d[last] - d[first] + e[first] / (g + (r if g >= 0.0 else -r))
            s, c, p = 1.0, 1.0, 0.0
            i = last - 1
            while i >= first:
                f, b = s * e[i], c * e[i]
                r = math.sqrt(f * f + g * g)
                e[i + 1] = r
                if r == 0.0:
                    d[i + 1] -= p
                    break
                s, c = f / r, g / r
                g = d[i + 1] - p
                r = (d[i] - g) * s + 2.0 * c * b
                p = s * r
                d[i + 1] = g + p
                g = c * r - b
                cosines[count], sines[count], rows[count] = c, s, i
                count += 1
                i -= 1
            if i < first:
                d[first] -= p
                e[first] = g
            e[last] = 0.0
    return count


@_jit
def _rotate(c, s, upper, lower):
    """Replace two rows (a, b) by (c a - s b, s a + c b)."""
    for i in range(upper.shape[0]):
        a, b = upper[i], lower[i]
        lower[i] = s * a + c * b
        upper[i] = c * a - s * b


@_jit
def _to_eigenvectors(B, rotations, count, M, w):
    """M becomes V' M."""
    cosines, sines, rows = rotations
    n = B.shape[0]
    for k in range(n - 2):
        _reflect(B[k, k + 1 :], M[k + 1 : n], w)
    for t in range(count):
        _rotate(cosines[t], sines[t], M[rows[t]], M[rows[t] + 1])


@_jit
def _from_eigenvectors(B, rotations, count, M, w):
    """M becomes V M."""
    cosines, sines, rows = rotations
    n = B.shape[0]
    for t in range(count - 1, -1, -1):
        _rotate(cosines[t], -sines[t], M[rows[t]], M[rows[t] + 1])
    for k in range(n - 3, -1, -1):
        _reflect(B[k, k + 1 :], M[k + 1 : n], w)


@_jit
def _work_space(size, width):
    """Diagonal, off-diagonal, a vector, the stored rotations, and a row of the given width."""
    most = _SWEEPS * size * size
    rotations = (np.empty(most), np.empty(most), np.empty(most, np.int64))
    return np.empty(size), np.empty(size), np.empty(size), rotations, np.empty(width)


@_jit
def _update_by_members(S, d, M, B, work, increment):
    """The columns of M (member, column + 1) are anomalies and become the analysis's; the last one is work space."""
    m, last = M.shape[0], M.shape[1] - 1
    eigenvalues, beside, vector, rotations, row = work
    B[:] = 0.0
    M[:, last] = 0.0
    for r in range(S.shape[0]):
        for i in range(m):
            _add(S[r, i], S[r], B[i])
            M[i, last] += d[r] * S[r, i]
    eigenvalues, beside, row = eigenvalues[:m], beside[:m], row[: last + 1]
    _tridiagonalize(B, eigenvalues, beside, vector)
    count = _diagonalize(eigenvalues, beside, *rotations)
    _to_eigenvectors(B, rotations, count, M, row)
    for i in range(m):
        square = 1.0 + max(eigenvalues[i], 0.0)
        _add(M[i, last] / square, M[i, :last], increment)
        scale = 1.0 / math.sqrt(square)
        for j in range(last):
            M[i, j] *= scale
    _from_eigenvectors(B, rotations, count, M, row)
    return count >= 0


@_jit
def _update_by_observations(S, d, M, B, C, work, increment):
    """As `_update_by_members`, for fewer observations than members; C (observation, column + 1) is work space."""
    p, m = S.shape
    last = M.shape[1] - 1
    eigenvalues, beside, vector, rotations, row = work
    C[:] = 0.0
    for r in range(p):
        for i in range(r + 1):
            B[r, i] = _dot(S[r], S[i])
            B[i, r] = B[r, i]
        for i in range(m):
            _add(S[r, i], M[i], C[r])
        C[r, last] = d[r]
    eigenvalues, beside, row = eigenvalues[:p], beside[:p], row[: last + 1]
    _tridiagonalize(B, eigenvalues, beside, vector)
    count = _diagonalize(eigenvalues, beside, *rotations)
    _to_eigenvectors(B, rotations, count, C, row)
    for r in range(p):
        square = 1.0 + max(eigenvalues[r], 0.0)
        _add(C[r, last] / square, C[r, :last], increment)
        q = math.sqrt(square)
        scale = 1.0 / (q * (1.0 + q))
        for j in range(last):
            C[r, j] *= scale
    _from_eigenvectors(B, rotations, count, C, row)
    for r in range(p):
        for i in range(m):
            _add(-S[r, i], C[r, :last], M[i, :last])
    return count >= 0


@_jit
def _means(ensemble, mean):
    """The mean of the members (member, n)."""
    m = ensemble.shape[0]
    mean[:] = 0.0
    for i in range(m):
        _add(1.0, ensemble[i], mean)
    for j in range(mean.shape[0]):
        mean[j] /= m


@_jit
def _select(anomalies, innovations, points, roots, root_taper, group, S, d):
    """Rows of S and d for the observations that reach a group; their number.

    Group k is grid point k; the last one, K, is global and sees every observation in full.
    """
    K, m = root_taper.shape[0], anomalies.shape[0]
    scale = 1.0 / math.sqrt(m - 1.0)
    count = 0
    for r in range(points.shape[0]):
        weight = roots[r] if group == K else roots[r] * root_taper[(group - points[r]) % K]
        if weight > 0.0:
            d[count] = weight * innovations[r]
            for i in range(m):
                S[count, i] = weight * scale * anomalies[i, points[r]]
            count += 1
    return count


@_jit
def analyse(ensembles, points, values, roots, root_taper, order, starts):
    """Square-root analyses, in place, of every experiment and every group of state variables.

    Parameters
    ----------
    ensembles : (experiment, member, n) array
        Background members, replaced by the analysis; NaN where a factorization failed.
    points : (experiment, p) array of int
        Observed components of the state.
    values, roots : (experiment, p) array
        Observations, and 1 / (standard deviation of their error), 0 for a missing one.
    root_taper : (K,) array
        Square root of the localization by distance along the ring.
    order, starts : (n,), (K + 2,) arrays of int
        The components of the state sorted by group, and where each group starts.
    """
    m, n = ensembles.shape[1:]
    p, K = points.shape[1], root_taper.shape[0]
    size, half = min(p, m), math.sqrt(m - 1.0)
    S, d, mean, innovations, increment = np.empty((p, m)), np.empty(p), np.empty(n), np.empty(p), np.empty(n)
    anomalies, B = np.empty((m, n)), np.empty(size * size)
    M, C = np.empty(m * (n + 1)), np.empty(p * (n + 1))
    work = _work_space(max(size, 1), n + 1)
    for e in range(ensembles.shape[0]):
        ensemble = ensembles[e]
        _means(ensemble, mean)
        for i in range(m):
            for j in range(n):
                anomalies[i, j] = ensemble[i, j] - mean[j]
        for r in range(p):
            innovations[r] = values[e, r] - mean[points[e, r]] if roots[e, r] > 0.0 else 0.0
        for group in range(K + 1):
            columns = order[starts[group] : starts[group + 1]]
            c = columns.shape[0]
            if c == 0:
                continue
            count = _select(anomalies, innovations, points[e], roots[e], root_taper, group, S, d)
            if count == 0:
                continue
            block = M[: m * (c + 1)].reshape(m, c + 1)
            for i in range(m):
                for j in range(c):
                    block[i, j] = anomalies[i, columns[j]]
            change = increment[:c]
            change[:] = 0.0
            k = min(count, m)
            square = B[: k * k].reshape(k, k)
            if count < m:
                observed = C[: count * (c + 1)].reshape(count, c + 1)
                done = _update_by_observations(S[:count], d[:count], block, square, observed, work, change)
            else:
                done = _update_by_members(S[:count], d[:count], block, square, work, change)
            for i in range(m):
                for j in range(c):
                    moved = mean[columns[j]] + change[j] / half + block[i, j]
                    ensemble[i, columns[j]] = moved if done else np.nan


@_jit
def rotate(ensembles, normals):
    """Multiply the anomalies of (experiment, member, n), in place, by random orthogonal matrices that keep the mean.

    A reflection takes the direction of the mean to the first axis; in the space that remains a matrix uniform over the
    orthogonal group is the product of reflections made of normal vectors of falling length (Stewart 1980, SIAM J.
    Numer. Anal. 17, 403); the first reflection takes everything back. `normals` is (experiment, m (m - 1) / 2).
    """
    m, n = ensembles.shape[1:]
    anomalies, mean, row = np.empty((m, n)), np.empty(n), np.empty(n)
    to_mean, v = np.empty(m), np.empty(m)
    to_mean[:] = 1.0 / math.sqrt(m + math.sqrt(m))
    to_mean[0] *= 1.0 + math.sqrt(m)
    for e in range(ensembles.shape[0]):
        _means(ensembles[e], mean)
        for i in range(m):
            for j in range(n):
                anomalies[i, j] = ensembles[e, i, j] - mean[j]
        _reflect(to_mean, anomalies, row)
        start = 0
        for length in range(1, m):
            x, block = v[:length], anomalies[m - length :]
            x[:] = normals[e, start : start + length]
            start += length
            norm = math.sqrt(_dot(x, x))
            sign = 1.0 if x[0] > 0.0 else -1.0
            x[0] += sign * norm
            scale = math.sqrt(2.0 / _dot(x, x))
            for i in range(length):
                x[i] *= scale
            _reflect(x, block, row)
            for j in range(n):
                block[0, j] *= -sign
        _reflect(to_mean, anomalies, row)
        for i in range(m):
            for j in range(n):
                ensembles[e, i, j] = mean[j] + anomalies[i, j]
