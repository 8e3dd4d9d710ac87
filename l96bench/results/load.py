"""Reading of folders of results."""

from __future__ import annotations

import os
from pathlib import Path

from l96bench.errors import L96BenchError, ResultError
from l96bench.files import finish_writing
from l96bench.results.record import Result


def read_results(folder: str | os.PathLike[str]) -> list[Result]:
    """Return every result below a folder, by file path; `ResultError` names a missing folder or invalid file."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ResultError(f"{folder}: expected a folder of results (*.json), found none; write one with `l96bench run`")
    paths = sorted(folder.rglob("*.json"), key=lambda path: path.relative_to(folder).as_posix())
    return [Result.read(path) for path in paths]


def find_board(new: bool = False) -> Path:
    """Return the board here, further up or in the source tree; `L96BenchError` if there is none.

    It is a folder ``leaderboard/``, or a folder of any name that is or surrounds the current one and has two of
    ``results/``, ``submissions/`` and ``seasons/``. What a killed command has left half-written there is finished. If
    `new`, the source tree is not searched; where there is none, it is one to be made here.
    """
    here, source = Path.cwd(), Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, *(() if new else (source,))):
        for board, least in ((folder / "leaderboard", 1), (folder, 2)):
            if sum((board / name).is_dir() for name in ("results", "submissions", "seasons")) >= least:
                finish_writing(board)
                return board
    if new:
        return Path("leaderboard")
    raise L96BenchError(
        f"no board in {here} or above it: expected a folder leaderboard/ with results/, submissions/ or seasons/; "
        "give one with --results or --board, or work in a clone of the repository"
    )
