"""Closures with a hidden state at every point of the ring.

A recurrence makes one step every `HISTORY_INTERVAL` (0.05 MTU), the interval of the training data:

    s(t) = f(x(t), s(t - 0.05), z(t)),        U(t) = g(s(t)),

x being the stencil of a point, s its hidden state and z standard normal noise (none for deterministic closures). For a
smaller step dt of the resolved model, the closure keeps the states of the last 0.05 / dt steps, so that each step
applies the map that was trained to the state of 0.05 MTU earlier. The noise is the moving average of the last 0.05 / dt
draws: independent over 0.05 MTU, as in training, and smooth in between.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from l96bench.checks import whole_multiple
from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.errors import ModelError
from l96bench.estimators.ring import RingRegressor
from l96bench.parallel import one_thread

_BLOCK = 1024  # rows advanced at once: what fits the cache
_MEAN_OF = 8  # draws in the mean that is given when one value is asked for
_ROWS = 100  # times of a trajectory for which noise is drawn at once


class Recurrence(Protocol):
    """A map that advances the hidden state, of size n_state, of points by 0.05 MTU, with n_noise numbers of noise."""

    n_state: int
    n_noise: int

    def advance(self, x: torch.Tensor, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return the next state (row, n_state) for stencils x (row, width), states and noise (row, n_noise)."""

    def output(self, state: torch.Tensor) -> torch.Tensor:
        """Return U (...) of hidden states (..., n_state)."""


