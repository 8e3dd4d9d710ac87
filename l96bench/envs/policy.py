"""Trained policies as closures: what an agent learned, with the environment's scaling inside, and as an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.torch_layers import FlattenExtractor

from l96bench.dynamics.closures import MODEL_DT, GraphBuilder, Stateless
from l96bench.envs.scaling import ACTION_SCALE, Scaling
from l96bench.envs.wrappers import Wrapping, wrapping_of
from l96bench.errors import ModelError
from l96bench.estimators.network import TorchRegressor
from l96bench.files import write_atomic
from l96bench.graphs.models import exported
from l96bench.metrics.bounds import BOUND

__all__ = ["Actor", "PolicyClosure", "StochasticPolicyClosure", "TrainedPolicy"]

_LAYERS: dict[type[torch.nn.Module], str] = {
    torch.nn.Tanh: "tanh",
    torch.nn.ReLU: "relu",
    torch.nn.GELU: "gelu",
    torch.nn.SiLU: "silu",
}
"""The activations that a policy may have between its layers, by the names of `TorchRegressor`."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A policy's most likely action, for inputs in their own units.

    Attributes
    ----------
    network : TorchRegressor
        From inputs that were cut off at `low` and `high` (width,) to the action before it is squashed.
    squashed : bool
        Whether actions end in a tanh (TD3, SAC) or are cut off at -1 and 1 (PPO).
    """

    network: TorchRegressor
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    squashed: bool

    @classmethod
    def from_sb3(cls, model: Any, mean: NDArray[np.float64], std: NDArray[np.float64], between: Wrapping) -> Self:
        """Return the actor of a stable-baselines3 model whose environment shows ``(inputs - mean) / std``, cut off.

        Raises `ModelError` if the policy has another form, or another number of inputs.

        Parameters
        ----------
        model : PPO, A2C, TD3, DDPG or SAC
            With a ``MlpPolicy`` of fully connected layers.
        mean, std : (width,) arrays
        between : Wrapping
            What lies between the model and its environment: it becomes part of the network.
        """
        layers, activation = _layers(model.policy)
        first, bias = layers[0]
        if first.shape[1] != len(mean):
            raise ModelError(f"expected a policy that observes {len(mean)} values, got one of {first.shape[1]} inputs")
        low, high = mean - BOUND * std, mean + BOUND * std
        for shift, scale, bound in between.normalized:  # two affine maps in a row are one, and so are two cuts
            mean, std = mean + std * shift, std * scale
            reach = bound * std
            low, high = np.clip(low, mean - reach, mean + reach), np.clip(high, mean - reach, mean + reach)
        layers[0] = (first / std, bias - (first / std) @ mean)
        squashed = bool(model.policy.squash_output)
        if not squashed and not between.is_plain:  # a tanh fills whatever box there is
            last, bias = layers[-1]
            layers[-1] = (last * between.gain[:, None], (bias - between.box.low) * between.gain - 1.0)
        network = TorchRegressor(hidden=tuple(len(bias) for _, bias in layers[:-1]), activation=activation)
        state: dict[str, Any] = {"one_output": np.array(False)}
        for i, (weight, bias) in enumerate(layers):
            state |= {f"{i}.weight": weight, f"{i}.bias": bias}
        return cls(network.load_state_dict(state), low, high, squashed)

    def actions(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the actions (n, outputs) for inputs (n, width)."""
        actions = self.network.predict_unchecked(np.clip(inputs, self.low, self.high))
        return np.tanh(actions) if self.squashed else np.clip(actions, -1.0, 1.0)

    def given(self, values: NDArray[np.float64]) -> Actor:
        """Return the actor whose last inputs are these values (n,): what they add to the first layer is a bias."""
        n, network = len(values), self.network
        state = network.state_dict()
        first = np.asarray(state["0.weight"], dtype=np.float64)
        state["0.bias"] = state["0.bias"] + first[:, -n:] @ np.clip(values, self.low[-n:], self.high[-n:])
        state["0.weight"] = first[:, :-n]
        fixed = TorchRegressor(hidden=network.hidden, activation=network.activation).load_state_dict(state)
        return Actor(fixed, self.low[:-n], self.high[:-n], self.squashed)

    def __repr__(self) -> str:
        units = [len(self.low), *self.network.hidden, len(self.network.intercepts_[-1])]
        return "-".join(map(str, units))


class TrainedPolicy:
    """The base of what policies become: the network, and what lies between it and the model.

    Parameters
    ----------
    actor : Actor
        From what a row observes, in its own units, to its action.
    index : (row, width) array of int
        The points that each row observes: stencils, or the whole state.
    scaling : Scaling
        Of the environment that the policy was trained in.

    Attributes
    ----------
    n_parameters : int
    learning_curve : dict of lists
        The curve of `l96bench.envs.training.train`; empty for other policies.
    """

    def __init__(self, actor: Actor, index: NDArray[np.int64], scaling: Scaling) -> None:
        self.learning_curve: dict[str, list[float]] = {}
        self.actor, self.index, self.scaling = actor, np.array(index), scaling
        self.K = len(self.index) * len(actor.network.intercepts_[-1])

    @classmethod
    def from_sb3(cls, model: Any, env: Any = None) -> Self:
        """Return what a stable-baselines3 model stands for; see `PolicyClosure.from_sb3`."""
        raise NotImplementedError

    @property
    def n_parameters(self) -> int:
        """The number of trained weights."""
        return self.actor.network.n_parameters

    @property
    def reach_U(self) -> float:
        """The distance of an action of 1 from mean_U."""
        return ACTION_SCALE * self.scaling.std_U

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.actor!r}, K={self.K})"


