"""F1 and operator residual against noise and budget, as docs/recovery.png. Run by `make figures`."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

import l96bench
from l96bench.board.load import load
from l96bench.tasks.result import Result

ROOT = Path(__file__).resolve().parents[1]
TRACKS = [f"{base}{suffix}" for base in ("single", "two-scale", "hidden") for suffix in ("", "-coarse")]
STYLES = {
    "symmetric weak SINDy": ("#009E73", "o-", 2.4),
    "symmetric SINDy": ("#009E73", "s--", 1.8),
    "weak SINDy": ("#0072B2", "o-", 1.2),
    "SINDy (STLSQ)": ("#0072B2", "s--", 1.2),
    "ensemble SINDy": ("#56B4E9", "^-", 1.2),
    "SR3": ("#56B4E9", "v--", 1.2),
    "ARD regression": ("#CC79A7", "D-", 1.2),
    "Lasso": ("#CC79A7", "x--", 1.2),
    "genetic programming (pyoperon)": ("#D55E00", "o-", 1.2),
    "genetic programming (gplearn)": ("#D55E00", "s--", 1.2),
    "least squares": ("#E69F00", "x-", 1.2),
    "textbook equation": ("#666666", "-", 1.2),
    "true equations": ("#000000", ":", 1.2),
}
"""The colour, mark and width of each entry's line; others are thin and black."""
METRICS = {"f1": "F1", "operator_residual": "operator residual"}
FLOOR = 1e-5
"""Residuals below this are drawn here."""


def grid(result: Result, metric: str, noises: Iterable[float]) -> NDArray[np.float64]:
    """A metric (noise, budget), the mean over instances."""
    return np.array([result.series[f"{metric}_noise_{round(100 * noise):02d}"] for noise in noises])


def panel(ax: plt.Axes, results: Iterable[Result], metric: str, axis: int) -> None:
    """A metric of every entry of a track against the noise (axis 1 averaged) or the budget (axis 0)."""
    track = None
    for result in results:
        task = l96bench.make_task(result.task)
        assert isinstance(task, l96bench.EquationRecovery)
        track = task.track
        values = grid(result, metric, track.noises).mean(axis=axis)
        colour, mark, width = STYLES.get(result.model.name, ("black", "-", 0.8))
        values = np.maximum(values, FLOOR) if metric == "operator_residual" else values
        ax.plot(values, mark, color=colour, lw=width, ms=4, label=result.model.name)
    if track is None:
        ax.axis("off")
        return
    labels = [f"{100 * noise:g}" for noise in track.noises] if axis == 1 else [f"{each:g}" for each in track.budgets]
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlabel("noise (% of std)" if axis == 1 else "budget (MTU)")
    if metric == "f1":
        ax.set_ylim(-0.03, 1.03)
    else:
        ax.set_yscale("log")
        ax.set_ylim(FLOOR * 0.7, 10.0)
    ax.grid(alpha=0.25, lw=0.5)


def figure(results: list[Result]) -> plt.Figure:
    """A column for each track; F1 and residual, each against noise and budget."""
    order = list(STYLES)
    results = sorted(results, key=lambda each: order.index(each.model.name) if each.model.name in order else len(order))
    fig, axes = plt.subplots(4, len(TRACKS), figsize=(16, 11.5), sharey="row", layout="constrained")
    for column, track in zip(axes.T, TRACKS, strict=True):
        own = [each for each in results if each.task == f"equation-recovery/{track}-v1"]
        panels = [(metric, axis) for metric in METRICS for axis in (1, 0)]
        for ax, (metric, axis) in zip(column, panels, strict=True):
            panel(ax, own, metric, axis)
        column[0].set_title(track)
    for row, metric in zip(axes, [metric for metric in METRICS for _ in range(2)], strict=True):
        row[0].set_ylabel(METRICS[metric])
    shown = {label: line for ax in axes.flat for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    names = sorted(shown, key=lambda name: order.index(name) if name in order else len(order))
    fig.legend([shown[name] for name in names], names, loc="outside lower center", ncol=5, frameon=False)
    return fig


def main() -> None:
    """Draw docs/recovery.png from the committed results."""
    results = [each for each in load(ROOT / "leaderboard" / "results") if each.family == "equation-recovery"]
    figure(results).savefig(ROOT / "docs" / "recovery.png", dpi=85)


if __name__ == "__main__":
    main()
