"""`l96bench/UnseenPhysics-v1`: the resolved model of another training system in every episode, under the agent's U."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import whole_multiple
from l96bench.data.systems import BOX, SYSTEM_TRACKS
from l96bench.dynamics.resolved import MODEL_DT
from l96bench.envs.checks import checked_scale, chosen
from l96bench.envs.closure_env import scale_without_closure
from l96bench.envs.core import Actions, Floats, Mask
from l96bench.envs.render import EpisodePicture
from l96bench.envs.sampled_rollout import SampledRolloutEnv
from l96bench.envs.scalar import ScalarEnv
from l96bench.envs.scaling import RADIUS, Scaling
from l96bench.errors import L96BenchError
from l96bench.metrics.bounds import bounds
from l96bench.regimes import Regime
from l96bench.tasks.registry import make_task
from l96bench.tasks.system_rollout import PAST, PAST_ERROR
from l96bench.tasks.unseen_physics import SystemSamples

__all__ = ["TOLD", "UnseenPhysicsEnv", "UnseenPhysicsVectorEnv"]

TOLD = {name: (0.5 * sum(BOX[name]), 0.5 * (BOX[name][1] - BOX[name][0])) for name in ("h", "c")}
"""Centre and half-width of the training systems' box: what h and c are shifted and divided by for an agent."""
_REWARDS = ("forecast", "tendency")
_WIDER = 2.0
"""The reach of actions over that in other environments, in standard deviations of U: systems differ."""


