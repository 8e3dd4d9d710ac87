"""Make tables of results: which rows are comparable, in which order, with which rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from l96bench.board.flags import Flag, doubts, flags, is_attack, is_reference, is_sealed, marks
from l96bench.board.seasons import SeasonRows, difference, is_apart, revealed_seasons
from l96bench.board.text import NONE, Markdown, count, escape, interval, markdown_table, number
from l96bench.errors import ResultError
from l96bench.metrics.comparison import tied_ranks
from l96bench.metrics.glossary import Metric, find_metric
from l96bench.results.combine import require_comparable, require_paired
from l96bench.results.load import is_boards, read_results
from l96bench.results.origin import FRESH_LEVEL, FreshDraw, Origin
from l96bench.results.record import Result
from l96bench.results.score import Value
from l96bench.tasks.parts import Column
from l96bench.tasks.registry import families


@dataclass(frozen=True, slots=True)
class Row:
    """A result with its rank, its flags, its public score minus its season score, if any, and its kind.

    References and attacks have no rank, nor has what only the public test speaks for, or what is worse elsewhere.
    """

    result: Result
    rank: int | None
    flags: tuple[Flag, ...] = ()
    gap: Value | None = None
    origin: Origin = Origin.TRAINED_HERE
    behind: Value | None = None
    """The best ranked row's score minus its own, by the paired bootstrap; None for that row and what is not ranked but
    no attack."""

    @property
    def kind(self) -> str:
        """Its kind in tables: reference, attack, trained here, sealed or declared."""
        return str(self.origin) if self.result.competes else self.result.role


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one task, best score first, the season that they are compared with, and who is still to come."""

    task: str
    rows: tuple[Row, ...]
    season: str | None = None
    missing: tuple[str, ...] = ()

    @property
    def to_come(self) -> str:
        """A sentence with the names of those who have no row yet; empty if all have one."""
        return f"Still to come: {'; '.join(self.missing)}." if self.missing else ""

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
    """A family of tasks on the board: its title, its question, the columns that only it has, and its glossary."""

    id: str
    title: str
    question: str = ""
    columns: tuple[Column, ...] = ()
    glossary: tuple[Metric, ...] = ()

    def label(self, key: str) -> str:
        """Return a metric's title with unit and direction; its key if the glossary lacks it."""
        found = find_metric(self.glossary, key)
        return key if found is None else found.label

    def meaning(self, column: Column) -> str:
        """Return unit, direction and definition of a column; an empty text if the glossary lacks it."""
        found = find_metric(self.glossary, column.key)
        if found is None:
            return ""
        unit = "" if found.unit == "1" else f"In {found.unit}; "
        return f"{unit}{found.direction}. {found.definition}"


def family(name: str) -> Family:
    """Return the family of that name; rows of one that is not installed are shown without its columns."""
    known = families().get(name)
    if known is None:
        return Family(name, name.replace("-", " ").capitalize())
    return Family(name, known.title, known.question, known.columns, known.glossary)


def read_tables(
    results: Path, board: Path | None = None, entered: Callable[[str], Sequence[str]] | None = None
) -> tuple[Table, ...]:
    """Return the tables of a folder of results, if it is a board's own with its seasons and what `entered` adds.

    The board is the folder around the results if not given. See `make_tables`.
    """
    board = results.parent if board is None else board
    if not is_boards(results, board):
        return make_tables(read_results(results))
    return make_tables(read_results(results), revealed_seasons(board), entered)


def make_tables(
    results: Sequence[Result],
    seasons: Mapping[str, SeasonRows] | None = None,
    entered: Callable[[str], Sequence[str]] | None = None,
) -> tuple[Table, ...]:
    """Return one table for every task, by family and id; raise `ResultError` if rows of a task are not comparable.

    `entered` gives the names of all that are to have a row in a task.
    """
    by_task: dict[str, list[Result]] = {}
    for result in results:
        by_task.setdefault(result.task, []).append(result)
    order = list(families())

    def place(task: str) -> tuple[int, str]:
        name = by_task[task][0].family
        return (order.index(name) if name in order else len(order), task)

    return tuple(
        _make_table(by_task[task], (seasons or {}).get(task), entered(task) if entered else ())
        for task in sorted(by_task, key=place)
    )


def _make_table(results: Sequence[Result], season: SeasonRows | None, entered: Sequence[str]) -> Table:
    _require_one_table(results)
    task = results[0].task
    ordered = sorted(results, key=lambda result: (-result.score.value, result.model.name))
    found, there = flags(ordered), {} if season is None else season.rows
    sealed = {result.slug: there[result.slug] for result in ordered if is_sealed(result, there.get(result.slug))}
    doubted = {
        result.slug: doubts(result, difference(result, own, FRESH_LEVEL) if (own := sealed.get(result.slug)) else None)
        for result in ordered
    }
    ranked = [result for result in ordered if not (is_reference(result) or doubted[result.slug])]
    scores = [result.score for result in ranked]
    values, replicates = [score.value for score in scores], [score.replicates for score in scores]
    placed = tied_ranks(values, replicates, scores[0].level, [score.draws for score in scores]) if scores else []
    ranks = {result.slug: rank for result, rank in zip(ranked, placed, strict=True)}
    rows = []
    best = ranked[0] if ranked else None
    for result in ordered:
        gap = difference(result, there[result.slug]) if result.slug in there else None
        raised = (*found.get((task, result.slug), ()), *doubted[result.slug])
        origin = Origin.SEALED if result.slug in sealed else result.origin
        is_compared = result is not best and (result.slug in ranks or is_attack(result))
        behind = lead(best, result) if best is not None and is_compared else None
        rows.append(Row(result, ranks.get(result.slug), raised, gap, origin, behind))
    compared = season.name if season is not None and any(row.gap for row in rows) else None
    missing = sorted(set(entered) - {row.result.model.name for row in rows}, key=str.casefold)
    return Table(task, tuple(rows), compared, tuple(missing))


