"""What seasons say about the public board: how far the two scores of an entry are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from l96bench.board.flags import Key
from l96bench.errors import ResultError
from l96bench.metrics import uncertainty
from l96bench.results.combine import require_comparable
from l96bench.results.load import load_results
from l96bench.results.record import Result, Value
from l96bench.seasons.record import SeasonRecord, record_path, season_names
from l96bench.seasons.scoring import results_folder

__all__ = ["SeasonRows", "difference", "is_apart", "load_rows", "revealed_seasons", "summary"]


@dataclass(frozen=True, slots=True)
class SeasonRows:
    """The rows of one task on a season.

    Attributes
    ----------
    name : str
        The season's.
    rows : dict of str to Result
        By slug.
    """

    name: str
    rows: Mapping[str, Result]


def revealed_seasons(board: Path) -> dict[str, SeasonRows]:
    """By task, the season that was revealed last among those with rows of it, at the named parameters.

    Raises
    ------
    ResultError
        If a record is not valid, or the rows of a task on a season cannot stand together.
    """
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
    """The results below a folder, by task and slug; none where there is no folder."""
    rows = load_results(folder) if folder.is_dir() else []
    return {(row.task, row.slug): row for row in rows}


def difference(one: Result, other: Result) -> Value:
    """How much better the first row scores than the second, on other test data, with a bootstrap interval.

    The data are independent, so the replicates are not paired: each is compared with the next one of the other row,
    which is drawn with other indices. Where models are trained with several seeds, the interval holds their variance
    twice, although the models are the same: it errs on the wide side.

    Raises
    ------
    ResultError
        If the rows have different levels or numbers of replicates.
    """
    replicates = [np.array(row.score.replicates) for row in (one, other)]
    if len(replicates[0]) != len(replicates[1]) or one.score.level != other.score.level:
        raise ResultError(f"{one.task}: two rows of {one.model.name!r} have other numbers of replicates, or levels")
    value = one.score.value - other.score.value
    low, high = uncertainty.interval(replicates[0] - np.roll(replicates[1], 1), one.score.level)
    return Value(value=value, low=min(low, value), high=max(high, value))


def is_apart(change: Value) -> bool:
    """Whether the interval of a difference excludes 0 at the two decimals that are shown."""
    return (
        change.low is not None and change.high is not None and (round(change.low, 2) > 0 or round(change.high, 2) < 0)
    )


def summary(changes: Sequence[Value], level: float) -> str:
    """How many of the differences between public test and season lie beyond their intervals, beside what chance makes.

    Parameters
    ----------
    changes : sequence of Value
        Public test less season, of each entry.
    level : float
        Of the intervals.
    """
    if not changes:
        return "No entry has a row on both the season and the public board yet."
    lower = sum(is_apart(change) and change.value > 0 for change in changes)
    higher = sum(is_apart(change) and change.value < 0 for change in changes)
    return (
        f"Of {len(changes)} entries, {lower} score lower on the season than on the public test beyond the interval, "
        f"and {higher} higher; chance alone is expected to make {(1.0 - level) / 2 * len(changes):.1f} of each."
    )
