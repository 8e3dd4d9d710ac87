"""Show errors of background and analysis against time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from l96bench.assimilation.record import Cycled
from l96bench.assimilation.statistics import spread_error_ratio
from l96bench.diagnostics.assimilation.subject import AssimilationSubject
from l96bench.diagnostics.figures import BLUE, LOOKS, SKY, Array, figure, legend_above
from l96bench.diagnostics.registry import Results, Section, register_diagnostic

_SHORT = 10
"""Consecutive cycles over which errors are averaged in curves against time."""


def blocked_rmse(rmse: Array, length: int = _SHORT) -> Array:
    """Return RMSE pooled over segments and blocks of consecutive cycles, (block,), from RMSE (segment, cycle).

    Cycles at the end that fill no block are dropped.
    """
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
        ratio = spread_error_ratio(run)
        diverged = f"{run.n_diverged} of {len(run.diverged)}"
        table.append((name, *(f"{each:.3f}" for each in errors), f"{ratio:.2f}", f"{own.inflation:g}", diverged))
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
    return Section(caption, header, table, draw(subject.runs))


def draw(runs: Mapping[str, Cycled]) -> Figure:
    """Draw the error of background and analysis against time, the model's first, and by segment."""
    made = figure(11, 4.4)
    left, right = made.subplots(1, 2, width_ratios=(2.4, 1.0), sharey=True)
    for (name, run), (color, dashes) in zip(runs.items(), LOOKS, strict=False):
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
    legend_above(made, left, 4)
    return made
