"""A small fully connected network as a scikit-learn regressor, trained with PyTorch on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from l96bench.dynamics.closures import Stateless
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.errors import ModelError
from l96bench.estimators.training_loop import (
    ACTIVATIONS,
    Layers,
    Recipe,
    TrainedLayers,
    forward,
    layers_graph,
    moments,
    named_layers,
    recipe_of,
    train,
)
from l96bench.parallel import one_thread

__all__ = ["ACTIVATIONS", "NetworkClosure", "TorchRegressor"]

_BLOCK = 1024  # rows predicted at once: what fits the cache


class TorchRegressor(TrainedLayers, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A network of fully connected layers, trained by Adam on the squared error under a one-cycle learning rate.

    With X (n, K) and U (n, K) it is the global closure, all points in and all points out; inside a `LocalRegressor` it
    is shared around the ring. Equal data, parameters and `random_state` give equal networks on one kind of CPU:
    training runs on one thread, with random numbers of its own; torch's global generator and thread count are left as
    they were.

    Monte Carlo dropout: `sample_dropout` gives outputs of networks that drop units as in training. To keep the same
    units dropped along a run, draw masks once with `draw_masks` and call `predict_masked` with them.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer.
    activation : {"gelu", "relu", "silu", "tanh"}
    epochs, batch_size, min_steps : int
        Passes over the training data, more when they come to fewer than `min_steps` optimizer steps; and rows in a
        batch.
    learning_rate : float or "find"
        The peak of the one-cycle schedule (Smith and Topin 2019, arXiv:1708.07120); ``"find"`` sets it by a range test
        of 200 steps before the training (Smith 2017, arXiv:1506.01186; see `training_loop.range_test`).
    weight_decay : float
        Decoupled weight decay (AdamW; Loshchilov and Hutter 2019, arXiv:1711.05101).
    standardize : bool
        Train on inputs and targets scaled to mean 0 and std 1. What is learned is folded into the outer layers.
    random_state : int or None
        Seed of the initial weights and the order of batches; None draws a new one.
    dropout : float
        Probability with which a hidden unit is dropped in training, 0 <= dropout < 1 (Srivastava et al. 2014, JMLR 15,
        1929-1958).
    batch_norm : bool
        Normalize the inputs of every activation (Ioffe and Szegedy 2015, arXiv:1502.03167) in training; afterwards the
        running moments are folded into the weights.
    residual : bool
        Add its inputs to the outputs of every hidden layer that follows one of its own width (He et al. 2016,
        arXiv:1512.03385).
    schedule : {"one-cycle", "constant"}
        Of the learning rate.
    whiten : bool
        Train on standardized inputs that are also made uncorrelated, for inputs that are nearly equal, such as lags, by
        ZCA-cor (Kessy, Lewin and Strimmer 2018, Am. Stat. 72, 309-314). It is folded into the first layer.
    warm_start : bool
        Begin with the weights of the last fit, if there was one, instead of random ones.

    Attributes
    ----------
    coefs_, intercepts_ : lists of ndarray of float32, each (units out, units in) and (units out,)
        The weights of the layers, for inputs and outputs in their own units.
    learning_rate_ : float
        The peak that was trained with: `learning_rate`, or what was found.
    loss_curve_ : list of float
        Mean training loss of each epoch, in units of the targets' variance when standardized.
    n_features_in_ : int

    References
    ----------
    Gal and Ghahramani (2016), "Dropout as a Bayesian approximation", arXiv:1506.02142: Monte Carlo dropout.

    Examples
    --------
    >>> import torch
    >>> import l96bench
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = l96bench.TorchRegressor(hidden=(8,), epochs=1, min_steps=1).fit(run.X, run.U)
    >>> model.predict(run.X).shape
    (400, 8)
    """

    def __init__(
        self,
        hidden: Sequence[int] = (64, 64),
        activation: str = "gelu",
        epochs: int = 10,
        batch_size: int = 256,
        learning_rate: float | str = 0.01,
        weight_decay: float = 0.0,
        standardize: bool = True,
        min_steps: int = 500,
        random_state: int | None = 0,
        dropout: float = 0.0,
        batch_norm: bool = False,
        residual: bool = False,
        schedule: str = "one-cycle",
        whiten: bool = False,
        warm_start: bool = False,
    ) -> None:
        self.hidden, self.activation, self.epochs, self.batch_size = hidden, activation, epochs, batch_size
        self.learning_rate, self.weight_decay, self.standardize = learning_rate, weight_decay, standardize
        self.min_steps, self.random_state, self.dropout, self.batch_norm = min_steps, random_state, dropout, batch_norm
        self.residual, self.schedule, self.whiten, self.warm_start = residual, schedule, whiten, warm_start

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on inputs X (n, features) and targets y (n,) or (n, outputs)."""
        rows, outputs = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        recipe = self._recipe()
        self._one_output = outputs.ndim == 1
        outputs = outputs.reshape(len(outputs), -1).astype(np.float64)
        x_mean, x_std = moments(rows, self.standardize)
        y_mean, y_std = moments(outputs, self.standardize)
        scaled = (rows - x_mean) / x_std
        whitening = _whitening(scaled) if self.whiten else None
        inputs = torch.from_numpy(scaled.astype(np.float32))
        targets = torch.from_numpy(((outputs - y_mean) / y_std).astype(np.float32))
        units = [rows.shape[1], *self.hidden, outputs.shape[1]]

        def make(generator: torch.Generator) -> Layers:
            layers = Layers(units, generator, self.activation, self.residual, self.dropout, self.batch_norm)
            if self.warm_start and hasattr(self, "coefs_"):
                layers.set_weights(*self._unfolded((x_mean, x_std), (y_mean, y_std)))
            return layers

        with one_thread():
            if whitening is not None:
                inputs = inputs @ torch.from_numpy(whitening.astype(np.float32))
            layers, self.loss_curve_, self.learning_rate_ = train(make, inputs, targets, recipe, self.random_state)
        coefs, intercepts = layers.folded()
        if whitening is not None:
            coefs[0] = coefs[0] @ whitening
        coefs[0] = coefs[0] / x_std
        intercepts[0] = intercepts[0] - coefs[0] @ x_mean
        coefs[-1] = coefs[-1] * y_std[:, None]
        intercepts[-1] = intercepts[-1] * y_std + y_mean
        self._store(coefs, intercepts)
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the outputs for inputs X (n, features): (n,) or (n, outputs) as in training, float64."""
        check_is_fitted(self)
        return self.predict_unchecked(validate_data(self, X, dtype=np.float64, reset=False))

    def predict_unchecked(self, X: NDArray) -> NDArray:
        """Return `predict` without checks of X, for a closure to call at every step."""
        return self.predict_masked(X, None)

    def predict_masked(self, X: NDArray, masks: Sequence[NDArray] | None) -> NDArray:
        """Return `predict_unchecked` with each hidden layer's activations times masks (n, units) or (1, units)."""
        layers, out = self.layers(), np.empty((len(X), len(self.intercepts_[-1])))
        # A member that blows up becomes infinite in single precision, as it soon would anyway.
        with torch.inference_mode(), one_thread(), np.errstate(over="ignore"):
            for first in range(0, len(X), _BLOCK):
                block = slice(first, first + _BLOCK)
                x = torch.from_numpy(X[block].astype(np.float32))
                dropped = None
                if masks is not None:
                    dropped = [torch.from_numpy(mask if len(mask) == 1 else mask[block]) for mask in masks]
                out[block] = forward(x, layers, self.activation, self.residual, masks=dropped).numpy()
        return out[:, 0] if self._one_output else out

    def draw_masks(self, n: int, rng: np.random.Generator) -> list[NDArray]:
        """Draw the dropout masks of n rows: for each hidden layer (n, units) of 0 or 1 / (1 - dropout)."""
        return self.masks_of(rng.random((n, sum(self.hidden)), dtype=np.float32))

    def masks_of(self, uniform: NDArray) -> list[NDArray]:
        """Return the masks that uniform numbers (n, all hidden units) of float32 stand for; see `draw_masks`."""
        keep = np.float32(1.0 - self.dropout)
        drawn = (uniform < keep).astype(np.float32) / keep
        return np.split(drawn, np.cumsum(self.hidden)[:-1], axis=1)

    def sample_dropout(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Return outputs (member, n[, outputs]) for X (n, features), with units dropped anew for each row and member.

        They average to about `predict`, and all equal it with `dropout` 0.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        return np.stack([self.predict_masked(rows, self.draw_masks(len(rows), rng)) for _ in range(n_members)])

    def graph(self, builder: GraphBuilder, x: str, width: int) -> str:
        """Return the outputs (n, outputs) for rows (n, width), float64; see `Closure`."""
        return layers_graph(builder, x, self.coefs_, self.intercepts_, self.activation, self.residual)

    def closure(self, dt: float = 0.01) -> NetworkClosure:
        """Return the closure of a network that was fitted to X (n, K) and U (n, K); it does not depend on dt."""
        check_is_fitted(self)
        return NetworkClosure(self)

    def state_dict(self) -> dict[str, NDArray]:
        """Return the weights as arrays by name (layer i: ``i.weight``, ``i.bias``), for storing without pickle."""
        check_is_fitted(self)
        return named_layers(self.coefs_, self.intercepts_) | {"one_output": np.array(self._one_output)}

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> Self:
        """Load the weights of a `state_dict` into an estimator with the same parameters."""
        self._load(state, len(self.hidden) + 1, "one_output", "`hidden`")
        self._one_output = bool(state["one_output"])
        self.n_features_in_ = self.coefs_[0].shape[1]
        units = [self.n_features_in_, *self.hidden, len(self.intercepts_[-1])]
        self._check_shapes([(after, before) for before, after in pairwise(units)], "`hidden`")
        return self

    def _unfolded(
        self, of_inputs: tuple[NDArray, NDArray], of_outputs: tuple[NDArray, NDArray]
    ) -> tuple[list[NDArray], list[NDArray]]:
        """Return the weights for inputs and outputs that are scaled by a mean and a std, in float64."""
        coefs, intercepts = ([array.astype(np.float64) for array in own] for own in (self.coefs_, self.intercepts_))
        intercepts[0] = intercepts[0] + coefs[0] @ of_inputs[0]
        coefs[0] = coefs[0] * of_inputs[1]
        coefs[-1] = coefs[-1] / of_outputs[1][:, None]
        intercepts[-1] = (intercepts[-1] - of_outputs[0]) / of_outputs[1]
        return coefs, intercepts

    def _recipe(self) -> Recipe:
        """Return the training recipe after checking all parameters."""
        if self.warm_start and (self.whiten or self.batch_norm):
            raise ValueError("warm_start goes on from layers as they are; expected neither whiten nor batch_norm.")
        if any(units < 1 for units in self.hidden):
            raise ValueError(f"hidden must be the units of each layer, each at least 1; got {self.hidden!r}.")
        if self.whiten and not self.standardize:
            raise ValueError("whiten works on standardized inputs; got standardize=False. Try standardize=True.")
        return recipe_of(self)


def _whitening(scaled: NDArray) -> NDArray:
    """Return the inverse square root of the correlation of standardized inputs (n, features), a symmetric matrix."""
    with one_thread():
        values = torch.from_numpy(scaled)
        variances, axes = torch.linalg.eigh(values.T @ values / len(values))
        # What varies a million times less than the rest is rounding, and is not blown up further than that.
        factors = variances.clamp(min=1e-6 * float(variances[-1])) ** -0.5
        matrix: NDArray = ((axes * factors) @ axes.T).numpy()
    return matrix


class NetworkClosure(Stateless):
    """A fitted network of all points in, all points out as a deterministic closure without memory.

    Parameters
    ----------
    network : TorchRegressor or RingNetwork
        The fitted network.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import NetworkClosure
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = l96bench.TorchRegressor(hidden=(8,), epochs=1, min_steps=1).fit(run.X, run.U)
    >>> NetworkClosure(model).predict(run.X).shape
    (400, 8)
    """

    def __init__(self, network: Any) -> None:
        self.network = network

    def predict(self, X: NDArray) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        if X.shape[1] != self.network.n_features_in_:
            raise ModelError(f"The network was fitted on {self.network.n_features_in_} points; X has shape {X.shape}.")
        U: NDArray = self.network.predict_unchecked(X)
        return U

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the network's graph; see `Closure`."""
        return builder.reshape(builder.regressor(x, self.network, K), -1, K)
