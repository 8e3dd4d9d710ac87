"""Compare the scores of entries on the public board with those on seasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from l96bench.board.flags import Key
from l96bench.errors import ResultError
from l96bench.results.combine import require_comparable
from l96bench.results.load import read_results
from l96bench.results.record import Result
from l96bench.results.score import Value
from l96bench.seasons.record import SeasonRecord, record_path, season_names
from l96bench.seasons.scoring import results_folder

__all__ = ["SeasonRows", "difference", "is_apart", "load_rows", "revealed_seasons", "summary"]


@dataclass(frozen=True, slots=True)
class SeasonRows:
    """The name of a season and its rows of one task, by slug."""

    name: str
    rows: Mapping[str, Result]


def revealed_seasons(board: Path) -> dict[str, SeasonRows]:
    """Return the season revealed last for each task with rows of it; raise `ResultError` if they are not valid."""
    records = [SeasonRecord.read(record_path(board, name)) for name in season_names(board)]
    found: dict[str, SeasonRows] = {}
    for _, name in sorted((record.revealed, record.name) for record in records if record.revealed is not None):
        by_task: dict[str, dict[str, Result]] = {}
        for (task, slug), row in load_rows(results_folder(board, name, drawn=False)).items():
            by_task.setdefault(task, {})[slug] = row
        for task, rows in by_task.items():
            require_comparable(list(rows.values()))
            found[task] = SeasonRows(name, rows)
    return found


def load_rows(folder: Path) -> dict[Key, Result]:
    """Return the results below a folder by task and slug; none where there is no folder."""
    rows = read_results(folder) if folder.is_dir() else []
    return {(row.task, row.slug): row for row in rows}


def difference(one: Result, other: Result, level: float | None = None) -> Value:
    """Return the score of one row minus another's on independent data, with an interval of a level, by default theirs.

    The bootstrap is unpaired.
    """
    a, b = one.score, other.score
    if len(a.replicates) != len(b.replicates) or a.level != b.level:
        raise ResultError(f"{one.task}: two rows of {one.model.name!r} have other numbers of replicates, or levels")
    found = a.compare_independent(b, level)
    return Value(value=found.difference, low=found.low, high=found.high)


def is_apart(change: Value) -> bool:
    """Return whether the interval of a difference excludes 0 at the two decimals that are shown."""
    low, high = change.low, change.high
    return low is not None and high is not None and (round(low, 2) > 0 or round(high, 2) < 0)


def summary(changes: Sequence[Value], level: float) -> str:
    """Return in words how many differences of scores exclude 0, and how many would by chance."""
    if not changes:
        return "No entry has a row on both the season and the public board yet."
    lower = sum(is_apart(change) and change.value > 0 for change in changes)
    higher = sum(is_apart(change) and change.value < 0 for change in changes)
    return (
        f"Of {len(changes)} entries, {lower} score lower on the season than on the public test beyond the interval, "
        f"and {higher} higher; chance alone is expected to make {(1.0 - level) / 2 * len(changes):.1f} of each."
    )
