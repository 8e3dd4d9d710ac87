"""The layers of small networks, the loop over batches that trains them, and the search for its learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from l96bench.checks import checked_random_state
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.errors import ModelError

ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}
"""The activation functions by name."""

SCHEDULES = ("one-cycle", "constant")
"""The schedules of the learning rate."""

_NORM_EPS = 1e-5
_NORM_MOMENTUM = 0.1
_RATES = (1e-6, 10.0)  # of a range test
_RANGE_STEPS = 200
_MARGIN = 10.0

Mixing = Callable[[torch.Tensor], torch.Tensor]
"""A function of a layer's inputs before its matrix: the gathering of neighbours in a convolution."""


class Trainable(Protocol):
    """A network that `train` can train: tensors that require gradients, and outputs in training mode."""

    weights: list[torch.Tensor]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs for a batch of inputs."""


class Layers:
    """Fully connected layers in training: hidden ones (matrix, batch norm, activation, dropout), then a linear one."""

    def __init__(
        self,
        units: Sequence[int],
        generator: torch.Generator,
        activation: str,
        residual: bool = False,
        dropout: float = 0.0,
        batch_norm: bool = False,
        mixing: Mixing | None = None,
        taps: int = 1,
    ) -> None:
        n_hidden = len(units) - 2
        self._weights = _initial_weights(units, generator, [taps] * n_hidden + [1])
        self._generator, self._activation = generator, ACTIVATIONS[activation]
        self._residual, self._dropout, self._mixing = residual, dropout, mixing
        hidden = units[1:-1] if batch_norm else ()
        self._scales = [torch.ones(width, requires_grad=True) for width in hidden]
        self._shifts = [torch.zeros(width, requires_grad=True) for width in hidden]
        self._moments = [(torch.zeros(width), torch.ones(width)) for width in hidden]
        self.weights = [*self._weights, *self._scales, *self._shifts]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (..., outputs) for a batch of inputs (..., features), units dropped anew."""
        weights = self._weights
        for i in range(len(weights) // 2 - 1):
            z = functional.linear(x if self._mixing is None else self._mixing(x), weights[2 * i], weights[2 * i + 1])
            if self._scales:
                flat = z.reshape(-1, z.shape[-1])
                scale, shift, (mean, variance) = self._scales[i], self._shifts[i], self._moments[i]
                flat = functional.batch_norm(flat, mean, variance, scale, shift, True, _NORM_MOMENTUM, _NORM_EPS)
                z = flat.reshape(z.shape)
            z = self._activation(z)
            if self._dropout:
                z = z * _mask(z.shape, self._dropout, self._generator)
            x = x + z if self._residual and i and x.shape == z.shape else z
        return functional.linear(x, weights[-2], weights[-1])

    def set_weights(self, coefs: Sequence[NDArray], intercepts: Sequence[NDArray]) -> None:
        """Begin with these matrices and biases; ValueError if they have other shapes."""
        arrays = [array for pair in zip(coefs, intercepts, strict=True) for array in pair]
        shapes = [tuple(tensor.shape) for tensor in self._weights]
        if [array.shape for array in arrays] != shapes:
            raise ValueError(f"expected weights of the shapes {shapes}, got {[array.shape for array in arrays]}")
        with torch.no_grad():
            for tensor, array in zip(self._weights, arrays, strict=True):
                tensor.copy_(torch.from_numpy(array))

    def folded(self) -> tuple[list[NDArray], list[NDArray]]:
        """Return the matrices and biases in float64, each batch norm with its running moments folded into its layer."""
        arrays = [tensor.detach().numpy().astype(np.float64) for tensor in self._weights]
        coefs, intercepts = arrays[::2], arrays[1::2]
        norms = zip(self._scales, self._shifts, self._moments, strict=True)
        for i, (scale, shift, (mean, variance)) in enumerate(norms):
            spread = np.sqrt(variance.numpy().astype(np.float64) + _NORM_EPS)
            factor = scale.detach().numpy().astype(np.float64) / spread
            coefs[i] = coefs[i] * factor[:, None]
            intercepts[i] = (intercepts[i] - mean.numpy()) * factor + shift.detach().numpy()
        return coefs, intercepts


def forward(
    x: torch.Tensor,
    layers: Sequence[tuple[torch.Tensor, torch.Tensor]],
    activation: str,
    residual: bool = False,
    mixing: Mixing | None = None,
    masks: Sequence[torch.Tensor] | None = None,
) -> torch.Tensor:
    """Return outputs (..., outputs) of trained layers for x (..., features), hidden units multiplied by any `masks`."""
    function = ACTIVATIONS[activation]
    for i, (weight, bias) in enumerate(layers[:-1]):
        z = function(functional.linear(x if mixing is None else mixing(x), weight, bias))
        if masks is not None:
            z = z * masks[i]
        x = x + z if residual and i and x.shape == z.shape else z
    return functional.linear(x, *layers[-1])


def layers_graph(
    builder: GraphBuilder,
    x: str,
    coefs: Sequence[NDArray],
    intercepts: Sequence[NDArray],
    activation: str,
    residual: bool = False,
    mixing: Callable[[str, int], str] | None = None,
    masks: Sequence[str] | None = None,
    linear: Callable[[str, int], str] | None = None,
) -> str:
    """Return the graph of `forward` in float32, from and to float64.

    `mixing` gathers a hidden layer's inputs; `linear` adds the matrix and bias of a layer by its number.
    """
    x, width = builder.cast(x, np.float32), coefs[0].shape[-1]

    def own(seen: str, i: int) -> str:
        return builder.linear(seen, coefs[i].reshape(len(coefs[i]), -1), intercepts[i])

    linear = own if linear is None else linear
    for i, coef in enumerate(coefs[:-1]):
        z = _activated(builder, linear(x if mixing is None else mixing(x, width), i), activation)
        z = z if masks is None else builder.node("Mul", z, masks[i])
        x = builder.node("Add", x, z) if residual and i and width == len(coef) else z
        width = len(coef)
    return builder.cast(linear(x, len(coefs) - 1), np.float64)


def _activated(builder: GraphBuilder, x: str, activation: str) -> str:
    """Return an activation of `ACTIVATIONS` in float32."""
    match activation:
        case "tanh":
            return builder.node("Tanh", x)
        case "relu":
            return builder.node("Relu", x)
        case "silu":
            return builder.node("Mul", x, builder.node("Sigmoid", x))
        case "gelu":
            erf = builder.node("Erf", builder.node("Mul", x, builder.constant(2**-0.5, np.float32)))
            half = builder.node("Mul", x, builder.constant(0.5, np.float32))
            return builder.node("Mul", half, builder.node("Add", erf, builder.constant(1.0, np.float32)))
    raise ModelError(f"expected one of the activations {sorted(ACTIVATIONS)}, got {activation!r}")


class TrainedLayers:
    """The base of networks whose layers are kept as float32 arrays, `coefs_` and `intercepts_`."""

    coefs_: list[NDArray]
    intercepts_: list[NDArray]

    @property
    def n_parameters(self) -> int:
        """The number of trained weights."""
        check_is_fitted(self)
        return sum(array.size for array in (*self.coefs_, *self.intercepts_))

    def layers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the matrix (units out, inputs of a unit) and bias of each layer, as `forward` takes them."""
        pairs = zip(self.coefs_, self.intercepts_, strict=True)
        return [(torch.from_numpy(coef.reshape(len(coef), -1)), torch.from_numpy(bias)) for coef, bias in pairs]

    def _store(self, coefs: Iterable[ArrayLike], intercepts: Iterable[ArrayLike]) -> None:
        self.coefs_ = [np.array(array, dtype=np.float32) for array in coefs]
        self.intercepts_ = [np.array(array, dtype=np.float32) for array in intercepts]

    def _load(self, state: Mapping[str, ArrayLike], n_layers: int, other: str, hint: str) -> None:
        """Store the layers of a `state_dict`, which has one entry `other` beside them."""
        expected = {f"{i}.{part}" for i in range(n_layers) for part in ("weight", "bias")} | {other}
        if set(state) != expected:
            raise ValueError(f"Expected arrays {sorted(expected)}; got {sorted(state)}. Check {hint}.")
        self._store(*([state[f"{i}.{part}"] for i in range(n_layers)] for part in ("weight", "bias")))

    def _check_shapes(self, shapes: Sequence[tuple[int, ...]], hint: str) -> None:
        for i, (coef, bias, shape) in enumerate(zip(self.coefs_, self.intercepts_, shapes, strict=True)):
            if coef.shape != shape or bias.shape != shape[:1]:
                raise ValueError(f"Expected layer {i} of shape {shape}; got {coef.shape}. Check {hint}.")


def named_layers(coefs: Iterable[NDArray], intercepts: Iterable[NDArray]) -> dict[str, NDArray]:
    """Return copies of the arrays of layers by name, ``i.weight`` and ``i.bias``."""
    pairs = enumerate(zip(coefs, intercepts, strict=True))
    return {
        f"{i}.{part}": array.copy() for i, pair in pairs for part, array in zip(("weight", "bias"), pair, strict=True)
    }


@dataclass(frozen=True, slots=True)
class Recipe:
    """Options of training a network by Adam on the mean squared error of random batches; see `TorchRegressor`."""

    epochs: int
    batch_size: int
    learning_rate: float | str
    schedule: str
    weight_decay: float
    min_steps: int

    def check(self) -> None:
        """Raise a ValueError for what cannot be trained with."""
        rate = self.learning_rate
        usable = rate == "find" if isinstance(rate, str) else rate > 0
        if self.epochs < 1 or self.batch_size < 1 or not usable:
            raise ValueError(
                "epochs and batch_size must be at least 1 and learning_rate positive or 'find'; "
                f"got {self.epochs}, {self.batch_size} and {rate!r}."
            )
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {list(SCHEDULES)}; got {self.schedule!r}.")


def recipe_of(estimator: Any) -> Recipe:
    """Return the recipe of an estimator with its parameters; raise ValueError for unusable ones."""
    if estimator.activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}; got {estimator.activation!r}.")
    if not 0 <= estimator.dropout < 1:
        raise ValueError(f"dropout must be a probability of at least 0 and below 1; got {estimator.dropout}.")
    recipe = Recipe(**{field.name: getattr(estimator, field.name) for field in fields(Recipe)})
    recipe.check()
    return recipe


def train(
    make: Callable[[torch.Generator], Trainable],
    inputs: torch.Tensor,
    targets: torch.Tensor,
    recipe: Recipe,
    random_state: int | None,
) -> tuple[Any, list[float], float]:
    """Train a network; return it, the mean training loss of each epoch, and the peak of the learning rate."""
    generator = torch_generator(random_state)
    n, batch = len(inputs), min(recipe.batch_size, len(inputs))
    rate = recipe.learning_rate

    def loss_of(network: Trainable, rows: torch.Tensor) -> torch.Tensor:
        return functional.mse_loss(network(inputs[rows]), targets[rows])

    if isinstance(rate, str):
        start, trial = generator.get_state(), make(generator)
        optimizer = _adam(trial.weights, _RATES[0], recipe.weight_decay)
        rate = range_test(optimizer, lambda: loss_of(trial, torch.randint(n, (batch,), generator=generator)))
        generator.set_state(start)
    network = make(generator)
    per_epoch = n // batch
    epochs = max(recipe.epochs, -(-recipe.min_steps // per_epoch))
    optimizer = _adam(network.weights, rate, recipe.weight_decay)
    cycle = recipe.schedule == "one-cycle"
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * per_epoch) if cycle else None
    curve = []
    for _ in range(epochs):
        order = torch.randperm(n, generator=generator)
        total = 0.0
        for i in range(per_epoch):
            loss = loss_of(network, order[i * batch : (i + 1) * batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            total += float(loss.detach())
        curve.append(total / per_epoch)
    return network, curve, rate


def range_test(optimizer: torch.optim.Optimizer, loss_of: Callable[[], torch.Tensor]) -> float:
    """Return a tenth of the learning rate that has the least loss in a sweep (Smith 2017, arXiv:1506.01186)."""
    low, high = _RATES
    growth = (high / low) ** (1 / (_RANGE_STEPS - 1))
    smoothed, least, best = 0.0, np.inf, low
    for step in range(_RANGE_STEPS):
        rate = low * growth**step
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of()
        smoothed = 0.9 * smoothed + 0.1 * float(loss.detach())
        mean = smoothed / (1 - 0.9 ** (step + 1))
        if not mean <= 4 * least:  # also when it is no number
            break
        if mean < least:
            least, best = mean, rate
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return best / _MARGIN


def moments(values: NDArray, wanted: bool) -> tuple[NDArray, NDArray]:
    """Return the mean and std of each column (std 1 for a constant one), or 0 and 1 when they are not wanted."""
    if not wanted:
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    std = values.std(axis=0)
    return values.mean(axis=0), np.where(std > 0, std, 1.0)


def torch_generator(random_state: int | None, word: int = 0, device: str = "cpu") -> torch.Generator:
    """Return a torch generator seeded by a word of `random_state`, another for every purpose; None draws a new one."""
    words = np.random.SeedSequence(checked_random_state(random_state)).generate_state(word + 1)
    return torch.Generator(device).manual_seed(int(words[word]))


def _adam(weights: list[torch.Tensor], rate: float, weight_decay: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(weights, lr=rate, weight_decay=weight_decay, fused=True)


def _initial_weights(units: Sequence[int], generator: torch.Generator, taps: Sequence[int]) -> list[torch.Tensor]:
    """Return weights and biases uniform within 1 / sqrt(inputs of a unit), torch's own choice for its layers."""
    weights = []
    for (n_in, n_out), widened in zip(pairwise(units), taps, strict=True):
        bound = (n_in * widened) ** -0.5
        for shape in ((n_out, n_in * widened), (n_out,)):
            uniform = torch.rand(shape, generator=generator)
            weights.append(((2 * uniform - 1) * bound).requires_grad_())
    return weights


def _mask(shape: Sequence[int], dropout: float, generator: torch.Generator) -> torch.Tensor:
    """Return a dropout mask: zeros with probability `dropout`, and 1 / (1 - dropout) elsewhere."""
    return (torch.rand(tuple(shape), generator=generator) >= dropout).to(torch.float32) / (1 - dropout)
