"""Tables of results: who may stand in one, in which order, with which rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from l96bench.board.flags import Flag, flags, is_reference, marks
from l96bench.board.seasons import SeasonRows, difference, is_apart
from l96bench.board.text import NONE, Markdown, count, escape, interval, markdown_table, number
from l96bench.errors import ResultError
from l96bench.metrics.uncertainty import tied_ranks
from l96bench.results.combine import require_comparable
from l96bench.results.record import Result, Value
from l96bench.tasks.parts import Column
from l96bench.tasks.registry import families


@dataclass(frozen=True, slots=True)
class Row:
    """A result, and what is known of it beside the others.

    Attributes
    ----------
    result : Result
    rank : int or None
        None for references.
    flags : tuple of Flag
    gap : Value or None
        Its score on the public test less that on the season of its table; None without both.
    """

    result: Result
    rank: int | None
    flags: tuple[Flag, ...] = ()
    gap: Value | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one task, best score first.

    Attributes
    ----------
    task : str
    rows : tuple of Row
    season : str or None
        Name of the season that the rows are compared with; None where there is none.
    """

    task: str
    rows: tuple[Row, ...]
    season: str | None = None

    @property
    def family(self) -> str:
        """The task's family."""
        return self.rows[0].result.family

    @property
    def regime(self) -> str:
        """The task's regime."""
        return self.rows[0].result.regime


@dataclass(frozen=True, slots=True)
class Family:
    """A family of tasks on the board: its title, its question, and the columns that only it has."""

    id: str
    title: str
    question: str = ""
    columns: tuple[Column, ...] = ()


def family(name: str) -> Family:
    """Return the family of that name; rows of one that is not installed are shown without its columns."""
    known = families().get(name)
    if known is None:
        return Family(name, name.replace("-", " ").capitalize())
    return Family(name, known.title, known.question, known.columns)


def make_tables(results: Sequence[Result], seasons: Mapping[str, SeasonRows] | None = None) -> tuple[Table, ...]:
    """One table for every task, ordered by family and task id; the order of the results does not matter.

    Parameters
    ----------
    results : sequence of Result
    seasons : dict of SeasonRows, optional
        By task, see `revealed_seasons`.

    Raises
    ------
    ResultError
        If rows of a task differ in task version, data, scorer, split, level or number of replicates, or two have the
        same name.
    """
    by_task: dict[str, list[Result]] = {}
    for result in results:
        by_task.setdefault(result.task, []).append(result)
    order = list(families())

    def place(task: str) -> tuple[int, str]:
        name = by_task[task][0].family
        return (order.index(name) if name in order else len(order), task)

    return tuple(_make_table(by_task[task], (seasons or {}).get(task)) for task in sorted(by_task, key=place))


def _make_table(results: Sequence[Result], season: SeasonRows | None) -> Table:
    _require_one_table(results)
    task = results[0].task
    ordered = sorted(results, key=lambda result: (-result.score.value, result.model.name))
    ranks, found = _ranks(ordered), flags(ordered)
    there = {} if season is None else season.rows
    rows = [
        Row(
            result,
            ranks.get(result.model.name),
            tuple(found.get((task, result.slug), ())),
            difference(result, there[result.slug]) if result.slug in there else None,
        )
        for result in ordered
    ]
    return Table(task, tuple(rows), season.name if season is not None and any(row.gap for row in rows) else None)


def _ranks(ordered: Sequence[Result]) -> dict[str, int]:
    """The ranks by name of all but references."""
    ranked = [result for result in ordered if not is_reference(result)]
    if not ranked:
        return {}
    scores = [result.score for result in ranked]
    found = tied_ranks([score.value for score in scores], [score.replicates for score in scores], level=scores[0].level)
    return {result.model.name: rank for result, rank in zip(ranked, found, strict=True)}


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
    has_gap = table_of_task.season is not None
    header = [
        *_header(table_of_task),
        *(["public - season"] if has_gap else []),
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
                *([change_markdown(row.gap)] if has_gap else []),
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
    return markdown_table(header, rows, left=("entry", "status", "inputs"))


def status_cells(table_of_task: Table) -> dict[str, str]:
    """The status of each row by its slug, with the marks of its flags; empty where all are baselines without flags."""
    rows = table_of_task.rows
    if not any(row.flags or row.result.submission is not None for row in rows):
        return {}
    return {row.result.slug: row.result.status + (f" ({marks(row.flags)})" if row.flags else "") for row in rows}


def compact_markdown(table_of_task: Table, cards: str, best: int | None = None) -> Markdown:
    """A task's table with rank, entry and score only, as Markdown; parameters as in `table_markdown`.

    Given `best`, only that many of the ranked rows, the best ones, below those that have no rank.
    """
    ranked = [row for row in table_of_task.rows if row.rank is not None][:best]
    rows = [_cells(row, cards) for row in table_of_task.rows if row.rank is None or row in ranked]
    return markdown_table(_header(table_of_task), rows, left=("entry",))


def score_markdown(result: Result) -> Markdown:
    """A score with its interval."""
    return interval(result.score.value, result.score.low, result.score.high, ".1f")


def change_markdown(change: Value | None) -> Markdown:
    """A difference of scores with its interval, and whether that excludes 0; a dash for None."""
    if change is None:
        return Markdown(NONE)
    ends = "" if change.low is None else f" [{change.low:+z.2f}, {change.high:+z.2f}]"
    return Markdown(f"{change.value:+z.2f}{ends}{' ≠ 0' if is_apart(change) else ''}")


def _header(table_of_task: Table) -> list[str]:
    level = table_of_task.rows[0].result.score.level
    return ["rank", "entry", f"score ({100 * level:g} %)"]


def _cells(row: Row, cards: str) -> list[object]:
    name = f"[{escape(row.result.model.name)}]({cards}/{row.result.slug}.md)"
    score = score_markdown(row.result)
    if row.rank is None:
        return [NONE, Markdown(f"*{name}*"), Markdown(f"*{score}*")]
    return [row.rank, Markdown(name), score]
