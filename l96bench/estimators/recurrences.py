"""Closures with a hidden state at every point of the ring.

A recurrence makes one step every `HISTORY_INTERVAL` (0.05 MTU), the interval of the training data:

    s(t) = f(x(t), s(t - 0.05), z(t)),        U(t) = g(s(t)),

x being the stencil of a point, s its hidden state and z standard normal noise (none for deterministic closures). How
that is carried through smaller steps of the resolved model is said in `l96bench.dynamics.steps`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.steps import Block, StepForm, SteppedClosure
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

    def graph(self, builder: GraphBuilder, x: str, state: str, noise: str) -> tuple[str, str]:
        """Add `advance` and `output` for rows x (row, width), states and noise: the next states and U (row, 1)."""


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

    def graph(self, builder: GraphBuilder, x: str, state: str, noise: str) -> tuple[str, str]:
        """Add the unit's graph, float32; see `Recurrence`."""
        inputs, hidden, input_bias, hidden_bias = (tensor.numpy() for tensor in self._cell)
        units = self.n_state
        x = builder.node("Concat", x, noise, axis=1) if self.n_noise else x
        given, kept = builder.linear(x, inputs, input_bias), builder.linear(state, hidden, hidden_bias)

        def part(gates: str, first: int, last: int) -> str:
            ends = (builder.constant([end * units], np.int64) for end in (first, last))
            return builder.node("Slice", gates, *ends, builder.constant([1], np.int64))

        gates = builder.node("Sigmoid", builder.node("Add", part(given, 0, 2), part(kept, 0, 2)))
        reset, update = part(gates, 0, 1), part(gates, 1, 2)
        new = builder.node("Tanh", builder.node("Add", part(given, 2, 3), builder.node("Mul", reset, part(kept, 2, 3))))
        change = builder.node("Mul", update, builder.node("Sub", state, new))
        following = builder.node("Add", new, change)
        return following, builder.linear(following, *(tensor.numpy() for tensor in self._output))


class RecurrentStep:
    """A recurrence at the stencils of all points as a step of 0.05 MTU; its state begins at zero.

    Parameters
    ----------
    recurrence : Recurrence
        Of one point, such as a gated unit.
    index : (K, width) array of int
        The points in the stencil of each point.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import RecurrentRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> closure = RecurrentRegressor(units=4, epochs=1, min_steps=2).fit(run.X, run.U).closure(0.01)
    >>> [block.size for block in closure.form.state]  # of its RecurrentStep: 4 units at each of 8 points
    [32]
    """

    dtype = np.float32

    def __init__(self, recurrence: Recurrence, index: NDArray) -> None:
        self.recurrence, self.K, self._index = recurrence, len(index), index
        noise = (Block(self.K * recurrence.n_noise),) if recurrence.n_noise else ()
        self.form = StepForm((Block(self.K * recurrence.n_state),), noise)

    def __call__(
        self, X: NDArray, state: NDArray, noise: NDArray, uniform: NDArray
    ) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return U (n, K) and the next state; see `l96bench.dynamics.steps.Step`."""
        following, U = np.empty((X.size, self.recurrence.n_state), dtype=np.float32), np.empty(X.size)
        # A member that blows up becomes infinite in single precision, as it soon would anyway.
        with torch.inference_mode(), one_thread(), np.errstate(over="ignore"):
            x = torch.from_numpy(np.take(X.astype(np.float32), self._index, axis=1).reshape(X.size, -1))
            states, drawn = (
                torch.from_numpy(np.ascontiguousarray(each)).reshape(X.size, -1) for each in (state, noise)
            )
            for first in range(0, X.size, _BLOCK):
                rows = slice(first, first + _BLOCK)
                ahead = self.recurrence.advance(x[rows], states[rows], drawn[rows])
                following[rows], U[rows] = ahead.numpy(), self.recurrence.output(ahead).numpy()
        return U.reshape(X.shape), following.reshape(state.shape), None

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the recurrence's graph at all points; see `Closure`."""
        width, n_noise = self._index.shape[1], self.recurrence.n_noise
        rows = builder.reshape(builder.gather(builder.cast(x, np.float32), self._index), -1, width)
        state = builder.state(K * self.recurrence.n_state, np.float32)
        drawn = builder.reshape(builder.noise(K * n_noise, np.float32), -1, n_noise) if n_noise else ""
        kept = builder.reshape(state, -1, self.recurrence.n_state)
        following, U = self.recurrence.graph(builder, rows, kept, drawn)
        builder.keep(state, builder.reshape(following, -1, K * self.recurrence.n_state))
        return builder.cast(builder.reshape(U, -1, K), np.float64)


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

    def closure(self, dt: float = 0.01) -> SteppedClosure:
        """Return the closure for a resolved model that steps by `dt` MTU; dt must divide 0.05."""
        check_is_fitted(self)
        return SteppedClosure(RecurrentStep(self._recurrence(), self._index), dt)

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
