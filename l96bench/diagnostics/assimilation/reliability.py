"""Show spread, error and ranks of the cycled ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from l96bench.assimilation.record import Cycled
from l96bench.assimilation.statistics import spread_error_ratio
from l96bench.diagnostics.assimilation.subject import AssimilationSubject
from l96bench.diagnostics.figures import BLACK, GREY, LOOKS, SKY, Array, figure
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.metrics.uncertainty import interval

BLOCK = 40
"""Consecutive cycles that are resampled together, as in the score."""


def binned_spread(run: Cycled, n_bins: int = 10) -> tuple[Array, Array]:
    """Return spread and RMSE of the background, each (bin,), in bins of the spread that hold equally many.

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
    """How often the truth takes each rank among the members, over what is expected, with an interval; (rank,)."""

    share: Array
    low: Array
    high: Array

    @property
    def away(self) -> int:
        """The number of ranks whose interval does not hold 1."""
        return int(((self.low > 1.0) | (self.high < 1.0)).sum())


def ranks(run: Cycled, weights: Array) -> Ranks:
    """Return the rank histogram (Hamill 2001, Mon. Wea. Rev. 129, 550-560) with 95 % intervals.

    Neighbouring cycles and points depend on each other: the weights (replicate, block) say how often each bootstrap
    replicate holds each block of `BLOCK` cycles of a segment.
    """
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
        ends = f"{found.share[0]:.2f}, {found.share[-1]:.2f}"
        ratio = f"{spread_error_ratio(run):.2f}"
        table.append((name, ratio, f"{slope:.2f}", ends, f"{found.away} of {len(found.share)}"))
    assert own is not None
    caption = (
        "Left: error of the background mean in ten bins of the ensemble's spread that hold equally many points and "
        "cycles; a reliable ensemble lies on the diagonal, and one that knows when it is sure has a slope. The spread "
        "has the factor of Fortin et al. (2014). Right: how often the truth takes each rank among the members, over "
        f"what is expected, with 95 % intervals of the bootstrap over blocks of {BLOCK} cycles. A U shape "
        "is too little spread, a dome too much, a slope a bias."
    )
    header = ("run", "spread / error", "slope", "outermost ranks", "ranks away from 1")
    return Section(caption, header, table, draw(runs, own, "model"))


def draw(runs: Mapping[str, Cycled], histogram: Ranks, name: str) -> Figure:
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
