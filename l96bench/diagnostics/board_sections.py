"""The sections that compare entries, from the result files."""

from __future__ import annotations

from collections.abc import Sequence

from l96bench.diagnostics import rows
from l96bench.diagnostics.section import Section
from l96bench.diagnostics.subject import AnySubject, LeftOutError, Subject
from l96bench.results.record import Result

__all__ = ["learning_section", "pareto_section", "scatter_section", "standing_section"]


def learning_section(subject: Subject, results: Sequence[Result]) -> Section:
    """R² against the training budget."""
    name = subject.entry.name
    curves = rows.learning_curves(results, subject.offline.id)
    if not curves:
        raise LeftOutError(f"no result of {subject.offline.id} was refitted to smaller training budgets")
    own = [curve for curve in curves if curve.name == name]
    shown = own + [curve for curve in curves if curve.name != name][:5]
    budgets = [f"{budget:g} MTU" for budget in shown[0].budget]
    table = [(curve.name, *(f"{value:.3f}" for value in curve.value)) for curve in shown]
    missing = "" if own else f" {name} has no row with budgets; `l96bench run` makes one."
    caption = (
        f"The share of the variance of U that is left unexplained on the test data of {subject.offline.id} "
        "against the length of the training trajectory, of clones refitted to its first part; from the result "
        f"files, with 95 % intervals.{missing}"
    )
    return Section("learning", caption, ("entry", *budgets), table, rows.draw_learning(curves, name))


def scatter_section(subject: Subject, results: Sequence[Result]) -> Section:
    """Offline against online scores of all entries."""
    points = rows.offline_online(results, subject.offline.id, subject.online.id)
    if not points:
        raise LeftOutError(f"no entry has results of both {subject.offline.id} and {subject.online.id}")
    outside = sum(not rows.in_view(point) for point in points)
    caption = (
        f"Every entry that has rows of both {subject.offline.id} and {subject.online.id} in the result files, "
        "with 95 % intervals, numbered by its online score. Offline skill does not imply online skill: what lies "
        f"above its neighbours does better coupled than alone. {_where(points, subject.entry.name)} {outside} of "
        f"{len(points)} are outside of the picture, below 60 offline or 50 online."
    )
    table = [(str(i), point.name, _triple(point.x), _triple(point.y)) for i, point in enumerate(points, 1)]
    picture = rows.draw_scatter(points, subject.entry.name)
    return Section("scatter", caption, ("", "entry", "offline score", "online score"), table, picture)


def pareto_section(subject: Subject, results: Sequence[Result]) -> Section:
    """Scores against the cost of a call, and the Pareto front."""
    points = rows.skill_and_cost(results, subject.online.id)
    if not points:
        raise LeftOutError(f"no result of {subject.online.id} has a measured cost")
    front = rows.pareto_front([point.x[0] for point in points], [point.y[0] for point in points])
    caption = (
        f"Score on {subject.online.id} against the cost of one call of the closure for one state, in steps of the "
        "truth's kernel (measured in a batch of 100; from the result files). No entry beats one on the front in "
        f"both. {_where(points, subject.entry.name)}"
    )
    table = [
        (str(i), point.name, f"{point.x[0]:.3g}", _triple(point.y), "yes" if on else "")
        for i, (point, on) in enumerate(zip(points, front, strict=True), 1)
    ]
    header = ("", "entry", "cost (kernel steps)", "score", "on the front")
    return Section("pareto", caption, header, table, rows.draw_pareto(points, subject.entry.name))


def standing_section(subject: AnySubject, results: Sequence[Result]) -> Section:
    """The entry's row with every number in it, and its score among those of the others."""
    task, name = subject.tasks[-1].id, subject.entry.name
    row = rows.row_of(results, task, name)
    if row is None:
        raise LeftOutError(f"{name} has no row of {task} yet; `l96bench run` makes one")
    ranked = rows.scores(results, task)
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
    picture = rows.draw_standing(ranked, name)
    return Section("standing", caption, ("number", "value", "95 %"), table, picture)


def _where(points: Sequence[rows.Point], name: str) -> str:
    known = any(point.name == name for point in points)
    return f"{name} is the coloured point." if known else f"{name} has no row yet; `l96bench run` makes one."


def _triple(value: tuple[float, float, float]) -> str:
    return f"{value[0]:.2f} [{value[1]:.2f}, {value[2]:.2f}]"
