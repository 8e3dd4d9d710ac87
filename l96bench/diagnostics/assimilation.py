"""A cycled filter in numbers and pictures: its errors, its spread, its innovations, and learned increments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.assimilation.record import Cycled
from l96bench.assimilation.statistics import innovation_statistics
from l96bench.diagnostics.fields import conditional
from l96bench.diagnostics.figures import BLACK, BLUE, GREEN, GREY, SKY, VERMILION, figure
from l96bench.metrics.uncertainty import interval

__all__ = [
    "BLOCK",
    "Increments",
    "Ranks",
    "binned_spread",
    "blocked_rmse",
    "draw_cycles",
    "draw_increments",
    "draw_innovations",
    "draw_reliability",
    "innovation_correlation",
    "normalized_innovations",
    "ranks",
]

Array = NDArray[np.float64]

BLOCK = 40
"""Consecutive cycles that are resampled together, as in the score."""
_SHORT = 10
"""Consecutive cycles over which errors are averaged in curves against time."""
_N_LAGS = 10
_LOOKS = ((BLUE, "-"), (VERMILION, "--"), (BLACK, ":"))
"""Colours and dashes of the model, of no correction and of the perfect model."""


def blocked_rmse(rmse: Array, length: int = _SHORT) -> Array:
    """RMSE pooled over segments and blocks of consecutive cycles, (block,), from RMSE (segment, cycle).

    What is left at the end, shorter than a block, is dropped.
    """
    n = rmse.shape[1] // length
    squares = np.square(rmse[:, : n * length]).reshape(len(rmse), n, length)
    return np.asarray(np.sqrt(squares.mean(axis=(0, 2))), dtype=np.float64)


def binned_spread(run: Cycled, n_bins: int = 10) -> tuple[Array, Array]:
    """Spread of the background and RMSE of its mean, each (bin,), in bins of the spread that hold equally many.

    A reliable ensemble lies on the diagonal: where it is spread wider, its mean errs more. The spread has the factor
    sqrt((m + 1) / m) of Fortin et al. (2014), J. Hydrometeorol. 15, 1708-1713. Cycles after a divergence are left out.
    """
    kept = np.isfinite(run.background_spread)
    spread = np.sqrt((run.n_members + 1) / run.n_members) * run.background_spread[kept]
    error = (run.background_mean - run.truth)[kept]
    bins = np.array_split(np.argsort(spread, kind="stable"), n_bins)
    pooled = [[np.sqrt(np.mean(np.square(values[own]))) for own in bins] for values in (spread, error)]
    return np.array(pooled[0]), np.array(pooled[1])


@dataclass(frozen=True, slots=True)
class Ranks:
    """How often the truth takes each rank among the background members; each (member + 1,) over what is expected."""

    share: Array
    low: Array
    high: Array

    @property
    def away(self) -> int:
        """Ranks whose interval does not hold 1."""
        return int(((self.low > 1.0) | (self.high < 1.0)).sum())


def ranks(run: Cycled, weights: Array) -> Ranks:
    """The rank histogram (Hamill 2001, Mon. Wea. Rev. 129, 550-560) with 95 % intervals.

    Parameters
    ----------
    run : Cycled
    weights : (replicate, block) array
        How often each bootstrap replicate holds each block of `BLOCK` cycles of a segment: neighbouring cycles and
        points depend on each other.
    """
    n_ranks = run.n_members + 1
    blocks = run.ranks.reshape(weights.shape[1], -1)
    counts = np.stack([(blocks == rank).sum(axis=1) for rank in range(n_ranks)], axis=1)
    drawn = weights @ counts
    drawn = drawn * n_ranks / drawn.sum(axis=1, keepdims=True)
    share = counts.sum(axis=0) * n_ranks / counts.sum()
    low, high = np.array([interval(column) for column in drawn.T]).T
    return Ranks(share, np.minimum(low, share), np.maximum(high, share))


def normalized_innovations(run: Cycled) -> Array:
    """Innovations over the standard deviation that the filter expects of them, (n,).

    The expected variance is that of the ensemble at the observed point, H P_b H', plus that of the observation error.
    Normal with variance 1 for a consistent filter of a linear system with Gaussian errors.
    """
    seen = np.isfinite(run.innovations)
    spread = np.take_along_axis(run.background_spread, run.points, axis=2)[seen]
    expected = np.sqrt(spread * spread + run.observation_std[seen] ** 2)
    return np.asarray(run.innovations[seen] / expected, dtype=np.float64)


def innovation_correlation(run: Cycled, n_lags: int = _N_LAGS) -> Array:
    """Correlation of innovations at a point over 0, 1, .., n_lags cycles, (1 + n_lags,).

    Innovations of an optimal filter are white (Kailath 1968, IEEE Trans. Autom. Control 13, 646-655): a correlation is
    what a better model or gain could still take out of the background's error. Pairs of which one is not observed are
    left out, and the mean is not subtracted: a bias counts. NaN where there is no pair.
    """
    E, C, _ = run.innovations.shape
    field = np.full((E, C, run.truth.shape[2]), np.nan)
    np.put_along_axis(field, run.points, run.innovations, axis=2)
    products = []
    for lag in range(n_lags + 1):
        pairs = field[:, lag:] * field[:, : max(C - lag, 0)]
        known = pairs[np.isfinite(pairs)]
        products.append(known.mean() if known.size else np.nan)
    return np.array(products) / products[0]


@dataclass(frozen=True, slots=True, eq=False)
class Increments:
    """What a model of increments predicts from backgrounds of the archive, each (segment, cycle, K).

    Attributes
    ----------
    background : array
        The mean X of the background.
    predicted : array
        The increment that the model predicts from it.
    actual : array
        The increment that the analysis made.
    error : array
        Truth minus background: the increment of a perfect analysis.
    observed : array of bool
        Whether the point was observed in that cycle.
    mean_actual, mean_error : float
        Means over the training archive, about which R² is taken.
    """

    background: Array
    predicted: Array
    actual: Array
    error: Array
    observed: NDArray[np.bool_]
    mean_actual: float
    mean_error: float

    def parts(self) -> dict[str, NDArray[np.bool_]]:
        """All points; and the observed and the others, where there are both."""
        parts = {"all points": np.ones_like(self.observed)}
        if not self.observed.all() and self.observed.any():
            parts |= {"observed": self.observed, "not observed": ~self.observed}
        return parts


def draw_cycles(runs: Mapping[str, Cycled]) -> Figure:
    """Error of background and analysis against time, and the background's by segment.

    Parameters
    ----------
    runs : mapping of name to Cycled
        The model first, then what it is compared with.
    """
    made = figure(11, 4.4)
    left, right = made.subplots(1, 2, width_ratios=(2.4, 1.0), sharey=True)
    for (name, run), (color, dashes) in zip(runs.items(), _LOOKS, strict=False):
        background = blocked_rmse(run.background_rmse)
        window = run.time[1] - run.time[0]
        time = window * (_SHORT * (np.arange(len(background)) + 0.5))
        left.plot(time, background, color=color, ls=dashes, label=f"background, {name}")
        segments = np.arange(1, len(run.truth) + 1)
        right.plot(segments, run.pooled_rmse, color=color, ls="", marker="o", ms=6)
        if color == BLUE:
            analysis = blocked_rmse(run.analysis_rmse)
            left.plot(time, analysis, color=SKY, label=f"analysis, {name}")
            right.plot(segments, np.sqrt(np.square(run.analysis_rmse).mean(axis=1)), color=SKY, ls="", marker="D", ms=5)
    left.set(xlabel="time since the spin-up (MTU)", ylabel="RMSE (units of X)", title="pooled over segments")
    left.set_xlim(0, None)
    right.set(xlabel="test segment", title="pooled over cycles")
    right.set_xticks(segments[:: -(-len(segments) // 10)])
    for ax in (left, right):
        ax.set_ylim(bottom=0)
        ax.grid(True)
    handles, labels = left.get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper center", ncols=4)
    return made


def draw_reliability(runs: Mapping[str, Cycled], histogram: Ranks, name: str) -> Figure:
    """RMSE in bins of the spread for every run, and the rank histogram of the model called `name`."""
    made = figure(11, 4.2)
    left, right = made.subplots(1, 2, width_ratios=(1.0, 1.4))
    reach = 0.0
    for (own, run), (color, dashes) in zip(runs.items(), _LOOKS, strict=False):
        spread, error = binned_spread(run)
        left.plot(spread, error, color=color, ls=dashes, marker="o", ms=5, label=own)
        reach = max(reach, float(spread.max()), float(error.max()))
    left.plot((0, 1.05 * reach), (0, 1.05 * reach), color=GREY, lw=1.0, label="reliable")
    left.set(xlabel="spread of the background (units of X)", ylabel="RMSE of its mean (units of X)")
    left.set(title="error in bins of the spread", xlim=(0, 1.05 * reach), ylim=(0, 1.05 * reach))
    left.legend(loc="upper left")
    left.grid(True)
    places = np.arange(1, len(histogram.share) + 1)
    bars = [histogram.share - histogram.low, histogram.high - histogram.share]
    right.bar(places, histogram.share, width=0.8, color=SKY, yerr=bars, error_kw={"ecolor": BLACK, "elinewidth": 1.0})
    right.axhline(1.0, color=BLACK, ls="--", lw=1.2)
    right.set(xlabel="rank of the truth among the members", ylabel="count / expected", title=f"ranks, {name}")
    right.set_xticks(places[:: -(-len(places) // 11)])
    return made


def draw_increments(found: Increments, r2: Mapping[str, tuple[float, float]]) -> Figure:
    """Increments given the background, predicted against actual ones, and R² at observed points and others.

    Parameters
    ----------
    found : Increments
    r2 : mapping of part to (float, float)
        R² about the actual increments, and about the true error.
    """
    made = figure(11, 4.3)
    left, middle, right = made.subplots(1, 3, width_ratios=(1.2, 1.0, 0.9))
    ends = tuple(np.percentile(found.actual, (0.1, 99.9)))
    reach = max(abs(float(end)) for end in ends)
    grey = {"gridsize": 55, "cmap": "Greys", "bins": "log", "mincnt": 1, "linewidths": 0, "alpha": 0.7}
    span = tuple(np.percentile(found.background, (0.01, 99.99)))
    left.hexbin(found.background.ravel(), found.actual.ravel(), extent=(*span, -reach, reach), **grey)
    lines = (("analysis", found.actual, BLACK, ":"), ("true error", found.error, GREEN, "--"))
    for label, values, color, dashes in (*lines, ("predicted", found.predicted, BLUE, "-")):
        mean = conditional(found.background, values)
        left.plot(mean.X, mean.mean, color=color, ls=dashes, label=label)
        if color == BLUE:
            left.fill_between(mean.X, mean.low, mean.high, color=BLUE, alpha=0.3, lw=0)
    left.set(
        xlabel="background X$_k$",
        ylabel="increment (units of X)",
        title="increments given the background",
        ylim=(-reach, reach),
    )
    left.legend(loc="lower left", title="mean", title_fontsize=9)
    middle.hexbin(found.actual.ravel(), found.predicted.ravel(), extent=(-reach, reach, -reach, reach), **grey)
    middle.plot((-reach, reach), (-reach, reach), color=VERMILION, lw=1.2, label="equal")
    mean = conditional(found.actual, found.predicted)
    middle.plot(mean.X, mean.mean, color=BLUE, label="mean")
    middle.set(
        xlabel="increment of the analysis (units of X)",
        ylabel="predicted increment (units of X)",
        title="predicted and actual",
    )
    middle.set(xlim=(-reach, reach), ylim=(-reach, reach))
    middle.legend(loc="upper left")
    _draw_shares(right, r2)
    return made


def _draw_shares(ax: Axes, r2: Mapping[str, tuple[float, float]]) -> None:
    """R² as bars, two for each part."""
    places = np.arange(len(r2))
    for i, (label, color) in enumerate((("of the increment", BLUE), ("of the true error", GREEN))):
        values = [pair[i] for pair in r2.values()]
        bars = ax.bar(places + 0.4 * (i - 0.5), values, width=0.36, color=color, label=label)
        ax.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
    ax.axhline(0.0, color=BLACK, lw=1.0)
    ax.set_xticks(places, [part.replace("not ", "not\n") for part in r2])
    values = [value for pair in r2.values() for value in pair]
    ax.set(ylabel="R$^2$", title="R$^2$ by point", xlim=(-0.6, len(r2) - 0.4))
    low, high = min(0.0, *values), max(0.1, *values)
    ax.set_ylim(low - 0.1 * (high - low) * (low < 0.0), high + 0.35 * (high - low))
    ax.legend(loc="upper center")


def draw_innovations(runs: Mapping[str, Cycled]) -> Figure:
    """Normalized innovations, variances that the filter assumes and that the data diagnose, and whiteness."""
    made = figure(11, 4.2)
    left, middle, right = made.subplots(1, 3)
    edges = np.linspace(-4.5, 4.5, 46)
    for (name, run), (color, dashes) in zip(runs.items(), _LOOKS, strict=False):
        density = np.histogram(normalized_innovations(run), edges)[0] / (np.isfinite(run.innovations).sum() * 0.2)
        left.stairs(density, edges, color=color, ls=dashes, lw=1.6, label=name)
        right.plot(innovation_correlation(run), color=color, ls=dashes, marker="o", ms=4)
    x = np.linspace(-4.5, 4.5, 181)
    left.plot(x, np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi), color=GREY, lw=1.2, label="consistent")
    left.set(xlabel="innovation / expected std", ylabel="density", title="normalized innovations")
    statistics = [innovation_statistics(run) for run in runs.values()]
    own = next(iter(runs.values()))
    noise = float(np.mean(np.square(own.observation_std[np.isfinite(own.innovations)])))
    places = np.arange(len(runs))
    assumed = [(each.expected, each.expected - noise, noise) for each in statistics]
    diagnosed = [(each.variance, each.background_variance, each.observation_variance) for each in statistics]
    for i, (color, marker) in enumerate(((BLUE, "o"), (VERMILION, "s"), (GREEN, "D"))):
        at = places + 0.25 * (i - 1)
        middle.plot(at, [each[i] for each in diagnosed], ls="", marker=marker, color=color, ms=8)
        middle.hlines([each[i] for each in assumed], at - 0.1, at + 0.1, color=BLACK, lw=2.0)
    for label, color, marker in (
        ("innovation", BLUE, "o"),
        ("background", VERMILION, "s"),
        ("observation", GREEN, "D"),
    ):
        middle.plot([], [], ls="", marker=marker, color=color, ms=7, label=label)
    middle.plot([], [], color=BLACK, lw=2.0, label="assumed")
    middle.set_xticks(places, [name.replace(" ", "\n") for name in runs])
    top = max(max(each) for each in (*assumed, *diagnosed))
    middle.set(ylabel="variance (units of X squared)", title="diagnosed variances", xlim=(-0.5, len(runs) - 0.5))
    middle.set_ylim(0, 1.5 * top)
    middle.legend(loc="upper center", ncols=2)
    right.axhline(0.0, color=BLACK, lw=1.0)
    right.set(xlabel="lag (cycles)", ylabel="correlation", title="innovations at a point")
    for ax in (left, middle, right):
        ax.grid(True)
    handles, labels = left.get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper center", ncols=4)
    return made
