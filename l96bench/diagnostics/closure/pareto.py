"""Skill against cost, and the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from l96bench.diagnostics.closure.points import (
    Point,
    axes_beside_names,
    draw_points,
    highlighted,
    number_points,
    ranked_points,
    with_interval,
)
from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import GREY
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic
from l96bench.results.record import Result


def skill_and_cost(results: Results, task: str) -> list[Point]:
    """Return cost of a call, in steps of the truth's kernel, and score, of every row of a task with a measured cost."""

    def cost_of(row: Result) -> tuple[float, float, float] | None:
        cost = row.cost.kernel_steps_per_call
        return (cost, cost, cost) if cost is not None and cost > 0 else None

    return ranked_points(results, task, cost_of)


def pareto_front(cost: ArrayLike, score: ArrayLike) -> NDArray[np.bool_]:
    """Return which points no other one beats, being at least as cheap and as good, and better in one of them.

    Equal points are all on the front. Pareto (1896), Cours d'économie politique.
    """
    costs, scores = np.asarray(cost, dtype=np.float64), np.asarray(score, dtype=np.float64)
    no_dearer, no_worse = costs[None] <= costs[:, None], scores[None] >= scores[:, None]
    better = (costs[None] < costs[:, None]) | (scores[None] > scores[:, None])
    return np.asarray(~(no_dearer & no_worse & better).any(axis=1))


@register_diagnostic("pareto", "Skill against cost", kind="closure", order=120)
def pareto(subject: ClosureSubject, results: Results) -> Section:
    """Show scores against the cost of a call, and the Pareto front."""
    points = skill_and_cost(results, subject.online.id)
    if not points:
        raise LeftOutError(f"no result of {subject.online.id} has a measured cost")
    front = pareto_front([point.x[0] for point in points], [point.y[0] for point in points])
    caption = (
        f"Score on {subject.online.id} against the cost of one call of the closure for one state, in steps of the "
        "truth's kernel (measured in a batch of 100; from the result files). No entry beats one on the front in "
        f"both. {highlighted(points, subject.entry.name)}"
    )
    table = [
        (str(i), point.name, f"{point.x[0]:.3g}", with_interval(point.y), "yes" if on else "")
        for i, (point, on) in enumerate(zip(points, front, strict=True), 1)
    ]
    header = ("", "entry", "cost (kernel steps)", "score", "on the front")
    return Section(caption, header, table, draw(points, subject.entry.name))


def draw(points: Sequence[Point], name: str) -> Figure:
    """Draw score against the cost of a call on a logarithmic axis, with the Pareto front."""
    made, ax = axes_beside_names(points, name)
    front = pareto_front([point.x[0] for point in points], [point.y[0] for point in points])
    best = sorted((point.x[0], point.y[0]) for point, on in zip(points, front, strict=True) if on)
    ax.step([x for x, _ in best], [y for _, y in best], where="post", color=GREY, lw=1.5, ls="--", label="Pareto front")
    draw_points(ax, points, name)
    ax.set(xlabel="cost of a call for one state (steps of the reference kernel)", ylabel="score", xscale="log")
    ax.margins(x=0.06, y=0.08)
    number_points(made, ax, points)
    return made
