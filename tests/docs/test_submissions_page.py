"""How a row gets in is told in one place: what the page says is so, and the others only lead to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
import yaml

from l96bench.cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "submissions.md").read_text(encoding="utf-8")
ANCHOR = "docs/submissions.md#how-a-row-gets-in"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "leaderboard/README.md"])
def test_others_lead_to_it_and_tell_no_other_way(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert ANCHOR in text
    for way in ("l96bench submit ", "--output leaderboard/results", "l96bench contribution"):
        assert way not in text
    assert "## How a row gets in" in PAGE


def test_there_are_four_ways() -> None:
    [table] = re.findall(r"## How a row gets in\n\n((?:\|.*\n)+)", PAGE)
    ways = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert ways == ["a file", "a script", "a season", "a private table"]


def test_commands_and_options_exist() -> None:
    command = typer.main.get_command(app)
    told = re.findall(r"(?m)(?:^    |`)l96bench ((?:season )?[a-z][a-z-]+)((?: [^`\n#]*)?)", PAGE)
    assert len(told) > 10
    for name, rest in told:
        one = command
        for part in name.split():
            one = one.commands[part]  # type: ignore[attr-defined]
        known = {option for each in one.params for option in (*each.opts, *each.secondary_opts)}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= known, name


def test_the_workflows_that_it_names_exist() -> None:
    for name in re.findall(r"\.github/workflows/[a-z]+\.yml", PAGE):
        assert yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["jobs"]
