"""What the package writes, the package reads: the output of every exporter passes `check` and is scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.equations.closure import EquationClosure
from l96bench.equations.closure_regression import EquationRegressor
from l96bench.equations.equation_set import EquationSet
from l96bench.equations.library import RingLibrary
from l96bench.equations.regression import SparseRegression
from l96bench.estimators.regressors import LocalRegressor, PolynomialRegressor
from l96bench.estimators.tuning import TunedPolynomial
from l96bench.submissions.export import export_equations, export_onnx
from l96bench.submissions.folder import check_folder
from l96bench.submissions.score import score_model
from l96bench.tasks.registry import make_task

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("miniature_registry", "in_process")]

OFFLINE, ONLINE, SINGLE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2", "equation-recovery/single-v1"
K = 8
QUARTIC = Polynomial([-0.3, -1.4, 0.01, 0.007, -0.0003])
TEXTBOOK = "dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8"


def fitted(model: Any) -> Any:
    train = make_task(OFFLINE).train  # type: ignore[attr-defined]
    return model.fit(np.array(train.X), np.array(train.U))


def library() -> EquationRegressor:
    search = SparseRegression(LinearRegression(fit_intercept=False), RingLibrary(degree=2, radius=1), symmetric=True)
    return EquationRegressor(search)


GRAPHS: dict[str, Callable[[], Any]] = {
    "polynomial": lambda: QUARTIC,
    "nothing": lambda: NoClosure(),
    "fitted polynomial": lambda: fitted(PolynomialRegressor(4)),
    "a whole pipeline": lambda: fitted(make_pipeline(StandardScaler(), Ridge())),
    "a pipeline of stencils": lambda: fitted(LocalRegressor(make_pipeline(StandardScaler(), Ridge()))),
    "forest": lambda: fitted(LocalRegressor(RandomForestRegressor(3, max_leaf_nodes=20, random_state=0))),
    "perceptron": lambda: fitted(MLPRegressor(hidden_layer_sizes=(8,), max_iter=5, random_state=0)),
    "torch": lambda: torch.nn.Sequential(torch.nn.Linear(K, 4), torch.nn.Tanh(), torch.nn.Linear(4, K)),
    "equations": lambda: EquationClosure(["U[k] = -0.5*X[k] + 0.01*X[k-1]*X[k+1]"], K),
}
EQUATIONS: dict[str, Callable[[], Any]] = {
    "polynomial": lambda: QUARTIC,
    "nothing": lambda: NoClosure(),
    "fitted polynomial": lambda: fitted(PolynomialRegressor(4)),
    "tuned polynomial": lambda: fitted(TunedPolynomial(degree=2)),
    "closure": lambda: EquationClosure(["U[k] = -0.5*X[k] + 0.1*sin(X[k-1])"], K),
    "closure of each point": lambda: EquationClosure([f"U[{k}] = {k}*1e-9 - 0.5*X[{k}]" for k in range(K)], K),
    "regression": lambda: fitted(library()),
    "a text": lambda: ["U[k] = -0.5*X[k]"],
    "a right-hand side": lambda: ["- 0.5*X[k]"],
    "a typeset text": lambda: ["U[k] = \u2212 0.5\u00b7X[k] \u2212 0.001\u00b7X[k]³"],
}


def checked(folder: Path, id: str, path: Path) -> None:
    fields = {
        "schema": "l96bench/submission/1", "name": "mine", "authors": ["A. Author"], "kind": "a kind", "inputs": "X",
        "description": "Ours.", "tasks": [id], "artifacts": path.name, "training": [],
    }  # fmt: skip
    (folder / "submission.yaml").write_text(yaml.safe_dump(fields))
    found = check_folder(folder)
    # What a model scores is its own affair, and so is that of one with random weights.
    assert [each for each in found.faults if "of opposite sign" not in each] == []
    assert found.notes == []


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    checked(tmp_path / "mine", ONLINE, export_onnx(GRAPHS[name](), tmp_path / "mine" / "closure.onnx", K))


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_of_closures(name: str, suffix: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    checked(tmp_path / "mine", OFFLINE, export_equations(EQUATIONS[name](), tmp_path / "mine" / f"equations.{suffix}"))


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("name", ["set", "text", "by problem"])
def test_equations_of_systems(name: str, suffix: str, tmp_path: Path) -> None:
    task = make_task(SINGLE)
    given = {
        "set": EquationSet.parse([TEXTBOOK], K),
        "text": [TEXTBOOK],
        "by problem": {problem.id: [TEXTBOOK] for problem in task.problems},  # type: ignore[attr-defined]
    }[name]
    (tmp_path / "mine").mkdir()
    path = export_equations(given, tmp_path / "mine" / f"equations.{suffix}")
    checked(tmp_path / "mine", SINGLE, path)
    alone = export_equations([TEXTBOOK], tmp_path / "alone.yaml")
    assert score_model(str(path), SINGLE).score == score_model(str(alone), SINGLE).score
