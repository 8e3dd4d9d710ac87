"""Kernels of multiple shooting: polynomial right-hand sides on a ring, and their tangent-linear model.

All n variables have the same equation, a sum of terms. A term is a product of variables near its target: `factors`
(term, degree) number them, and `index` (target, number) says where each is in the *extended state*: n variables, the
constant 1, which is number 0 and completes terms of lower degree, and the inputs. `inputs` are what the equations hold
of other variables, known functions of time, at the ends and middles of all RK4 steps.
"""

from __future__ import annotations

import numpy as np

from l96bench.jit import kernel

__all__ = ["LIMIT", "normal_equations", "trajectory"]

LIMIT = 1e4
"""Mean weighted squared residual above which an integration has blown up: 100 standard deviations."""


@kernel
def _tendency(z, extended, index, factors, coefficients, tendency):  # type: ignore[no-untyped-def]
    """Set the tendency (n,) at a state z (n,), whose extended state holds the inputs."""
    extended[: len(z)] = z
    for i in range(len(z)):
        tendency[i] = 0.0
        for term in range(len(coefficients)):
            value = coefficients[term]
            for factor in factors[term]:
                value *= extended[index[i, factor]]
            tendency[i] += value


@kernel
def _tangent(z, T, extended, index, factors, coefficients, tendency, slope):  # type: ignore[no-untyped-def]
    """Set the tendency and its derivatives (n, column), given those of the state, T; coefficients are the last."""
    n, columns = T.shape
    degree, offset = factors.shape[1], columns - len(coefficients)
    extended[:n] = z
    partial = np.empty(index.shape[1])
    for i in range(n):
        partial[:] = 0.0
        tendency[i] = 0.0
        slope[i, :] = 0.0
        for term in range(len(coefficients)):
            value = 1.0
            for factor in factors[term]:
                value *= extended[index[i, factor]]
            slope[i, offset + term] = value
            tendency[i] += coefficients[term] * value
            for d in range(degree):
                others = coefficients[term]
                for e in range(degree):
                    if e != d:
                        others *= extended[index[i, factors[term, e]]]
                partial[factors[term, d]] += others
        for number in range(1, index.shape[1]):
            source = index[i, number]
            if source < n and partial[number] != 0.0:
                for c in range(columns):
                    slope[i, c] += partial[number] * T[source, c]


@kernel
def _advance(z, inputs, dt, index, factors, coefficients, extended, work):  # type: ignore[no-untyped-def]
    """Advance z by one RK4 step in place, given the inputs at its beginning, middle and end, (3, input)."""
    n = len(z)
    f, stage, new = work[0], work[1], work[2]
    stage[:] = z
    new[:] = z
    for number in range(4):
        extended[n + 1 :] = inputs[(number + 1) // 2]
        _tendency(stage, extended, index, factors, coefficients, f)
        whole = dt / 6.0 if number in (0, 3) else dt / 3.0
        part = dt if number == 2 else 0.5 * dt
        for i in range(n):
            new[i] += whole * f[i]
            stage[i] = z[i] + part * f[i]
    z[:] = new


@kernel
def trajectory(z, inputs, dt, index, factors, coefficients):  # type: ignore[no-untyped-def]
    """Return the states (step + 1, n) from z (n,) on, with inputs (2 steps + 1, input)."""
    steps = (len(inputs) - 1) // 2
    extended, work = np.ones(len(z) + 1 + inputs.shape[1]), np.empty((3, len(z)))
    states = np.empty((steps + 1, len(z)))
    states[0] = z
    for step in range(steps):
        states[step + 1] = states[step]
        _advance(states[step + 1], inputs[2 * step : 2 * step + 3], dt, index, factors, coefficients, extended, work)
    return states


@kernel
def _advance_tangent(z, T, inputs, dt, index, factors, coefficients, extended, work, works):  # type: ignore[no-untyped-def]
    """Advance z and its derivatives T by one RK4 step in place."""
    n, columns = T.shape
    f, stage, new = work[0], work[1], work[2]
    slope, stages, news = works[0], works[1], works[2]
    stage[:] = z
    new[:] = z
    stages[:] = T
    news[:] = T
    for number in range(4):
        extended[n + 1 :] = inputs[(number + 1) // 2]
        _tangent(stage, stages, extended, index, factors, coefficients, f, slope)
        whole = dt / 6.0 if number in (0, 3) else dt / 3.0
        part = dt if number == 2 else 0.5 * dt
        for i in range(n):
            new[i] += whole * f[i]
            stage[i] = z[i] + part * f[i]
            for c in range(columns):
                news[i, c] += whole * slope[i, c]
                stages[i, c] = T[i, c] + part * slope[i, c]
    z[:] = new
    T[:] = news


@kernel
def normal_equations(  # type: ignore[no-untyped-def]
    observed, weights, initial, inputs, dt, index, factors, coefficients, free, tangent
):
    """Return, for each window, the weighted sum of squared residuals, its Hessian and its negative half gradient.

    `observed` and `weights` are (window, sample, n), `initial` (window, n), `inputs` (window, sample - 1, 2 steps + 1,
    input). The Hessian (window, column, column), of Gauss and Newton, is by the initial state if `free`, then by the
    coefficients; without `tangent` only the sums are computed. A window that blows up, whose mean exceeds `LIMIT`, has
    an infinite sum.
    """
    windows, samples, n = observed.shape
    steps = (inputs.shape[2] - 1) // 2
    columns = (n if free else 0) + len(coefficients)
    sums = np.zeros(windows)
    hessians = np.zeros((windows if tangent else 0, columns, columns))
    gradients = np.zeros((windows if tangent else 0, columns))
    extended = np.ones(n + 1 + inputs.shape[3])
    work, works, T = np.empty((3, n)), np.empty((3, n, columns)), np.empty((n, columns))
    for w in range(windows):
        z = initial[w].copy()
        if tangent:
            T[:] = 0.0
            if free:
                for i in range(n):
                    T[i, i] = 1.0
        for sample in range(samples):
            for i in range(n):
                residual = observed[w, sample, i] - z[i]
                weight = weights[w, sample, i]
                if weight == 0.0:
                    continue
                sums[w] += weight * residual * residual
                if tangent:
                    for a in range(columns):
                        first = weight * T[i, a]
                        if first != 0.0:
                            gradients[w, a] += first * residual
                            for b in range(columns):
                                hessians[w, a, b] += first * T[i, b]
            if not sums[w] <= LIMIT * samples * n:
                sums[w] = np.inf
                break
            if sample < samples - 1:
                for step in range(steps):
                    part = inputs[w, sample, 2 * step : 2 * step + 3]
                    if tangent:
                        _advance_tangent(z, T, part, dt, index, factors, coefficients, extended, work, works)
                    else:
                        _advance(z, part, dt, index, factors, coefficients, extended, work)
    return sums, hessians, gradients
