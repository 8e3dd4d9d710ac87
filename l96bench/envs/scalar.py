"""The scalar environments: the batched core with one system."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from l96bench.envs.checks import check_options, options_of
from l96bench.envs.core import BatchedEnv

__all__ = ["ScalarEnv"]

_OF_BATCHES = ("num_envs", "agents", "autoreset_mode", "threads")


class ScalarEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """A scalar Gymnasium environment around the batched environment `core` with one system.

    With ``local=True`` the rows of the system are laid side by side: the observation is that of all points, one after
    the other, the action has one number for each point, and the reward is the mean of theirs.

    Parameters
    ----------
    **options
        Those of the family's vector environment, `core_class`, but for `num_envs`, `autoreset_mode` and `threads`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> from l96bench.envs import ScalarEnv
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/SubgridForcing-v2", local=True)
    ...
    >>> isinstance(env.unwrapped, ScalarEnv), env.observation_space.shape
    (True, (40,))
    """

    observation_space: spaces.Box  # type: ignore[assignment]
    action_space: spaces.Box  # type: ignore[assignment]
    metadata: ClassVar[dict[str, Any]] = BatchedEnv.metadata  # type: ignore[misc]
    core_class: ClassVar[type[Any]]

    def __init__(self, **options: Any) -> None:
        known = [each for each in options_of(self.core_class) if each not in _OF_BATCHES]
        check_options(known, options, type(self).__name__)
        self.core: BatchedEnv = self.core_class(**options, autoreset_mode=AutoresetMode.DISABLED)
        self.render_mode = self.core.render_mode
        self.observation_space = _joined(self.core.single_observation_space, self.core.agents)
        self.action_space = _joined(self.core.single_action_space, self.core.agents)
        self._action_shape = self.action_space.low.shape

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a new episode; see `BatchedEnv.reset`."""
        if self._np_random is not None:
            self.core.generators = [self._np_random]  # which Gymnasium lets its users replace
        observations, _ = self.core.reset(seed=seed, options=options)
        if seed is not None or self._np_random is None:
            (self._np_random,), (self._np_random_seed,) = self.core.np_random, self.core.np_random_seed
        return observations.reshape(-1), self.core.first_infos()

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Make one step; see `BatchedEnv.step`. After the end of an episode `reset` must be called first."""
        core = self.core
        observations, rewards, terminated, truncated = core.advance(core.checked_actions(action, self._action_shape))
        reward = float(rewards[0, 0]) if core.agents == 1 else float(rewards.mean())
        return observations.reshape(-1), reward, bool(terminated[0]), bool(truncated[0]), core.first_infos()

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture (height, width, 3) of the episode so far; None without a render mode."""
        return None if self.render_mode is None else self.core.frame(0)

    def close(self) -> None:
        """Do nothing: checkers go on to use an environment that they have closed."""


def _joined(space: Any, agents: int) -> spaces.Box:
    """Return the space of `agents` rows, one after the other."""
    return spaces.Box(np.tile(space.low, agents), np.tile(space.high, agents), dtype=np.float32)
