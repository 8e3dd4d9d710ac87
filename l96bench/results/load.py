"""Reading a folder of results."""

from __future__ import annotations

import os
from pathlib import Path

from l96bench.errors import ResultError
from l96bench.results.record import Result


def load_results(folder: str | os.PathLike[str]) -> list[Result]:
    """Every result below a folder, in the order of the files' paths.

    Raises
    ------
    ResultError
        If the folder does not exist or a file is not a valid result; the message names it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ResultError(f"{folder}: expected a folder of results (*.json), found none; write one with `l96bench run`")
    paths = sorted(folder.rglob("*.json"), key=lambda path: path.relative_to(folder).as_posix())
    return [Result.read(path) for path in paths]
