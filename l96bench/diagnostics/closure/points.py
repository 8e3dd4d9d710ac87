"""Entries as numbered points: offline against online scores, and scores against cost with the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import BLACK, BLUE, GREY, VERMILION, figure, plain
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic
from l96bench.results.record import Result

_MARKS = {
    **{"constant": "x", "polynomial": "o", "stochastic": "D"},
    **{"network": "s", "trees": "^", "reinforcement learning": "P"},
}
_PER_COLUMN = 24
"""Names in one column beside a picture."""

Interval = tuple[float, float, float]
"""Estimate, low, high."""


@dataclass(frozen=True, slots=True)
class Point:
    """An entry as a point in a plane, with the interval of each coordinate."""

    name: str
    kind: str
    x: Interval
    y: Interval


def skill_and_cost(results: Results, task: str) -> list[Point]:
    """Return cost of a call, in steps of the truth's kernel, and score, of every row of a task with a measured cost."""

    def cost_of(row: Result) -> Interval | None:
        cost = row.cost.kernel_steps_per_call
        return (cost, cost, cost) if cost is not None and cost > 0 else None

    return _ranked(results, task, cost_of)


def offline_online(results: Results, offline: str, online: str) -> list[Point]:
    """Return the scores of every entry that has a row of both tasks, the best one online first."""
    alone = {row.model.name: _score(row) for row in results if row.task == offline}
    return _ranked(results, online, lambda row: alone.get(row.model.name))


def _ranked(results: Results, task: str, x_of: Callable[[Result], Interval | None]) -> list[Point]:
    """Return every row of a task that competes as a point, the best first; rows without an x are left out."""
    rows = [(row, x_of(row)) for row in results if row.task == task and row.competes]
    found = [Point(row.model.name, row.model.kind, x, _score(row)) for row, x in rows if x is not None]
    return sorted(found, key=lambda point: -point.y[0])


def _score(result: Result) -> Interval:
    return result.score.value, result.score.low, result.score.high


def pareto_front(cost: ArrayLike, score: ArrayLike) -> NDArray[np.bool_]:
    """Return a mask of the Pareto front: no other point is at least as cheap and as good, and better in one."""
    costs, scores = np.asarray(cost, dtype=np.float64), np.asarray(score, dtype=np.float64)
    no_dearer, no_worse = costs[None] <= costs[:, None], scores[None] >= scores[:, None]
    better = (costs[None] < costs[:, None]) | (scores[None] > scores[:, None])
    return np.asarray(~(no_dearer & no_worse & better).any(axis=1))


@register_diagnostic("pareto", "Skill against cost", kind="closure", order=120)
def pareto(subject: ClosureSubject, results: Results) -> Section:
    """Show scores against the cost of a call, and the Pareto front."""
    task, name = subject.online.id, subject.entry.name
    points = skill_and_cost(results, task)
    if not points:
        raise LeftOutError(f"no result of {task} has a measured cost")
    front = pareto_front([point.x[0] for point in points], [point.y[0] for point in points])
    caption = (
        f"Score on {task} against the cost of one call of the closure for one state, in steps of the "
        "truth's kernel (measured in a batch of 100; from the result files). No entry beats one on the front in "
        f"both. {_highlighted(points, name)}"
    )
    table = [
        (str(i), point.name, f"{point.x[0]:.3g}", _text(point.y), "yes" if on else "")
        for i, (point, on) in enumerate(zip(points, front, strict=True), 1)
    ]
    best = sorted((point.x[0], point.y[0]) for point, on in zip(points, front, strict=True) if on)

    def axes(ax: Axes) -> None:
        ax.step(*zip(*best, strict=True), where="post", color=GREY, lw=1.5, ls="--", label="Pareto front")
        ax.set(xlabel="cost of a call for one state (steps of the reference kernel)", ylabel="score", xscale="log")
        ax.margins(x=0.06, y=0.08)

    header = ("", "entry", "cost (kernel steps)", "score", "on the front")
    return Section(caption, header, table, _draw(points, name, axes))


