"""The square-root filters as Numba kernels, in strict IEEE arithmetic like the kernels of the truth.

A cycle of hundreds of analyses amplifies the last bit of each, so an archive of increments has the same digest on every
CPU only without BLAS, LAPACK and libm; for 8 to 40 rows the factorization below is faster than LAPACK's too. With S =
R^{-1/2} H A / sqrt(m - 1), one row an observation and one column a member, d = R^{-1/2} (y - H mean), and the
eigenvalues l and eigenvectors V of S' S (members) or S S' (observations, when they are fewer), the analysis is

    mean + A' (I + S' S)^{-1} S' d / sqrt(m - 1)        and        (I + S' S)^{-1/2} A

(Hunt, Kostelich and Szunyogh 2007, Physica D 230, 112, section 2.3). V is kept as the reflections and rotations that
made it: the columns of A pass through them forth and back. Loops run over indices: slices cost more than short rows.
"""

from __future__ import annotations

import math

import numpy as np

from l96bench.jit import kernel

_EPSILON = 2.0**-52
_ITERATIONS = 8
"""The largest average number of iterations for each eigenvalue; 1.7 are usual."""


@kernel
def _tridiagonalize(B, d, e, w):
    """Reduce B to diagonals d and e by Householder; row k keeps v of the reflection I - v v' behind column k."""
    n = B.shape[0]
    for k in range(n - 2):
        square = 0.0
        for i in range(k + 1, n):
            square += B[k, i] * B[k, i]
        norm = math.sqrt(square)
        d[k] = B[k, k]
        e[k] = -norm if B[k, k + 1] > 0.0 else norm
        if norm == 0.0:
            continue
        scale = 1.0 / math.sqrt(norm * (norm + abs(B[k, k + 1])))
        B[k, k + 1] -= e[k]
        for i in range(k + 1, n):
            B[k, i] *= scale
            w[i] = 0.0
        for i in range(k + 1, n):
            f = B[k, i]
            for j in range(k + 1, n):
                w[j] += f * B[i, j]
        product = 0.0
        for i in range(k + 1, n):
            product += B[k, i] * w[i]
        for i in range(k + 1, n):
            w[i] -= 0.5 * product * B[k, i]
        for i in range(k + 1, n):
            f, g = B[k, i], w[i]
            for j in range(k + 1, n):
                B[i, j] -= f * w[j] + g * B[k, j]
    for k in range(max(n - 2, 0), n):
        d[k] = B[k, k]
        e[k] = B[k, k + 1] if k + 1 < n else 0.0


@kernel
def _diagonalize(d, e, cosines, sines, rows):
    """Make d the eigenvalues by implicit QL; return the number of stored rotations of rows (i, i + 1), -1 for failure.

    It is tql2 (Bowdler, Martin, Reinsch and Wilkinson 1968, Numerische Mathematik 11, 293).
    """
    n = d.shape[0]
    iterations, count = 0, 0
    for first in range(n):
        while True:
            last = first
            while last < n - 1 and not abs(e[last]) <= _EPSILON * (abs(d[last]) + abs(d[last + 1])):
                last += 1
            if last == first:
                break
            iterations += 1
            if iterations > _ITERATIONS * n:
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


@kernel
def _reflect(v, first, M, w):
    """Replace M by (I - v v') M for a v that is zero before `first`; w is work space."""
    n, c = M.shape
    for j in range(c):
        w[j] = 0.0
    for i in range(first, n):
        f = v[i]
        for j in range(c):
            w[j] += f * M[i, j]
    for i in range(first, n):
        f = v[i]
        for j in range(c):
            M[i, j] -= f * w[j]


@kernel
def _rotate_rows(cosine, sine, i, M):
    """Replace the rows i and i + 1 of M, (a, b), by (cosine a - sine b, sine a + cosine b)."""
    for j in range(M.shape[1]):
        a, b = M[i, j], M[i + 1, j]
        M[i, j] = cosine * a - sine * b
        M[i + 1, j] = sine * a + cosine * b


@kernel
def _to_eigenvectors(B, rotations, count, M, w):
    """Replace M by V' M."""
    cosines, sines, rows = rotations
    for k in range(B.shape[0] - 2):
        _reflect(B[k], k + 1, M, w)
    for t in range(count):
        _rotate_rows(cosines[t], sines[t], rows[t], M)