def lead(best: Result, other: Result) -> Value:
    """Return the score of one row less that of another, by the paired bootstrap."""
    found = best.score.compare(other.score)
    low, high = min(found.low, found.difference), max(found.high, found.difference)
    return Value(value=found.difference, low=low, high=high)


def _require_one_table(results: Sequence[Result]) -> None:
    require_comparable(results)
    names = Counter(result.model.name for result in results)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ResultError(f"{results[0].task}: expected one row an entry, got several of {twice}; keep one of each")
    require_paired(results)


def table_markdown(table_of_task: Table, cards: str) -> Markdown:
    """Return a task's table with the columns of its family; entries link to the folder `cards` beside the page."""
    columns = [
        column
        for column in family(table_of_task.family).columns
        if not column.optional or any(column.key in row.result.metrics for row in table_of_task.rows)
    ]
    has_gap = table_of_task.season is not None
    header = [
        *_header(table_of_task),
        *(["public - season"] if has_gap else []),
        "kind of row",
        *(column.header for column in columns),
        *("parameters", "training s", "µs per call", "inputs"),
    ]

    def metric(result: Result, column: Column) -> str:
        value = result.metrics.get(column.key)
        return number(value.value if value else None, column.format)

    rows = [
        [
            *_cells(row, cards),
            *([change_markdown(row.gap)] if has_gap else []),
            kind_cell(row),
            *(metric(row.result, column) for column in columns),
            count(row.result.model.parameters),
            number(row.result.cost.training_seconds, ".1f"),
            number(row.result.cost.microseconds_per_call, ".2f"),
            row.result.model.inputs,
        ]
        for row in table_of_task.rows
    ]
    return markdown_table(header, rows, left=("entry", "kind of row", "inputs"))


def kind_cell(row: Row) -> str:
    """Return the kind of a row and the marks of its flags."""
    return row.kind + (f" ({marks(row.flags)})" if row.flags else "")


def compact_markdown(table_of_task: Table, cards: str, best: int | None = None) -> Markdown:
    """Return rank, entry, score and kind of a task's table, limited to the `best` ranked rows and references if given.

    Rows without a rank are left out where the table is limited.
    """
    ranked = [row for row in table_of_task.rows if row.rank is not None][:best]
    chosen = [row for row in table_of_task.rows if row in ranked or is_reference(row.result) or best is None]
    rows = [[*_cells(row, cards), kind_cell(row)] for row in chosen]
    return markdown_table([*_header(table_of_task), "kind of row"], rows, left=("entry", "kind of row"))


def score_markdown(result: Result) -> Markdown:
    """Return a score with its interval."""
    return interval(result.score.value, result.score.low, result.score.high, ".1f")


def change_markdown(change: Value | None) -> Markdown:
    """Return a difference of scores with its interval, and whether that excludes 0; a dash for None."""
    if change is None:
        return Markdown(NONE)
    ends = "" if change.low is None else f" [{change.low:+z.2f}, {change.high:+z.2f}]"
    return Markdown(f"{change.value:+z.2f}{ends}{' ≠ 0' if is_apart(change) else ''}")


def fresh_markdown(fresh: FreshDraw | None) -> Markdown:
    """Return a score less that on a fresh draw with its interval, and whether that is above 0; a dash for None."""
    if fresh is None:
        return Markdown(NONE)
    ends = f" [{fresh.low:+z.2f}, {fresh.high:+z.2f}]"
    return Markdown(f"{fresh.difference:+z.2f}{ends}{' > 0' if fresh.falls else ''}")


def provenance(one: Table) -> tuple[str, str]:
    """Return the versions, and the data with digests, that a table's rows were made with."""
    result = one.rows[0].result
    data = ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(result.data_digests.items()))
    return f"Task version {result.task_version}, scorer {result.scorer_version}, split {result.split}", data


def _header(table_of_task: Table) -> list[str]:
    level = table_of_task.rows[0].result.score.level
    return ["rank", "entry", f"score ({100 * level:g} %)"]


def _cells(row: Row, cards: str) -> list[object]:
    name = f"[{escape(row.result.model.name)}]({cards}/{row.result.slug}.md)"
    score = score_markdown(row.result)
    if is_reference(row.result):
        return [NONE, Markdown(f"*{name}*"), Markdown(f"*{score}*")]
    return [NONE if row.rank is None else row.rank, Markdown(name), score]
