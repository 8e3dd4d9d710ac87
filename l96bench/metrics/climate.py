"""Statistics of long free runs, and their distance from those of the truth.

A run is ``X`` of shape ``(time, member, K)``, sampled every ``interval`` MTU; `ValueError` unless it is finite. Members
are processed one at a time, so memory beyond the run itself stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from l96bench.checks import whole_multiple
from l96bench.metrics.arrays import FloatArray, checked_run
from l96bench.metrics.bounds import BOUND

Quantity = Literal["value", "change", "difference"]
"""``value`` X_k, ``change`` X_k(t + 0.2) - X_k(t), ``difference`` X_{k+1} - X_k around the ring."""

QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
CHANGE_LAG = 0.2
"""Lag of ``change`` in MTU."""


def quantity(name: Quantity, X: FloatArray, interval: float) -> FloatArray:
    """Return one of the three quantities whose distributions make up the climate distance.

    Parameters
    ----------
    name : {"value", "change", "difference"}
        Of X itself, of its change over 0.2 MTU, or of the difference of neighbours.
    X : (time, ..., K) array
        A run.
    interval : float
        MTU between samples, which must divide 0.2 MTU for the change.

    Returns
    -------
    array of the shape of X
        In units of X; with fewer times for the change.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> X = np.arange(12.0).reshape(6, 2)
    >>> metrics.quantity("change", X, interval=0.1)[:, 0]
    array([4., 4., 4., 4.])
    """
    if name == "value":
        return X
    if name == "difference":
        return np.asarray(np.roll(X, -1, axis=-1) - X, dtype=np.float64)
    if name == "change":
        steps = whole_multiple(CHANGE_LAG, interval, "the lag of change")
        if len(X) <= steps:
            raise ValueError(f"change needs more than {CHANGE_LAG} MTU, got {len(X)} samples every {interval} MTU.")
        return np.asarray(X[steps:] - X[:-steps], dtype=np.float64)
    raise ValueError(f"unknown quantity {name!r}: expected one of {QUANTITIES}.")


@dataclass(frozen=True, slots=True)
class DistanceGrid:
    """The equally wide cells on which distributions of each quantity are compared, and the scales of the truth.

    The cells are fixed by the truth, never by a prediction: they cover X within 10 standard deviations of its mean, and
    changes and differences within 20 standard deviations of X, which is all that a run that counts as surviving can
    reach. Whatever lies outside counts as if it lay on the nearer end.

    Parameters
    ----------
    mean, std : tuple of 3 floats
        Of the truth's value, change and difference.
    low, high : tuple of 3 floats
        The range of the cells.
    cells : int
        Number of cells for each quantity.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> truth = np.random.default_rng(0).standard_normal((400, 2, 8))
    >>> grid = metrics.DistanceGrid.from_truth(truth, interval=0.05)
    >>> grid.low[0] < -9.0, grid.cells > 100
    (True, True)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    cells: int

    @classmethod
    def from_truth(cls, X: ArrayLike, interval: float, cells: int = 2000) -> DistanceGrid:
        """The grid of a long run of the truth, X (time, member, K).

        With 2,000 cells the width is 0.01 (value) and 0.02 (change and difference) standard deviations of X. Raises
        `ValueError` if the run is not finite or a quantity does not vary.
        """
        run = checked_run(X)
        values = [quantity(name, run, interval) for name in QUANTITIES]
        mean = tuple(float(v.mean()) for v in values)
        std = tuple(float(v.std()) for v in values)
        if min(std) == 0:
            raise ValueError(f"the truth must vary in {QUANTITIES}, got standard deviations {std}.")
        centre, reach = (mean[0], 0.0, 0.0), (BOUND * std[0], 2 * BOUND * std[0], 2 * BOUND * std[0])
        low = tuple(c - r for c, r in zip(centre, reach, strict=True))
        high = tuple(c + r for c, r in zip(centre, reach, strict=True))
        return cls(mean, std, low, high, cells)

    @property
    def width(self) -> FloatArray:
        """Width of the cells of each quantity, in units of X; array (3,)."""
        return np.asarray(np.subtract(self.high, self.low) / self.cells, dtype=np.float64)


