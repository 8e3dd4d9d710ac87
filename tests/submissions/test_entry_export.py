"""Entries as submissions: the folder holds what the entry is, and scores what it scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from l96bench.cli import main
from l96bench.dynamics.closures import as_closure, checked_step
from l96bench.entries.lookup import find_entry
from l96bench.errors import L96BenchError, ModelError, UnknownIdError
from l96bench.submissions.artifacts import read_content, read_equations
from l96bench.submissions.entry_export import export_entry
from l96bench.submissions.folder import SubmissionFolder, check_folder
from l96bench.tasks.da_increment import DAIncrement
from l96bench.tasks.registry import make_task, tasks_given_as
from l96bench.tasks.sources import MINIATURE

pytestmark = pytest.mark.usefixtures("small_tasks")

OFFLINE, ONLINE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"
MEMORY = "subgrid-forcing-memory/wilks-f20-v1"
CLOSURES = [
    *("no_closure", "wilks", "quartic", "powell_linear_tendencies", "quadratic", "cubic_stencil"),
    *("stencil_network", "network_cnn", "random_forest", "sparse_gaussian_process", "quadratic_stencil"),
]


@dataclass(frozen=True)
class SmallIncrement(DAIncrement):
    """A few random backgrounds and increments that depend on them."""

    def make(self, split: str, progress: bool | None = None) -> dict[str, np.ndarray]:
        background = np.random.default_rng(0).normal(2.5, 4.0, (1, 400, self.regime.K))
        return {"background": background, "increment": 0.2 - 0.05 * background + 0.001 * np.roll(background, 1) ** 2}


@pytest.fixture
def small_tasks(miniature_registry: Path) -> Iterator[None]:
    increments = {task.id: task for task in (SmallIncrement(track, source=MINIATURE) for track in ("dense", "sparse"))}
    with tasks_given_as(lambda task: increments.get(task.id) or task.miniature()):
        yield


def exported(name: str, folder: Path, regime: str = "wilks-f20") -> SubmissionFolder:
    return SubmissionFolder.read(export_entry(name, folder, [regime]))


def loaded(submission: SubmissionFolder, id: str) -> Any:
    artifact = submission.artifact(make_task(id))
    assert artifact is not None
    task = make_task(id)
    return task.read_model(read_content(artifact, task))


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOSURES)
def test_an_exported_entry_scores_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    submission = exported(name, tmp_path / "mine")
    model, _ = find_entry(name)[0].train(make_task(OFFLINE), 0)
    for id in (OFFLINE, ONLINE):
        ours, theirs = (make_task(id).evaluate(each, progress=False) for each in (loaded(submission, id), model))
        assert ours.score == theirs.score
        assert ours.predictions_digest == theirs.predictions_digest
    X = np.array(make_task(OFFLINE).test.X[0])
    expected = as_closure(model).step(X)
    for path in (tmp_path / "mine").glob("*.onnx"):
        [U] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"X": X})
        np.testing.assert_allclose(U, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_a_submission_says_what_the_entry_says(tmp_path: Path) -> None:
    entry, lines = find_entry("quartic")[0], []
    path = export_entry("quartic", tmp_path / "new" / "mine", seed=3, authors=["A. Author"], report=lines.append)
    assert path == tmp_path / "new" / "mine"
    assert [each.name for each in path.parent.iterdir()] == ["mine"]
    assert sorted(each.name for each in path.iterdir()) == ["arnold-c4.onnx", "submission.yaml", "wilks-f20.onnx"]
    said = SubmissionFolder.read(path).submission
    assert said.name == "fitted quartic, seed 3"
    assert said.authors == ["A. Author"]
    assert (said.kind, said.inputs, said.source) == (entry.kind, entry.inputs, entry.source)
    assert said.description == entry.description
    assert sorted(said.tasks) == sorted(task.id for task in entry.tasks())
    assert [(each.regime, each.split) for each in said.training] == [("wilks-f20", "train"), ("arnold-c4", "train")]
    assert not any(said.overlaps(make_task(id)) for id in said.tasks)
    assert [line.partition(":")[0] for line in lines] == ["wilks-f20.onnx", "arnold-c4.onnx"]
    assert exported("wilks", tmp_path / "published").submission.training == []


@pytest.mark.slow
def test_what_make_trains_on_is_noted(tmp_path: Path) -> None:
    entry, _ = find_entry("coupled_online_learning")
    script = tmp_path / "short.py"
    script.write_text(Path(entry.make.__code__.co_filename).read_text().replace("STEPS = 1500", "STEPS = 4"))
    [training] = exported(str(script), tmp_path / "mine").submission.training
    assert (training.regime, training.split, training.note) == ("wilks-f20", "train", entry.trained_on)


@pytest.mark.training
@pytest.mark.parametrize("name", ["da_mean", "da_linear", "da_quartic", "da_random_forest", "da_stencil_network"])
def test_models_of_increments_correct_the_model_as_before(name: str, tmp_path: Path) -> None:
    task = make_task("da-increment/dense-v1")
    submission = exported(name, tmp_path / "mine", "dense")
    assert submission.submission.tasks == [task.id]
    model, _ = find_entry(name)[0].train(task, 0)
    X = np.array(task.train.X)
    ours, theirs = (task.system(each).closure for each in (loaded(submission, task.id), model))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(checked_step(ours, X), checked_step(theirs, X))


@pytest.mark.slow
def test_a_closure_in_the_filter_is_a_file_with_its_role(tmp_path: Path) -> None:
    task = make_task("da-increment/dense-v1")
    assert isinstance(task, DAIncrement)
    submission = exported("da_quartic_closure", tmp_path / "mine", "dense")
    assert submission.submission.training[0].regime == "other"
    assert str(submission.submission.described(task)) == "closure of the resolved model"
    system, _ = find_entry("da_quartic_closure")[0].train(task, 0)
    X = np.array(task.train.X)
    ours, theirs = (task.system(each).closure for each in (loaded(submission, task.id), system))
    np.testing.assert_array_equal(checked_step(ours, X), checked_step(theirs, X))


def test_a_filter_is_described_by_track(tmp_path: Path) -> None:
    """Half climatology: without localization on one track, with 5 points on the other, and another covariance."""
    submission = SubmissionFolder.read(export_entry("da_hybrid", tmp_path / "mine", ["dense", "sparse"])).submission
    dense, sparse = (make_task(f"da-increment/{track}-v1") for track in ("dense", "sparse"))
    assert [str(submission.described(task)) for task in (dense, sparse)] == [
        "closure of the resolved model in HybridEnKF (covariance of 8 points, weight 0.5)",
        "closure of the resolved model in HybridEnKF (covariance of 40 points, radius 5, weight 0.5)",
    ]


@pytest.mark.slow
def test_discovered_equations_score_the_same(tmp_path: Path) -> None:
    task = make_task("equation-recovery/single-v1")
    for name in ("er_textbook", "er_least_squares"):
        artifact = exported(name, tmp_path / name, "single").artifact(task)
        assert artifact is not None
        model, _ = find_entry(name)[0].train(task, 0)
        assert task.evaluate_equations(read_equations(artifact)).score == task.evaluate(model, progress=False).score


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tasks"),
    [
        ("quartic_ar1", (OFFLINE, ONLINE)),
        ("markov_chain", (MEMORY, ONLINE)),
        ("memory_polynomial", (MEMORY, ONLINE)),
        ("random_forest_lags", (MEMORY,)),
    ],
)
def test_noise_and_memory_are_in_the_file(name: str, tasks: tuple[str, ...], tmp_path: Path) -> None:
    submission = exported(name, tmp_path / "mine")
    model, _ = find_entry(name)[0].train(make_task(tasks[0]), 0)
    for id in tasks:
        ours, theirs = (make_task(id).evaluate(each, progress=False) for each in (loaded(submission, id), model))
        assert ours.score == theirs.score
        assert ours.metrics == theirs.metrics


@pytest.mark.parametrize("name", ["da_augmented_linear", "da_augmented_quartic"])
def test_estimated_coefficients_have_no_form_as_a_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nor coefficients that are estimated with the state"):
        export_entry(name, tmp_path / "mine", ["dense"])


def test_wrong_names_are_said(tmp_path: Path) -> None:
    with pytest.raises(UnknownIdError, match=r"no entry 'quartik'.*Did you mean"):
        export_entry("quartik", tmp_path / "mine")
    with pytest.raises(UnknownIdError, match=r"'Wilks 2005' enters no task on 'arnold-c4', but on wilks-f18, wilk"):
        export_entry("wilks", tmp_path / "mine", ["wilks-f20", "arnold-c4"])
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("holding", [True, False])
def test_a_folder_is_never_written_over(holding: bool, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    if holding:
        (folder / "submission.yaml").write_text("mine")
    with pytest.raises(L96BenchError, match="expected a folder that does not exist"):
        export_entry("wilks", folder)
    assert [each.read_text() for each in folder.iterdir()] == ["mine"] * holding


def test_a_folder_that_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with pytest.raises(L96BenchError, match="expected a folder that does not exist"):
        export_entry("wilks", folder, report=lambda line: folder.mkdir())
    assert list(tmp_path.glob("*mine*")) == [folder]
    assert not any(folder.iterdir())


@pytest.mark.slow
def test_the_command_writes_what_the_check_finds_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    with pytest.raises(SystemExit) as ended:
        main(["export", "linear", str(folder), "--regime", "wilks-f20", "--author", "A", "--author", "B"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.endswith(f"{folder}\n")
    found = check_folder(folder)
    assert found.faults == []
    assert set(found.scores) == {OFFLINE, ONLINE}
    with pytest.raises(SystemExit) as ended:
        main(["export", "linear", str(folder)])
    assert ended.value.code == 2
    assert "expected a folder that does not exist" in capsys.readouterr().err


@pytest.mark.slow
def test_regimes_are_added_to_a_folder_of_the_same_entry_and_seed(tmp_path: Path) -> None:
    folder = export_entry("quartic_ar1", tmp_path / "mine", ["wilks-f20"], seed=0, authors=["A. Author"])
    (folder / "README.md").write_text("mine")
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    export_entry("quartic_ar1", folder, ["arnold-c4", "three-scale"], add=True)
    after = SubmissionFolder.read(folder)
    whole = SubmissionFolder.read(
        export_entry("quartic_ar1", tmp_path / "w", ["wilks-f20", "arnold-c4", "three-scale"])
    )
    assert after.submission.authors == ["A. Author"]
    assert after.submission.model_dump(exclude={"authors"}) == whole.submission.model_dump(exclude={"authors"})
    assert {name: after.files[name] for name in before if name != "submission.yaml"} == {
        name: data for name, data in before.items() if name != "submission.yaml"
    }
    assert set(whole.files) < set(after.files)
    assert not list(tmp_path.glob(".mine*"))
    for name, seed, regime, fault in (
        ("quartic_ar1", 0, "arnold-c4", "regimes that it has not yet, got arnold-c4"),
        ("quartic_ar1", 1, "wide-k36", "expected the submission 'fitted quartic"),
        ("quartic", 0, "wide-k36", "expected the submission 'fitted quartic, seed 0'"),
    ):
        with pytest.raises(L96BenchError, match=fault):
            export_entry(name, folder, [regime], seed, add=True)
    assert SubmissionFolder.read(folder).files == after.files
    with pytest.raises(L96BenchError):
        export_entry("quartic", tmp_path / "nothing", ["wilks-f20"], add=True)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.slow
def test_what_cannot_be_added_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = export_entry("quartic", tmp_path / "mine", ["wilks-f20"])
    before = {each.name: each.read_bytes() for each in folder.iterdir()}

    def interrupted(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_entry("quartic", folder, ["arnold-c4"], add=True, report=interrupted)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    assert not list(tmp_path.glob(".mine*"))
