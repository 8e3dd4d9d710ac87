"""A reward for the climate: the decrease of the distance of an episode's statistics from the truth's."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from l96bench.envs import kernels
from l96bench.errors import L96BenchError
from l96bench.metrics.climate import CHANGE_LAG, DistanceGrid, member_cdfs
from l96bench.tasks.closure_task import ClosureTask

__all__ = ["ClimateReward"]

CELLS = 200
"""Cells of each distribution function: 0.1 (value) and 0.2 (change, difference) standard deviations of X wide."""


class ClimateReward:
    """Rewards by the decrease of the distance between an episode's distributions and the truth's.

    After t of T steps every quantity q of `l96bench.metrics.climate` (value, change over 0.2 MTU, difference of
    neighbours) has been seen n_q(t) K times. With G_q its distribution function in the training data, and G_q,t that of
    the samples so far,

        D(t) = mean_q  n_q(t) / n_q(T)  integral |G_q,t - G_q| dq / std_q,

    which is 0 before the first step, and after the last the climate distance D of `online-rollout` for this one
    episode: the mean of three 1-Wasserstein distances over standard deviations. The rewards D(t - 1) - D(t) of an
    episode's steps are differences of a potential, and add up to -D(T). Raises `L96BenchError` if an episode is shorter
    than 0.2 MTU.

    Parameters
    ----------
    task : ClosureTask
        Whose training data are the truth.
    n_systems, episode_steps : int
    dt : float
        MTU of a step.
    """

    def __init__(self, task: ClosureTask, n_systems: int, episode_steps: int, dt: float) -> None:
        lag = round(CHANGE_LAG / dt)
        if episode_steps < lag:
            raise L96BenchError(f"expected episode_steps from {lag} on for the climate reward, got {episode_steps}")
        self.grid, self._truth = _climate(task)
        self._low, self._std, self._width = np.array(self.grid.low), np.array(self.grid.std), self.grid.width
        self._limit = episode_steps
        self._past = np.zeros((n_systems, lag, task.regime.K))
        self._functions = np.zeros((n_systems, *self._truth.shape))
        self._distance = np.zeros(n_systems)
        self._worst = float(np.mean(self._width * CELLS / self._std))

    def begin(self, systems: NDArray[np.intp], X: NDArray[np.float64]) -> None:
        """Begin the statistics of the systems anew; X (n_systems, K) are their states."""
        self._past[systems, 0] = X[systems]
        self._functions[systems] = 0.0
        self._distance[systems] = 0.0

    def judge(
        self,
        X: NDArray[np.float64],
        active: NDArray[np.bool_],
        terminated: NDArray[np.bool_],
        steps: NDArray[np.int64],
        first: int,
        last: int,
        rewards: NDArray[np.float64],
    ) -> None:
        """Fill in the rewards of the systems first .. last - 1 that have made a step to X and go on."""
        kernels.judge_climate(
            *(X, active, terminated, steps, self._limit, self._past, self._functions, self._truth),
            *(self._low, self._width, self._std, self._distance, first, last, rewards),
        )

    def loss(self, terminated: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the reward of a step that ends an episode: the rest of the largest distance that there is."""
        return self._distance[terminated] - self._worst


@lru_cache(maxsize=8)
def _climate(task: ClosureTask) -> tuple[DistanceGrid, NDArray[np.float64]]:
    """Return the cells of the distribution functions, and those of the training data, (3, CELLS)."""
    run = np.asarray(task.train.X)[:, None]
    grid = DistanceGrid.from_truth(run, task.train.interval, CELLS)
    return grid, member_cdfs(run, task.train.interval, grid)[0]