def _cell_means(values: FloatArray, low: float, width: float, cells: int) -> FloatArray:
    """Mean of the empirical distribution function over each cell; array (cells,)."""
    with np.errstate(over="ignore"):
        position = np.clip((values.ravel() - low) / width, 0, cells)
    cell = np.minimum(position.astype(np.intp), cells - 1)
    count = np.bincount(cell, minlength=cells)
    # A value raises the function over the part of its own cell to its right, and over all of the later cells.
    own = np.bincount(cell, weights=cell + 1 - position, minlength=cells)
    return np.asarray((np.cumsum(count) - count + own) / values.size, dtype=np.float64)


def member_cdfs(X: ArrayLike, interval: float, grid: DistanceGrid) -> FloatArray:
    """Return every member's empirical distribution functions of the three quantities, on the grid.

    What is kept is the functions' mean over each cell, not its value at points: then the integral of F - G over a cell
    is exact, whatever the cells' width. Functions of pooled or resampled members are (weighted) means over the first
    axis.

    Parameters
    ----------
    X : (time, member, K) array
        A run.
    interval : float
        MTU between samples.
    grid : DistanceGrid
        The cells.

    Returns
    -------
    (member, 3, cells) array
        From 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> truth = np.random.default_rng(0).standard_normal((400, 2, 8))
    >>> grid = metrics.DistanceGrid.from_truth(truth, interval=0.05)
    >>> cdfs = metrics.member_cdfs(truth, 0.05, grid)
    >>> cdfs.shape == (2, 3, grid.cells), float(cdfs.max())
    (True, 1.0)
    """
    run = checked_run(X)
    cdfs = np.empty((run.shape[1], len(QUANTITIES), grid.cells))
    width = grid.width
    for member in range(run.shape[1]):
        states = np.ascontiguousarray(run[:, member])
        for i, name in enumerate(QUANTITIES):
            with np.errstate(over="ignore"):
                values = quantity(name, states, interval)
            cdfs[member, i] = _cell_means(values, grid.low[i], width[i], grid.cells)
    return cdfs


def wasserstein(cdf_a: FloatArray, cdf_b: FloatArray, grid: DistanceGrid) -> FloatArray:
    """Return the 1-Wasserstein distance of each quantity, divided by the truth's standard deviation of that quantity.

    In one dimension it is the integral of ``|F - G|`` (Vallender 1974). The sum over cells of ``|integral of F - G|``
    equals it but for the cells in which F - G changes sign. It is never larger, and smaller by at most half a cell's
    width for a run that stays at one value; for chaotic runs the two differ by less than 1e-4 standard deviations. At
    most it is the width of the grid's range.

    Parameters
    ----------
    cdf_a, cdf_b : (..., 3, cells) array
        From `member_cdfs` on that grid, usually pooled over members; leading axes broadcast.
    grid : DistanceGrid
        The cells, and the standard deviations.

    Returns
    -------
    (..., 3) array
        At least 0, without unit.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> truth = np.random.default_rng(0).standard_normal((400, 2, 8))
    >>> grid = metrics.DistanceGrid.from_truth(truth, interval=0.05)
    >>> a, b = (metrics.member_cdfs(truth + shift, 0.05, grid).mean(axis=0) for shift in (0.0, 0.5))
    >>> metrics.wasserstein(a, b, grid).round(2)  # a shift changes neither changes nor differences
    array([0.5, 0. , 0. ])
    """
    gap = np.subtract(cdf_a, cdf_b)
    if gap.shape[-2:] != (len(QUANTITIES), grid.cells):
        raise ValueError(f"expected distribution functions (..., 3, {grid.cells}) of this grid, got {gap.shape}.")
    return np.asarray(np.abs(gap, out=gap).sum(axis=-1) * (grid.width / np.asarray(grid.std)), dtype=np.float64)


