"""Equations by multiple shooting: integrated over windows whose initial states are estimated with the coefficients."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from l96bench.equations.derivatives import SavitzkyGolay, WeakForm
from l96bench.equations.library import Candidates, RingLibrary
from l96bench.equations.regression import checked_trajectory, rms
from l96bench.equations.shooting_fit import Ring, fit, prune
from l96bench.equations.shooting_windows import Record, interpolated
from l96bench.errors import ModelError

__all__ = ["MultipleShooting"]

Array = NDArray[np.float64]
Terms = NDArray[np.int64]
_FLOOR = 1e-3
"""Noise that is assumed at least, in standard deviations of the variables."""
_GROWTH = 1.05
"""Growth of the residual up to which windows of twice the length are taken."""
_ROUNDS = 3
"""Fits after each of which terms may be dropped."""
_FINER = 4
"""RK4 steps of the fast variables in one of the slow ones."""
_ROWS = 8_000
"""Rows of the regression from which the slow equation starts."""
_SHARES = (0.03, 0.1, 0.3, 1.0)
"""Shares of calm fast variables in the regressions from which the fast equation starts."""
_INTERVALS, _WINDOWS = 400, 64
"""Intervals of these regressions, and windows of the first fits of the fast equation."""
_STAGES = ((0.1, False), (0.2, False), (0.4, False), (0.7, False), (0.4, True), (0.7, True))
"""Shares of calm fast variables that one fit after another uses, and whether it estimates initial states."""
_NODES, _WEIGHTS = (values.tolist() for values in np.polynomial.legendre.leggauss(5))


@dataclass(frozen=True, slots=True)
class _Plan:
    """The windows of one equation: `span` MTU together, each up to `longest` MTU, with a share `calm` of residuals."""

    span: float
    longest: float
    calm: float


_SLOW, _FAST = _Plan(30.0, 0.8, 1.0), _Plan(5.0, 0.05, 0.7)


class MultipleShooting(BaseEstimator):
    """Sparse equations by multiple shooting, the same at all points of the ring, for `equation-recovery`.

    The trajectory is cut into windows. In each, the equation of all candidates is integrated (RK4) from an initial
    state that is estimated too, so that neither derivatives nor noise-free states are needed (Bock 1983, Recent
    advances in parameter identification techniques for O.D.E., in Numerical Treatment of Inverse Problems in
    Differential and Integral Equations, 95-121). Gauss and Newton's steps minimize the squared distance to the
    observations; windows are doubled while the residual does not grow, as it does where something unseen acts. Terms
    whose absence costs least are then dropped, one by one (`least`, `share`), and the others are fitted again.

    Slow and fast variables are fitted one after the other. The fast equation, in which X is interpolated, is nonlinear
    within one sampling interval: its first coefficients are those of calm sectors, where it hardly is, and more and
    more active ones follow. Its integration from each sample to the next gives the sum of Y between samples, the input
    of the slow equation, which starts from least squares in the weak form. At most the first 30 MTU are used.

    Parameters
    ----------
    degree, radius, J : int
        Degree of the monomials, radius of the stencil of X (None: the whole ring) and observed fast variables per
        point, as of a `RingLibrary`.
    dt : float
        Longest RK4 step of X in MTU, four of that of Y.
    least, least_coupling : float
        Smallest cost of a term that is kept, in standard deviations of the noise: of monomials of the equation's own
        kind of variable, and of the coupling to the other kind.
    share : float
        Smallest cost of a monomial that is kept, as a share of the cost of all terms, both as roots of sums of squares.
        Monomials that stand for unseen variables make up to .03 on *hidden*.

    Attributes
    ----------
    candidates_, coefficients_ : tuple of Candidates, list of (term,) arrays
        For X, and for Y if there are fast variables.

    Examples
    --------
    >>> import l96bench
    >>> small = l96bench.Regime("small", K=8, J=0, F=8.0)
    >>> run = l96bench.simulate(small, 1.0, interval=0.05, spin_up=5.0)
    >>> model = l96bench.MultipleShooting(radius=2).fit(run.X, run.time)
    >>> (found,) = model.equations()
    >>> "X[k-2]*X[k-1]" in found and "X[k-1]*X[k+1]" in found
    True
    """

    def __init__(
        self,
        degree: int = 2,
        radius: int | None = 2,
        J: int = 0,
        dt: float = 0.01,
        least: float = 4.0,
        least_coupling: float = 2.0,
        share: float = 0.05,
    ) -> None:
        self.degree = degree
        self.radius = radius
        self.J = J
        self.dt = dt
        self.least = least
        self.least_coupling = least_coupling
        self.share = share

    def prepare(self) -> None:
        """Compile what a fit needs; `EquationRecovery` calls this before the time of problems begins to count."""
        K, steps = max(4, 2 * (self.radius or 0) + 1), np.arange(61)
        phases = np.arange(K * (1 + self.J))
        states = np.sin(5.0 * self.dt * steps[:, None] + phases * phases)
        copy.copy(self).fit(states, self.dt * steps)

    def fit(self, X: ArrayLike, t: ArrayLike) -> Self:
        """Find the equations of the states X (time, K + K J), observed at the times t (time,) in MTU.

        Raises `ModelError` if the data do not belong together, are too few, or the equations blow up at once.
        """
        states, interval = checked_trajectory(X, t)
        if not self.dt > 0:
            raise ModelError(f"expected a time step dt > 0, got {self.dt}")
        library = RingLibrary(self.degree, self.radius, self.J, pooled=True)
        self.candidates_ = library.candidates(states.shape[1])
        states = states[: 1 + round(_SLOW.span / interval)]
        K, steps = self.candidates_[0].K, max(1, math.ceil(interval / self.dt - 1e-9))
        slow, fast = states[:, :K], states[:, K:]
        start = _weak_start(slow, fast, interval, self.candidates_[0])
        with np.errstate(over="ignore", invalid="ignore"):  # integrations that blow up are among those tried
            if not self.J:
                self.coefficients_ = [self._selected(Record(slow, interval, steps, fast), 0, start, _SLOW)]
                return self
            smooth = SavitzkyGolay().schemes([slow], interval, [1])[0][0]
            record = Record(fast, interval, _FINER * steps, smooth)
            found = self._selected(record, 1, self._fast_start(record), _FAST)
            sums = _sums(record, self.candidates_[1], found)
            self.coefficients_ = [self._selected(Record(slow, interval, steps, sums), 0, start, _SLOW), found]
        return self

    def equations(self) -> list[str]:
        """Return the equation of all X and, if there are fast variables, that of all Y, with 10 significant digits."""
        pairs = zip(self.candidates_, self.coefficients_, strict=True)
        return [each.shared_text(values) for each, values in pairs]

    def _kept(self, candidates: Candidates, terms: Terms, c: Array, H: Array, variance: float) -> Terms:
        """Return the places of the terms that are kept; those of coupling have a threshold of their own."""
        coupling = np.array([any(name != candidates.kind for name, _ in term) for term in candidates.terms])[terms]
        least, share = np.where(coupling, self.least_coupling, self.least), np.where(coupling, 0.0, self.share)
        return prune(c, H, max(variance, _FLOOR**2), least, share)

    def _selected(self, record: Record, kind: int, start: Array, plan: _Plan) -> Array:
        """Return the coefficients of all terms after fits and droppings of terms in turn."""
        candidates = self.candidates_[kind]
        ring, terms = Ring.of(candidates), np.flatnonzero(start)
        c = start[terms]
        for _ in range(_ROUNDS):
            c, hessian, variance = _doubled(record, ring.only(terms), c, plan)
            keep = self._kept(candidates, terms, c, hessian, variance)
            changed, terms, c = len(keep) < len(terms), terms[keep], c[keep]
            if not changed or not len(terms):
                break
        found = np.zeros(len(start))
        found[terms] = c
        return found

    def _fast_start(self, record: Record) -> Array:
        """Return coefficients of the fast equation from calm sectors; those of clearly useless terms are 0."""
        candidates = self.candidates_[1]
        coarse, ring = replace(record, steps=max(1, record.steps // 2)), Ring.of(candidates)
        rows = coarse.calm_rows(_WINDOWS)
        shots = coarse.shots(rows, coarse.shortest)
        starts = [_calm_start(record, candidates, share) for share in _SHARES]
        c = starts[int(np.argmin([np.median(shots.sums(ring, each)) for each in starts]))]
        initial = None
        for share, free in _STAGES:
            shots = coarse.shots(rows, coarse.shortest, initial, share)
            c, shots, hessian, total = fit(ring, c, shots, free, 6, 0.03)
            initial = shots.initial
        variance = total / max(1, int(np.count_nonzero(shots.weights)) - shots.initial.size)
        keep = self._kept(candidates, np.arange(len(c)), c, hessian, variance)
        found = np.zeros(len(c))
        found[keep] = c[keep]
        return found


def _doubled(record: Record, ring: Ring, c: Array, plan: _Plan) -> tuple[Array, Array, float]:
    """Return coefficients, their reduced Hessian and the variance of residuals, from the longest windows that hold.

    Longer windows start from the initial states of the shorter ones, and are given up where the residual grows.
    """
    found: tuple[Array, Array, float] | None = None
    initial: Array | None = None
    for length, rows in record.windows(plan.span, plan.longest):
        shots = record.shots(rows, length, initial, plan.calm)
        tried, shots, hessian, total = fit(ring, c, shots, True, 6, 3e-3)
        variance = total / max(1, int(np.count_nonzero(shots.weights)) - shots.initial.size - len(c))
        if found is not None and math.sqrt(variance) > max(_FLOOR, _GROWTH * math.sqrt(found[2])):
            break
        c, initial = tried, shots.initial[::2]
        found = c, hessian, variance
    assert found is not None
    return found


def _calm_start(record: Record, candidates: Candidates, share: float) -> Array:
    """Return least squares of the increments of calm Y on the integrals of candidates along splines."""
    n = len(record.states)
    rows = np.unique(np.linspace(0, n - 2, min(n - 1, _INTERVALS)).astype(np.int64))
    Y, X = interpolated(record.states), interpolated(record.inputs)
    integrals = np.zeros((len(rows), candidates.n_targets, len(candidates.terms)))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        times = np.asarray(rows + 0.5 * (node + 1.0), dtype=np.float64)
        integrals += 0.5 * weight * record.interval * candidates.features(X(times), Y(times))
    calm = record.calm(rows, share)
    return _least_squares(integrals[calm], (record.states[rows + 1] - record.states[rows])[calm])


def _weak_start(slow: Array, fast: Array, interval: float, candidates: Candidates) -> Array:
    """Return least squares of the equation of X in the weak form."""
    stride = max(1, slow.size // _ROWS)
    _, (scheme,) = WeakForm().schemes([slow], interval, [stride])
    features = candidates.features(slow, fast, scheme.project)
    return _least_squares(features.reshape(-1, features.shape[2]), scheme.tendency.ravel())


def _least_squares(features: Array, values: Array) -> Array:
    scales = rms(features)
    return np.asarray(np.linalg.lstsq(features / scales, values, rcond=1e-8)[0] / scales)


def _sums(record: Record, candidates: Candidates, coefficients: Array) -> Array:
    """Return the sums of Y in the sectors after each sample but the last, (interval, 2 slow steps + 1, K).

    Y is integrated from each sample, and what is missing at the next sample is added in proportion to the time.
    """
    terms = np.flatnonzero(coefficients)
    ring, K, every = Ring.of(candidates).only(terms), candidates.K, _FINER // 2
    n, dt = len(record.states) - 1, record.interval / record.steps
    inputs = record.inputs_after(np.arange(n))
    parts = np.linspace(0.0, 1.0, record.steps // every + 1)[:, None]
    found = np.empty((n, len(parts), K))
    for row in range(n):
        path = ring.run(record.states[row], inputs[row], dt, coefficients[terms])[::every]
        missing = record.states[row + 1] - path[-1]
        if not np.isfinite(path).all():
            path, missing = np.repeat(path[:1], len(parts), axis=0), record.states[row + 1] - path[0]
        found[row] = (path + parts * missing).reshape(len(parts), K, -1).sum(axis=2)
    return found
