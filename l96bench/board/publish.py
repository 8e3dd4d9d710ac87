"""Write, check and print the board's files from a folder of results."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from l96bench.board import render
from l96bench.board.page import THUMBNAILS, page, thumbnails
from l96bench.board.season_page import check_season_pages, season_pages
from l96bench.board.seasons import revealed_seasons
from l96bench.board.tables import Table, make_tables
from l96bench.entries.entry import Entry, baseline_names, find_entry
from l96bench.errors import UnknownIdError, nearest
from l96bench.files import locked, replace_all, write_atomic
from l96bench.results.load import read_results
from l96bench.results.origin import slug_of
from l96bench.submissions.names import resolve
from l96bench.tasks.registry import make_task

__all__ = ["PAGE", "card", "check", "text", "write"]

PAGE = "index.html"
"""The page's file in the board's folder."""
_MARKER = "tables"
_BEST = 5
"""Rows of a task in the README."""


def write(results: Path, output: Path, readme: Path | None = None) -> None:
    """Make the tables, cards, page and seasons in `output`, all or none, and the tables of a README with markers."""
    output.mkdir(parents=True, exist_ok=True)
    with locked(output):
        tables = _tables(results, output, _baselines_of)
        files = render.changes(output, tables) | {PAGE: _page(tables, output)}
        if _has_seasons(results, output):
            files |= {path.relative_to(output).as_posix(): text for path, text in season_pages(output).items()}
        text = None if readme is None else _embedded(readme.read_text(encoding="utf-8"), tables)
        replace_all(output, {name: text for name, text in files.items() if not _is(output / name, text)})
        if readme is not None and text is not None:
            write_atomic(readme, text)


def _is(path: Path, text: str | None) -> bool:
    """Return whether a file has this text."""
    return text is not None and path.is_file() and path.read_bytes() == text.encode()


def check(results: Path, output: Path, readme: Path | None = None) -> list[str]:
    """Return what differs between the files and what the results make; empty when they are up to date."""
    tables = _tables(results, output, _baselines_of)
    differences = render.check(output, tables)
    path = output / PAGE
    if not path.is_file():
        differences.append(f"{PAGE}: missing")
    elif path.read_bytes() != _page(tables, output).encode():
        differences.append(f"{PAGE}: out of date")
    if _has_seasons(results, output):
        differences += check_season_pages(output)
    if readme is not None:
        found = readme.read_text(encoding="utf-8")
        if _embedded(found, tables) != found:
            differences.append(f"{readme}: its tables are out of date")
    return differences


def _has_seasons(results: Path, board: Path) -> bool:
    """Return whether the results are a board's own, which its seasons are compared with."""
    return results.resolve() == (board / "results").resolve()


def _baselines_of(task: str) -> Sequence[str]:
    """Return the names of the baselines that enter a task; none for a task that is not installed."""
    try:
        known = make_task(task)
    except UnknownIdError:
        return ()
    return [entry.name for entry in _baselines() if entry.accepts(known)]


def _tables(results: Path, board: Path, entered: Callable[[str], Sequence[str]] | None = None) -> tuple[Table, ...]:
    """Return the tables of the results; if they are the board's own, with its seasons and the rows still to come."""
    if not _has_seasons(results, board):
        return make_tables(read_results(results))
    return make_tables(read_results(results), revealed_seasons(board), entered)


@functools.cache
def _baselines() -> tuple[Entry, ...]:
    return tuple(find_entry(name)[0] for name in baseline_names())


def _page(tables: Sequence[Table], output: Path) -> str:
    """Return the page with the thumbnails beside it, which `make figures` makes."""
    return page(tables, thumbnails(output / THUMBNAILS))


def _embedded(readme: str, tables: Sequence[Table]) -> str:
    """Return a README with the best rows of every task."""
    return render.embed(readme, _MARKER, render.compact_tables(tables, "leaderboard/cards", best=_BEST))


def text(results: Path) -> str:
    """Return compact tables of all tasks."""
    return render.compact_tables(make_tables(read_results(results)), cards="cards")


def card(results: Path, name: str) -> str:
    """Return the card of one entry, named as `resolve` takes it; raise `UnknownIdError` if no row has the name."""
    tables = _tables(results, results.parent)
    slugs = {row.result.model.name: row.result.slug for one in tables for row in one.rows}
    slug = slug_of(name)
    if slug not in slugs.values():
        with suppress(UnknownIdError):
            slug = slug_of(resolve(name).title)
    if slug not in slugs.values():
        raise UnknownIdError(f"{results} has no entry {name!r}." + nearest(name, slugs))
    return render.render(tables)[f"cards/{slug}.md"]