def climate_distance(cdf_a: FloatArray, cdf_b: FloatArray, grid: DistanceGrid) -> FloatArray:
    """Return the mean of the three distances of `wasserstein`: the climate distance D of a run from the truth.

    Parameters
    ----------
    cdf_a, cdf_b : (..., 3, cells) array
        As for `wasserstein`.
    grid : DistanceGrid
        The cells, and the standard deviations.

    Returns
    -------
    (...) array
        At least 0, without unit.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> truth = np.random.default_rng(0).standard_normal((400, 2, 8))
    >>> grid = metrics.DistanceGrid.from_truth(truth, interval=0.05)
    >>> a, b = (metrics.member_cdfs(truth + shift, 0.05, grid).mean(axis=0) for shift in (0.0, 0.5))
    >>> round(float(metrics.climate_distance(a, b, grid)), 2)
    0.17
    """
    return np.asarray(wasserstein(cdf_a, cdf_b, grid).mean(axis=-1), dtype=np.float64)


def wave_amplitudes(X: FloatArray, mean: float) -> FloatArray:
    """Amplitudes of waves 1 .. K // 2 around the ring, (time, member, K // 2), in units of X.

    On a homogeneous ring these Fourier modes are the empirical orthogonal functions.
    """
    K = X.shape[-1]
    waves = np.abs(np.fft.rfft(X - mean, axis=-1))[..., 1:] * (2.0 / K)
    if K % 2 == 0:
        waves[..., -1] *= 0.5
    return np.asarray(waves, dtype=np.float64)


def leading_waves(amplitudes: FloatArray) -> tuple[int, int]:
    """The two wavenumbers that carry most variance, the stronger first, of amplitudes (..., wave)."""
    power = np.square(amplitudes).reshape(-1, amplitudes.shape[-1]).mean(axis=0)
    first, second = np.argsort(-power, kind="stable")[:2] + 1
    return int(first), int(second)


class Recall:
    """Measure how far runs stay from the training data, beside the truth: 1 for the truth, 0 for a copy.

    Windows of half an MTU, five states 0.1 MTU apart, are compared with all windows of the training trajectory, turned
    around the ring in every way.

    Parameters
    ----------
    training : (time, K) array
        The training trajectory, every 0.05 MTU.
    truth : (time, member, K) array
        An independent sample of the truth, every 0.05 MTU.
    """

    STATES, EVERY, QUERIES = 5, 2, 1024

    def __init__(self, training: ArrayLike, truth: ArrayLike) -> None:
        self.library = self._windows(np.asarray(training, dtype=np.float64)[:, None])[:, 0]
        self.truth = self._distance(np.asarray(truth))

    def of(self, X: ArrayLike) -> float:
        """Median distance of windows of a run (time, member, K) from the nearest of training, over the truth's."""
        return self._distance(np.asarray(X)) / self.truth

    @classmethod
    def _windows(cls, X: FloatArray) -> FloatArray:
        """Windows (time, member, state, K)."""
        n = len(X) - cls.EVERY * (cls.STATES - 1)
        return np.stack([X[i * cls.EVERY : i * cls.EVERY + n] for i in range(cls.STATES)], axis=2)

    def _distance(self, X: FloatArray) -> float:
        K = X.shape[-1]
        n = self.QUERIES // K
        n_windows, n_members = len(X) - self.EVERY * (self.STATES - 1), X.shape[1]
        picked = np.linspace(0, n_windows * n_members - 1, n).astype(np.int64)
        times, members = np.divmod(picked, n_members)
        queries = np.stack(
            [X[times + i * self.EVERY, members] for i in range(self.STATES)], axis=1
        )  # (query, state, K)
        turned = np.stack([np.roll(queries, turn, axis=-1) for turn in range(K)]).reshape(K * n, -1)
        nearest = np.full(n, np.inf)
        norms = np.square(turned).sum(axis=1)
        for start in range(0, len(self.library), 4000):
            part = self.library[start : start + 4000].reshape(-1, turned.shape[1])
            squares = turned @ part.T
            squares *= -2.0
            squares += np.square(part).sum(axis=1)
            nearest = np.minimum(nearest, squares.reshape(K, n, -1).min(axis=(0, 2)))
        return float(np.median(np.sqrt(np.maximum(nearest + norms[:n], 0.0))))
