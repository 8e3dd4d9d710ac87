"""Gauss-Newton fits of the coefficients of equations to windows of a trajectory, with their initial states."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from l96bench.equations.library import Candidates, Factor
from l96bench.equations.shooting_kernels import normal_equations, trajectory
from l96bench.errors import ModelError

__all__ = ["Ring", "Shots", "fit", "prune"]

Array = NDArray[np.float64]
_ENOUGH = 0.5
"""Share of the windows in which an integration must not blow up."""
_HALVINGS = 20
_RIDGE = 1e-8
"""Share of each diagonal element that is added to it, for terms that the data cannot tell apart."""
_SHORTEST = 0.05
"""Shortest part of a Gauss-Newton step that is tried."""


@dataclass(frozen=True, slots=True)
class Ring:
    """One equation for all variables of a kind: `index` (target, number) and `factors` (term, degree), see kernels."""

    index: NDArray[np.int64]
    factors: NDArray[np.int64]

    @classmethod
    def of(cls, candidates: Candidates) -> Ring:
        """Return the ring of candidates; the inputs of X are the sums of sectors of Y, those of Y are X."""
        n = candidates.n_targets
        numbers: dict[Factor, int] = {}
        for term in candidates.terms:
            for factor in term:
                numbers.setdefault(factor, len(numbers) + 1)
        index = np.full((n, len(numbers) + 1), n)
        targets = np.arange(n)
        for (name, offset), number in numbers.items():
            if name == candidates.kind:
                index[:, number] = (targets + offset) % n
            else:
                index[:, number] = n + 1 + (targets if candidates.kind == "X" else targets // candidates.J)
        degree = max(1, *map(len, candidates.terms))
        factors = np.zeros((len(candidates.terms), degree), dtype=np.int64)
        for row, term in zip(factors, candidates.terms, strict=True):
            row[: len(term)] = [numbers[factor] for factor in term]
        return cls(index, factors)

    def only(self, terms: NDArray[np.int64]) -> Ring:
        """Return the equation with some of the terms."""
        return replace(self, factors=np.ascontiguousarray(self.factors[terms]))

    def run(self, z: Array, inputs: Array, dt: float, coefficients: Array) -> Array:
        """Return the states (step + 1, n) from z on; inputs (2 steps + 1, input)."""
        states: Array = trajectory(z, inputs, dt, self.index, self.factors, coefficients)
        return states


@dataclass(frozen=True, slots=True)
class Shots:
    """Windows of a trajectory, each with an initial state from which the equations are integrated.

    `observed` (window, sample, n) with the weights of their squared residuals, `initial` (window, n), `inputs` (window,
    sample - 1, 2 steps + 1, input), and the length of the RK4 steps in MTU.
    """

    observed: Array
    weights: Array
    initial: Array
    inputs: Array
    dt: float

    def sums(self, ring: Ring, coefficients: Array) -> Array:
        """Return the sum of squared residuals of each window, infinite where the integration blows up."""
        return self._solved(ring, coefficients, True, False)[0]

    def _solved(self, ring: Ring, coefficients: Array, free: bool, tangent: bool) -> tuple[Array, Array, Array]:
        found: tuple[Array, Array, Array] = normal_equations(
            self.observed,
            self.weights,
            self.initial,
            self.inputs,
            self.dt,
            ring.index,
            ring.factors,
            coefficients,
            free,
            tangent,
        )
        return found

    def step(self, ring: Ring, coefficients: Array, free: bool) -> tuple[Array, Array, Array]:
        """Return the Gauss-Newton step of the coefficients, that of the initial states, and the reduced Hessian.

        The initial states are eliminated window by window (Schur complement), so that the Hessian is that of the
        misfit at its best initial states.
        """
        n = self.initial.shape[1] if free else 0
        _, H, g = self._solved(ring, coefficients, free, True)
        solved = np.linalg.solve(H[:, :n, :n], np.concatenate([H[:, :n, n:], g[:, :n, None]], axis=2))
        cross = H[:, n:, :n]
        reduced = (H[:, n:, n:] - cross @ solved[:, :, :-1]).sum(axis=0)
        slope = (g[:, n:] - (cross @ solved[:, :, -1:])[:, :, 0]).sum(axis=0)
        step = _inverse(reduced) @ slope
        states = solved[:, :, -1] - solved[:, :, :-1] @ step if free else np.zeros_like(self.initial)
        return step, states, reduced


def fit(
    ring: Ring, coefficients: Array, shots: Shots, free: bool = True, steps: int = 8, tolerance: float = 1e-3
) -> tuple[Array, Shots, Array, float]:
    """Return coefficients, windows with fitted initial states (if `free`), reduced Hessian and sum of squares.

    Steps of Gauss and Newton are halved until they lower the sum, and end when one lowers it by less than a
    `tolerance` of it. Windows that blow up at first are left out if they are few; if they are many, the coefficients
    are halved, and `ModelError` is raised if that does not help.
    """
    sums = shots.sums(ring, coefficients)
    for _ in range(_HALVINGS):
        if np.isfinite(sums).mean() >= _ENOUGH:
            break
        coefficients = 0.5 * coefficients
        sums = shots.sums(ring, coefficients)
    lost = ~np.isfinite(sums)
    if lost.mean() > 1.0 - _ENOUGH:
        raise ModelError("the equations blow up within a window, whatever the size of their coefficients")
    if lost.any():
        shots = replace(shots, weights=shots.weights.copy())
        shots.weights[lost, 1:] = 0.0
    total = float(shots.sums(ring, coefficients).sum())
    floor = 1e-9 * shots.weights.max() * np.mean(shots.observed**2)
    for _ in range(steps):
        step, states, hessian = shots.step(ring, coefficients, free)
        part = 1.0
        while part >= _SHORTEST:
            tried = replace(shots, initial=shots.initial + part * states)
            new = float(tried.sums(ring, coefficients + part * step).sum())
            if new < total:
                break
            part *= 0.5
        else:
            break
        coefficients, shots, old, total = coefficients + part * step, tried, total, new
        if old - total < tolerance * old or total < floor:
            break
    return coefficients, shots, hessian, total


def prune(coefficients: Array, hessian: Array, variance: float, least: Array, share: Array) -> NDArray[np.int64]:
    """Return the terms that are kept when the cheapest one is dropped again and again.

    A term costs what its absence adds to the misfit at the best values of all others, in the quadratic model: c_i² over
    element (i, i) of the inverse Hessian (Wald's test). It stays if the root of this cost is at least `least` (term,)
    standard deviations of the noise, the root of `variance`, and at least a `share` (term,) of that of the absence of
    all terms.
    """
    left, c, inverse = np.arange(len(coefficients)), coefficients.copy(), _inverse(hessian)
    whole = max(float(c @ hessian @ c), 1e-300)
    while len(left):
        cost = np.sqrt(c**2 / np.diag(inverse))
        worth = cost / np.maximum(least[left] * np.sqrt(variance), share[left] * np.sqrt(whole))
        worst = int(np.argmin(worth))
        if worth[worst] >= 1.0:
            break
        c = c - inverse[:, worst] * c[worst] / inverse[worst, worst]
        inverse = inverse - np.outer(inverse[:, worst], inverse[worst]) / inverse[worst, worst]
        keep = np.arange(len(left)) != worst
        left, c, inverse = left[keep], c[keep], inverse[np.ix_(keep, keep)]
    return left


def _inverse(hessian: Array) -> Array:
    """Return the inverse of a Hessian with scaled, slightly raised diagonal."""
    scale = np.sqrt(np.diag(hessian))
    scale = np.where(scale > 0, scale, 1.0)
    inverse: Array = np.linalg.inv(hessian / np.outer(scale, scale) + _RIDGE * np.eye(len(scale)))
    return inverse / np.outer(scale, scale)
