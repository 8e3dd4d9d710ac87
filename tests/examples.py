"""Submissions whose description is filled in, as `check` and `submit` want them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from l96bench.submissions.example import DRAFT, write_example

__all__ = ["describe", "fill_in", "filled_example"]


def fill_in(folder: str | Path) -> None:
    """Remove the line by which a template says that nobody has filled it in."""
    path = Path(folder) / "submission.yaml"
    first, rest = path.read_text(encoding="utf-8").split("\n", 1)
    assert first == DRAFT
    path.write_text(rest, encoding="utf-8")


def filled_example(folder: Path, family: str) -> None:
    """Write the example of a family, and fill it in."""
    write_example(folder, family)
    fill_in(folder)


def describe(file: Path, task: str, **said: Any) -> None:
    """Write a description beside a closure's file, with the fields that are said."""
    fields = {
        "schema": "l96bench/submission/2", "name": f"{file.stem} of a page", "authors": ["Some One"], "kind": "example",
        "inputs": "X", "description": "An example.", "tasks": [task], "artifacts": file.name, "license": "CC0-1.0",
        "training": [{"regime": "wilks-f20", "split": "train"}],
    } | said  # fmt: skip
    (file.parent / "submission.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
