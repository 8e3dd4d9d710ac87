"""Whole changes of the board, as commits of Git repositories: honest ones pass, forged and hostile ones are refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from l96bench.board.change import Change, change_faults, submissions_of
from l96bench.board.contribution import Reviewed, review_change
from l96bench.board.repository import File, opened
from l96bench.cli import main
from l96bench.errors import L96BenchError
from l96bench.submissions.folder import submit_folder
from l96bench.tasks.base import Task
from l96bench.tasks.registry import list_tasks, tasks_given_as
from tests.examples import filled_example

ROOT = Path(__file__).parents[2]
[REAL] = [id for id in list_tasks("subgrid-forcing") if "/wilks-f20-" in id]
[TASK] = [id for id in list_tasks("subgrid-forcing") if "/wilks-f18-" in id]
THEIRS = "stencil-network-seed-0"
THEIR_FOLDER, THEIR_ROW = f"leaderboard/submissions/{THEIRS}", f"leaderboard/results/{REAL}/{THEIRS}.json"
BASELINE = f"leaderboard/results/{REAL}/fitted-quartic.json"
MINE, MY_ROW = "leaderboard/submissions/honest-newcomer", f"leaderboard/results/{TASK}/honest-newcomer.json"


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(folder), *who, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env=own | {"GIT_CONFIG_GLOBAL": ""}, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def edited(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the fields of a row, or of a description."""
    text = path.read_text(encoding="utf-8")
    fields = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    change(fields)
    written = yaml.safe_dump(fields, allow_unicode=True) if path.suffix == ".yaml" else json.dumps(fields)
    path.write_text(written, encoding="utf-8")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a small board: `base`, with a baseline and a submission, and `honest`, with one more."""
    place = tmp_path_factory.mktemp("change")
    folder, mine = place / "repository", place / "mine"
    for path in (THEIR_FOLDER, THEIR_ROW, BASELINE, "README.md", "baselines/quartic.py"):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / path).is_dir() else shutil.copyfile)(ROOT / path, target)
    edited(folder / THEIR_FOLDER / "submission.yaml", lambda fields: fields.update(tasks=[REAL]))
    (folder / "leaderboard" / "README.md").write_text("tables\n")
    git(folder.parent, "init", "-q", str(folder))
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    git(folder, "branch", "base")
    shutil.copytree(folder / "leaderboard", place / "leaderboard")
    filled_example(mine, "subgrid-forcing")
    edited(mine / "submission.yaml", lambda fields: fields.update(name="honest newcomer", tasks=[TASK]))
    with tasks_given_as(Task.miniature), pytest.MonkeyPatch.context() as patch:
        patch.setattr("l96bench.submissions.folder.run_contained", directly)
        submit_folder(mine, folder / "leaderboard")
    git(folder, "checkout", "-q", "-b", "honest")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "honest")
    return folder


def directly(function: str, items: Any, *_: Any) -> Any:
    """What a contained process does, in this process; as the fixture `in_process`."""
    import importlib

    from l96bench.submissions.contained import ContainedOutcome

    module, _, name = function.partition(":")
    outcomes = []
    for item in items:
        try:
            outcomes.append(ContainedOutcome(getattr(importlib.import_module(module), name)(item), "", 0.0))
        except L96BenchError as error:
            outcomes.append(ContainedOutcome(None, str(error), 0.0))
    return outcomes


@pytest.fixture
def work(repository: Path, in_process: None) -> Iterator[Path]:
    """The repository at `honest`; whatever a test commits is left behind."""
    git(repository, "checkout", "-q", "-f", "--detach", "honest")
    git(repository, "clean", "-fdxq")
    with tasks_given_as(Task.miniature):
        yield repository


def review(work: Path, base: str = "base") -> Reviewed:
    """What is found in the change that is committed, or lies in the working tree."""
    if git(work, "status", "--porcelain"):
        git(work, "add", "-A")
        git(work, "commit", "-q", "-m", "change")
    return review_change(work, base, work.parent / "leaderboard")


def all_faults(found: Reviewed) -> list[str]:
    return [*found.faults, *(fault for each in found.submissions for fault in each.faults)]


# Honest changes.


@pytest.mark.slow
def test_an_honest_submission_passes(work: Path) -> None:
    found = review(work)
    assert found.passed, found.text()
    assert [each.facts["name"] for each in found.submissions] == ["honest newcomer"]
    assert "nothing has to be fixed" in found.text()
    assert "# Check of the change" in found.markdown()
    assert git(work, "count-objects") == git(work, "count-objects")  # and nothing is written into the repository


@pytest.mark.slow
def test_an_update_by_its_authors_passes(work: Path) -> None:
    git(work, "branch", "-f", "merged", "honest")
    shutil.copytree(work.parent / "leaderboard", work.parent / "before", dirs_exist_ok=True)
    edited(work / MINE / "submission.yaml", lambda fields: fields.update(description="Fitted again."))
    submit_folder(work / MINE, work / "leaderboard")
    found = review(work, "merged")
    assert found.passed, found.text()
    assert any("an update of a submission" in note and "Ada" in note for note in found.notes)


@pytest.mark.slow
def test_an_update_that_leaves_a_task_passes(work: Path) -> None:
    other = TASK.replace("wilks-f18", "arnold-c4")
    edited(work / MINE / "submission.yaml", lambda fields: fields["tasks"].append(other))
    submit_folder(work / MINE, work / "leaderboard")
    assert (work / MY_ROW.replace(TASK, other)).is_file()
    found = review(work)
    assert found.passed, found.text()
    git(work, "branch", "-f", "merged", "HEAD")
    edited(work / MINE / "submission.yaml", lambda fields: fields["tasks"].remove(other))
    submit_folder(work / MINE, work / "leaderboard")
    assert not (work / MY_ROW.replace(TASK, other)).exists()
    found = review(work, "merged")
    assert found.passed, found.text()


@pytest.mark.slow
def test_several_submissions_of_one_change_are_judged_each(work: Path) -> None:
    shutil.copytree(work / MINE, work / "second")
    other = TASK.replace("wilks-f18", "arnold-c4")
    edited(work / "second" / "submission.yaml", lambda fields: fields.update(name="honest second", tasks=[other]))
    submit_folder(work / "second", work / "leaderboard")
    shutil.rmtree(work / "second")
    found = review(work)
    assert [each.folder.name for each in found.submissions] == ["honest-newcomer", "honest-second"]
    assert found.passed, found.text()
    remove(MY_ROW)(work)
    found = review(work)
    assert [each.passed for each in found.submissions] == [False, True]


@pytest.mark.slow
def test_one_model_under_two_names_in_one_change_is_found(work: Path) -> None:
    for name, reason in (
        ("honest second", "the same predictions as honest newcomer"),
        ("honest newcorner", "read alike"),
    ):
        git(work, "checkout", "-q", "-f", "--detach", "honest")
        shutil.copytree(work / MINE, work / "second")
        edited(work / "second" / "submission.yaml", lambda fields, name=name: fields.update(name=name))
        submit_folder(work / "second", work / "leaderboard")
        shutil.rmtree(work / "second")
        assert any(reason in each for each in all_faults(review(work)))


@pytest.mark.slow
def test_a_submission_changes_its_own_folder_and_rows_only(work: Path) -> None:
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file() and ".git" not in path.parts}
    edited(work / MINE / "submission.yaml", lambda fields: fields.update(description="Fitted again."))
    submit_folder(work / MINE, work / "leaderboard")
    after = {path: path.read_bytes() for path in work.rglob("*") if path.is_file() and ".git" not in path.parts}
    changed = {str(path.relative_to(work)) for path in before.keys() | after if before.get(path) != after.get(path)}
    assert changed == {f"{MINE}/submission.yaml", MY_ROW}


@pytest.mark.slow
def test_a_change_of_something_else_is_not_judged(work: Path) -> None:
    git(work, "checkout", "-q", "-f", "--detach", "base")
    (work / "baselines" / "new.py").write_text("entry = None\n")
    found = review(work)
    assert (found.passed, found.submissions) == (True, [])
    assert found.notes == ["nothing of the board changes, and nothing was checked"]


@pytest.mark.slow
def test_what_others_merged_meanwhile_is_not_part_of_the_change(work: Path) -> None:
    git(work, "checkout", "-q", "-f", "-B", "later", "base")
    (work / BASELINE).unlink()
    (work / "leaderboard" / "README.md").write_text("other tables\n")
    git(work, "commit", "-q", "-am", "later")
    git(work, "checkout", "-q", "-f", "--detach", "honest")
    found = review_change(work, "later", work.parent / "leaderboard")
    assert found.passed, found.text()


def test_the_command_judges_a_change(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / MY_ROW).unlink()
    git(work, "commit", "-q", "-am", "change")
    report = work.parent / "report.md"
    with pytest.raises(SystemExit) as end:
        main(["contribution", "--base", "base", "--proposed", str(work), "--board", str(work.parent / "leaderboard"),
              "--report", str(report), "--jobs", "1"])  # fmt: skip
    assert end.value.code == 1
    assert f"expected its row in results/{TASK}/honest-newcomer.json" in capsys.readouterr().out
    assert "It cannot be accepted as it is." in report.read_text()


# What no contribution may change, whatever the files hold.


def write(path: str, text: str = "text\n") -> Callable[[Path], None]:
    def change(work: Path) -> None:
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)

    return change


def remove(*paths: str) -> Callable[[Path], None]:
    def change(work: Path) -> None:
        for path in paths:
            shutil.rmtree(work / path) if (work / path).is_dir() else (work / path).unlink()

    return change


def move(path: str, to: str) -> Callable[[Path], None]:
    def change(work: Path) -> None:
        (work / to).parent.mkdir(parents=True, exist_ok=True)
        (work / path).rename(work / to)

    return change


def copy(path: str, to: str) -> Callable[[Path], None]:
    def change(work: Path) -> None:
        (work / to).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (work / path).is_dir() else shutil.copyfile)(work / path, work / to)

    return change


def link(path: str, to: str) -> Callable[[Path], None]:
    def change(work: Path) -> None:
        (work / path).unlink(missing_ok=True)
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).symlink_to(to)

    return change


def executable(path: str) -> Callable[[Path], None]:
    return lambda work: (work / path).chmod(0o755)


def edit(path: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    return lambda work: edited(work / path, change)


def submodule(path: str) -> Callable[[Path], None]:
    def change(work: Path) -> None:
        git(work, "update-index", "--add", "--cacheinfo", f"160000,{git(work, 'rev-parse', 'base')},{path}")
        git(work, "commit", "-q", "-m", "submodule")
        (work / path).unlink(missing_ok=True)
        (work / path).mkdir(parents=True)  # as git leaves one that is not fetched

    return change


def raised(fields: dict[str, Any]) -> None:
    score = fields["score"]
    score |= {"value": 99.5, "seeds": [each | {"value": 99.5} for each in score["seeds"]]}


OUTSIDE, PLAIN = "own folder", "expected a plain file"
HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a baseline's row is raised": (edit(BASELINE, raised), "changes another's row"),
    "a baseline's row is removed": (remove(BASELINE), "removes another's row"),
    "a baseline's row gets another time": (
        edit(BASELINE, lambda fields: fields["cost"].update(training_seconds=1e6)),
        "changes another's row",
    ),
    "a row is written again with other spaces": (edit(BASELINE, lambda fields: None), "changes another's row"),
    "a row of a name that nobody submits": (copy(BASELINE, BASELINE.replace("fitted", "nobody-s")), "that nobody"),
    "a row of a baseline in another task": (copy(BASELINE, BASELINE.replace("f20", "f18")), "that nobody submits"),
    "a row of a reference": (copy(BASELINE, BASELINE.replace("fitted-quartic", "u-exactly")), "that nobody submits"),
    "another's row is removed": (remove(THEIR_ROW), "removes another's row"),
    "another's row is raised": (edit(THEIR_ROW, raised), "changes another's row"),
    "another's row is moved to one's own": (move(THEIR_ROW, MY_ROW), "removes another's row"),
    "another's row becomes executable": (executable(THEIR_ROW), PLAIN),
    "another's row becomes a link": (link(THEIR_ROW, "fitted-quartic.json"), PLAIN),
    "another's folder is removed": (remove(THEIR_FOLDER), "removes a submission"),
    "another's folder and row are removed": (remove(THEIR_FOLDER, THEIR_ROW), "removes a submission"),
    "another's description is removed": (remove(f"{THEIR_FOLDER}/submission.yaml"), "expected its submission.yaml"),
    "another's authors are replaced": (
        edit(f"{THEIR_FOLDER}/submission.yaml", lambda fields: fields.update(authors=["Me"])),
        "whose name and authors stay",
    ),
    "another's authors get company": (
        edit(f"{THEIR_FOLDER}/submission.yaml", lambda fields: fields["authors"].append("Me")),
        "whose name and authors stay",
    ),
    "another's submission gets another name of the same folder": (
        edit(f"{THEIR_FOLDER}/submission.yaml", lambda fields: fields.update(name="stencil network seed 0")),
        "whose name and authors stay",
    ),
    "another's artifact becomes a link": (link(f"{THEIR_FOLDER}/wilks-f20.onnx", "/etc/passwd"), PLAIN),
    "another's folder gets a folder": (write(f"{THEIR_FOLDER}/more/README.md"), OUTSIDE),
    "another's folder is moved": (move(THEIR_FOLDER, "leaderboard/submissions/mine-now"), "removes a submission"),
    "one's own folder is a link": (
        lambda work: (shutil.rmtree(work / MINE), link(MINE, THEIRS)(work)),
        OUTSIDE,
    ),
    "one's own artifact is a link out": (link(f"{MINE}/closure.onnx", "../../../README.md"), PLAIN),
    "one's own artifact is executable": (executable(f"{MINE}/closure.onnx"), PLAIN),
    "one's own row is a link": (link(MY_ROW, "../../../README.md"), PLAIN),
    "one's own row is executable": (executable(MY_ROW), PLAIN),
    "one's own row is large": (write(MY_ROW, " " * 6_000_000), "expected at most 5,000,000 bytes"),
    "a submodule as one's folder": (submodule("leaderboard/submissions/module"), OUTSIDE),
    "a submodule as a file": (submodule(f"{MINE}/module.onnx"), PLAIN),
    "a submodule as a row": (submodule(MY_ROW.replace("honest", "module")), PLAIN),
    "two files that are one": (copy(f"{MINE}/closure.onnx", f"{MINE}/Closure.onnx"), "one file on many machines"),
    "a folder in one's own": (write(f"{MINE}/deep/closure.onnx"), OUTSIDE),
    "a hidden file in one's own": (write(f"{MINE}/.gitattributes", "* filter=x\n"), OUTSIDE),
    "a file with a line break": (write(f"{MINE}/a\nb.json"), OUTSIDE),
    "a file with invisible letters": (write(f"{MINE}/clo\u200bsure.onnx"), OUTSIDE),
    "a folder in capitals": (copy(MINE, MINE.replace("honest", "Honest")), OUTSIDE),
    "a folder of two hyphens": (copy(MINE, MINE.replace("honest-", "honest--")), OUTSIDE),
    "a folder of other letters": (copy(MINE, MINE.replace("honest", "hоnest")), OUTSIDE),
    "a row in capitals": (copy(MY_ROW, MY_ROW.replace("honest", "Honest")), OUTSIDE),
    "a row with another suffix": (copy(MY_ROW, MY_ROW.replace(".json", ".JSON")), OUTSIDE),
    "a row in no task": (copy(MY_ROW, "leaderboard/results/honest-newcomer.json"), OUTSIDE),
    "a row too deep": (copy(MY_ROW, MY_ROW.replace(TASK, f"{TASK}/more")), OUTSIDE),
    "a board in capitals": (copy(MY_ROW, MY_ROW.replace("leaderboard", "Leaderboard")), OUTSIDE),
    "a board in wide letters": (write("ｌeaderboard/results/x.json"), OUTSIDE),
    "the tables": (write("leaderboard/README.md", "other tables\n"), OUTSIDE),
    "the page": (write("leaderboard/index.html", "<script>"), OUTSIDE),
    "a card": (write("leaderboard/cards/honest-newcomer.md"), OUTSIDE),
    "a season": (write("leaderboard/seasons/mine.json", "{}"), OUTSIDE),
    "the README": (write("README.md"), OUTSIDE),
    "a baseline": (write("baselines/quartic.py"), OUTSIDE),
    "a workflow": (write(".github/workflows/contribution.yml"), OUTSIDE),
    "attributes of the repository": (write(".gitattributes", "* merge=union\n"), OUTSIDE),
    "the board is removed": (remove("leaderboard/results", "leaderboard/submissions"), "removes a submission"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("change", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_change_is_refused_before_anything_is_run(
    change: Callable[[Path], Any], reason: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("l96bench.board.contribution.score_folder", lambda *_, **__: pytest.fail("it was scored"))
    change(work)
    found = review(work)
    assert not found.passed
    assert any(reason in each for each in all_faults(found)), found.text()


# What one's own folder and rows may not hold.

FORGED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "the row is raised": (edit(MY_ROW, raised), "does not follow from the metrics"),
    "the row is no submission's": (edit(MY_ROW, lambda fields: fields.pop("submission")), "no baseline makes it"),
    "the row is self-reported": (
        edit(MY_ROW, lambda fields: fields["submission"].update(status="self-reported")),
        "expected the status `verified`",
    ),
    "the row tells of training": (
        edit(MY_ROW, lambda fields: fields["cost"].update(training_seconds=0.1)),
        "no time of training",
    ),
    "the row has other authors": (
        edit(MY_ROW, lambda fields: fields["submission"].update(authors=["A Famous Name"])),
        "not the one that the row names",
    ),
    "the row is of another artifact": (
        edit(MY_ROW, lambda fields: fields["submission"].update(artifact_sha256="0" * 64)),
        "not the one that the row names",
    ),
    "the row has another name": (
        edit(MY_ROW, lambda fields: fields["model"].update(name="stencil network")),
        "not a row of this submission",
    ),
    "the row has another kind": (
        edit(MY_ROW, lambda fields: fields["model"].update(kind="reference")),
        "is said of the board's own rows alone",
    ),
    "the row is another task's": (
        edit(MY_ROW, lambda fields: fields.update(task=REAL)),
        "not a row of this submission",
    ),
    "the row is of other data": (
        edit(MY_ROW, lambda fields: fields["data_digests"].update({"wilks-f18/test/U": "0" * 64})),
        "data digests",
    ),
    "the row has other metrics": (
        edit(MY_ROW, lambda fields: fields["metrics"]["bias"].update(value=0.0, low=0.0, high=0.0)),
        "is not what its artifact makes",
    ),
    "the row has other metrics and predictions": (
        edit(
            MY_ROW,
            lambda fields: (
                fields.update(predictions_digest="0" * 64),
                fields["metrics"]["r2_shift"].update(value=0.999, high=1.0),
            ),
        ),
        "is not what its artifact makes",
    ),
    "a key stands twice in the row": (
        lambda work: write(MY_ROW, (work / MY_ROW).read_text().replace('"value":', '"value": 9, "value":', 1))(work),
        "twice",
    ),
    "the row is no JSON": (write(MY_ROW, "a row"), "not a valid result"),
    "the row is missing": (remove(MY_ROW), "expected its row"),
    "a row of a task that is not entered": (
        copy(MY_ROW, MY_ROW.replace("wilks-f18", "arnold-c4")),
        "not a row of this submission",
    ),
    "a row of a task that does not exist": (copy(MY_ROW, MY_ROW.replace("wilks-f18", "my-own")), "not a row of this"),
    "a folder that is not its name": (
        lambda work: (move(MINE, f"{MINE}-2")(work), move(MY_ROW, MY_ROW.replace("comer", "comer-2"))(work)),
        "expected its folder to be called honest-newcomer",
    ),
    "a program beside the artifact": (write(f"{MINE}/run.sh", "rm -rf /"), "an unexpected file"),
    "the name of a baseline": (
        edit(f"{MINE}/submission.yaml", lambda fields: fields.update(name="Stencil Network")),
        "reads like that of the baseline",
    ),
    "the name of another's, spelled otherwise": (
        edit(f"{MINE}/submission.yaml", lambda fields: fields.update(name="stencil netw0rk: seed o")),
        "is taken by 'stencil network, seed 0'",
    ),
    "code in place of a file": (
        lambda work: (
            remove(f"{MINE}/closure.onnx")(work),
            edit(f"{MINE}/submission.yaml", lambda fields: fields.update(artifacts="python:os:abort"))(work),
        ),
        "expected a file, got code",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("change", "reason"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_submission_is_refused(change: Callable[[Path], Any], reason: str, work: Path) -> None:
    change(work)
    found = review(work)
    assert not found.passed
    assert any(reason in each for each in all_faults(found)), found.text()


# The history of a change.


def test_a_forgery_hidden_behind_an_honest_commit_is_found(work: Path) -> None:
    edited(work / BASELINE, raised)
    git(work, "commit", "-q", "-am", "forged")
    write(f"{MINE}/README.md")(work)
    assert any("changes another's row" in each for each in review(work).faults)


def test_a_forgery_in_a_merge_commit_is_found(work: Path) -> None:
    tree = git(work, "rev-parse", "honest^{tree}")
    edited(work / BASELINE, raised)
    git(work, "add", "-A")
    evil = git(work, "write-tree")
    merge = git(work, "commit-tree", evil, "-p", "honest", "-p", "base", "-m", "merge")
    assert evil != tree
    git(work, "checkout", "-q", "-f", "--detach", merge)
    assert any("changes another's row" in each for each in review(work).faults)


def test_a_conflict_is_said(work: Path) -> None:
    git(work, "checkout", "-q", "-f", "-B", "later", "base")
    edited(work / BASELINE, raised)
    git(work, "commit", "-q", "-am", "later")
    git(work, "checkout", "-q", "-f", "--detach", "honest")
    remove(BASELINE)(work)
    [fault] = review(work, "later").faults
    assert "conflicts with the branch that it is for" in fault


def test_a_history_of_its_own_is_refused(work: Path) -> None:
    alone = git(work, "commit-tree", "honest^{tree}", "-m", "alone")
    git(work, "checkout", "-q", "-f", "--detach", alone)
    [fault] = review(work).faults
    assert "it cannot be merged" in fault


@pytest.mark.parametrize("name", ["nothing", "--output=ran", "", "HEAD:README.md", "a b", "$(touch ran)"])
def test_a_base_that_is_no_commit_is_an_error(name: str, work: Path) -> None:
    with pytest.raises(L96BenchError, match="no commit"):
        review(work, name)
    assert not (work / "ran").exists()


def test_a_folder_that_is_no_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(L96BenchError, match="expected a Git repository"):
        review_change(tmp_path, "main", tmp_path)


def test_replaced_objects_and_the_working_tree_do_not_count(work: Path) -> None:
    """What is judged is what was committed: neither a replacement of a commit nor files that lie around."""
    edited(work / BASELINE, raised)
    git(work, "commit", "-q", "-am", "forged")
    git(work, "replace", git(work, "rev-parse", "HEAD"), git(work, "rev-parse", "honest"))
    try:
        git(work, "checkout", "-q", "-f", "base", "--", ".")
        found = review_change(work, "base", work.parent / "leaderboard")
    finally:
        git(work, "replace", "-d", git(work, "rev-parse", "HEAD"))
    assert any("changes another's row" in each for each in found.faults)


def test_nothing_is_written_into_the_repository(work: Path) -> None:
    git(work, "checkout", "-q", "-f", "-B", "later", "base")
    (work / BASELINE).unlink()
    git(work, "commit", "-q", "-am", "later")
    git(work, "checkout", "-q", "-f", "--detach", "honest")
    before = sorted((work / ".git").rglob("*"))
    with opened(work) as repository:
        merged = repository.merged(repository.commit("later"), repository.commit("HEAD"))
        assert BASELINE not in repository.files(merged)
        assert MY_ROW in repository.files(merged)
    assert sorted((work / ".git").rglob("*")) == before


def test_paths_are_judged_without_a_repository() -> None:
    file = File("100644", "a" * 40, 10)
    change = Change({}, {MY_ROW: file, f"{MINE}/submission.yaml": file})
    assert (submissions_of(change), change_faults(change)) == (["honest-newcomer"], [])
    many = {f"leaderboard/submissions/s{n}/submission.yaml": file for n in range(21)}
    assert any("at most 20 submissions" in each for each in change_faults(Change({}, many)))
    crowd = {f"{MINE}/f{n}.onnx": file for n in range(111)}
    assert any("at most 110 files" in each for each in change_faults(Change({}, crowd)))
    heavy = {f"{MINE}/closure.onnx": File("100644", "a" * 40, 200_000_001)}
    assert any("200,000,000 bytes" in each for each in change_faults(Change({}, heavy)))
