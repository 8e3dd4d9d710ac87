"""The bases of environments about the resolved state: an agent that sees X, and acts U or an increment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.envs.checks import systems_of
from l96bench.envs.core import BatchedEnv
from l96bench.envs.memory import Memory
from l96bench.envs.render import EpisodePicture, Panel
from l96bench.envs.scaling import RADIUS, REACH, Scaling, point_spaces
from l96bench.errors import L96BenchError
from l96bench.regimes import Regime, get_regime

SPLITS = ("train", "valid", "test")
"""The splits whose trajectories episodes may begin on."""
STARTS = 256
"""Episodes without closure, seeded 0 .. 255, by which rewards are scaled."""


def return_scale(returns: NDArray[np.float64]) -> float:
    """Return what rewards are divided by: the standard deviation of the returns of episodes that do nothing.

    It has three digits, and is at least a hundredth of their mean's size, for episodes that are all nearly alike.
    """
    return float(f"{max(returns.std(), 0.01 * abs(returns.mean())):.3g}")


@lru_cache(maxsize=64)
def scale_without_closure(kind: type[ClosureEnv], data: Any, rows: int, **options: Any) -> float:
    """Return the scale of an environment's rewards, by its own episodes without closure, each of so many rows.

    `data` are what the environment reads by the names in `options`: a scale is kept for each.
    """
    env = kind(num_envs=rows * STARTS, scale=1.0, **options)
    env.reset(seed=0)
    nothing = np.full(np.shape(env.action_space.sample()), env.scaling.action(0.0), dtype=np.float32)
    returns, going = np.zeros(env.num_envs), np.ones(env.num_envs, dtype=bool)
    while going.any():
        _, rewards, terminated, truncated, _ = env.step(nothing)
        returns += np.where(going, rewards, 0.0)
        going &= ~(terminated | truncated)
    return return_scale(returns.reshape(STARTS, rows).mean(axis=1))


class PointEnv(BatchedEnv):
    """Agents that see the resolved state, and act a number for each of its points.

    Without `local` a row sees X (K,) and acts on all points (K,). With it row ``i K + k`` sees the stencil
    X_{k-2} .. X_{k+2} of system i and acts on point k.

    Attributes
    ----------
    regime : Regime
    local : bool
    scaling : Scaling
        Of what a row sees, and of what its actions stand for.
    members : int
        Runs that a system consists of.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> from l96bench.envs import PointEnv
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make_vec("l96bench/OnlineRollout-v2", num_envs=16, local=True)
    ...
    >>> isinstance(env.unwrapped, PointEnv), env.unwrapped.observed[0]
    (True, array([6, 7, 0, 1, 2]))
    """

    regime: Regime
    local: bool
    scaling: Scaling
    members: int = 1

    @property
    def observed(self) -> NDArray[np.int64]:
        """The points that each row of a system, or of a member of it, sees, (rows, width)."""
        K = self.regime.K
        stencil = np.arange(-RADIUS, RADIUS + 1) if self.local else np.arange(K)
        return (np.arange(self.agents // self.members)[:, None] + stencil) % K

    @property
    def shown(self) -> NDArray[np.float64]:
        """Mean and standard deviation by which each value that a row sees is scaled, (2, width)."""
        return np.tile([[self.scaling.mean_X], [self.scaling.std_X]], self.observed.shape[1])


class ClosureEnv(PointEnv):
    """Agents that see the resolved state and act the subgrid forcing, beside a truth (trajectory, time, K).

    Rows are those of `PointEnv`. An episode begins at a random sample of the truth.

    Parameters
    ----------
    regime : str or Regime
        The system.
    scaling : Scaling
        Of what a row sees, and of what its actions stand for.
    num_envs : int, optional
        Rows; None for those of one system.
    local : bool
        Whether every point is a row.
    truth : (trajectory, time, K) array
        The true X, at the times of the steps.
    members : int
        For M above 1 a system is M runs from one state, its rows those of the first member, then those of the second.
    beside : int
        Values that a row sees behind X, which the family fills in.
    past : int
        Earlier states of its own run that a row sees behind these, 0.05 MTU apart, the latest last, scaled as X; before
        the start those of the truth, whose first samples episodes then leave out.
    noise : sequence of float
        Times in MTU of red noises that it sees last, of variance 1: one for each of its points.
    spacing : int
        Steps of the environment in 0.05 MTU.
    **options
        Those of `BatchedEnv`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> from l96bench.envs import ClosureEnv
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make_vec("l96bench/OnlineRollout-v2", num_envs=2)
    ...
    >>> isinstance(env.unwrapped, ClosureEnv), env.unwrapped.at.shape
    (True, (2, 2))
    """

    def __init__(
        self,
        regime: str | Regime,
        scaling: Scaling,
        num_envs: int | None,
        local: bool,
        truth: NDArray[np.float64],
        members: int = 1,
        beside: int = 0,
        past: int = 0,
        noise: Sequence[float] = (),
        spacing: int = 1,
        **options: Any,
    ) -> None:
        self.regime, self.scaling, self.local = get_regime(regime), scaling, bool(local)
        self.members, K = members, self.regime.K
        agents = members * (K if local else 1)
        n_systems = systems_of(num_envs, agents)
        remembered = past * (2 * RADIUS + 1 if local else K) + len(noise) * (1 if local else K)
        observation_space, action_space = point_spaces(K, self.local, beside + remembered)
        super().__init__(
            n_systems, agents=agents, observation_space=observation_space, action_space=action_space, **options
        )
        self.memory: Memory | None = None
        if past or noise:
            runs = (n_systems, members, K)
            self.memory = Memory(past, noise, runs, self.observed, self.episode_steps, spacing)
        self._whole, truth = truth, truth[:, past * spacing :]
        self._n_trajectories, self._n_times = truth.shape[:2]
        if self._n_times <= self.episode_steps:
            raise L96BenchError(
                f"expected episode_steps below {self._n_times}, the samples of a trajectory, got {self.episode_steps}"
            )
        self._truth = np.asarray(truth).reshape(-1, K)
        self._at = np.zeros(n_systems, dtype=np.int64)
        self.beside = np.zeros((n_systems, agents, beside + remembered), dtype=np.float32)
        self._reach = REACH * scaling.std_U

    @property
    def shown(self) -> NDArray[np.float64]:
        """Mean and std by which each value that a row sees is scaled, (2, width): X, past X, and the noises."""
        if self.memory is None:
            return super().shown
        n_noises = len(self.memory.noise) * self.regime.K // len(self.observed)
        states = np.tile(super().shown, 1 + self.memory.past)
        return np.hstack([states, np.tile([[0.0], [1.0]], n_noises)])

    @property
    def at(self) -> NDArray[np.int64]:
        """Trajectory and sample of the truth that every system has come to, (n_systems, 2)."""
        return np.stack(np.divmod(self._at, self._n_times), axis=1)

    def _beside_truth(self, title: str) -> EpisodePicture:
        """Return a picture of the truth's X, the model's X and its error."""
        mean, std = self.scaling.mean_X, self.scaling.std_X
        return EpisodePicture(
            title=title,
            panels=(
                Panel("truth X", mean, 3.0 * std),
                Panel("model X", mean, 3.0 * std),
                Panel("error", 0.0, 2.0 * std, error=True),
            ),
            K=self.regime.K,
            n_times=min(self.episode_steps + 1, 501),
            interval=self.interval,
        )

    def _places(self) -> tuple[int, int]:
        return self._n_trajectories, self._n_times - self.episode_steps

    def _begin(self, systems: NDArray[np.intp]) -> None:
        """Draw a trajectory and a sample, all those alike that leave room for an episode."""
        n_trajectories, room = self._places()
        drawn = np.array([self.generators[i].random() for i in systems])
        trajectory, sample = np.divmod((drawn * (n_trajectories * room)).astype(np.int64), room)
        if self._given is not None:
            trajectory, sample = self._given.T
        self._at[systems] = trajectory * self._n_times + sample
        if self.memory is not None:
            before = self._whole[trajectory[:, None], sample[:, None] + np.arange(self.memory.steps)]
            scaled = self.scaling.observation(before.reshape(-1, self.regime.K)).reshape(before.shape)
            self.memory.begin(systems, scaled, self.generators)

    def _see(self, X: NDArray[np.float64], rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        """Fill `out` with the observations of the states X[rows], of all members, and what is seen beside them."""
        n_beside = self.beside.shape[-1]
        by_row = out.reshape(self.num_envs, -1)
        points = np.empty((self.num_envs, by_row.shape[1] - n_beside), np.float32) if n_beside else by_row
        M, by_run = self.members, points.reshape(len(rows), -1)
        if self.memory is not None:
            self.memory.show(self.steps, self.scaling.observation(X[rows]), self.beside)

        def work(first: int, last: int) -> None:
            self.scaling.observe(X, rows, self.local, first * M, last * M, by_run)

        self.over_systems(work)
        if n_beside:
            by_row[:, :-n_beside], by_row[:, -n_beside:] = points, self.beside.reshape(self.num_envs, -1)
