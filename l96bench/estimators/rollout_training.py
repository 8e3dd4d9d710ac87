"""Parts of training through the resolved model: the shared network, random windows, gradient descent and noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from l96bench.dynamics.ar1 import AR1Noise, NoisyClosure
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.errors import ModelError
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.ring import stencil_rows
from l96bench.estimators.training_loop import forward, named_layers

_WARM_UP = 0.05
"""The fraction of the training in which the learning rate rises to its peak."""
_LOG_SIGMA = (-5.0, 2.0)
"""Limits of the logarithm of the noise's standard deviation, in units of that of U."""


class SharedNetwork:
    """A copy of a fitted `TorchRegressor` in training, on standardized inputs and outputs, applied at every point."""

    def __init__(
        self, network: TorchRegressor, index: NDArray, scales: tuple[float, float, float, float], device: str = "cpu"
    ) -> None:
        self._network, self._scales = network, scales
        self._index = torch.from_numpy(np.array(index)).to(device)
        x_mean, x_std, u_mean, u_std = scales
        coefs = [coef.astype(np.float64) for coef in network.coefs_]
        intercepts = [intercept.astype(np.float64) for intercept in network.intercepts_]
        intercepts[0] += coefs[0].sum(axis=1) * x_mean
        coefs[0] *= x_std
        coefs[-1][0] /= u_std
        intercepts[-1][0] = (intercepts[-1][0] - u_mean) / u_std
        arrays = [array for layer in zip(coefs, intercepts, strict=True) for array in layer]
        self.weights = [torch.tensor(array.astype(np.float32), device=device, requires_grad=True) for array in arrays]

    def __call__(self, X: torch.Tensor) -> torch.Tensor:
        """Return U (n, K), the network's first output, for the states X (n, K)."""
        return self.outputs(X)[..., 0]

    def outputs(self, X: torch.Tensor) -> torch.Tensor:
        """Return all outputs (n, K, outputs), the first in units of U, for the states X (n, K)."""
        x_mean, x_std, u_mean, u_std = self._scales
        stencils = ((X - x_mean) / x_std)[:, self._index]
        layers = list(zip(self.weights[::2], self.weights[1::2], strict=True))
        outputs = forward(stencils, layers, self._network.activation, self._network.residual)
        return torch.cat([u_mean + u_std * outputs[..., :1], outputs[..., 1:]], dim=-1)

    def trained(self) -> TorchRegressor:
        """Return the present network, for inputs and outputs in their own units."""
        x_mean, x_std, u_mean, u_std = self._scales
        arrays = [tensor.detach().cpu().numpy().astype(np.float64) for tensor in self.weights]
        coefs, intercepts = arrays[::2], arrays[1::2]
        coefs[0] /= x_std
        intercepts[0] -= coefs[0].sum(axis=1) * x_mean
        coefs[-1][0] *= u_std
        intercepts[-1][0] = u_mean + u_std * intercepts[-1][0]
        one_output = np.array(len(intercepts[-1]) == 1)
        return clone(self._network).load_state_dict({"one_output": one_output} | named_layers(coefs, intercepts))


def descend(
    weights: Sequence[torch.Tensor],
    loss_of: Callable[[], torch.Tensor],
    steps: int,
    learning_rate: float,
    clip: float = 1.0,
) -> tuple[list[float], int]:
    """Minimize a random loss by Adam with clipped gradients; return the loss curve and the number of skipped steps."""
    optimizer = torch.optim.Adam(weights, lr=learning_rate)
    curve, skipped = [], 0
    for i in range(steps):
        rate = learning_rate * min(1.0, (i + 1) / (_WARM_UP * steps)) * 0.5 * (1 + math.cos(math.pi * (i / steps)))
        optimizer.param_groups[0]["lr"] = rate
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(weights, clip)
        if bool(torch.isfinite(norm)):
            optimizer.step()
        else:
            skipped += 1
        curve.append(float(loss.detach()))
    return curve, skipped


