"""Forecast and climate scores of runs of the resolved model, and the metrics reported beside them.

Replicates come from weights (replicate, block or member): how often each block of cases, or each member, is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from l96bench.display import axes_for, brief
from l96bench.metrics import climate, conservation, ensemble, time_series
from l96bench.metrics.uncertainty import recentre, wilson
from l96bench.results.score import Value
from l96bench.tasks.definitions import RESTART
from l96bench.tasks.online_runs import INTERVAL
from l96bench.tasks.parts import LEVEL, seed_spread, value_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

__all__ = [
    "LIKE_TRUTH",
    "ClimateRun",
    "Forecasts",
    "Runs",
    "check_numbers",
    "climate_part",
    "climate_series",
    "extremes",
    "forecast_metrics",
    "forecast_part",
    "momentum_metrics",
    "possible_scores",
    "response",
    "restart_of",
    "score_of",
]

SCORED_LEAD = 2.0
"""Longest lead in MTU of the averaged CRPS."""
METHOD = (
    "paired bootstrap: forecasts over cases, climates and survival over members of model and truth; parts recentred on "
    "their estimates; percentile interval"
)
FORECASTS = ("crps", "rmse", "spread", "anomaly_correlation")
"""The curves by lead, whose values at 1 MTU are metrics."""
LIKE_TRUTH = 0.5
"""The smallest part of a climate in which disturbances have to grow."""
SMALLEST = 1e-6
"""The smallest growth of the square of a disturbance that is told from none."""
RETURN = (10.0, 0.9)
"""Length in MTU of the blocks whose largest X makes a return level, and its quantile among them."""

Array = NDArray[np.float64]
Estimate = tuple[float, Array]
"""An estimate and its bootstrap replicates."""


@dataclass(frozen=True)
class Forecasts:
    """Forecasts X (lead, case, member, K), their CRPS (lead, case), and the number of diverged members."""

    X: NDArray[np.float64]
    crps: NDArray[np.float64]
    diverged: int = 0

    __repr__ = brief

    @property
    def lead(self) -> Array:
        """Lead times in MTU, (lead,)."""
        return np.asarray(INTERVAL * np.arange(1, 1 + len(self.X)), dtype=np.float64)

    def to_xarray(self) -> xarray.Dataset:
        """Return X (lead, case, member, k) and crps (lead, case) as an xarray dataset, leads in MTU."""
        import xarray

        data = {"X": (("lead", "case", "member", "k"), self.X), "crps": (("lead", "case"), self.crps)}
        attributes = {"diverged": self.diverged}
        return xarray.Dataset(data, coords={"lead": ("lead", self.lead, {"units": "MTU"})}, attrs=attributes)

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the CRPS over lead time, averaged over cases, and return the axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes if not given.
        **options
            For matplotlib's ``plot``, such as ``label`` and ``color``.
        """
        ax = axes_for(ax)
        ax.plot(self.lead, self.crps.mean(axis=1), **options)
        ax.set(xlabel="lead (MTU)", ylabel="CRPS of X")
        return ax


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
class Runs:
    """Forecasts, climates by the suffix of their metrics, and the squares that tell of restarts (see `restarted`)."""

    forecasts: Forecasts
    climates: dict[str, ClimateRun]
    restart: tuple[Array, ...] = ()

    __repr__ = brief


def score_of(forecast: Estimate, climates: Sequence[Estimate], survival: Estimate) -> Estimate:
    """Return ``100 * survival * (forecast + climate) / 2``, with replicates.

    The forecast part, and the part of each climate, of which `climate` is the mean, are clipped to 0..1.
    """
    (f, f_replicates), (s, s_replicates) = forecast, survival
    c = sum(float(np.clip(part, 0.0, 1.0)) for part, _ in climates) / len(climates)
    c_replicates = sum(np.clip(replicates, 0.0, 1.0) for _, replicates in climates) / len(climates)
    score = 50.0 * s * (float(np.clip(f, 0.0, 1.0)) + c)
    replicates = 50.0 * s_replicates * (np.clip(f_replicates, 0.0, 1.0) + c_replicates)
    return score, np.clip(recentre(replicates, score), 0.0, 100.0)


