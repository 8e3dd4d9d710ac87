"""Numba kernels of the environments for the systems `first` .. `last` - 1; a system's bits depend on no other."""

from __future__ import annotations

import numpy as np

from l96bench.dynamics.resolved_kernels import advance_resolved
from l96bench.jit import inline_kernel, kernel

FORECAST, TENDENCY, OTHER = 0, 1, 2
"""The rewards that `roll` fills in; others are left to a kernel of their own."""


@kernel
def clip_actions(actions, low, high, tolerance):
    """Cut off `actions` (n, m) at [low, high]; return -1, or the place of the first one that is further outside."""
    flat = actions.reshape(-1)
    good = True
    for m in range(flat.shape[0]):
        good &= (flat[m] >= low - tolerance) & (flat[m] <= high + tolerance)
    if not good:
        for m in range(flat.shape[0]):
            if not low - tolerance <= flat[m] <= high + tolerance:
                return m
    for m in range(flat.shape[0]):
        flat[m] = min(max(flat[m], np.float32(low)), np.float32(high))
    return -1


@kernel
def count_steps(steps, active, limit, terminated, truncated, ended):
    """Count a step of the active systems and truncate those at the limit; return whether any ended, and which."""
    any_ended = False
    for i in range(steps.shape[0]):
        if active[i]:
            steps[i] += 1
        truncated[i] = active[i] and steps[i] >= limit and not terminated[i]
        ended[i] = terminated[i] or truncated[i]
        any_ended |= ended[i]
    return any_ended


@kernel
def observe(X, rows, mean, std, bound, radius, first, last, out):
    """Compute (X[rows] - mean) / std, cut off at +-bound, as float32; with radius >= 0 the stencil of every point."""
    K = X.shape[1]
    width = 2 * radius + 1
    z = np.empty(K, np.float32)
    for i in range(first, last):
        for k in range(K):
            z[k] = min(max((X[rows[i], k] - mean) / std, -bound), bound)
        if radius < 0:
            for k in range(K):
                out[i, k] = z[k]
        else:
            for k in range(K):
                for d in range(width):
                    out[i, k * width + d] = z[(k + d - radius) % K]


@inline_kernel
def _reward(penalties, rewards):
    """Compute minus the penalties (K,): of every point for K rewards, or their mean for one."""
    K = penalties.shape[0]
    if rewards.shape[0] == K:
        for k in range(K):
            rewards[k] = -penalties[k]
    else:
        total = 0.0
        for k in range(K):
            total += penalties[k]
        rewards[0] = -(total / K)


@kernel
def judge_forcing(actions, truth, at, active, mean, reach, unit, first, last, rewards):
    """Compute rewards of U = mean + reach action: minus its squared error from truth[at] over the unit."""
    K = truth.shape[1]
    squares = np.empty(K)
    for i in range(first, last):
        if active[i]:
            for k in range(K):
                error = mean + reach * np.float64(actions[i, k]) - truth[at[i], k]
                squares[k] = error * error / unit
            _reward(squares, rewards[i])
            at[i] += 1


@kernel
def roll(
    actions, X, U, truth, at, active, mean, reach, F, dt, bounds, left, kind, unit, first, last, rewards, terminated
):
    """Step the resolved model under U = mean + reach action, and fill rewards and which systems left the bounds.

    X, U, F, bounds and left are of runs: those of the members of a system lie side by side.
    """
    K, members = X.shape[1], X.shape[0] // active.shape[0]
    low, high = bounds
    for m in range(members):
        for i in range(first, last):
            left[i * members + m] = -1 if active[i] else 0
    own = actions.reshape(X.shape)
    for run in range(first * members, last * members):
        for k in range(K):
            U[run, k] = mean + reach * np.float64(own[run, k])
    here = slice(first * members, last * members)
    advance_resolved(X[here], U[here], F[here], dt, low[here], high[here], high[here], left[here], 1)
    penalties = np.empty(K)
    for i in range(first, last):
        if active[i]:
            at[i] += 1
            for m in range(members):
                terminated[i] |= left[i * members + m] == 1
            if kind != OTHER:
                for k in range(K):
                    error = X[i, k] - truth[at[i], k]
                    penalties[k] = error * error / unit
                _reward(penalties, rewards[i])
            if kind == TENDENCY:
                for k in range(K):
                    X[i, k] = truth[at[i], k]


