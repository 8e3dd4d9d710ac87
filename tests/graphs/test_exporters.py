"""Files as the usual exporters write them run, or the message says what to type; what it says is typed here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from l96bench.errors import SubmissionError
from l96bench.estimators.regressors import LocalRegressor
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.graphs.onnx_file import OPSETS, onnx_faults
from l96bench.submissions.export import export_onnx

K = 8
X = np.random.default_rng(0).normal(2.5, 3.5, (64, K))


def graph(
    rows: tuple[Any, ...] = ("n", K), out: tuple[Any, ...] | None = None, opsets: Any = (("", 17),), **domain: str
) -> Any:
    """A model that doubles its input."""
    out = rows if out is None else out
    nodes = [helper.make_node("Mul", ["X", "two"], ["V"], **domain)]
    nodes.append(
        helper.make_node("Reshape", ["V", "shape"], ["U"]) if out != rows else helper.make_node("Neg", ["V"], ["U"])
    )
    values = [helper.make_tensor_value_info(name, 11, shape) for name, shape in (("X", rows), ("U", out))]
    shape = [-1 if isinstance(each, str) else each for each in out]
    constants = [numpy_helper.from_array(np.array(2.0), "two"), numpy_helper.from_array(np.array(shape), "shape")]
    made = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:], constants), ir_version=8)
    del made.opset_import[:]
    made.opset_import.extend(helper.make_opsetid(*each) for each in opsets)
    return made


def faults(made: Any, K: int | None = K) -> list[str]:
    return onnx_faults(made.SerializeToString(), "closure.onnx", K)


@pytest.mark.parametrize("version", [13, 17, 22, 23, 25, 28])
def test_every_opset_that_the_runtime_runs_is_accepted(version: int) -> None:
    closure = OnnxClosure(graph(opsets=(("", version),)).SerializeToString(), K)
    np.testing.assert_array_equal(closure.predict(X), -2.0 * X)


def test_the_newest_opset_of_the_runtime_is_the_newest_that_is_allowed() -> None:
    import onnxruntime

    for version, runs in ((OPSETS[""][-1], True), (OPSETS[""][-1] + 1, False)):
        data = graph(opsets=(("", version),)).SerializeToString()
        try:
            onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        except Exception:
            assert not runs
        else:
            assert runs
    [line] = faults(graph(opsets=(("", OPSETS[""][-1] + 1),)))
    assert "opset_version=18" in line


def test_what_is_listed_twice_or_never_used_does_no_harm() -> None:
    """skl2onnx lists an opset twice, and exporters list domains that no operator is of."""
    listed = (("", 17), ("ai.onnx", 17), ("ai.onnx.ml", 3), ("", 17), ("com.microsoft", 1), ("pkg.torch", 1))
    made = graph(opsets=listed)
    np.testing.assert_array_equal(OnnxClosure(made.SerializeToString(), K).predict(X), -2.0 * X)
    [line] = faults(graph(opsets=(("", 17), ("", 18))))
    assert "expected each domain of operators once, got opsets [17, 18] of ai.onnx" in line
    assert "target_opset" in line
    assert any(
        "'com.microsoft' are not allowed" in line for line in faults(graph(opsets=listed, domain="com.microsoft"))
    )


@pytest.mark.parametrize(
    ("rows", "out", "told"),
    [
        ((1, K), None, ["dynamic_shapes=({0: torch.export.Dim('n')},)", "torch.zeros(2, 8)", "dynamic_axes"]),
        ((64, K), None, ["[None, 8]"]),
        (("n", 1), None, ["LocalRegressor(estimator, radius=0)", "x.reshape(-1, 1)"]),
        (("n", 5), None, ["LocalRegressor(estimator, radius=2)", "reshape(-1, 5)"]),
        (("n", 36), None, ["a model of 36 numbers", "another regime"]),
        (("n", K), ("n", K, 1), ["end the model with .reshape(-1, 8)"]),
        (("n", K), ("n", 1, K), ["end the model with .reshape(-1, 8)"]),
        (("n", 1, K), ("n", K), ["x.reshape(-1, 1, 8)"]),
    ],
)
def test_another_shape_is_told_once_with_what_to_type(rows: Any, out: Any, told: list[str]) -> None:
    [line] = faults(graph(rows, out))
    assert [each for each in told if each not in line] == []


def test_weights_in_a_second_file(tmp_path: Path) -> None:
    path = tmp_path / "closure.onnx"
    onnx.save(graph(), path, save_as_external_data=True, size_threshold=0, location="closure.onnx.data")
    [line] = onnx_faults(path.read_bytes(), "closure.onnx", K)
    assert "(and 1 more) lies in another file" in line
    assert "external_data=False" in line
    onnx.save(onnx.load(path), path)  # as the message says
    np.testing.assert_array_equal(OnnxClosure(path.read_bytes(), K).predict(X), -2.0 * X)


def test_functions_are_written_out_as_the_message_says() -> None:
    made = graph(opsets=(("", 17), ("own", 1)))
    made.functions.append(helper.make_function(
        "own", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [helper.make_opsetid("", 17)]
    ))  # fmt: skip
    made.graph.node[0].CopyFrom(helper.make_node("Twice", ["X"], ["V"], domain="own"))
    assert any("onnx.inliner.inline_local_functions" in line for line in faults(made))
    import onnx.inliner

    inlined = onnx.inliner.inline_local_functions(made)
    np.testing.assert_array_equal(OnnxClosure(inlined.SerializeToString(), K).predict(X), -2.0 * X)


POINTS = {
    "linear": lambda: LinearRegression(),
    "pipeline": lambda: make_pipeline(StandardScaler(), Ridge(1e-3)),
}


@pytest.mark.parametrize("name", POINTS)
def test_a_regressor_of_single_points_is_a_local_regressor(name: str, tmp_path: Path) -> None:
    skl2onnx = pytest.importorskip("skl2onnx")
    point = POINTS[name]().fit(X.reshape(-1, 1), -0.5 * X.reshape(-1))
    made = skl2onnx.to_onnx(point, X.reshape(-1, 1)[:1], target_opset=17)
    assert "LocalRegressor(estimator, radius=0)" in faults(made)[0]
    typed = LocalRegressor(POINTS[name](), radius=0).fit(X, -0.5 * X)
    closure = OnnxClosure(export_onnx(typed, tmp_path / "closure.onnx", K).read_bytes(), K)
    np.testing.assert_allclose(closure.predict(X), point.predict(X.reshape(-1, 1)).reshape(X.shape), atol=1e-10)


def test_whole_rings_of_scikit_learn_run_as_skl2onnx_writes_them() -> None:
    skl2onnx = pytest.importorskip("skl2onnx")
    ring = make_pipeline(StandardScaler(), Ridge()).fit(X, -0.5 * X)
    closure = OnnxClosure(skl2onnx.to_onnx(ring, X[:1]).SerializeToString(), K)
    np.testing.assert_allclose(closure.predict(X), ring.predict(X), atol=1e-10)


def networks() -> dict[str, Callable[[], Any]]:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    return {
        "perceptron": lambda: nn.Sequential(nn.Linear(K, 16), nn.Tanh(), nn.Linear(16, K)),
        "normalized": lambda: nn.Sequential(
            nn.Linear(K, 16), nn.LayerNorm(16), nn.GELU(), nn.RMSNorm(16), nn.SiLU(), nn.Linear(16, K)
        ),
        "convolution": lambda: nn.Sequential(
            nn.Unflatten(1, (1, K)), nn.Conv1d(1, 4, 5, padding=2, padding_mode="circular"), nn.ReLU(),
            nn.Conv1d(4, 1, 1), nn.Flatten()
        ),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", [18, 20, 23])
@pytest.mark.parametrize("name", ["perceptron", "normalized", "convolution"])
def test_modules_as_torch_writes_them_today(name: str, version: int, tmp_path: Path) -> None:
    """With today's defaults both remedies are named; with them the file runs."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    module, path = networks()[name]().eval(), tmp_path / "closure.onnx"
    torch.onnx.export(module, (torch.zeros(1, K),), path, opset_version=version, verbose=False)
    said = " ".join(onnx_faults(path.read_bytes(), "closure.onnx", K))
    assert "dynamic_shapes" in said
    beside = path.with_name("closure.onnx.data")  # empty where there are no large weights
    assert ("external_data=False" in said) == (beside.exists() and beside.stat().st_size > 0)
    torch.onnx.export(module, (torch.zeros(2, K),), path, opset_version=version, verbose=False, external_data=False,
                      dynamic_shapes=({0: torch.export.Dim("n")},))  # fmt: skip
    closure = OnnxClosure(path.read_bytes(), K)
    closure.check_rows(X)
    with torch.inference_mode():
        expected = module(torch.from_numpy(X).float()).numpy()
    np.testing.assert_allclose(closure.predict(X), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["perceptron", "convolution"])
def test_modules_as_the_old_exporter_writes_them(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module, path = networks()[name]().eval(), tmp_path / "closure.onnx"
    torch.onnx.export(module, (torch.zeros(2, K),), path, dynamo=False)
    with pytest.raises(SubmissionError, match="dynamic_axes"):
        OnnxClosure(path.read_bytes(), K)
    torch.onnx.export(module, (torch.zeros(2, K),), path, dynamo=False, input_names=["X"], output_names=["U"],
                      dynamic_axes={"X": {0: "n"}, "U": {0: "n"}})  # fmt: skip
    OnnxClosure(path.read_bytes(), K).check_rows(X)
