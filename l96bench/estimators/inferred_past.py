"""Infer the recent U from X: the part of its last change that the resolved tendency does not explain.

Over one row, 0.05 MTU, X changes by the resolved tendency and by U, so the trapezoidal rule gives

    (X(t) - X(t - 0.05)) / 0.05 - (R(X(t)) + R(X(t - 0.05))) / 2  =  F + mean of U from t - 0.05 to t + O(0.05^2),

with R_k = X_{k-1} (X_{k+1} - X_{k-2}) - X_k. A change of F after training is mistaken for U.
Source: Chorin and Lu (2015), Proc. Natl. Acad. Sci. 112, 9804-9809.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.estimators.recurrences import Recurrence

__all__ = ["SEEN", "WithPastForcing", "past_forcing"]

_Array = TypeVar("_Array", NDArray, torch.Tensor)

SEEN = 2
"""Neighbours on either side that the resolved tendency of a point depends on."""


def past_forcing(X: NDArray) -> NDArray:
    """Return F plus the mean of U between successive rows of a trajectory X (n, K), 0.05 MTU a row: (n - 1, K)."""
    resolved = _resolved(*(np.roll(X, -offset, axis=1) for offset in (-2, -1, 0, 1)))
    forcing: NDArray = np.diff(X, axis=0) / HISTORY_INTERVAL - (resolved[1:] + resolved[:-1]) / 2
    return forcing


class WithPastForcing:
    """A recurrence with `past_forcing` as last input, 0 at first; its state keeps X_k and R_k of 0.05 MTU before."""

    def __init__(self, recurrence: Recurrence, radius: int) -> None:
        self.recurrence = recurrence
        self.n_state, self.n_noise = recurrence.n_state + 3, recurrence.n_noise
        self._radius = radius

    def advance(self, x: torch.Tensor, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return the next state (row, n_state) for stencils x (row, 2 radius + 1), states and noise (row, n_noise)."""
        own, kept = state[:, :-3], state[:, -3:]
        here = x[:, self._radius]
        resolved = _resolved(*(x[:, self._radius + offset] for offset in (-2, -1, 0, 1)))
        seen = kept[:, 2] > 0
        X_before, R_before = (kept[:, :2] / torch.where(seen, kept[:, 2], 1.0)[:, None]).unbind(dim=1)
        forcing = (here - X_before) / HISTORY_INTERVAL - (resolved + R_before) / 2
        inputs = torch.cat((x, torch.where(seen, forcing, 0.0)[:, None]), dim=1)
        following = self.recurrence.advance(inputs, own, noise)
        return torch.cat((following, torch.stack((here, resolved, torch.ones_like(here)), dim=1)), dim=1)

    def output(self, state: torch.Tensor) -> torch.Tensor:
        """Return the added tendency U (...) of states (..., n_state)."""
        return self.recurrence.output(state[..., :-3])

    def graph(self, builder: GraphBuilder, x: str, state: str, noise: str) -> tuple[str, str]:
        """Add `advance` and `output`, float32; see `Recurrence`."""
        n_own = self.recurrence.n_state
        own = builder.gather(state, np.arange(n_own))
        X_before, R_before, count = (builder.gather(state, np.array([n_own + i])) for i in range(3))
        two_left, left, here, right = (builder.gather(x, np.array([self._radius + i])) for i in (-2, -1, 0, 1))
        resolved = builder.node("Sub", builder.node("Mul", left, builder.node("Sub", right, two_left)), here)
        zero, one = (builder.constant(value, np.float32) for value in (0.0, 1.0))
        seen = builder.node("Greater", count, zero)
        share = builder.node("Where", seen, count, one)
        X_before, R_before = builder.node("Div", X_before, share), builder.node("Div", R_before, share)
        change = builder.node("Sub", here, X_before)
        change = builder.node("Div", change, builder.constant(HISTORY_INTERVAL, np.float32))
        both = builder.node("Mul", builder.node("Add", resolved, R_before), builder.constant(0.5, np.float32))
        forcing = builder.node("Where", seen, builder.node("Sub", change, both), zero)
        following, U = self.recurrence.graph(builder, builder.node("Concat", x, forcing, axis=1), own, noise)
        ones = builder.node("Add", builder.node("Mul", here, zero), one)
        return builder.node("Concat", following, here, resolved, ones, axis=1), U


def _resolved(two_left: _Array, left: _Array, here: _Array, right: _Array) -> _Array:
    """Return the resolved tendency R of X without its forcing."""
    return left * (right - two_left) - here
