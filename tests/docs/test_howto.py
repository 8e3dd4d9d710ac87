"""The code of the start page and of the how-to guides runs, and their commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from l96bench.cli import app

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS / "start.md", *sorted((DOCS / "howto").glob("*.md"))]
CODE = {path: re.findall(r"(?ms)^```python\n(.*?)^```", path.read_text(encoding="utf-8")) for path in PAGES}


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in PAGES if CODE[path]], ids=lambda path: path.stem)
def test_code_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": path.stem}
    for block in CODE[path]:
        exec(compile(block, str(path), "exec"), names)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_and_options_exist(path: Path) -> None:
    command = typer.main.get_command(app)
    for name, rest in re.findall(r"(?m)^l96bench ((?:season )?[a-z-]+)(.*)$", path.read_text(encoding="utf-8")):
        one = command
        for part in name.split():
            one = one.commands[part]  # type: ignore[attr-defined]
        known = {option for each in one.params for option in each.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= known, name
