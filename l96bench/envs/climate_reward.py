"""A reward for the climate: the fall of the distance of an episode's statistics from those of the truth."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from l96bench.envs import kernels
from l96bench.errors import L96BenchError
from l96bench.metrics.climate import CHANGE_LAG, DistanceGrid
from l96bench.tasks.closure_task import ClosureTask

__all__ = ["ClimateReward"]

CELLS = 200
"""Cells of each distribution function: 0.1 (value) and 0.2 (change, difference) standard deviations of X wide."""


class ClimateReward:
    """Rewards by the fall of the distance between an episode's distributions and those of the truth's own path.

    After t of T steps every quantity q of `l96bench.metrics.climate` (value, change over 0.2 MTU, difference of
    neighbours) has been seen n_q(t) K times. With F_q,t its distribution function in the model's samples so far, and
    G_q,t that in the truth's over the same time::

        D(t) = mean_q  n_q(t) / n_q(T)  integral |F_q,t - G_q,t| dq / std_q,

    which is 0 before the first step, and after the last the mean of three 1-Wasserstein distances over standard
    deviations, as in the climate distance of `online-rollout`. The falls D(t - 1) - D(t) of an episode's steps are
    differences of a potential, and add up to -D(T).

    An episode of the truth is a sample, too, which is some way from the climate of the training data. Measured from
    that climate, a model that is more regular than the truth would be nearer than the truth itself. Measured from the
    sample, the truth has the distance 0, and no model has less.

    Raises `L96BenchError` if an episode is shorter than 0.2 MTU.

    Parameters
    ----------
    task : ClosureTask
        Whose training data say how wide cells and standard deviations are.
    n_systems, episode_steps : int
        Number of systems, and steps of an episode, at least 0.2 MTU.
    dt : float
        MTU of a step.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> from l96bench.envs import ClimateReward
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> reward = ClimateReward(task, n_systems=2, episode_steps=100, dt=0.01)
    >>> reward.begin(np.arange(2), task.train.X[:2])
    >>> bool((reward.loss(np.array([True, False])) < 0.0).all())  # of an episode that ends at once
    True
    """

    def __init__(self, task: ClosureTask, n_systems: int, episode_steps: int, dt: float) -> None:
        lag = round(CHANGE_LAG / dt)
        if episode_steps < lag:
            raise L96BenchError(f"expected episode_steps from {lag} on for the climate reward, got {episode_steps}")
        grid = _grid(task)
        self._low, self._std, self._width = np.array(grid.low), np.array(grid.std), grid.width
        self._limit = episode_steps
        self._past = np.zeros((n_systems, lag, task.regime.K))
        self._apart = np.zeros((n_systems, 3, CELLS + 1))
        self._distance = np.zeros(n_systems)
        self._worst = float(np.mean(self._width * CELLS / self._std))

    def begin(self, systems: NDArray[np.intp], X: NDArray[np.float64]) -> None:
        """Begin the statistics of the systems anew; X (n_systems, K) are their states."""
        self._past[systems, 0] = X[systems]
        self._apart[systems] = 0.0
        self._distance[systems] = 0.0

    def judge(
        self,
        X: NDArray[np.float64],
        truth: NDArray[np.float64],
        at: NDArray[np.int64],
        active: NDArray[np.bool_],
        terminated: NDArray[np.bool_],
        steps: NDArray[np.int64],
        unit: float,
        first: int,
        last: int,
        rewards: NDArray[np.float64],
    ) -> None:
        """Fill in the rewards, over `unit`, of the systems first .. last - 1 that have made a step to X and go on."""
        kernels.judge_climate(
            *(X, truth, at, active, terminated, steps, self._limit, self._past, self._apart),
            *(self._low, self._width, self._std, unit, self._distance, first, last, rewards),
        )

    def loss(self, terminated: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the fall in a step that ends an episode: the rest of the largest distance that there is."""
        return self._distance[terminated] - self._worst


@lru_cache(maxsize=8)
def _grid(task: ClosureTask) -> DistanceGrid:
    """Return the cells of the distribution functions."""
    return DistanceGrid.from_truth(np.asarray(task.train.X)[:, None], task.train.interval, CELLS)
