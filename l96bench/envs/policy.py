"""Trained policies as closures: what an agent learned, with the environment's scaling inside, and as an ONNX file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import MODEL_DT, GraphBuilder, Stateless
from l96bench.envs.actor import Actor, Learned
from l96bench.envs.closure_env import PointEnv
from l96bench.envs.equation_policy import EquationPolicy
from l96bench.envs.recurrent_policy import RecurrentPolicyClosure
from l96bench.envs.scaling import Scaling
from l96bench.envs.trained_policy import PointPolicy
from l96bench.errors import ModelError

__all__ = ["PolicyClosure", "StochasticPolicyClosure"]


class PolicyClosure(PointPolicy, Stateless):
    """A trained policy's most likely action as a closure: deterministic, without memory.

    Of a policy of `DAIncrement` it gives the analysis increment of a background: a model for `da-increment`.

    Parameters
    ----------
    actor : Actor
        From the X that a row observes, in its own units, to its action.
    index, scaling
        As for `PointPolicy`, with its attributes.
    """

    @classmethod
    def of(cls, learned: Learned) -> Any:
        """Return what a trained policy stands for; `ModelError` if it observes other things than X.

        A policy with an LSTM stands for a `RecurrentPolicyClosure`, one of `EquationRecovery` for an `EquationPolicy`.
        """
        if cls is PolicyClosure and learned.memory:
            return RecurrentPolicyClosure.of(learned)
        if cls is PolicyClosure and not isinstance(learned.between.env, PointEnv):
            return EquationPolicy.of(learned)
        index, mean, std, scaling = cls.points(learned)
        return cls(learned.actor(mean, std), index, scaling)

    def predict(self, X: NDArray) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.K:
            raise ModelError(f"The policy was trained on K = {self.K} points; X has shape {X.shape}.")
        actions = self.actor.actions(X[:, self.index].reshape(-1, self.index.shape[1]))
        return self.forcing(actions, X)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the actions' graph, and what they stand for; see `Closure`."""
        width, actor = self.index.shape[1], self.actor
        inputs = builder.clipped(builder.reshape(builder.gather(x, self.index), -1, width), actor.low, actor.high)
        return self.forcing_graph(builder, builder.regressor(inputs, actor.network, width), K)


class StochasticPolicyClosure(PolicyClosure):
    """A trained policy as it acts: `PolicyClosure` plus normal noise, new in every step of the model.

    `std` is the standard deviation of the noise, in units of actions.
    """

    deterministic = False

    def __init__(self, actor: Actor, index: NDArray[np.int64], scaling: Scaling, std: float = 0.0) -> None:
        super().__init__(actor, index, scaling)
        self.std = std
        self.start(0, np.random.default_rng(0))

    @classmethod
    def of(cls, learned: Learned) -> Any:
        """Return what a trained policy stands for; `ModelError` without a normal distribution of its actions."""
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
