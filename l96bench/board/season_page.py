"""The page of a season: the public test beside the season's, entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from l96bench.board.flags import is_reference
from l96bench.board.render import render_template
from l96bench.board.seasons import difference, load_rows, summary
from l96bench.board.tables import change_markdown, family, score_markdown
from l96bench.board.text import NONE, Markdown, escape, markdown_table
from l96bench.files import write_atomic
from l96bench.results.combine import require_comparable
from l96bench.results.record import Result, Value
from l96bench.seasons.data import RANGES
from l96bench.seasons.record import SeasonRecord, record_path, season_names
from l96bench.seasons.scoring import results_folder

__all__ = ["check_season_pages", "season_page", "write_season_pages"]

_HEADER = ("entry", "public test", "season", "public - season", "drawn parameters", "season - drawn")


@dataclass(frozen=True, slots=True)
class _Row:
    """One entry on one task: on the season, and, where there are such rows, on the public test and at drawn parameters.

    The differences are None where a row is missing.
    """

    season: Result
    public: Result | None
    drawn: Result | None

    @property
    def change(self) -> Value | None:
        """Public test less season."""
        return None if self.public is None else difference(self.public, self.season)

    @property
    def change_drawn(self) -> Value | None:
        """Named less drawn parameters."""
        return None if self.drawn is None else difference(self.season, self.drawn)


def season_page(board: Path, name: str) -> str:
    """The Markdown page of a season, from its record, its rows and those of the public board.

    Raises
    ------
    ResultError
        If there is no such season, or its rows cannot stand together.
    """
    record = SeasonRecord.read(record_path(board, name))
    found = [load_rows(results_folder(board, name, drawn)) for drawn in (False, True)]
    public = load_rows(board / "results")
    sections = []
    for task in dict.fromkeys(result.task for result in found[0].values()):
        rows = [
            _Row(result, public.get((task, result.slug)), found[1].get((task, result.slug)))
            for result in found[0].values()
            if result.task == task
        ]
        for kind in ([row.season for row in rows], [row.drawn for row in rows if row.drawn is not None]):
            require_comparable(kind)
        rows.sort(key=lambda row: (not is_reference(row.season), -row.season.score.value, row.season.slug))
        sections.append((family(rows[0].season.family).title, task, _table(rows), _summary(rows)))
    ranges = ", ".join(f"{key} by up to {100 * reach:g} %" for key, reach in RANGES.items())
    season = None if record.secret is None else record.season()
    drawn = [season.regime(regime, True) for regime in record.regimes] if season else []
    return render_template("season.md.j2", record=record, sections=sections, ranges=ranges, drawn=drawn)


def write_season_pages(board: Path) -> list[Path]:
    """Make the pages of all seasons, ``seasons/NAME.md``; their paths."""
    return [_write(path, text) for path, text in _pages(board).items()]


def check_season_pages(board: Path) -> list[str]:
    """The pages of seasons that are missing or out of date."""
    wrong = []
    for path, text in _pages(board).items():
        if not path.is_file() or path.read_bytes() != text.encode():
            wrong.append(f"{path}: missing or out of date")
    return wrong


def _pages(board: Path) -> dict[Path, str]:
    return {record_path(board, name).with_suffix(".md"): season_page(board, name) for name in season_names(board)}


def _write(path: Path, text: str) -> Path:
    write_atomic(path, text)
    return path


def _table(rows: Sequence[_Row]) -> Markdown:
    return markdown_table(_HEADER, [_cells(row) for row in rows], left=("entry",))


def _cells(row: _Row) -> list[object]:
    name = escape(row.season.model.name)
    scores = [None if each is None else score_markdown(each) for each in (row.public, row.season, row.drawn)]
    public, season, drawn = (NONE if each is None else each for each in scores)
    changes = [change_markdown(each) for each in (row.change, row.change_drawn)]
    entry = Markdown(f"*{name}*") if is_reference(row.season) else Markdown(f"[{name}](../cards/{row.season.slug}.md)")
    return [entry, public, season, changes[0], drawn, changes[1]]


def _summary(rows: Sequence[_Row]) -> str:
    changes = [change for row in rows if not is_reference(row.season) and (change := row.change) is not None]
    return summary(changes, rows[0].season.score.level)
