"""Public estimators and closures are objects like others: they pickle, deep-copy, and estimators clone."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import l96bench.equations
import l96bench.estimators
from l96bench.assimilation.corrections import CorrectedClosure
from l96bench.dynamics.ar1 import AR1Closure
from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.polynomial import PUBLISHED, NoClosure, Polynomial
from l96bench.equations.closure import EquationClosure
from l96bench.equations.closure_regression import EquationRegressor
from l96bench.equations.library import RingLibrary
from l96bench.equations.regression import SparseRegression
from l96bench.estimators.emulators import EmulatorRegressor
from l96bench.estimators.gaussian_process import SampledGaussianProcess, SparseGaussianProcess
from l96bench.estimators.heteroscedastic import HeteroscedasticRegressor
from l96bench.estimators.inversion import InvertedPolynomial
from l96bench.estimators.markov import MarkovChainRegressor
from l96bench.estimators.memory_polynomial import MemoryPolynomialRegressor
from l96bench.estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor
from l96bench.estimators.stochastic import StochasticRegressor
from l96bench.estimators.tuning import TunedPolynomial
from l96bench.graphs.models import exported

torch = pytest.importorskip("torch")

from l96bench.estimators.flux import ConservativeNetwork, FluxRegressor  # noqa: E402
from l96bench.estimators.generative import GANRegressor, ProbabilisticRecurrentRegressor  # noqa: E402
from l96bench.estimators.network import TorchRegressor  # noqa: E402
from l96bench.estimators.network_ensembles import DeepEnsembleRegressor, DropoutRegressor  # noqa: E402
from l96bench.estimators.nudged import CoupledOnlineRegressor  # noqa: E402
from l96bench.estimators.online_training import OnlineNetworkRegressor, OnlineStochasticRegressor  # noqa: E402
from l96bench.estimators.recurrent import RecurrentRegressor  # noqa: E402
from l96bench.estimators.ring_network import RingNetwork  # noqa: E402

K = 8
X = np.random.default_rng(0).normal(2.5, 3.5, (150, K))
U = -1.3 * X + 0.1 * np.roll(X, 1, axis=1) + np.random.default_rng(1).normal(size=X.shape)
SMALL: dict[str, Any] = {"epochs": 1, "min_steps": 3, "random_state": 0}
NETWORK = TorchRegressor((4,), **SMALL)
SEARCH = SparseRegression(LinearRegression(fit_intercept=False), RingLibrary(degree=1, radius=1), symmetric=True)

ESTIMATORS: list[Any] = [
    PolynomialRegressor(),
    LocalRegressor(),
    LocalRegressor(lags=(0.05,)),
    LocalRegressor(RandomForestRegressor(2, max_leaf_nodes=5, random_state=0)),
    LocalRegressor(HistGradientBoostingRegressor(max_iter=2)),
    LocalRegressor(SparseGaussianProcess(5, 50)),
    LocalRegressor(NETWORK),
    make_pipeline(StandardScaler(), LocalRegressor()),
    AR1Regressor(),
    StochasticRegressor(),
    HeteroscedasticRegressor(LinearRegression()),
    SampledGaussianProcess(SparseGaussianProcess(5, 50)),
    MarkovChainRegressor(4, 3),
    MemoryPolynomialRegressor(2),
    TunedPolynomial(1),
    InvertedPolynomial(0, n_ensemble=3, n_iterations=1, n_runs=1, spin_up=1.0, duration=1.0, n_windows=5),
    EmulatorRegressor(F=20.0),
    FluxRegressor(),
    ConservativeNetwork(hidden=(4,), **SMALL),
    NETWORK,
    RingNetwork((3,), **SMALL),
    DeepEnsembleRegressor(NETWORK, 2),
    DropoutRegressor(TorchRegressor((4,), dropout=0.1, **SMALL)),
    RecurrentRegressor(2, warm_up=2, length=2, infer_past=True, **SMALL),
    ProbabilisticRecurrentRegressor(2, warm_up=2, length=2, **SMALL),
    GANRegressor((4,), noise_correlation=0.5, **SMALL),
    OnlineNetworkRegressor(20.0, NETWORK, steps=1, batch_size=2),
    OnlineStochasticRegressor(20.0, NETWORK, steps=1, batch_size=2),
    CoupledOnlineRegressor("wilks-f20", NETWORK, pairs=1, duration=0.04, spin_up=0.01),
    EquationRegressor(SEARCH),
]
CLOSURES: list[Any] = [
    Polynomial([1.0, -0.5]),
    NoClosure(),
    PUBLISHED["wilks2005_f20"].stochastic(),
    AR1Closure(Polynomial([1.0]), 0.5, 1.0, 0.05),
    EquationClosure(["U[k] = X[k-1]*X[k+1] - 2"], K),
    CorrectedClosure(Polynomial([1.0]), EquationClosure(["U[k] = X[k-1]"], K), 0.05),
    exported(Polynomial([1.0, -0.5]), K),
    np.negative,
    torch.nn.Linear(K, K),
    LinearRegression().fit(X, U),
]
COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda each: pickle.loads(pickle.dumps(each)),
    "deepcopy": copy.deepcopy,
}


def name(each: Any) -> str:
    return type(each).__name__


def fitted(estimator: Any) -> Any:
    target = X + 0.01 * U if isinstance(estimator, EmulatorRegressor) else U
    return clone(estimator).fit(X, target)


def steps(closure: Any) -> np.ndarray:
    return np.stack([checked_step(closure, X[i : i + 3]) for i in range(3)])


def check_closure_copies(closure: Any) -> None:
    """Copies that are made in the middle of a run go on as the original does."""
    history = np.repeat(X[:10, None], 3, axis=1)
    for copied in COPIES.values():
        checked_start(copied(closure), 3, np.random.default_rng(0))  # before any start
        checked_start(closure, 3, np.random.default_rng(0), history)
        steps(closure)
        again = copied(closure)
        np.testing.assert_array_equal(steps(again), steps(closure))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name)
def test_estimators_clone_copy_and_pickle_before_and_after_their_fit(estimator: Any) -> None:
    model = fitted(estimator)
    expected = model.predict(X)
    for copied in COPIES.values():
        assert repr(copied(estimator)) == repr(estimator)
        np.testing.assert_array_equal(copied(model).predict(X), expected)
    assert repr(clone(model)) == repr(estimator)
    check_closure_copies(as_closure(model))


@pytest.mark.parametrize("model", CLOSURES, ids=name)
def test_closures_copy_and_pickle(model: Any) -> None:
    check_closure_copies(as_closure(model))


def public_estimators() -> Iterator[type]:
    for package in (l96bench.estimators, l96bench.equations):
        for module in pkgutil.iter_modules(package.__path__):
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            for each in filter(inspect.isclass, vars(loaded).values()):
                if not (issubclass(each, BaseEstimator) and hasattr(each, "closure") and hasattr(each, "fit")):
                    continue
                if "systems" not in inspect.signature(each.fit).parameters:  # see test_similarity.py
                    yield each


def test_every_public_estimator_of_closures_is_tried() -> None:
    public = {each for each in public_estimators() if each.__module__.startswith("l96bench.")}
    tried = {type(each) for each in ESTIMATORS}
    assert {each.__name__ for each in public - tried if not each.__name__.startswith("_")} == set()
