"""The base of the environments whose model runs are judged at samples that are further apart than its steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.resolved import MODEL_DT
from l96bench.envs import kernels
from l96bench.envs.closure_env import ClosureEnv
from l96bench.envs.core import Actions, Floats, Mask
from l96bench.envs.scaling import Scaling
from l96bench.metrics.bounds import BOUND, bounds
from l96bench.regimes import Regime

__all__ = ["SampledRolloutEnv"]

_WORST = (2.0 * BOUND) ** 2
"""The largest squared error of a state inside the bounds, over the variance."""


class SampledRolloutEnv(ClosureEnv):
    """The resolved model under the agent's U, held through every step of 0.01 MTU, judged at samples.

    Parameters
    ----------
    regime, scaling, num_envs, local, **options
        As for `ClosureEnv`.
    samples : (trajectory, time, K) array
        The states that episodes may begin at.
    window_steps : int
        Steps of the model from one sample to the next.
    F : (trajectory,) array
        Forcing of every trajectory.
    """

    def __init__(
        self,
        regime: str | Regime,
        scaling: Scaling,
        num_envs: int | None,
        local: bool,
        samples: NDArray[np.float64],
        window_steps: int,
        F: NDArray[np.float64],
        **options: Any,
    ) -> None:
        self.window_steps = window_steps
        super().__init__(regime, scaling, num_envs, local, np.repeat(samples, window_steps, axis=1), **options)
        n = self.n_systems
        self._X, self._U = np.zeros((2, n, self.regime.K))
        self._rows, self._forcings, self._F = np.arange(n), np.array(F, dtype=float), np.zeros(n)
        low, high = bounds(scaling.mean_X, scaling.std_X)
        self._bounds = (np.full(n, low), np.full(n, high))
        self._left = np.full(n, -1)
        self.interval = MODEL_DT

    @property
    def X(self) -> Floats:
        """The model's states, (n_systems, K)."""
        return self._X.copy()

    @property
    def _is_sampled(self) -> Mask:
        """Whether the present time of every system is that of a sample."""
        return self._at % self.window_steps == 0

    def _begin(self, systems: NDArray[np.intp]) -> None:
        super()._begin(systems)
        self._at[systems] -= self._at[systems] % self.window_steps
        self._X[systems] = self._truth[self._at[systems]]
        self._F[systems] = self._forcings[self._at[systems] // self._n_times]

    def _roll(self, actions: Actions, active: Mask, rewards: Floats, terminated: Mask) -> None:
        """Step the active systems."""

        def work(first: int, last: int) -> None:
            kernels.roll(
                *(actions, self._X, self._U, self._truth, self._at, active),
                *(self.scaling.mean_U, self._reach, self._F, MODEL_DT, self._bounds, self._left),
                *(kernels.OTHER, 1.0, first, last, rewards, terminated),
            )

        self.over_systems(work)

    def _judge(self, values: Floats, unit: Any, active: Mask, rewards: Floats, terminated: Mask) -> None:
        """Fill the rewards with minus the squared distance from `values` (n_systems, K), NaN where there is none.

        They are over `unit`, a number or (n_systems, 1), and over the scale; the mean over points, unless `local`.
        """
        seen = ~np.isnan(values) & active[:, None]
        with np.errstate(invalid="ignore", over="ignore"):
            squares = np.where(seen, np.square(self._X - np.where(seen, values, 0.0)), 0.0)
            squares /= self.scale * unit
        if self.local:
            rewards[active] = -squares[active]
        else:
            rewards[active, 0] = -(squares.sum(axis=1) / np.maximum(seen.sum(axis=1), 1))[active]
        if terminated.any():
            times = (self.episode_steps - self.steps[terminated]) / self.window_steps
            rewards[terminated] = -_WORST / self.scale * np.maximum(np.ceil(times), 1.0)[:, None]

    def _observe(self, out: Actions) -> None:
        self._see(self._X, self._rows, out)
