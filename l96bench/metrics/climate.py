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
from l96bench.metrics.arrays import FloatArray, finite
from l96bench.metrics.bounds import BOUND

Quantity = Literal["value", "change", "difference"]
"""``value`` X_k, ``change`` X_k(t + 0.2) - X_k(t), ``difference`` X_{k+1} - X_k around the ring."""

QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
CHANGE_LAG = 0.2
"""Lag of ``change`` in MTU."""
_MEMBERS = 20
"""Members whose spectra are made at once."""


def _run(X: ArrayLike) -> FloatArray:
    run = finite("X", X)
    if run.ndim != 3:
        raise ValueError(f"expected a run (time, member, K), got shape {run.shape}.")
    return run


def quantity(name: Quantity, X: FloatArray, interval: float) -> FloatArray:
    """One of the three quantities whose distributions make up the climate distance, of X (time, ..., K).

    It has the shape of X, with fewer times for ``change``, whose lag of 0.2 MTU the sampling interval must divide.
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

    Attributes
    ----------
    mean, std, low, high : tuple of 3 floats
        Of the truth's value, change and difference; the last two are the range of the cells.
    cells : int
        For each quantity.
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
        run = _run(X)
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
    """Every member's empirical distribution functions of the three quantities, on the grid: (member, 3, cells).

    What is kept is the function's mean over each cell, not its value at points: then the integral of F - G over a cell
    is exact, whatever the cell's width. Functions of pooled or resampled members are (weighted) means over the first
    axis.
    """
    run = _run(X)
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
    """1-Wasserstein distance of each quantity (..., 3), divided by the truth's standard deviation of that quantity.

    In one dimension it is the integral of ``|F - G|`` (Vallender 1974). The sum over cells of ``|integral of F - G|``
    equals it but for the cells in which F - G changes sign. It is never larger, and smaller by at most half a cell's
    width for a run that stays at one value; for chaotic runs the two differ by less than 1e-4 standard deviations. At
    most it is the width of the grid's range. The functions (..., 3, cells) are from `member_cdfs` on that grid, usually
    pooled over members; leading axes broadcast.
    """
    gap = np.subtract(cdf_a, cdf_b)
    if gap.shape[-2:] != (len(QUANTITIES), grid.cells):
        raise ValueError(f"expected distribution functions (..., 3, {grid.cells}) of this grid, got {gap.shape}.")
    return np.asarray(np.abs(gap, out=gap).sum(axis=-1) * (grid.width / np.asarray(grid.std)), dtype=np.float64)


def climate_distance(cdf_a: FloatArray, cdf_b: FloatArray, grid: DistanceGrid) -> FloatArray:
    """Mean of the three distances of `wasserstein`: the climate distance D of a run from the truth; array (...)."""
    return np.asarray(wasserstein(cdf_a, cdf_b, grid).mean(axis=-1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean, standard deviation, 0.1 and 99.9 percentiles, in units of X."""

    mean: float
    std: float
    percentile_0_1: float
    percentile_99_9: float


def moments(X: ArrayLike) -> Moments:
    """Moments and extreme percentiles of a run (time, member, K), pooled over everything."""
    run = _run(X)
    low, high = np.percentile(run, (0.1, 99.9))
    with np.errstate(over="ignore"):
        return Moments(float(run.mean()), float(run.std()), float(low), float(high))


def autocovariance(X: ArrayLike, interval: float, max_lag: float = 10.0) -> FloatArray:
    """Autocovariance in time of every member (member, lag), pooled over points, about the mean of the whole run, in X².

    At each lag, the mean of the products of all pairs of samples that far apart. Means over members are those of the
    pooled run, so that members can be resampled. `max_lag` is in MTU, a whole number of intervals and shorter than the
    run; `ValueError` otherwise.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    run = _run(X)
    n_times, n_members, K = run.shape
    n_lags = 1 + whole_multiple(max_lag, interval, "max_lag")
    if n_lags > n_times:
        raise ValueError(f"max_lag {max_lag} MTU is not shorter than the run of {n_times} samples every {interval}.")
    # Zeros behind the series keep the circular correlation of the transform from wrapping round, up to the last lag.
    length = next_fast_len(n_times + n_lags - 1, real=True)
    mean = run.mean()
    covariance = np.empty((n_members, n_lags))
    for member in range(n_members):
        transform = rfft(run[:, member] - mean, n=length, axis=0)
        power = (np.square(transform.real) + np.square(transform.imag)).sum(axis=1)
        covariance[member] = irfft(power, n=length)[:n_lags] / (K * np.arange(n_times, n_times - n_lags, -1))
    return covariance


def autocorrelation(X: ArrayLike, interval: float, max_lag: float = 10.0) -> tuple[FloatArray, FloatArray]:
    """Autocorrelation in time, pooled over members and points, about the pooled mean; see `autocovariance`.

    Returns
    -------
    lags, correlation : array (n_lags,)
        0, interval, ..., max_lag, in MTU; and 1 at lag 0, and at every lag of a run that does not vary.
    """
    covariance = autocovariance(X, interval, max_lag).mean(axis=0)
    correlation = covariance / covariance[0] if covariance[0] > 0 else np.ones_like(covariance)
    return np.arange(len(covariance), dtype=np.float64) * interval, np.asarray(correlation, dtype=np.float64)


def spectrum(X: ArrayLike, interval: float, segment: float = 50.0) -> tuple[FloatArray, FloatArray]:
    """Power spectral density in time, averaged over members and points (Welch 1967).

    Segments of the anomalies about the pooled mean, `segment` MTU long (a whole number of intervals; a shorter run is
    one segment), overlap by half and are tapered by a Hann window: without a taper, leakage from the slow, strong
    motions would bury the fast end of the spectrum. By Parseval, summed over frequencies and multiplied by their
    spacing, the density of a segment is its mean square, weighted by the squared window; for a long run that is its
    variance, to sampling error.

    Returns
    -------
    frequency, density : array (n_frequencies,)
        0 to ``1 / (2 interval)``, in cycles per MTU; and the one-sided density, in units of X² MTU.
    """
    from scipy.signal import welch

    run = _run(X)
    samples = min(whole_multiple(segment, interval, "segment"), run.shape[0])
    mean = run.mean()
    density = np.zeros(samples // 2 + 1)
    for start in range(0, run.shape[1], _MEMBERS):
        some = run[:, start : start + _MEMBERS] - mean
        frequency, power = welch(some, fs=1 / interval, window="hann", nperseg=samples, detrend=False, axis=0)
        density += power.mean(axis=2).sum(axis=1)
    return np.asarray(frequency, dtype=np.float64), density / run.shape[1]


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
        windows = self._windows(X)
        all_of_them = windows.shape[0] * windows.shape[1]
        picked = np.linspace(0, all_of_them - 1, n).astype(np.int64)
        queries = windows[picked // windows.shape[1], picked % windows.shape[1]]  # (query, state, K)
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
