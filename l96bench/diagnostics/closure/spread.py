"""Show spread against error, and rank histograms with a calibrated envelope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from l96bench.diagnostics.closure.skill import LEADS, Curve, interval_text, nearest_lead, skill_by_lead
from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import BLACK, BLUE, GREY, SKY, Array, band, figure
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic
from l96bench.metrics import ensemble


@dataclass(frozen=True, slots=True)
class RankHistogram:
    """Count of each rank of the truth (member + 1,), its expected count, and joint 95 % bounds if reliable."""

    counts: Array
    expected: float
    low: Array
    high: Array

    @property
    def outside(self) -> int:
        """The number of ranks outside of the envelope; any is evidence against reliability at the level of 5 %."""
        return int(((self.counts < self.low) | (self.counts > self.high)).sum())


def rank_histogram(
    truth: Array, forecast: Array, rng: np.random.Generator, n_replicates: int = 1000, level: float = 0.95
) -> RankHistogram:
    """Return the rank histogram (Hamill 2001, doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2) with its envelope.

    For a reliable ensemble the truth and the members are exchangeable, so each replicate lets a random one of them
    play the truth, case by case: points and leads of a case stay together, and their dependence is in the envelope,
    which a binomial one would miss. The half-width at each rank is its standard deviation over replicates, times one
    factor for all ranks such that a share of `level` of the replicates stays inside everywhere. The truth is
    (lead, case, K), the forecast (lead, case, member, K) with at least 2 members.
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


@register_diagnostic("spread", "Spread, error and ranks", kind="closure", order=40)
def spread(subject: ClosureSubject, results: Results) -> Section:
    """Show spread against error and rank histograms; left out for deterministic closures."""
    if subject.forecasts.X.shape[2] == 1:
        raise LeftOutError("the closure is deterministic, so that a forecast is one member and has no spread")
    task, mean = subject.online, subject.climatology[0]
    truth, leads = task.forecast_truth, task.cases.leads
    own, perfect = (skill_by_lead(truth, run, mean, subject.case_weights) for run in (subject.forecasts, task.perfect))
    rng = subject.rng("diagnostics ranks")
    ranks, table = {}, []
    for lead in LEADS:
        i = nearest_lead(leads, lead)
        found = rank_histogram(truth[i : i + 1], subject.forecasts.X[i : i + 1], rng)
        if lead != LEADS[1]:
            ranks[float(leads[i])] = found
        ratio = own["spread"].value[i] / own["rmse"].value[i]
        cells = [interval_text(own[key], i) for key in ("spread", "rmse")]
        table.append((f"{leads[i]:g}", *cells, f"{ratio:.2f}", f"{found.outside} of {len(found.counts)}"))
    caption = (
        "Left: spread of the ensemble (with the factor of Fortin et al. 2014) and error of its mean; a reliable "
        "ensemble has both alike. Right: how often the truth takes each rank among the members, over what is "
        "expected. The band holds a reliable ensemble at all ranks at once with probability 95 %: in each of "
        "1,000 replicates a random member of each case plays the truth, so that the dependence of points is in "
        "it. A U shape is too little spread."
    )
    header = ("lead (MTU)", "spread", "error", "spread / error", "ranks outside the band")
    return Section(caption, header, table, draw(leads, own, perfect, ranks))


def draw(
    leads: Array, own: Mapping[str, Curve], perfect: Mapping[str, Curve], ranks: Mapping[float, RankHistogram]
) -> Figure:
    """Draw spread and error of the ensemble mean against lead, and the rank histogram at some leads (in MTU)."""
    made = figure(11, 3.7)
    first, *others = made.subplots(1, 1 + len(ranks), width_ratios=(1.3, *(1.0 for _ in ranks)))
    for curves, color, name in ((own, BLUE, "model"), (perfect, GREY, "perfect physics")):
        band(first, leads, curves["rmse"], color=color, label=f"error, {name}")
        band(first, leads, curves["spread"], color=color, label=f"spread, {name}", dashes="--")
    first.set(xlabel="lead (MTU)", ylabel="units of X", xlim=(0, leads[-1]), title="spread and error")
    first.set_ylim(bottom=0)
    first.legend(loc="lower right")
    first.grid(True)
    for ax, (lead, histogram) in zip(others, ranks.items(), strict=True):
        edges = np.arange(len(histogram.counts) + 1) + 0.5
        counts, high, low = (each / histogram.expected for each in (histogram.counts, histogram.high, histogram.low))
        ax.bar(edges[1:] - 0.5, counts, width=0.8, color=SKY)
        for ends, label in ((high, "reliable, 95 %"), (low, None)):
            ax.stairs(ends, edges, baseline=None, color=BLACK, ls="--", label=label)
        ax.set(xlabel="rank of the truth", ylabel="count / expected", title=f"ranks at {lead:g} MTU")
        ax.set_ylim(0, 1.25 * float(max(counts.max(), high.max())))
        ax.legend(loc="upper center")
    return made
