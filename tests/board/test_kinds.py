"""Three kinds of rows: what is trained here, sealed by a season, or declared, and which of them have a rank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l96bench.board.columns import shared_columns
from l96bench.board.page import page
from l96bench.board.render import compact_tables, render
from l96bench.board.seasons import SeasonRows
from l96bench.board.tables import Row, make_tables
from l96bench.results.load import read_results
from l96bench.results.origin import FreshDraw, Origin, SubmissionInfo
from l96bench.results.record import Result

ROOT = Path(__file__).parents[2]
Make = Callable[..., Result]
OTHER = "b" * 64


def declared(make_result: Make, name: str, value: float, digest: str = "a" * 64, **changes: Any) -> Result:
    info = SubmissionInfo(status="verified", authors=["Somebody"], artifact="closure.onnx", artifact_sha256=digest)
    return make_result(name, value, submission=info, predictions_digest=f"{sum(map(ord, name)):064x}", **changes)


def drawn(difference: float, half: float, value: float) -> FreshDraw:
    low, high = difference - half, difference + half
    return FreshDraw(seed=1, score=value - difference, difference=difference, low=low, high=high)


@pytest.fixture
def rows(make_result: Make) -> list[Result]:
    floor = {"kind": "reference", "command": ""}
    return [
        make_result("Perfect", 100.0, model=floor),
        make_result("Script", 84.0),
        declared(make_result, "Looked up", 99.0),
        declared(make_result, "Honest", 90.0, fresh=drawn(0.2, 1.0, 90.0)),
        declared(make_result, "Fitted to the test", 95.0, fresh=drawn(8.0, 1.0, 95.0)),
    ]


def by_name(results: list[Result], season: SeasonRows | None = None) -> dict[str, Row]:
    (table,) = make_tables(results, None if season is None else {results[0].task: season})
    return {row.result.model.name: row for row in table.rows}


def test_only_what_more_than_the_public_test_speaks_for_has_a_rank(rows: list[Result]) -> None:
    found = by_name(rows)
    assert {name: row.rank for name, row in found.items()} == {
        "Perfect": None,
        "Looked up": None,
        "Fitted to the test": None,
        "Honest": 1,
        "Script": 2,
    }
    assert [flag.mark for flag in found["Looked up"].flags] == ["U"]
    assert [flag.mark for flag in found["Fitted to the test"].flags] == ["F"]
    assert found["Honest"].flags == ()


def test_a_season_seals_the_artifact_that_it_scored(rows: list[Result], make_result: Make) -> None:
    there = {
        "looked-up": declared(make_result, "Looked up", 98.9, split="season trial"),
        "script": make_result("Script", 84.1, split="season trial"),
    }
    assert [row.origin for row in there.values()] == [Origin.SEALED, Origin.TRAINED_HERE]
    sealed = by_name(rows, SeasonRows("trial", there))
    assert (sealed["Looked up"].kind, sealed["Looked up"].rank) == ("sealed", 1)
    assert sealed["Script"].kind == "trained here"
    assert sealed["Honest"].kind == "declared"
    there["looked-up"] = declared(make_result, "Looked up", 98.9, digest=OTHER, split="season trial")
    assert by_name(rows, SeasonRows("trial", there))["Looked up"].rank is None  # another file was sealed
    there["looked-up"] = declared(make_result, "Looked up", 60.0, split="season trial")
    found = by_name(rows, SeasonRows("trial", there))["Looked up"]
    assert (found.kind, found.rank, [flag.mark for flag in found.flags]) == ("sealed", None, ["F"])


def test_the_kinds_are_told_everywhere(rows: list[Result]) -> None:
    tables = make_tables(rows)
    pages = render(tables)
    board = " ".join(pages["README.md"].split())
    for cell in ("| reference |", "| trained here |", "| declared (U) |", "| declared (F) |", "| declared |"):
        assert cell in board
    assert "| trained here |" in " ".join(compact_tables(tables, "cards", best=2).split())
    assert "Looked up" not in compact_tables(tables, "cards", best=2)
    assert "- Kind of row: declared" in pages["cards/honest.md"]
    assert "+0.20 [-0.80, +1.20]" in pages["cards/honest.md"]
    assert "no rank" in pages["cards/fitted-to-the-test.md"]
    html = page(tables)
    for text in ('"trained here"', '"declared"', '"reference"', ">trained here<", ">declared<"):
        assert text in html
    assert {"origin", "fresh_draw_difference"} <= {each.key for each in shared_columns(0.95)}


def test_a_row_without_a_draw_is_the_file_that_it_was(rows: list[Result], tmp_path: Path) -> None:
    for row in rows:
        row.write(tmp_path / "row.json")
        assert ('"fresh"' in (tmp_path / "row.json").read_text()) == (row.fresh is not None)
        assert Result.read(tmp_path / "row.json") == row


@pytest.mark.slow
def test_committed_rows_are_of_their_kind() -> None:
    submissions = {path.name for path in (ROOT / "leaderboard" / "submissions").iterdir()}
    for row in read_results(ROOT / "leaderboard" / "results"):
        assert row.origin == (Origin.DECLARED if row.slug in submissions else Origin.TRAINED_HERE)