class GatedUnit:
    """A gated recurrent unit with linear output U = w h + b and `n_noise` last inputs of noise (arXiv:1406.1078).

        r = sigmoid(W_r x + b_r + V_r h + c_r),        n = tanh(W_n x + b_n + r (V_n h + c_n)),
        z = sigmoid(W_z x + b_z + V_z h + c_z),        h' = (1 - z) n + z h

    Its weights are float32: ``input`` (3 units, width), ``state`` (3 units, units) and their biases ``input_bias`` and
    ``state_bias`` in the order r, z, n; ``output`` (1, units) and ``output_bias`` (1,).
    """

    def __init__(self, weights: dict[str, NDArray], n_noise: int = 0) -> None:
        tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
        self._cell = [tensors[name] for name in ("input", "state", "input_bias", "state_bias")]
        self._output = (tensors["output"], tensors["output_bias"])
        self.n_state, self.n_noise = tensors["state"].shape[1], n_noise

    def advance(self, x: torch.Tensor, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return the next state (row, units) for stencils x (row, width), states and noise (row, n_noise)."""
        return torch.gru_cell(torch.cat((x, noise), dim=1) if self.n_noise else x, state, *self._cell)

    def output(self, state: torch.Tensor) -> torch.Tensor:
        """Return U (...) of hidden states (..., units)."""
        return functional.linear(state, *self._output)[..., 0]


class RecurrentClosure:
    """A recurrence at every point of the ring, for a resolved model with the step `dt` MTU, which divides 0.05.

    After `start` the state is zero. `remember` spins it up on earlier states; chains that begin between the last of
    these and the start have linearly interpolated states.

    Parameters
    ----------
    recurrence : Recurrence
    index : ndarray of int, shape (K, width)
        The points in the stencil of each point.
    dt : float
    """

    def __init__(self, recurrence: Recurrence, index: NDArray, dt: float = 0.01) -> None:
        self.recurrence, self.dt = recurrence, dt
        self.deterministic = recurrence.n_noise == 0
        self._index = index
        self._chains = whole_multiple(HISTORY_INTERVAL, dt, "the memory's step", "the model step dt")
        self.start(0, np.random.default_rng(0))

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Set the state of `n_members` members to zero; noise is drawn from `rng`."""
        self._rng, self._steps = rng, 0
        n_rows = n_members * len(self._index)
        self._states = [torch.zeros(n_rows, self.recurrence.n_state)]
        self._draws = self._drawn((self._chains, n_rows))

    def remember(self, history: NDArray) -> None:
        """Spin the state up on past states (past, member, K), `HISTORY_INTERVAL` apart, newest last."""
        for X in history:
            noise = self._drawn((len(self._states[0]),))
            self._states[0] = self._advanced(X, self._states[0], noise)[0]

    def step(self, X: NDArray) -> NDArray:
        """Return U (member, K) for the states X (member, K)."""
        n_rows = len(self._states[0])
        if X.shape[1:] != (len(self._index),) or X.size != n_rows:
            expected = (n_rows // len(self._index), len(self._index))
            raise ModelError(f"The closure was started for states of shape {expected}; X has {X.shape}.")
        slot = self._steps % self._chains
        if self._steps >= 1:
            self._draws[slot] = self._drawn((n_rows,))
        noise = self._draws.sum(dim=0) / self._chains**0.5
        state, U = self._advanced(X, self._states[slot], noise)
        if self._steps == 0:
            before = self._states[0]
            self._states = [torch.lerp(before, state, i / self._chains) for i in range(self._chains)]
        self._states[slot] = state
        self._steps += 1
        return U

    def _drawn(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Draw standard normal noise (*shape, n_noise)."""
        shape = (*shape, self.recurrence.n_noise)
        return torch.from_numpy(self._rng.standard_normal(shape, dtype=np.float32))

    def _advanced(self, X: NDArray, states: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, NDArray]:
        """Return the next hidden states (row, n_state) and U (member, K) for the states X (member, K)."""
        following, U = torch.empty_like(states), np.empty(X.size)
        # A member that blows up becomes infinite in single precision, as it soon would anyway.
        with torch.inference_mode(), one_thread(), np.errstate(over="ignore"):
            x = torch.from_numpy(np.take(X.astype(np.float32), self._index, axis=1).reshape(X.size, -1))
            for first in range(0, X.size, _BLOCK):
                rows = slice(first, first + _BLOCK)
                state = self.recurrence.advance(x[rows], states[rows], noise[rows])
                following[rows], U[rows] = state, self.recurrence.output(state).numpy()
        return following, U.reshape(X.shape)


def along(
    recurrence: Recurrence, index: NDArray, X: NDArray, n_members: int = 1, rng: np.random.Generator | None = None
) -> NDArray:
    """Return U (member, n, points) of a recurrence along a trajectory X (n, K), 0.05 MTU a row, from a zero state."""
    rng = np.random.default_rng(0) if rng is None else rng
    n_rows = n_members * len(index)
    state = torch.zeros(n_rows, recurrence.n_state)
    U = np.empty((len(X), n_rows))
    with torch.inference_mode(), one_thread(), np.errstate(over="ignore"):
        stencils = torch.from_numpy(np.take(X.astype(np.float32), index, axis=1))
        for first in range(0, len(X), _ROWS):
            x = stencils[first : first + _ROWS].repeat(1, n_members, 1)
            noise = torch.from_numpy(rng.standard_normal((len(x), n_rows, recurrence.n_noise), dtype=np.float32))
            states = torch.empty(len(x), n_rows, recurrence.n_state)
            for i in range(len(x)):
                state = recurrence.advance(x[i], state, noise[i])
                states[i] = state
            U[first : first + _ROWS] = recurrence.output(states).numpy()
    return np.moveaxis(U.reshape(len(X), n_members, len(index)), 1, 0)


class PathRegressor(RingRegressor):
    """The base of estimators whose closure is a recurrence on the stencils of all points."""

    _index: NDArray

    def closure(self, dt: float = 0.01) -> RecurrentClosure:
        """Return the closure for a resolved model that steps by `dt` MTU; dt must divide 0.05."""
        check_is_fitted(self)
        return RecurrentClosure(self._recurrence(), self._index, dt)

    def _recurrence(self) -> Recurrence:
        raise NotImplementedError


class DrawnPaths(PathRegressor):
    """The base of estimators whose recurrence draws paths of U."""

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the mean of 8 fixed draws of U (n, K) along a trajectory X (n, K) in time order."""
        return np.asarray(self.sample(X, _MEAN_OF, np.random.default_rng(0)).mean(axis=0), dtype=np.float64)

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Draw U (member, n, K) along a trajectory X (n, K) in time order, from a zero state or the mean U."""
        X = self._checked_states(X)
        draws = along(self._recurrence(), self._index[self._points()], X, n_members, rng)
        return draws.reshape(n_members, len(X), *self._y_shape)
