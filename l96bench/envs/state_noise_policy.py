"""Policies with generalized state-dependent exploration as closures: noise that is a function of the state."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import MODEL_DT
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.steps import Block, StepForm, SteppedClosure
from l96bench.envs.actor import Actor, Learned
from l96bench.envs.scaling import Scaling
from l96bench.envs.trained_policy import PointPolicy
from l96bench.errors import ModelError
from l96bench.estimators.network import TorchRegressor

__all__ = ["StateNoisePolicyClosure"]


class StateNoisePolicyClosure(PointPolicy, SteppedClosure):
    """A trained policy with gSDE as it acts: its noise is a random linear function of the last hidden layer.

    The function is drawn for each row of a member when a run begins, and anew every `every` steps of the model, as
    stable-baselines3 draws it every ``sde_sample_freq`` steps. In between equal states have equal noise, so that it is
    as smooth in time as the state. `predict` is the action without noise (Raffin et al. 2021, arXiv:2005.05719).

    Parameters
    ----------
    actor : Actor
        From the X that a row observes, in its own units, to its action.
    index : (row, width) array of int
        As for `PointPolicy`, with its attributes.
    scaling : Scaling
        As for `PointPolicy`.
    hidden : TorchRegressor
        From the actor's inputs to its last hidden layer, before the activation.
    std : (unit, n_actions) array
        Standard deviations of the function's weights, in units of actions before they are cut off or squashed.
    every : int
        Steps of 0.01 MTU between two draws; -1 for one draw in a run.

    Examples
    --------
    >>> import gymnasium
    >>> import stable_baselines3
    >>> from l96bench import tasks
    >>> from l96bench.envs import SB3VecEnv, StateNoisePolicyClosure
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = SB3VecEnv(gymnasium.make_vec("l96bench/SubgridForcing-v2", num_envs=8, local=True))
    ...
    >>> options = dict(use_sde=True, sde_sample_freq=4, policy_kwargs={"net_arch": [6]})
    >>> model = stable_baselines3.PPO("MlpPolicy", env, **options)
    >>> closure = StateNoisePolicyClosure.from_sb3(model)
    >>> closure.std.shape, closure.every, closure.deterministic
    ((6, 1), 4, False)
    """

    def __init__(
        self,
        actor: Actor,
        index: NDArray[np.int64],
        scaling: Scaling,
        hidden: TorchRegressor,
        std: NDArray[np.float64],
        every: int,
    ) -> None:
        PointPolicy.__init__(self, actor, index, scaling)
        if actor.network.activation not in ("tanh", "relu"):
            raise ModelError(f"expected a policy with gSDE with tanh or relu, got {actor.network.activation}")
        self.hidden, self.std, self.every = hidden, np.array(std), every
        SteppedClosure.__init__(self, _StateNoiseStep(self))

    @classmethod
    def of(cls, learned: Learned) -> Self:
        """Return what a trained policy stands for; `ModelError` unless it has gSDE and sees X alone."""
        index, mean, std, scaling = cls.points(learned)
        hidden, weights = learned.exploring(mean, std)
        return cls(learned.actor(mean, std), index, scaling, hidden, weights, learned.redrawn)

    def predict(self, X: NDArray) -> NDArray:
        """Return U (n, K) without noise for the states X (n, K)."""
        return self.forcing(self.actor.actions(self.observed(X)), np.asarray(X))

    def sample(self, X: NDArray, n_members: int, rng: np.random.Generator) -> NDArray:
        """Return draws of U (member, n, K) for the states X (n, K), with a function of their own for each row."""
        inputs = np.clip(self.observed(X), self.actor.low, self.actor.high)
        weights = rng.standard_normal((n_members, len(inputs), *self.std.shape))
        return np.stack([self.forcing(self.drawn(inputs, each), np.asarray(X)) for each in weights])

    def drawn(self, inputs: NDArray, weights: NDArray) -> NDArray:
        """Return actions (row, n_actions) of inputs (row, width) and weights (row, unit, n_actions) of variance 1."""
        latent = self.hidden.predict_unchecked(inputs)
        latent = np.tanh(latent) if self.actor.network.activation == "tanh" else np.maximum(latent, 0.0)
        noise = np.einsum("ru,rua->ra", latent, weights * self.std)
        actions = self.actor.network.predict_unchecked(inputs) + noise
        return np.tanh(actions) if self.actor.squashed else np.clip(actions, -1.0, 1.0)


class _StateNoiseStep:
    """The step of a `StateNoisePolicyClosure`; its state are the weights, and the steps since they were drawn."""

    dtype = np.float64

    def __init__(self, policy: StateNoisePolicyClosure) -> None:
        self.policy, self.K, self.n_parameters = policy, policy.K, policy.n_parameters
        self.size = policy.K * len(policy.std)
        if policy.every > 0:
            state = Block(self.size, MODEL_DT), Block(1, MODEL_DT)
            self.form = StepForm(state, (Block(self.size, MODEL_DT),), past=False)
        else:
            self.form = StepForm((Block(self.size, MODEL_DT, "normal"),), past=False)

    def __call__(
        self, X: NDArray, state: NDArray, noise: NDArray, uniform: NDArray
    ) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return U (n, K), the next state and the mean of U; see `l96bench.dynamics.steps.Step`."""
        policy, weights = self.policy, state[:, : self.size]
        if policy.every > 0:
            count = state[:, self.size :]
            weights = np.where(count > 0.0, weights, noise)
            count = np.where(count + 1.0 < policy.every, count + 1.0, 0.0)
            state = np.hstack([weights, count])
        inputs = np.clip(policy.observed(X), policy.actor.low, policy.actor.high)
        actions = policy.drawn(inputs, weights.reshape(len(inputs), *policy.std.shape))
        return policy.forcing(actions, X), state, policy.predict(X)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the step's graph; see `Closure`."""
        policy, (units, n_actions) = self.policy, self.policy.std.shape
        inputs, width = policy.observed_graph(builder, x), policy.index.shape[1]
        mean = builder.regressor(inputs, policy.actor.network, width)
        builder.mean(policy.forcing_graph(builder, mean, K))
        name = "Tanh" if policy.actor.network.activation == "tanh" else "Relu"
        latent = builder.node(name, builder.regressor(inputs, policy.hidden, width))
        scaled = builder.node("Mul", self._weights(builder), builder.constant(self._stds, np.float64))
        each = builder.reshape(scaled, -1, units, n_actions)
        noise = builder.node("MatMul", builder.reshape(latent, -1, 1, units), each)
        return policy.forcing_graph(builder, builder.node("Add", mean, builder.reshape(noise, -1, n_actions)), K)

    @property
    def _stds(self) -> NDArray[np.float64]:
        return np.tile(self.policy.std.ravel(), len(self.policy.index))

    def _weights(self, builder: GraphBuilder) -> str:
        """Add the weights of the present step."""
        every = self.policy.every
        if every <= 0:
            kept = builder.state(self.size, np.float64, "normal", MODEL_DT, past=False)
            builder.keep(kept, builder.node("Identity", kept))
            return kept
        before, count = (builder.state(size, np.float64, 0.0, MODEL_DT, past=False) for size in (self.size, 1))
        zero, one, last = (builder.constant(value, np.float64) for value in (0.0, 1.0, float(every)))
        fresh = builder.noise(self.size, np.float64, MODEL_DT)
        weights = builder.node("Where", builder.node("Greater", count, zero), before, fresh)
        following = builder.node("Add", count, one)
        started = builder.node("Mul", count, zero)
        builder.keep(before, weights)
        builder.keep(count, builder.node("Where", builder.node("Greater", last, following), following, started))
        return weights
