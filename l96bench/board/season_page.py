"""Make the page of a season: scores on the public test beside those on the season's, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from l96bench.board.flags import is_reference
from l96bench.board.render import render_template
from l96bench.board.seasons import difference, load_rows, summary
from l96bench.board.tables import change_markdown, family, score_markdown
from l96bench.board.text import NONE, Markdown, escape, markdown_table
from l96bench.files import write_atomic
from l96bench.results.combine import require_comparable
from l96bench.results.record import Result
from l96bench.results.score import Value
from l96bench.seasons.data import RANGES
from l96bench.seasons.record import SeasonRecord, record_path, season_names
from l96bench.seasons.scoring import results_folder
from l96bench.seasons.tasks import drawn_regimes

__all__ = ["check_season_pages", "season_page", "season_pages", "write_season_pages"]

_HEADER = ("entry", "public test", "season", "public - season", "drawn parameters", "season - drawn")


@dataclass(frozen=True, slots=True)
class _Row:
    """The rows of one entry on one task: on the season, on the public test, and at drawn parameters."""

    season: Result
    public: Result | None
    drawn: Result | None

    @property
    def change(self) -> Value | None:
        """Public test less season; None without a public row."""
        return None if self.public is None else difference(self.public, self.season)


def season_page(board: Path, name: str) -> str:
    """Return the Markdown page of a season; raise `ResultError` if it does not exist or its rows do not match."""
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
        changes = [change for row in rows if not is_reference(row.season) and (change := row.change) is not None]
        table = markdown_table(_HEADER, [_cells(row) for row in rows], left=("entry",))
        level = rows[0].season.score.level
        sections.append((family(rows[0].season.family).title, task, table, summary(changes, level)))
    ranges = ", ".join(f"{key} by up to {100 * reach:g} %" for key, reach in RANGES.items())
    season = None if record.secret is None else record.season()
    drawn = [season.regime(each, True) for each in drawn_regimes(record.regimes)] if season else []
    return render_template("season.md.j2", record=record, sections=sections, ranges=ranges, drawn=drawn)


def write_season_pages(board: Path) -> list[Path]:
    """Make the pages of all seasons, ``seasons/NAME.md``, and return their paths."""
    pages = season_pages(board)
    for path, text in pages.items():
        write_atomic(path, text)
    return list(pages)


def check_season_pages(board: Path) -> list[str]:
    """Return the pages of seasons that are missing or out of date."""
    return [
        f"{path}: missing or out of date"
        for path, text in season_pages(board).items()
        if not path.is_file() or path.read_bytes() != text.encode()
    ]


def season_pages(board: Path) -> dict[Path, str]:
    """Return the texts of the pages of all seasons by path."""
    return {record_path(board, name).with_suffix(".md"): season_page(board, name) for name in season_names(board)}


def _cells(row: _Row) -> list[object]:
    name = escape(row.season.model.name)
    rows = row.public, row.season, row.drawn
    public, season, drawn = (NONE if each is None else score_markdown(each) for each in rows)
    named_less_drawn = None if row.drawn is None else difference(row.season, row.drawn)
    changes = [change_markdown(each) for each in (row.change, named_less_drawn)]
    entry = Markdown(f"*{name}*") if is_reference(row.season) else Markdown(f"[{name}](../cards/{row.season.slug}.md)")
    return [entry, public, season, changes[0], drawn, changes[1]]
