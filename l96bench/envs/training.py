"""Training of stable-baselines3 models as closures, with learning curves (needs the rl extra)."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from l96bench.data.splits import data_regimes
from l96bench.dynamics.resolved import rollout
from l96bench.envs.policy import PolicyClosure, TrainedPolicy
from l96bench.envs.sb3 import SB3VecEnv
from l96bench.envs.shares import MemberShares
from l96bench.envs.wrappers import find_environment
from l96bench.errors import L96BenchError
from l96bench.metrics.bounds import BOUND
from l96bench.parallel import one_thread
from l96bench.tasks.closure_task import ClosureTask
from l96bench.tasks.registry import make_task

__all__ = ["LearningCurveCallback", "train", "train_ppo", "training_rows"]

_LEAD = 1.0
_CASES = 50


def training_rows(task: ClosureTask, reward: str, episode_steps: int = 20) -> VectorEnv:
    """Return the points of 128 runs of `l96bench/OnlineRollout-v2` on a task's regime as agents with one policy.

    The members of ensembles are paid by their shares, see `MemberShares`.
    """
    env = gymnasium.make_vec(
        "l96bench/OnlineRollout-v2",
        num_envs=128 * task.regime.K,
        regime=task.regime_id,
        local=True,
        reward=reward,
        episode_steps=episode_steps,
        autoreset_mode="Disabled" if reward == "ensemble" else "SameStep",
    )
    return MemberShares(env) if reward == "ensemble" else env


def train_ppo(
    env: VectorEnv,
    *,
    gamma: float,
    steps: int,
    seed: int,
    log_std: float = -1.5,
    kind: type[TrainedPolicy] = PolicyClosure,
    looks: int = 12,
) -> Any:
    """Train PPO by the recipe of the baselines: short rollouts, large batches, a learning rate that falls to zero.

    Parameters
    ----------
    env : VectorEnv
        Of closures, with about 1,000 rows.
    gamma : float
        Discount: 0 where what is done now changes nothing later.
    steps, kind, looks
        As for `train`.
    seed : int
        Of the training; rows are seeded from 1,000 times it on.
    log_std : float
        Logarithm of the actions' standard deviation at first.
    """
    model = PPO(
        "MlpPolicy",
        SB3VecEnv(env),
        gamma=gamma,
        n_steps=20,
        batch_size=4096,
        learning_rate=lambda left: 1e-3 * left,
        policy_kwargs={"log_std_init": log_std},
        seed=1000 * seed,
        device="cpu",
    )
    return train(model, steps, kind=kind, looks=looks)


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
    model : PPO, TD3, SAC, ...
        In an l96bench environment about closures.
    steps, looks : int
        Steps of all rows together, and points of the learning curve, which the closure has as `learning_curve`; 0 for
        none, where the true U is not known, or systems are many.
    kind : PolicyClosure, StochasticPolicyClosure, InformedPolicy or PastPolicyClosure
        The closure to make: with the policy's most likely actions, or with its randomness; of `UnseenPhysics`, that of
        a policy that is told h and c, or that observes the past.
    """
    curve = LearningCurveCallback(-(-steps // looks), kind) if looks else None
    with one_thread():
        model.learn(steps, callback=curve)
    closure = kind.from_sb3(model)
    if curve is not None:
        closure.learning_curve = curve.curve
    return closure


class LearningCurveCallback(BaseCallback):
    """A callback that evaluates the policy's closure on the validation trajectory during training.

    Parameters
    ----------
    every : int
        Steps of all rows together between two evaluations.
    kind : PolicyClosure or StochasticPolicyClosure

    Attributes
    ----------
    curve : dict of lists
        By evaluation, the first before all training: ``steps``; ``seconds`` of processor time, without those of the
        evaluations; ``r2`` of U; ``error``, the RMSE of forecasts of 1 MTU from 50 states over the standard deviation
        of X. From the second on: ``reward``, its mean per step and row since the last.
    """

    def __init__(self, every: int, kind: Any = PolicyClosure) -> None:
        super().__init__()
        self.every, self.kind = every, kind
        self.curve: dict[str, list[float]] = {name: [] for name in ("steps", "seconds", "r2", "error", "reward")}
        self._rewards: list[float] = []
        self._looking = 0.0

    def _on_training_start(self) -> None:
        env = find_environment(self.training_env)
        if env.regime.id not in data_regimes():
            raise L96BenchError(f"expected an environment of one system for a learning curve, got {env}; try looks=0")
        valid = make_task(f"subgrid-forcing/{env.regime.id}-v1").valid
        ahead, spacing = round(_LEAD / valid.interval), len(valid.X) // _CASES
        self._regime, self._std, self._valid = env.regime, env.scaling.std_X, valid
        self._variance = float(np.mean((valid.U - env.scaling.mean_U) ** 2))
        starts = np.arange(_CASES) * spacing
        starts = starts[starts + ahead < len(valid.X)]
        self._starts, self._ends = np.array(valid.X[starts]), np.array(valid.X[starts + ahead])
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
        closure, rng = self.kind.from_sb3(self.model), np.random.default_rng(0)
        residual = float(np.mean((closure.predict(self._valid.X) - self._valid.U) ** 2))
        run = rollout(closure, self._starts, 2 * _LEAD, regime=self._regime, interval=_LEAD, rng=rng, progress=False)
        apart = np.nan_to_num((run.X[-1] - self._ends) / self._std, nan=BOUND)  # NaN are those that blew up
        error = float(np.sqrt(np.mean(np.clip(apart, -BOUND, BOUND) ** 2)))
        found = {"steps": float(self.num_timesteps), "seconds": began - self._start - self._looking}
        found |= {"r2": 1.0 - residual / self._variance, "error": error}
        if self._rewards:
            found["reward"] = float(np.mean(self._rewards))
        for name, value in found.items():
            self.curve[name].append(value)
        self._rewards.clear()
        self._looking += time.process_time() - began
