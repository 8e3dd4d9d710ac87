"""A submission is put on the board whole or not at all, and only by one of two at the same time."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from l96bench.errors import SubmissionError
from l96bench.files import finish_writing
from l96bench.results.record import Result
from l96bench.submissions import folder as folders
from l96bench.submissions.folder import Check, Scored, SubmissionFolder, score_folder, submit_folder
from l96bench.tasks.base import Task
from l96bench.tasks.registry import tasks_given_as
from tests.killing import kills

OFFLINE, MEMORY = "subgrid-forcing/wilks-f20-v1", "subgrid-forcing/arnold-c4-v1"
BOARD = Path("leaderboard")


@pytest.fixture
def two_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: None) -> Iterator[tuple[Path, Path]]:
    """Two versions of a submission, the second with another task and another file; they are scored once."""
    from tests.examples import filled_example

    monkeypatch.chdir(tmp_path)
    with tasks_given_as(Task.miniature):
        first, second = tmp_path / "first", tmp_path / "second"
        filled_example(first, "subgrid-forcing")
        shutil.copytree(first, second)
        for path, tasks in ((first, [OFFLINE]), (second, [MEMORY])):
            text = (path / "submission.yaml").read_text()
            assert f"  - {OFFLINE}\n" in text
            (path / "submission.yaml").write_text(text.replace(f"  - {OFFLINE}\n", f"  - {tasks[0]}\n"))
        (second / "README.md").write_text("The second.\n")
        scored = {path.name: score_folder(SubmissionFolder.read(path), status="verified") for path in (first, second)}
        assert not any(each.faults for each in scored.values())
        monkeypatch.setattr(folders, "check_folder", lambda path, **_: Check())
        monkeypatch.setattr(folders, "score_folder", lambda folder, **_: scored[folder.path.name])
        yield first, second


def board() -> dict[str, bytes]:
    """All files and empty folders of the board, the lock of nobody among them."""
    return {
        path.relative_to(BOARD).as_posix(): b"" if path.is_dir() else path.read_bytes()
        for path in BOARD.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


def states(two_versions: tuple[Path, Path]) -> list[dict[str, bytes]]:
    """The board before the first, with the first, and with the second."""
    found = [{}]
    for each in two_versions:
        submit_folder(each, BOARD)
        found.append(board())
    shutil.rmtree(BOARD)
    return found


@pytest.mark.slow
def test_a_killed_submission_is_on_the_board_whole_or_not_at_all(two_versions: tuple[Path, Path]) -> None:
    """A first one, and an update that changes the files and the tasks; also on a board that others are on."""
    first, second = two_versions
    none, one, two = states(two_versions)
    assert set(two) == {
        *("submissions/example-quartic/submission.yaml", "submissions/example-quartic/closure.onnx"),
        *("submissions/example-quartic/README.md", f"results/{MEMORY}/example-quartic.json"),
    }
    for start, path, end in ((none, first, one), (one, second, two)):
        found = []
        shutil.rmtree(BOARD, ignore_errors=True)
        if start:
            submit_folder(first, BOARD)
        for _ in kills(lambda path=path: submit_folder(path, BOARD), BOARD.absolute().parent):  # type: ignore[misc]
            finish_writing(BOARD)  # as every command does that looks for the board
            found.append(board())
            shutil.rmtree(BOARD, ignore_errors=True)
            if start:
                submit_folder(first, BOARD)
        assert all(each in (start, end) for each in found)
        assert (found[0], found[-1]) == (start, end)


@pytest.mark.slow
def test_after_a_kill_the_same_command_does_it(two_versions: tuple[Path, Path]) -> None:
    first, second = two_versions
    _, one, two = states(two_versions)
    submit_folder(first, BOARD)
    for _ in kills(lambda: submit_folder(second, BOARD), BOARD.absolute().parent):
        submit_folder(second, BOARD)
        assert board() == two
        submit_folder(first, BOARD)
        assert board() == one


@pytest.mark.slow
def test_of_two_at_the_same_time_one_wins(two_versions: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is submitted while the first is scored: on an empty board, and as an update."""
    first, second = two_versions
    _, one, two = states(two_versions)
    score = folders.score_folder
    inner: list[Path] = []

    def meanwhile(folder: SubmissionFolder, **options: object) -> Scored:
        if inner:
            submit_folder(inner.pop(), BOARD)
        return score(folder, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(folders, "score_folder", meanwhile)
    for own, other, end in ((first, second, two), (second, first, one)):
        inner.append(other)
        with pytest.raises(SubmissionError, match="example-quartic: somebody else has just submitted"):
            submit_folder(own, BOARD)
        assert board() == end


@pytest.mark.slow
def test_rows_are_those_that_were_scored(two_versions: tuple[Path, Path]) -> None:
    results = submit_folder(two_versions[0], BOARD)
    assert [Result.read(path) for path in BOARD.rglob("*.json")] == results


@pytest.mark.slow
def test_what_was_checked_is_scored_and_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: None
) -> None:
    """The folder gets another file and another description while it is checked."""
    from tests.examples import filled_example

    monkeypatch.chdir(tmp_path)
    filled_example(tmp_path / "mine", "subgrid-forcing")
    before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    check = folders.check_folder

    def changed_meanwhile(*arguments: Any, **options: Any) -> Check:
        found = check(*arguments, **options)
        for path in (tmp_path / "mine").iterdir():
            path.write_text("another")
        return found

    monkeypatch.setattr(folders, "check_folder", changed_meanwhile)
    with tasks_given_as(Task.miniature):
        [result] = submit_folder(tmp_path / "mine", BOARD)
    copied = BOARD / "submissions" / "example-quartic"
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
    assert result.submission is not None
    assert result.submission.artifact_sha256 == hashlib.sha256(before["closure.onnx"]).hexdigest()
