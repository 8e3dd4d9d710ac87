"""One system whose grid points are the agents of a PettingZoo `ParallelEnv` (needs the rl extra)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from l96bench.envs.checks import check_options, chosen, options_of
from l96bench.envs.core import BatchedEnv
from l96bench.envs.registration import ENVIRONMENTS
from l96bench.errors import ActionError, EpisodeError

__all__ = ["ParallelPointsEnv"]

_OF_BATCHES = ("num_envs", "agents", "autoreset_mode", "threads", "local")
_PREFIX = "l96bench:"

Rows = dict[str, NDArray[np.float32]]


class ParallelPointsEnv(ParallelEnv[str, NDArray[np.float32], NDArray[np.float32]]):
    """A system with ``local=True`` as PettingZoo knows it: every grid point an agent with its own action and reward.

    Agents are called ``"point_0"`` .. ``"point_{K-1}"``; with the members of an ensemble (`OnlineRollout-v2`)
    ``"member_0_point_0"`` and so on. All begin and end together. Their numbers are bit for bit those of the rows of
    ``gymnasium.make_vec(id, num_envs=..., local=True)`` for one system and the same seed.

    Parameters
    ----------
    id : str
        An id of `ENVIRONMENTS`, also as ``"l96bench:l96bench/OnlineRollout-v2"``.
    **options
        Those of the environment (`regime`, `reward`, `render_mode`, ...), but for `local`, `num_envs`,
        `autoreset_mode` and `threads`.

    Attributes
    ----------
    possible_agents, agents : list of str
        All agents, and those of the present episode: all of them until it ends, and none before the first reset.
    core : BatchedEnv
        The environment of one system behind it; agent i is its row i.
    state_space : gymnasium.spaces.Box
        Of `state`.

    Raises
    ------
    UnknownIdError
        For an id or an option that does not exist.
    L96BenchError
        For options that the environment refuses.

    Examples
    --------
    >>> import pettingzoo
    >>> from l96bench import tasks
    >>> from l96bench.envs import ParallelPointsEnv
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = ParallelPointsEnv("l96bench/OnlineRollout-v2")
    ...
    >>> env.possible_agents[:2]
    ['point_0', 'point_1']
    """

    def __init__(self, id: str = "l96bench/OnlineRollout-v2", **options: Any) -> None:
        known_id = chosen(id.removeprefix(_PREFIX), list(ENVIRONMENTS), "environment")
        kind: Any = load_env_creator(str(gymnasium.spec(known_id).vector_entry_point))
        check_options([each for each in options_of(kind) if each not in _OF_BATCHES], options, type(self).__name__)
        self.core: BatchedEnv = kind(**options, local=True, autoreset_mode=AutoresetMode.DISABLED)
        self.render_mode = self.core.render_mode
        self.metadata = {**BatchedEnv.metadata, "name": known_id, "is_parallelizable": True}
        members = getattr(self.core, "members", 1)
        points = [f"point_{k}" for k in range(self.core.agents // members)]
        names = [f"member_{m}_{point}" for m in range(members) for point in points]
        self.possible_agents = points if members == 1 else names
        self.agents: list[str] = []
        observed, acted = self.core.single_observation_space, self.core.single_action_space
        # Every agent has spaces of its own, which are seeded apart.
        self.observation_spaces = {agent: copy.deepcopy(observed) for agent in self.possible_agents}
        self.action_spaces = {agent: copy.deepcopy(acted) for agent in self.possible_agents}
        joined = self.core.observation_space
        self.state_space = spaces.Box(joined.low.reshape(-1), joined.high.reshape(-1), dtype=np.float32)
        self._seen = np.zeros(joined.shape, dtype=np.float32)

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the observation space of an agent, the same object each time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Box:
        """Return the action space of an agent, the same object each time."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Rows, dict[str, dict[str, Any]]]:
        """Begin a new episode of all agents.

        Parameters
        ----------
        seed : int, optional
            As for the environment; without one, the generator goes on.
        options : dict, optional
            ``"start"`` as for `BatchedEnv.reset`. PettingZoo's checker gives options that no environment knows: all
            others are ignored.

        Returns
        -------
        observations, infos : dict by agent
            Arrays (width,), float32, and the system's info, whose arrays the agents share.

        Raises
        ------
        L96BenchError
            For a seed or a start that cannot be used, in which case nothing has changed.
        """
        given = {name: value for name, value in (options or {}).items() if name == "start"}
        self._seen, _ = self.core.reset(seed=seed, options=given)
        self.agents = list(self.possible_agents)
        return self._observations(), self._infos(self.agents)

    def step(
        self, actions: Mapping[str, NDArray[np.float32]]
    ) -> tuple[Rows, dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Step all agents.

        Parameters
        ----------
        actions : dict by agent
            An action (n_actions,) of floating-point numbers in its box for each of `agents`.

        Returns
        -------
        observations, rewards, terminations, truncations, infos : dict by agent
            At the end of the episode the last ones; `agents` is then empty until the next reset.

        Raises
        ------
        ActionError
            For agents that lack an action or do not exist, and for actions that do not fit their box; nothing has
            changed then.
        EpisodeError
            Before the first reset, and after the end of an episode.
        """
        if not self.agents:
            raise EpisodeError("expected reset() before the first step, and after the end of an episode")
        if actions.keys() != set(self.agents):
            wrong = sorted(actions.keys() ^ set(self.agents))
            raise ActionError(f"expected one action for each of env.agents and no others; see {wrong[:4]}")
        shape = self.core.single_action_space.shape
        for agent in self.agents:
            if np.shape(actions[agent]) != shape:
                raise ActionError(f"expected an action of shape {shape}, got {np.shape(actions[agent])} for {agent}")
        stacked = np.stack([actions[agent] for agent in self.agents])
        checked = self.core.checked_actions(stacked, stacked.shape)
        self._seen, rewards, terminated, truncated = self.core.advance(checked)
        agents = self.agents
        if terminated[0] or truncated[0]:
            self.agents = []
        return (
            self._observations(),
            dict(zip(agents, map(float, rewards[0]), strict=True)),
            dict.fromkeys(agents, bool(terminated[0])),
            dict.fromkeys(agents, bool(truncated[0])),
            self._infos(agents),
        )

    def state(self) -> NDArray[np.float32]:
        """Return what all agents see, one after the other, (agents * width,): the scalar environment's observation."""
        return self._seen.reshape(-1).copy()

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture (height, width, 3) of the episode so far; None without a render mode."""
        return None if self.render_mode is None else self.core.frame(0)

    def close(self) -> None:
        """Close the environment: it can no longer be reset."""
        self.core.close()
        self.agents = []

    def _observations(self) -> Rows:
        return {agent: seen.copy() for agent, seen in zip(self.possible_agents, self._seen, strict=True)}

    def _infos(self, agents: list[str]) -> dict[str, dict[str, Any]]:
        infos = self.core.first_infos()
        return {agent: dict(infos) for agent in agents}
