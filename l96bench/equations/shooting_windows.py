"""Trajectories cut into the windows of multiple shooting, and which variables are calm in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l96bench.equations.shooting_fit import Shots

__all__ = ["Record", "interpolated"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
_SHORTEST = 0.04
"""Length of the shortest windows in MTU, where samples are closer."""
_NEIGHBOURS = 3
"""Radius of the neighbourhood that must be calm."""
_QUANTILE = 0.3
"""Quantile of the activity in a window by which windows are ordered."""


@dataclass(frozen=True, slots=True)
class Record:
    """A trajectory of the variables of one kind, and of the inputs of their equations.

    `states` is (time, n) at an `interval` in MTU, which takes `steps` RK4 steps; `inputs` are (time, input), which are
    interpolated, or those of every interval, (interval, 2 steps + 1, input).
    """

    states: Array
    interval: float
    steps: int
    inputs: Array

    @property
    def shortest(self) -> int:
        """The length of the shortest windows, in intervals."""
        return max(1, min(len(self.states) - 1, round(_SHORTEST / self.interval)))

    def windows(self, span: float, longest: float) -> Iterator[tuple[int, Rows]]:
        """Yield lengths in intervals, each twice the one before, and the first samples of all windows.

        The windows are those of the last length, up to `longest` MTU, evenly spread over the trajectory and at most
        `span` MTU together, cut in halves again and again: two windows in sequence make one of the next length.
        """
        n, first = len(self.states) - 1, self.shortest
        doublings = max(0, int(math.log2(min(longest / (first * self.interval), n / (4 * first)) + 1e-9)))
        whole = first << doublings
        number = max(1, min(n // whole, round(span / (whole * self.interval))))
        starts = np.linspace(0, n - whole, number).astype(np.int64)
        for doubling in range(doublings + 1):
            length = first << doubling
            yield length, (starts[:, None] + np.arange(0, whole, length)).ravel()

    def shots(self, rows: Rows, length: int, initial: Array | None = None, calm: float = 1.0) -> Shots:
        """Return the windows with these first samples, whose initial states are, by default, those observed.

        Residuals are in standard deviations of all variables; at later samples only those of a share `calm` count.
        """
        samples = rows[:, None] + np.arange(length + 1)
        observed = self.states[samples]
        if initial is None:
            initial = observed[:, 0].copy()
        weights = self._weights(observed, calm)
        return Shots(observed, weights, initial, self.inputs_after(samples[:, :-1]), self.interval / self.steps)

    def inputs_after(self, samples: Rows) -> Array:
        """Return the inputs in the intervals after samples (..), as (.., 2 steps + 1, input)."""
        if self.inputs.ndim == 3:
            return self.inputs[samples]
        return interpolated(self.inputs)(samples[..., None] + np.linspace(0.0, 1.0, 2 * self.steps + 1))

    def calm(self, rows: Rows, share: float) -> NDArray[np.bool_]:
        """Return which variables are among the calmest of these intervals (row, n), a `share` of all."""
        activity = np.maximum(_activity(self.states[rows]), _activity(self.states[rows + 1]))
        return np.asarray(activity <= np.quantile(activity, share))

    def calm_rows(self, number: int) -> Rows:
        """Return first samples of shortest windows: half of them the calmest, half evenly spread."""
        activity = _activity(self.states)
        last = len(activity) - self.shortest
        size = np.quantile(np.maximum(activity[:last], activity[self.shortest :]), _QUANTILE, axis=1)
        spread = np.linspace(0, last - 1, number // 2).astype(np.int64)
        return np.unique(np.concatenate([np.argsort(size, kind="stable")[: number // 2], spread]))

    def _weights(self, observed: Array, calm: float) -> Array:
        weights = np.full(observed.shape, 1.0 / (float(self.states.var()) or 1.0))
        if calm < 1.0:
            activity = _activity(observed).max(axis=1)
            weights[:, 1:] *= (activity <= np.quantile(activity, calm))[:, None]
        return weights


def interpolated(values: Array) -> Callable[[Array], Array]:
    """Return the cubic spline of values (time, variable) as a function of times in samples."""
    from scipy.interpolate import CubicSpline

    if not values.shape[1]:
        return lambda times: np.empty((*np.shape(times), 0))
    spline: Callable[[Array], Array] = CubicSpline(np.arange(len(values)), values)
    return spline


def _activity(states: Array) -> Array:
    """Return the largest size of a variable and of its neighbours, (.., n)."""
    size = np.abs(states)
    shifts = range(-_NEIGHBOURS, _NEIGHBOURS + 1)
    return np.asarray(np.max([np.roll(size, shift, axis=-1) for shift in shifts], axis=0))