@kernel
def judge_ensembles(X, truth, at, active, members, unit, first, last, rewards):
    """Fill the rewards of all members with minus the fair CRPS of their ensemble (Ferro 2014) over the unit.

    X (system and member, K) are the states to which `roll` has come.
    """
    K = X.shape[1]
    each = rewards.shape[1] // members
    scores, own = np.empty(K), np.empty(each)
    for i in range(first, last):
        if active[i]:
            for k in range(K):
                error, apart = 0.0, 0.0
                for m in range(i * members, (i + 1) * members):
                    error += abs(X[m, k] - truth[at[i], k])
                    for other in range(i * members, m):
                        apart += abs(X[m, k] - X[other, k])
                scores[k] = (error / members - apart / (members * (members - 1))) / unit
            _reward(scores, own)
            for m in range(members):
                rewards[i, m * each : (m + 1) * each] = own


@inline_kernel
def _place(value, low, width, weight, steps):
    """Add one value's weight to the steps of a distribution function that is kept as means over cells."""
    cells = steps.shape[0] - 1
    place = min(max((value - low) / width, 0.0), 1.0 * cells)
    cell = min(int(place), cells - 1)
    steps[cell] += weight * (cell + 1 - place)
    steps[cell + 1] += weight * (place - cell)


@kernel
def judge_climate(
    X, truth, at, active, terminated, steps, limit, past, apart, low, width, std, unit, distance, first, last, rewards
):
    """Fill the rewards with the fall of the distance of distributions in a step that `roll` has made.

    apart (system, 3, cells + 1) holds the steps from cell to cell of the distribution functions of value, change and
    difference so far, the model's less the truth's, with weights for the whole episode; past (system, lag, K) are the
    model's latest states; distance (system,).
    """
    K, lag, cells = X.shape[1], past.shape[1], apart.shape[2] - 1
    w_value, w_change = 1.0 / (K * limit), 1.0 / (K * (limit - lag + 1))
    for i in range(first, last):
        if active[i] and not terminated[i]:
            now = steps[i] + 1
            before, true = past[i, now % lag], truth[at[i]]
            for k in range(K):
                after = (k + 1) % K
                _place(X[i, k], low[0], width[0], w_value, apart[i, 0])
                _place(true[k], low[0], width[0], -w_value, apart[i, 0])
                if now >= lag:
                    _place(X[i, k] - before[k], low[1], width[1], w_change, apart[i, 1])
                    _place(true[k] - truth[at[i] - lag, k], low[1], width[1], -w_change, apart[i, 1])
                _place(X[i, after] - X[i, k], low[2], width[2], w_value, apart[i, 2])
                _place(true[after] - true[k], low[2], width[2], -w_value, apart[i, 2])
                before[k] = X[i, k]
            new = 0.0
            for q in range(3):
                height, gap = 0.0, 0.0
                for c in range(cells):
                    height += apart[i, q, c]
                    gap += abs(height)
                new += gap * width[q] / std[q] / 3.0
            rewards[i] = (distance[i] - new) / unit
            distance[i] = new


@kernel
def judge_equations(
    actions,
    reach,
    gram,
    moment,
    left,
    residual,
    units,
    true_gram,
    true_moment,
    is_true,
    weights,
    operator,
    f1,
    worth,
    systems,
    first,
    last,
):
    """Fill in what the equations of systems[first:last] leave of the data, their F1, operator residual and worth.

    All but is_true (system, kind, term) and weights (kind, term) are (system, agent, kind, ..), worth (system, agent).
    """
    _, agents, kinds, n = actions.shape
    a, b, e, t = np.empty((4, n))
    for place in range(first, last):
        i = systems[place]
        for agent in range(agents):
            worth[i, agent] = 0.0
            for kind in range(kinds):
                here = (i, agent, kind)
                e[:], t[:] = 0.0, 0.0
                found, right, known = 0.0, 0.0, 0.0
                for c in range(n):
                    a[c] = reach * actions[here][c]
                    b[c] = a[c] * units[here][c]
                    for d in range(n):
                        e[d] += gram[here][c, d] * a[c]
                        t[d] += true_gram[here][c, d] * b[c]
                    w = weights[kind, c]
                    found += w if a[c] != 0.0 else 0.0
                    known += w if is_true[i, kind, c] else 0.0
                    right += w if a[c] != 0.0 and is_true[i, kind, c] else 0.0
                square, true_square = 1.0, 1.0
                for c in range(n):
                    left[here][c] = moment[here][c] - e[c]
                    square += a[c] * (e[c] - 2.0 * moment[here][c])
                    true_square += b[c] * (t[c] - 2.0 * true_moment[here][c])
                residual[here] = np.sqrt(max(square, 0.0))
                operator[here] = np.sqrt(max(true_square, 0.0))
                f1[here] = 2.0 * right / (found + known)
                worth[i, agent] += (f1[here] + 1.0 - operator[here]) / kinds
