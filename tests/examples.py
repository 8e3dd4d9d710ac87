"""Example submissions whose description is filled in, as `check` and `submit` want them."""

from __future__ import annotations

from pathlib import Path

from l96bench.submissions.example import DRAFT, write_example

__all__ = ["fill_in", "filled_example"]


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
