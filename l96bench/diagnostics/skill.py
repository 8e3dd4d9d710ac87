"""Forecasts by lead: skill with intervals, spread against error, and rank histograms with a calibrated envelope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.diagnostics.figures import BLACK, BLUE, GREY, SKY, VERMILION, band, figure
from l96bench.metrics import ensemble
from l96bench.metrics.uncertainty import interval
from l96bench.tasks.online_scores import Forecasts

__all__ = ["Curve", "RankHistogram", "draw_skill", "draw_spread", "rank_histogram", "rmse_curve", "skill_by_lead"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """An estimate at each lead and its 95 % interval, each (lead,)."""

    value: Array
    low: Array
    high: Array

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        """Estimate, low and high."""
        return self.value, self.low, self.high


def _curve(value: Array, replicates: Array) -> Curve:
    """The interval of each lead from replicates (replicate, lead), widened to hold the estimate."""
    ends = np.array([interval(column) for column in replicates.T])
    return Curve(value, np.minimum(ends[:, 0], value), np.maximum(ends[:, 1], value))


def _resampled(per_case: Array, weights: Array) -> Array:
    """Means over resampled blocks of cases, (replicate, lead), of values (lead, case)."""
    blocks = per_case.reshape(len(per_case), weights.shape[1], -1).mean(axis=2)
    return np.asarray(weights @ blocks.T / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def rmse_curve(truth: Array, forecast: Array, weights: Array) -> Curve:
    """RMSE of the ensemble mean by lead with its interval; see `skill_by_lead`."""
    error = np.square(forecast.mean(axis=2) - truth).mean(axis=2)
    return _curve(ensemble.rmse_by_lead(truth, forecast), np.sqrt(_resampled(error, weights)))


def skill_by_lead(truth: Array, forecasts: Forecasts, mean: float, weights: Array) -> dict[str, Curve]:
    """RMSE, CRPS, anomaly correlation and spread by lead, with 95 % intervals from a bootstrap over blocks of cases.

    Parameters
    ----------
    truth : (lead, case, K) array
    forecasts : Forecasts
    mean : float
        Climatological mean of X.
    weights : (replicate, block) array
        How often each replicate holds each block of consecutive cases (`Task.weights`).

    Returns
    -------
    dict of str to Curve
        ``rmse``, ``crps``, ``spread`` in units of X and ``anomaly_correlation``; definitions in
        `l96bench.metrics.ensemble`.
    """
    X = forecasts.X
    members = X.shape[2]
    own, observed = X.mean(axis=2) - mean, truth - mean
    cross, power, true_power = (
        _resampled(product.mean(axis=2), weights) for product in (own * observed, own**2, observed**2)
    )
    norm = np.sqrt(power * true_power)
    correlation = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    variance = np.zeros(X.shape[:2]) if members == 1 else X.var(axis=2, ddof=1).mean(axis=2)
    return {
        "rmse": rmse_curve(truth, X, weights),
        "crps": _curve(forecasts.crps.mean(axis=1), _resampled(forecasts.crps, weights)),
        "anomaly_correlation": _curve(ensemble.anomaly_correlation_by_lead(truth, X, mean), correlation),
        "spread": _curve(ensemble.spread_by_lead(X), np.sqrt((members + 1) / members * _resampled(variance, weights))),
    }


@dataclass(frozen=True, slots=True)
class RankHistogram:
    """How often the truth takes each rank, and what chance alone does to a reliable ensemble.

    Attributes
    ----------
    counts : (member + 1,) array
    expected : float
        Of each rank.
    low, high : (member + 1,) array
        A reliable ensemble stays inside at all ranks at once with probability 0.95.
    """

    counts: Array
    expected: float
    low: Array
    high: Array

    @property
    def outside(self) -> int:
        """Ranks outside of the envelope; any is evidence against reliability at the level of 5 %."""
        return int(((self.counts < self.low) | (self.counts > self.high)).sum())


def rank_histogram(
    truth: Array, forecast: Array, rng: np.random.Generator, n_replicates: int = 1000, level: float = 0.95
) -> RankHistogram:
    """The rank histogram (Hamill 2001, doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2) with its envelope.

    For a reliable ensemble the truth and the members are exchangeable, so each replicate lets a random one of them
    play the truth, case by case: points and leads of a case stay together, and their dependence is in the envelope,
    which a binomial one would miss. The half-width at each rank is its standard deviation over replicates, times one
    factor for all ranks such that a share of `level` of the replicates stays inside everywhere.

    Parameters
    ----------
    truth : (lead, case, K) array
    forecast : (lead, case, member, K) array
        With at least 2 members.
    rng : numpy Generator
    n_replicates : int
    level : float

    Raises
    ------
    ValueError
        For less than 2 members, or arrays that do not match.
    """
    if forecast.ndim != 4 or forecast.shape[2] < 2:
        raise ValueError(f"a rank histogram needs forecasts (lead, case, member, K) of 2 members, got {forecast.shape}")
    counts = ensemble.rank_histogram(truth, forecast)
    n_ranks, n_cases = len(counts), truth.shape[1]
    pool = np.concatenate([truth[:, :, None], forecast], axis=2)
    ranks = pool.argsort(axis=2, kind="stable").argsort(axis=2, kind="stable")
    # For each case, how often each candidate for the truth takes each rank: (case, candidate, rank).
    table = np.stack([(ranks == rank).sum(axis=(0, 3)) for rank in range(n_ranks)], axis=-1)
    chosen = rng.integers(n_ranks, size=(n_replicates, n_cases))
    drawn = np.stack([table[np.arange(n_cases), row].sum(axis=0) for row in chosen])
    expected = truth.size / n_ranks
    std = drawn.std(axis=0)
    furthest = np.max(np.abs(drawn - expected) / np.where(std > 0, std, 1.0), axis=1)
    width = np.quantile(furthest, level) * std
    return RankHistogram(counts, expected, np.maximum(expected - width, 0.0), expected + width)


def draw_skill(leads: Array, curves: Mapping[str, Mapping[str, Curve]], std: float) -> Figure:
    """Three panels against lead: RMSE over the climatological standard deviation, CRPS, anomaly correlation.

    Parameters
    ----------
    leads : (lead,) array
        In MTU.
    curves : mapping of name to `skill_by_lead`
        The model first, then what it is compared with.
    std : float
        Climatological standard deviation of X.
    """
    made = figure(11, 3.7)
    looks = ((BLUE, "-"), (VERMILION, "--"), (BLACK, ":"))
    panels = (
        ("rmse", "RMSE / climatological std", std),
        ("crps", "CRPS (units of X)", 1.0),
        ("anomaly_correlation", "anomaly correlation", 1.0),
    )
    for ax, (key, label, scale) in zip(made.subplots(1, 3), panels, strict=True):
        for (name, own), (color, dashes) in zip(curves.items(), looks, strict=False):
            value, low, high = (part / scale for part in own[key].parts)
            band(ax, leads, (value, low, high), color=color, label=name, dashes=dashes)
        ax.set(xlabel="lead (MTU)", ylabel=label, xlim=(0, leads[-1]))
        ax.set_ylim(*((-0.12, 1.03) if key == "anomaly_correlation" else (0.0, None)))
        ax.grid(True)
    handles, labels = ax.get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper center", ncols=3)
    return made


def draw_spread(
    leads: Array, own: Mapping[str, Curve], perfect: Mapping[str, Curve], ranks: Mapping[float, RankHistogram]
) -> Figure:
    """Spread and error of the ensemble mean against lead, and the rank histogram at some leads (in MTU)."""
    made = figure(11, 3.7)
    first, *others = made.subplots(1, 1 + len(ranks), width_ratios=(1.3, *(1.0 for _ in ranks)))
    for curves, color, name in ((own, BLUE, "model"), (perfect, GREY, "perfect physics")):
        band(first, leads, curves["rmse"].parts, color=color, label=f"error, {name}")
        band(first, leads, curves["spread"].parts, color=color, label=f"spread, {name}", dashes="--")
    first.set(xlabel="lead (MTU)", ylabel="units of X", xlim=(0, leads[-1]), title="spread and error")
    first.set_ylim(bottom=0)
    first.legend(loc="lower right")
    first.grid(True)
    for ax, (lead, histogram) in zip(others, ranks.items(), strict=True):
        n = len(histogram.counts)
        edges = np.arange(n + 1) + 0.5
        ax.bar(np.arange(1, n + 1), histogram.counts / histogram.expected, width=0.8, color=SKY)
        ax.stairs(
            histogram.high / histogram.expected, edges, baseline=None, color=BLACK, ls="--", label="reliable, 95 %"
        )
        ax.stairs(histogram.low / histogram.expected, edges, baseline=None, color=BLACK, ls="--")
        ax.set(xlabel="rank of the truth", ylabel="count / expected", title=f"ranks at {lead:g} MTU")
        ax.set_ylim(0, 1.25 * float(max(histogram.counts.max(), histogram.high.max()) / histogram.expected))
        ax.legend(loc="upper center")
    return made
