"""A file of a closure that has passed its check is not checked again on the same states; any other is."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from l96bench.errors import ModelError
from l96bench.estimators.regressors import AR1Regressor, PolynomialRegressor
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.tasks import closure_task
from l96bench.tasks.artifacts import ONNX, Content
from l96bench.tasks.subgrid_forcing import SubgridForcing

pytestmark = pytest.mark.slow


def times(factor: float) -> Content:
    """A file of U = factor X."""
    X, U = (helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", 8]) for name in "XU")
    constant = numpy_helper.from_array(np.array(factor), "factor")
    graph = helper.make_graph([helper.make_node("Mul", ["X", "factor"], ["U"])], "times", [X], [U], [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return Content("closure", ONNX, model.SerializeToString())


def check(task: SubgridForcing, content: Content, X: np.ndarray, path: np.ndarray | None = None) -> None:
    closure_task.check_closure(task.read_closure(content), X, content, path)


def test_what_is_only_finite_at_some_states_fails_at_others(offline: SubgridForcing) -> None:
    near, far = np.zeros((8, 8)), np.full((8, 8), 10.0)
    check(offline, times(-0.5), far)
    for _ in range(2):
        check(offline, times(1e308), near)
        with pytest.raises(ModelError, match="expected finite U"):
            check(offline, times(1e308), far)


def test_each_file_is_checked_once_on_the_same_states(offline: SubgridForcing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closure_task, "_passed", set())
    checked: list[Any] = []
    monkeypatch.setattr(OnnxClosure, "check_rows", lambda self, X: checked.append(len(X)))
    monkeypatch.setattr(closure_task, "check_step", lambda step, X, path: checked.append(path))
    X, path = np.zeros((8, 8)), np.ones((20, 8))
    for factor in (-0.5, -0.5, -0.6):
        check(offline, times(factor), X)
    check(offline, times(-0.5), X[:7])
    assert checked == [8, 8, 7]
    train = offline.train
    noisy = offline.export(AR1Regressor(PolynomialRegressor(1)).fit(np.array(train.X), np.array(train.U)))
    checked.clear()
    for each in (path, path, None, 2 * path):
        check(offline, noisy, X, each)
    assert [each is None or float(each[0, 0]) for each in checked] == [1.0, True, 2.0]
