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


def _resolved(two_left: _Array, left: _Array, here: _Array, right: _Array) -> _Array:
    """Return the resolved tendency R of X without its forcing."""
    return left * (right - two_left) - here
