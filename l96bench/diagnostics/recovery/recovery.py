"""Show recovery against noise and budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from l96bench.diagnostics.figures import BLUE, GREEN, GREY, MARKS, VERMILION, Array, figure, legend_above
from l96bench.diagnostics.recovery.subject import RecoverySubject
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.diagnostics.standing import row_of
from l96bench.results.record import Result
from l96bench.tasks.recovery_problems import percent

METRICS: Mapping[str, str] = {
    "f1": "F1 of the terms",
    "operator_residual": "operator residual",
    "coefficient_error": "coefficient error",
    "valid_prediction_time": "valid time",
}
"""The metrics of rows for each noise and budget, and their labels."""
_FLOOR = 1e-5
"""Smaller errors are drawn at this value on logarithmic axes."""


def grids_of(result: Result, noises: Sequence[float], budgets: Sequence[float]) -> dict[str, Array] | None:
    """Return the metrics of a row, (noise, budget) by the keys of `METRICS`; None if it lacks them."""
    values = {}
    for name in METRICS:
        rows = [result.series.get(f"{name}_noise_{percent(noise)}", []) for noise in noises]
        if any(len(row) != len(budgets) for row in rows):
            return None
        values[name] = np.array(rows, dtype=np.float64)
    return values


@register_diagnostic("recovery", "Recovery against noise and budget", kind="equations", order=30)
def recovery(subject: RecoverySubject, results: Results) -> Section:
    """Show scores against noise and budget: of the row on the board, or without one of the instance that was run."""
    task, row = subject.task, row_of(results, subject.task.id, subject.entry.name)
    track = task.track
    grids = None if row is None else grids_of(row, track.noises, track.budgets)
    if row is not None and grids is not None:
        lost, of, note = row.failures.non_finite, row.failures.of, row.failures.note
        origin = f"The row of {subject.entry.name} on {task.id}: means over {len(task.instances)} instances, medians of"
        origin += " the coefficient error."
    else:
        shape = (len(track.noises), len(track.budgets))
        grids = {name: np.array([getattr(each, name) for each in subject.scores]).reshape(shape) for name in METRICS}
        faults = Counter(each.fault for each in subject.scores if each.fault)
        lost, of, note = sum(faults.values()), len(subject.scores), ", ".join(f"{n} {f}" for f, n in faults.items())
        origin = f"Instance {subject.instance.index} alone: {subject.entry.name} has no row on {task.id} yet."
    clock = "MTU" if subject.instance.J else "Lyapunov times"
    table = [
        (f"{100 * noise:g} %", f"{budget:g}", *(f"{grids[name][i, j]:.4g}" for name in METRICS))
        for i, noise in enumerate(track.noises)
        for j, budget in enumerate(track.budgets)
    ]
    caption = (
        f"{origin} Errors below 1e-5 are drawn there; 1 is what no equation has. "
        f"Without equations: {lost} of {of}{f' ({note})' if lost else ''}; such a problem scores 0, with errors of 1."
    )
    header = ("noise", "budget (MTU)", *METRICS.values())
    return Section(caption, header, table, draw(grids, track.noises, track.budgets, clock))


def draw(grids: Mapping[str, Array], noises: Sequence[float], budgets: Sequence[float], clock: str) -> Figure:
    """Draw four metrics against the noise, a line for each budget; `clock` is the unit of the prediction time."""
    made = figure(11, 6.4)
    axes = made.subplots(2, 2, sharex=True)
    percents = 100.0 * np.array(noises)
    for ax, (name, label) in zip(axes.flat, METRICS.items(), strict=True):
        logarithmic = name in ("operator_residual", "coefficient_error")
        for i, budget in enumerate(budgets):
            values = np.maximum(grids[name][:, i], _FLOOR) if logarithmic else grids[name][:, i]
            color, dashes = (BLUE, VERMILION, GREEN)[i % 3], ("-", "--", ":")[i % 3]
            ax.plot(percents, values, color=color, ls=dashes, marker=MARKS[i % 4], ms=6, label=f"{budget:g} MTU")
        ax.set_ylabel(f"{label} ({clock})" if name == "valid_prediction_time" else label)
        ax.grid(True)
        if logarithmic:
            ax.set_yscale("log")
            ax.axhline(1.0, color=GREY, lw=1.0, ls=":")
        elif name == "f1":
            ax.set_ylim(-0.03, 1.05)
        else:
            ax.set_ylim(bottom=0)
    for ax in axes[1]:
        ax.set_xlabel("observation noise (% of the std)")
        ax.set_xticks(percents)
    legend_above(made, axes[0, 0], len(budgets), title="length of the trajectory")
    return made
