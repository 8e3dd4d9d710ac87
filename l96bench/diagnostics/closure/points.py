"""Entries as numbered points in a plane, their names beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l96bench.diagnostics.figures import BLACK, BLUE, GREY, VERMILION, figure, plain
from l96bench.results.record import Result

_MARKS: Mapping[str, str] = {
    "constant": "x",
    "polynomial": "o",
    "stochastic": "D",
    "network": "s",
    "trees": "^",
    "reinforcement learning": "P",
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


def ranked_points(results: Sequence[Result], task: str, x_of: Callable[[Result], Interval | None]) -> list[Point]:
    """Return every row of a task but the references as a point, the best first; rows without an x are left out."""
    found = []
    for row in results:
        x = x_of(row) if row.task == task and row.model.kind != "reference" else None
        if x is not None:
            found.append(Point(row.model.name, row.model.kind, x, score_of(row)))
    return sorted(found, key=lambda point: -point.y[0])


def score_of(result: Result) -> Interval:
    """Return the score of a row with its interval."""
    return result.score.value, result.score.low, result.score.high


def highlighted(points: Sequence[Point], name: str) -> str:
    """Return which point is the entry's, in words."""
    known = any(point.name == name for point in points)
    return f"{name} is the coloured point." if known else f"{name} has no row yet; `l96bench run` makes one."


def with_interval(value: Interval) -> str:
    """Return an estimate with its interval, such as ``84.01 [82.20, 85.80]``."""
    return f"{value[0]:.2f} [{value[1]:.2f}, {value[2]:.2f}]"


def axes_beside_names(points: Sequence[Point], name: str) -> tuple[Figure, Axes]:
    """Return axes for points, with the names that belong to the numbers at their right, the entry's in colour."""
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
    return made, ax


def draw_points(ax: Axes, points: Sequence[Point], name: str) -> None:
    """Draw points with their intervals, shaped by the kind of method."""
    for point in points:
        bars = [[[at - low], [high - at]] for at, low, high in (point.x, point.y)]
        own = point.name == name
        ax.errorbar(
            point.x[0],
            point.y[0],
            xerr=bars[0],
            yerr=bars[1],
            fmt=_MARKS.get(point.kind, "v"),
            color=VERMILION if own else BLUE,
            ecolor=GREY,
            ms=9 if own else 7,
            elinewidth=1,
            zorder=3 if own else 2,
        )
    kinds = sorted({point.kind if point.kind in _MARKS else "other" for point in points})
    for kind in kinds:
        ax.plot([], [], ls="", marker=_MARKS.get(kind, "v"), color=BLUE, ms=7, label=plain(kind))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)


def number_points(made: Figure, ax: Axes, points: Sequence[Point]) -> None:
    """Write the number of each point at whichever place around it has least else near it."""
    made.draw_without_rendering()  # the layout must stand before distances can be measured
    places = ax.transData.transform([(point.x[0], point.y[0]) for point in points])
    scale = made.dpi / 72.0
    taken = list(places)
    around = [(np.cos(angle), np.sin(angle)) for angle in np.linspace(0.25 * np.pi, 2.25 * np.pi, 8, endpoint=False)]
    for number, (point, place) in enumerate(zip(points, places, strict=True), 1):
        if not ax.bbox.contains(*place):
            continue
        offsets = [(11.0 * x, 11.0 * y) for x, y in around] + [(20.0 * x, 20.0 * y) for x, y in around]
        free = [min(np.hypot(*(place + scale * np.array(offset) - other)) for other in taken) for offset in offsets]
        best = int(np.argmax(np.minimum(free, 10.0 * scale)))
        offset = offsets[best]
        taken.append(place + scale * np.array(offset))
        ax.annotate(
            str(number),
            (point.x[0], point.y[0]),
            offset,
            textcoords="offset points",
            fontsize=9,
            ha="center",
            va="center",
        )