@kernel
def _from_eigenvectors(B, rotations, count, M, w):
    """Replace M by V M."""
    cosines, sines, rows = rotations
    for t in range(count - 1, -1, -1):
        _rotate_rows(cosines[t], -sines[t], rows[t], M)
    for k in range(B.shape[0] - 3, -1, -1):
        _reflect(B[k], k + 1, M, w)


@kernel
def _work_space(size, width):
    """Return a diagonal, off-diagonal, vector, storage for rotations, and a row of the given width."""
    most = _ITERATIONS * size * size
    rotations = (np.empty(most), np.empty(most), np.empty(most, np.int64))
    return np.empty(size), np.empty(size), np.empty(size), rotations, np.empty(width)


@kernel
def _update_by_members(S, d, M, B, work, change):
    """Replace the columns of M (member, column + 1), anomalies, by those of the analysis; the last is work space.

    `change` becomes sqrt(m - 1) times the increments of their means. Returns False if the factorization failed.
    """
    m, last = M.shape[0], M.shape[1] - 1
    eigenvalues, beside, vector, rotations, row = work
    eigenvalues, beside = eigenvalues[:m], beside[:m]
    for i in range(m):
        M[i, last] = 0.0
        for j in range(m):
            B[i, j] = 0.0
    for r in range(S.shape[0]):
        for i in range(m):
            f = S[r, i]
            M[i, last] += f * d[r]
            for j in range(m):
                B[i, j] += f * S[r, j]
    _tridiagonalize(B, eigenvalues, beside, vector)
    count = _diagonalize(eigenvalues, beside, *rotations)
    _to_eigenvectors(B, rotations, count, M, row)
    for i in range(m):
        square = 1.0 + max(eigenvalues[i], 0.0)
        f, g = M[i, last] / square, 1.0 / math.sqrt(square)
        for j in range(last):
            change[j] += f * M[i, j]
            M[i, j] *= g
    _from_eigenvectors(B, rotations, count, M, row)
    return count >= 0


@kernel
def _update_by_observations(S, d, M, B, C, work, change):
    """Update as `_update_by_members` with fewer observations than members; C (observation, column + 1) is work space.

    It uses (I + S' S)^{-1/2} = I - S' V g V' S with g = (1 - 1 / q) / l = 1 / (q (1 + q)), q = sqrt(1 + l).
    """
    (p, m), last = S.shape, M.shape[1] - 1
    eigenvalues, beside, vector, rotations, row = work
    eigenvalues, beside = eigenvalues[:p], beside[:p]
    for r in range(p):
        for s in range(r + 1):
            total = 0.0
            for i in range(m):
                total += S[r, i] * S[s, i]
            B[r, s] = B[s, r] = total
        for j in range(last):
            C[r, j] = 0.0
        C[r, last] = d[r]
        for i in range(m):
            f = S[r, i]
            for j in range(last):
                C[r, j] += f * M[i, j]
    _tridiagonalize(B, eigenvalues, beside, vector)
    count = _diagonalize(eigenvalues, beside, *rotations)
    _to_eigenvectors(B, rotations, count, C, row)
    for r in range(p):
        square = 1.0 + max(eigenvalues[r], 0.0)
        q = math.sqrt(square)
        f, g = C[r, last] / square, 1.0 / (q * (1.0 + q))
        for j in range(last):
            change[j] += f * C[r, j]
            C[r, j] *= g
    _from_eigenvectors(B, rotations, count, C, row)
    for r in range(p):
        for i in range(m):
            f = S[r, i]
            for j in range(last):
                M[i, j] -= f * C[r, j]
    return count >= 0


@kernel
def _centre(ensemble, mean, anomalies):
    """Split members (member, n) into their mean (n,) and anomalies."""
    m, n = ensemble.shape
    for j in range(n):
        mean[j] = 0.0
    for i in range(m):
        for j in range(n):
            mean[j] += ensemble[i, j]
    for j in range(n):
        mean[j] /= m
    for i in range(m):
        for j in range(n):
            anomalies[i, j] = ensemble[i, j] - mean[j]


@kernel
def _select(anomalies, innovations, points, roots, root_taper, group, S, d):
    """Return the number of observations that reach a group (a point, or K, which sees all), and fill S and d."""
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


