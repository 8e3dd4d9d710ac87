"""Climate scores of free runs of the resolved model, and the metrics reported beside them.

Replicates come from weights (replicate, member): how often each member is drawn, over the number of members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.display import brief
from l96bench.metrics import climate, conservation, time_series
from l96bench.metrics.uncertainty import recentre, wilson
from l96bench.results.score import Value
from l96bench.tasks.online_runs import INTERVAL
from l96bench.tasks.parts import LEVEL, value_of

__all__ = [
    "ClimateRun",
    "ClimateScale",
    "Estimate",
    "climate_part",
    "climate_series",
    "extremes",
    "fraction",
    "member_weights",
    "momentum_metrics",
    "response",
    "scales_of",
]

RETURN = (10.0, 0.9)
"""Length in MTU of the blocks whose largest X makes a return level, and its quantile among them."""

Array = NDArray[np.float64]
Estimate = tuple[float, Array]
"""An estimate and its bootstrap replicates."""


@dataclass(frozen=True)
class ClimateRun:
    """A long free run X (time, member, K), the distribution functions (member, 3, cells), and which members survived.

    `sources` (time, member) is the mean of U over the ring over the std of U, NaN once a member has diverged; recorded
    for models only, where the coupling is a flux.
    """

    X: NDArray[np.float64]
    cdfs: NDArray[np.float64]
    survived: NDArray[np.bool_]
    sources: NDArray[np.float64] | None = None

    __repr__ = brief


@dataclass(frozen=True)
class ClimateScale:
    """The yardstick of climates: the truth's, and how far from it are those of no closure and of the truth's twin.

    Attributes
    ----------
    grid : DistanceGrid
    reference, resampled : (3, cells) and (replicate, 3, cells) arrays
        Distribution functions of the truth.
    correlation, correlations : (lag,) and (replicate, lag) arrays
        Its autocorrelation.
    none, twin : Estimate
        Mean distances with replicates.
    """

    grid: climate.DistanceGrid
    reference: Array
    resampled: Array
    correlation: Array
    correlations: Array
    none: Estimate
    twin: Estimate

    __repr__ = brief

    @classmethod
    def of(
        cls,
        grid: climate.DistanceGrid,
        truth: tuple[ClimateRun, Array],
        none: tuple[ClimateRun, Array],
        twin: tuple[ClimateRun, Array],
    ) -> ClimateScale:
        """Return the scale of runs, each with the weights (replicate, member) of its members."""
        reference, resampled = truth[0].cdfs.mean(axis=0), _pooled(*truth)
        ends = []
        for run, weights in (none, twin):
            distances = climate.wasserstein(run.cdfs.mean(axis=0), reference, grid)
            replicates = climate.wasserstein(_pooled(run, weights), resampled, grid)
            ends.append((distances.mean(), replicates.mean(axis=1)))
        return cls(grid, reference, resampled, *_autocorrelation(*truth), *ends)


def scales_of(
    truths: Mapping[str, tuple[ClimateRun, ClimateRun]],
    none: Mapping[str, ClimateRun],
    grids: Mapping[str, climate.DistanceGrid],
    draw: Callable[[int, str], Array],
) -> dict[str, ClimateScale]:
    """Return the scale of each climate from the truth and its twin, and the runs without closure."""
    scales = {}
    for key, (truth, twin) in truths.items():
        runs = {"truth": truth, "members": none[key], "twin": twin}
        drawn = [(run, member_weights(run, f"{purpose}{key}", draw)) for purpose, run in runs.items()]
        scales[key] = ClimateScale.of(grids[key], *drawn)
    return scales


def member_weights(run: ClimateRun, purpose: str, draw: Callable[[int, str], Array]) -> Array:
    """Return the weights (replicate, member) of a run's members, which add up to 1."""
    return draw(len(run.survived), purpose) / len(run.survived)


def climate_part(run: ClimateRun, weights: Array, scale: ClimateScale) -> tuple[float, Array, dict[str, Value]]:
    """Return ``(D_none - D) / (D_none - D_twin)`` with replicates, and the metrics of a model's climate."""
    pooled = _pooled(run, weights)
    own = climate.wasserstein(run.cdfs.mean(axis=0), scale.reference, scale.grid)
    own_replicates = climate.wasserstein(pooled, scale.resampled, scale.grid)
    (none, none_replicates), (twin, twin_replicates) = scale.none, scale.twin
    part = float(fraction(none, own.mean(), twin))
    part_replicates = recentre(fraction(none_replicates, own_replicates.mean(axis=1), twin_replicates), part)
    mean = float(own.mean())
    metrics = {
        "climate_part": value_of(part, part_replicates),
        "climate_distance": value_of(mean, recentre(own_replicates.mean(axis=1), mean)),
    }
    for i, name in enumerate(climate.QUANTITIES):
        metrics[f"distance_{name}"] = value_of(float(own[i]), recentre(own_replicates[:, i], float(own[i])))
    return part, part_replicates, metrics | _climate_metrics(run, weights, pooled[:, 0], scale)


