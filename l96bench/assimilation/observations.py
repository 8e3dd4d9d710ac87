"""Observations, and networks that draw them from a truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.display import brief
from l96bench.dynamics.draws import Seed, draw_subsets, standard_normal, streams
from l96bench.errors import L96BenchError

__all__ = ["Network", "Observations", "Observed"]

SUBSETS, ERRORS = 0, 1
"""The two random streams that a network draws from."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The observations of one analysis time.

    Parameters
    ----------
    values : (experiment, p) array
        In units of X; NaN if missing.
    points : (experiment, p) array of int
        The observed points of X.
    std : (experiment, p) array
        Standard deviations of the independent errors; infinite for an empty place.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> observed = da.Network(K=8, window=0.05, std=1.0, n_random=3).draw(np.ones((1, 2, 8))).at(0)
    >>> observed.values.shape, observed.points.shape
    ((1, 3), (1, 3))
    """

    values: NDArray[np.float64]
    points: NDArray[np.int64]
    std: NDArray[np.float64]

    @property
    def roots(self) -> NDArray[np.float64]:
        """1 / std, (experiment, p); 0 where an observation is missing."""
        return np.where(np.isnan(self.values), 0.0, 1.0 / self.std)

    @property
    def n(self) -> NDArray[np.int64]:
        """Number of observations of every experiment, (experiment,)."""
        return np.asarray(np.count_nonzero(self.roots, axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Observations of one or many experiments, one row a cycle; cycle i ends at (i + 1) `window` after the start.

    Parameters
    ----------
    values : (cycle, p) or (experiment, cycle, p) array
        NaN for missing ones, which are counted.
    points : array of int that broadcasts to `values`
        Observed grid points.
    std : float, or array that broadcasts to `values`
        Standard deviations of the errors (the square roots of R's diagonal).
    K : int
        Points of the ring.
    window : float
        MTU between analyses.
    scheduled : (cycle,) array of bool, optional
        Whether there is an analysis at all; everywhere by default.

    Raises
    ------
    L96BenchError
        For shapes that do not match, points outside the ring, a standard deviation or window that is not positive, or
        an infinite value.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> da.Observations(values=np.ones((3, 2)), points=np.array([0, 4]), std=1.0, K=8, window=0.05)
    Observations(values=(1, 3, 2), points=int64 (1, 3, 2), std=(1, 3, 2), K=8, window=0.05, scheduled=bool (3,))
    """

    values: NDArray[np.float64]
    points: NDArray[np.int64]
    std: NDArray[np.float64]
    K: int
    window: float
    scheduled: NDArray[np.bool_] = field(default_factory=lambda: np.array(True))

    __repr__ = brief

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        values = values[None] if values.ndim == 2 else values
        if values.ndim != 3 or not values.size:
            raise L96BenchError(f"expected values (cycle, p) or (experiment, cycle, p), got {np.shape(self.values)}")
        if np.isinf(values).any():
            raise L96BenchError(
                f"expected finite values, or NaN for missing ones, got {np.isinf(values).sum()} infinite"
            )
        _check_window(self.window)
        points = _checked_points(self.points, self.K)
        parts = {"values": values, "points": points, "std": _checked_std(self.std)}
        try:
            parts = {name: np.broadcast_to(array, values.shape) for name, array in parts.items()}
            parts["scheduled"] = np.broadcast_to(np.asarray(self.scheduled, dtype=bool), values.shape[1:2])
        except ValueError as error:
            raise L96BenchError(
                f"expected points and std like values {values.shape} and scheduled ({values.shape[1]},), got "
                f"{points.shape}, {np.shape(self.std)} and {np.shape(self.scheduled)}"
            ) from error
        for name, array in parts.items():
            object.__setattr__(self, name, array)

    @classmethod
    def from_records(
        cls,
        times: ArrayLike,
        points: ArrayLike,
        values: ArrayLike,
        std: ArrayLike,
        *,
        K: int,
        window: float,
        n_cycles: int,
    ) -> Self:
        """Return the observations of one experiment from a list of records, in any order.

        Raises `L96BenchError` as for the class, and for a time that is not the end of a window, or outside all of them.

        Parameters
        ----------
        times, points, values : (record,) arrays
            MTU since the start, grid point, and value (NaN for a missing one) of every observation.
        std : float or (record,) array
            Standard deviation of its error.
        K, window
            As for the class.
        n_cycles : int
            Number of windows.
        """
        _check_window(window)
        at = _cycle_of(np.asarray(times, dtype=np.float64), window, n_cycles)
        where, value = _checked_points(points, K), np.asarray(values, dtype=np.float64)
        error = np.broadcast_to(_checked_std(std), value.shape)
        if not at.shape == where.shape == value.shape:
            raise L96BenchError(
                f"expected one time, point and value a record, got {at.shape, where.shape, value.shape}"
            )
        order = np.argsort(at, kind="stable")
        at, where, value, error = at[order], where[order], value[order], error[order]
        place = np.arange(len(at)) - np.searchsorted(at, at)
        shape = (n_cycles, int(place.max(initial=0)) + 1)
        out = np.full(shape, np.nan), np.zeros(shape, np.int64), np.full(shape, np.inf)
        for array, column in zip(out, (value, where, error), strict=True):
            array[at, place] = column
        return cls(*out, K=K, window=window, scheduled=np.isin(np.arange(n_cycles), at))

    @property
    def n_experiments(self) -> int:
        """The number of experiments."""
        return self.values.shape[0]

    @property
    def n_cycles(self) -> int:
        """The number of windows."""
        return self.values.shape[1]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each observation was due and is NaN, (experiment, cycle, p)."""
        return np.isnan(self.values) & np.isfinite(self.std) & self.scheduled[:, None]

    def at(self, cycle: int) -> Observed | None:
        """Return a copy of the observations at the end of a cycle; None when no analysis is due there.

        A view would lead, by its ``base``, to the observations of later cycles.
        """
        if not self.scheduled[cycle]:
            return None
        values, points, std = self.values[:, cycle], self.points[:, cycle], self.std[:, cycle]
        return Observed(values.copy(), points.copy(), std.copy())


@dataclass(frozen=True, slots=True)
class Network:
    """The positions, times and errors of observations of the truth.

    Parameters
    ----------
    K : int
        Points of the ring.
    window : float
        MTU between the ends of cycles.
    std : float or tuple of K floats
        Standard deviation of the observation error, for all points or each (the square roots of R's diagonal).
    points : tuple of int, optional
        The points that can be observed; all by default.
    n_random : int, optional
        Number of points observed, drawn anew for every cycle (and experiment); all by default.
    every : int
        Observe only at the end of every that many windows.

    Raises
    ------
    L96BenchError
        For points outside the ring, a standard deviation that is not positive, or invalid numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> network = da.Network(K=8, window=0.05, std=1.0, points=(0, 2, 4, 6))
    >>> network.draw(np.ones((1, 5, 8)))
    Observations(values=(1, 4, 4), points=int64 (1, 4, 4), std=(1, 4, 4), K=8, window=0.05, scheduled=bool (4,))
    """

    K: int
    window: float
    std: float | tuple[float, ...]
    points: tuple[int, ...] | None = None
    n_random: int | None = None
    every: int = 1

    def __post_init__(self) -> None:
        _check_window(self.window)
        if self.K < 1 or self.every < 1:
            raise L96BenchError(f"expected K >= 1 and every >= 1, got {self.K} and {self.every}")
        std = _checked_std(self.std)
        if std.shape not in ((), (self.K,)) or np.isinf(std).any():
            raise L96BenchError(f"expected std as a finite number or one for each of {self.K} points, got {self.std}")
        points = _checked_points(range(self.K) if self.points is None else self.points, self.K)
        if points.ndim != 1 or len(set(points.tolist())) != points.size or not points.size:
            raise L96BenchError(f"expected points as a list without repetition, got {self.points}")
        if self.n_random is not None and not 1 <= self.n_random <= points.size:
            raise L96BenchError(f"expected n_random between 1 and {points.size} points, got {self.n_random}")
        object.__setattr__(self, "std", tuple(std.tolist()) if std.ndim else float(std))
        if self.points is not None:
            object.__setattr__(self, "points", tuple(points.tolist()))

    def draw(self, truth: ArrayLike, seed: Seed = 0) -> Observations:
        """Draw noisy observations of a truth.

        Parameters
        ----------
        truth : (time, K) or (experiment, time, K) array
            One sample a `window`, the first at the start, which is not observed.
        seed : int or sequence
            As for `cycle`, which draws the same observations from the same seed. A longer truth gets the same
            observations, and then more.
        """
        truth = checked_truth(truth, self.K)
        n_experiments, n_cycles = len(truth), truth.shape[1] - 1
        allowed = np.arange(self.K) if self.points is None else np.array(self.points)
        size = len(allowed) if self.n_random is None else self.n_random
        values, points = np.empty((n_experiments, n_cycles, size)), np.empty((n_experiments, n_cycles, size), np.int64)
        std = np.broadcast_to(self.std, (self.K,))
        rngs = zip(streams(seed, n_experiments, SUBSETS), streams(seed, n_experiments, ERRORS), strict=True)
        for i, (subsets, errors) in enumerate(rngs):
            if size < len(allowed):
                points[i] = allowed[draw_subsets(subsets, n_cycles, len(allowed), size)]
            else:
                points[i] = allowed
            values[i] = np.take_along_axis(truth[i, 1:], points[i], axis=1)
            values[i] += std[points[i]] * standard_normal(errors, values[i].shape)
        scheduled = np.arange(1, n_cycles + 1) % self.every == 0
        values[:, ~scheduled] = np.nan
        return Observations(values, points, std[points], self.K, self.window, scheduled)


def checked_truth(truth: ArrayLike, K: int) -> NDArray[np.float64]:
    """Return the truth as (experiment, time, K), finite and at least two samples long."""
    array = np.asarray(truth, dtype=np.float64)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[2] != K or array.shape[1] < 2 or not array.shape[0]:
        raise L96BenchError(
            f"expected a truth (time, {K}) or (experiment, time, {K}), the start and one sample a window, "
            f"got {np.shape(truth)}"
        )
    if not np.isfinite(array).all():
        raise L96BenchError("expected a finite truth, got NaN or infinity")
    return array


def _check_window(window: float) -> None:
    if not 0 < window < math.inf:
        raise L96BenchError(f"expected a positive window in MTU, got {window}")


def _checked_std(std: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(std, dtype=np.float64)
    if not (array > 0).all():
        raise L96BenchError(
            f"expected positive standard deviations (R must be positive), got {array.ravel()[~(array > 0).ravel()][:5]}"
        )
    return array


def _checked_points(points: ArrayLike, K: int) -> NDArray[np.int64]:
    array = np.asarray(points)
    if array.dtype.kind not in "iu":
        raise L96BenchError(f"expected grid points as whole numbers, got {array.dtype}")
    outside = array[(array < 0) | (array >= K)]
    if outside.size:
        raise L96BenchError(f"expected grid points from 0 to {K - 1}, got {outside.ravel()[:5].tolist()}")
    return array.astype(np.int64)


def _cycle_of(times: NDArray[np.float64], window: float, n_cycles: int) -> NDArray[np.int64]:
    """Return the cycle that ends at each time, or raise for a time between windows or outside of them."""
    ratio = times / window
    with np.errstate(invalid="ignore"):
        number = np.where(np.isfinite(ratio), np.rint(ratio), 0.0)
        between = ~(np.abs(ratio - number) <= 1e-9 * np.maximum(np.abs(number), 1.0))
    if between.any():
        raise L96BenchError(
            f"expected observations at the ends of windows of {window} MTU, got times {times[between][:5].tolist()}; "
            "move them to the nearest end, or use a shorter window"
        )
    outside = (number < 1) | (number > n_cycles)
    if outside.any():
        raise L96BenchError(
            f"expected times from {window} to {n_cycles * window:g} MTU, got {times[outside][:5].tolist()}"
        )
    return number.astype(np.int64) - 1
