"""The page of a season: who loses what outside the public test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from l96bench.board.season_page import check_season_pages, season_page, write_season_pages
from l96bench.errors import ResultError
from l96bench.results.record import Result
from l96bench.seasons.data import Season
from l96bench.seasons.record import SeasonRecord, record_path
from l96bench.seasons.scoring import results_folder

TASK = "subgrid-forcing/wilks-f20-v1"
SECRET = bytes(range(32))
Make = Callable[..., Result]


@pytest.fixture
def board(tmp_path: Path, make_result: Make) -> Path:
    """A season with an entry that overfits the public test, an honest one, and one that is not on the board."""
    season = {"split": "season trial", "data_digests": {"test": "cd" * 32}}
    drawn = {"split": "season trial, drawn parameters", "data_digests": {"test": "ef" * 32}}
    put(tmp_path / "results", make_result("Tuned", 95.0), make_result("Honest", 90.0))
    for name, value in (("Tuned", 88.0), ("Honest", 90.05), ("<b>Late</b>", 70.0)):
        put(results_folder(tmp_path, "trial", False), make_result(name, value, **season))
    put(results_folder(tmp_path, "trial", True), make_result("Honest", 80.0, **drawn))
    record(tmp_path)
    return tmp_path


def put(folder: Path, *results: Result) -> None:
    for result in results:
        result.write(folder / result.task / f"{result.slug}.json")


def record(board: Path, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "name": "trial",
        "opened": date(2026, 9, 1),
        "families": ["subgrid-forcing"],
        "regimes": ["wilks-f20"],
        "commitment": Season("trial", SECRET).commitment,
    }
    SeasonRecord(**(fields | changes)).write(record_path(board, "trial"))


def test_overfitting_is_made_visible(board: Path) -> None:
    lines = [" ".join(line.split()) for line in season_page(board, "trial").splitlines()]
    [tuned] = [line for line in lines if "Tuned" in line]
    [honest] = [line for line in lines if "Honest" in line]
    [late] = [line for line in lines if "Late" in line]
    assert "| 95.0 [" in tuned
    assert "| +7.00 [+6." in tuned
    assert "] ≠ 0 |" in tuned
    assert "| -0.05 [-0." in honest
    assert "| +10.05 [+9." in honest
    assert late.startswith("| [&lt;b&gt;Late&lt;/b&gt;](../cards/b-late-b.md) | – | 70.0 [")
    [summary] = [line for line in lines if line.startswith("Of 2 entries")]
    assert "1 score lower on the season" in summary
    assert "chance alone is expected to make 0.1 of each" in summary


def test_the_secret_is_on_the_page_once_it_is_revealed(board: Path) -> None:
    assert write_season_pages(board) == [board / "seasons" / "trial.md"]
    assert check_season_pages(board) == []
    assert SECRET.hex() not in (board / "seasons" / "trial.md").read_text()
    record(board, secret=SECRET.hex(), revealed=date(2026, 10, 1))
    assert check_season_pages(board) == [f"{board / 'seasons' / 'trial.md'}: missing or out of date"]
    page = season_page(board, "trial")
    drawn = Season("trial", SECRET).regime("wilks-f20", True)
    assert SECRET.hex() in page
    assert f"For wilks-f20, F = {drawn.F}, h = {drawn.h}, c = {drawn.c} were drawn." in page


def test_rows_of_other_data_do_not_stand_together(board: Path, make_result: Make) -> None:
    put(results_folder(board, "trial", False), make_result("Other", 80.0))
    with pytest.raises(ResultError, match="cannot be compared"):
        season_page(board, "trial")
