"""Scoring what is ready: files of predictions, and models of a module."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import (
    ArgumentError,
    EquationError,
    L96BenchError,
    ModelError,
    SubmissionError,
    UnknownIdError,
)
from l96bench.submissions.export import export_equations, export_onnx, export_predictions
from l96bench.submissions.score import score_model
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing

OFFLINE, MEMORY, ONLINE = (
    "subgrid-forcing/wilks-f20-v1",
    "subgrid-forcing-memory/wilks-f20-v1",
    "online-rollout/wilks-f20-v2",
)
LINE = Polynomial([-2.0, -0.5])

pytestmark = pytest.mark.usefixtures("miniature_registry")


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("id", [OFFLINE, MEMORY])
def test_predictions_score_as_their_model(id: str, offline: SubgridForcing, tmp_path: Path) -> None:
    test, shift = LINE.predict(offline.test.X), LINE.predict(offline.shift.X)
    path = str(export_predictions(tmp_path / "my line.npz", offline, test, shift))
    result = score_model(path, id)
    assert (result.task, result.model.name, result.model.kind) == (id, "my line", "predictions")
    assert result.model.command == f"l96bench score {path} --task {id}"
    if id == OFFLINE:
        expected = offline.evaluate(LINE)
        assert result.score == expected.score
        assert result.metrics == expected.metrics
    digest = offline.expected_predictions.digest
    single = score_model(save(tmp_path / "single.npz", data=digest, test=test.astype(np.float32)), id)
    assert single.score.value == pytest.approx(result.score.value, abs=1e-4)
    assert "r2_shift" not in single.metrics


class Boom:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (Path("unpickled"),)


DATA: list[str] = []
"""The digest of the data that files of predictions are for, once a test has put it there."""


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in {"data": npy(np.array(DATA[-1])), **members}.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def damaged_in_the_middle(U: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, data=np.array(DATA[-1]), test=U)
    content = bytearray(buffer.getvalue())
    content[len(content) // 2 : len(content) // 2 + 100] = bytes(100)
    return bytes(content)


def with_huge_header() -> bytes:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 8), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    return archive(test=b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64))


PLAIN = "expected an .npz file of plain arrays|bytes of numbers, got fewer"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda U: archive(test=npy(U))[:-3000], PLAIN),
        (lambda U: archive(test=npy(U))[:3000], PLAIN),
        (lambda U: archive(test=npy(U)[:3000]), PLAIN),
        (damaged_in_the_middle, PLAIN),
        (lambda U: with_huge_header(), r"got \(1000000000000, 8\)"),
        (lambda U: npy(U), PLAIN),
        (lambda U: b"", PLAIN),
        (lambda U: b"test,1,2\n", PLAIN),
        (lambda U: pickle.dumps({"test": Boom()}), PLAIN),
        (lambda U: archive(test=npy(np.array([Boom()]))), "objects .pickles. are never loaded"),
        (lambda U: archive(test=pickle.dumps(Boom())), PLAIN),
        (
            lambda U: archive(U=npy(U)),
            r"expected the arrays `test`, `data` and, if wanted, `shift`, got \['U', 'data'\]",
        ),
        (lambda U: archive(test=npy(U), more=npy(U)), r"got \['data', 'more', 'test'\]"),
        (lambda U: archive(), r"got \['data'\]"),
        (lambda U: archive(test=npy(U[0])), r"test: expected shape \(2, 600, 8\), got \(600, 8\)"),
        (lambda U: archive(test=npy(U), shift=npy(U[:1])), r"shift: expected shape .*got \(1, 600, 8\)"),
        (lambda U: archive(test=npy(U + 0j)), "got complex128"),
        (lambda U: archive(test=npy(U.astype(str))), "got <U"),
    ],
)
def test_other_files_are_refused_and_nothing_is_unpickled(
    make: Callable[[np.ndarray], bytes],
    message: str,
    offline: SubgridForcing,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    DATA.append(offline.expected_predictions.digest)
    Path("bad.npz").write_bytes(make(np.array(offline.test.U)))
    with pytest.raises(SubmissionError, match=message):
        score_model("bad.npz", OFFLINE)
    assert not Path("unpickled").exists()


@pytest.mark.slow
def test_predictions_that_do_not_say_what_they_are_for_are_not_scored(offline: SubgridForcing, tmp_path: Path) -> None:
    other = make_task("subgrid-forcing/wilks-f18-v1")
    U = LINE.predict(offline.test.X)
    with pytest.raises(SubmissionError, match=r"expected an array `data`.*export_predictions\(path, task, U\)"):
        score_model(save(tmp_path / "none.npz", test=U), OFFLINE)
    path = export_predictions(tmp_path / "other.npz", other, U)
    with pytest.raises(SubmissionError, match="predictions for other data"):
        score_model(str(path), OFFLINE)
    typed = save(tmp_path / "typed.npz", test=U, data=offline.expected_predictions.digest)  # as the message says
    assert score_model(typed, OFFLINE).score == score_model(str(export_predictions(typed, offline, U)), OFFLINE).score


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda U: U.astype(np.float32),
        lambda U: np.round(U).astype(int),
        lambda U: U.astype(np.longdouble),
        lambda U: U.astype(">f8"),
        lambda U: np.asfortranarray(U),
        lambda U: U.tolist(),
        lambda U: torch.from_numpy(U).requires_grad_(),
        lambda U: np.where(U > 3.0, np.nan, U),
    ],
)
def test_whatever_is_written_is_read_and_scores_as_it_would_in_python(
    change: Callable[[np.ndarray], Any], offline: SubgridForcing, tmp_path: Path
) -> None:
    U = change(LINE.predict(offline.test.X))
    result = score_model(str(export_predictions(tmp_path / "p.npz", offline, U)), OFFLINE)
    assert result.score == offline.evaluate_predictions(U).score
    assert result.failures == offline.evaluate_predictions(U).failures


def test_what_cannot_be_read_is_not_written(offline: SubgridForcing, tmp_path: Path) -> None:
    U = LINE.predict(offline.test.X)
    for wrong, message in ((U[0], "got shape"), (U + 0j, "complex128"), (U.astype(str), "dtype <U")):
        with pytest.raises(ModelError, match=message):
            export_predictions(tmp_path / "p.npz", offline, wrong)
    with pytest.raises(ArgumentError, match=r"expected a name that ends in \.npz; try p\.npz"):
        export_predictions(tmp_path / "p", offline, U)
    with pytest.raises(ArgumentError, match=r"ends in \.yaml or \.json"):
        export_equations(["U[k] = -X[k]"], tmp_path / "e.yml")
    with pytest.raises(ArgumentError, match=r"ends in \.onnx"):
        export_onnx(LINE, tmp_path / "closure", 8)
    with pytest.raises(EquationError, match="unexpected '@'"):
        export_equations(["U[k] = X[k] @ 2"], tmp_path / "e.yaml")
    with pytest.raises(ModelError, match=r"at most 1,000,000 bytes.*try a \.json"):
        export_equations(["U[k] = " + " + ".join(["X[k]"] * 200_000)], tmp_path / "e.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=r"nowhere\.npz: cannot be read"):
        score_model(str(tmp_path / "nowhere.npz"), OFFLINE)


def test_predictions_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(L96BenchError, match="cannot score a file of predictions; expected a closure"):
        score_model(save(tmp_path / "a.npz", test=np.zeros(3)), ONLINE)


MODULE = """
import numpy as np
import l96bench

