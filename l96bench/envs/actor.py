"""Trained policies as networks from observations to actions in their own units, whatever library trained them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.distributions import DiagGaussianDistribution, StateDependentNoiseDistribution
from stable_baselines3.common.torch_layers import FlattenExtractor

from l96bench.envs.wrappers import Wrapping, wrapping_of, wrapping_of_env
from l96bench.errors import ModelError
from l96bench.estimators.network import TorchRegressor
from l96bench.metrics.bounds import BOUND

__all__ = ["Actor", "Learned"]

Layer = tuple[NDArray[np.float64], NDArray[np.float64]]

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

    Parameters
    ----------
    network : TorchRegressor
        From inputs that were cut off at `low` and `high` (width,) to the action before it is squashed.
    squashed : bool
        Whether actions end in a tanh (TD3, SAC) or are cut off at -1 and 1 (PPO).
    low, high : (width,) array
        Where inputs are cut off.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from l96bench.estimators import TorchRegressor
    >>> from l96bench.envs import Actor
    >>> X = np.random.default_rng(0).standard_normal((50, 5))
    >>> network = TorchRegressor(hidden=(4,), epochs=1, min_steps=1).fit(X, X[:, :1])
    >>> actor = Actor(network, np.full(5, -2.0), np.full(5, 2.0), squashed=True)
    >>> actor, actor.actions(X).shape
    (5-4-1, (50, 1))
    """

    network: TorchRegressor
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    squashed: bool

    def actions(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the actions (n, outputs) for inputs (n, width)."""
        return self.acted(np.clip(inputs, self.low, self.high))

    def acted(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the actions (n, outputs) for inputs of the network (n, inputs), which are not cut off."""
        actions = self.network.predict_unchecked(inputs)
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


@dataclass(frozen=True, slots=True)
class Learned:
    """A trained policy of fully connected layers, and the environment that it was trained in.

    Parameters
    ----------
    layers : list of (weight, bias)
        From what a row is shown, or from the memory's output, to its mean action, float64.
    activation : str
        Between the layers, by the names of `TorchRegressor`.
    squashed : bool
        Whether actions end in a tanh (TD3, SAC) or are cut off at -1 and 1 (PPO).
    std : array or None
        Standard deviations of the actions, where they are normal and independent of the state.
    between : Wrapping
        The environment, and what lies between it and the policy.
    memory : tuple of (weight, bias)
        The LSTM before the layers, layer by layer: the weights (4 units, inputs + units) of what it is given and of
        its last output, for the gates in torch's order. Empty for policies without memory.
    spread : (weight, bias), optional
        The layer beside the last one of SAC and TQC, which gives the logarithm of the standard deviation of the action
        before it is squashed.
    exploration : (unit, n_actions) array, optional
        Standard deviations of the weights of gSDE, from the last hidden layer to the noise.
    redrawn : int
        Steps after which these weights are drawn anew; -1 for never.

    Examples
    --------
    >>> import gymnasium, torch
    >>> from l96bench import tasks
    >>> from l96bench.envs import Learned
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/SubgridForcing-v2", local=True)
    ...
    >>> learned = Learned.from_torch(torch.nn.Sequential(torch.nn.Linear(5, 1)), env)
    >>> len(learned.layers), learned.squashed, learned.memory
    (1, False, ())
    """

    layers: list[Layer]
    activation: str
    squashed: bool
    std: NDArray[np.float64] | None
    between: Wrapping
    memory: tuple[Layer, ...] = ()
    spread: Layer | None = None
    exploration: NDArray[np.float64] | None = None
    redrawn: int = -1

    @classmethod
    def from_sb3(cls, model: Any, env: Any = None) -> Self:
        """Return what a model of stable-baselines3, sb3-contrib or sbx learned; see `TrainedPolicy.from_sb3`."""
        between, std = wrapping_of(model, env), None
        if hasattr(model.policy, "actor_state"):
            layers, activation, squashed, std, beside = _of_jax(model.policy)
            return cls(layers, activation, squashed, std, between, spread=beside)
        if getattr(getattr(model.policy, "actor", None), "use_sde", False):
            raise ModelError(
                "expected gSDE of PPO or A2C alone: SAC and TQC cut the mean off before they add it; try use_sde=False"
            )
        layers, activation = _layers(_modules(model.policy))
        if isinstance(getattr(model.policy, "action_dist", None), DiagGaussianDistribution):
            std = np.exp(model.policy.log_std.detach().cpu().numpy())
        memory, beside = _memory(getattr(model.policy, "lstm_actor", None)), None
        if isinstance(getattr(getattr(model.policy, "actor", None), "action_dist", None), DiagGaussianDistribution):
            beside = _weights(model.policy.actor.log_std)
        squashed, gsde = bool(model.policy.squash_output), _exploration(model)
        return cls(layers, activation, squashed, std, between, memory, beside, *gsde)

    @classmethod
    def from_torch(cls, network: torch.nn.Sequential, env: Any, std: Any = None) -> Self:
        """Return what a torch network learned; see `TrainedPolicy.from_torch`."""
        if not isinstance(network, torch.nn.Sequential):
            raise ModelError(
                f"expected a torch.nn.Sequential of Linear layers and activations, got {type(network).__name__}; try "
                "l96bench.export_onnx with a module from X (n, K) to U (n, K)"
            )
        modules = list(network)
        squashed = len(modules) > 1 and isinstance(modules[-1], torch.nn.Tanh)
        layers, activation = _layers(modules)
        return cls(
            layers, activation, squashed, None if std is None else np.array(std, dtype=float), wrapping_of_env(env)
        )

    @property
    def n_inputs(self) -> int:
        """The number of values that the policy observes."""
        if self.memory:
            weight, bias = self.memory[0]
            return int(weight.shape[1] - len(bias) // 4)
        return int(self.layers[0][0].shape[1])

    def actor(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> Actor:
        """Return the most likely action for inputs in their own units, which are shown as ``(inputs - mean) / std``.

        Raises `ModelError` for another number of inputs, (width,) of `mean` and `std`, than the policy observes, and
        for a policy with a memory.
        """
        if self.memory:
            raise ModelError("expected a policy without memory, got a recurrent one; try PolicyClosure.from_sb3")
        mean, std, low, high = self._shown(mean, std)
        weight, bias = self.layers[0]
        return self._acting([(weight / std, bias - (weight / std) @ mean), *self.layers[1:]], low, high)

    def spreading(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> TorchRegressor:
        """Return the logarithm of the noise's standard deviation before an action is squashed, for `actor`'s inputs.

        Raises `ModelError` for a policy without such a noise, and as `actor`.
        """
        if self.spread is None:
            raise ModelError("expected a policy whose noise is squashed with its action, like that of SAC and TQC")
        return replace(self, layers=[*self.layers[:-1], self.spread]).actor(mean, std).network

    def exploring(
        self, mean: NDArray[np.float64], std: NDArray[np.float64]
    ) -> tuple[TorchRegressor, NDArray[np.float64]]:
        """Return the last hidden layer, before the activation, for `actor`'s inputs, and the weights' std of gSDE.

        Raises `ModelError` for a policy without gSDE or hidden layers, and as `actor`.
        """
        if self.exploration is None or len(self.layers) < 2:
            raise ModelError("expected a policy of PPO or A2C with use_sde=True and hidden layers")
        plain = self.squashed or self.between.is_plain
        gained = self.exploration if plain else self.exploration * self.between.gain
        return replace(self, layers=self.layers[:-1], squashed=True).actor(mean, std).network, gained

    def remembering(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> tuple[tuple[Layer, ...], Actor]:
        """Return the memory of a recurrent policy for inputs in their own units, and the actor that reads its output.

        What the memory is given lies between the actor's `low` and `high`. Raises `ModelError` as `actor`.
        """
        if not self.memory:
            raise ModelError("expected a recurrent policy, got one without memory; try PolicyClosure.from_sb3")
        mean, std, low, high = self._shown(mean, std)
        weight, bias = self.memory[0]
        own = weight[:, : len(mean)] / std
        first = np.concatenate([own, weight[:, len(mean) :]], axis=1), bias - own @ mean
        return (first, *self.memory[1:]), self._acting(list(self.layers), low, high)

    def _shown(self, mean: NDArray, std: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Return mean and std of what the policy itself is given, and the ends of the inputs that reach it."""
        if self.n_inputs != len(mean):
            raise ModelError(f"expected a policy that observes {len(mean)} values, got one of {self.n_inputs} inputs")
        low, high = mean - BOUND * std, mean + BOUND * std
        for shift, scale, bound in self.between.normalized:  # two affine maps in a row are one, and so are two cuts
            mean, std = mean + std * shift, std * scale
            reach = bound * std
            low, high = np.clip(low, mean - reach, mean + reach), np.clip(high, mean - reach, mean + reach)
        return mean, std, low, high

    def _acting(self, layers: list[Layer], low: NDArray, high: NDArray) -> Actor:
        """Return the actor of some layers, whose actions are the environment's."""
        between = self.between
        if not self.squashed and not between.is_plain:  # a tanh fills whatever box there is
            last, bias = layers[-1]
            layers[-1] = (last * between.gain[:, None], (bias - between.box.low) * between.gain - 1.0)
        network = TorchRegressor(hidden=tuple(len(bias) for _, bias in layers[:-1]), activation=self.activation)
        state: dict[str, Any] = {"one_output": np.array(False)}
        for i, (weight, bias) in enumerate(layers):
            state |= {f"{i}.weight": weight, f"{i}.bias": bias}
        return Actor(network.load_state_dict(state), low, high, self.squashed)

    @property
    def noise(self) -> float:
        """The standard deviation of the noise, in units of the environment's actions, its mean over the points."""
        if self.std is None:
            raise ModelError("expected a policy with a normal distribution of its actions, like that of PPO and A2C")
        return float(np.mean(self.std if self.between.is_plain else self.std * self.between.gain))


def _modules(policy: Any) -> list[torch.nn.Module]:
    """Return the modules of a stable-baselines3 policy's mean action."""
    actor = getattr(policy, "actor", policy)
    extractor = getattr(actor, "pi_features_extractor", None) or actor.features_extractor
    if not isinstance(extractor, FlattenExtractor):
        raise ModelError(f"expected a policy without features of its own, got {type(extractor).__name__}")
    if actor is policy:
        return [*policy.mlp_extractor.policy_net, policy.action_net]
    return [*actor.latent_pi, actor.mu] if hasattr(actor, "latent_pi") else list(actor.mu)


def _exploration(model: Any) -> tuple[NDArray[np.float64] | None, int]:
    """Return the standard deviations of the weights of gSDE, and the steps after which they are drawn anew."""
    policy = model.policy
    found = getattr(policy, "action_dist", None)
    if not isinstance(found, StateDependentNoiseDistribution):
        return None, -1
    return found.get_std(policy.log_std).detach().cpu().numpy().astype(np.float64), int(model.sde_sample_freq)


def _of_jax(policy: Any) -> tuple[list[Layer], str, bool, NDArray | None, Layer | None]:
    """Return layers, activation, whether actions are squashed, std and spread of a policy of sbx, which is in JAX."""
    weights = dict(policy.actor_state.params["params"])
    std, squashed = weights.pop("log_std", None), bool(policy.squash_output)
    activation = getattr(policy.actor.activation_fn, "__name__", "unknown")
    if activation not in ("tanh", "relu", "silu") or any(name != f"Dense_{i}" for i, name in enumerate(weights)):
        raise ModelError(f"expected fully connected layers with tanh, relu or silu, got {activation} in {[*weights]}")
    layers: list[Layer] = [
        (np.array(each["kernel"], dtype=np.float64).T, np.array(each["bias"], dtype=np.float64))
        for each in weights.values()
    ]
    beside = layers.pop() if type(policy.actor).__name__ == "SquashedGaussianActor" else None
    return layers, activation, squashed, None if std is None else np.exp(np.array(std, dtype=np.float64)), beside


def _memory(lstm: Any) -> tuple[Layer, ...]:
    """Return the layers of an LSTM; none without one."""
    if lstm is None:
        return ()
    layers = []
    for i in range(lstm.num_layers):
        given, kept, bias, other = (
            getattr(lstm, f"{name}_l{i}").detach().cpu().numpy().astype(np.float64)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        layers.append((np.concatenate([given, kept], axis=1), bias + other))
    return tuple(layers)


def _layers(modules: list[torch.nn.Module]) -> tuple[list[Layer], str]:
    """Return the matrices and biases of a mean action, and the activation between them."""
    if isinstance(modules[-1], torch.nn.Tanh):  # the end of TD3's, which `Actor` puts back
        modules = modules[:-1]
    linear: list[Any] = modules[::2]
    between = modules[1::2]
    names = {_LAYERS.get(type(module), type(module).__name__) for module in between} or {"tanh"}
    if not all(isinstance(module, torch.nn.Linear) for module in linear) or len(names) > 1 or len(modules) % 2 == 0:
        raise ModelError(f"expected fully connected layers with one activation between them, got {modules}")
    [activation] = names
    if activation not in _LAYERS.values():
        raise ModelError(f"expected one of the activations {sorted(_LAYERS.values())}, got {activation}")
    return [_weights(module) for module in linear], activation


def _weights(linear: Any) -> Layer:
    """Return weight and bias of a linear layer of torch."""
    weight, bias = (each.detach().cpu().numpy().astype(np.float64) for each in (linear.weight, linear.bias))
    return weight, bias
