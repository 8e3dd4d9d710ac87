"""What the rows of the board say together: learning curves, offline against online, and skill against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from l96bench.diagnostics.figures import BLACK, BLUE, GREY, PALETTE, VERMILION, figure, plain
from l96bench.results.record import Result, Value

__all__ = [
    "LearningCurve",
    "Point",
    "draw_learning",
    "draw_pareto",
    "draw_scatter",
    "draw_standing",
    "in_view",
    "learning_curves",
    "offline_online",
    "pareto_front",
    "row_of",
    "scores",
    "skill_and_cost",
]

Array = NDArray[np.float64]

_REFERENCE = "reference"
_BUDGET = "r2_budget_"


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """R² of an entry against its training budget in MTU; each (budget,)."""

    name: str
    budget: Array
    value: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True)
class Point:
    """An entry as a point in a plane, with the interval of each coordinate."""

    name: str
    kind: str
    x: tuple[float, float, float]
    y: tuple[float, float, float]


def _ends(value: Value) -> tuple[float, float, float]:
    """Estimate, low, high; the estimate thrice where there is no interval."""
    low = value.value if value.low is None else value.low
    return value.value, low, value.value if value.high is None else value.high


def learning_curves(results: Sequence[Result], task: str, full: float = 2000.0) -> list[LearningCurve]:
    """The learning curves of all rows of an offline task that were refitted to smaller budgets.

    Parameters
    ----------
    results : sequence of Result
    task : str
        Id of the task.
    full : float
        MTU of the whole training set, whose R² is the metric ``r2``.
    """
    curves = []
    for result in results:
        budgets = {float(key.removeprefix(_BUDGET)): value for key, value in result.metrics.items() if _BUDGET in key}
        if result.task != task or not budgets or "r2" not in result.metrics:
            continue
        budgets[full] = result.metrics["r2"]
        rows = np.array([(budget, *_ends(budgets[budget])) for budget in sorted(budgets)])
        curves.append(LearningCurve(result.model.name, *rows.T))
    return sorted(curves, key=lambda curve: -curve.value[-1])


def offline_online(results: Sequence[Result], offline: str, online: str) -> list[Point]:
    """The scores of every entry that has a row of both tasks, the best one online first."""
    rows = [
        {result.model.name: result for result in results if result.task == task and result.model.kind != _REFERENCE}
        for task in (offline, online)
    ]
    points = [
        Point(name, first.model.kind, _score(first), _score(rows[1][name]))
        for name, first in rows[0].items()
        if name in rows[1]
    ]
    return sorted(points, key=lambda point: -point.y[0])


def skill_and_cost(results: Sequence[Result], task: str) -> list[Point]:
    """Cost of a call, in steps of the truth's kernel, and score, of every row of a task whose cost was measured."""
    points = []
    for result in results:
        cost = result.cost.kernel_steps_per_call
        if result.task == task and cost is not None and cost > 0 and result.model.kind != _REFERENCE:
            points.append(Point(result.model.name, result.model.kind, (cost, cost, cost), _score(result)))
    return sorted(points, key=lambda point: -point.y[0])


def row_of(results: Sequence[Result], task: str, name: str) -> Result | None:
    """The row of an entry on a task; None if there is none."""
    return next((each for each in results if each.task == task and each.model.name == name), None)


def scores(results: Sequence[Result], task: str) -> list[tuple[str, tuple[float, float, float]]]:
    """Name and score, with its interval, of every row of a task, the best one first."""
    rows = [(each.model.name, _score(each)) for each in results if each.task == task]
    return sorted(rows, key=lambda row: -row[1][0])


def _score(result: Result) -> tuple[float, float, float]:
    return result.score.value, result.score.low, result.score.high


