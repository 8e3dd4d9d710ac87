"""Exported models against their originals: the same predictions, the same scores to the last digit shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from l96bench.dynamics.closures import as_closure, checked_step
from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.equations.closure import EquationClosure
from l96bench.equations.equation_set import EquationSet
from l96bench.errors import L96BenchError, ModelError
from l96bench.estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor
from l96bench.submit.artifacts import Artifact, read_equations, read_predictions
from l96bench.submit.evaluation import expected_of
from l96bench.submit.export import export_equations, export_onnx, export_predictions
from l96bench.submit.miniature import miniature
from l96bench.submit.onnx_closure import OnnxClosure
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing

torch = pytest.importorskip("torch")

from l96bench.estimators.network import TorchRegressor  # noqa: E402
from l96bench.estimators.ring_network import RingNetwork  # noqa: E402

K = 8
SMALL = {"epochs": 1, "min_steps": 30, "random_state": 0}


def local(estimator: Any, **options: Any) -> LocalRegressor:
    return LocalRegressor(estimator, **options)


MODELS = {
    "quartic": lambda: PolynomialRegressor(degree=4),
    "constant": lambda: PolynomialRegressor(degree=0),
    "linear stencil": lambda: local(LinearRegression()),
    "quadratic stencil": lambda: local(make_pipeline(PolynomialFeatures(2), StandardScaler(), Ridge(1e-3))),
    "forest": lambda: local(RandomForestRegressor(5, max_leaf_nodes=40, random_state=0)),
    "large forest": lambda: local(RandomForestRegressor(20, min_samples_leaf=5, random_state=1)),
    "boosting": lambda: local(GradientBoostingRegressor(n_estimators=5, random_state=0)),
    "tree": lambda: local(DecisionTreeRegressor(max_leaf_nodes=30, random_state=0), radius=1),
    "network": lambda: local(TorchRegressor((8, 8), **SMALL)),
    "tanh network": lambda: local(TorchRegressor((8,), activation="tanh", **SMALL), radius=1),
    "residual network": lambda: local(TorchRegressor((8, 8, 8), activation="silu", residual=True, **SMALL)),
    "scaled network": lambda: local(make_pipeline(StandardScaler(), TorchRegressor((8,), activation="relu", **SMALL))),
    "global linear": lambda: LinearRegression(),
    "global network": lambda: TorchRegressor((16,), **SMALL),
    "global perceptron": lambda: MLPRegressor(hidden_layer_sizes=(16,), max_iter=5, random_state=0),
    "ring network": lambda: RingNetwork((6, 6), **SMALL),
    "residual ring network": lambda: RingNetwork((6, 6), kernel=5, residual=True, activation="relu", **SMALL),
}


@pytest.fixture(scope="module")
def offline() -> SubgridForcing:
    task = miniature(make_task("subgrid-forcing/wilks-f20-v1"))
    assert isinstance(task, SubgridForcing)
    return task


@pytest.fixture(scope="module")
def online() -> OnlineRollout:
    task = miniature(make_task("online-rollout/wilks-f20-v1"))
    assert isinstance(task, OnlineRollout)
    return task


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_an_exported_model_scores_as_the_original(
    name: str, offline: SubgridForcing, online: OnlineRollout, tmp_path: Path
) -> None:
    model = MODELS[name]().fit(np.array(offline.train.X), np.array(offline.train.U))
    closure = OnnxClosure(export_onnx(model, tmp_path / "closure.onnx", K).read_bytes(), K)
    rows = np.array(offline.test.X[0])
    closure.check_rows(rows[:64])
    expected = checked_step(as_closure(model), rows)
    np.testing.assert_allclose(closure.predict(rows), expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    assert f"{offline.score(closure):.2f}" == f"{offline.score(model):.2f}"
    ours, theirs = (online.forecasts(each, False).crps.mean() for each in (closure, model))
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_polynomial_is_the_same_to_the_last_bit_also_online(online: OnlineRollout, tmp_path: Path) -> None:
    model = Polynomial([-0.3, -1.4, 0.01, 0.007, -0.0003])
    closure = OnnxClosure(export_onnx(model, tmp_path / "closure.onnx", K).read_bytes(), K)
    ours, theirs = online.evaluate(closure, progress=False), online.evaluate(model, progress=False)
    assert ours.predictions_digest == theirs.predictions_digest
    assert ours.score == theirs.score
    assert closure.n_parameters == 5


def test_no_closure_is_nothing(tmp_path: Path) -> None:
    closure = OnnxClosure(export_onnx(NoClosure(), tmp_path / "closure.onnx", K).read_bytes(), K)
    assert not closure.predict(np.ones((3, K))).any()


def test_modules_of_torch_are_written_by_torch(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(K, 16), torch.nn.GELU(), torch.nn.Dropout(0.5), torch.nn.Linear(16, K))
    with torch.no_grad():
        for each in module.parameters():
            each.copy_(torch.randn(each.shape, generator=generator))
    closure = OnnxClosure(export_onnx(module, tmp_path / "closure.onnx", K).read_bytes(), K)
    assert module.training
    X = np.random.default_rng(0).normal(size=(50, K))
    with torch.inference_mode():
        expected = module.eval()(torch.from_numpy(X).float()).numpy()
    np.testing.assert_allclose(closure.predict(X), expected, atol=1e-5 * np.abs(expected).max())


def test_what_has_no_form_as_a_file_says_so(offline: SubgridForcing, tmp_path: Path) -> None:
    X, U = np.array(offline.train.X[:200]), np.array(offline.train.U[:200])
    with pytest.raises(ModelError, match="is stochastic"):
        export_onnx(AR1Regressor().fit(X, U), tmp_path / "a.onnx", K)
    with pytest.raises(ModelError, match="has lags"):
        export_onnx(local(LinearRegression(), lags=(0.05,)).fit(X, U), tmp_path / "a.onnx", K)
    with pytest.raises(ModelError):
        export_onnx(lambda X: X, tmp_path / "a.onnx", K)
    assert list(tmp_path.iterdir()) == []


def test_equations_of_a_polynomial_are_the_polynomial(tmp_path: Path) -> None:
    model = Polynomial([-0.3, -1.4, 0.0, 1e-17, -0.0003])
    texts = read_equations(Artifact("e.yaml", export_equations(model, tmp_path / "e.yaml").read_bytes()))
    assert isinstance(texts, list)
    X = np.random.default_rng(0).normal(2.5, 4, (20, K))
    np.testing.assert_allclose(EquationClosure(texts, K).predict(X), model.predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    "texts",
    [["dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8"], ["0"], ["- X[k] + 1e-3*sin(X[k])"], {"a b": ["8", "# 1"]}],
)
def test_texts_come_back_as_they_are(texts: Any, tmp_path: Path) -> None:
    assert read_equations(Artifact("e.yaml", export_equations(texts, tmp_path / "e.yaml").read_bytes())) == texts


def test_equations_of_pysindy(tmp_path: Path) -> None:
    pysindy = pytest.importorskip("pysindy")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    names = [f"X[{k}]" for k in range(4)]
    model = pysindy.SINDy(optimizer=pysindy.STLSQ(threshold=0.1), feature_library=pysindy.PolynomialLibrary(2))
    model.fit(X, 0.1, x_dot=-X + 3.0, feature_names=names)
    texts = read_equations(Artifact("e.yaml", export_equations(model, tmp_path / "e.yaml").read_bytes()))
    assert isinstance(texts, list)
    np.testing.assert_allclose(EquationSet.parse(texts, 4).tendency(X), -X + 3.0, atol=1e-8)


def test_predictions_come_back_and_know_their_data(offline: SubgridForcing, tmp_path: Path) -> None:
    U = -0.5 * np.array(offline.test.X)
    path = export_predictions(tmp_path / "p.npz", offline, U, U)
    arrays = read_predictions(Artifact("p.npz", path.read_bytes()), expected_of(offline))
    np.testing.assert_array_equal(arrays["test"], U)
    other = miniature(make_task("subgrid-forcing/wilks-f18-v1"))
    assert isinstance(other, SubgridForcing)
    with pytest.raises(L96BenchError, match="predictions for other data"):
        read_predictions(Artifact("p.npz", path.read_bytes()), expected_of(other))
    with pytest.raises(L96BenchError, match="expected predictions of shape"):
        export_predictions(tmp_path / "q.npz", offline, U[0])