def possible_scores(metrics: Mapping[str, Value], n_seeds: int) -> tuple[float, float]:
    """Return the smallest and largest score that the metrics of a row allow.

    The score of one seed follows from them. That of several is a mean over seeds of a product of clipped parts, and the
    metrics are means: where a part may be clipped for a seed, or survival differs, the spread bounds what is left open.
    """
    parts = [(1.0, metrics["forecast_part"]), (0.5, metrics["climate_part"]), (0.5, metrics["climate_part_shift"])]
    spreads, open_ends, clipped = [], 0.0, 0.0
    for share, part in parts:
        spread = seed_spread(part, n_seeds)
        farthest = spread * max(0, n_seeds - 1) ** 0.5
        if not 0.0 <= part.value - farthest <= part.value + farthest <= 1.0:
            open_ends += share * spread
        spreads.append(share * spread)
        clipped += share * min(1.0, max(0.0, part.value))
    survival = metrics["survival"].value
    apart = min(1.0, sum(spreads)) * (survival * max(0.0, 1.0 - survival)) ** 0.5 if n_seeds > 1 else 0.0
    score, open_ends = 50.0 * survival * clipped, 50.0 * (survival * open_ends + apart)
    return score - open_ends, score + open_ends


def check_numbers(metrics: Mapping[str, Value], series: Mapping[str, Sequence[float]], members: int) -> None:
    """Raise `ValueError` or `KeyError` unless the numbers of a row are all there and agree with its curves.

    Stochastic closures have this many `members`, others one.
    """
    if metrics["members"].value not in (1.0, members):
        raise ValueError(f"members: expected 1 or {members}, got {metrics['members'].value:g}")
    leads = np.asarray(series["lead"])
    curves = {name: np.asarray(series[f"{name}_by_lead"]) for name in FORECASTS}
    if any(curve.shape != leads.shape for curve in curves.values()):
        raise ValueError(f"expected {len(leads)} leads in every curve")
    found = {f"{name}_1": curve[np.abs(leads - 1.0) < 1e-9].sum() for name, curve in curves.items()}
    found["crps_mean"] = curves["crps"][leads <= SCORED_LEAD + 1e-9].mean()
    for name, value in found.items():
        if not np.isclose(metrics[name].value, value, rtol=1e-4, atol=1e-4):
            raise ValueError(f"{name}: {metrics[name].value:.6g}, in the curve by lead {value:.6g}")
    wanted = ["training_distance"] + ["restart"] * (metrics["survival"].value > 0.5)
    if missing := [name for name in wanted if name not in metrics]:
        raise ValueError(f"{', '.join(missing)} missing")


def forecast_part(none: Forecasts, own: Forecasts, perfect: Forecasts, leads: Array, weights: Array) -> Estimate:
    """Return ``(C_none - C) / (C_none - C_perfect)``, C being the CRPS averaged over leads up to 2 MTU."""
    scored = leads <= SCORED_LEAD + 1e-9
    means = [each.crps[scored].mean(axis=0) for each in (none, own, perfect)]
    part = float(_fraction(*(each.mean() for each in means)))
    replicates = _fraction(*(weights @ each / weights.sum(axis=1) for each in means))
    return part, recentre(replicates, part)


