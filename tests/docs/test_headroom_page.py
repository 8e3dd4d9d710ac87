"""docs/headroom.md: the tables that are made of rows are those of the committed rows."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from l96bench.data.systems import SYSTEM_TRACKS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.slow
def test_the_tables_of_rows_are_those_of_the_committed_rows() -> None:
    page = (DOCS / "headroom.md").read_text(encoding="utf-8")
    made = runpy.run_path(str(DOCS / "headroom.py"))
    for lines in (*(made["ranked"](track) for track in SYSTEM_TRACKS), made["observed"]()):
        assert len(lines) > 3
        assert "\n".join(lines) in page
