"""Miniatures: every family has one, without data sets, and what is careless about an artifact is seen on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import L96BenchError, SubmissionError
from l96bench.results.record import ModelInfo
from l96bench.submissions.artifacts import Artifact
from l96bench.submissions.evaluation import Item, inspect, try_out
from l96bench.submissions.export import export_onnx
from l96bench.submissions.folder import check_folder
from l96bench.tasks.da_increment import DAIncrement
from l96bench.tasks.registry import list_tasks, make_task
from tests.examples import filled_example

INFO = ModelInfo(name="a", kind="b", inputs="X", command="c")
DENSE, SPARSE = make_task("da-increment/dense-v1"), make_task("da-increment/sparse-v1")
Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def _no_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    yield
    assert {path.name for path in (tmp_path / "cache").glob("v*/*")} <= {"miniature"}


def item(task: Any, data: bytes | str | list[str]) -> Item:
    if isinstance(data, bytes):
        return Item(task, Artifact("closure.onnx", data), INFO)
    texts = [data] if isinstance(data, str) else data
    return Item(task, Artifact("equations.yaml", yaml.safe_dump(texts).encode()), INFO)


@pytest.mark.parametrize("id", list_tasks())
def test_every_task_has_one_of_its_name_and_without_digests_of_the_real_data(id: str) -> None:
    task = make_task(id)
    mini = task.miniature()
    assert isinstance(mini, type(task))
    assert (mini.id, mini is task.miniature()) == (id, True)
    if task.family != "equation-recovery":  # the texts of its instances are their digest
        assert mini.data_digests == {}


TRIED = """
import sys
from pathlib import Path

from l96bench.data import generate
from l96bench.data.store import array_digest
from l96bench.submissions.evaluation import prepare, try_out
from l96bench.submissions.folder import SubmissionFolder
from l96bench.tasks import sources
from l96bench.tasks.registry import make_task

made = []
sources.generate = lambda *what, **more: made.append(what) or generate.generate(*what, **more)
task = make_task("subgrid-forcing/wilks-f20-v1")
item = SubmissionFolder.read(Path("mine")).item(task)
if {kept}:
    prepare([("try_out", item)])
    made.clear()
score = try_out(item)
print(len(made), score, array_digest(task.miniature().arrays("test")["X"]))
assert not {{"arch", "matplotlib", "pandas", "sklearn", "torch"}} & sys.modules.keys()
"""


@pytest.mark.slow
def test_what_a_check_needs_is_made_once_on_a_machine(tmp_path: Path) -> None:
    """Neither are data simulated in the process that reads the file, nor does it load what takes seconds to load."""
    filled_example(tmp_path / "mine", "subgrid-forcing")
    places = {"cache": (True, True, False), "a-file": (False,)}
    (tmp_path / "a-file").touch()  # in which no cache can be made
    said = []
    for place, calls in places.items():
        for kept in calls:
            code = [sys.executable, "-c", TRIED.format(kept=kept)]
            own = os.environ | {"L96BENCH_CACHE": str(tmp_path / place)}
            said.append(subprocess.run(code, check=True, capture_output=True, cwd=tmp_path, env=own).stdout.split())
    assert [int(made) for made, *_ in said] == [0, 0, 0, 3]
    assert len({tuple(numbers) for _, *numbers in said}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("task", [DENSE, SPARSE], ids=lambda task: task.id)
def test_the_scale_of_assimilation_is_the_real_one(task: DAIncrement, tmp_path: Path) -> None:
    """No correction scores 0; a quartic of the literature, for the task's number J, lies below the perfect model."""
    assert try_out(item(task, "U[k] = 0")) == pytest.approx(0.0, abs=1e-9)
    wilks = np.array([-0.262, -1.45, 0.0121, 0.00713, -0.000296])  # Wilks (2005), J = 32
    quartic = Polynomial(wilks * task.regime.J / 32 * task.track.window)
    score = try_out(item(task, export_onnx(quartic, tmp_path / "closure.onnx", task.regime.K).read_bytes()))
    assert score is not None
    assert 20.0 < score < 95.0
    mini = task.miniature()
    assert isinstance(mini, DAIncrement)
    assert not np.isfinite([*mini.without_correction.run.diverged, *mini.perfect.run.diverged]).any()


