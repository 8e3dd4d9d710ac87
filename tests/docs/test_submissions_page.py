"""How a row gets in is told in one place: what the page says is so, and the others only lead to it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import typer.main
import yaml

from l96bench.cli import app
from l96bench.submissions.folder import check_folder
from l96bench.submissions.submission import Submission
from l96bench.tasks.described import FILTERS

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


@pytest.mark.slow
def test_the_description_on_the_page_passes_the_check(
    tmp_path: Path, miniature_registry: Path, in_process: None
) -> None:
    description, equations = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "submission.yaml").write_text(description, encoding="utf-8")
    (tmp_path / "mine" / "quartic.yaml").write_text(equations, encoding="utf-8")
    found = check_folder(tmp_path / "mine")
    assert (found.faults, found.notes) == ([], [])
    assert len(found.scores) == 2
    assert min(found.scores.values()) > 50.0
    known = {field.alias or name for name, field in Submission.model_fields.items()}
    assert set(yaml.safe_load(description)) == known - {"step"}  # which docs/onnx.md has


def test_the_table_of_filters_is_what_the_classes_take() -> None:
    [table] = re.findall(r"\| name \| options \|\n\| --- \| --- \|\n((?:\|.*\n)+)", PAGE)
    told = [re.findall(r"`(\w+)`", line) for line in table.splitlines()]
    assert {name: options for name, *options in told} == {
        name: list(inspect.signature(kind).parameters) for name, kind in FILTERS.items()
    }


def test_the_workflows_that_it_names_exist() -> None:
    for name in re.findall(r"\.github/workflows/[a-z]+\.yml", PAGE):
        assert yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["jobs"]
