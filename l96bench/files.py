"""Write files completely or not at all; read files that may be untrusted within bounds, and JSON in one way only."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from l96bench.processes import undisturbed

__all__ = [
    "finish_writing",
    "locked",
    "read_checked",
    "read_json",
    "read_plain",
    "replace_all",
    "write_atomic",
    "write_checked",
]

_SURROGATE = re.compile("[\ud800-\udfff]")
_JOURNAL, _STAGED = ".l96bench-journal", ".l96bench-new"
"""Folders with the files that `replace_all` puts in place: once all are there, and while it collects them."""
_CONTENTS = "contents.json"


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write text, as UTF-8, or bytes to ``path`` so that a reader sees the old file or the new one, never a part.

    What other processes have left of this file when they were killed is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        with _named(path):
            temporary.write_bytes(_bytes(content))
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the file in errors that name none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = str(path) if error.filename is None else error.filename
        raise


def _remove_leftovers(path: Path) -> None:
    start = f".{path.name}."
    for name in os.listdir(path.parent):
        if name.startswith(start) and name.endswith(".tmp"):
            process = name.removeprefix(start).partition("-")[0]
            with suppress(OSError):
                if not (process.isdecimal() and _runs(int(process))):
                    (path.parent / name).unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def write_checked(path: str | os.PathLike[str], text: str) -> None:
    """Write a text, and its SHA-256 in a line before it, as `write_atomic` does."""
    write_atomic(path, f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")


def read_checked(path: str | os.PathLike[str]) -> str | None:
    """Return the text that `write_checked` wrote, or None if it is damaged; OSError if it cannot be read."""
    digest, _, text = Path(path).read_bytes().partition(b"\n")
    return text.decode() if digest.decode("ascii", "replace") == hashlib.sha256(text).hexdigest() else None


# Untrusted files.


def read_plain(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Return the bytes of a plain file; ValueError for a link, folder, device, pipe or large file, else OSError."""
    path = Path(path)
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if path.is_symlink():
            raise ValueError("symbolic links are not allowed; put the file itself there") from error
        raise
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise ValueError("expected a plain file, got a folder, device or pipe")
        if state.st_size > max_bytes:
            raise ValueError(f"expected at most {max_bytes:,} bytes, got {state.st_size:,}")
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    finally:
        os.close(handle)
    if len(data) > max_bytes:
        raise ValueError(f"expected at most {max_bytes:,} bytes, got more")
    return data


def read_json(data: bytes) -> Any:
    """Return the data in a JSON text that every reader reads alike; ValueError otherwise.

    Refused are keys that are there twice (readers take the first or the last), NaN and infinity, halves of characters,
    and anything but UTF-8.
    """
    text = data.decode("utf-8")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_never)
    except RecursionError as error:
        raise ValueError("lists and mappings are nested too deep") from error
    if "\\u" in text and _SURROGATE.search(json.dumps(found, ensure_ascii=False)):
        raise ValueError("a text holds half a character (a surrogate)")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _never(word: str) -> Any:
    raise ValueError(f"{word} is no number")


# Several files at once.


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is no file, while other processes wait; what was left half-done is finished."""
    try:
        import fcntl
    except ImportError:  # not on this system
        _settle(folder)
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        _settle(folder)
        yield
    finally:
        os.close(handle)


def replace_all(folder: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Write and remove (None) files by their names below a folder that the caller has `locked`: all or none.

    They are collected in a hidden folder first, which gets another name when all are there. If the process is killed
    after that, the next one that locks the folder puts the rest in place.
    """
    if not files:
        return
    staged = folder / _STAGED
    contents: dict[str, str | None] = {}
    try:
        staged.mkdir()
        for number, (name, content) in enumerate(files.items()):
            _require_writable(folder / name)
            contents[name] = None if content is None else str(number)
            if content is not None:
                with _named(folder / name):
                    (staged / str(number)).write_bytes(_bytes(content))
        (staged / _CONTENTS).write_text(json.dumps([_identity(staged), contents]), encoding="utf-8")
        with undisturbed():
            staged.rename(folder / _JOURNAL)
            _settle(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def finish_writing(folder: Path) -> None:
    """Finish what a killed process has begun with `replace_all`."""
    if (folder / _JOURNAL).is_dir() or (folder / _STAGED).is_dir():
        with locked(folder):
            pass


def _settle(folder: Path) -> None:
    """Put the files of a journal in place, as far as they are not there, and remove what is left."""
    journal, staged = folder / _JOURNAL, folder / _STAGED
    shutil.rmtree(staged, ignore_errors=True)
    if journal.is_symlink() or not journal.is_dir():
        return
    identity, contents = None, {}
    with suppress(OSError, ValueError, TypeError):
        identity, contents = json.loads((journal / _CONTENTS).read_text(encoding="utf-8"))
    if identity == _identity(journal):
        for name, number in contents.items():
            path = folder / name
            if number is None:
                path.unlink(missing_ok=True)
                _remove_empty(path.parent, folder)
            elif (journal / number).is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                (journal / number).replace(path)
    journal.rename(staged)
    shutil.rmtree(staged, ignore_errors=True)


def _identity(folder: Path) -> list[int]:
    """Return what a copy of a folder does not have, such as one that came with somebody's files."""
    state = folder.stat()
    return [state.st_dev, state.st_ino]


def _remove_empty(folder: Path, root: Path) -> None:
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def _require_writable(path: Path) -> None:
    there = next(each for each in path.absolute().parents if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "expected a folder that can be written", str(there))
