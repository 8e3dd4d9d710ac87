"""The findings are what the committed rows say today."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.slow
def test_the_page_is_made_from_the_committed_rows() -> None:
    text = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(DOCS / "findings.py"))["page"]() == text
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(pictures) == text.count("\n## ")
    assert all((DOCS / each).read_bytes().startswith(b"\x89PNG") for each in pictures)
