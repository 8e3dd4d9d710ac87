"""`l96bench/SubgridForcing-v2`: see X along a truth trajectory, act U, be rewarded for the true U."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.envs import kernels
from l96bench.envs.checks import checked_scale, chosen
from l96bench.envs.closure_env import SPLITS, ClosureEnv, scale_without_closure
from l96bench.envs.core import Actions, Floats, Mask
from l96bench.envs.memory import checked_past
from l96bench.envs.render import EpisodePicture, Panel
from l96bench.envs.scalar import ScalarEnv
from l96bench.envs.scaling import Scaling
from l96bench.tasks.closure_task import Samples
from l96bench.tasks.registry import make_task

__all__ = ["SubgridForcingEnv", "SubgridForcingVectorEnv"]


class SubgridForcingVectorEnv(ClosureEnv):
    """Offline closure as a contextual bandit: the agent sees X and acts U, which does not change the next state.

    Every step is one sample, 0.05 MTU. The reward is minus the squared error of U over the variance of the training U,
    averaged over points, and over `scale`; with `local` each point's own. An agent that acts the climatological mean
    gets -1 / `scale` on average, and 1 + `scale` times the average reward of another is its R². No episode terminates.

    Parameters
    ----------
    regime : str
        As for `OnlineRolloutVectorEnv`.
    num_envs : int, optional
        As for `OnlineRolloutVectorEnv`.
    local : bool
        As for `OnlineRolloutVectorEnv`.
    split : {"train", "valid", "test"}
        Which trajectories the states come from.
    episode_steps : int
        Steps of an episode.
    past : int
        As for `OnlineRolloutVectorEnv`: here the truth's own past, for `subgrid-forcing-memory`.
    scale : float, optional
        As for `OnlineRolloutVectorEnv`.
    **options
        As for `OnlineRolloutVectorEnv`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make_vec("l96bench/SubgridForcing-v2", num_envs=4)
    ...
    >>> seen, info = env.reset(seed=0)
    >>> seen.shape
    (4, 8)
    """

    def __init__(
        self,
        regime: str = "wilks-f20",
        *,
        num_envs: int | None = None,
        local: bool = False,
        split: str = "train",
        episode_steps: int = 200,
        past: int = 0,
        scale: float | None = None,
        **options: Any,
    ) -> None:
        scaling, task = Scaling.of(regime), make_task(f"subgrid-forcing/{regime}-v1")
        samples: Samples = getattr(task, chosen(split, SPLITS, "split"))
        X, U = (array.reshape(-1, *array.shape[-2:]) for array in (samples.X, samples.U))
        options |= {"episode_steps": episode_steps, "past": checked_past(past)}
        super().__init__(regime, scaling, num_envs, local, X, **options)
        self.interval = samples.interval
        self._U = np.ascontiguousarray(U[:, past:]).reshape(-1, self.regime.K)
        self._acted = np.full((self.n_systems, self.regime.K), np.nan)
        if scale is None:
            known = {"regime": regime, "episode_steps": self.episode_steps}
            scale = scale_without_closure(SubgridForcingVectorEnv, task, 1, **known)
        self.scale = checked_scale(scale)

    def _begin(self, systems: NDArray[np.intp]) -> None:
        super()._begin(systems)
        self._acted[systems] = np.nan

    def _advance(self, actions: Actions, active: Mask, rewards: Floats, terminated: Mask) -> None:
        mean, unit = self.scaling.mean_U, self.scale * self.scaling.std_U**2

        def work(first: int, last: int) -> None:
            kernels.judge_forcing(actions, self._U, self._at, active, mean, self._reach, unit, first, last, rewards)

        self.over_systems(work)
        if self.info or self.render_mode is not None:
            self._acted[active] = self.scaling.forcing(actions[active])

    def _observe(self, out: Actions) -> None:
        self._see(self._truth, self._at, out)

    def _picture(self) -> EpisodePicture:
        return EpisodePicture(
            title=f"SubgridForcing, {self.regime.id}",
            panels=(
                Panel("true U", self.scaling.mean_U, 4.0 * self.scaling.std_U),
                Panel("agent's U", self.scaling.mean_U, 4.0 * self.scaling.std_U),
                Panel("error", 0.0, 2.0 * self.scaling.std_U, error=True),
            ),
            K=self.regime.K,
            n_times=self.episode_steps + 1,
            interval=self.interval,
        )

    def _compared(self) -> tuple[Floats, Floats]:
        return np.where(np.isnan(self._acted), np.nan, self._U[np.maximum(self._at - 1, 0)]), self._acted


class SubgridForcingEnv(ScalarEnv):
    """One system of `SubgridForcingVectorEnv`, with the same behaviour and arguments.

    Parameters
    ----------
    **options
        Those of `SubgridForcingVectorEnv`, but for `num_envs`, `autoreset_mode` and `threads`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/SubgridForcing-v2")
    ...
    >>> env.observation_space.shape, env.action_space.shape
    ((8,), (8,))
    """

    core_class: ClassVar[type[Any]] = SubgridForcingVectorEnv
