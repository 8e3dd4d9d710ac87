"""Observations beside the present X: past states of the run, and red noise that makes draws of the actions."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import MODEL_DT
from l96bench.errors import L96BenchError

__all__ = ["MOST", "Memory", "checked_noise", "checked_past", "red_decay"]

MOST = 40
"""The most past states, those of the 2 MTU that closures are given before a start."""


class Memory:
    """The past of every run, and red noise at each of its points, for all systems of a batch.

    Parameters
    ----------
    past : int
        States that are remembered, 0.05 MTU apart, the latest of them 0.05 MTU ago.
    noise : sequence of float
        Times in MTU over which the correlation of a red noise falls to 1/e; a noise for each.
    runs : (n_systems, members, K)
        The runs of the batch.
    observed : (row, width) array of int
        The points that each row of a run sees: stencils, or all points.
    episode_steps : int
        The longest episode.
    spacing : int
        Steps of the environment in 0.05 MTU.
    """

    def __init__(
        self,
        past: int,
        noise: Sequence[float],
        runs: tuple[int, int, int],
        observed: NDArray[np.int64],
        episode_steps: int,
        spacing: int,
    ) -> None:
        self.past, self.noise, self.spacing = past, tuple(noise), spacing
        self._decay = red_decay(noise).astype(np.float32)
        self._runs, self._observed, self._rows = runs, observed, np.arange(runs[0])
        self._states = np.zeros((runs[0], past * spacing + 1, *runs[1:]), dtype=np.float32)
        self._paths = np.zeros((runs[0], episode_steps + 1, len(noise), *runs[1:]), dtype=np.float32)
        self._lags = spacing * np.arange(past, 0, -1)

    @property
    def steps(self) -> int:
        """Steps of the environment from the earliest state that is remembered to the present."""
        return self.past * self.spacing

    def begin(self, systems: NDArray[np.intp], before: NDArray[np.float32], generators: Sequence[Any]) -> None:
        """Begin episodes of the systems.

        Parameters
        ----------
        systems : (n,) array of int
        before : (n, steps, K) array
            The states before the start, as agents see them, a step apart.
        generators : list of numpy Generator, one a system of the batch
            From which the noise of the whole episode is drawn, where there is any.
        """
        self._states[systems, 1:] = before[:, :, None]
        if not self.noise:
            return
        path, decay = np.empty((len(systems), *self._paths.shape[1:]), np.float32), self._decay[:, None, None]
        for i, own in zip(systems, path, strict=True):
            generators[i].standard_normal(own.shape, dtype=np.float32, out=own)
        fresh = np.sqrt(1.0 - decay * decay)
        for t in range(1, path.shape[1]):
            path[:, t] = decay * path[:, t - 1] + fresh * path[:, t]
        self._paths[systems] = path

    def show(self, steps: NDArray[np.int64], seen: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Keep what agents see of the present states, and fill in what they see beside them.

        Parameters
        ----------
        steps : (n_systems,) array of int
            Steps since the start of each episode.
        seen : (n_systems * members, K) array
            The present states, scaled.
        out : (n_systems, agents, width) array
            Of each row, past states, the latest last, and then the noises.
        """
        n, M, K = self._runs
        slots = self._states.shape[1]
        self._states[self._rows, steps % slots] = seen.reshape(n, M, K)
        rows, width = self._observed.shape
        out = out.reshape(n, M, rows, -1)
        if self.past:
            states = self._states[self._rows[:, None], (steps[:, None] - self._lags) % slots]
            own = states[..., self._observed]  # (system, time, member, row, width)
            out[..., : self.past * width] = own.transpose(0, 2, 3, 1, 4).reshape(n, M, rows, -1)
        if self.noise:
            noise = self._paths[self._rows, steps].reshape(n, -1, M, rows, K // rows)
            out[..., self.past * width :] = noise.transpose(0, 2, 3, 1, 4).reshape(n, M, rows, -1)


def red_decay(noise: Sequence[float]) -> NDArray[np.float64]:
    """Return the correlations over a step of the model of red noises with these times in MTU."""
    return np.array([math.exp(-MODEL_DT / time) for time in noise])


def checked_past(past: Any) -> int:
    """Return a number of past states, or raise L96BenchError."""
    try:
        number = operator.index(past)
    except TypeError:
        number = -1
    if isinstance(past, bool) or not 0 <= number <= MOST:
        raise L96BenchError(f"expected past as a whole number of states from 0 to {MOST}, got {past!r}")
    return number


def checked_noise(noise: Any) -> tuple[float, ...]:
    """Return the times of red noises, or raise L96BenchError."""
    try:
        times = tuple(float(time) for time in noise)
    except (TypeError, ValueError):
        times = (math.nan,)
    if not all(0.0 < time < math.inf for time in times):
        raise L96BenchError(f"expected noise as a list of positive times in MTU, got {noise!r}")
    return times