class PolicyClosure(TrainedPolicy, Stateless):
    """A trained policy's most likely action as a closure: deterministic, without memory.

    Parameters
    ----------
    actor : Actor
        From the X that a row observes, in its own units, to its action.
    index, scaling
        As for `TrainedPolicy`, with its attributes.
    """

    @classmethod
    def from_sb3(cls, model: Any, env: Any = None) -> Self:
        """Return the closure that a stable-baselines3 model stands for.

        Raises `ModelError` if the policy has another form, or observes what a closure does not have.

        Parameters
        ----------
        model : PPO, A2C, TD3, DDPG or SAC
            See `Actor.from_sb3`.
        env : optional
            The l96bench environment that it was trained in, where it is no longer ``model.get_env()``, as of a loaded
            model: with its wrappers, such as `RescaleAction`, and the `VecNormalize` that was saved beside the model,
            neither of which a model knows by itself.
        """
        between = wrapping_of(model, env)
        inner = between.env
        index, (mean, std) = inner.observed, inner.shown
        if len(mean) > index.shape[1]:
            raise ModelError(
                f"expected a policy that observes X alone, got one of an environment that shows {len(mean)} values; "
                "try InformedPolicy.from_sb3 with told=True, and PastPolicyClosure.from_sb3 with past alone"
            )
        if model.observation_space.shape == (index.size,):  # a scalar environment lays side by side what points observe
            index, mean, std = index.reshape(1, -1), np.tile(mean, len(index)), np.tile(std, len(index))
        return cls(Actor.from_sb3(model, mean, std, between), index, inner.scaling)

    def predict(self, X: NDArray) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.K:
            raise ModelError(f"The policy was trained on K = {self.K} points; X has shape {X.shape}.")
        actions = self.actor.actions(X[:, self.index].reshape(-1, self.index.shape[1]))
        return self.scaling.mean_U + self.reach_U * actions.reshape(X.shape)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the actions' graph, and what they stand for; see `Closure`."""
        width, actor = self.index.shape[1], self.actor
        inputs = builder.clipped(builder.reshape(builder.gather(x, self.index), -1, width), actor.low, actor.high)
        outputs = builder.regressor(inputs, actor.network, width)
        actions = builder.node("Tanh", outputs) if actor.squashed else builder.clipped(outputs, -1.0, 1.0)
        scaled = builder.node("Mul", actions, builder.constant(self.reach_U, np.float64))
        return builder.reshape(builder.node("Add", scaled, builder.constant(self.scaling.mean_U, np.float64)), -1, K)

    def to_onnx(self, path: str | Path) -> Path:
        """Write the closure as an ONNX file: input X (n, K), output U (n, K), all scaling inside."""
        path = Path(path)
        write_atomic(path, exported(self, self.K, path.name).data)
        return path


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
    def from_sb3(cls, model: Any, env: Any = None) -> Self:
        """Return the closure that a PPO or A2C model stands for; see `PolicyClosure.from_sb3`."""
        if not isinstance(getattr(model.policy, "action_dist", None), DiagGaussianDistribution):
            raise ModelError("expected a policy with a normal distribution of its actions, like that of PPO and A2C")
        closure = super().from_sb3(model, env)
        std, between = np.exp(model.policy.log_std.detach().cpu().numpy()), wrapping_of(model, env)
        closure.std = float(std.mean() if between.is_plain else (std * between.gain).mean())
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


def _layers(policy: Any) -> tuple[list[tuple[NDArray, NDArray]], str]:
    """Return the matrices and biases of a policy's mean action, and the activation between them."""
    actor = getattr(policy, "actor", policy)
    extractor = getattr(actor, "pi_features_extractor", None) or actor.features_extractor
    if not isinstance(extractor, FlattenExtractor):
        raise ModelError(f"expected a policy without features of its own, got {type(extractor).__name__}")
    if actor is policy:
        modules = [*policy.mlp_extractor.policy_net, policy.action_net]
    else:
        modules = [*actor.latent_pi, actor.mu] if hasattr(actor, "latent_pi") else list(actor.mu)
    if isinstance(modules[-1], torch.nn.Tanh):  # the end of TD3's, which `Actor` puts back
        modules.pop()
    linear, between = modules[::2], modules[1::2]
    names = {_LAYERS.get(type(module), type(module).__name__) for module in between} or {"tanh"}
    if not all(isinstance(module, torch.nn.Linear) for module in linear) or len(names) > 1 or len(modules) % 2 == 0:
        raise ModelError(f"expected fully connected layers with one activation between them, got {modules}")
    [activation] = names
    if activation not in _LAYERS.values():
        raise ModelError(f"expected one of the activations {sorted(_LAYERS.values())}, got {activation}")
    pairs = [(module.weight.detach().cpu().numpy(), module.bias.detach().cpu().numpy()) for module in linear]
    return [(weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in pairs], activation
