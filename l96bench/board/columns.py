"""Define the columns of the board's page: one definition for its table, its tooltips, its plots and its export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from l96bench.board.tables import Family, Row, Table
from l96bench.board.text import one_line
from l96bench.metrics.glossary import find_metric
from l96bench.results.frame import COLUMNS, metric_columns
from l96bench.results.score import Score, Value

__all__ = ["SEASON", "PageColumn", "columns_of", "shared_columns", "significant"]

_FRAME = {column.name: column for column in COLUMNS}
"""The columns of results.csv, whose names, units and definitions the page uses."""
SEASON = "public - season"

Look = Literal["entry", "text", "count", "number", "difference"]


@dataclass(frozen=True, slots=True)
class PageColumn:
    """A column of the page's tables.

    Attributes
    ----------
    key : str
        Its name in the address, in the export and in ``results.csv``.
    label : str
        The header.
    unit : str
        "1" for what has none.
    better : {"higher", "lower", "truth", "none"}
        Which way is better; a table is first sorted so that lower values stand above where lower is better, or text.
    look : {"entry", "text", "count", "number", "difference"}
        How a value is shown: a difference has a sign and an interval.
    digits : int
        Decimals.
    meaning : str
        What the glossary says of it.
    value : callable
        Its value in a row: None where it is missing, a list of value, low and high where it has an interval.
    shown : bool
        Whether it stands in the table before a reader has chosen columns.
    cost : bool
        Whether the score can be drawn against it.
    """

    key: str
    label: str
    unit: str
    better: str
    look: Look
    digits: int
    meaning: str
    value: Callable[[Row], Any]
    shown: bool = False
    cost: bool = False

    @property
    def record(self) -> dict[str, Any]:
        """Its definition as the page's script reads it."""
        names = ("key", "label", "unit", "better", "look", "digits", "meaning", "shown", "cost")
        return {name: getattr(self, name) for name in names}


def shared_columns(level: float) -> tuple[PageColumn, ...]:
    """Return the columns that tables of all families have; intervals are of this level."""
    return (
        _shared("rank", "rank", "lower", "count", lambda row: row.rank, shown=True),
        _shared("entry", "entry", "lower", "entry", lambda row: row.result.slug, shown=True),
        _shared("score", "score", "higher", "number", lambda row: _ends(row.result.score, 5), digits=1, shown=True),
        _shared(
            *("behind_best", f"behind the best [{100 * level:g} %]", "lower", "difference"),
            lambda row: _difference(row.behind),
            digits=2,
            shown=True,
        ),
        _shared(
            *("microseconds_per_call", "µs per call", "lower", "number"),
            lambda row: significant(row.result.cost.microseconds_per_call),
            digits=2,
            shown=True,
            cost=True,
        ),
        _shared("origin", "status", "lower", "text", lambda row: row.kind, shown=True),
        _shared("season_difference", SEASON, "lower", "difference", lambda row: _difference(row.gap), digits=2),
        _shared("fresh_draw_difference", "public - fresh draw", "lower", "difference", _fresh, digits=2),
        _shared(
            *("training_seconds", "training, s", "lower", "number"),
            lambda row: significant(row.result.cost.training_seconds),
            digits=1,
            cost=True,
        ),
        _shared("parameters", "parameters", "lower", "count", lambda row: row.result.model.parameters, cost=True),
        _shared(
            *("kernel_steps_per_call", "kernel steps per call", "lower", "number"),
            lambda row: significant(row.result.cost.kernel_steps_per_call),
            digits=2,
            cost=True,
        ),
        _shared("not_finite", "not finite", "lower", "count", lambda row: row.result.failures.non_finite),
        _shared("diverged", "diverged", "lower", "count", lambda row: row.result.failures.diverged),
        _shared("kind", "kind", "lower", "text", lambda row: one_line(row.result.model.kind)),
        _shared("inputs", "inputs", "lower", "text", lambda row: one_line(row.result.model.inputs)),
    )


def columns_of(family: Family, tables: Sequence[Table]) -> Iterator[PageColumn]:
    """Yield the columns of a family's metrics that any row of its tables has."""
    for column in family.columns:
        if not any(column.key in row.result.metrics for one in tables for row in one.rows):
            continue
        found = find_metric(family.glossary, column.key)
        yield PageColumn(
            key=metric_columns(column.key)[0],
            label=column.header,
            unit="1" if found is None else found.unit,
            better=found.better if found is not None and isinstance(found.better, str) else "none",
            look="number",
            digits=int(column.format[1]),
            meaning=family.meaning(column),
            value=_metric(column.key),
        )


def significant(value: float | None, digits: int = 4) -> float | None:
    """Return a number with that many significant digits."""
    return None if value is None else float(f"{value:.{digits}g}")


def _metric(key: str) -> Callable[[Row], Any]:
    return lambda row: _ends(row.result.metrics.get(key))


def _ends(value: Value | Score | None, digits: int = 4) -> float | list[float | None] | None:
    """Return a number, or value, low and high where it has an interval."""
    if value is None or value.low is None:
        return None if value is None else significant(value.value, digits)
    return [significant(each, digits) for each in (value.value, value.low, value.high)]


def _difference(change: Value | None) -> list[float] | None:
    """Return value, low and high with the decimals that are shown, which also say whether it is 0 (see `is_apart`)."""
    if change is None or change.low is None or change.high is None:
        return None
    return [round(each, 2) for each in (change.value, change.low, change.high)]


def _fresh(row: Row) -> list[float] | None:
    fresh = row.result.fresh
    return None if fresh is None else [round(each, 2) for each in (fresh.difference, fresh.low, fresh.high)]


def _shared(
    key: str,
    label: str,
    better: str,
    look: Look,
    value: Callable[[Row], Any],
    *,
    digits: int = 0,
    shown: bool = False,
    cost: bool = False,
) -> PageColumn:
    """Return a column whose unit and definition are those of the column of that name in results.csv."""
    own = _FRAME[key]
    return PageColumn(key, label, own.unit, better, look, digits, own.definition, value, shown, cost)
