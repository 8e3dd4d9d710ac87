"""Show learning curves: R² against the length of the training trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import BLUE, PALETTE, Array, figure, plain
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic

_BUDGET = "r2_budget_"


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """R² of an entry against its training budget in MTU; each (budget,)."""

    name: str
    budget: Array
    value: Array
    low: Array
    high: Array


def learning_curves(results: Results, task: str, full: float = 2000.0) -> list[LearningCurve]:
    """Return the curves of all rows of an offline task that were refitted to smaller budgets than `full` (MTU)."""
    curves = []
    for result in results:
        budgets = {float(key.removeprefix(_BUDGET)): value for key, value in result.metrics.items() if _BUDGET in key}
        if result.task != task or not budgets or "r2" not in result.metrics:
            continue
        budgets[full] = result.metrics["r2"]
        rows = []
        for budget, value in sorted(budgets.items()):
            low, high = (value.value if end is None else end for end in (value.low, value.high))
            rows.append((budget, value.value, low, high))
        curves.append(LearningCurve(result.model.name, *np.array(rows).T))
    return sorted(curves, key=lambda curve: -curve.value[-1])


@register_diagnostic("learning", "Learning curves", kind="closure", order=100)
def learning(subject: ClosureSubject, results: Results) -> Section:
    """Show R² against the training budget."""
    name = subject.entry.name
    curves = learning_curves(results, subject.offline.id)
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
    return Section(caption, ("entry", *budgets), table, draw(curves, name))


def draw(curves: Sequence[LearningCurve], name: str) -> Figure:
    """Draw 1 - R² against the training budget: the entry with its interval, the best others named, the rest grey."""
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
    low, high = ax.get_ylim()
    ticks = [tick for tick in (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0) if low <= tick <= high]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    budgets = sorted({float(budget) for curve in curves for budget in curve.budget})
    ax.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    ax.grid(True)
    return made
