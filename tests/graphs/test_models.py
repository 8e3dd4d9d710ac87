"""Models that tasks run as the graphs that a submission of them would be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    Matern,
    RationalQuadratic,
    WhiteKernel,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import l96bench
from l96bench.dynamics.closures import as_closure, checked_step
from l96bench.dynamics.polynomial import Polynomial
from l96bench.equations.closure import EquationClosure
from l96bench.errors import ModelError
from l96bench.estimators.regressors import LocalRegressor, PolynomialRegressor
from l96bench.graphs.models import as_submitted, exported
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.submissions.export import export_onnx
from l96bench.tasks.online_rollout import OnlineRollout

torch = pytest.importorskip("torch")

K = 8
X = np.random.default_rng(0).normal(2.5, 3.5, (300, K))
U = -1.3 * X + 0.05 * X**2 + 0.1 * np.roll(X, 1, axis=1)


class Clipped(RegressorMixin, BaseEstimator):
    """A user's own regressor: linear on the attractor, and kept in bounds outside of it."""

    def fit(self, X: Any, y: Any) -> Clipped:
        self.coef_, self.intercept_ = np.array([-0.5]), 1.0
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.clip(np.asarray(X)[:, 0] * -0.5 + 1.0, -50.0, 50.0)


class Halved(LocalRegressor):
    """A user's own class, whose predictions are not those of its parts."""

    def predict(self, X: Any) -> np.ndarray:
        return 0.5 * super().predict(X)


def network() -> Any:
    module = torch.nn.Sequential(torch.nn.Linear(K, 16), torch.nn.GELU(), torch.nn.Dropout(0.5), torch.nn.Linear(16, K))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in module.parameters():
            each.copy_(0.2 * torch.randn(each.shape, generator=generator))
    return module


@pytest.mark.parametrize(
    "model",
    [
        Polynomial([1.0, -0.5]),
        EquationClosure(["U[k] = X[k-1]*X[k+1] - 2"], K),
        lambda X: -X,
        PolynomialRegressor().fit(X, U),
        LocalRegressor(RandomForestRegressor(2, max_leaf_nodes=5, random_state=0)).fit(X, U),
        LocalRegressor(Clipped(), radius=0).fit(X, U),
        Halved(LinearRegression()).fit(X, U),
    ],
)
def test_what_stays_what_it_is(model: Any) -> None:
    assert as_submitted(model, K) is model


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model",
    [
        LocalRegressor(LinearRegression()).fit(X, U),
        make_pipeline(StandardScaler(), LocalRegressor(LinearRegression())).fit(X, U),
        MLPRegressor(hidden_layer_sizes=(16,), max_iter=5, random_state=0).fit(X, U),
        PLSRegression(2).fit(X, U),
        LocalRegressor(PoissonRegressor()).fit(X[:50], np.exp(0.1 * X[:50])),
        LocalRegressor(KernelRidge(kernel="rbf"), radius=1).fit(X[:20], U[:20]),
        KernelRidge(kernel="linear").fit(X, U),
        GaussianProcessRegressor(2.0 * RBF([3.0] * K) + WhiteKernel(0.1), optimizer=None, normalize_y=True).fit(X, U),
        GaussianProcessRegressor(Matern(3.0, nu=2.5) * ConstantKernel(2.0) + WhiteKernel(), optimizer=None).fit(X, U),
        GaussianProcessRegressor(
            Matern(3.0, nu=1.5) + Matern(2.0, nu=0.5) + RationalQuadratic(2.0, 0.7) + DotProduct(0.5) + WhiteKernel(),
            optimizer=None,
        ).fit(X, U),
        network(),
    ],
)
def test_what_runs_as_a_graph(model: Any) -> None:
    closure = as_submitted(model, K)
    assert isinstance(closure, OnnxClosure)
    assert as_submitted(closure, K) is closure
    np.testing.assert_allclose(closure.predict(X), checked_step(as_closure(model), X), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(closure.predict(X), OnnxClosure(exported(model, K).data, K).predict(X))


@pytest.mark.slow
def test_a_module_of_torch_is_a_model_like_others(tmp_path: Any) -> None:
    module, task = network(), l96bench.make_task("online-rollout/wilks-f20-v2").miniature()
    assert isinstance(task, OnlineRollout)
    run = l96bench.rollout(module, X[:5], 1.0, regime="wilks-f20")
    assert np.isfinite(run.X).all()
    closure = OnnxClosure(export_onnx(module, tmp_path / "closure.onnx", K).read_bytes(), K)
    own, of_file = (task.runs(model, False).forecasts.X for model in (module, closure))
    np.testing.assert_array_equal(own, of_file)
    assert module.training


def test_a_branch_that_depends_on_the_state_is_no_graph() -> None:
    class Careful(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return -x if bool(x.abs().max() < 20.0) else torch.zeros_like(x)

    with pytest.raises(ModelError, match="torch cannot write Careful"):
        exported(Careful(), K)
    module = Careful()
    assert as_submitted(module, K) is module
    assert not checked_step(as_closure(module), np.full((2, K), 30.0)).any()


def test_a_kernel_that_is_not_written_says_so() -> None:
    with pytest.raises(ModelError, match="try sums and products of RBF"):
        exported(GaussianProcessRegressor(RBF() ** 2, optimizer=None).fit(X[:20], U[:20]), K)
    with pytest.raises(ModelError, match="with the kernels"):
        exported(KernelRidge(kernel="sigmoid").fit(X[:20], U[:20]), K)


def test_a_model_that_is_not_one_says_so() -> None:
    with pytest.raises(ModelError, match="Expected a fitted model"):
        as_submitted(LocalRegressor(LinearRegression()), K)
