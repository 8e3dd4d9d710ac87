"""Coverage-guided fuzzing of what reads files of strangers: `python tests/fuzz/fuzz_parsers.py [-runs=N] [folders]`.

Whatever the bytes are, the parsers return or raise an error of ours. The first byte says which parser gets the rest.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(
    include=["l96bench.submissions.plain_yaml", "l96bench.submissions.artifacts", "yaml", "zipfile"]
):
    from l96bench.errors import L96BenchError
    from l96bench.submissions.artifacts import Artifact, Expected, read_equations, read_predictions
    from l96bench.submissions.plain_yaml import read_yaml
    from l96bench.submissions.submission import Submission

EXPECTED = Expected({"test": (2, 5, 8), "shift": (2, 5, 8)}, "ab" * 32)


def one_input(data: bytes) -> None:
    """Give the bytes to a parser."""
    kind, rest = data[:1], data[1:]
    with contextlib.suppress(L96BenchError):
        match kind:
            case b"s":
                Submission.parse(rest)
            case b"p":
                read_predictions(Artifact("p.npz", rest), EXPECTED)
            case b"j":
                read_equations(Artifact("e.json", rest))
            case b"e":
                read_equations(Artifact("e.yaml", rest))
            case _:
                read_yaml(rest, "f.yaml")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
