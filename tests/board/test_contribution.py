"""The check of a contribution, on miniature tasks: honest, careless, copied and hostile submissions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from l96bench.board import contribution
from l96bench.board.contribution import Contribution, review_contribution
from l96bench.cli import main
from l96bench.results.record import Result
from l96bench.submissions.contained import Limits
from l96bench.submissions.folder import submit_folder
from l96bench.tasks.base import Task
from l96bench.tasks.registry import tasks_given_as
from tests.examples import filled_example

OFFLINE, ONLINE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"
ROOT = Path(__file__).parents[2]
BOARD = Path("leaderboard")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example") / "mine"
    filled_example(folder, "subgrid-forcing")
    return folder


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, example: Path) -> Iterator[Path]:
    """A copy of the example in an empty folder; `make_task` gives the package's miniatures."""
    monkeypatch.chdir(tmp_path)
    BOARD.joinpath("results").mkdir(parents=True)
    with tasks_given_as(Task.miniature):
        yield Path(shutil.copytree(example, "mine"))


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "submission.yaml"
    fields = yaml.safe_load(path.read_text())
    change(fields)
    path.write_text(yaml.safe_dump(fields, allow_unicode=True))


@pytest.mark.usefixtures("in_process")
def test_an_honest_contribution_passes(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["contribution", "mine", "--report", "report.md", "--jobs", "1"])
    said = capsys.readouterr().out
    assert end.value.code == 0, said
    assert f"rank 1  {OFFLINE}" in said
    report = Path("report.md").read_text()
    assert "**Nothing has to be fixed.**" in report
    assert f"| {OFFLINE} |" in report
    assert "| SHA-256 of closure.onnx |" in report
    assert not list(BOARD.rglob("*.json"))  # it only looks


@pytest.mark.usefixtures("in_process")
def test_everything_that_is_wrong_is_reported(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mine / "closure.onnx").write_bytes(b"no network")
    (mine / "run.sh").write_text("touch ran")
    edit(mine, lambda fields: fields.update(more=1))
    with pytest.raises(SystemExit) as end:
        main(["contribution", "mine", "--report", "report.md"])
    said = capsys.readouterr().out
    assert end.value.code == 1
    report = Path("report.md").read_text()
    for expected in ("more: unknown key", "not an ONNX file", "run.sh"):
        assert expected in said
        assert expected in report
    assert "**Faults to fix: 3.**" in report


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_copy_of_a_row_of_the_board_is_found(mine: Path) -> None:
    submit_folder(mine, BOARD)
    theirs = Path(shutil.copytree(mine, "theirs"))
    edit(theirs, lambda fields: fields.update(name="my own idea", authors=["Somebody Else"]))
    found = review_contribution(theirs, BOARD)
    assert found.faults == [f"{OFFLINE}: the same predictions as example quartic"]
    # Under the name itself it is another's; and again by its authors it is an update, no copy.
    edit(theirs, lambda fields: fields.update(name="example quartic"))
    assert "is taken by 'example quartic' of Your Name" in review_contribution(theirs, BOARD).faults[0]
    assert review_contribution(mine, BOARD).passed
    assert review_contribution(BOARD / "submissions" / "example-quartic", BOARD).passed


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_row_that_does_not_come_from_the_artifact_is_found(mine: Path) -> None:
    submit_folder(mine, BOARD)
    [path] = (BOARD / "results").rglob("*.json")
    fields = json.loads(path.read_text())
    fields["score"]["value"] = fields["score"]["high"] = 99.0
    path.write_text(json.dumps(fields))
    [fault] = review_contribution(BOARD / "submissions" / "example-quartic", BOARD).faults
    assert "is not what its artifact makes" in fault
    row = Result.read(path).model_copy(update={"submission": None})
    row.write(path)
    faults = review_contribution(BOARD / "submissions" / "example-quartic", BOARD).faults
    assert "is the name of a baseline" in faults[0]
    wrong = (BOARD / "submissions" / "example-quartic").rename(BOARD / "submissions" / "other")
    assert "expected its folder to be called example-quartic" in review_contribution(wrong, BOARD).faults[0]


