"""The pages that programs write are what these programs make of today's rows and of the runs that are kept."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
NAMES = ("metrics", "datasheet", "results", "recovery", "horizons", "headroom", "rewards", "scale", "search")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_what_its_program_makes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.setattr("sys.argv", ["page"])
    monkeypatch.setattr("measured.json", SimpleNamespace(loads=json.loads))  # what is kept is read, never made
    made = runpy.run_path(str(DOCS / f"{name}.py"))["page"]()
    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == made
