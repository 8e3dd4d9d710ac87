"""Equations by multiple shooting: integrated over windows whose initial states are estimated with the coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from l96bench.equations.derivatives import SavitzkyGolay, WeakForm
from l96bench.equations.library import Candidates, RingLibrary
from l96bench.equations.regression import both_sides, checked_trajectory, rms
from l96bench.equations.shooting_fit import Ring, Shots, fit, prune
from l96bench.errors import ModelError

__all__ = ["MultipleShooting"]

Array = NDArray[np.float64]
_FLOOR = 1e-3
"""Noise that is assumed at least, in standard deviations of the variables."""
_GROWTH = 1.05
"""Growth of the misfit up to which windows of twice the length are taken."""
_LONGEST = 1.6
"""Length of the longest windows, in MTU."""
_SHORTEST = 0.04
"""Length of the shortest windows, in MTU, where samples are closer."""
_FINER = 4
"""RK4 steps of the fast variables in one of the slow ones."""
_SLOW_SPAN = 100.0
_FAST_SPAN, _FAST_LONGEST = 5.0, 0.1
"""Length of all windows for the fast variables together, in MTU."""
_STARTS = (0.03, 0.1, 0.3, 1.0)
"""Shares of calm fast variables from which the first coefficients are estimated."""
_STAGES = ((0.1, False), (0.2, False), (0.4, False), (0.7, False), (0.4, True), (0.7, True))
"""Shares of calm fast variables that one fit after another uses, and whether it estimates initial states."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)