def fair_crps(members: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the fair CRPS (...) of members (member, ...) (Ferro 2014, Q. J. R. Meteorol. Soc. 140, 1917-1923)."""
    M = len(members)
    apart = (members[:, None] - members).abs().sum(dim=(0, 1))
    return (members - truth).abs().mean(dim=0) - apart / (2 * M * (M - 1))


@dataclass(frozen=True, slots=True)
class Windows:
    """Random windows of a trajectory: start states, their U, and the following states."""

    X: torch.Tensor
    U: torch.Tensor
    leads: int
    rng: np.random.Generator

    def draw(self, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw n windows: X (n, K) and U (n, points) at their starts, and the following X (lead, n, K)."""
        starts = torch.from_numpy(self.rng.integers(0, len(self.X) - self.leads, n)).to(self.X.device)
        ahead = torch.arange(1, self.leads + 1, device=self.X.device)[:, None]
        return self.X[starts], self.U[starts], self.X[starts + ahead]


class RedNoise:
    """A network of mean and log sigma with new noise, for one forecast in training."""

    def __init__(
        self, shared: SharedNetwork, log_memory: torch.Tensor, dt: float, u_std: float, generator: torch.Generator
    ) -> None:
        self._shared, self._u_std, self._generator = shared, u_std, generator
        self._phi = torch.exp(-dt * torch.exp(-log_memory))
        self._innovation = torch.sqrt(1 - self._phi.square())
        self._e: torch.Tensor | None = None

    def __call__(self, X: torch.Tensor) -> torch.Tensor:
        """Return U (n, K) for the states X (n, K), with the noise of this step."""
        outputs = self._shared.outputs(X)
        z = torch.randn(X.shape, generator=self._generator, device=X.device, dtype=X.dtype)
        self._e = z if self._e is None else self._phi * self._e + self._innovation * z
        sigma = self._u_std * torch.exp(outputs[..., 1].clamp(*_LOG_SIGMA))
        return outputs[..., 0] + sigma * self._e


class StochasticNetworkClosure(NoisyClosure):
    """A network for the mean and the spread of U, with red noise that is independent at every point.

    Parameters
    ----------
    network : TorchRegressor
        From the stencil of a point to the mean of U and log(sigma / u_std).
    index : (K, width) array of int
        The points in the stencil of each point.
    memory : float
        The e-folding time of the noise in MTU.
    u_std : float
        The unit of sigma, X a MTU.
    dt : float
        Step of the resolved model in MTU.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench.estimators import StochasticNetworkClosure, TorchRegressor
    >>> rng = np.random.default_rng(0)
    >>> network = TorchRegressor(hidden=(4,), epochs=1, min_steps=1)
    >>> network = network.fit(rng.standard_normal((50, 3)), rng.standard_normal((50, 2)))
    >>> index = (np.arange(8)[:, None] + [-1, 0, 1]) % 8
    >>> closure = StochasticNetworkClosure(network, index, memory=0.1, u_std=1.0)
    >>> closure.start(3, rng)
    >>> closure.step(np.ones((3, 8))).shape
    (3, 8)
    """

    graph_is_exact = False

    def __init__(self, network: TorchRegressor, index: NDArray, memory: float, u_std: float, dt: float = 0.01) -> None:
        super().__init__(AR1Noise(math.exp(-dt / memory), dt, dt))
        self.network, self.index, self.u_std = network, index, u_std

    def step(self, X: NDArray) -> NDArray:
        """Return the added tendency U (member, K) for the states X (member, K), with the noise of this step."""
        if X.shape[1] != len(self.index):
            raise ModelError(f"The closure was fitted on K = {len(self.index)} points; X has shape {X.shape}.")
        outputs = self.network.predict_unchecked(stencil_rows([X], self.index)).reshape(*X.shape, 2)
        self.last_mean = np.asarray(outputs[..., 0], dtype=np.float64)
        return self.last_mean + sigma_of(outputs[..., 1], self.u_std) * self.noise.step(X.shape)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the network's graph and the noise times its spread; see `Closure`."""
        width = self.index.shape[1]
        rows = builder.reshape(builder.gather(x, self.index), -1, width)
        outputs = builder.reshape(builder.regressor(rows, self.network, width), -1, K, 2)
        mean, log_sigma = (builder.reshape(builder.gather(outputs, np.array([i]), axis=2), -1, K) for i in (0, 1))
        builder.mean(mean)
        sigma = builder.node("Exp", builder.clipped(log_sigma, *_LOG_SIGMA))
        sigma = builder.node("Mul", builder.constant(self.u_std, np.float64), sigma)
        return builder.node("Add", mean, builder.node("Mul", sigma, self.noise.graph(builder, K)))


def sigma_of(log_sigma: NDArray, u_std: float) -> NDArray:
    """Return the standard deviation of the noise from the network's second output, within limits."""
    return u_std * np.exp(np.clip(log_sigma, *_LOG_SIGMA))