@pytest.mark.usefixtures("in_process")
def test_what_a_person_should_look_at_is_noted(mine: Path) -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["name"] = "еxample quartic"
        fields["license"] = ""
        fields["training"] = [{"regime": "wilks-f20", "split": "test"}]

    edit(mine, change)
    found = review_contribution(mine, BOARD)
    assert found.passed
    notes = "\n".join(found.notes)
    for expected in ("letters of several scripts (cyrillic, latin)", "license: none", "trained on data that the task"):
        assert expected in notes


@pytest.mark.usefixtures("in_process")
def test_code_is_never_run(mine: Path) -> None:
    Path("trap_of_test.py").write_text("open('ran', 'w')\nmodel = None\n")
    (mine / "closure.onnx").unlink()
    edit(mine, lambda fields: fields.update(artifacts="python:trap_of_test:model"))
    found = review_contribution(mine, BOARD)
    assert found.faults == ["no task has an artifact that can be scored without running code"]
    assert not Path("ran").exists()


@pytest.mark.slow
def test_an_artifact_that_takes_too_long_is_reported(mine: Path) -> None:
    found = review_contribution(mine, BOARD, limits=Limits(seconds=0.02))
    assert any("expected at most 0.02 s" in fault for fault in found.faults), found.faults


HOSTILE = ("<script>alert(1)</script>", "[x](javascript:alert(1))", "a\n\n# heading", "| cell |", "\x1b[2J", "![i](u)")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_submission_has_a_meaning_in_the_report(text: str) -> None:
    found = Contribution(Path("mine"), [text], [text], {"name": text, "authors": text})
    report = found.markdown()
    tokens = MarkdownIt("commonmark").enable("table").parse(report)
    kinds = [each.type for token in tokens for each in (token, *(token.children or []))]
    assert not {"html_block", "html_inline", "link_open", "image", "code_block", "fence"} & set(kinds)
    # The title, and the three lists; two cells in each line of the one table.
    assert (kinds.count("heading_open"), kinds.count("tr_open"), kinds.count("td_open")) == (4, 3, 4)
    assert "\x1b" not in report + found.text()


def workflow(name: str) -> dict[Any, Any]:
    text = (ROOT / ".github" / "workflows" / name).read_text()
    assert "secrets." not in text
    found: dict[Any, Any] = yaml.safe_load(text)
    scripts = [step.get("run", "") for job in found["jobs"].values() for step in job["steps"]]
    assert not any("${{" in script for script in scripts)  # nothing of a pull request gets into a script's text
    return found


def test_the_workflow_of_pull_requests_has_no_secrets_and_reads_only() -> None:
    flow = workflow("contribution.yml")
    # YAML 1.1 reads `on` as true. Not pull_request_target, which has the repository's secrets; and all of them.
    assert flow[True] == {"pull_request": None}
    assert flow["permissions"] == {"contents": "read"}
    steps = flow["jobs"]["check"]["steps"]
    base, proposed = (step["with"] for step in steps if step.get("uses", "").startswith("actions/checkout"))
    assert (base["path"], proposed["path"], proposed["fetch-depth"]) == ("base", "proposed", 0)
    assert not base["persist-credentials"]
    assert not proposed["persist-credentials"]
    assert ".base." in base["ref"]  # the program is not the pull request's
    [script] = [step["run"] for step in steps if "l96bench contribution" in step.get("run", "")]
    assert "--proposed ../proposed" in script
    assert not any(word in script for word in ("for ", "while ", "if ", "|", "diff"))  # what is decided, Python decides


def test_the_workflow_of_the_tables_runs_on_the_main_branch_only() -> None:
    flow = workflow("board.yml")
    assert flow[True] == {"push": {"branches": ["main"]}}
    scripts = [step.get("run", "") for step in flow["jobs"]["write"]["steps"]]
    assert "l96bench leaderboard --write --readme README.md" in scripts
    assert "l96bench verify --all --no-run" in scripts


def test_only_copies_are_fixed_by_their_authors() -> None:
    from l96bench.board.flags import KINDS

    assert {kind.id for kind in KINDS} > contribution._MUST_FIX == {"duplicate"}
