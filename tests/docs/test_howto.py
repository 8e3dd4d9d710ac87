"""The code of the start page and of the how-to guides runs, and their commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from l96bench.cli import app
from l96bench.submissions.folder import check_folder
from tests.examples import describe

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS / "start.md", *sorted((DOCS / "howto").glob("*.md"))]
OUTSIDE = ("sbx", "torchrl")
"""Libraries that no extra installs; code that uses them runs where they are."""
CODE = {path: re.findall(r"(?ms)^```python\n(.*?)^```", path.read_text(encoding="utf-8")) for path in PAGES}


@pytest.fixture
def _same_threads() -> Iterator[None]:
    """A page may set how many threads torch uses, which is not to change what later tests find."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("_same_threads", "in_process")
@pytest.mark.parametrize("path", [path for path in PAGES if CODE[path]], ids=lambda path: path.stem)
def test_code_runs_and_its_files_pass_the_check(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem == "jax":
        pytest.importorskip("equinox", reason="needs the extra jax")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": path.stem}
    for block in CODE[path]:
        imported = re.findall(r"(?m)^(?:from|import) (\w+)", block)
        if any(name in OUTSIDE and find_spec(name) is None for name in imported):
            continue
        exec(compile(block, str(path), "exec"), names)
    for file in tmp_path.glob("*.onnx"):
        describe(file, "online-rollout/wilks-f20-v2")
        found = check_folder(tmp_path)
        assert (found.faults, found.notes) == ([], [])


def test_a_newcomer_gets_from_the_start_page_to_a_submission(
    real_data: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script of the page is scored, drawn and exported by the commands of the page, in their order."""
    monkeypatch.chdir(tmp_path)
    script = next(block for block in CODE[DOCS / "start.md"] if block.startswith("# my_closure.py"))
    (tmp_path / "my_closure.py").write_text(script, encoding="utf-8")
    commands = re.findall(r"(?m)^l96bench (.+)$", (DOCS / "start.md").read_text(encoding="utf-8"))
    for command in commands:
        assert CliRunner().invoke(app, shlex.split(command)).exit_code == 0, command
    assert (tmp_path / "reports" / "my_closure-wilks-f20" / "skill.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_and_options_exist(path: Path) -> None:
    command = typer.main.get_command(app)
    for name, rest in re.findall(r"(?m)^l96bench ((?:season )?[a-z-]+)(.*)$", path.read_text(encoding="utf-8")):
        one = command
        for part in name.split():
            one = one.commands[part]  # type: ignore[attr-defined]
        known = {option for each in one.params for option in each.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= known, name