def pareto_front(cost: ArrayLike, score: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other one beats: none is at least as cheap and at least as good, and better in one of them.

    Equal points are all on the front. Pareto (1896), Cours d'économie politique.
    """
    costs, scores = np.asarray(cost, dtype=np.float64), np.asarray(score, dtype=np.float64)
    no_dearer, no_worse = costs[None] <= costs[:, None], scores[None] >= scores[:, None]
    better = (costs[None] < costs[:, None]) | (scores[None] > scores[:, None])
    return np.asarray(~(no_dearer & no_worse & better).any(axis=1))


def draw_learning(curves: Sequence[LearningCurve], name: str) -> Figure:
    """1 - R² against the training budget: the entry with its interval, the best others named, the rest grey."""
    made = figure(9.5, 4.4)
    ax = made.subplots()
    others = [curve for curve in curves if curve.name != name and curve.value.max() > 0]
    for i, curve in enumerate(others):
        named = i < len(PALETTE) - 1
        look: dict[str, Any] = {"color": PALETTE[i + 1] if named else "0.8", "ls": (0, (4, 1 + i)) if named else "-"}
        ax.plot(curve.budget, 1.0 - curve.value, lw=1.6, label=plain(curve.name) if named else None, **look)
    for curve in curves:
        if curve.name == name:
            ax.fill_between(curve.budget, 1.0 - curve.high, 1.0 - curve.low, color=BLUE, alpha=0.2, lw=0)
            ax.plot(curve.budget, 1.0 - curve.value, color=BLUE, lw=2.6, marker="o", label=plain(curve.name))
    ax.set(xlabel="training budget (MTU)", ylabel="1 - R$^2$ of U on the test data", xscale="log", yscale="log")
    top = ax.get_ylim()[1]
    ticks = [tick for tick in (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0) if ax.get_ylim()[0] <= tick <= top]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    budgets = sorted({float(budget) for curve in curves for budget in curve.budget})
    ax.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    ax.grid(True)
    return made


def draw_standing(ranked: Sequence[tuple[str, tuple[float, float, float]]], name: str) -> Figure:
    """Score and interval of every row of `scores`, the entry's own in its colour; scores below 0 are drawn there."""
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


def in_view(point: Point) -> bool:
    """Whether the scatter shows the point: one of a hopeless closure would press all others together."""
    return point.x[0] >= 60.0 and point.y[0] >= 50.0


def draw_scatter(points: Sequence[Point], name: str) -> Figure:
    """Offline against online score of every entry, numbered by rank online, with intervals; hopeless ones cut off."""
    made, ax = _axes_beside_names(points, name)
    _draw_points(ax, points, name)
    ax.set(xlabel="offline score (subgrid-forcing)", ylabel="online score (online-rollout)")
    shown = [point for point in points if in_view(point)] or points
    xs, ys = ([point.x[0] for point in shown], [point.y[0] for point in shown])
    ax.set_xlim(min(xs) - 1.5, max(xs) + 1.5)
    ax.set_ylim(min(ys) - 2.5, max(ys) + 2.5)
    _number_points(made, ax, points)
    return made


def draw_pareto(points: Sequence[Point], name: str) -> Figure:
    """Score against the cost of a call on a logarithmic axis, with the Pareto front."""
    made, ax = _axes_beside_names(points, name)
    front = pareto_front([point.x[0] for point in points], [point.y[0] for point in points])
    best = sorted((point.x[0], point.y[0]) for point, on in zip(points, front, strict=True) if on)
    ax.step([x for x, _ in best], [y for _, y in best], where="post", color=GREY, lw=1.5, ls="--", label="Pareto front")
    _draw_points(ax, points, name)
    ax.set(xlabel="cost of a call for one state (steps of the reference kernel)", ylabel="score", xscale="log")
    ax.margins(x=0.06, y=0.08)
    _number_points(made, ax, points)
    return made


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


def _axes_beside_names(points: Sequence[Point], name: str) -> tuple[Figure, Axes]:
    """Axes for points, and at their right the names that belong to the numbers, the entry's own in its colour."""
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


def _draw_points(ax: Axes, points: Sequence[Point], name: str) -> None:
    """Points with their intervals, shaped by the kind of method."""
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


def _number_points(made: Figure, ax: Axes, points: Sequence[Point]) -> None:
    """The number of each point, at whichever place around it has least else near it."""
    made.draw_without_rendering()  # the layout must stand before distances can be measured
    places = ax.transData.transform([(point.x[0], point.y[0]) for point in points])
    scale = made.dpi / 72.0
    taken = list(places)
    around = [(np.cos(angle), np.sin(angle)) for angle in np.linspace(0.25 * np.pi, 2.25 * np.pi, 8, endpoint=False)]
    for number, (point, place) in enumerate(zip(points, places, strict=True), 1):
        if not ax.bbox.contains(*place):
            continue
        offsets = [(11.0 * x, 11.0 * y) for x, y in around] + [(20.0 * x, 20.0 * y) for x, y in around]
        free = [min(_distance(place + scale * np.array(offset), other) for other in taken) for offset in offsets]
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


def _distance(a: Array, b: Array) -> float:
    return float(np.hypot(*(a - b)))