def forecast_metrics(
    truth: Array, forecasts: Forecasts, leads: Array, climatology: tuple[float, float], weights: Array
) -> tuple[dict[str, Value], dict[str, Array]]:
    """Return the members, skill at 1 MTU and valid prediction time with intervals, and curves by lead."""
    mean, std = climatology
    weights = weights / weights.sum(axis=1, keepdims=True)
    X, n_members = forecasts.X, forecasts.X.shape[2]
    crps, rmse = forecasts.crps.mean(axis=1), ensemble.rmse_by_lead(truth, X)
    rmse_replicates = np.sqrt(np.square(X.mean(axis=2) - truth).mean(axis=2) @ weights.T)
    spread = ensemble.spread_by_lead(X)
    correlation = ensemble.anomaly_correlation_by_lead(truth, X, mean)
    one, scored = int(np.argmin(np.abs(leads - 1.0))), leads <= SCORED_LEAD + 1e-9
    valid = ensemble.valid_prediction_time(rmse, leads, std)
    valid_replicates = np.array([ensemble.valid_prediction_time(curve, leads, std) for curve in rmse_replicates.T])
    variance = np.zeros(X.shape[1]) if n_members == 1 else X[one].var(axis=1, ddof=1).mean(axis=1)
    spread_replicates = np.sqrt((n_members + 1) / n_members * (weights @ variance))
    predicted, observed = X[one].mean(axis=1) - mean, truth[one] - mean
    products = (predicted * observed, predicted**2, observed**2)
    cross, own, true = (weights @ product.mean(axis=1) for product in products)
    norm = np.sqrt(own * true)
    metrics = {
        "members": Value(value=float(n_members)),
        "crps_mean": value_of(float(crps[scored].mean()), weights @ forecasts.crps[scored].mean(axis=0)),
        "crps_1": value_of(float(crps[one]), weights @ forecasts.crps[one]),
        "rmse_1": value_of(float(rmse[one]), rmse_replicates[one]),
        "rmse_over_std_1": value_of(float(rmse[one]) / std, rmse_replicates[one] / std),
        "spread_1": value_of(float(spread[one]), spread_replicates),
        "anomaly_correlation_1": value_of(
            float(correlation[one]), np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
        ),
        "valid_prediction_time": value_of(valid, valid_replicates),
    }
    curves = {"crps": crps, "rmse": rmse, "spread": spread, "anomaly_correlation": correlation}
    return metrics, {"lead": leads} | {f"{name}_by_lead": curve for name, curve in curves.items()}


def climate_part(
    runs: tuple[tuple[ClimateRun, Array], ...], truth: tuple[ClimateRun, Array], grid: climate.DistanceGrid
) -> tuple[float, Array, dict[str, Value]]:
    """Return ``(D_none - D) / (D_none - D_truth)`` with replicates, and the metrics of the model's climate.

    The `runs` are those of none, the model and the truth.
    """
    reference, resampled_reference = truth[0].cdfs.mean(axis=0), _pooled(*truth)
    distances = [climate.wasserstein(run.cdfs.mean(axis=0), reference, grid) for run, _ in runs]
    pooled = [_pooled(run, weights) for run, weights in runs]
    replicates = [climate.wasserstein(each, resampled_reference, grid) for each in pooled]
    part = float(_fraction(*(each.mean() for each in distances)))
    part_replicates = recentre(_fraction(*(each.mean(axis=1) for each in replicates)), part)
    own, own_replicates = distances[1], replicates[1]
    mean = float(own.mean())
    metrics = {
        "climate_part": value_of(part, part_replicates),
        "climate_distance": value_of(mean, recentre(own_replicates.mean(axis=1), mean)),
    }
    for i, name in enumerate(climate.QUANTITIES):
        metrics[f"distance_{name}"] = value_of(float(own[i]), recentre(own_replicates[:, i], float(own[i])))
    return part, part_replicates, metrics | _climate_metrics(*runs[1], pooled[1][:, 0], truth, grid)