class MultipleShooting(BaseEstimator):
    """Sparse equations, the same at all points of the ring, by multiple shooting, for `equation-recovery`."""

    def __init__(
        self, degree: int = 2, radius: int | None = 2, J: int = 0, dt: float = 0.01, least: float = 4.0, share: float = 0.022, least_coupling: float = 2.0
    ) -> None:
        self.degree = degree
        self.radius = radius
        self.J = J
        self.dt = dt
        self.least = least
        self.share = share
        self.least_coupling = least_coupling

    def fit(self, X: ArrayLike, t: ArrayLike) -> Self:
        states, interval = checked_trajectory(X, t)
        library = RingLibrary(self.degree, self.radius, self.J, pooled=True)
        self.candidates_ = library.candidates(states.shape[1])
        slow, K = self.candidates_[0], self.candidates_[0].K
        steps = max(1, math.ceil(interval / self.dt - 1e-9))
        observed = [states[:, :K], states[:, K:]]
        if not self.J:
            record = _Record(observed[0], interval, steps, np.empty((len(states), 0)))
            self.coefficients_ = [self._fit_slow(record, slow, states)]
            return self
        fast = self.candidates_[1]
        smooth = SavitzkyGolay().schemes(observed[:1], interval, [1])[0][0]
        record = _Record(observed[1], interval, _FINER * steps, smooth)
        found = self._fit_fast(record, fast)
        sums = _sums(record, fast, found)
        self.coefficients_ = [
            self._fit_slow(_Record(observed[0], interval, steps, sums), slow, states),
            found,
        ]
        return self

    def equations(self) -> list[str]:
        """Return the equation of all X and, if there are fast variables, that of all Y, with 10 significant digits."""
        pairs = zip(self.candidates_, self.coefficients_, strict=True)
        return [each.shared_text(values) for each, values in pairs]

    def _fit_slow(self, record: _Record, candidates: Candidates, states: Array) -> Array:
        start = _weak_start(states, record.interval, candidates)
        coupling = np.array([("S", 0) in term for term in candidates.terms])
        return self._ladder(record, Ring.of(candidates), start, _SLOW_SPAN, _LONGEST, coupling)

    def _ladder(self, record: _Record, ring: Ring, start: Array, span: float | None, longest: float, coupling) -> Array:
        terms, c = np.arange(len(ring.factors)), start
        share, least = np.where(coupling, 0.0, self.share), np.where(coupling, self.least_coupling, self.least)
        while True:
            c, hessian, variance = self._longer(record, ring.only(terms), c, span, longest)
            keep = prune(c, hessian, max(variance, _FLOOR**2), least[terms], share[terms])
            if len(keep) == len(terms) or not len(keep):
                break
            terms, c = terms[keep], c[keep]
        found = np.zeros(len(ring.factors))
        found[terms[keep]] = c[keep]
        return found

    def _longer(
        self, record: _Record, ring: Ring, c: Array, span: float | None, longest: float
    ) -> tuple[Array, Array, float]:
        best, shots = None, None
        for length, rows in record.windows(span, longest):
            initial = None if shots is None else shots.initial[::2]
            shots = record.shots(rows, length, initial)
            tried, shots, hessian, total = fit(ring, c, shots)
            variance = total / max(1, shots.observed.size - shots.initial.size - len(c))
            if self.verbose_: print("      length", length, len(shots.observed), "nu", np.sqrt(variance))
            if best is not None and np.sqrt(variance) > max(_FLOOR, _GROWTH * np.sqrt(best[2])):
                break
            c = tried
            best = c, hessian, variance
        return best

    verbose_ = False

    def _fit_fast(self, fine: _Record, candidates: Candidates) -> Array:
        ring = Ring.of(candidates)
        record = replace(fine, steps=max(1, fine.steps // 2))
        rows = record.calm_rows(80)
        shots = record.shots(rows, max(1, round(_SHORTEST / record.interval)))
        starts = [_calm_start(record, candidates, share) for share in _STARTS]
        misfits = [np.median(shots.sums(ring, c)) for c in starts]
        c = starts[int(np.argmin(misfits))]
        if self.verbose_: print("     start", misfits, c)
        for share, free in _STAGES:
            weighted = replace(shots, weights=record.calm_weights(shots.observed, share))
            c, after, hessian, total = fit(ring, c, weighted, free, 6, 0.03)
            if free: shots = replace(shots, initial=after.initial)
            if self.verbose_: print("     stage", share, free, total, c)
        n = weighted.weights.astype(bool).sum() - shots.initial.size
        nu2 = max(total / n, _FLOOR**2)
        keep = prune(c, hessian, nu2, np.full(len(c), self.least), np.full(len(c), self.share))
        if self.verbose_: print("     kept", [candidates.symbols()[i] for i in keep])
        found = np.zeros(len(c))
        coupling = np.array([("X", 0) in term for term in candidates.terms])
        found[keep] = self._ladder(fine, ring.only(keep), c[keep], _FAST_SPAN, _FAST_LONGEST, coupling[keep])
        return found


@dataclass(frozen=True, slots=True)
class _Record:
    """A trajectory of variables (time, n) of one kind, RK4 steps within an interval, and inputs of their equations.

    The inputs are (time, input), or (time, 2 steps + 1, input).
    """

    states: Array
    interval: float
    steps: int
    inputs: Array

    def windows(self, span, longest):
        """Yield lengths, from the shortest on, each twice the one before, and first samples of windows.

        Two windows in sequence make one of the next length.
        """
        n = len(self.states) - 1
        first = min(n, max(1, round(_SHORTEST / self.interval)))
        doublings = max(0, int(math.log2(min(longest / (first * self.interval), n / (4 * first)) + 1e-9)))
        whole = first << doublings
        number = max(1, min(n // whole, round(span / (whole * self.interval))))
        starts = np.linspace(0, n - whole, number).astype(int)
        for doubling in range(doublings + 1):
            length = first << doubling
            yield length, (starts[:, None] + np.arange(0, whole, length)).ravel()

    def shots(self, rows, length: int, initial=None) -> Shots:
        observed = self.states[rows[:, None] + np.arange(length + 1)]
        inputs = self.between(rows[:, None] + np.arange(length))
        weights = np.full(observed.shape, 1.0 / self.states.var())
        return Shots(observed, weights, observed[:, 0].copy() if initial is None else initial, inputs, self.interval / self.steps)

    def between(self, samples) -> Array:
        """Return the inputs after samples (..), (.., 2 steps + 1, input)."""
        if self.inputs.ndim == 3:
            return self.inputs[samples]
        parts = np.linspace(0.0, 1.0, 2 * self.steps + 1)
        return self._spline(self.inputs)(samples[..., None] + parts)

    def _spline(self, values: Array):
        from scipy.interpolate import CubicSpline

        if not values.shape[1]:
            return lambda times: np.empty((*times.shape, 0))
        return CubicSpline(np.arange(len(values)), values)

    def activity(self) -> Array:
        """Return the largest size of the variables nearby at each sample (time, n)."""
        return _nearby(self.states)

    def calm_rows(self, number: int):
        span = max(1, round(_SHORTEST / self.interval))
        act = self.activity()
        last = len(act) - span
        size = np.quantile(np.maximum(act[:last], act[span:]), 0.3, axis=1)
        spread = np.linspace(0, last - 1, number // 2).astype(int)
        return np.unique(np.concatenate([np.argsort(size)[: number // 2], spread]))

    def calm_weights(self, observed, share):
        act = _nearby(observed).max(axis=1)
        weights = np.full(observed.shape, 1.0 / self.states.var())
        weights[:, 1:] *= (act <= np.quantile(act, share))[:, None]
        return weights


def _nearby(states: Array) -> Array:
    size = np.abs(states)
    return np.max([np.roll(size, shift, axis=-1) for shift in range(-3, 4)], axis=0)


def _calm_start(record: _Record, candidates: Candidates, share: float) -> Array:
    n = len(record.states)
    rows = np.unique(np.linspace(0, n - 2, min(n - 1, 600)).astype(int))
    Y, X = record._spline(record.states), record._spline(record.inputs)
    sums = 0.0
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        times = rows + 0.5 * (node + 1.0)
        sums = sums + 0.5 * weight * record.interval * candidates.features(X(times), Y(times))
    act = np.maximum(record.activity()[rows], record.activity()[rows + 1])
    calm = act <= np.quantile(act, share)
    return _least_squares(sums[calm], (record.states[rows + 1] - record.states[rows])[calm])


def _weak_start(states: Array, interval: float, candidates: Candidates) -> Array:
    K = candidates.K
    groups = [states[:, :K], states[:, K:]]
    smooth, schemes = WeakForm().schemes(groups[:1], interval, [max(1, len(states) * K // 8000)])
    features = candidates.features(smooth[0], groups[1], schemes[0].project)
    return _least_squares(features.reshape(-1, features.shape[2]), schemes[0].tendency.ravel())


def _least_squares(features: Array, values: Array) -> Array:
    scales = rms(features)
    return np.linalg.lstsq(features / scales, values, rcond=1e-8)[0] / scales


def _sums(record: _Record, candidates: Candidates, coefficients: Array) -> Array:
    """Return the sums of Y in the sectors after each sample but the last, (time, 2 steps + 1, K), of the slow steps."""
    terms = np.flatnonzero(coefficients)
    ring, c = Ring.of(candidates).only(terms), coefficients[terms]
    K, J, n = candidates.K, candidates.J, len(record.states) - 1
    inputs = record.between(np.arange(n))
    every = _FINER // 2
    parts = np.linspace(0.0, 1.0, record.steps // every + 1)[:, None]
    found = np.empty((n, len(parts), K))
    for row in range(n):
        path = ring.run(record.states[row], inputs[row], record.interval / record.steps, c)[::every]
        path = path + parts * (record.states[row + 1] - path[-1])
        found[row] = path.reshape(-1, K, J).sum(axis=2)
    return found
