"""Files are written whole or not at all: every write is killed at every change that it makes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

from l96bench.files import finish_writing, locked, read_checked, replace_all, write_atomic, write_checked
from l96bench.processes import ended_by_signals
from tests.killing import kills

OLD = {"kept.txt": "kept", "rows/a.txt": "old a", "rows/b.txt": "old b", "gone/c.txt": "old c"}
CHANGES = {"rows/a.txt": "new a", "rows/b.txt": None, "gone/c.txt": None, "new/deep/d.txt": "new d", "e.txt": b"\xff"}
NEW = {"kept.txt": "kept", "rows/a.txt": "new a", "new/deep/d.txt": "new d", "e.txt": "\udcff"}


def fill(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in OLD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    """All files below a folder, and empty folders."""
    return {
        path.relative_to(folder).as_posix(): "" if path.is_dir() else path.read_text(errors="surrogateescape")
        for path in folder.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


def change(folder: Path) -> None:
    with locked(folder):
        replace_all(folder, CHANGES)


@pytest.mark.slow
def test_several_files_are_replaced_all_or_none(tmp_path: Path) -> None:
    folder, found = tmp_path / "folder", []
    fill(folder)
    for _ in kills(lambda: change(folder), folder):
        finish_writing(folder)
        found.append(contents(folder))
        assert found[-1] in (OLD, NEW)
        fill(folder)
    assert len(found) > 15
    assert found == sorted(found, key=lambda each: each == NEW)  # once it is decided, it stays so
    assert (found[0], found[-1]) == (OLD, NEW)


@pytest.mark.slow
def test_the_next_change_finishes_a_killed_one_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    fill(folder)
    for _ in kills(lambda: change(folder), folder):
        with locked(folder):
            replace_all(folder, {"f.txt": "f"})
        assert contents(folder) in (OLD | {"f.txt": "f"}, NEW | {"f.txt": "f"})
        fill(folder)


@pytest.mark.slow
def test_finishing_may_be_killed_too(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    fill(folder)
    for _ in kills(lambda: change(folder), folder):
        for _ in kills(lambda: finish_writing(folder), folder):
            pass
        assert contents(folder) in (OLD, NEW)
        fill(folder)


def test_what_lies_there_under_the_name_of_a_journal_is_not_believed(tmp_path: Path) -> None:
    """Otherwise somebody's branch could write any file of whoever looks at it."""
    folder, other = tmp_path / "folder", tmp_path / "other"
    fill(folder)
    for n in kills(lambda: change(folder), folder):
        if n and (folder / ".l96bench-journal").is_dir():
            break
    shutil.copytree(folder, other)
    before = {name: text for name, text in contents(other).items() if not name.startswith(".")}
    finish_writing(other)
    assert contents(other) == before
    finish_writing(folder)
    assert contents(folder) == NEW


def test_a_folder_that_cannot_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    fill(tmp_path / "folder")
    with pytest.raises(OSError, match=r"rows/a\.txt"), locked(tmp_path / "folder"):
        replace_all(tmp_path / "folder", {"new.txt": "", "rows/a.txt/below": ""})
    assert contents(tmp_path / "folder") == OLD


def _count(folder: Path) -> None:
    for _ in range(50):
        with locked(folder):
            value = int((folder / "n").read_text())
            replace_all(folder, {"n": str(value + 1)})


@pytest.mark.slow
def test_one_process_at_a_time_has_the_lock(tmp_path: Path) -> None:
    (tmp_path / "n").write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert contents(tmp_path) == {"n": "200"}


def test_an_interrupt_waits_until_all_files_are_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGTERM)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with ended_by_signals() as status:
        with pytest.raises(KeyboardInterrupt):
            change(tmp_path)
        assert status() == 143
    assert contents(tmp_path) == NEW


def test_a_file_is_old_or_new_and_nothing_is_left_of_a_killed_write(tmp_path: Path) -> None:
    path, found = tmp_path / "folder" / "file", []
    for _ in kills(lambda: write_atomic(path, "new"), tmp_path):
        found.append(path.read_text() if path.exists() else None)
        write_atomic(path, "next")
        assert contents(tmp_path) == {"folder/file": "next"}
    assert set(found) == {None, "next", "new"}


@pytest.mark.parametrize("damage", [b"", b"3", None])
def test_a_checked_file_is_whole_or_known_to_be_damaged(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "file"
    write_checked(path, "score 84.74, héhé")
    assert read_checked(path) == "score 84.74, héhé"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] if damage is None else whole.replace(b"4", damage, 1) if damage else b"")
    assert read_checked(path) is None
