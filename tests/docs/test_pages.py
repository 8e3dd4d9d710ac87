"""The pages that programs write are what these programs make of today's rows and of the runs that are kept."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from l96bench.tasks.da_increment import _CORRELATION
from l96bench.tasks.registry import families

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


def coverage_by_family() -> dict[str, list[str]]:
    """The cells of the families' rows in the page's table of coverage."""
    text = (DOCS / "measurements.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if "(" in line]
    return {row[0]: row for row in rows if row[0] in families()}


def test_the_intervals_of_every_family_hold_the_truth_as_often_as_they_say() -> None:
    found = coverage_by_family()
    assert set(found) == {name for name, each in families().items() if each.__module__.startswith("l96bench.")}
    for cells in found.values():
        assert 92.0 <= float(cells[-1].partition(" ")[0]) <= 98.0, cells


def test_the_blocks_of_cycles_have_the_correlation_that_their_bootstrap_heeds() -> None:
    assert float(coverage_by_family()["da-increment"][3]) == _CORRELATION
