"""The board's rows as data: a DataFrame of all of them, and the paired difference of two."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.metrics.comparison import PairedComparison
from l96bench.results.combine import paired
from l96bench.results.frame import make_frame, result_record
from l96bench.results.load import DATA, find_board, read_results, written_records
from l96bench.results.origin import slug_of
from l96bench.results.record import Result

if TYPE_CHECKING:
    import pandas

__all__ = ["compare", "find_slug", "load_results", "pairs"]


def load_results(task: str | None = None, results: str | os.PathLike[str] | None = None) -> pandas.DataFrame:
    """Return a DataFrame of results with one row an entry and task, such as all rows of the board.

    The columns are described in ``docs/results.md``: entry, task, rank, origin, score with its interval, seeds, cost,
    model and versions; then every metric of the rows under its key, with its interval as ``KEY_low`` and ``KEY_high``.
    `glossary` defines the metrics.

    Parameters
    ----------
    task : str, optional
        Id of a task, or a family; all if not given.
    results : path, optional
        Folder of result files; those of the board if not given. Rank, flags and season are missing in rows of a folder
        that is not a board's with its files written.

    Returns
    -------
    pandas.DataFrame
        Rows of a board are by family and task, the best score first; others by file path. Metrics that no row has are
        left out.

    Raises
    ------
    UnknownIdError
        If no row is of that task or family.
    L96BenchError
        If there is no board, no such folder, or an invalid result file.

    Examples
    --------
    >>> import l96bench
    >>> board = l96bench.load_results("online-rollout/wilks-f20-v2")
    >>> best = board.loc[board["rank"] == 1, ["entry", "score", "score_low", "score_high", "survival"]]
    >>> bool((best.score_low <= best.score).all())
    True
    """
    place = find_board() / "results" if results is None else Path(results)
    records = written_records(place)
    if records is None and (results is None or (place.parent / DATA).is_file()):
        from l96bench.board.data_files import table_records
        from l96bench.board.tables import read_tables

        records = table_records(read_tables(place))
    elif records is None:
        records = [result_record(result) for result in read_results(place)]
    if task is not None:
        chosen = [record for record in records if task in (record["task"], record["family"])]
        if not chosen:
            known = {record[name] for record in records for name in ("task", "family")}
            raise UnknownIdError(f"{place} has no row of {task!r}." + nearest(task, known))
        records = chosen
    return make_frame(records)


def compare(
    a: str | os.PathLike[str] | Result,
    b: str | os.PathLike[str] | Result,
    task: str | None = None,
    results: str | os.PathLike[str] | None = None,
) -> PairedComparison:
    """Return the difference of two scores, a less b, with the interval of the paired bootstrap.

    This is how the board ranks: entries are resampled with the same indices of the test data, and share a rank where
    the interval of their difference holds 0.

    Parameters
    ----------
    a, b : str, path or Result
        Name, slug or key of an entry among the rows, a result file (``.json``), or a `Result` of your own.
    task : str, optional
        Id of the task; not needed where the two have only one in common, such as that of a `Result`.
    results : path, optional
        Folder of result files; those of the board if not given.

    Returns
    -------
    PairedComparison
        The difference, its interval, and whether that leaves out 0.

    Raises
    ------
    UnknownIdError
        If no row has that name, or the two have no row of the task.
    ResultError
        If the two are not of the same test data, version or scorer, or differ in level or number of replicates.
    L96BenchError
        If the two have several tasks in common and none is given, or there is no board.

    Examples
    --------
    >>> import l96bench
    >>> gain = l96bench.compare("GRU + AR(1)", "fitted quartic", "online-rollout/wilks-f20-v2")
    >>> gain.difference > 0.0, gain.distinguishable
    (True, True)
    """
    found = pairs(a, b, () if task is None else (task,), results)
    if len(found) > 1:
        raise L96BenchError(f"expected a task, one of {', '.join(found)}")
    return paired(*found.popitem()[1])


def pairs(
    a: str | os.PathLike[str] | Result,
    b: str | os.PathLike[str] | Result,
    tasks: Sequence[str] = (),
    results: str | os.PathLike[str] | None = None,
) -> dict[str, tuple[Result, Result]]:
    """Return the rows of two entries, named as in `compare`, on some tasks, or on all that both have if none are given.

    Raises `UnknownIdError` if there are none, or not of all tasks.
    """
    given = [_given(each) for each in (a, b)]
    rows: list[Result] = []
    if not all(isinstance(each, Result) for each in given):
        rows = read_results(find_board() / "results" if results is None else results)
    one, other = ({each.task: each} if isinstance(each, Result) else _rows_of(rows, each) for each in given)
    found = {id: (one[id], other[id]) for id in one if id in other}
    if not found:
        raise UnknownIdError(
            f"expected two entries with a task in common, got one with {', '.join(one)}, one with {', '.join(other)}"
        )
    for id in tasks:
        if id not in found:
            raise UnknownIdError(f"no rows of both entries on {id!r}." + nearest(id, found))
    return {id: found[id] for id in tasks or found}


def _rows_of(rows: Sequence[Result], name: str) -> dict[str, Result]:
    """Return the rows of an entry by task; `UnknownIdError` if there are none."""
    slug = find_slug(rows, name)
    return {row.task: row for row in rows if row.slug == slug}


def find_slug(rows: Iterable[Result], name: str) -> str:
    """Return the slug of the entry among some rows that is named as `resolve` takes it; else `UnknownIdError`."""
    slugs: dict[str, str] = {}
    scripts: dict[str, str] = {}
    for row in rows:
        slugs[row.model.name] = row.slug
        scripts.setdefault(row.model.script, row.slug)
    slug = slug_of(name)
    if slug not in slugs.values() and name:
        slug = scripts.get(name, slug)
    if slug not in slugs.values():
        from l96bench.submissions.names import resolve

        with suppress(UnknownIdError):
            slug = slug_of(resolve(name).title)
    if slug not in slugs.values():
        raise UnknownIdError(f"no entry {name!r} among the rows." + nearest(name, slugs))
    return slug


def _given(entry: str | os.PathLike[str] | Result) -> str | Result:
    """Return a result, or that of a file, or a name."""
    if isinstance(entry, Result):
        return entry
    text = os.fspath(entry)
    return Result.read(text) if text.endswith(".json") else text
