"""Reading of folders of results, and of the board around them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from l96bench.errors import L96BenchError, ResultError
from l96bench.files import finish_writing
from l96bench.results.record import Result

DATA = "results.json"
"""The file in a board's folder with all its rows, ranks and definitions; see `docs/results.md`."""
_PACKED = Path(__file__).resolve().parents[1] / "board.tar.xz"
"""The board that an installed package has, which its build makes of the repository's folder (`setup.py`)."""


def read_results(folder: str | os.PathLike[str]) -> list[Result]:
    """Return every result below a folder, by file path.

    Parameters
    ----------
    folder : str or path
        Such as a folder that ``l96bench run`` has written.

    Returns
    -------
    list of Result
        One for every file ``.json``.

    Raises
    ------
    ResultError
        Names a missing folder or an invalid file.

    Examples
    --------
    >>> import l96bench, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     l96bench.read_results(folder)
    ...
    []
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ResultError(f"{folder}: expected a folder of results (*.json), found none; write one with `l96bench run`")
    paths = sorted(folder.rglob("*.json"), key=lambda path: path.relative_to(folder).as_posix())
    return [Result.read(path) for path in paths]


def is_boards(results: Path, board: Path) -> bool:
    """Return whether results are a board's own, which its seasons are compared with."""
    return results.resolve() == (board / "results").resolve()


def rows_digest(results: Path, board: Path) -> str:
    """Return the SHA-256 of all files that a board's rows are made of, their names included, in hex."""
    found = hashlib.sha256()
    for folder in (results, *([board / "seasons"] if is_boards(results, board) else [])):
        for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*.json")):
            content = path.read_bytes()
            found.update(f"{name}\n{len(content)}\n".encode())
            found.update(content)
    return found.hexdigest()


def written_records(results: Path) -> list[dict[str, Any]] | None:
    """Return the records in the file beside a board's results; None if there is none, or the results have changed."""
    path = results.parent / DATA
    if not is_boards(results, results.parent) or not path.is_file():
        return None
    try:
        data = json.loads(path.read_bytes())
        known, records = data["rows_sha256"], data["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise ResultError(
            f"{path}: expected the file that `l96bench leaderboard --write` makes; make it again"
        ) from error
    return records if known == rows_digest(results, results.parent) else None


def find_board(new: bool = False) -> Path:
    """Return the board here, further up, in the source tree or in the package; `L96BenchError` if there is none.

    It is a folder ``leaderboard/``, or a folder of any name that is or surrounds the current one and has two of
    ``results/``, ``submissions/`` and ``seasons/``. What a killed command has left half-written there is finished. If
    `new`, it is to be written: source tree and package are not searched, and where there is none, it is one to be made
    here. The board of an installed package is unpacked into the cache.
    """
    here, source = Path.cwd(), Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, *(() if new else (source,))):
        for board, least in ((folder / "leaderboard", 1), (folder, 2)):
            if sum((board / name).is_dir() for name in ("results", "submissions", "seasons")) >= least:
                finish_writing(board)
                return board
    if new:
        return Path("leaderboard")
    if _PACKED.is_file():
        return _unpacked(_PACKED)
    raise L96BenchError(
        f"no board in {here} or above it: expected a folder leaderboard/ with results/, submissions/ or seasons/; "
        "give one with --results or --board, or work in a clone of the repository"
    )


def _unpacked(archive: Path) -> Path:
    """Return the folder of the cache with the files of a packed board, which is made once."""
    from l96bench.data.store import cache_errors, cache_folder

    folder = cache_folder() / "boards" / hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    if folder.is_dir():
        return folder
    with cache_errors():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            with tarfile.open(archive) as packed:
                for member in packed:
                    content = packed.extractfile(member)
                    if content is not None:
                        (made / member.name).parent.mkdir(parents=True, exist_ok=True)
                        (made / member.name).write_bytes(content.read())
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder
