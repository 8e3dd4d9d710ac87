"""Trained policies as closures: what an agent learned, with the environment's scaling inside, and as an ONNX file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import MODEL_DT, Stateless
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.envs.actor import Actor, Learned
from l96bench.envs.closure_env import ClosureEnv, PointEnv
from l96bench.envs.equation_policy import EquationPolicy
from l96bench.envs.memory_policy import MemoryPolicyClosure
from l96bench.envs.recurrent_policy import RecurrentPolicyClosure
from l96bench.envs.scaling import Scaling
from l96bench.envs.state_noise_policy import StateNoisePolicyClosure
from l96bench.envs.trained_policy import PointPolicy
from l96bench.estimators.network import TorchRegressor

__all__ = ["PolicyClosure", "SquashedPolicyClosure", "StochasticPolicyClosure"]

_LOG_STD = -20.0, 2.0
"""The ends of the logarithm of a standard deviation, as in the policies of SAC."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_QUADRATURE = list(zip(_NODES.tolist(), (_WEIGHTS / np.sqrt(2.0 * np.pi)).tolist(), strict=True))
"""Nodes and weights of the mean of a function of a standard normal number."""


class PolicyClosure(PointPolicy, Stateless):
    """A trained policy's most likely action as a closure: deterministic, without memory.

    Of a policy of `DAIncrement` it gives the analysis increment of a background: a model for `da-increment`.

    Parameters
    ----------
    actor : Actor
        From the X that a row observes, in its own units, to its action.
    index : (row, width) array of int
        As for `PointPolicy`, with its attributes.
    scaling : Scaling
        As for `PointPolicy`.

    Examples
    --------
    >>> import gymnasium, torch
    >>> from l96bench import tasks
    >>> from l96bench.envs import PolicyClosure
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/SubgridForcing-v2", local=True)
    ...
    >>> network = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    >>> PolicyClosure.from_torch(network, env)
    PolicyClosure(5-8-1, K=8)
    """

    @classmethod
    def of(cls, learned: Learned) -> Any:
        """Return what a trained policy stands for; `ModelError` if it observes other things than X.

        A policy with an LSTM stands for a `RecurrentPolicyClosure`, one of `EquationRecovery` for an `EquationPolicy`,
        and one of an environment that shows past or noise for a `MemoryPolicyClosure`.
        """
        inner = learned.between.env
        if cls is PolicyClosure and learned.memory:
            return RecurrentPolicyClosure.of(learned)
        if cls is PolicyClosure and not isinstance(inner, PointEnv):
            return EquationPolicy.of(learned)
        if cls is PolicyClosure and isinstance(inner, ClosureEnv) and inner.memory is not None:
            return MemoryPolicyClosure.of(learned)
        index, mean, std, scaling = cls.points(learned)
        return cls(learned.actor(mean, std), index, scaling)

    def predict(self, X: NDArray) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        return self.forcing(self.actor.actions(self.observed(X)), np.asarray(X))

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the actions' graph, and what they stand for; see `Closure`."""
        inputs = self.observed_graph(builder, x)
        return self.forcing_graph(builder, builder.regressor(inputs, self.actor.network, self.index.shape[1]), K)


class StochasticPolicyClosure(PolicyClosure):
    """A trained policy as it acts: `PolicyClosure` plus normal noise, new in every step of the model.

    Parameters
    ----------
    actor : Actor
        From the X that a row observes, in its own units, to its action.
    index : (row, width) array of int
        As for `PointPolicy`, with its attributes.
    scaling : Scaling
        As for `PointPolicy`.
    std : float
        Standard deviation of the noise, in units of actions.

    Examples
    --------
    >>> import gymnasium, torch
    >>> from l96bench import tasks
    >>> from l96bench.envs import StochasticPolicyClosure
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/SubgridForcing-v2", local=True)
    ...
    >>> closure = StochasticPolicyClosure.from_torch(torch.nn.Sequential(torch.nn.Linear(5, 1)), env, std=[0.1])
    >>> closure.deterministic, round(float(closure.std), 3)
    (False, 0.1)
    """

    deterministic = False

    def __init__(self, actor: Actor, index: NDArray[np.int64], scaling: Scaling, std: float = 0.0) -> None:
        super().__init__(actor, index, scaling)
        self.std = std
        self.start(0, np.random.default_rng(0))

    @classmethod
    def of(cls, learned: Learned) -> Any:
        """Return what a trained policy stands for; `ModelError` without a normal distribution of its actions.

        One of SAC or TQC stands for a `SquashedPolicyClosure`, one of PPO or A2C with gSDE for a
        `StateNoisePolicyClosure`.
        """
        if learned.spread is not None:
            return SquashedPolicyClosure.of(learned)
        if learned.exploration is not None:
            return StateNoisePolicyClosure.of(learned)
        std, closure = learned.noise, super().of(learned)
        closure.std = std
        return closure

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Set the source of the noise."""
        self._rng = rng
        self.last_mean: NDArray | None = None

    def step(self, X: NDArray) -> NDArray:
        """Return the added tendency U (member, K) for the states X (member, K), with its noise."""
        self.last_mean = self.predict(X)
        return self._noisy(self.last_mean, self._rng)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the graph of the mean action, and its noise; see `Closure`."""
        mean, reach = super().graph(builder, x, K), self.reach_U
        builder.mean(mean)
        noise = builder.noise(K, np.float64, MODEL_DT)
        drawn = builder.node("Add", mean, builder.node("Mul", builder.constant(reach * self.std, np.float64), noise))
        return builder.clipped(drawn, self.scaling.mean_U - reach, self.scaling.mean_U + reach)

    def sample(self, X: NDArray, n_members: int, rng: np.random.Generator) -> NDArray:
        """Return draws of U (member, n, K) for the states X (n, K); `predict` is their mean."""
        return self._noisy(np.broadcast_to(self.predict(X), (n_members, *np.shape(X))), rng)

    def _noisy(self, U: NDArray, rng: np.random.Generator) -> NDArray:
        reach, mean = self.reach_U, self.scaling.mean_U
        return np.clip(U + reach * self.std * rng.standard_normal(U.shape), mean - reach, mean + reach)

    def __repr__(self) -> str:
        return f"StochasticPolicyClosure({self.actor!r}, K={self.K}, std={self.std:.3g})"


