"""The commands around submissions, on miniature tasks: init, check, score, submit, verify."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from l96bench.cli import main
from l96bench.results.record import Result
from l96bench.submissions import folder as folders
from l96bench.tasks.base import Task
from l96bench.tasks.registry import tasks_given_as
from tests.examples import fill_in

OFFLINE = "subgrid-forcing/wilks-f20-v1"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def minis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """`make_task` gives the package's own miniatures, which a contained process knows as well."""
    monkeypatch.chdir(tmp_path)
    with tasks_given_as(Task.miniature):
        yield


@pytest.fixture
def run(minis: None, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str]:
        try:
            main(arguments)
        except SystemExit as end:
            captured = capsys.readouterr()
            return int(end.code or 0), captured.out + captured.err
        captured = capsys.readouterr()
        return 0, captured.out + captured.err

    return call


def edit(folder: str, old: str, new: str) -> None:
    path = Path(folder) / "submission.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("family", ["subgrid-forcing-memory", "online-rollout", "equation-recovery", "da-increment"])
def test_the_examples_of_all_families_are_in_order(family: str, run: Run) -> None:
    assert run("init", "mine", "--family", family)[0] == 0
    fill_in("mine")
    code, said = run("check", "mine")
    assert (code, "nothing is wrong" in said, f"tried: {family}/" in said) == (0, True, True), said


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_careless_correction_is_found(run: Run) -> None:
    run("init", "mine", "--family", "da-increment")
    fill_in("mine")
    edit("mine", "artifacts: closure.onnx", "artifacts: correction.yaml")
    Path("mine/closure.onnx").unlink()
    Path("mine/correction.yaml").write_text("- U[k] = 0.02*X[k]\n")
    code, said = run("check", "mine")
    assert (code, "is the sign wrong?" in said, "tried:" in said) == (1, True, False), said
    Path("mine/correction.yaml").write_text("- U[k] = -0.02*X[k]\n")
    code, said = run("check", "mine")
    assert (code, "tried: da-increment/dense-v1 in miniature" in said) == (0, True), said


@pytest.mark.slow
def test_an_example_is_checked_scored_submitted_and_verified(run: Run) -> None:
    assert run("init", "mine", "--family", "subgrid-forcing")[0] == 0
    fill_in("mine")
    code, said = run("check", "mine")
    assert (code, "nothing is wrong" in said, "in miniature, score" in said) == (0, True, True), said
    code, said = run("score", "mine", "--output", "own")
    assert code == 0, said
    [own] = [Result.read(path) for path in Path("own").rglob("*.json")]
    assert own.status == "self-reported"
    code, said = run("submit", "mine")
    assert code == 0, said
    [path] = Path("leaderboard/results").rglob("*.json")
    row = Result.read(path)
    assert row.status == "verified"
    assert row.score == own.score
    assert sorted(each.name for each in Path("leaderboard/submissions", row.slug).iterdir()) == sorted(
        each.name for each in Path("mine").iterdir()
    )
    code, said = run("verify", "--all")
    assert code == 0, said
    assert said.startswith("identical ")


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_row_that_was_improved_by_hand_is_found(run: Run) -> None:
    run("init", "mine")
    fill_in("mine")
    assert run("submit", "mine")[0] == 0
    [path] = Path("leaderboard/results").rglob("*.json")
    fields = json.loads(path.read_text())
    fields["score"]["value"] = fields["score"]["high"] = 99.0
    path.write_text(json.dumps(fields))
    code, said = run("verify", str(path))
    assert code == 1
    assert "does not follow from the metrics" in said
    Path("leaderboard/submissions", path.stem, "closure.onnx").write_bytes(b"other")
    code, said = run("verify", "--all")
    assert code == 1
    assert "its SHA-256" in said
    shutil.rmtree("leaderboard/submissions")
    code, said = run("verify", str(path))
    assert code == 1
    assert "expected its submission" in said


