"""Write, check and print the board's files from a folder of results."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from l96bench.board import render
from l96bench.board.data_files import PARQUET, data_files, stale_data_files
from l96bench.board.page import THUMBNAILS, page, report_names, thumbnails
from l96bench.board.rows import find_slug
from l96bench.board.season_page import check_season_pages, season_pages
from l96bench.board.tables import Table, make_tables, read_tables
from l96bench.entries.entry import Entry
from l96bench.entries.lookup import baseline_names, find_entry
from l96bench.errors import L96BenchError, UnknownIdError
from l96bench.files import locked, replace_all, write_atomic
from l96bench.results.load import is_boards, read_results
from l96bench.tasks.registry import make_task

__all__ = ["PAGE", "PARQUET", "card", "check", "text", "write"]

PAGE = "index.html"
"""The page's file in the board's folder."""
_MARKER = "tables"


def write(results: Path, output: Path, readme: Path | None = None) -> None:
    """Make tables, cards, page, data and seasons in `output`, all or none, and the tables of a README with markers.

    Raises `L96BenchError` for an output below the results, where its JSON file would be taken for a row.
    """
    if output.resolve().is_relative_to(results.resolve()):
        raise L96BenchError(f"{output}: expected a folder outside of {results}, in which every JSON file is a row")
    output.mkdir(parents=True, exist_ok=True)
    with locked(output):
        tables = read_tables(results, output, _baselines_of)
        files: dict[str, str | bytes | None] = {**render.changes(output, tables), PAGE: _page(tables, output)}
        files |= data_files(tables, results, output)
        if is_boards(results, output):
            files |= {path.relative_to(output).as_posix(): text for path, text in season_pages(output).items()}
        text = None if readme is None else _embedded(readme.read_text(encoding="utf-8"), tables)
        replace_all(output, {name: text for name, text in files.items() if not _is(output / name, text)})
        if readme is not None and text is not None:
            write_atomic(readme, text)


def _is(path: Path, content: str | bytes | None) -> bool:
    """Return whether a file has this content; None is for one that is not there."""
    if content is None or not path.is_file():
        return content is None and not path.exists()
    return path.read_bytes() == (content.encode() if isinstance(content, str) else content)


def check(results: Path, output: Path, readme: Path | None = None) -> list[str]:
    """Return what differs between the files and what the results make; empty when they are up to date."""
    tables = read_tables(results, output, _baselines_of)
    differences = render.check(output, tables)
    path = output / PAGE
    if not path.is_file():
        differences.append(f"{PAGE}: missing")
    elif path.read_bytes() != _page(tables, output).encode():
        differences.append(f"{PAGE}: out of date")
    differences += stale_data_files(tables, results, output)
    if is_boards(results, output):
        differences += check_season_pages(output)
    if readme is not None:
        found = readme.read_text(encoding="utf-8")
        if _embedded(found, tables) != found:
            differences.append(f"{readme}: its tables are out of date")
    return differences


def _baselines_of(task: str) -> Sequence[str]:
    """Return the names of the baselines that enter a task; none for a task that is not installed."""
    try:
        known = make_task(task)
    except UnknownIdError:
        return ()
    return [entry.name for entry in _baselines() if entry.accepts(known)]


@functools.cache
def _baselines() -> tuple[Entry, ...]:
    return tuple(find_entry(name)[0] for name in baseline_names())


def _page(tables: Sequence[Table], output: Path) -> str:
    """Return the page with the thumbnails beside it, which `make figures` makes, and links to the reports there."""
    return page(tables, thumbnails(output / THUMBNAILS), report_names(output))


def _embedded(readme: str, tables: Sequence[Table]) -> str:
    """Return a README with the best entry of every question."""
    return render.embed(readme, _MARKER, render.winners_table(tables, "leaderboard/cards"))


def text(results: Path, board: Path | None = None) -> str:
    """Return compact tables of all tasks of some results; among the rows of a board, if one is given."""
    rows = list(read_results(results))
    if board is not None:
        own = {row.slug for row in rows}
        folders = [board / "results" / task for task in dict.fromkeys(row.task for row in rows)]
        others = [row for folder in folders if folder.is_dir() for row in read_results(folder)]
        rows += [row for row in others if row.slug not in own]
    return render.compact_tables(make_tables(rows), cards="cards")


def card(results: Path, name: str) -> str:
    """Return the card of one entry, named as `resolve` takes it; raise `UnknownIdError` if no row has the name."""
    tables = read_tables(results)
    slug = find_slug((row.result for one in tables for row in one.rows), name)
    return render.render(tables)[f"cards/{slug}.md"]
