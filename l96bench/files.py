"""Write files completely or not at all; read files that may be untrusted within bounds, and JSON in one way only."""

from __future__ import annotations

import json
import os
import re
import stat
import uuid
from pathlib import Path
from typing import Any

__all__ = ["read_json", "read_plain", "write_atomic"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write text, as UTF-8, or bytes to ``path`` so that a reader sees the old file or the new one, never a part."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