class SquashedPolicyClosure(PolicyClosure):
    """A trained policy of SAC or TQC as it acts: normal noise, new in every step, is squashed with the action.

    The noise's standard deviation depends on what a row observes. `predict` is the mean of U, by Gauss and Hermite's
    quadrature.

    Parameters
    ----------
    actor : Actor
        As for `PolicyClosure`.
    index : (row, width) array of int
        As for `PointPolicy`, with its attributes.
    scaling : Scaling
        As for `PointPolicy`.
    spread : TorchRegressor
        The logarithm of the standard deviation of an action before it is squashed, from the actor's inputs.

    Examples
    --------
    >>> import gymnasium
    >>> import stable_baselines3
    >>> from l96bench import tasks
    >>> from l96bench.envs import SB3VecEnv, SquashedPolicyClosure
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = SB3VecEnv(gymnasium.make_vec("l96bench/SubgridForcing-v2", num_envs=8, local=True))
    ...
    >>> model = stable_baselines3.SAC("MlpPolicy", env, policy_kwargs={"net_arch": [4]}, buffer_size=8)
    >>> SquashedPolicyClosure.from_sb3(model).deterministic
    False
    """

    deterministic = False

    def __init__(self, actor: Actor, index: NDArray[np.int64], scaling: Scaling, spread: TorchRegressor) -> None:
        super().__init__(actor, index, scaling)
        self.spread = spread
        self.start(0, np.random.default_rng(0))

    @classmethod
    def of(cls, learned: Learned) -> Any:
        """Return what a trained policy stands for; `ModelError` unless it is one of SAC or TQC."""
        index, mean, std, scaling = cls.points(learned)
        return cls(learned.actor(mean, std), index, scaling, learned.spreading(mean, std))

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Set the source of the noise."""
        self._rng = rng
        self.last_mean: NDArray | None = None

    def predict(self, X: NDArray) -> NDArray:
        """Return the mean of U (n, K) for the states X (n, K)."""
        return self._mean(X, *self._distribution(X))

    def step(self, X: NDArray) -> NDArray:
        """Return the added tendency U (member, K) for the states X (member, K), with its noise."""
        middle, deviation = self._distribution(X)
        self.last_mean = self._mean(X, middle, deviation)
        return self._drawn(X, middle, deviation, self._rng)

    def sample(self, X: NDArray, n_members: int, rng: np.random.Generator) -> NDArray:
        """Return draws of U (member, n, K) for the states X (n, K); `predict` is their mean."""
        middle, deviation = self._distribution(X)
        return np.stack([self._drawn(X, middle, deviation, rng) for _ in range(n_members)])

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the graph of an action with its noise, and that of the mean; see `Closure`."""
        inputs, width = self.observed_graph(builder, x), self.index.shape[1]
        middle = builder.regressor(inputs, self.actor.network, width)
        limited = builder.clipped(builder.regressor(inputs, self.spread, width), *_LOG_STD)
        deviation = builder.node("Exp", limited)
        n_actions = K // len(self.index)

        def squashed(noise: str) -> str:
            return builder.node("Tanh", builder.node("Add", middle, builder.node("Mul", deviation, noise)))

        parts = [
            builder.node("Mul", squashed(builder.constant(node, np.float64)), builder.constant(weight, np.float64))
            for node, weight in _QUADRATURE
        ]
        builder.mean(self.scaled_graph(builder, builder.node("Sum", *parts), K))
        noise = builder.reshape(builder.noise(K, np.float64, MODEL_DT), -1, n_actions)
        return self.scaled_graph(builder, squashed(noise), K)

    def _distribution(self, X: NDArray) -> tuple[NDArray, NDArray]:
        """Return the middle and the standard deviation of the rows' actions before they are squashed."""
        inputs = np.clip(self.observed(X), self.actor.low, self.actor.high)
        log_std = self.spread.predict_unchecked(inputs)
        return self.actor.network.predict_unchecked(inputs), np.exp(np.clip(log_std, *_LOG_STD))

    def _mean(self, X: NDArray, middle: NDArray, deviation: NDArray) -> NDArray:
        actions = sum(weight * np.tanh(middle + deviation * node) for node, weight in _QUADRATURE)
        return self.forcing(np.asarray(actions), np.asarray(X))

    def _drawn(self, X: NDArray, middle: NDArray, deviation: NDArray, rng: np.random.Generator) -> NDArray:
        noise = rng.standard_normal(np.shape(X)).reshape(middle.shape)
        return self.forcing(np.tanh(middle + deviation * noise), np.asarray(X))
