"""Reading a folder of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from l96bench.errors import ResultError
from l96bench.results.load import read_results
from l96bench.results.record import Result


def test_every_result_below_the_folder_in_the_order_of_paths(tmp_path: Path, results: list[Result]) -> None:
    for name, result in zip(["b/1.json", "a.json", "b/0.json"], results, strict=False):
        result.write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a result")
    assert read_results(tmp_path) == [results[1], results[2], results[0]]


def test_a_broken_file_is_named(tmp_path: Path, results: list[Result]) -> None:
    results[0].write(tmp_path / "good.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ResultError, match=r"broken\.json"):
        read_results(tmp_path)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="nowhere"):
        read_results(tmp_path / "nowhere")


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert read_results(tmp_path) == []
