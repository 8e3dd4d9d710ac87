"""Reading a folder of results."""

from __future__ import annotations

import os
from pathlib import Path

from l96bench.errors import L96BenchError, ResultError
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


def find_board(new: bool = False) -> Path:
    """The folder of the board: ``leaderboard/`` here or further up, or that of the source tree of the package.

    Parameters
    ----------
    new : bool
        Something is written, which may begin a board: where there is none here or further up, a new one here.

    Raises
    ------
    L96BenchError
        If there is none.
    """
    here, source = Path.cwd(), Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, *(() if new else (source,))):
        board = folder / "leaderboard"
        if any((board / name).is_dir() for name in ("results", "submissions", "seasons")):
            return board
    if new:
        return Path("leaderboard")
    raise L96BenchError(
        f"no board in {here} or above it: expected a folder leaderboard/ with results/, submissions/ or seasons/; "
        "give one with --results or --board, or work in a clone of the repository"
    )
