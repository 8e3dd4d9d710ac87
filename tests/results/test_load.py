"""Folders of results, and the board around a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from l96bench.results.load import find_board


@pytest.mark.parametrize("name", ["leaderboard", "shared"])
def test_a_board_is_found_from_any_folder_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    board = tmp_path / name
    (board / "results" / "family").mkdir(parents=True)
    (board / "submissions").mkdir()
    for folder in (board, board / "results" / "family"):
        monkeypatch.chdir(folder)
        assert find_board() == find_board(new=True) == board


def test_results_alone_are_no_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_board(new=True) == Path("leaderboard")
