"""An ensemble smoother, for many series side by side: members of the states at all times, given all observations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.display import brief
from l96bench.errors import L96BenchError

__all__ = ["Smoothed", "ensemble_smoother"]

Array = NDArray[np.float64]

_RIDGE = 1e-6
"""The fraction of each variance that is added to the forecast's covariance before it is inverted."""


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """The result of `ensemble_smoother`.

    Parameters
    ----------
    states : (time, series, member, n) array
        Members given all observations of their series, or those up to `lag` times later. One member is one path: its
        states at successive times belong together.
    forecasts : (time, series, member, n) array
        Members before the observations of their time are used.
    log_likelihood : (time, series) array
        Logarithm of the density of the observations of each time, given those before it, under a normal forecast.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> rng = np.random.default_rng(0)
    >>> still = lambda states, time: states
    >>> smoothed = da.ensemble_smoother(still, rng.standard_normal((1, 50, 1)), np.ones((4, 1, 1)), 1.0, rng=rng)
    >>> smoothed.states.shape, smoothed.log_likelihood.shape
    ((4, 1, 50, 1), (4, 1))
    """

    states: Array
    forecasts: Array
    log_likelihood: Array

    __repr__ = brief


def ensemble_smoother(
    advance: Callable[[Array, int], Array],
    initial: ArrayLike,
    values: ArrayLike,
    std: float,
    *,
    rng: np.random.Generator,
    inflation: float = 1.0,
    lag: int | None = None,
) -> Smoothed:
    """Smooth series of observations of the first components of a state, of any noisy model.

    With a `lag`, the ensemble Kalman smoother: a filter with perturbed observations, each analysis of which also moves
    the members of the last `lag` times, by their sample covariance with what is observed. Without, the filter, and then
    a pass back, the smoother of Rauch, Tung and Striebel with sample covariances,

        a_i(t) += cov(a(t), f(t + 1)) cov(f(t + 1))^{-1} (s_i(t + 1) - f_i(t + 1)),

    which costs less and has a smaller sampling error, but is not stable where members are far apart.

    Noise of the model belongs into the state, if its past is wanted. For a linear model with normal noise and many
    members, the states have the mean and the covariance, in time too, of the Kalman smoother; with m members both have
    relative errors of the order of sqrt(n / m).

    Parameters
    ----------
    advance : (states (row, n), time) -> states (row, n)
        The model from time - 1 to `time`, an index; rows are all members of all series, the same in every call.
    initial : (series, member, n) array
        Members at time 0, before its observations are used; more members than components.
    values : (time, series, p) array
        Observations of the first p <= n components; NaN where there is none.
    std : float
        Standard deviation of their independent errors.
    rng : numpy Generator
        Source of the perturbations.
    inflation : float
        Factor of the anomalies of every forecast.
    lag : int, optional
        How many times an analysis reaches back: 0 for a filter.

    Returns
    -------
    Smoothed
        Members at all times, and the likelihood of the observations.

    References
    ----------
    Burgers, van Leeuwen and Evensen (1998), Mon. Wea. Rev. 126, 1719: perturbed observations. Evensen and van
    Leeuwen (2000), Mon. Wea. Rev. 128, 1852: the ensemble Kalman smoother. Raanes (2016), Q. J. R. Meteorol. Soc. 142,
    1259: the pass back with an ensemble.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> rng = np.random.default_rng(0)
    >>> start, values = rng.standard_normal((1, 500, 1)), np.ones((4, 1, 1))
    >>> smoothed = da.ensemble_smoother(lambda states, time: states, start, values, std=1.0, rng=rng, lag=4)
    >>> round(float(smoothed.states[0].mean()), 1)  # 4 / 5: four observations of 1, and the prior mean 0
    0.8
    """
    first, seen = np.array(initial, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if first.ndim != 3 or seen.ndim != 3 or seen.shape[1] != len(first) or not 0 < seen.shape[2] <= first.shape[2]:
        raise L96BenchError(
            "expected initial states (series, member, n) and values (time, series, p) with p <= n, got "
            f"{first.shape} and {seen.shape}"
        )
    if first.shape[1] <= first.shape[2]:
        raise L96BenchError(f"expected more members than the {first.shape[2]} components, got {first.shape[1]}")
    if not (0 < std < np.inf and 0 < inflation < np.inf):
        raise L96BenchError(f"expected a positive std and inflation, got {std} and {inflation}")
    n_times, states = len(seen), first
    analyses, forecasts = np.empty((n_times, *first.shape)), np.empty((n_times, *first.shape))
    likelihood = np.empty(seen.shape[:2])
    for time in range(n_times):
        if time:
            states = advance(states.reshape(-1, first.shape[2]), time).reshape(first.shape)
        states = _inflated(states, inflation) if inflation != 1.0 else states
        forecasts[time] = states
        gain, likelihood[time] = _gain(states, seen[time], std, rng)
        analyses[time] = states
        if gain is not None:
            reached = slice(max(time - (lag or 0), 0), time + 1)
            analyses[reached] += gain[1] @ (gain[0] @ analyses[reached])
        states = analyses[time]
    if lag is None:
        for time in range(n_times - 2, -1, -1):
            analyses[time] += _moved(analyses[time], forecasts[time + 1], analyses[time + 1])
    return Smoothed(analyses, forecasts, likelihood)


def _inflated(states: Array, factor: float) -> Array:
    mean = states.mean(axis=1, keepdims=True)
    return np.asarray(mean + factor * (states - mean))


def _gain(
    states: Array, values: Array, std: float, rng: np.random.Generator
) -> tuple[tuple[Array, Array] | None, Array]:
    """Return the two factors of an analysis, (series, p, m) and (series, m, p), and the log density, (series,).

    With the factors A and B, states x (..., series, m, n) of any time move by B A x. There are none if nothing is seen.
    """
    seen = ~np.isnan(values)
    if not seen.any():
        return None, np.zeros(len(states))
    p, m = values.shape[1], states.shape[1]
    mean = states[..., :p].mean(axis=1)
    observed = (states[..., :p] - mean[:, None]) * (seen / std)[:, None]
    S = observed.swapaxes(1, 2) @ observed / (m - 1) + np.eye(p)
    innovation = np.where(seen, values - mean, 0.0) / std
    errors = rng.standard_normal(observed.shape)
    errors -= errors.mean(axis=1, keepdims=True)
    # The perturbation of a missing observation meets a row of zeros in the first factor.
    gaps = innovation[:, None] + np.where(seen[:, None], errors, 0.0) - observed
    solved = np.linalg.solve(S, np.concatenate([gaps, innovation[:, None]], axis=1).swapaxes(1, 2)).swapaxes(1, 2)
    misfit = (solved[:, -1] * innovation).sum(axis=1) + np.linalg.slogdet(S)[1]
    density = -0.5 * (misfit + seen.sum(axis=1) * math.log(2.0 * math.pi * std**2))
    return (observed.swapaxes(1, 2) / (m - 1), solved[:, :-1]), density


def _moved(analysis: Array, forecast: Array, smoothed: Array) -> Array:
    """Return what the members of an analysis move by, given those of the next time, (series, member, n)."""
    a = analysis - analysis.mean(axis=1, keepdims=True)
    f = forecast - forecast.mean(axis=1, keepdims=True)
    covariance = f.swapaxes(1, 2) @ f
    diagonal = np.einsum("sii->si", covariance)
    diagonal *= 1.0 + _RIDGE
    diagonal += np.finfo(np.float64).tiny
    gain = np.linalg.solve(covariance, f.swapaxes(1, 2) @ a)
    return np.asarray((smoothed - forecast) @ gain)
