"""`l96bench/OnlineRollout-v2`: the resolved model runs under the agent's U from a state of the truth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import whole_multiple
from l96bench.data.splits import get_split, split_seed
from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.dynamics.resolved import MODEL_DT
from l96bench.dynamics.truth import simulate
from l96bench.envs import kernels
from l96bench.envs.checks import checked_scale, chosen, positive
from l96bench.envs.climate_reward import ClimateReward
from l96bench.envs.closure_env import SPLITS, ClosureEnv, scale_without_closure
from l96bench.envs.core import Actions, Floats, Mask
from l96bench.envs.memory import checked_noise, checked_past
from l96bench.envs.render import EpisodePicture
from l96bench.envs.scalar import ScalarEnv
from l96bench.envs.scaling import Scaling
from l96bench.errors import L96BenchError
from l96bench.metrics.bounds import BOUND, bounds
from l96bench.regimes import Regime
from l96bench.tasks.closure_task import Samples
from l96bench.tasks.registry import make_task

__all__ = ["REWARDS", "OnlineRolloutEnv", "OnlineRolloutVectorEnv"]

REWARDS = {"forecast": 100, "tendency": 100, "ensemble": 100, "climate": 1000}
"""The rewards, and the steps of an episode that each has by default."""
SPACING = whole_multiple(HISTORY_INTERVAL, MODEL_DT, "the interval of the past", "the model step")
"""Steps of the model between two past states."""
_KINDS = {"forecast": kernels.FORECAST, "tendency": kernels.TENDENCY}
_WORST = (2.0 * BOUND) ** 2
"""The largest squared error of two states inside the bounds, over the variance."""


class OnlineRolloutVectorEnv(ClosureEnv):
    """The resolved model under the agent's U, held through every step of 0.01 MTU.

    An episode begins at a state of the truth, drawn from all its samples 0.01 MTU apart. The observation is the model's
    X. With ``x`` the model's state, ``x*`` the truth's at the same time, and variances those of the training data over
    times and points, the reward of a step is

    ``"forecast"``
        ``-mean_k (x_k - x*_k)^2 / var X`` after the step. Errors grow through the model, and count.
    ``"tendency"``
        ``-mean_k ((x_k - x*_k) / dt)^2 / var U`` after the step, and then the model is put back on the truth: so x - x*
        is the error of one step from the truth, and over dt that of the agent's U against the U that the truth felt on
        average during the step. What is done now changes nothing later (a contextual bandit, for a discount of 0).
    ``"ensemble"``
        Several members start from each state and run on their own: minus the fair CRPS of their ensemble (Ferro 2014,
        Q. J. R. Meteorol. Soc. 140, 1917-1923), ``-mean_k (mean_m |x_mk - x*_k| - mean_{m<n} |x_mk - x_nk| / 2) / std
        X``, for each of them: what is best for one is best for all. A policy that samples its actions, as PPO's does,
        keeps as much randomness as makes the best forecast; see `l96bench.envs.policy.StochasticPolicyClosure`, and
        `l96bench.envs.shares.MemberShares` for what to pay in training.
    ``"climate"``
        The fall of a distance, ``D(t - 1) - D(t)``, see `ClimateReward`: the rewards of an episode add up to minus
        the distance of the statistics of the model's path from those of the truth's.

    All of it is divided by `scale`. The U that carries the model along the truth gets 0, and nothing gets more.

    With `local` each row's reward is that of its own point, without the mean; the climate is the whole system's.

    An episode is terminated when a point leaves `BOUND` climatological standard deviations around the mean, or is not
    finite, of any member. The observation is then the upper bound everywhere, and the reward counts all steps that are
    left as the worst that there are (400 each for the squared errors, 20 for the ensemble; the largest distance for the
    climate; over `scale`), so that it never pays to end an episode. Raises `L96BenchError` if an argument cannot be
    used.

    Parameters
    ----------
    regime : str
        A regime with data sets, as `l96bench.list_tasks` shows them.
    num_envs : int, optional
        Rows; by default those of one system. With `local` a multiple of K, with `members` of these.
    local : bool
        Make every point an agent that sees its stencil of 5 points and acts its own U.
    reward : {"forecast", "tendency", "ensemble", "climate"}
        As above.
    split : {"train", "valid", "test"}
        Which trajectories the episodes begin on. The stored samples of the last two are 0.05 MTU apart: the same
        trajectories are integrated anew, which takes a second or two.
    episode_steps : int, optional
        Steps of an episode; by default 100, and 1,000 for the climate.
    members : int, optional
        Members of the ensemble, from 2 on; by default 2. Only for that reward. A system is an ensemble: row
        ``(i members + m) K + k`` of a batch is point k of member m of state i, without `local` row ``i members + m``.
    past : int
        Put so many earlier states of the agent's own run behind X, 0 to 40: all points that the row sees, 0.05 MTU
        apart, the latest last and 0.05 MTU ago, scaled as X; before the start those of the truth. An episode then
        begins so much later in a trajectory, and a sample of the option ``start`` of `reset` counts from there.
    noise : sequence of float
        Put red noises behind the past, a standard normal number for each point that the row acts on (all of one noise,
        then all of the next), independent between points and members. Over so many MTU its correlation falls to 1/e. A
        policy that makes something of them is a stochastic closure, see `MemoryPolicyClosure`.
    scale : float, optional
        What rewards are divided by; by default the standard deviation of the returns of 256 episodes without closure
        (U = 0), so that a reward has the same size in every regime and for every length.
    **options
        `max_episode_steps`, `autoreset_mode`, `threads`, `render_mode` and `info`, see `BatchedEnv`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make_vec("l96bench/OnlineRollout-v2", num_envs=16, local=True, scale=1.0)
    ...
    >>> seen, info = env.reset(seed=0)
    >>> seen, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> seen.shape, reward.shape  # two systems of 8 points, which see 5 points each
    ((16, 5), (16,))
    """

    def __init__(
        self,
        regime: str = "wilks-f20",
        *,
        num_envs: int | None = None,
        local: bool = False,
        reward: str = "forecast",
        split: str = "train",
        episode_steps: int | None = None,
        members: int | None = None,
        past: int = 0,
        noise: Sequence[float] = (),
        scale: float | None = None,
        **options: Any,
    ) -> None:
        scaling = Scaling.of(regime)
        self.reward, members = chosen(reward, list(REWARDS), "reward"), _checked_members(members, reward)
        truth = fine_truth(regime, chosen(split, SPLITS, "split"))
        steps = REWARDS[reward] if episode_steps is None else episode_steps
        options |= {"episode_steps": steps, "past": checked_past(past), "noise": checked_noise(noise)}
        super().__init__(regime, scaling, num_envs, local, truth, members, spacing=SPACING, **options)
        n, n_runs = self.n_systems, self.n_systems * members
        self._X, self._U = np.zeros((2, n_runs, self.regime.K))
        self._rows, self._F = np.arange(n_runs), np.full(n_runs, self.regime.F)
        low, high = bounds(scaling.mean_X, scaling.std_X)
        self._bounds = (np.full(n_runs, low), np.full(n_runs, high))
        self._left = np.full(n_runs, -1)
        task = make_task(f"online-rollout/{regime}-v2")
        self._climate = ClimateReward(task, n, self.episode_steps, MODEL_DT) if reward == "climate" else None
        if scale is None:
            known = {"regime": regime, "reward": reward, "episode_steps": self.episode_steps}
            scale = scale_without_closure(OnlineRolloutVectorEnv, task, 2 if members > 1 else 1, **known)
        self.scale, self.interval = checked_scale(scale), MODEL_DT
        units = {"forecast": scaling.std_X**2, "tendency": (scaling.std_U * MODEL_DT) ** 2, "ensemble": scaling.std_X}
        self._unit = self.scale * units.get(reward, 1.0)
        self._worst = (2.0 * BOUND if reward == "ensemble" else _WORST) / self.scale

    @property
    def X(self) -> Floats:
        """The model's states, (n_systems, K), or (n_systems * members, K), those of an ensemble side by side."""
        return self._X.copy()

    @property
    def truth(self) -> Floats:
        """The truth's states at the same times, (n_systems, K)."""
        return self._truth[self._at]

    def _begin(self, systems: NDArray[np.intp]) -> None:
        super()._begin(systems)
        self._X.reshape(self.n_systems, self.members, -1)[systems] = self._truth[self._at[systems], None]
        if self._climate is not None:
            self._climate.begin(systems, self._X)

    def _advance(self, actions: Actions, active: Mask, rewards: Floats, terminated: Mask) -> None:
        def work(first: int, last: int) -> None:
            kernels.roll(
                *(actions, self._X, self._U, self._truth, self._at, active),
                *(self.scaling.mean_U, self._reach, self._F, MODEL_DT, self._bounds, self._left),
                *(_KINDS.get(self.reward, kernels.OTHER), self._unit, first, last, rewards, terminated),
            )
            state = (self._X, self._truth, self._at, active)
            if self.reward == "ensemble":
                kernels.judge_ensembles(*state, self.members, self._unit, first, last, rewards)
            if self._climate is not None:
                self._climate.judge(*state, terminated, self.steps, self._unit, first, last, rewards)

        self.over_systems(work)
        if terminated.any():
            if self._climate is not None:
                rewards[terminated] = self._climate.loss(terminated)[:, None] / self.scale
            else:
                rewards[terminated] = -self._worst * (self.episode_steps - self.steps[terminated])[:, None]

    def _observe(self, out: Actions) -> None:
        self._see(self._X, self._rows, out)

    def _picture(self) -> EpisodePicture:
        return self._beside_truth(f"OnlineRollout, {self.regime.id}, {self.reward} reward")

    def _compared(self) -> tuple[Floats, Floats]:
        return self.truth, self._X.reshape(self.n_systems, self.members, -1).mean(axis=1)


