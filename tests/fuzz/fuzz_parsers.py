"""Coverage-guided fuzzing of what reads files of strangers: `python tests/fuzz/fuzz_parsers.py [-runs=N] [folders]`.

Whatever the bytes are, the parsers return or raise an error of ours. The first byte says which parser gets the rest.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

import atheris
from pydantic import ValidationError

from l96bench.errors import L96BenchError
from l96bench.results.record import Result
from l96bench.tasks.registry import make_task

with atheris.instrument_imports(
    include=[
        "l96bench.board.change",
        "l96bench.files",
        "l96bench.graphs.onnx_file",
        "l96bench.graphs.step_map",
        "l96bench.submissions.artifacts",
        "l96bench.submissions.consistency",
        "l96bench.submissions.plain_yaml",
        "l96bench.submissions.reserved",
        "l96bench.tasks.described",
        "yaml",
        "zipfile",
    ]
):
    from l96bench.board.change import Change, change_faults, submissions_of
    from l96bench.board.repository import File
    from l96bench.files import read_json
    from l96bench.graphs.onnx_file import onnx_faults
    from l96bench.graphs.onnx_step import read_closure
    from l96bench.graphs.step_map import StepMap, rewritten
    from l96bench.submissions.artifacts import Artifact, Expected, read_equations, read_predictions
    from l96bench.submissions.consistency import out_of_line, row_faults
    from l96bench.submissions.folder import owner_of
    from l96bench.submissions.plain_yaml import read_yaml
    from l96bench.submissions.reserved import name_faults
    from l96bench.submissions.submission import Submission

EXPECTED = Expected({"test": (2, 5, 8), "shift": (2, 5, 8)}, "ab" * 32)


def one_input(data: bytes) -> None:
    """Give the bytes to a parser."""
    kind, rest = data[:1], data[1:]
    with contextlib.suppress(L96BenchError, ValidationError):
        match kind:
            case b"s":
                made = Submission.parse(rest)
                for task in map(make_task, made.tasks):
                    made.info(task, None, "verified")
            case b"p":
                read_predictions(Artifact("p.npz", rest), EXPECTED)
            case b"j":
                read_equations(Artifact("e.json", rest))
            case b"e":
                read_equations(Artifact("e.yaml", rest))
            case b"r":
                look_at_row(rest)
            case b"c":
                look_at_change(rest.decode("utf-8", "surrogateescape"))
            case b"n":
                name_faults(rest.decode("utf-8", "ignore") or "-", "kind")
            case b"o":
                owner_of(rest)
            case b"x":
                onnx_faults(rest)
            case b"m":
                said, _, file = rest.partition(b"\0")
                step = StepMap.model_validate(read_yaml(said, "step"))
                read_closure(rewritten(file, step, 8), 8)
            case b"q":
                with contextlib.suppress(ValueError):
                    read_json(rest)
            case _:
                read_yaml(rest, "f.yaml")


def look_at_row(data: bytes) -> None:
    """Check a row that came with a submission."""
    path = Path(tempfile.gettempdir()) / f"row-{os.getpid()}.json"
    path.write_bytes(data)
    row = Result.read(path)
    task = make_task(row.task)
    row_faults(row, task)
    out_of_line([row] * 4, task)


def look_at_change(text: str) -> None:
    """Judge a change, of which every line is a mode and a path: `+100644 path` is new, `-` is gone, `~` differs."""
    before, after = dict(BOARD), dict(BOARD)
    for line in text.splitlines():
        sign, mode, path = line[:1], line[1:7], line[8:]
        if sign in "-~":
            before[path] = File("100644", "0", 1)
        if sign in "+~":
            after[path] = File(mode, "1", 1)
        if sign == "-":
            after.pop(path, None)
    change = Change(before, after)
    if change_faults(change):
        return
    own = submissions_of(change)
    for path in change.paths:  # what is accepted is a submission's own
        _, kind, *where = path.split("/")
        slug = where[0] if kind == "submissions" else where[-1].removesuffix(".json")
        assert kind in ("submissions", "results"), path
        assert slug in own, path
        assert change.folder(slug), path
        assert path not in after or after[path].mode == "100644", path


BOARD = {
    path: File("100644", "0", 1)
    for path in (
        "README.md",
        "leaderboard/README.md",
        "leaderboard/results/subgrid-forcing/wilks-f20-v1/fitted-quartic.json",
        "leaderboard/results/subgrid-forcing/wilks-f20-v1/theirs.json",
        "leaderboard/submissions/theirs/submission.yaml",
        "leaderboard/submissions/theirs/closure.onnx",
    )
}


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
