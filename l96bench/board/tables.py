"""Tables of results: who may stand in one, in which order, with which rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from l96bench.board.families import FAMILIES, family
from l96bench.board.flags import flags, is_reference, marks
from l96bench.board.text import NONE, Markdown, count, escape, interval, number, table
from l96bench.errors import ResultError
from l96bench.metrics.uncertainty import tied_ranks
from l96bench.tasks.result import Result, require_comparable


@dataclass(frozen=True, slots=True)
class Row:
    """A result and its rank; references have none."""

    result: Result
    rank: int | None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one task, best score first."""

    task: str
    rows: tuple[Row, ...]

    @property
    def family(self) -> str:
        """The task's family."""
        return self.rows[0].result.family

    @property
    def regime(self) -> str:
        """The task's regime."""
        return self.rows[0].result.regime


def make_tables(results: Sequence[Result]) -> tuple[Table, ...]:
    """One table for every task, ordered by family and task id; the order of the results does not matter.

    Raises
    ------
    ResultError
        If rows of a task differ in task version, data, scorer, split, level or number of replicates, or two have the
        same name.
    """
    by_task: dict[str, list[Result]] = {}
    for result in results:
        by_task.setdefault(result.task, []).append(result)
    order = [family.id for family in FAMILIES]

    def place(task: str) -> tuple[int, str]:
        name = by_task[task][0].family
        return (order.index(name) if name in order else len(order), task)

    return tuple(Table(task, _rank(by_task[task])) for task in sorted(by_task, key=place))


def _rank(results: Sequence[Result]) -> tuple[Row, ...]:
    _require_one_table(results)
    ordered = sorted(results, key=lambda result: (-result.score.value, result.model.name))
    ranked = [result for result in ordered if not is_reference(result)]
    ranks: dict[str, int] = {}
    if ranked:
        scores = [result.score for result in ranked]
        found = tied_ranks(
            [score.value for score in scores], [score.replicates for score in scores], level=scores[0].level
        )
        ranks = {result.model.name: rank for result, rank in zip(ranked, found, strict=True)}
    return tuple(Row(result, ranks.get(result.model.name)) for result in ordered)


def _require_one_table(results: Sequence[Result]) -> None:
    require_comparable(results)
    names = Counter(result.model.name for result in results)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ResultError(
            f"{results[0].task}: expected one row an entry, got several of {twice}; keep one file of each"
        )
    resampling = {result.model.name: (result.score.level, len(result.score.replicates)) for result in results}
    if len(set(resampling.values())) > 1:
        raise ResultError(
            f"{results[0].task}: rows differ in the level or the number of replicates: {resampling}; "
            "score them again with one setting"
        )


def table_markdown(table_of_task: Table, cards: str) -> Markdown:
    """A task's table with the columns of its family, as Markdown.

    Parameters
    ----------
    table_of_task : Table
        What to show.
    cards : str
        The folder of the cards that the entries link to, relative to the page.
    """
    columns = [
        column
        for column in family(table_of_task.family).columns
        if not column.optional or any(column.key in row.result.metrics for row in table_of_task.rows)
    ]
    own = [column.header for column in columns]
    status = status_cells(table_of_task)
    header = [
        *_header(table_of_task),
        *(["status"] if status else []),
        *own,
        *("parameters", "training s", "µs per call", "inputs"),
    ]
    rows = []
    for row in table_of_task.rows:
        result = row.result
        metrics = [result.metrics.get(column.key) for column in columns]
        rows.append(
            [
                *_cells(row, cards),
                *([status[result.slug]] if status else []),
                *(
                    number(metric.value if metric else None, column.format)
                    for metric, column in zip(metrics, columns, strict=True)
                ),
                count(result.model.parameters),
                number(result.cost.training_seconds, ".1f"),
                number(result.cost.microseconds_per_call, ".2f"),
                result.model.inputs,
            ]
        )
    return table(header, rows, left=("entry", "status", "inputs"))


def status_cells(table_of_task: Table) -> dict[str, str]:
    """The status of each row by its slug, with the marks of its flags; empty where all are baselines without flags."""
    results = [row.result for row in table_of_task.rows]
    found = flags(results)
    if not found and all(result.submission is None for result in results):
        return {}
    cells = {}
    for result in results:
        own = marks(found.get((result.task, result.slug), []))
        cells[result.slug] = f"{result.status} ({own})" if own else result.status
    return cells


def compact_markdown(table_of_task: Table, cards: str, best: int | None = None) -> Markdown:
    """A task's table with rank, entry and score only, as Markdown; parameters as in `table_markdown`.

    Given `best`, only that many of the ranked rows, the best ones, below those that have no rank.
    """
    ranked = [row for row in table_of_task.rows if row.rank is not None][:best]
    rows = [_cells(row, cards) for row in table_of_task.rows if row.rank is None or row in ranked]
    return table(_header(table_of_task), rows, left=("entry",))


def score_markdown(result: Result) -> Markdown:
    """A score with its interval."""
    return interval(result.score.value, result.score.low, result.score.high, ".1f")


def _header(table_of_task: Table) -> list[str]:
    level = table_of_task.rows[0].result.score.level
    return ["rank", "entry", f"score ({100 * level:g} %)"]


def _cells(row: Row, cards: str) -> list[object]:
    name = f"[{escape(row.result.model.name)}]({cards}/{row.result.slug}.md)"
    score = score_markdown(row.result)
    if row.rank is None:
        return [NONE, Markdown(f"*{name}*"), Markdown(f"*{score}*")]
    return [row.rank, Markdown(name), score]
