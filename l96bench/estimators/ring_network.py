"""A convolutional network of the whole ring as a scikit-learn regressor, trained with PyTorch on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.estimators.network import NetworkClosure
from l96bench.estimators.ring import RingRegressor
from l96bench.estimators.training_loop import (
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

__all__ = ["RingNetwork"]

_BLOCK = 256  # states predicted at once: what fits the cache


class RingNetwork(TrainedLayers, RingRegressor):
    """A circular convolutional network: X of all points in, U of all points out, rolling with the ring.

    Every hidden layer convolves around the ring (circular padding), and a last layer combines its channels at each
    point. U_k thus depends on X_{k-r} .. X_{k+r}, r = len(channels) * (kernel // 2). A dense network of all points is
    `TorchRegressor` itself. Equal data, parameters and `random_state` give equal networks on one kind of CPU, as there.

    Parameters
    ----------
    channels : sequence of int
        Of each hidden layer, at least one.
    kernel : int
        Points that a hidden layer sees, odd and at most K.
    activation : {"gelu", "relu", "silu", "tanh"}
        Between the layers.
    residual : bool
        Add its inputs to the outputs of every hidden layer that follows one of as many channels.
    epochs, min_steps : int
        As for `TorchRegressor`.
    batch_size : int
        States in a batch.
    learning_rate : float or "find"
        As for `TorchRegressor`.
    weight_decay, dropout : float
        As for `TorchRegressor`.
    random_state : int or None
        As for `TorchRegressor`.
    batch_norm : bool
        As for `TorchRegressor`, with moments over states and points.
    schedule : {"one-cycle", "constant"}
        As for `TorchRegressor`.

    Attributes
    ----------
    coefs_ : list of ndarray of float32, each (channels out, points seen, channels in)
        From the left neighbours to the right ones, for inputs and outputs in their own units.
    intercepts_ : list of ndarray of float32, each (channels out,)
    learning_rate_, loss_curve_
        As for `TorchRegressor`.

    References
    ----------
    Dueben and Bauer (2018), Geosci. Model Dev. 11, 3999-4009, and Scher and Messori (2019), Geosci. Model Dev.
    12, 2797-2809: networks for Lorenz-96, and convolutional ones for the atmosphere.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import RingNetwork
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = RingNetwork(channels=(4,), epochs=1, min_steps=1).fit(run.X, run.U)
    >>> model.predict(run.X).shape
    (400, 8)
    """

    def __init__(
        self,
        channels: Sequence[int] = (32, 32),
        kernel: int = 3,
        activation: str = "gelu",
        residual: bool = False,
        epochs: int = 10,
        batch_size: int = 64,
        learning_rate: float | str = 0.01,
        weight_decay: float = 0.0,
        min_steps: int = 500,
        random_state: int | None = 0,
        dropout: float = 0.0,
        batch_norm: bool = False,
        schedule: str = "one-cycle",
    ) -> None:
        self.channels, self.kernel, self.activation, self.residual = channels, kernel, activation, residual
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.weight_decay, self.min_steps, self.random_state = weight_decay, min_steps, random_state
        self.dropout, self.batch_norm, self.schedule = dropout, batch_norm, schedule

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on states X (n, K) and their added tendencies y, U (n, K) or that of point 0 alone."""
        states, U = self._checked_training(X, y)
        recipe = self._recipe()
        # One mean and one std for all points: the ring looks the same from each.
        (x_mean,), (x_std,) = moments(states.reshape(-1, 1), True)
        (u_mean,), (u_std,) = moments(U.reshape(-1, 1), True)
        inputs = torch.from_numpy(((states - x_mean) / x_std).astype(np.float32)[..., None])
        targets = torch.from_numpy(((U - u_mean) / u_std).astype(np.float32)[..., None])
        points = U.shape[1]

        def make(generator: torch.Generator) -> _Convolution:
            return _Convolution(self, points, generator)

        with one_thread():
            layers, self.loss_curve_, self.learning_rate_ = train(make, inputs, targets, recipe, self.random_state)
        coefs, intercepts = layers.folded()
        coefs[0] = coefs[0] / x_std
        intercepts[0] = intercepts[0] - coefs[0].sum(axis=1) * x_mean
        coefs[-1] = coefs[-1] * u_std
        intercepts[-1] = intercepts[-1] * u_std + u_mean
        widths = [1, *self.channels]
        shaped = [coef.reshape(len(coef), -1, width) for coef, width in zip(coefs, widths, strict=True)]
        self._store(shaped, intercepts)
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K), or that of point 0 when fitted on it alone."""
        return self._like_y(self.predict_unchecked(self._checked_states(X))[:, self._points()])

    def predict_unchecked(self, X: NDArray) -> NDArray:
        """Return U (n, K) for states X (n, K) without checks, for a closure to call at every step."""
        layers, out = self.layers(), np.empty(X.shape)
        # A member that blows up becomes infinite in single precision, as it soon would anyway.
        with torch.inference_mode(), one_thread(), np.errstate(over="ignore"):
            for first in range(0, len(X), _BLOCK):
                block = slice(first, first + _BLOCK)
                x = torch.from_numpy(X[block].astype(np.float32)[..., None])
                out[block] = forward(x, layers, self.activation, self.residual, self._neighbours)[..., 0].numpy()
        return out

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the added tendency U (n, K, 1) for the states X (n, K), float64; see `Closure`."""
        index = (np.arange(K)[:, None] + np.arange(self.kernel) - self.kernel // 2) % K

        def neighbours(x: str, width: int) -> str:
            return builder.reshape(builder.gather(x, index), -1, K, self.kernel * width)

        states = builder.reshape(x, -1, K, 1)
        return layers_graph(builder, states, self.coefs_, self.intercepts_, self.activation, self.residual, neighbours)

    def closure(self, dt: float = 0.01) -> NetworkClosure:
        """Return the closure, which does not depend on dt."""
        check_is_fitted(self)
        return NetworkClosure(self)

    def state_dict(self) -> dict[str, NDArray]:
        """Return the weights as arrays by name (layer i: ``i.weight``, ``i.bias``; K), for storing without pickle."""
        check_is_fitted(self)
        return {"K": np.array(self.n_features_in_)} | named_layers(self.coefs_, self.intercepts_)

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> Self:
        """Load the weights of a `state_dict` into an estimator with the same parameters."""
        widths, taps = [1, *self.channels, 1], [self.kernel] * len(self.channels) + [1]
        self._load(state, len(taps), "K", "`channels`")
        shapes = [(after, tap, before) for (before, after), tap in zip(pairwise(widths), taps, strict=True)]
        self._check_shapes(shapes, "`channels`, `kernel`")
        self.n_features_in_ = int(np.asarray(state["K"]))
        self._y_shape = (self.n_features_in_,)
        return self

    def _neighbours(self, x: torch.Tensor) -> torch.Tensor:
        """Return the inputs of the kernel at each point, (n, K, kernel * channels), from x (n, K, channels)."""
        radius = self.kernel // 2
        around = torch.cat([x[:, -radius:], x, x[:, :radius]], dim=1) if radius else x
        K = x.shape[1]
        return torch.cat([around[:, i : i + K] for i in range(self.kernel)], dim=2)

    def _recipe(self) -> Recipe:
        """Return the training recipe after checking all parameters."""
        if not len(self.channels) or any(width < 1 for width in self.channels):
            raise ValueError(f"channels must be those of each layer, each at least 1; got {self.channels!r}.")
        if self.kernel < 1 or self.kernel % 2 == 0 or self.kernel > self.n_features_in_:
            raise ValueError(
                f"kernel must be odd and at most the number of points, n_features={self.n_features_in_}; "
                f"got {self.kernel}. Try a smaller kernel."
            )
        return recipe_of(self)


class _Convolution(Layers):
    """The layers of a `RingNetwork` in training, with outputs at the first `points` points."""

    def __init__(self, network: RingNetwork, points: int, generator: torch.Generator) -> None:
        settings = (network.activation, network.residual, network.dropout, network.batch_norm)
        super().__init__([1, *network.channels, 1], generator, *settings, network._neighbours, network.kernel)
        self.points = points

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs (n, points, 1) for a batch of states (n, K, 1)."""
        return super().__call__(x)[:, : self.points]
