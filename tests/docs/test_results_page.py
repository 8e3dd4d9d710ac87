"""The page of columns is what the committed data and its program make."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_has_the_columns_of_the_data() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "results.py"))["page"]()
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == made
