"""Numba kernels of the environments for the systems `first` .. `last` - 1; a system's bits depend on no other."""

from __future__ import annotations

import numpy as np

from l96bench.dynamics.resolved_kernels import advance_resolved
from l96bench.jit import kernel

FORECAST, TENDENCY, CLIMATE = 0, 1, 2
"""Rewards of `roll`."""


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


@kernel
def _reward(squares, rewards):
    """Compute minus the squares (K,): of every point for K rewards, or their mean for one."""
    K = squares.shape[0]
    if rewards.shape[0] == K:
        for k in range(K):
            rewards[k] = -squares[k]
    else:
        total = 0.0
        for k in range(K):
            total += squares[k]
        rewards[0] = -(total / K)


@kernel
def judge_forcing(actions, truth, at, active, mean, reach, variance, first, last, rewards):
    """Compute rewards of U = mean + reach action: minus its squared error from truth[at] over the variance."""
    K = truth.shape[1]
    squares = np.empty(K)
    for i in range(first, last):
        if active[i]:
            for k in range(K):
                error = mean + reach * np.float64(actions[i, k]) - truth[at[i], k]
                squares[k] = error * error / variance
            _reward(squares, rewards[i])
            at[i] += 1


@kernel
def roll(
    actions, X, U, truth, at, active, mean, reach, F, dt, bounds, left, kind, variance, first, last, rewards, terminated
):
    """Step the resolved model under U = mean + reach action, and fill rewards and which systems left the bounds."""
    K = X.shape[1]
    low, high = bounds
    for i in range(first, last):
        left[i] = -1 if active[i] else 0
        for k in range(K):
            U[i, k] = mean + reach * np.float64(actions[i, k])
    here = slice(first, last)
    advance_resolved(X[here], U[here], F[here], dt, low[here], high[here], high[here], left[here], 1)
    squares = np.empty(K)
    scale = 1.0 / (dt * dt) if kind == TENDENCY else 1.0
    for i in range(first, last):
        if active[i]:
            at[i] += 1
            terminated[i] = left[i] == 1
            if kind != CLIMATE:
                for k in range(K):
                    error = X[i, k] - truth[at[i], k]
                    squares[k] = error * error * scale / variance
                _reward(squares, rewards[i])
            if kind == TENDENCY:
                for k in range(K):
                    X[i, k] = truth[at[i], k]


@kernel
def _raise_function(value, low, width, weight, function):
    """Add one value's weight to a distribution function that is kept as means over cells (see `metrics.climate`)."""
    cells = function.shape[0]
    place = min(max((value - low) / width, 0.0), 1.0 * cells)
    cell = min(int(place), cells - 1)
    function[cell] += weight * (cell + 1 - place)
    for c in range(cell + 1, cells):
        function[c] += weight


@kernel
def judge_climate(
    X, active, terminated, steps, limit, past, functions, truth, low, width, std, distance, first, last, rewards
):
    """Fill the rewards with the decrease of the climate distance in a step that `roll` has made.

    functions (system, 3, cells) are distribution functions of value, change and difference so far, with weights for the
    whole episode; past (system, lag, K) are the latest states; distance (system,).
    """
    K, lag, cells = X.shape[1], past.shape[1], truth.shape[1]
    totals = (limit, limit - lag + 1, limit)
    for i in range(first, last):
        if active[i] and not terminated[i]:
            now = steps[i] + 1
            before = past[i, now % lag]
            for k in range(K):
                _raise_function(X[i, k], low[0], width[0], 1.0 / (K * totals[0]), functions[i, 0])
                difference = X[i, (k + 1) % K] - X[i, k]
                _raise_function(difference, low[2], width[2], 1.0 / (K * totals[2]), functions[i, 2])
                if now >= lag:
                    _raise_function(X[i, k] - before[k], low[1], width[1], 1.0 / (K * totals[1]), functions[i, 1])
                before[k] = X[i, k]
            new = 0.0
            for q in range(3):
                seen = (max(now - lag + 1, 0) if q == 1 else now) / totals[q]
                gap = 0.0
                for c in range(cells):
                    gap += abs(functions[i, q, c] - seen * truth[q, c])
                new += gap * width[q] / std[q] / 3.0
            rewards[i] = distance[i] - new
            distance[i] = new
