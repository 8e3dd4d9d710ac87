"""Show innovations: their distribution, variances and correlation in time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from l96bench.assimilation.record import Cycled
from l96bench.assimilation.statistics import innovation_statistics
from l96bench.diagnostics.assimilation.subject import AssimilationSubject
from l96bench.diagnostics.figures import BLACK, BLUE, GREEN, GREY, LOOKS, VERMILION, Array, figure, legend_above
from l96bench.diagnostics.registry import Results, Section, register_diagnostic


def normalized_innovations(run: Cycled) -> Array:
    """Return innovations over the standard deviation that the filter expects, that of H P_b H' + R, (n,)."""
    seen = np.isfinite(run.innovations)
    spread = np.take_along_axis(run.background_spread, run.points, axis=2)[seen]
    expected = np.sqrt(spread * spread + run.observation_std[seen] ** 2)
    return np.asarray(run.innovations[seen] / expected, dtype=np.float64)


def innovation_correlation(run: Cycled, n_lags: int = 10) -> Array:
    """Return the innovation correlation at lags 0 .. n_lags, mean kept (Kailath 1968, IEEE TAC 13, 646)."""
    E, C, _ = run.innovations.shape
    field = np.full((E, C, run.truth.shape[2]), np.nan)
    np.put_along_axis(field, run.points, run.innovations, axis=2)
    products = []
    for lag in range(n_lags + 1):
        pairs = field[:, lag:] * field[:, : max(C - lag, 0)]
        known = pairs[np.isfinite(pairs)]
        products.append(known.mean() if known.size else np.nan)
    return np.array(products) / products[0]


@register_diagnostic("innovations", "Innovations", kind="increment", order=30)
def innovations(subject: AssimilationSubject, results: Results) -> Section:
    """Show how the filter fits the observations, without the truth."""
    table = []
    for name, run in subject.runs.items():
        found = innovation_statistics(run)
        correlation = innovation_correlation(run)[1]
        variances = found.variance, found.expected, found.background_variance, found.observation_variance
        cells = [f"{found.bias:+.4f}", *(f"{each:.4f}" for each in variances), f"{found.ratio:.3f}"]
        table.append((name, *cells, f"{correlation:+.3f}"))
    assumed = ", ".join(f"{each:g}" for each in np.unique(np.square(subject.task.track.network.std)))
    caption = (
        "What can be seen without the truth. Left: observation minus background mean over the standard deviation that "
        "the filter expects of it. Middle: variances that the filter assumes (bars) and those that innovations and "
        f"residuals diagnose (Desroziers et al. 2005); that of the observations is {assumed}. Right: correlation of "
        "innovations at a point between cycles; those of an optimal filter are white (Kailath 1968), and what is left "
        "is error that a better model would have removed."
    )
    header = ("run", "bias", "variance", "expected", "background", "observation", "ratio", "correlation, lag 1")
    return Section(caption, header, table, draw(subject.runs))


def draw(runs: Mapping[str, Cycled]) -> Figure:
    """Draw normalized innovations, variances that the filter assumes and that the data diagnose, and whiteness."""
    made = figure(11, 4.2)
    left, middle, right = made.subplots(1, 3)
    edges = np.linspace(-4.5, 4.5, 46)
    for (name, run), (color, dashes) in zip(runs.items(), LOOKS, strict=False):
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
    kinds = {"innovation": (BLUE, "o"), "background": (VERMILION, "s"), "observation": (GREEN, "D")}
    for i, (label, (color, marker)) in enumerate(kinds.items()):
        at = places + 0.25 * (i - 1)
        middle.plot(at, [each[i] for each in diagnosed], ls="", marker=marker, color=color, ms=8)
        middle.hlines([each[i] for each in assumed], at - 0.1, at + 0.1, color=BLACK, lw=2.0)
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
    legend_above(made, left, 4)
    return made
