"""Exported models against their originals: the same predictions, the same scores to the last digit shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from l96bench.assimilation.corrections import corrected
from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.equations.closure import EquationClosure
from l96bench.equations.closure_regression import EquationRegressor
from l96bench.equations.equation_set import EquationSet
from l96bench.equations.library import RingLibrary
from l96bench.equations.regression import SparseRegression
from l96bench.errors import L96BenchError, ModelError
from l96bench.estimators.emulators import EmulatorRegressor
from l96bench.estimators.gaussian_process import SparseGaussianProcess
from l96bench.estimators.inversion import InvertedPolynomial
from l96bench.estimators.regressors import LocalRegressor, PolynomialRegressor
from l96bench.estimators.tuning import TunedPolynomial
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.regimes import get_regime
from l96bench.submissions.artifacts import Artifact, read_equations, read_predictions
from l96bench.submissions.export import export_equations, export_onnx, export_predictions
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing

torch = pytest.importorskip("torch")

from l96bench.estimators.flux import ConservativeNetwork, FluxRegressor  # noqa: E402
from l96bench.estimators.network import TorchRegressor  # noqa: E402
from l96bench.estimators.nudged import CoupledOnlineRegressor  # noqa: E402
from l96bench.estimators.online_training import OnlineNetworkRegressor  # noqa: E402
from l96bench.estimators.ring_network import RingNetwork  # noqa: E402

K = 8
SMALL = {"epochs": 1, "min_steps": 30, "random_state": 0}


def local(estimator: Any, **options: Any) -> LocalRegressor:
    return LocalRegressor(estimator, **options)


def conservative(constraint: str) -> ConservativeNetwork:
    return ConservativeNetwork(constraint, hidden=(8,), radius=3, **SMALL)


def library(degree: int) -> EquationRegressor:
    search = SparseRegression(
        LinearRegression(fit_intercept=False), RingLibrary(degree=degree, radius=2), symmetric=True
    )
    return EquationRegressor(search)


MODELS = {
    "quartic": lambda: PolynomialRegressor(degree=4),
    "constant": lambda: PolynomialRegressor(degree=0),
    "linear stencil": lambda: local(LinearRegression()),
    "quadratic stencil": lambda: local(make_pipeline(PolynomialFeatures(2), StandardScaler(), Ridge(1e-3))),
    "forest": lambda: local(RandomForestRegressor(5, max_leaf_nodes=40, random_state=0)),
    "large forest": lambda: local(RandomForestRegressor(20, min_samples_leaf=5, random_state=1)),
    "boosting": lambda: local(GradientBoostingRegressor(n_estimators=5, random_state=0)),
    "tree": lambda: local(DecisionTreeRegressor(max_leaf_nodes=30, random_state=0), radius=1),
    "histogram boosting": lambda: local(HistGradientBoostingRegressor(max_iter=10, max_depth=4, random_state=0)),
    "Gaussian process": lambda: local(SparseGaussianProcess(20, 100)),
    "tuned on tendencies": lambda: TunedPolynomial(degree=4),
    "tuned on trajectories": lambda: TunedPolynomial(degree=1, objective="trajectories", n_forecasts=20),
    "inverted": lambda: InvertedPolynomial(degree=1, n_ensemble=10, n_iterations=2, duration=5.0),
    "equations": lambda: library(2),
    "flux of a regression": lambda: FluxRegressor(LinearRegression()),
    "flux of a network": lambda: FluxRegressor(TorchRegressor((8,), **SMALL)),
    "free network": lambda: conservative("none"),
    "penalized network": lambda: conservative("penalty"),
    "flux network": lambda: conservative("flux"),
    "staggered flux network": lambda: conservative("staggered flux"),
    "trained online": lambda: OnlineNetworkRegressor(20.0, TorchRegressor((8,), **SMALL), steps=3, batch_size=8),
    "coupled online": lambda: CoupledOnlineRegressor(
        "wilks-f20", TorchRegressor((8,), **SMALL), pairs=2, duration=0.2, spin_up=1.0
    ),
    "pipeline of a ring": lambda: make_pipeline(StandardScaler(), RingNetwork((6,), **SMALL)),
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
    task = make_task("subgrid-forcing/wilks-f20-v1").miniature()
    assert isinstance(task, SubgridForcing)
    return task


@pytest.fixture(scope="module")
def online() -> OnlineRollout:
    task = make_task("online-rollout/wilks-f20-v2").miniature()
    assert isinstance(task, OnlineRollout)
    return task


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_an_exported_model_scores_as_the_original(
    name: str, offline: SubgridForcing, online: OnlineRollout, tmp_path: Path
) -> None:
    model = MODELS[name]().fit(np.array(offline.train.X), np.array(offline.train.U))
    closure = OnnxClosure(export_onnx(model, tmp_path / "closure.onnx", K).read_bytes(), K)
    rows = np.array(offline.test.X[0])
    closure.check_rows(rows[:64])
    expected = np.asarray(model.predict(rows))
    np.testing.assert_allclose(closure.predict(rows), expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    session = onnxruntime.InferenceSession(tmp_path / "closure.onnx", providers=["CPUExecutionProvider"])
    [U] = session.run(None, {"X": rows})
    np.testing.assert_allclose(U, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    for task in (offline, online):
        ours, theirs = (task.evaluate(each, progress=False) for each in (closure, model))
        assert ours.score == theirs.score
        assert ours.predictions_digest == theirs.predictions_digest


@pytest.mark.slow
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


def test_what_has_no_form_as_a_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="try export_equations"):
        export_onnx(EquationClosure(["U[k] = sin(X[k])"], K), tmp_path / "a.onnx", K)
    with pytest.raises(ModelError):
        export_onnx(lambda X: X, tmp_path / "a.onnx", K)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeRegressor(max_leaf_nodes=50, random_state=0),
        RandomForestRegressor(3, max_leaf_nodes=50, random_state=0),
        HistGradientBoostingRegressor(max_iter=10, random_state=0),
    ],
)
def test_trees_are_the_same_to_the_last_bit_also_at_their_thresholds(
    estimator: Any, offline: SubgridForcing, tmp_path: Path
) -> None:
    model = local(estimator, radius=0).fit(np.array(offline.train.X), np.array(offline.train.U))
    if isinstance(estimator, HistGradientBoostingRegressor):
        thresholds = np.concatenate([tree.nodes["num_threshold"] for (tree,) in model.estimator_._predictors])
    else:
        trees = [model.estimator_] if isinstance(estimator, DecisionTreeRegressor) else model.estimator_.estimators_
        thresholds = np.concatenate([tree.tree_.threshold for tree in trees])
    near = np.concatenate([np.nextafter(thresholds, -np.inf), thresholds, np.nextafter(thresholds, np.inf)])
    rows = np.concatenate([np.array(offline.test.X[0]), np.repeat(near[:, None], K, axis=1)])
    closure = OnnxClosure(export_onnx(model, tmp_path / "closure.onnx", K).read_bytes(), K)
    np.testing.assert_array_equal(closure.predict(rows), model.predict(rows))


@pytest.mark.parametrize("estimator", [PolynomialRegressor(degree=2), local(TorchRegressor((8,), **SMALL)), library(2)])
def test_under_an_exported_emulator_the_model_lands_where_the_emulator_says(
    estimator: Any, offline: SubgridForcing, tmp_path: Path
) -> None:
    regime, dt = get_regime("wilks-f20"), 0.01
    model = EmulatorRegressor(estimator, F=regime.F, dt=dt).fit_trajectory(np.array(offline.train_fine.X))
    closure = OnnxClosure(export_onnx(model, tmp_path / "closure.onnx", K).read_bytes(), K)
    X = np.array(offline.test.X[0][:200])
    U = closure.predict(X)

    def slope(x: np.ndarray) -> np.ndarray:
        back = [np.roll(x, shift, axis=1) for shift in (1, 2, -1)]
        return back[0] * (back[2] - back[1]) - x + regime.F + U

    k1 = slope(X)
    k2 = slope(X + 0.5 * dt * k1)
    k3 = slope(X + 0.5 * dt * k2)
    k4 = slope(X + dt * k3)
    np.testing.assert_allclose(X + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), model.advance(X), rtol=0, atol=2e-6)


def test_a_corrected_closure_adds_its_parts(tmp_path: Path) -> None:
    base, increment = EquationClosure(["U[k] = X[k-1]*X[k+1] - 2"], K), Polynomial([0.1, -0.05])
    path = export_onnx(corrected(increment, 0.05, base), tmp_path / "closure.onnx", K)
    X = np.random.default_rng(0).normal(2.5, 4, (20, K))
    expected = np.roll(X, 1, axis=1) * np.roll(X, -1, axis=1) - 2 + (0.1 - 0.05 * X) / 0.05
    np.testing.assert_allclose(OnnxClosure(path.read_bytes(), K).predict(X), expected, rtol=1e-12)


@pytest.mark.parametrize("model", [TunedPolynomial(degree=2), InvertedPolynomial(1, n_ensemble=10, n_iterations=1)])
def test_equations_of_tuned_closures_are_their_polynomials(model: Any, offline: SubgridForcing, tmp_path: Path) -> None:
    model.fit(np.array(offline.train.X), np.array(offline.train.U))
    [text] = read_equations(Artifact("e.json", export_equations(model, tmp_path / "e.json").read_bytes()))
    X = np.random.default_rng(0).normal(2.5, 4, (20, K))
    expected = np.polynomial.polynomial.polyval(X, model.coef_)
    np.testing.assert_allclose(EquationClosure([text], K).predict(X), expected, rtol=1e-12)


def test_equations_of_a_polynomial_are_the_polynomial(tmp_path: Path) -> None:
    model = Polynomial([-0.3, -1.4, 0.0, 1e-17, -0.0003])
    texts = read_equations(Artifact("e.yaml", export_equations(model, tmp_path / "e.yaml").read_bytes()))
    assert isinstance(texts, list)
    X = np.random.default_rng(0).normal(2.5, 4, (20, K))
    np.testing.assert_allclose(EquationClosure(texts, K).predict(X), model.predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    "texts",
    [["dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8"], ["0"], ["- X[k] + 1e-3*sin(X[k])"], {"a b": ["8", "- 1"]}],
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


@pytest.mark.slow
def test_predictions_come_back_and_know_their_data(offline: SubgridForcing, tmp_path: Path) -> None:
    U = -0.5 * np.array(offline.test.X)
    path = export_predictions(tmp_path / "p.npz", offline, U, U)
    arrays = read_predictions(Artifact("p.npz", path.read_bytes()), offline.expected_predictions)
    np.testing.assert_array_equal(arrays["test"], U)
    other = make_task("subgrid-forcing/wilks-f18-v1").miniature()
    assert isinstance(other, SubgridForcing)
    with pytest.raises(L96BenchError, match="predictions for other data"):
        read_predictions(Artifact("p.npz", path.read_bytes()), other.expected_predictions)
    with pytest.raises(L96BenchError, match="predictions of test must return U as real numbers of shape"):
        export_predictions(tmp_path / "q.npz", offline, U[0])
