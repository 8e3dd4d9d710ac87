"""Offline against online scores of all entries."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from l96bench.diagnostics.closure.points import (
    Point,
    axes_beside_names,
    draw_points,
    highlighted,
    number_points,
    ranked_points,
    score_of,
    with_interval,
)
from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic


def offline_online(results: Results, offline: str, online: str) -> list[Point]:
    """Return the scores of every entry that has a row of both tasks, the best one online first."""
    alone = {row.model.name: score_of(row) for row in results if row.task == offline}
    return ranked_points(results, online, lambda row: alone.get(row.model.name))


@register_diagnostic("scatter", "Offline against online", kind="closure", order=110)
def scatter(subject: ClosureSubject, results: Results) -> Section:
    """Show offline against online scores of all entries."""
    points = offline_online(results, subject.offline.id, subject.online.id)
    if not points:
        raise LeftOutError(f"no entry has results of both {subject.offline.id} and {subject.online.id}")
    outside = sum(not in_view(point) for point in points)
    caption = (
        f"Every entry that has rows of both {subject.offline.id} and {subject.online.id} in the result files, "
        "with 95 % intervals, numbered by its online score. Offline skill does not imply online skill: what lies "
        f"above its neighbours does better coupled than alone. {highlighted(points, subject.entry.name)} {outside} of "
        f"{len(points)} are outside of the picture, below 60 offline or 50 online."
    )
    table = [(str(i), point.name, with_interval(point.x), with_interval(point.y)) for i, point in enumerate(points, 1)]
    picture = draw(points, subject.entry.name)
    return Section(caption, ("", "entry", "offline score", "online score"), table, picture)


def in_view(point: Point) -> bool:
    """Return whether the picture shows the point: those far below would press all others together."""
    return point.x[0] >= 60.0 and point.y[0] >= 50.0


def draw(points: Sequence[Point], name: str) -> Figure:
    """Draw offline against online score of every entry, numbered by rank online; see `in_view`."""
    made, ax = axes_beside_names(points, name)
    draw_points(ax, points, name)
    ax.set(xlabel="offline score (subgrid-forcing)", ylabel="online score (online-rollout)")
    shown = [point for point in points if in_view(point)] or points
    xs, ys = ([point.x[0] for point in shown], [point.y[0] for point in shown])
    ax.set_xlim(min(xs) - 1.5, max(xs) + 1.5)
    ax.set_ylim(min(ys) - 2.5, max(ys) + 2.5)
    number_points(made, ax, points)
    return made
