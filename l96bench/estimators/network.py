"""A small fully connected network as a scikit-learn regressor, trained with PyTorch on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch.nn import functional

ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}
"""The activation functions by name."""

_BLOCK = 1024  # rows predicted at once: what fits the cache


class TorchRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A network of fully connected layers, trained by Adam on the squared error under a one-cycle learning rate.

    Equal data, parameters and `random_state` give equal networks on one kind of CPU: training runs on one thread,
    with random numbers of its own; torch's global generator and thread count are left as they were.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer.
    activation : {"gelu", "relu", "silu", "tanh"}
    epochs : int
        Passes over the training data; more, as many as it takes, when they come to fewer than `min_steps` steps.
    batch_size : int
    learning_rate : float
        The peak of the one-cycle schedule (Smith and Topin 2019, arXiv:1708.07120).
    weight_decay : float
        Decoupled weight decay (AdamW; Loshchilov and Hutter 2019, arXiv:1711.05101).
    standardize : bool
        Train on inputs and targets scaled to mean 0 and std 1. What is learned is folded into the outer layers.
    min_steps : int
        Least number of optimizer steps, so that small training sets are learned as well.
    random_state : int or None
        Seed of the initial weights and the order of batches; None draws a new one.

    Attributes
    ----------
    coefs_ : list of ndarray of float32, each (units out, units in)
    intercepts_ : list of ndarray of float32, each (units out,)
        The weights of the layers, for inputs and outputs in their own units.
    loss_curve_ : list of float
        Mean training loss of each epoch, in units of the targets' variance when standardized.
    n_features_in_ : int
    """

    def __init__(
        self,
        hidden: Sequence[int] = (64, 64),
        activation: str = "gelu",
        epochs: int = 10,
        batch_size: int = 256,
        learning_rate: float = 0.01,
        weight_decay: float = 0.0,
        standardize: bool = True,
        min_steps: int = 500,
        random_state: int | None = 0,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.standardize = standardize
        self.min_steps = min_steps
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on inputs X (n, features) and targets y (n,) or (n, outputs)."""
        rows, outputs = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self._check_parameters()
        self._one_output = outputs.ndim == 1
        outputs = outputs.reshape(len(outputs), -1).astype(np.float64)
        x_mean, x_std = _moments(rows, self.standardize)
        y_mean, y_std = _moments(outputs, self.standardize)
        inputs = torch.from_numpy(((rows - x_mean) / x_std).astype(np.float32))
        targets = torch.from_numpy(((outputs - y_mean) / y_std).astype(np.float32))
        with _one_thread():
            weights, self.loss_curve_ = self._trained(inputs, targets)
        layers = [tensor.detach().numpy().astype(np.float64) for tensor in weights]
        coefs, intercepts = layers[::2], layers[1::2]
        coefs[0] = coefs[0] / x_std
        intercepts[0] = intercepts[0] - coefs[0] @ x_mean
        coefs[-1] = coefs[-1] * y_std[:, None]
        intercepts[-1] = intercepts[-1] * y_std + y_mean
        self.coefs_ = [array.astype(np.float32) for array in coefs]
        self.intercepts_ = [array.astype(np.float32) for array in intercepts]
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """The outputs for inputs X (n, features): (n,) or (n, outputs) as in training, float64."""
        check_is_fitted(self)
        return self.predict_unchecked(validate_data(self, X, dtype=np.float64, reset=False))

    def predict_unchecked(self, X: NDArray) -> NDArray:
        """As `predict`, for an array that is known to be right: what a closure calls thousands of times."""
        activation = ACTIVATIONS[self.activation]
        layers = [
            (torch.from_numpy(coef), torch.from_numpy(intercept))
            for coef, intercept in zip(self.coefs_, self.intercepts_, strict=True)
        ]
        out = np.empty((len(X), len(self.intercepts_[-1])))
        # A member that blows up becomes infinite in single precision, as it soon would anyway.
        with torch.inference_mode(), _one_thread(), np.errstate(over="ignore"):
            for first in range(0, len(X), _BLOCK):
                x = torch.from_numpy(X[first : first + _BLOCK].astype(np.float32))
                for weight, bias in layers[:-1]:
                    x = activation(functional.linear(x, weight, bias))
                out[first : first + _BLOCK] = functional.linear(x, *layers[-1]).numpy()
        return out[:, 0] if self._one_output else out

    @property
    def n_parameters(self) -> int:
        """The number of trained weights."""
        check_is_fitted(self)
        return sum(array.size for array in (*self.coefs_, *self.intercepts_))

    def state_dict(self) -> dict[str, NDArray]:
        """What was learned as arrays by name (layer i: ``i.weight``, ``i.bias``), for storing without pickle."""
        check_is_fitted(self)
        state = {}
        for i, (coef, intercept) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            state[f"{i}.weight"], state[f"{i}.bias"] = coef.copy(), intercept.copy()
        state["one_output"] = np.array(self._one_output)
        return state

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> Self:
        """Become the network whose `state_dict` this is, in an estimator with the same `hidden` and `activation`."""
        n_layers = len(self.hidden) + 1
        expected = {f"{i}.{part}" for i in range(n_layers) for part in ("weight", "bias")} | {"one_output"}
        if set(state) != expected:
            raise ValueError(f"Expected arrays {sorted(expected)}; got {sorted(state)}. Check `hidden`.")
        self.coefs_ = [np.array(state[f"{i}.weight"], dtype=np.float32) for i in range(n_layers)]
        self.intercepts_ = [np.array(state[f"{i}.bias"], dtype=np.float32) for i in range(n_layers)]
        self._one_output = bool(state["one_output"])
        self.n_features_in_ = self.coefs_[0].shape[1]
        units = [self.n_features_in_, *self.hidden, len(self.intercepts_[-1])]
        for i, (coef, intercept) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            if coef.shape != (units[i + 1], units[i]) or intercept.shape != (units[i + 1],):
                raise ValueError(
                    f"Expected layer {i} of shape {(units[i + 1], units[i])}; got {coef.shape}. Check `hidden`."
                )
        return self

    def _check_parameters(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}; got {self.activation!r}.")
        if any(units < 1 for units in self.hidden):
            raise ValueError(f"hidden must be the units of each layer, each at least 1; got {self.hidden!r}.")
        if self.epochs < 1 or self.batch_size < 1 or not self.learning_rate > 0:
            raise ValueError(
                "epochs and batch_size must be at least 1 and learning_rate positive; "
                f"got {self.epochs}, {self.batch_size} and {self.learning_rate}."
            )

    def _trained(self, inputs: torch.Tensor, targets: torch.Tensor) -> tuple[list[torch.Tensor], list[float]]:
        """The weights (matrix, bias, matrix, bias, ...) after training, and the mean loss of each epoch."""
        seed = np.random.SeedSequence(self.random_state).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(seed))
        units = [inputs.shape[1], *self.hidden, targets.shape[1]]
        weights = _initial_weights(units, generator)
        n, batch = len(inputs), min(self.batch_size, len(inputs))
        per_epoch = n // batch
        epochs = max(self.epochs, -(-self.min_steps // per_epoch))
        optimizer = torch.optim.AdamW(weights, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=epochs * per_epoch)
        activation = ACTIVATIONS[self.activation]
        curve = []
        for _ in range(epochs):
            order = torch.randperm(n, generator=generator)
            total = 0.0
            for i in range(per_epoch):
                rows = order[i * batch : (i + 1) * batch]
                x = inputs[rows]
                for j in range(0, len(weights) - 2, 2):
                    x = activation(functional.linear(x, weights[j], weights[j + 1]))
                loss = functional.mse_loss(functional.linear(x, weights[-2], weights[-1]), targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += float(loss.detach())
            curve.append(total / per_epoch)
        return weights, curve


def _initial_weights(units: Sequence[int], generator: torch.Generator) -> list[torch.Tensor]:
    """Weights and biases uniform within 1 / sqrt(units in), torch's own choice for a linear layer."""
    weights = []
    for n_in, n_out in pairwise(units):
        bound = n_in**-0.5
        for shape in ((n_out, n_in), (n_out,)):
            uniform = torch.rand(shape, generator=generator)
            weights.append(((2 * uniform - 1) * bound).requires_grad_())
    return weights


def _moments(values: NDArray, wanted: bool) -> tuple[NDArray, NDArray]:
    """Mean and std of each column (std 1 for a constant one), or 0 and 1 when they are not wanted."""
    if not wanted:
        return np.zeros(values.shape[1]), np.ones(values.shape[1])
    std = values.std(axis=0)
    return values.mean(axis=0), np.where(std > 0, std, 1.0)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One torch thread inside, so that sums do not depend on the machine; the count from before outside."""
    before: Any = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
