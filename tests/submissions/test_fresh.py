"""A fresh draw beside the public test: answers that were looked up fall there, honest closures do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import l96bench
from l96bench.board.contribution import review_contribution
from l96bench.board.tables import make_tables
from l96bench.errors import L96BenchError
from l96bench.graphs.onnx_graph import Graph
from l96bench.results.load import read_results
from l96bench.results.record import Result
from l96bench.submissions.comparison import DIFFERENT, IDENTICAL
from l96bench.submissions.consistency import row_faults
from l96bench.submissions.folder import submit_folder
from l96bench.submissions.fresh import fresh_seed
from l96bench.submissions.verify import verify_rows
from l96bench.tasks.base import Task
from l96bench.tasks.registry import make_task, tasks_given_as
from tests.examples import filled_example

OFFLINE, MEMORY = "subgrid-forcing/wilks-f20-v1", "subgrid-forcing-memory/wilks-f20-v1"
ONLINE, CYCLES, SINGLE = "online-rollout/wilks-f20-v2", "da-increment/dense-v1", "equation-recovery/single-v1"
BOARD = Path("leaderboard")
pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with tasks_given_as(Task.miniature):
        yield


def described(folder: Path, **fields: Any) -> None:
    path = folder / "submission.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | fields, allow_unicode=True))


class LookedUp:
    """U of the nearest state among those that were noted down, as a graph."""

    def __init__(self, X: np.ndarray, U: np.ndarray) -> None:
        self.X, self.U = X.reshape(-1, X.shape[-1]), U.reshape(-1, U.shape[-1])

    def predict(self, X: np.ndarray) -> np.ndarray:
        nearest = np.argmax(X @ self.X.T - 0.5 * np.square(self.X).sum(axis=1), axis=1)
        return self.U[nearest]

    def graph(self, builder: Graph, x: str, K: int) -> str:
        # The nearest has the largest x.y - y.y / 2; a sharp softmax of it picks one row of the table.
        keys = builder.constant(1e4 * self.X.T, np.float64)
        offset = builder.constant(-0.5e4 * np.square(self.X).sum(axis=1), np.float64)
        close = builder.node("Add", builder.node("MatMul", x, keys), offset)
        return builder.node("MatMul", builder.node("Softmax", close, axis=1), builder.constant(self.U, np.float64))


@pytest.fixture
def honest() -> Path:
    folder = Path("honest")
    filled_example(folder, "subgrid-forcing")
    described(folder, name="honest quartic", tasks=[OFFLINE, MEMORY])
    return folder


@pytest.fixture
def looked_up() -> Path:
    folder, task = Path("looked-up"), make_task(OFFLINE)
    filled_example(folder, "subgrid-forcing")
    described(folder, name="looked up", tasks=[OFFLINE, MEMORY])
    model = LookedUp(np.array(task.test.X), np.array(task.test.U))
    (folder / "closure.onnx").write_bytes(task.export(model).value)
    return folder


@pytest.mark.slow
def test_a_closure_that_holds_the_answers_of_the_test_has_no_rank(honest: Path, looked_up: Path) -> None:
    said: list[str] = []
    for folder in (honest, looked_up):
        submit_folder(folder, BOARD, report=said.append)
    rows = {row.slug: row for row in read_results(BOARD / "results") if row.task == OFFLINE}
    attack, quartic = rows["looked-up"], rows["honest-quartic"]
    assert attack.score.value > 99.9 > quartic.score.value
    assert attack.fresh is not None
    assert quartic.fresh is not None
    assert attack.fresh.falls
    assert attack.fresh.score < quartic.fresh.score
    assert not quartic.fresh.falls
    assert any("on a fresh draw" in line and "beyond the interval, it has no rank" in line for line in said)
    for table in make_tables(read_results(BOARD / "results")):
        ranks = {row.result.slug: row.rank for row in table.rows}
        assert ranks == {"looked-up": None, "honest-quartic": 1}, table.task


def test_the_draw_follows_from_the_artifact(honest: Path) -> None:
    submit_folder(honest, BOARD)
    path = BOARD / "results" / OFFLINE / "honest-quartic.json"
    row = Result.read(path)
    assert row.fresh is not None
    assert row.submission is not None
    assert row.submission.artifact_sha256 is not None
    assert row.fresh.seed == fresh_seed(row.submission.artifact_sha256) == int(row.submission.artifact_sha256[:15], 16)
    task = make_task(OFFLINE)
    assert [fault for fault in row_faults(row, task) if "fresh" in fault] == []
    content = l96bench.tasks.Content("closure.onnx", "onnx", (honest / "closure.onnx").read_bytes())
    again = task.fresh(row.fresh.seed).evaluate_content(content, row.model)
    assert again.score.value == row.fresh.score
    for change, told in ({"seed": 1}, "follows from the artifact"), ({"score": row.fresh.score - 1.0}, "is not"):
        forged = row.model_copy(update={"fresh": row.fresh.model_copy(update=change)})
        assert any(told in fault for fault in row_faults(forged, task))
    assert row_faults(row.model_copy(update={"submission": None}), task) != []


@pytest.mark.slow
def test_what_a_row_tells_of_the_draw_is_verified(honest: Path, looked_up: Path) -> None:
    paths = []
    for folder in (honest, looked_up):
        paths += [BOARD / "results" / row.task / f"{row.slug}.json" for row in submit_folder(folder, BOARD)]
    found = verify_rows(paths, BOARD / "submissions")
    assert [each.status for each in found] == [IDENTICAL] * 4
    assert all("on a fresh draw" in each.reason for each in found)
    path = paths[2]
    row = Result.read(path)
    assert row.fresh is not None
    kinder = {"score": row.score.value, "difference": 0.0, "low": -1.0, "high": 1.0}
    row.model_copy(update={"fresh": row.fresh.model_copy(update=kinder)}).write(path)
    [verdict] = verify_rows([path], BOARD / "submissions")
    assert verdict.status == DIFFERENT
    assert "on a fresh draw" in verdict.reason


@pytest.mark.slow
def test_a_contribution_tells_its_draw(honest: Path, looked_up: Path) -> None:
    rows = {row.task: row for row in submit_folder(looked_up, BOARD / "elsewhere")}
    found = review_contribution(looked_up, BOARD, rows=rows)
    assert found.passed, found.text()
    assert any("beyond the interval, it has no rank" in note for note in found.notes)
    assert [rank for _, rank in found.rows] == [None, None]
    silent = {task: row.model_copy(update={"fresh": None}) for task, row in rows.items()}
    found = review_contribution(looked_up, BOARD, rows=silent)
    assert any("expected its score on a fresh draw" in fault for fault in found.faults)


@pytest.mark.slow
def test_published_coefficients_have_no_rank_and_recalled_ones_are_drawn_anew() -> None:
    folder, task = Path("noted"), make_task(SINGLE)
    filled_example(folder, "equation-recovery")
    described(folder, name="recalled", tasks=[SINGLE])
    [recalled] = submit_folder(folder, BOARD)
    assert recalled.fresh is not None
    assert recalled.fresh.score == pytest.approx(recalled.score.value, abs=5.0)
    equations = {problem.id: problem.instance.texts for problem in task.problems}
    (folder / "equations.yaml").write_text(yaml.safe_dump(equations))
    described(folder, name="noted down", artifacts="equations.yaml")
    said: list[str] = []
    [attack] = submit_folder(folder, BOARD, report=said.append)
    assert attack.score.value > 99.0
    assert attack.fresh is None
    assert "no fresh draw can score it: it has no rank until a season seals it" in said[-1]
    [table] = make_tables(read_results(BOARD / "results"))
    assert {row.result.slug: (row.rank, row.kind) for row in table.rows}["noted-down"] == (None, "declared")


@pytest.mark.parametrize("id", [OFFLINE, MEMORY, SINGLE, pytest.param(ONLINE, marks=pytest.mark.slow), CYCLES])
def test_every_draw_is_another_test_of_the_same_training_data(id: str) -> None:
    task = make_task(id)
    one, other = task.fresh(1), task.fresh(2)
    digests = [set(each.data_digests.values()) for each in (task, one, other)]
    score = [each.references["floor"].evaluate().score.value for each in (one, other)]
    assert score == pytest.approx([0.0, 0.0], abs=0.5)
    assert digests[1] != digests[2]
    if id != SINGLE:
        assert np.array_equal(one.train.X, task.train.X)
        name = "truth" if id == CYCLES else "X"
        assert not np.array_equal(*(each.arrays("test")[name][:2] for each in (one, other)))


def test_a_family_with_data_of_its_own_has_no_draws(offline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task = offline
    monkeypatch.setattr(type(task), "redrawn", False)
    with pytest.raises(L96BenchError, match="has no fresh draws"):
        task.fresh(0)
