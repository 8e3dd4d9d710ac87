"""Training of agents as closures, with learning curves (needs the rl extra)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3.common.callbacks import BaseCallback

from l96bench.data.splits import data_regimes
from l96bench.dynamics.predictions import predict_along
from l96bench.dynamics.resolved import rollout
from l96bench.dynamics.steps import SteppedClosure
from l96bench.envs.closure_env import ClosureEnv
from l96bench.envs.memory import MOST
from l96bench.envs.policy import PolicyClosure
from l96bench.envs.ppo import BatchPPO, PPOOptions
from l96bench.envs.shares import MemberShares
from l96bench.envs.trained_policy import TrainedPolicy
from l96bench.envs.wrappers import find_environment
from l96bench.errors import L96BenchError
from l96bench.metrics.bounds import BOUND
from l96bench.parallel import one_thread
from l96bench.tasks.closure_task import ClosureTask
from l96bench.tasks.registry import make_task

__all__ = ["LearningCurveCallback", "ValidationSkill", "train", "train_ppo", "training_rows"]

_LEAD = 1.0
_CASES = 50


def training_rows(task: ClosureTask, reward: str, episode_steps: int = 20) -> VectorEnv:
    """Return the points of 128 runs of `l96bench/OnlineRollout-v2` on a task's regime as agents with one policy.

    The members of ensembles are paid by their shares, see `MemberShares`.

    Parameters
    ----------
    task : ClosureTask
        Whose regime it is.
    reward : {"forecast", "tendency", "ensemble", "climate"}
        As for `OnlineRolloutVectorEnv`.
    episode_steps : int
        Steps of an episode, of 0.01 MTU.

    Returns
    -------
    VectorEnv
        With 128 K rows.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import tasks
    >>> from l96bench.envs import training_rows
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = training_rows(l96bench.make_task("subgrid-forcing/wilks-f20-v1"), "tendency")
    ...
    >>> env.num_envs
    1024
    """
    env = gymnasium.make_vec(
        "l96bench/OnlineRollout-v2",
        num_envs=128 * task.regime.K,
        regime=task.regime_id,
        local=True,
        reward=reward,
        episode_steps=episode_steps,
        autoreset_mode="Disabled",
    )
    return MemberShares(env) if reward == "ensemble" else env


def train_ppo(
    env: VectorEnv,
    *,
    gamma: float,
    steps: int,
    seed: int,
    kind: type[TrainedPolicy] = PolicyClosure,
    looks: int = 12,
    checkpoint: str | Path | None = None,
    **options: Any,
) -> Any:
    """Train `BatchPPO` by the recipe of the baselines, and return the closure of its policy.

    Parameters
    ----------
    env : VectorEnv
        Of closures, with about 1,000 rows.
    gamma : float
        Discount: 0 where what is done now changes nothing later.
    steps : int
        Of all rows together, as for `train`.
    kind : type
        The closure to make, as for `train`.
    looks : int
        Points of the learning curve, as for `train`.
    seed : int
        Of everything that is random.
    checkpoint : path, optional
        As for `BatchPPO.learn`.
    **options
        Others of `PPOOptions`.

    Returns
    -------
    PolicyClosure or another of that `kind`
        With its `learning_curve`.

    Examples
    --------
    >>> import gymnasium, torch
    >>> from l96bench import tasks
    >>> from l96bench.envs import train_ppo
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make_vec("l96bench/SubgridForcing-v2", num_envs=64, local=True, autoreset_mode="Disabled")
    ...
    >>> train_ppo(env, gamma=0.0, steps=512, seed=0, looks=0, n_steps=4, batch_size=128)
    PolicyClosure(5-32-32-1, K=8)
    """
    agent = BatchPPO(env, PPOOptions(gamma=gamma, **options), seed)
    curve = ValidationSkill(env) if looks else None
    evaluate = None if curve is None else lambda agent: curve.look(agent.closure(kind))
    return agent.learn(steps, looks=max(1, looks), evaluate=evaluate, checkpoint=checkpoint).closure(kind)


def train(
    model: Any,
    steps: int,
    *,
    kind: type[TrainedPolicy] = PolicyClosure,
    looks: int = 12,
) -> Any:
    """Train a stable-baselines3 model on one thread, and return the closure of its policy.

    Parameters
    ----------
    model : stable-baselines3 model
        Such as PPO, TD3 or SAC, in an l96bench environment about closures.
    steps, looks : int
        Steps of all rows together, and points of the learning curve, which the closure has as `learning_curve`; 0 for
        none, where the true U is not known, or systems are many.
    kind : PolicyClosure, StochasticPolicyClosure, MemoryPolicyClosure, InformedPolicy or PastPolicyClosure
        The closure to make: with the policy's most likely actions, or with its randomness; of `OnlineRollout` with past
        or noise, with both; of `UnseenPhysics`, that of a policy that is told h and c, or that observes the past.

    Returns
    -------
    PolicyClosure or another of that `kind`
        With its `learning_curve`.

    Examples
    --------
    >>> import gymnasium
    >>> import stable_baselines3
    >>> from l96bench import tasks
    >>> from l96bench.envs import SB3VecEnv, train
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = SB3VecEnv(gymnasium.make_vec("l96bench/SubgridForcing-v2", num_envs=8, local=True))
    ...
    >>> model = stable_baselines3.PPO("MlpPolicy", env, n_steps=4, batch_size=32, n_epochs=1, seed=0)
    >>> train(model, 32, looks=0)
    PolicyClosure(5-64-64-1, K=8)
    """
    curve = LearningCurveCallback(-(-steps // looks), kind) if looks else None
    with one_thread():
        model.learn(steps, callback=curve)
    closure = kind.from_sb3(model)
    if curve is not None:
        closure.learning_curve = curve.curve
    return closure


class ValidationSkill:
    """The skill of closures on the validation trajectory of the regime of an environment, for learning curves.

    Parameters
    ----------
    env : gymnasium environment
        Of closures of one system; `L96BenchError` for others.

    Examples
    --------
    >>> import gymnasium
    >>> import l96bench
    >>> from l96bench import tasks
    >>> from l96bench.envs import ValidationSkill
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/OnlineRollout-v2")
    ...     skill = ValidationSkill(env)
    ...
    >>> sorted(skill.look(l96bench.PUBLISHED["wilks2005_f20"].polynomial))
    ['error', 'r2']
    """

    def __init__(self, env: Any) -> None:
        inner = find_environment(env)
        if not isinstance(inner, ClosureEnv) or inner.regime.id not in data_regimes():
            raise L96BenchError(
                f"expected an environment of closures of one system for a learning curve, got {inner}; try looks=0"
            )
        valid = make_task(f"subgrid-forcing/{inner.regime.id}-v1").valid
        ahead, spacing = round(_LEAD / valid.interval), len(valid.X) // _CASES
        self._regime, self._std, self._valid = inner.regime, inner.scaling.std_X, valid
        self._variance = float(np.mean((valid.U - inner.scaling.mean_U) ** 2))
        starts = np.arange(_CASES) * spacing
        starts = starts[starts + ahead < len(valid.X)]
        self._past = np.array(valid.X[np.maximum(starts - np.arange(MOST, 0, -1)[:, None], 0)])
        self._starts, self._ends = np.array(valid.X[starts]), np.array(valid.X[starts + ahead])

    def look(self, closure: Any) -> dict[str, float]:
        """Return ``r2`` of U, and ``error``, the RMSE of forecasts of 1 MTU from 50 states over the std of X."""
        rng = np.random.default_rng(0)
        run = rollout(
            *(closure, self._starts, 2 * _LEAD),
            regime=self._regime,
            interval=_LEAD,
            rng=rng,
            history=self._past if hasattr(closure, "remember") else None,
            progress=False,
        )
        if isinstance(closure, SteppedClosure):
            mean = predict_along(closure, self._valid.X[None], rng)[0][0]
        else:
            mean = closure.predict(self._valid.X)
        residual = float(np.mean((mean - self._valid.U) ** 2))
        apart = np.nan_to_num((run.X[-1] - self._ends) / self._std, nan=BOUND)  # NaN are those that blew up
        error = float(np.sqrt(np.mean(np.clip(apart, -BOUND, BOUND) ** 2)))
        return {"r2": 1.0 - residual / self._variance, "error": error}


class LearningCurveCallback(BaseCallback):
    """A callback that evaluates the policy's closure on the validation trajectory during training.

    Parameters
    ----------
    every : int
        Steps of all rows together between two evaluations.
    kind : PolicyClosure or StochasticPolicyClosure
        The closure that is evaluated.

    Attributes
    ----------
    curve : dict of lists
        By evaluation, the first before all training: ``steps``; ``seconds`` of processor time, without those of the
        evaluations; those of `ValidationSkill.look`. From the second on: ``reward``, its mean per step and row since.

    Examples
    --------
    >>> import gymnasium
    >>> import stable_baselines3
    >>> from l96bench import tasks
    >>> from l96bench.envs import LearningCurveCallback, SB3VecEnv
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = SB3VecEnv(gymnasium.make_vec("l96bench/SubgridForcing-v2", num_envs=8, local=True))
    ...     callback = LearningCurveCallback(every=32)
    ...     model = stable_baselines3.PPO("MlpPolicy", env, n_steps=4, batch_size=32, n_epochs=1, seed=0)
    ...     _ = model.learn(32, callback=callback)
    ...
    >>> callback.curve["steps"]
    [0.0, 32.0]
    """

    def __init__(self, every: int, kind: Any = PolicyClosure) -> None:
        super().__init__()
        self.every, self.kind = every, kind
        self.curve: dict[str, list[float]] = {name: [] for name in ("steps", "seconds", "r2", "error", "reward")}
        self._rewards: list[float] = []
        self._looking = 0.0

    def _on_training_start(self) -> None:
        self._skill = ValidationSkill(self.training_env)
        self._start = time.process_time()
        self._look()

    def _on_step(self) -> bool:
        self._rewards.append(float(np.mean(self.locals["rewards"])))
        if self.num_timesteps >= self.every * len(self.curve["steps"]):
            self._look()
        return True

    def _on_training_end(self) -> None:
        if self._rewards:
            self._look()

    def _look(self) -> None:
        """Add a point to the curve."""
        began = time.process_time()
        found = {"steps": float(self.num_timesteps), "seconds": began - self._start - self._looking}
        found |= self._skill.look(self.kind.from_sb3(self.model))
        if self._rewards:
            found["reward"] = float(np.mean(self._rewards))
        for name, value in found.items():
            self.curve[name].append(value)
        self._rewards.clear()
        self._looking += time.process_time() - began