def _climate_metrics(run: ClimateRun, weights: Array, values: Array, scale: ClimateScale) -> dict[str, Value]:
    """Return survival with Wilson's interval, and moments, extremes and autocorrelation error with bootstrap ones.

    `values` are the resampled distribution functions of X, (replicate, cells).
    """
    n, n_members = int(run.survived.sum()), len(run.survived)
    low, high = wilson(n, n_members, LEVEL)
    moments = time_series.moments(run.X)
    means = weights @ run.X.mean(axis=(0, 2))
    variances = weights @ np.square(run.X - moments.mean).mean(axis=(0, 2)) - np.square(means - moments.mean)
    grid = scale.grid
    low_tail, high_tail = (grid.low[0] + grid.width[0] * (values < p).sum(axis=1) for p in (0.001, 0.999))
    correlation, correlations = _autocorrelation(run, weights)
    error = float(np.sqrt(np.mean((correlation - scale.correlation) ** 2)))
    errors = np.sqrt(np.mean((correlations - scale.correlations) ** 2, axis=1))
    return {
        "survival": Value(value=n / n_members, low=low, high=high),
        "mean": value_of(moments.mean, means),
        "std": value_of(moments.std, np.sqrt(np.maximum(variances, 0.0))),
        "p001": value_of(moments.percentile_0_1, recentre(low_tail, moments.percentile_0_1)),
        "p999": value_of(moments.percentile_99_9, recentre(high_tail, moments.percentile_99_9)),
        "autocorrelation_error": value_of(error, recentre(errors, error)),
    }


def extremes(run: ClimateRun, weights: Array, mean: float, waves: tuple[int, int]) -> dict[str, Value]:
    """Return the level that X at a point exceeds once in 100 MTU, and the transitions between two waves per MTU.

    The level is the 0.9 quantile of the largest X of blocks of 10 MTU (or of the run, where that is shorter). A wave
    dominates while it has the larger amplitude of the two (Lorenz 2006, doi:10.1175/JAS3727.1; Christensen, Moroz and
    Palmer 2015, doi:10.1007/s00382-014-2239-9).
    """
    length = min(round(RETURN[0] / INTERVAL), len(run.X))
    blocks = run.X[: len(run.X) // length * length].reshape(-1, length, *run.X.shape[1:])
    largest = blocks.max(axis=1).swapaxes(0, 1).reshape(run.X.shape[1], -1)
    order = np.argsort(largest, axis=None, kind="stable")
    values, member = largest.ravel()[order], order // largest.shape[1]
    summed = (np.cumsum(own[member]) for own in weights)
    at = [int(np.searchsorted(each, RETURN[1] * each[-1])) for each in summed]
    level = float(values[int(np.ceil(RETURN[1] * len(values))) - 1])
    amplitudes = climate.wave_amplitudes(run.X, mean)
    second = amplitudes[..., waves[1] - 1] > amplitudes[..., waves[0] - 1]
    changes = (second[1:] != second[:-1]).mean(axis=0) / INTERVAL
    return {
        "return_level_100": value_of(level, values[np.minimum(at, len(values) - 1)]),
        "transitions": value_of(float(changes.mean()), weights @ changes),
    }


def response(climates: Mapping[str, ClimateRun], weights: Mapping[str, Array]) -> dict[str, Value]:
    """Return the changes of the mean and of the variance of X from the regime's own forcing to the shifted one."""
    found = []
    for key in ("", "_shift"):
        mean, square = climates[key].X.mean(axis=(0, 2)), np.square(climates[key].X).mean(axis=(0, 2))
        means, squares = weights[key] @ mean, weights[key] @ square
        found.append((mean.mean(), means, square.mean() - mean.mean() ** 2, squares - np.square(means)))
    mean, means, variance, variances = (shifted - own for own, shifted in zip(*found, strict=True))
    return {
        "response_mean": value_of(float(mean), means),
        "response_variance": value_of(float(variance), variances),
    }


def momentum_metrics(run: ClimateRun, weights: Array) -> dict[str, Value]:
    """Return the RMS and the long-term mean of a closure's contribution to the mean of X, where it was recorded."""
    if run.sources is None or np.isnan(run.sources).all():
        return {}
    counts = np.isfinite(run.sources).sum(axis=0).astype(np.float64)
    squares, sums = np.nansum(np.square(run.sources), axis=0), np.nansum(run.sources, axis=0)
    mean, drawn = float(sums.sum() / counts.sum()), weights @ counts
    means = np.divide(weights @ sums, drawn, out=np.full(len(weights), mean), where=drawn > 0)
    error = conservation.root_mean_square(squares, counts)
    return {
        "conservation_error": value_of(error, conservation.rms_replicates(weights, squares, counts)),
        "momentum_drift": value_of(mean, means),
    }


def climate_series(run: ClimateRun) -> dict[str, Array]:
    """Return the autocorrelation every 0.5 MTU and the spectrum up to 2 cycles per MTU."""
    frequency, power = time_series.spectrum(run.X, INTERVAL, segment=10.0)
    kept = frequency <= 2.0
    return {
        "autocorrelation": time_series.autocorrelation(run.X, INTERVAL)[1][::10],
        "spectrum_frequency": frequency[kept],
        "spectrum": power[kept],
    }


def fraction(none: Any, own: Any, best: Any) -> Any:
    """Return the skill as a fraction of the way from floor to ceiling."""
    return (none - own) / (none - best)


def _autocorrelation(run: ClimateRun, weights: Array) -> tuple[Array, Array]:
    """Return the pooled autocorrelation (lag,) and its replicates (replicate, lag)."""
    covariance = time_series.autocovariance(run.X, INTERVAL)
    pooled, resampled = covariance.mean(axis=0), weights @ covariance
    if pooled[0] == 0.0:
        return np.ones_like(pooled), np.ones_like(resampled)
    return pooled / pooled[0], resampled / np.maximum(resampled[:, :1], np.finfo(np.float64).tiny)


def _pooled(run: ClimateRun, weights: Array) -> Array:
    """Return distribution functions of resampled members, (replicate, 3, cells)."""
    pooled = weights @ run.cdfs.reshape(len(run.cdfs), -1)
    return np.asarray(pooled.reshape(len(weights), *run.cdfs.shape[1:]), dtype=np.float64)