X = np.random.default_rng(0).normal(2.5, 4.0, (100, 8))
fitted = l96bench.PolynomialRegressor(degree=1).fit(X, -2.0 - 0.5 * X)
unfitted = l96bench.PolynomialRegressor(degree=1)
closure = l96bench.Polynomial([-2.0, -0.5])

def function(X):
    return -2.0 - 0.5 * X
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "ready_models"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.mark.slow
@pytest.mark.parametrize("id", [OFFLINE, MEMORY, ONLINE])
@pytest.mark.parametrize("name", ["fitted", "closure", "function"])
def test_a_ready_model_is_scored_as_it_is(id: str, name: str, module: str, request: pytest.FixtureRequest) -> None:
    task = request.getfixturevalue({OFFLINE: "offline", MEMORY: "memory", ONLINE: "online"}[id])
    result = score_model(f"{module}:{name}", id)
    # The fitted line differs in its last bits, which a chaotic climate makes large.
    tolerance = 1e-6 if name != "fitted" or id != ONLINE else 15.0
    assert result.score.value == pytest.approx(task.score(LINE), abs=tolerance)
    assert (result.model.name, result.model.kind) == (name, "custom")
    assert result.model.command == f"l96bench score {module}:{name} --task {id}"
    assert result.model.seeds == []


def test_a_model_that_is_not_ready_says_so(module: str) -> None:
    with pytest.raises(ModelError, match="Expected a fitted model, got a PolynomialRegressor"):
        score_model(f"{module}:unfitted", OFFLINE)


def test_unknown_names_are_errors(module: str) -> None:
    with pytest.raises(UnknownIdError, match="no task"):
        score_model(f"{module}:closure", "subgrid-forcing/wilks-f20")
    with pytest.raises(UnknownIdError, match=r"has no object 'closur'\. Did you mean 'closure'"):
        score_model(f"{module}:closur", OFFLINE)


@pytest.mark.slow
def test_files_of_equations_are_scored(single: EquationRecovery, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({problem.id: problem.instance.texts for problem in single.problems}))
    result = score_model(str(path), single.id)
    assert result.score.value == 100.0
    assert (result.task, result.model.name, result.model.kind) == (single.id, "mine", "equations")
    path.write_text('["0"]')
    assert score_model(str(path), single.id).score.value == 0.0


@pytest.mark.parametrize("content", [b"[", b"\xff", b"[" * 100_000, b"3", b'{"a": "0"}', b'[["0"]]', b'"0"', b"null"])
def test_files_that_hold_no_equations_are_refused(content: bytes, single: EquationRecovery, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(SubmissionError, match=r"expected|not valid JSON"):
        score_model(str(path), single.id)
