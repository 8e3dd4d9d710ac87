"""The base of the two environments about closures: an agent that sees X and acts U."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.envs.checks import systems_of
from l96bench.envs.core import BatchedEnv
from l96bench.envs.scaling import ACTION_SCALE, RADIUS, Scaling, point_spaces
from l96bench.errors import L96BenchError
from l96bench.regimes import get_regime

SPLITS = ("train", "valid", "test")
"""The splits whose trajectories episodes may begin on."""


class ClosureEnv(BatchedEnv):
    """Agents that see the resolved state and act the subgrid forcing, beside a truth (trajectory, time, K).

    Without `local` a row sees X (K,) and acts U (K,). With it row ``i K + k`` sees the stencil X_{k-2} .. X_{k+2} of
    system i and acts U_k. Both are scaled as `Scaling` says. An episode begins at a random sample of the truth.
    `options` are those of `BatchedEnv`; `num_envs` counts rows, None standing for those of one system.
    """

    def __init__(
        self,
        regime: str,
        scaling: Scaling,
        num_envs: int | None,
        local: bool,
        truth: NDArray[np.float64],
        **options: Any,
    ) -> None:
        self.regime, self.scaling, self.local = get_regime(regime), scaling, bool(local)
        K = self.regime.K
        agents = K if local else 1
        n_systems = systems_of(num_envs, agents)
        observation_space, action_space = point_spaces(K, self.local)
        super().__init__(
            n_systems, agents=agents, observation_space=observation_space, action_space=action_space, **options
        )
        self._n_trajectories, self._n_times = truth.shape[:2]
        if self._n_times <= self.episode_steps:
            raise L96BenchError(
                f"expected episode_steps below {self._n_times}, the samples of a trajectory, got {self.episode_steps}"
            )
        self._truth = np.asarray(truth).reshape(-1, K)
        self._at = np.zeros(n_systems, dtype=np.int64)
        self._reach = ACTION_SCALE * scaling.std_U

    @property
    def observed(self) -> NDArray[np.int64]:
        """The points that each row of a system sees, (agents, width)."""
        K = self.regime.K
        stencil = np.arange(-RADIUS, RADIUS + 1) if self.local else np.arange(K)
        return (np.arange(self.agents)[:, None] + stencil) % K

    @property
    def at(self) -> NDArray[np.int64]:
        """Trajectory and sample of the truth that every system has come to, (n_systems, 2)."""
        return np.stack(np.divmod(self._at, self._n_times), axis=1)

    def _begin(self, systems: NDArray[np.intp]) -> None:
        """Draw a trajectory and a sample, all those alike that leave room for an episode."""
        room = self._n_times - self.episode_steps
        drawn = np.array([self.generators[i].random() for i in systems])
        trajectory, sample = np.divmod((drawn * (self._n_trajectories * room)).astype(np.int64), room)
        self._at[systems] = trajectory * self._n_times + sample

    def _see(self, X: NDArray[np.float64], rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        """Fill `out` with the observations of the states X[rows]."""

        def work(first: int, last: int) -> None:
            self.scaling.observe(X, rows, self.local, first, last, out)

        self.over_systems(work)