@kernel
def analyse(ensembles, points, values, roots, root_taper, order, starts):
    """Compute square-root analyses, in place, of every experiment and every group of state variables.

    `ensembles` (experiment, member, n) become NaN where a factorization failed. `points`, `values`, `roots`
    (experiment, p) are observed components, observations, and 1 / (standard deviation of their error), 0 for a missing
    one. `root_taper` (K,) is the square root of the localization by distance along the ring. `order` (n,) holds the
    components sorted by group, and `starts` (K + 2,) where each group starts.
    """
    (_, m, n), p, K = ensembles.shape, points.shape[1], root_taper.shape[0]
    size, scale = min(p, m), 1.0 / math.sqrt(m - 1.0)
    S, d, mean, innovations, change = np.empty((p, m)), np.empty(p), np.empty(n), np.empty(p), np.empty(n)
    anomalies, B, M, C = np.empty((m, n)), np.empty(size * size), np.empty(m * (n + 1)), np.empty(p * (n + 1))
    work = _work_space(size, n + 1)
    for e in range(ensembles.shape[0]):
        _centre(ensembles[e], mean, anomalies)
        for r in range(p):
            innovations[r] = values[e, r] - mean[points[e, r]] if roots[e, r] > 0.0 else 0.0
        for group in range(K + 1):
            columns = order[starts[group] : starts[group + 1]]
            c = columns.shape[0]
            count = _select(anomalies, innovations, points[e], roots[e], root_taper, group, S, d) if c else 0
            if count == 0:
                continue
            block, k = M[: m * (c + 1)].reshape(m, c + 1), min(count, m)
            for j in range(c):
                change[j] = 0.0
                for i in range(m):
                    block[i, j] = anomalies[i, columns[j]]
            square = B[: k * k].reshape(k, k)
            if count < m:
                observed = C[: count * (c + 1)].reshape(count, c + 1)
                done = _update_by_observations(S[:count], d[:count], block, square, observed, work, change)
            else:
                done = _update_by_members(S[:count], d[:count], block, square, work, change)
            for i in range(m):
                for j in range(c):
                    moved = mean[columns[j]] + (scale * change[j] + block[i, j])
                    ensembles[e, i, columns[j]] = moved if done else np.nan


@kernel
def rotate(ensembles, normals):
    """Multiply the anomalies of (experiment, member, n), in place, by random orthogonal matrices that keep the mean.

    A reflection takes the direction of the mean to the first axis; in the space that remains a matrix uniform over the
    orthogonal group is the product of reflections made of normal vectors of growing length (Stewart 1980, SIAM J.
    Numer. Anal. 17, 403); the first reflection takes everything back. `normals` is (experiment, m (m - 1) / 2).
    """
    _, m, n = ensembles.shape
    anomalies, mean, row = np.empty((m, n)), np.empty(n), np.empty(n)
    to_axis, v = np.full(m, 1.0 / math.sqrt(m + math.sqrt(m))), np.empty(m)
    to_axis[0] *= 1.0 + math.sqrt(m)
    for e in range(ensembles.shape[0]):
        _centre(ensembles[e], mean, anomalies)
        _reflect(to_axis, 0, anomalies, row)
        drawn = 0
        for first in range(m - 1, 0, -1):
            square = 0.0
            for i in range(first, m):
                v[i] = normals[e, drawn]
                square += v[i] * v[i]
                drawn += 1
            norm = math.sqrt(square)
            scale = 1.0 / math.sqrt(norm * (norm + abs(v[first])))
            sign = 1.0 if v[first] > 0.0 else -1.0
            v[first] += sign * norm
            for i in range(first, m):
                v[i] *= scale
            _reflect(v, first, anomalies, row)
            for j in range(n):
                anomalies[first, j] *= -sign
        _reflect(to_axis, 0, anomalies, row)
        for i in range(m):
            for j in range(n):
                ensembles[e, i, j] = mean[j] + anomalies[i, j]


@kernel
def memory_polynomial(X, M, coefficients, low, high, slope, reach, U):
    """Fill U with the mean of a `RedNoiseModel`, in the order of operations of its graph; arrays are (n, K)."""
    powers, others = coefficients.shape
    for i in range(X.shape[0]):
        for k in range(X.shape[1]):
            x = X[i, k]
            inside = min(max(x, low), high)
            y = min(max(x - M[i, k], -reach), reach)
            total = 0.0
            for p in range(powers - 1, -1, -1):
                value = coefficients[p, others - 1]
                for q in range(others - 2, -1, -1):
                    value = value * y + coefficients[p, q]
                total = value if p == powers - 1 else total * inside + value
            U[i, k] = total + slope * (x - inside)