@register_diagnostic("scatter", "Offline against online", kind="closure", order=110)
def scatter(subject: ClosureSubject, results: Results) -> Section:
    """Show offline against online scores of all entries."""
    offline, online, name = subject.offline.id, subject.online.id, subject.entry.name
    points = offline_online(results, offline, online)
    if not points:
        raise LeftOutError(f"no entry has results of both {offline} and {online}")
    # Those far below would press all others together.
    in_view = [point for point in points if point.x[0] >= 60.0 and point.y[0] >= 50.0]
    caption = (
        f"Every entry that has rows of both {offline} and {online} in the result files, "
        "with 95 % intervals, numbered by its online score. Offline skill does not imply online skill: what lies "
        f"above its neighbours does better coupled than alone. {_highlighted(points, name)} "
        f"{len(points) - len(in_view)} of {len(points)} are outside of the picture, below 60 offline or 50 online."
    )
    table = [(str(i), point.name, _text(point.x), _text(point.y)) for i, point in enumerate(points, 1)]

    def axes(ax: Axes) -> None:
        ax.set(xlabel="offline score (subgrid-forcing)", ylabel="online score (online-rollout)")
        xs, ys = zip(*((point.x[0], point.y[0]) for point in in_view or points), strict=True)
        ax.set(xlim=(min(xs) - 1.5, max(xs) + 1.5), ylim=(min(ys) - 2.5, max(ys) + 2.5))

    return Section(caption, ("", "entry", "offline score", "online score"), table, _draw(points, name, axes))


def _highlighted(points: Sequence[Point], name: str) -> str:
    """Return which point is the entry's, in words."""
    known = any(point.name == name for point in points)
    return f"{name} is the coloured point." if known else f"{name} has no row yet; `l96bench run` makes one."


def _text(value: Interval) -> str:
    """Return an estimate with its interval, such as ``84.01 [82.20, 85.80]``."""
    return f"{value[0]:.2f} [{value[1]:.2f}, {value[2]:.2f}]"


def _draw(points: Sequence[Point], name: str, axes: Callable[[Axes], None]) -> Figure:
    """Draw points with intervals, shaped by the kind of method, and names beside them; `axes` labels the axes."""
    columns = -(-len(points) // _PER_COLUMN)
    made = figure(8.0 + 2.6 * columns, 5.0)
    ax, *beside = made.subplots(1, 1 + columns, width_ratios=(8.0, *(2.6 for _ in range(columns))))
    for number, point in enumerate(points, 1):
        column, row = divmod(number - 1, _PER_COLUMN)
        color, weight = (VERMILION, "bold") if point.name == name else (BLACK, "normal")
        label = f"{number:2d}  {plain(point.name, 32)}"
        beside[column].text(0.0, 1.0 - row / _PER_COLUMN, label, va="top", fontsize=9, color=color, weight=weight)
    for each in beside:
        each.set_axis_off()
    ax.grid(True)
    axes(ax)
    for point in points:
        xerr, yerr = ([[at - low], [high - at]] for at, low, high in (point.x, point.y))
        color, size, zorder = (VERMILION, 9, 3) if point.name == name else (BLUE, 7, 2)
        look: dict[str, Any] = {"fmt": _MARKS.get(point.kind, "v"), "color": color, "ms": size, "zorder": zorder}
        ax.errorbar(point.x[0], point.y[0], xerr=xerr, yerr=yerr, ecolor=GREY, elinewidth=1, **look)
    for kind in sorted({point.kind if point.kind in _MARKS else "other" for point in points}):
        ax.plot([], [], ls="", marker=_MARKS.get(kind, "v"), color=BLUE, ms=7, label=plain(kind))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
    _number(made, ax, points)
    return made


def _number(made: Figure, ax: Axes, points: Sequence[Point]) -> None:
    """Write the number of each point at whichever place around it has least else near it."""
    made.draw_without_rendering()  # the layout must stand before distances can be measured
    places = ax.transData.transform([(point.x[0], point.y[0]) for point in points])
    scale = made.dpi / 72.0
    taken = list(places)
    around = [(np.cos(angle), np.sin(angle)) for angle in np.linspace(0.25 * np.pi, 2.25 * np.pi, 8, endpoint=False)]
    offsets = [(reach * x, reach * y) for reach in (11.0, 20.0) for x, y in around]
    look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "ha": "center", "va": "center"}
    for number, (point, place) in enumerate(zip(points, places, strict=True), 1):
        if ax.bbox.contains(*place):
            free = [min(np.hypot(*(place + scale * np.array(offset) - other)) for other in taken) for offset in offsets]
            offset = offsets[int(np.argmax(np.minimum(free, 10.0 * scale)))]
            taken.append(place + scale * np.array(offset))
            ax.annotate(str(number), (point.x[0], point.y[0]), offset, **look)
