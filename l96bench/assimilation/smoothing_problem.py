"""Observations as a smoothing problem: series side by side, smoothed under any closure with red noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.observed import ObservedSeries
from l96bench.assimilation.smoother import ensemble_smoother
from l96bench.assimilation.state_space import STEPS, StateSpaceModel
from l96bench.checks import whole_multiple
from l96bench.dynamics.closures import HISTORY_INTERVAL

__all__ = ["Members", "SmoothingProblem", "sees_few"]

Array = NDArray[np.float64]

_MEMBERS, _FEW_MEMBERS, _FEW_LAG = 40, 160, 1.5
"""Members, and those and the lag, in MTU, where some points are not observed."""
_KEPT = 10
"""Members of a series that a closure is fitted to."""


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Smoothed paths, 0.05 MTU apart, under a model, and how likely it makes the observations.

    X, M and U are (time, series, member, K); `log_likelihood` is that of an observation given those before it.
    """

    X: Array
    M: Array
    U: Array
    log_likelihood: float


class SmoothingProblem:
    """Observations cut into series side by side, (time, series, K), on the smoother's times, 0.05 MTU apart.

    Parameters
    ----------
    observations : ObservedSeries
    length, spin_up : float
        MTU of a series, and at its start that count for nothing.
    n_members : int, optional
        By default 40, and 160 where some points are not observed.
    inflation : float
        Of the forecast anomalies.
    lag : float, optional
        MTU, see `ensemble_smoother`; by default members are smoothed backward, and with a lag of 1.5 where some points
        are not observed.
    """

    def __init__(
        self,
        observations: ObservedSeries,
        length: float = 20.0,
        spin_up: float = 2.0,
        n_members: int | None = None,
        inflation: float = 1.0,
        lag: float | None = None,
    ) -> None:
        few = sees_few(observations)
        every = whole_multiple(observations.window, HISTORY_INTERVAL, "the window", "0.05")
        cut = observations.cut(length)
        self._first = min(round(spin_up / HISTORY_INTERVAL), len(cut) * every // 2)
        self.values = np.full((len(cut) * every, *cut.shape[1:]), np.nan)
        self.values[::every] = cut
        self.F, self._std, self._inflation = observations.F, observations.std, inflation
        lag = _FEW_LAG if few and lag is None else lag
        self._lag = None if lag is None else round(lag / HISTORY_INTERVAL)
        self.n_members = (_FEW_MEMBERS if few else _MEMBERS) if n_members is None else n_members
        self._mean, self._spread = float(np.nanmean(cut)), float(np.nanstd(cut))

    def smoothed(self, model: StateSpaceModel, rng: np.random.Generator, some: slice = slice(None)) -> Members:
        """Return some of the members under a model, of some of the series, after the spin-up."""
        states, likelihood = self._smoothed(model, rng, some, self._lag)
        kept = states[self._first :, :, :: max(self.n_members // _KEPT, 1)]
        X, _, M = model.split(kept)
        return Members(X, M, model.forcing(kept), likelihood)

    def likelihood(self, model: StateSpaceModel, rng: np.random.Generator, some: slice = slice(None)) -> float:
        """Return the log likelihood of an observation under a model; minus infinity if it blows up."""
        found = self._smoothed(model, rng, some, 0)[1]
        return found if np.isfinite(found) else -np.inf

    def _smoothed(
        self, model: StateSpaceModel, rng: np.random.Generator, some: slice, lag: int | None
    ) -> tuple[Array, float]:
        """Return all members (time, series, member, n), and the log likelihood."""
        values = self.values[:, some] if self.values[:, some].size else self.values

        def advance(states: Array, time: int) -> Array:
            return model.advance(states, self.F, rng, STEPS)

        initial = self._initial(model, values[0], rng)
        found = ensemble_smoother(advance, initial, values, self._std, rng=rng, inflation=self._inflation, lag=lag)
        counted = np.isfinite(values[self._first :]).sum()
        return found.states, float(found.log_likelihood[self._first :].sum() / max(counted, 1))

    def _initial(self, model: StateSpaceModel, values: Array, rng: np.random.Generator) -> Array:
        """Return members (series, member, n) around the first observations, or the climate where there is none."""
        seen = np.isfinite(values)
        centre, spread = np.where(seen, values, self._mean), np.where(seen, self._std, self._spread)
        shape = (len(values), self.n_members, values.shape[1])
        X = centre[:, None] + spread[:, None] * rng.standard_normal(shape)
        parts = [X, rng.standard_normal(shape)]
        if model.memory:
            parts.append(X + rng.standard_normal(shape))
        return np.concatenate(parts, axis=2)


def sees_few(observations: ObservedSeries) -> bool:
    """Return whether all points are never observed at once."""
    return not observations.observed.all(axis=1).any()
