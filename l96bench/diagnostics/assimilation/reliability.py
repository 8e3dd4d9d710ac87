"""Show errors of background and analysis, and spread and ranks of the cycled ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from l96bench.assimilation.record import Cycled
from l96bench.assimilation.statistics import spread_error_ratio
from l96bench.diagnostics.assimilation.subject import AssimilationSubject
from l96bench.diagnostics.figures import BLACK, BLUE, GREY, LOOKS, SKY, Array, figure, legend_above
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.metrics.uncertainty import interval

BLOCK = 40
"""Consecutive cycles that are resampled together, as in the score."""
_SHORT = 10
"""Consecutive cycles over which errors are averaged in curves against time."""


def blocked_rmse(rmse: Array, length: int = _SHORT) -> Array:
    """Return RMSE pooled over segments and full blocks of cycles, (block,), from RMSE (segment, cycle)."""
    n = rmse.shape[1] // length
    squares = np.square(rmse[:, : n * length]).reshape(len(rmse), n, length)
    return np.asarray(np.sqrt(squares.mean(axis=(0, 2))), dtype=np.float64)


@register_diagnostic("cycles", "Errors of background and analysis", kind="increment", order=10)
def cycles(subject: AssimilationSubject, results: Results) -> Section:
    """Show errors of background and analysis against time, beside no correction and the perfect model."""
    table = []
    for name, own in subject.cycles.items():
        run = own.run
        errors = [np.sqrt(np.mean(np.square(rmse))) for rmse in (run.background_rmse, run.analysis_rmse)]
        cells = [*(f"{each:.3f}" for each in errors), f"{spread_error_ratio(run):.2f}", f"{own.inflation:g}"]
        table.append((name, *cells, f"{run.n_diverged} of {len(run.diverged)}"))
    track = subject.task.track
    segments, n_cycles, _ = subject.runs["model"].truth.shape
    caption = (
        f"The filter cycled over {segments} test segments of {n_cycles} windows of {track.window:g} MTU, with the "
        "entry, without correction (0 points) and with the two-scale model (100 points), each with the inflation that "
        "is best on the validation segment. Left: errors of the ensemble mean, pooled over segments and 10 windows. "
        "Right: the same by segment. From a divergence on the error is the climatological standard deviation. Spread / "
        "error is that of the background, 1 for a reliable ensemble."
    )
    header = ("run", "background RMSE", "analysis RMSE", "spread / error", "inflation", "diverged segments")
    return Section(caption, header, table, _draw_errors(subject.runs))


def _draw_errors(runs: Mapping[str, Cycled]) -> Figure:
    """Draw the error of background and analysis against time, the model's first, and by segment."""
    made = figure(11, 4.4)
    left, right = made.subplots(1, 2, width_ratios=(2.4, 1.0), sharey=True)
    for (name, run), (color, dashes) in zip(runs.items(), LOOKS, strict=False):
        background = blocked_rmse(run.background_rmse)
        time = (run.time[1] - run.time[0]) * (_SHORT * (np.arange(len(background)) + 0.5))
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
    legend_above(made, left, 4)
    return made


def binned_spread(run: Cycled, n_bins: int = 10) -> tuple[Array, Array]:
    """Return background spread and RMSE (bin,) in equal-count bins (Fortin et al. 2014, J. Hydrometeorol. 15, 1708)."""
    kept = np.isfinite(run.background_spread)
    spread = np.sqrt((run.n_members + 1) / run.n_members) * run.background_spread[kept]
    error = (run.background_mean - run.truth)[kept]
    bins = np.array_split(np.argsort(spread, kind="stable"), n_bins)
    pooled = [[np.sqrt(np.mean(np.square(values[own]))) for own in bins] for values in (spread, error)]
    return np.array(pooled[0]), np.array(pooled[1])


@dataclass(frozen=True, slots=True)
class Ranks:
    """Frequency of each rank of the truth among the members, over what is expected, with an interval; (rank,)."""

    share: Array
    low: Array
    high: Array

    @property
    def away(self) -> int:
        """The number of ranks whose interval does not hold 1."""
        return int(((self.low > 1.0) | (self.high < 1.0)).sum())


def ranks(run: Cycled, weights: Array) -> Ranks:
    """Return the rank histogram (Hamill 2001, Mon. Wea. Rev. 129, 550-560) with 95 % block-bootstrap intervals."""
    n_ranks = run.n_members + 1
    blocks = run.ranks.reshape(weights.shape[1], -1)
    counts = np.stack([(blocks == rank).sum(axis=1) for rank in range(n_ranks)], axis=1)
    drawn = weights @ counts
    drawn = drawn * n_ranks / drawn.sum(axis=1, keepdims=True)
    share = counts.sum(axis=0) * n_ranks / counts.sum()
    low, high = np.array([interval(column) for column in drawn.T]).T
    return Ranks(share, np.minimum(low, share), np.maximum(high, share))


@register_diagnostic("reliability", "Spread, error and ranks of the cycled ensemble", kind="increment", order=20)
def reliability(subject: AssimilationSubject, results: Results) -> Section:
    """Show spread against error, and the rank histogram, of the cycled ensemble."""
    runs = subject.runs
    n_blocks = runs["model"].truth.shape[0] * runs["model"].truth.shape[1] // BLOCK
    weights = subject.task.weights(n_blocks, "cycles")
    table, own = [], None
    for name, run in runs.items():
        found = ranks(run, weights)
        own = found if own is None else own
        spread, error = binned_spread(run)
        slope = float(np.polyfit(spread, error, 1)[0])
        cells = [f"{spread_error_ratio(run):.2f}", f"{slope:.2f}", f"{found.share[0]:.2f}, {found.share[-1]:.2f}"]
        table.append((name, *cells, f"{found.away} of {len(found.share)}"))
    assert own is not None
    caption = (
        "Left: error of the background mean in ten bins of the ensemble's spread that hold equally many points and "
        "cycles; a reliable ensemble lies on the diagonal, and one that knows when it is sure has a slope. The spread "
        "has the factor of Fortin et al. (2014). Right: how often the truth takes each rank among the members, over "
        f"what is expected, with 95 % intervals of the bootstrap over blocks of {BLOCK} cycles. A U shape "
        "is too little spread, a dome too much, a slope a bias."
    )
    header = ("run", "spread / error", "slope", "outermost ranks", "ranks away from 1")
    return Section(caption, header, table, _draw_ranks(runs, own, "model"))


def _draw_ranks(runs: Mapping[str, Cycled], histogram: Ranks, name: str) -> Figure:
    """Draw RMSE in bins of the spread for every run, and the rank histogram of the model called `name`."""
    made = figure(11, 4.2)
    left, right = made.subplots(1, 2, width_ratios=(1.0, 1.4))
    reach = 0.0
    for (own, run), (color, dashes) in zip(runs.items(), LOOKS, strict=False):
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