def _climate_metrics(
    run: ClimateRun, weights: Array, values: Array, truth: tuple[ClimateRun, Array], grid: climate.DistanceGrid
) -> dict[str, Value]:
    """Return survival with Wilson's interval, and moments, extremes and autocorrelation error with bootstrap ones.

    `values` are the resampled distribution functions of X, (replicate, cells).
    """
    n, n_members = int(run.survived.sum()), len(run.survived)
    low, high = wilson(n, n_members, LEVEL)
    moments = time_series.moments(run.X)
    means = weights @ run.X.mean(axis=(0, 2))
    variances = weights @ np.square(run.X - moments.mean).mean(axis=(0, 2)) - np.square(means - moments.mean)
    low_tail, high_tail = (grid.low[0] + grid.width[0] * (values < p).sum(axis=1) for p in (0.001, 0.999))
    correlation, correlations = _autocorrelation(run, weights)
    true_correlation, true_correlations = _autocorrelation(*truth)
    error = float(np.sqrt(np.mean((correlation - true_correlation) ** 2)))
    errors = np.sqrt(np.mean((correlations - true_correlations) ** 2, axis=1))
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


def restart_of(found: Sequence[Array], weights: Array, like_truth: bool) -> Value:
    """Return the RMS difference of a run from its restarts over that between two, from `restarted`'s squares (3, row).

    It is that of the first restarts, unless that of others is above `RESTART`, beyond its interval, with a sixth of the
    rows or more: then the largest of these. In a run whose climate is like the truth's a disturbance grows; where it
    shrinks in a tenth of the rows, as if they were pulled to a trajectory, its first size over the last one counts too.
    """
    first, *others = [_restart_ratio(squares, weights) for squares in found]
    many = [6 * np.count_nonzero(squares[1]) >= weights.shape[1] for squares in found[1:]]
    high = [value for value, enough in zip(others, many, strict=True) if enough]
    high += [_shrinkage(squares, weights) for squares in found] if like_truth else []
    high = [value for value in high if (value.low or 0.0) > RESTART]
    return max(high, key=lambda value: value.value) if high and (first.low or 0.0) <= RESTART else first


def _restart_ratio(squares: Array, weights: Array) -> Value:
    own, between, _ = squares
    least = np.finfo(np.float64).tiny
    ratios = np.sqrt((weights @ own) / np.maximum(weights @ between, least))
    return value_of(float(np.sqrt(own.sum() / max(between.sum(), least))), ratios)


def _shrinkage(squares: Array, weights: Array) -> Value:
    """Return by how much, at least, disturbances shrink in a tenth of the rows that are there."""
    there = squares[2] > 0.0
    _, between, before = squares[:, there]
    shrunk = np.sqrt(before / np.maximum(between, SMALLEST * before))
    order = np.argsort(-shrunk)
    counted = np.cumsum(weights[:, there][:, order], axis=1)
    places = (counted < 0.1 * counted[:, -1:]).sum(axis=1)
    return value_of(float(shrunk[order[len(order) // 10]]), shrunk[order[np.minimum(places, len(order) - 1)]])


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


def _autocorrelation(run: ClimateRun, weights: Array) -> tuple[Array, Array]:
    """Return the pooled autocorrelation (lag,) and its replicates (replicate, lag)."""
    covariance = time_series.autocovariance(run.X, INTERVAL)
    pooled, resampled = covariance.mean(axis=0), weights @ covariance
    if pooled[0] == 0.0:
        return np.ones_like(pooled), np.ones_like(resampled)
    return pooled / pooled[0], resampled / np.maximum(resampled[:, :1], np.finfo(np.float64).tiny)


def _fraction(none: Any, own: Any, best: Any) -> Any:
    """Return the skill as a fraction of the way from floor to ceiling."""
    return (none - own) / (none - best)


def _pooled(run: ClimateRun, weights: Array) -> Array:
    """Return distribution functions of resampled members, (replicate, 3, cells)."""
    pooled = weights @ run.cdfs.reshape(len(run.cdfs), -1)
    return np.asarray(pooled.reshape(len(weights), *run.cdfs.shape[1:]), dtype=np.float64)