def network(*nodes: Any, **constants: Any) -> bytes:
    """An ONNX file from X (n, 8) to U (n, 8)."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 8]) for name in "XU"]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def table(reach: int) -> bytes:
    """-0.05 X, looked up in a table of whole X from -reach to reach."""
    values = np.arange(-reach, reach + 1, dtype=np.float32) * np.float32(-0.05)
    return network(
        helper.make_node("Round", ["X"], ["whole"]),
        helper.make_node("Add", ["whole", "reach"], ["place"]),
        helper.make_node("Cast", ["place"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["values", "index"], ["U"]),
        values=values,
        reach=np.float32(reach),
    )


def first_rows(n: int) -> bytes:
    """-0.05 X of n rows at most, where the calls of a cycle have more."""
    return network(
        helper.make_node("Slice", ["X", "start", "end", "axis"], ["rows"]),
        helper.make_node("Mul", ["rows", "factor"], ["U"]),
        start=np.array([0]),
        end=np.array([n]),
        axis=np.array([0]),
        factor=np.float32(-0.05),
    )


CARELESS: dict[str, tuple[bytes | str, str]] = {
    "wrong sign": ("U[k] = 0.02*X[k]", r"worse than no correction .* correlation of -0\.\d+ .* is the sign wrong"),
    "a tendency": ("U[k] = -1.5*X[k]", r"the filter diverged in 2 of 2 segments .* one window of 0\.05 MTU"),
    "NaN": ("U[k] = -0.05*X[k] + 0.001*sqrt(15.5 - X[k])", "finite U for states of the attractor"),
    "short table": (table(17), "closure.onnx: the runtime fails"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CARELESS)
def test_what_is_only_seen_in_a_cycle_is_found(name: str) -> None:
    data, message = CARELESS[name]
    assert inspect(item(DENSE, data)) == ""
    with pytest.raises(L96BenchError, match=message):
        try_out(item(DENSE, data))


def test_a_shape_that_is_right_for_few_rows_alone_is_told_at_once() -> None:
    said = r"closure.onnx: expected U of shape \(256, 8\) for as many X, got \(64, 8\)"
    with pytest.raises(L96BenchError, match=said):
        inspect(item(DENSE, first_rows(64)))


@pytest.mark.slow
@pytest.mark.parametrize("data", ["U[k] = -0.05*X[k]", table(100), first_rows(10**6)], ids=["text", "table", "rows"])
def test_the_same_done_carefully_is_tried(data: bytes | str) -> None:
    score = try_out(item(DENSE, data))
    assert score is not None
    assert 30.0 < score < 95.0


@pytest.mark.slow
def test_a_bad_model_is_no_fault_where_its_sign_is_right() -> None:
    """Half of the errors of too large increments: worse than none, but not opposed to the analyses."""
    score = try_out(item(DENSE, "U[k] = -0.25*X[k]"))
    assert score is not None
    assert score < 0.0


class Late:
    """A closure that does its work for a while."""

    deterministic = True

    def __init__(self, step: Callable[[Array, int], Any]) -> None:
        self._step = step

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.calls = 0

    def step(self, X: Array) -> Any:
        self.calls += 1
        return self._step(X, self.calls)


def fails(X: Array, call: int) -> Array:
    if call > 100:
        raise KeyError("no more weights")
    return -0.05 * X


MODELS = {
    "good": (Late(lambda X, call: -0.05 * X), ""),
    "raises": (Late(fails), "KeyError: 'no more weights'"),
    "shape": (Late(lambda X, call: -0.05 * (X if call < 100 else X[:, :1])), "got shape"),
    "NaN": (Late(lambda X, call: -0.05 * X if call < 100 else np.full_like(X, np.nan)), "the filter diverged in 2 of"),
    "sign": (lambda X: 0.02 * X, "is the sign wrong"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_code_of_ones_own_is_tried_like_artifacts(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, expected = MODELS[name]
    filled_example(tmp_path / "mine", "da-increment")
    (tmp_path / "mine" / "closure.onnx").unlink()
    path = tmp_path / "mine" / "submission.yaml"
    path.write_text(path.read_text().replace("artifacts: closure.onnx", "artifacts: python:own:model"))
    monkeypatch.setattr("l96bench.submissions.folder._ready", lambda name, task: model)
    found = check_folder(tmp_path / "mine", allow_python=True)
    if expected:
        [fault] = found.faults
        assert expected in fault
        assert found.scores == {}
    else:
        assert found.faults == []
        assert 30.0 < found.scores[DENSE.id] < 95.0


@pytest.mark.slow
def test_each_artifact_of_a_family_is_tried(tmp_path: Path) -> None:
    filled_example(tmp_path / "mine", "da-increment")
    (tmp_path / "mine" / "wide.yaml").write_text("- U[k] = 0.05*X[k]\n")
    path = tmp_path / "mine" / "submission.yaml"
    text = path.read_text().replace(f"  - {DENSE.id}", f"  - {DENSE.id}\n  - {SPARSE.id}")
    path.write_text(text.replace("artifacts: closure.onnx", "artifacts: {default: closure.onnx, sparse: wide.yaml}"))
    found = check_folder(tmp_path / "mine")
    assert list(found.scores) == [DENSE.id]
    [fault] = found.faults
    assert fault.startswith("wide.yaml: worse than no correction")
    assert fault.endswith(f"[{SPARSE.id}, in miniature]")


def test_predictions_are_not_for_what_runs_models(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", test=np.zeros((1, 1, 8)))
    with pytest.raises(SubmissionError, match="cannot score a file of predictions; expected a closure"):
        inspect(Item(DENSE, Artifact("p.npz", (tmp_path / "p.npz").read_bytes()), INFO))