class UnseenPhysicsVectorEnv(SampledRolloutEnv):
    """The resolved model of a training system, another one in every episode, under the agent's U.

    An episode draws a training system and one of its samples, from 10 MTU on. The resolved model starts there, with
    that system's F, which the agent is not shown, and holds the agent's U through every step of 0.01 MTU. Samples are
    0.05 MTU apart. With ``x`` the model's state, ``x*`` the system's, and variances those of the system's own samples
    over times and points, the reward of a step that ends at the time of a sample is

    ``"forecast"``
        ``-mean_k (x_k - x*_k)^2 / var X``. Errors grow through the model, and count.
    ``"tendency"``
        ``-mean_k ((x_k - x*_k) / 0.05)^2 / var U``, and then the model is put back on the truth, so that what is done
        now changes nothing after the next sample.

    over `scale`, and 0 for other steps. The U that carries the model to the sample gets 0, and nothing gets more. With
    `local` each row's reward is that of its own point, without the mean.

    The agent sees the model's X. It is blind, unless it is `told` h and c. It may be given the end of the `past` that a
    closure of `unseen-physics` is given in the test: noisy observations up to its start, in its observation and not in
    `info`, so that a policy is a function of what it observes. The scales of X, of U and of the actions are the same
    for all systems, and do not tell them apart. An action of 1 is 9 standard deviations of U from the mean.

    An episode is terminated when a point leaves `BOUND` standard deviations around the mean of the system's X, or is
    not finite. The observation is then that upper bound everywhere, and the reward counts all samples that are left as
    the worst that there are (-400 / `scale` each), so that it never pays to end an episode. The environment needs
    nothing but the training systems: a model's ``fit`` can make one. Raises `L96BenchError` if an argument cannot be
    used.

    Parameters
    ----------
    track : {"interpolate", "extrapolate"}
        Of `unseen-physics`; both train on the same systems.
    num_envs : int, optional
        Rows; by default those of one system. With `local` a multiple of K.
    local : bool
        Make every point an agent that sees its stencil of 5 points and acts its own U.
    reward : {"forecast", "tendency"}
        As above.
    told : bool
        Append h and c to the observation, less the centre of the training systems' box and over its half-width: they
        are in [-1, 1] here, and up to 2 in the test of `extrapolate`.
    past : int or bool
        Put so many observations of the past behind X: all points that the row sees, every 0.05 MTU, the latest last
        and just before the start, scaled as X, with normal errors of standard deviation 1.0 in units of X. 0 to 200,
        which is 10 MTU; True for all. They are drawn when an episode begins, and stay as they are during it.
    episode_steps : int
        Steps of an episode, at least the 5 to its first sample.
    systems : sequence of SystemSamples, optional
        Those to use in place of the task's training systems, as in a model's ``fit``: all with as many samples.
    scale : float, optional
        What rewards are divided by; by default the standard deviation of the returns of 256 episodes without closure
        (U = 0), seeded 0 to 255.
    **options
        `max_episode_steps`, `autoreset_mode`, `threads`, `render_mode` and `info`, see `BatchedEnv`. With `info`, truth
        and error are those of the latest sample. In the option ``start`` of `reset` a trajectory is a training system,
        and a sample counts steps of 0.01 MTU from 10 MTU on, rounded down to a sample.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make_vec("l96bench/UnseenPhysics-v1", num_envs=2, told=True, episode_steps=10, scale=1.0)
    ...
    >>> seen, info = env.reset(seed=0)
    >>> seen.shape  # X, h and c
    (2, 10)
    """

    def __init__(
        self,
        track: str = "interpolate",
        *,
        num_envs: int | None = None,
        local: bool = False,
        reward: str = "forecast",
        told: bool = False,
        past: int | bool = 0,
        episode_steps: int = 100,
        systems: Sequence[SystemSamples] | None = None,
        scale: float | None = None,
        **options: Any,
    ) -> None:
        task = make_task(f"unseen-physics/{chosen(track, SYSTEM_TRACKS, 'track')}-v1")
        self.track, self.reward, self.told = track, chosen(reward, _REWARDS, "reward"), bool(told)
        self.systems = _checked_systems(task.train if systems is None else systems)
        first = self.systems[0]
        self._seen_X, U = (np.stack([getattr(each, name) for each in self.systems]) for name in "XU")
        before, window = round(PAST / first.interval), whole_multiple(first.interval, MODEL_DT)
        self.past, K = _checked_past(past, before), first.regime.K
        own, truth = Scaling.of_samples(self._seen_X, U, wider=_WIDER), self._seen_X[:, before:]
        F = np.array([each.regime.F for each in self.systems])
        beside = self.past * (2 * RADIUS + 1 if local else K) + (len(TOLD) if told else 0)
        options |= {"episode_steps": episode_steps, "beside": beside}
        super().__init__(Regime(track, K, first.regime.J, F[0]), own, num_envs, local, truth, window, F, **options)
        variances = [array.var(axis=(1, 2))[:, None] for array in (self._seen_X, U * first.interval)]
        self._unit_of = variances[_REWARDS.index(reward)]
        self._bounds_of = np.array([bounds(float(X.mean()), float(X.std())) for X in self._seen_X])
        self._told_of = np.array(
            [[(getattr(each.regime, name) - TOLD[name][0]) / TOLD[name][1] for name in TOLD] for each in self.systems]
        )
        self._latest = self._X.copy()
        if self.episode_steps < window:
            raise L96BenchError(f"expected episode_steps from {window} on, the first sample, got {self.episode_steps}")
        if scale is None:
            known = {"systems": self.systems, "reward": reward, "episode_steps": self.episode_steps}
            scale = scale_without_closure(UnseenPhysicsVectorEnv, self.systems, 1, **known)
        self.scale = checked_scale(scale)

    @property
    def shown(self) -> Floats:
        """Mean and standard deviation by which each value that a row sees is scaled, (2, width): X, the past, h, c."""
        told = np.array(list(TOLD.values())).T if self.told else np.empty((2, 0))
        return np.hstack([np.tile(super().shown, 1 + self.past), told])

    @property
    def regimes(self) -> tuple[Regime, ...]:
        """The training system that the present episode of every system of the batch runs in, (n_systems,)."""
        return tuple(self.systems[i].regime for i in self.at[:, 0])

    @property
    def truth(self) -> Floats:
        """The training systems' states at the latest samples, (n_systems, K)."""
        return self._truth[self._at]

    def _begin(self, systems: NDArray[np.intp]) -> None:
        super()._begin(systems)
        drawn, start = self.at[systems].T
        for limits, of in zip(self._bounds, self._bounds_of.T, strict=True):
            limits[systems] = of[drawn]
        self._latest[systems] = self._X[systems]
        if self.told:
            self.beside[systems, :, -len(TOLD) :] = self._told_of[drawn, None]
        if not self.past:
            return
        for i, system, sample in zip(systems, drawn, start // self.window_steps, strict=True):
            last = self._seen_X.shape[1] - self._n_times // self.window_steps + sample
            values = self._seen_X[system, last - self.past : last]
            noisy = values + PAST_ERROR * self.generators[i].standard_normal(values.shape)
            seen = self.scaling.observation(noisy, self.local).reshape(self.past, self.agents, -1)
            self.beside[i, :, : seen.shape[0] * seen.shape[2]] = seen.swapaxes(0, 1).reshape(self.agents, -1)

    def _advance(self, actions: Actions, active: Mask, rewards: Floats, terminated: Mask) -> None:
        self._roll(actions, active, rewards, terminated)
        judged = self._is_sampled & active
        values = np.where(judged[:, None], self.truth, np.nan)
        self._judge(values, self._unit_of[self._at // self._n_times], active, rewards, terminated)
        self._latest[judged] = self._X[judged]
        if self.reward == "tendency":
            back = judged & ~terminated
            self._X[back] = values[back]

    def _picture(self) -> EpisodePicture:
        return self._beside_truth(f"UnseenPhysics, {self.reward} reward")

    def _caption(self, system: int) -> tuple[str, Sequence[str]]:
        regime = self.regimes[system]
        return super()._caption(system)[0], (f"F {regime.F:g}, h {regime.h:g}, c {regime.c:g}",)

    def _compared(self) -> tuple[Floats, Floats]:
        return self.truth, self._latest


class UnseenPhysicsEnv(ScalarEnv):
    """One system of `UnseenPhysicsVectorEnv`, with the same behaviour and arguments.

    Parameters
    ----------
    **options
        Those of `UnseenPhysicsVectorEnv`, but for `num_envs`, `autoreset_mode` and `threads`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/UnseenPhysics-v1", episode_steps=10, scale=1.0)
    ...
    >>> env.observation_space.shape, env.action_space.shape
    ((8,), (8,))
    """

    core_class: ClassVar[type[Any]] = UnseenPhysicsVectorEnv


def _checked_systems(systems: Sequence[SystemSamples]) -> tuple[SystemSamples, ...]:
    """Return the systems, if they have as many points and samples, and more than are past; else L96BenchError."""
    found = tuple(systems)
    if not found or not all(isinstance(each, SystemSamples) for each in found):
        raise L96BenchError(
            "expected systems as a list of SystemSamples, at least one, "
            f"got {[type(each).__name__ for each in found]}; try what a model's fit is given, or task.train"
        )
    alike = {(*each.X.shape, *each.U.shape, each.regime.K, each.interval) for each in found}
    if len(alike) > 1:
        raise L96BenchError(f"expected systems with as many samples, points and MTU between samples, got {alike}")
    least = round(PAST / found[0].interval) + 2
    if len(found[0].X) < least:
        raise L96BenchError(
            f"expected at least {least} samples of a system, for a past and an episode, got {len(found[0].X)}"
        )
    return found


def _checked_past(past: Any, most: int) -> int:
    """Return how many past observations an agent is given, at most so many, or raise L96BenchError."""
    if isinstance(past, bool | np.bool_):
        return most if past else 0
    if isinstance(past, int | np.integer) and 0 <= past <= most:
        return int(past)
    raise L96BenchError(
        f"expected past as a whole number of observations from 0 to {most}, or True for all, got {past!r}"
    )
