"""The board's files from a folder of results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from l96bench.board import publish
from l96bench.entries.run import result_path
from l96bench.errors import ResultError, UnknownIdError
from l96bench.files import finish_writing
from l96bench.results.record import Result
from tests.killing import kills

README = "# Title\n\n<!-- l96bench:tables -->\nold table\n<!-- /l96bench:tables -->\n\nThe end.\n"


@pytest.fixture
def folder(tmp_path: Path, results: list[Result]) -> Path:
    """A folder of results in the places where `l96bench run` puts them."""
    for result in results:
        result.write(result_path(tmp_path / "results", result))
    return tmp_path / "results"


def test_what_is_written_is_up_to_date(folder: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(README)
    publish.write(folder, tmp_path / "board", readme)
    assert publish.check(folder, tmp_path / "board", readme) == []
    board = (tmp_path / "board" / "README.md").read_text()
    assert "Wilks (2005)" in board
    assert (tmp_path / "board" / "cards" / "stencil-network.md").exists()
    written = readme.read_text()
    assert written.startswith("# Title\n\n<!-- l96bench:tables -->")
    assert written.endswith("The end.\n")
    assert "old table" not in written
    assert "[Forest](leaderboard/cards/forest.md)" in written
    assert "stencil-network.md" not in written


def test_one_character_is_noticed(folder: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(README)
    publish.write(folder, tmp_path / "board", readme)
    for path in (tmp_path / "board" / "README.md", tmp_path / "board" / "cards" / "forest.md", readme):
        before = path.read_text()
        path.write_text(before.replace("91.3", "91.4", 1))
        differences = publish.check(folder, tmp_path / "board", readme)
        assert len(differences) == 1
        assert path.name in differences[0]
        path.write_text(before)
    assert publish.check(folder, tmp_path / "board", readme) == []


def test_a_new_or_lost_result_makes_the_board_out_of_date(folder: Path, tmp_path: Path, results: list[Result]) -> None:
    publish.write(folder, tmp_path / "board")
    forest = next(result for result in results if result.model.name == "Forest")
    result_path(folder, forest).unlink()
    differences = publish.check(folder, tmp_path / "board")
    assert any("README.md" in each for each in differences)
    assert any("forest.md" in each for each in differences)
    publish.write(folder, tmp_path / "board")
    assert not (tmp_path / "board" / "cards" / "forest.md").exists()
    assert publish.check(folder, tmp_path / "board") == []


def test_results_that_cannot_stand_together_leave_the_old_board(
    folder: Path, tmp_path: Path, make_result: Callable[..., Result]
) -> None:
    publish.write(folder, tmp_path / "board")
    other = make_result("new", 1.0, scorer_version="9")
    other.write(result_path(folder, other))
    with pytest.raises(ResultError, match="scorer_version"):
        publish.write(folder, tmp_path / "board")
    result_path(folder, other).unlink()
    assert publish.check(folder, tmp_path / "board") == []


@pytest.mark.slow
def test_tables_that_are_killed_while_they_are_written_are_old_or_new(
    folder: Path, tmp_path: Path, results: list[Result]
) -> None:
    board, forest = tmp_path / "board", next(result for result in results if result.model.name == "Forest")
    publish.write(folder, board)
    old = {path: path.read_bytes() for path in board.rglob("*") if path.is_file()}
    result_path(folder, forest).unlink()  # its card goes, two pages change
    found = []
    for _ in kills(lambda: publish.write(folder, board), board):
        finish_writing(board)
        found.append({path: path.read_bytes() for path in board.rglob("*") if path.is_file()})
        forest.write(result_path(folder, forest))
        publish.write(folder, board)
        result_path(folder, forest).unlink()
    publish.write(folder, board)
    new = {path: path.read_bytes() for path in board.rglob("*") if path.is_file()}
    assert new.keys() < old.keys()
    assert all(each in (old, new) for each in found)
    assert (found[0], found[-1]) == (old, new)


def test_a_board_that_was_never_made_is_out_of_date(folder: Path, tmp_path: Path) -> None:
    assert "README.md: missing" in publish.check(folder, tmp_path / "nowhere")


def test_a_readme_without_its_markers_is_an_error(folder: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n")
    with pytest.raises(ResultError, match="expected one <!-- l96bench:tables -->"):
        publish.write(folder, tmp_path / "board", readme)
    assert readme.read_text() == "# Title\n"


def test_text_shows_all_tasks(folder: Path, results: list[Result]) -> None:
    text = publish.text(folder)
    assert all(f"`{result.task}`" in text for result in results)
    assert all(result.slug in text for result in results)


@pytest.mark.parametrize("name", ["Wilks (2005)", "wilks (2005)", "wilks-2005"])
def test_a_card_is_found_by_name_and_slug(folder: Path, name: str) -> None:
    card = publish.card(folder, name)
    assert "Wilks (2005)" in card
    # Both families, side by side.
    assert "70.0" in card
    assert "65.0" in card


def test_an_unknown_card_names_the_nearest(folder: Path) -> None:
    with pytest.raises(UnknownIdError, match=r"no entry 'Forrest' among the rows\. Did you mean 'Forest'"):
        publish.card(folder, "Forrest")


def test_a_folder_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    for call in (publish.text, lambda folder: publish.check(folder, folder), lambda folder: publish.card(folder, "a")):
        with pytest.raises(ResultError, match="expected a folder of results"):
            call(tmp_path / "nothing")
