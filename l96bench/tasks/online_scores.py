"""Scores of runs of the resolved model: forecasts, restarts, and all parts together; climates are in `climate_scores`.

Replicates come from weights (replicate, block or member): how often each block of cases, or each member, is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from l96bench.display import axes_for, brief
from l96bench.metrics import ensemble
from l96bench.metrics.uncertainty import recentre
from l96bench.results.score import Value
from l96bench.tasks.climate_scores import ClimateRun, Estimate, fraction
from l96bench.tasks.definitions import RESTART
from l96bench.tasks.online_runs import INTERVAL
from l96bench.tasks.parts import seed_spread, value_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

__all__ = [
    "LIKE_TRUTH",
    "Forecasts",
    "Runs",
    "check_numbers",
    "forecast_metrics",
    "forecast_part",
    "possible_scores",
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

Array = NDArray[np.float64]


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
    part = float(fraction(*(each.mean() for each in means)))
    replicates = fraction(*(weights @ each / weights.sum(axis=1) for each in means))
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
