"""Show the entry among all rows of its task."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from l96bench.diagnostics.figures import BLUE, GREY, VERMILION, figure, plain
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic
from l96bench.diagnostics.subject import Subject
from l96bench.errors import ResultError
from l96bench.metrics.glossary import Metric, find_metric
from l96bench.results.combine import paired
from l96bench.results.origin import Origin
from l96bench.results.record import Result
from l96bench.results.score import Score, Value


def row_of(results: Results, task: str, name: str) -> Result | None:
    """Return the row of an entry on a task; None if there is none."""
    return next((each for each in results if each.task == task and each.model.name == name), None)


@register_diagnostic("standing", "Where it stands", order=900)
def standing(subject: Subject, results: Results) -> Section:
    """Show the entry's row with every number in it, and its score among those of the others."""
    task, name = subject.tasks[-1].id, subject.entry.name
    row = row_of(results, task, name)
    if row is None:
        raise LeftOutError(f"{name} has no row of {task} yet; `l96bench run` makes one")
    failures = row.failures
    caption = (
        f"All rows of {task} in the result files with 95 % intervals, and the numbers of this one. Failures: "
        f"{failures.non_finite} not finite and {failures.diverged} diverged of {failures.of}"
        f"{f' ({failures.note})' if failures.note else ''}."
    )
    table = []
    numbers: list[tuple[str, Score | Value]] = [("score", row.score), *row.metrics.items()]
    for key, value in numbers:
        ends = "" if value.low is None or value.high is None else f"[{value.low:.4g}, {value.high:.4g}]"
        called, *told = meaning(subject.tasks[-1].glossary, key)
        table.append((called, f"{value.value:.4g}", ends, *told))
    if row.cost.training_seconds is not None:
        table.append(("training", f"{row.cost.training_seconds:.3g}", "", "s", "lower is better", "Processor time."))
    picture = draw([each for each in results if each.task == task], name)
    return Section(caption, ("number", "value", "95 %", "unit", "direction", "what it is"), table, picture)


def summary(subject: Subject, results: Results) -> Section:
    """Return what a reader wants first: a line a task with score, distance from the best, and cost; no picture."""
    table = []
    for task in subject.tasks:
        rows = [each for each in results if each.task == task.id]
        row = row_of(rows, task.id, subject.entry.name)
        if row is None:
            if subject.entry.accepts(task):
                table.append((task.id, "no row yet", "", "", "", ""))
            continue
        best = max((each for each in rows if _is_ranked(each)), key=lambda each: each.score.value, default=row)
        cost = row.cost
        table.append(
            (
                task.id,
                f"{row.score.value:.2f} [{row.score.low:.2f}, {row.score.high:.2f}]",
                str(len(row.model.seeds) or ""),
                _behind(best, row),
                "" if cost.training_seconds is None else f"{cost.training_seconds:.3g} s",
                "" if cost.microseconds_per_call is None else f"{cost.microseconds_per_call:.3g} µs",
            )
        )
    caption = (
        "Scores of the rows with 95 % intervals, by how much the best row that the board trains itself is ahead, and "
        "processor time of training a seed and of a call."
    )
    header = ("task", "score", "seeds", "behind the best", "training", "a call")
    return Section(caption, header, table, name="summary", title="Summary")


def _behind(best: Result, row: Result) -> str:
    """Return how far the best row is ahead of another, or that it was scored otherwise."""
    if best is row:
        return "is the best"
    try:
        found = paired(best, row)
    except ResultError:
        return f"cannot be compared, scored otherwise: {best.model.name}"
    told = "" if found.distinguishable else ", not told apart"
    return f"{found.difference:.2f} [{found.low:.2f}, {found.high:.2f}]{told}: {best.model.name}"


def _is_ranked(row: Result) -> bool:
    return row.competes and row.origin is Origin.TRAINED_HERE


def meaning(glossary: Sequence[Metric], key: str) -> tuple[str, str, str, str]:
    """Return title, unit, direction and definition of a number; its key alone where the family's glossary lacks it."""
    if key == "score":
        return key, "points", "higher is better", "0 is the task's floor, 100 its ceiling."
    found = find_metric(glossary, key)
    return (key, "", "", "") if found is None else (found.title, found.unit, found.direction, found.definition)


def draw(results: Results, name: str) -> Figure:
    """Draw scores and intervals of rows, the best one first, the entry's in colour; scores below 0 are drawn at 0."""
    ranked = sorted(results, key=lambda row: -row.score.value)
    made = figure(9.0, 1.2 + 0.25 * len(ranked))
    ax = made.subplots()
    ax.set_yticks(range(len(ranked)), [plain(row.model.name, 40) for row in ranked])
    for place, (row, label) in enumerate(zip(ranked, ax.get_yticklabels(), strict=True)):
        color, size = (VERMILION, 8) if row.model.name == name else (BLUE, 6)
        value, low, high = (max(0.0, each) for each in (row.score.value, row.score.low, row.score.high))
        ax.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color=color, ecolor=GREY, ms=size)
        if row.model.name == name:
            label.set(color=VERMILION, weight="bold")
    ax.set(xlabel="score (100 is the ceiling)", xlim=(-2, 103), ylim=(len(ranked) - 0.5, -0.5))
    ax.grid(True)
    return made