@pytest.mark.slow
def test_everything_that_is_wrong_is_said_at_once(run: Run) -> None:
    run("init", "mine")
    fill_in("mine")
    edit("mine", "kind: polynomial", "kind: <b>bold</b>\nmore: 1")
    Path("mine/closure.onnx").write_bytes(b"no network")
    Path("mine/run.sh").write_text("true")
    Path("mine/link").symlink_to("/etc/passwd")
    code, said = run("check", "mine")
    assert code == 1
    for expected in ("kind: expected letters", "more: unknown key", "not an ONNX file", "'run.sh': an unexpected file",
                     "'link': symbolic links", "5 things are wrong"):  # fmt: skip
        assert expected in said
    assert run("submit", "mine")[0] == 2
    assert not Path("leaderboard").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_anothers_name_is_not_taken(run: Run) -> None:
    run("init", "mine")
    fill_in("mine")
    assert run("submit", "mine")[0] == 0
    shutil.copytree("mine", "theirs")
    edit("theirs", "authors: [Your Name]", "authors: [Somebody Else]")
    code, said = run("submit", "theirs")
    assert code == 2
    assert "is taken by 'example quartic' of Your Name" in said
    [path] = Path("leaderboard/results").rglob("*.json")
    row = Result.read(path)
    row.model_copy(update={"submission": None}).write(path)
    code, said = run("submit", "mine")
    assert code == 2
    assert "the name of a baseline" in said


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_code_is_run_only_when_it_is_allowed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init", "mine")
    fill_in("mine")
    Path("mine/closure.onnx").unlink()
    edit("mine", "artifacts: closure.onnx", "artifacts: python:own_models_of_test:model")
    Path("own_models_of_test.py").write_text("open('trace', 'w')\n\ndef model(X):\n    return -0.5 * X\n")
    code, said = run("check", "mine")
    assert (code, "is not run (--allow-python does)" in said) == (0, True)
    code, said = run("score", "mine")
    assert (code, "only with --allow-python" in said) == (2, True)
    assert not Path("trace").exists()
    code, said = run("submit", "mine", "--allow-python")
    assert code == 0, said
    assert Path("trace").exists()
    code, said = run("verify", "--all")
    assert (code, said.startswith("unverified ")) == (0, True)


@pytest.mark.slow
def test_a_submission_that_takes_forever_leaves_the_others_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init", "mine")
    fill_in("mine")
    edit("mine", f"  - {OFFLINE}", f"  - {OFFLINE}\n  - online-rollout/wilks-f20-v2")
    found = folders.score_folder(
        folders.SubmissionFolder.read(Path("mine")), limits=folders.Limits(seconds=0.05, memory=2**31)
    )
    assert len(found.faults) >= 1
    assert "expected at most 0.05 s of processor time" in found.faults[0]


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_template_that_nobody_has_filled_in_is_found(run: Run) -> None:
    run("init", "mine")
    code, said = run("check", "mine")
    assert (code, "fill in its fields, and remove the line '# Fill in" in said) == (1, True), said
    assert run("submit", "mine")[0] == 2
    assert run("score", "mine")[0] == 0
    fill_in("mine")
    code, said = run("check", "mine")
    assert (code, "authors: 'Your Name' is what `l96bench init` writes" in said) == (0, True), said


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_what_lies_beside_the_files_is_left_out(run: Run) -> None:
    run("init", "mine")
    fill_in("mine")
    beside = (".DS_Store", "LICENSE", "license.txt", "._closure.onnx", "Thumbs.db", "CITATION.cff")
    for name in beside:
        Path("mine", name).write_bytes(b"\0")
    Path("mine/.git").mkdir()
    code, said = run("check", "mine")
    assert (code, all(f"'{name}' is left out" in said for name in beside)) == (0, True), said
    assert run("submit", "mine")[0] == 0
    placed = {path.name for path in Path("leaderboard/submissions/example-quartic").iterdir()}
    assert placed == {"submission.yaml", "closure.onnx", "README.md"}
    Path("mine/closure.onnx.data").write_bytes(b"\0")
    Path("mine/.env").symlink_to("/etc/passwd")
    code, said = run("check", "mine")
    assert code == 1
    assert "'closure.onnx.data': an unexpected file" in said
    assert "external_data=False" in said
    assert "'.env': symbolic links are not allowed" in said


def test_an_example_does_not_overwrite(run: Run) -> None:
    run("init", "mine")
    code, said = run("init", "mine")
    assert (code, "does not exist, or an empty one" in said) == (2, True)
    code, said = run("init", "other", "--family", "online")
    assert (code, "Did you mean 'online-rollout'" in said) == (2, True)