class OnlineRolloutEnv(ScalarEnv):
    """One system of `OnlineRolloutVectorEnv`, with the same behaviour and arguments.

    Parameters
    ----------
    **options
        Those of `OnlineRolloutVectorEnv`, but for `num_envs`, `autoreset_mode` and `threads`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/OnlineRollout-v2")
    ...
    >>> seen, info = env.reset(seed=0)
    >>> seen.shape, env.action_space.shape
    ((8,), (8,))
    """

    core_class: ClassVar[type[Any]] = OnlineRolloutVectorEnv


def _checked_members(members: Any, reward: str) -> int:
    """Return the members of a system; L96BenchError if there are too few for the reward, or any for another one."""
    if reward != "ensemble":
        if members is not None:
            raise L96BenchError(f"expected members only with reward='ensemble', got {members!r} with {reward!r}")
        return 1
    number = 2 if members is None else positive(members, "members")
    if number < 2:
        raise L96BenchError("expected members from 2 on, since one is no ensemble, got 1; try reward='forecast'")
    return number


def fine_truth(regime: str, split: str) -> Floats:
    """Return the trajectories of a split sampled every 0.01 MTU, (trajectory, time, K)."""
    task = make_task(f"online-rollout/{regime}-v2")
    if split == "train":
        return np.asarray(task.train_fine.X)[None]
    samples: Samples = getattr(task, split)
    n = 1 if samples.X.ndim == 2 else len(samples.X)
    return _integrated(task.regime, split, n, samples.X.shape[-2] * samples.interval)


@lru_cache(maxsize=4)
def _integrated(regime: Regime, split: str, n: int, duration: float) -> Floats:
    """Return the first n trajectories of a split, from their own seeds."""
    seed = split_seed(regime, get_split(regime, split).stream)
    run = simulate(regime, duration, interval=MODEL_DT, seed=seed, n_trajectories=n, store_fast=False)
    X = run.X.reshape(n, -1, regime.K)
    X.flags.writeable = False
    return X
