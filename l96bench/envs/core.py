"""The batched core of every environment: seeds, episodes, automatic resets, checks, threads and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from l96bench.envs import kernels
from l96bench.envs.checks import (
    autoreset_mode_of,
    check_options,
    checked_actions,
    checked_mask,
    checked_seeds,
    checked_start,
    chosen,
    options_of,
    positive,
)
from l96bench.envs.infos import final_infos, scalar_infos, vector_infos
from l96bench.envs.render import FPS, EpisodePicture, History
from l96bench.envs.threads import Threads
from l96bench.errors import EpisodeError, L96BenchError

__all__ = ["Actions", "BatchedEnv", "Floats", "Mask"]

Actions = NDArray[np.float32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class BatchedEnv(VectorEnv):
    """Base of the vector environments: many independent systems of one family, stepped together.

    A *system* is one episode's world: it has a random generator, a clock and an end of its own. A *row* is what
    Gymnasium counts: one agent. Without ``local`` a system is one row; with it each of the system's ``agents`` points
    is a row, system i being the rows ``i * agents .. (i + 1) * agents - 1``, which begin and end together. System i,
    seeded ``seed + i``, equals bit for bit the scalar environment seeded ``seed + i``: each draws from the generator
    that Gymnasium makes of that seed, and only when an episode begins.

    Parameters
    ----------
    n_systems, agents : int
        Systems, and rows of each.
    observation_space, action_space : gymnasium.spaces.Box
        Of one row; one-dimensional.
    episode_steps : int
        Steps of an episode, after which it is truncated.
    max_episode_steps : int, optional
        Truncate episodes after so many steps if that is earlier, and change nothing else, as `gymnasium.make` does by
        its wrapper `TimeLimit`: starts and rewards remain those of episodes of `episode_steps`.
    autoreset_mode : AutoresetMode or {"NextStep", "SameStep", "Disabled"}
        When a row that has ended begins anew (see `gymnasium.vector.AutoresetMode`).
    threads : int
        Threads that a step is divided among; the bits do not depend on it.
    render_mode : {None, "rgb_array"}
        Whether `render` returns pictures.
    info : bool
        Whether `info` also holds ``truth``, ``error`` (the agent's less the truth), both (K,) of the row's system, and
        ``time`` since its start in MTU: for critics that may know more than the agent, and for learning curves.

    Attributes
    ----------
    scale : float
        What rewards are divided by.
    interval : float
        MTU of a step.
    generators : list of numpy Generator, one a system
    steps : (n_systems,) array
        Steps that the present episodes have made.

    Notes
    -----
    A family says what a system is by these hooks. They get and fill arrays over all systems, and must treat every
    system apart, so that its bits depend on no other.

    ``_begin(systems)``
        Begin new episodes of the systems (an index array), drawing from ``self.generators[i]`` alone.
    ``_advance(actions, active, rewards, terminated)``
        Step the systems where ``active`` (n_systems,) is true. `actions` (n_systems, n_actions) are float32 in the
        action box; fill `rewards` (n_systems, agents), zeros before, and `terminated` (n_systems,), false before.
        ``self.steps`` (n_systems,) holds the steps that each episode made before this one. Rewards are finite.
    ``_observe(out)``
        Fill `out` (n_systems, agents * width), float32, with the observations of all systems, ended ones included, in
        the box.
    ``_infos()``
        Optional: what `info` holds, arrays with the leading axis n_systems by name; nothing by default.
    ``_compared()``
        Optional: the truth and what the agent made in its place, both (n_systems, K), for the option `info` and
        pictures.
    ``_places()``
        Optional: how many trajectories, and samples of each, an episode may begin at; then `reset` takes a start, and
        ``_begin`` must look at ``self._given``: None, or a place (trajectory, sample) for each of its systems.
    ``_picture()``, ``_records()``, ``_caption(system)``
        For ``render_mode="rgb_array"``: the `EpisodePicture` of the environment; after every step and reset, the values
        (n_systems, K) of each of its panels, by default truth, agent's and error; and optionally a line and more lines
        of text for one system.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench.envs import BatchedEnv
    >>> env = gymnasium.make_vec("l96bench/EquationRecovery-v2", num_envs=4)
    >>> isinstance(env.unwrapped, BatchedEnv), env.unwrapped.n_systems
    (True, 4)
    """

    scale: float
    interval: float
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": FPS}  # type: ignore[misc]

    def __new__(cls, *_: Any, **options: Any) -> Self:
        """Refuse an option that the class does not have, wherever the class is called."""
        check_options(options_of(cls), options, cls.__name__)
        return super().__new__(cls)

    def __init__(
        self,
        n_systems: int,
        *,
        agents: int = 1,
        observation_space: spaces.Box,
        action_space: spaces.Box,
        episode_steps: int,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 1,
        render_mode: str | None = None,
        info: bool = False,
    ) -> None:
        self.n_systems, self.agents = n_systems, agents
        self.num_envs = n_systems * agents
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, self.num_envs)
        self.action_space = batch_space(action_space, self.num_envs)
        self.episode_steps = positive(episode_steps, "episode_steps")
        self._limit = self.episode_steps
        if max_episode_steps is not None:
            self._limit = min(self._limit, positive(max_episode_steps, "max_episode_steps"))
        self.info = bool(info)
        if self.info and type(self)._compared is BatchedEnv._compared:
            raise L96BenchError(f"{type(self).__name__} knows no truth for info=True; try without")
        self.autoreset_mode = autoreset_mode_of(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore[misc]
        self.threads = min(positive(threads, "threads"), n_systems)
        self.render_mode = chosen(render_mode, (None, "rgb_array"), "render_mode")
        self.generators: list[Any] = [None] * n_systems
        self._seeds: list[Any] = [None] * n_systems
        self._given: NDArray[np.int64] | None = None
        self._started = False
        self.steps = np.zeros(n_systems, dtype=np.int64)
        self._last_rewards = np.zeros(n_systems)
        self._ended = np.zeros(n_systems, dtype=bool)
        self._any_ended = False
        self._everyone = np.ones(n_systems, dtype=bool)
        self._low, self._high = float(action_space.low.min()), float(action_space.high.max())
        self._action_shape = (self.num_envs, *action_space.low.shape)
        self._observation_shape = (self.num_envs, *observation_space.low.shape)
        self._workers = Threads(self.threads)
        self._history: History | None = None

    # What a family fills in.

    def _begin(self, systems: NDArray[np.intp]) -> None:
        raise NotImplementedError

    def _advance(self, actions: Actions, active: Mask, rewards: Floats, terminated: Mask) -> None:
        raise NotImplementedError

    def _observe(self, out: Actions) -> None:
        raise NotImplementedError

    def _infos(self) -> dict[str, NDArray[Any]]:
        return {}

    def _compared(self) -> tuple[Floats, Floats]:
        raise NotImplementedError

    def _places(self) -> tuple[int, int] | None:
        return None

    def _picture(self) -> EpisodePicture:
        raise NotImplementedError

    def _records(self) -> tuple[Floats, ...]:
        truth, own = self._compared()
        return truth, own, own - truth

    def _caption(self, system: int) -> tuple[str, Sequence[str]]:
        return f"reward {self._last_rewards[system]:.3g}", ()

    # Gymnasium's interface.

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Actions, dict[str, Any]]:
        """Begin new episodes: the observations (num_envs, width), float32, of all rows, and their infos.

        Parameters
        ----------
        seed : int or sequence of int or None, optional
            System i is seeded ``seed + i``, or by its own number of the sequence. Systems without a seed go on drawing
            from the generator that they have.
        options : dict, optional
            ``"reset_mask"``, a bool array (num_envs,), begins anew only the rows where it is true; rows of one system
            go together. ``"start"``, whole numbers (2,) or (systems to begin, 2), are the trajectory and the sample of
            the truth that episodes begin at, in place of random ones; everything else is drawn as without it.

        Raises
        ------
        EpisodeError, L96BenchError
            For a mask before the first reset, or after `close`; for seeds, options or a mask that cannot be used, in
            which case nothing has changed.
        """
        self._require(not self.closed, "the environment is closed: make a new one")
        seeds = checked_seeds(seed, self.n_systems)
        known = ["reset_mask"] if self._places() is None else ["reset_mask", "start"]
        check_options(known, options or (), "reset")
        systems = checked_mask(options, self.n_systems, self.agents)
        given = checked_start(options, len(systems), self._places())
        everyone = len(systems) == self.n_systems
        self._require(self._started or everyone, "expected a first reset of all rows before one with a mask")
        for i in systems:
            if seeds[i] is not None or self.generators[i] is None:
                self.generators[i], self._seeds[i] = seeding.np_random(seeds[i])
        self._started, self._given = True, given
        self._restart(systems)
        self._given = None
        self._remember(systems)
        return self._observations(), vector_infos(self._all_infos(), self.agents)

    def step(self, actions: NDArray[Any]) -> tuple[Actions, Floats, Mask, Mask, dict[str, Any]]:
        """Step every row, or begin its next episode, as the autoreset mode says.

        Parameters
        ----------
        actions : (num_envs, n_actions) floating-point array
            In the action box.

        Returns
        -------
        observations, rewards : (num_envs, width) float32 array, (num_envs,) float64 array
        terminations, truncations : (num_envs,) bool arrays
            Never both: an episode that blows up in its last step is terminated.
        infos : dict
            In the mode ``SAME_STEP`` with ``final_obs`` and ``final_info`` of the rows that ended, as in
            `SyncVectorEnv`.

        Raises
        ------
        ActionError
            For actions of the wrong shape or dtype, outside of the box, or NaN. Nothing has changed then.
        EpisodeError
            Before the first reset, after `close`, or, when ``DISABLED``, while a row that ended waits for its reset.
        """
        observations, rewards, terminated, truncated = self.advance(self.checked_actions(actions, self._action_shape))
        infos: dict[str, Any] = {}
        if self._any_ended and self.autoreset_mode is AutoresetMode.SAME_STEP:
            infos = final_infos(self._all_infos(), observations, np.array(self._by_row(self._ended)))
            systems = np.flatnonzero(self._ended)
            self._restart(systems)
            self._remember(systems)
            observations = self._observations()
        infos |= vector_infos(self._all_infos(), self.agents)
        return observations, rewards.reshape(-1), self._by_row(terminated), self._by_row(truncated), infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return a picture (height, width, 3) of every row's episode so far; None without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(frame for i in range(self.n_systems) for frame in (self.frame(i),) * self.agents)

    def close_extras(self, **kwargs: Any) -> None:
        """End the threads."""
        self._workers.close()

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generators of all systems, None before their first reset."""
        return tuple(self.generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds of all systems."""
        return tuple(self._seeds)

    @property
    def spec(self) -> EnvSpec | None:
        """What made the environment, in terms that can be written as JSON."""
        return self._spec

    @spec.setter
    def spec(self, value: EnvSpec | None) -> None:
        if value is not None and isinstance(value.kwargs.get("autoreset_mode"), AutoresetMode):
            value.kwargs["autoreset_mode"] = value.kwargs["autoreset_mode"].value
        self._spec = value

    _spec: EnvSpec | None = None

    # What the scalar environment shares.

    def checked_actions(self, actions: Any, shape: tuple[int, ...]) -> Actions:
        """Return the actions as float32 (n_systems, n_actions), or raise `ActionError` if they do not fit the box."""
        return checked_actions(actions, shape, self._low, self._high).reshape(self.n_systems, -1)

    def advance(self, actions: Actions) -> tuple[Actions, Floats, Mask, Mask]:
        """Make one step under checked actions without same-step resets; return what `step` returns, by system."""
        self._require(not self.closed, "the environment is closed: make a new one")
        self._require(self._started, "expected reset() before the first step")
        active, waiting = self._everyone, None
        if self._any_ended:
            if self.autoreset_mode is not AutoresetMode.NEXT_STEP:
                rows = np.flatnonzero(self._by_row(self._ended))
                self._require(
                    False,
                    f"expected a reset of the rows whose episodes have ended, {rows[:8].tolist()}, before the next "
                    "step; try reset() or, for these rows alone, reset(options={'reset_mask': mask})",
                )
            active, waiting = ~self._ended, np.flatnonzero(self._ended)
        rewards = np.zeros((self.n_systems, self.agents))
        terminated, truncated = np.zeros((2, self.n_systems), dtype=bool)
        self._advance(actions, active, rewards, terminated)
        if self.render_mode is not None:
            self._last_rewards = rewards.mean(axis=1)
        self._any_ended = kernels.count_steps(self.steps, active, self._limit, terminated, truncated, self._ended)
        if waiting is not None:
            self._restart(waiting)
        if self.render_mode is not None:
            self._remember(np.arange(self.n_systems))
        return self._observations(), rewards, terminated, truncated

    def first_infos(self) -> dict[str, Any]:
        """Return the `info` of the first system."""
        return scalar_infos(self._all_infos())

    def frame(self, system: int) -> NDArray[np.uint8]:
        """Return the picture of one system's episode so far, uint8 (height, width, 3)."""
        self._require(self._history is not None, "expected reset() before render()")
        assert self._history is not None
        picture = self._picture()
        records, gone = self._history.of(system)
        status, lines = self._caption(system)
        return picture.frame(records, status, lines, gone * picture.interval)

    def over_systems(self, work: Callable[[int, int], object]) -> None:
        """Call ``work(first, last)`` for ranges that together are all systems, one a thread."""
        self._workers.over(self.n_systems, work)

    # Inside.

    def _restart(self, systems: NDArray[np.intp]) -> None:
        """Begin new episodes."""
        self._begin(systems)
        self.steps[systems] = 0
        self._last_rewards[systems] = 0.0
        self._ended[systems] = False
        self._any_ended = bool(self._ended.any())
        if self._history is not None:
            self._history.clear(systems)

    def _remember(self, systems: NDArray[np.intp]) -> None:
        """Keep the present values of the systems for their pictures."""
        if self.render_mode is None:
            return
        records = self._records()
        if self._history is None:
            picture = self._picture()
            self._history = History(self.n_systems, len(records), picture.n_times, picture.K)
        self._history.add(systems, *(record[systems] for record in records))

    def _observations(self) -> Actions:
        """Return the observations of all rows, in an array of their own."""
        out = np.empty(self._observation_shape, dtype=np.float32)
        self._observe(out.reshape(self.n_systems, -1))
        return out

    def _all_infos(self) -> dict[str, NDArray[Any]]:
        """Return what `info` holds, by system."""
        infos = self._infos()
        if self.info:
            truth, own = self._compared()
            infos = {**infos, "truth": truth, "error": own - truth, "time": self.steps * self.interval}
        return infos

    def _by_row(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of systems as values of rows."""
        return values if self.agents == 1 else np.repeat(values, self.agents, axis=0)

    @staticmethod
    def _require(condition: bool, message: str) -> None:
        if not condition:
            raise EpisodeError(message)
