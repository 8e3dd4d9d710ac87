"""The entry among all rows of its task."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from l96bench.diagnostics.figures import BLUE, GREY, VERMILION, figure, plain
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic
from l96bench.diagnostics.subject import Subject
from l96bench.results.record import Result


def row_of(results: Results, task: str, name: str) -> Result | None:
    """Return the row of an entry on a task; None if there is none."""
    return next((each for each in results if each.task == task and each.model.name == name), None)


def scores(results: Results, task: str) -> list[tuple[str, tuple[float, float, float]]]:
    """Return name and score, with its interval, of every row of a task, the best one first."""
    rows = [
        (each.model.name, (each.score.value, each.score.low, each.score.high)) for each in results if each.task == task
    ]
    return sorted(rows, key=lambda row: -row[1][0])


@register_diagnostic("standing", "Where it stands", order=900)
def standing(subject: Subject, results: Results) -> Section:
    """Show the entry's row with every number in it, and its score among those of the others."""
    task, name = subject.tasks[-1].id, subject.entry.name
    row = row_of(results, task, name)
    if row is None:
        raise LeftOutError(f"{name} has no row of {task} yet; `l96bench run` makes one")
    ranked = scores(results, task)
    failures = row.failures
    caption = (
        f"All rows of {task} in the result files with 95 % intervals, and the numbers of this one. Failures: "
        f"{failures.non_finite} not finite and {failures.diverged} diverged of {failures.of}"
        f"{f' ({failures.note})' if failures.note else ''}."
    )
    table = [("score", f"{row.score.value:.4g}", f"[{row.score.low:.4g}, {row.score.high:.4g}]")]
    for key, value in row.metrics.items():
        ends = "" if value.low is None or value.high is None else f"[{value.low:.4g}, {value.high:.4g}]"
        table.append((key, f"{value.value:.4g}", ends))
    if row.cost.training_seconds is not None:
        table.append(("training (s)", f"{row.cost.training_seconds:.3g}", ""))
    picture = draw(ranked, name)
    return Section(caption, ("number", "value", "95 %"), table, picture)


def draw(ranked: Sequence[tuple[str, tuple[float, float, float]]], name: str) -> Figure:
    """Draw score and interval of every row of `scores`, the entry's in colour; scores below 0 are drawn there."""
    made = figure(9.0, 1.2 + 0.25 * len(ranked))
    ax = made.subplots()
    for place, (other, score) in enumerate(ranked):
        color = VERMILION if other == name else BLUE
        value, low, high = (max(0.0, each) for each in score)
        bars = [[value - low], [high - value]]
        ax.errorbar(value, place, xerr=bars, fmt="o", color=color, ecolor=GREY, ms=8 if other == name else 6)
    ax.set_yticks(range(len(ranked)), [plain(other, 40) for other, _ in ranked])
    for label, (other, _) in zip(ax.get_yticklabels(), ranked, strict=True):
        if other == name:
            label.set(color=VERMILION, weight="bold")
    ax.set(xlabel="score (100 is the ceiling)", xlim=(-2, 103), ylim=(len(ranked) - 0.5, -0.5))
    ax.grid(True)
    return made
