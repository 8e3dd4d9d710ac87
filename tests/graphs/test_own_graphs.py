"""Closures that know their graph: those of the package under any name, and those of other packages."""

from __future__ import annotations

import copy
import importlib
import pkgutil
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import l96bench.estimators
from l96bench.assimilation.corrections import CorrectedClosure
from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.polynomial import Polynomial
from l96bench.equations.closure import EquationClosure
from l96bench.errors import ModelError, NoGraphError, SubmissionError
from l96bench.estimators.emulators import EmulatorRegressor
from l96bench.estimators.flux import FluxRegressor
from l96bench.estimators.gaussian_process import SampledGaussianProcess, SparseGaussianProcess
from l96bench.estimators.markov import MarkovChainRegressor
from l96bench.estimators.memory_polynomial import MemoryPolynomialRegressor
from l96bench.estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor, StencilClosure
from l96bench.estimators.stochastic import NoiseForm, StochasticRegressor
from l96bench.graphs.models import as_submitted, exported
from l96bench.graphs.onnx_closure import OnnxClosure

torch = pytest.importorskip("torch")

from l96bench.estimators.generative import GANRegressor, ProbabilisticRecurrentRegressor  # noqa: E402
from l96bench.estimators.heteroscedastic import HeteroscedasticRegressor  # noqa: E402
from l96bench.estimators.network import TorchRegressor  # noqa: E402
from l96bench.estimators.network_ensembles import DeepEnsembleRegressor, DropoutRegressor  # noqa: E402
from l96bench.estimators.online_training import OnlineStochasticRegressor  # noqa: E402
from l96bench.estimators.recurrent import RecurrentRegressor  # noqa: E402
from l96bench.estimators.ring_network import RingNetwork  # noqa: E402

K = 8
RNG = np.random.default_rng(5)
X = np.random.default_rng(0).normal(2.5, 3.5, (200, K))
U = -1.3 * X + 0.05 * X**2 + 0.1 * np.roll(X, 1, axis=1)
SMALL: dict[str, Any] = {"epochs": 1, "min_steps": 5, "random_state": 0}


def policy() -> Any:
    policies = pytest.importorskip("l96bench.envs.policy")
    scaling = pytest.importorskip("l96bench.envs.scaling").Scaling(2.5, 3.5, -3.0, 5.0)
    rows = np.stack([np.roll(X, -offset, axis=1) for offset in (-1, 0, 1)], axis=-1).reshape(-1, 3)
    network = TorchRegressor((4,), **SMALL).fit(rows, U.ravel() / 20.0)
    index = (np.arange(K)[:, None] + np.arange(-1, 2)) % K
    return policies.PolicyClosure(policies.Actor(network, np.full(3, -20.0), np.full(3, 20.0), True), index, scaling)


def corrected() -> CorrectedClosure:
    return CorrectedClosure(as_closure(LinearRegression().fit(X, U)), Polynomial([0.1, -0.05]), 0.05)


def stochastic_policy() -> Any:
    mean = policy()
    policies = pytest.importorskip("l96bench.envs.policy")
    return policies.StochasticPolicyClosure(mean.actor, mean.index, mean.scaling, 0.1)


def squashed_policy() -> Any:
    mean = policy()
    policies = pytest.importorskip("l96bench.envs.policy")
    return policies.SquashedPolicyClosure(mean.actor, mean.index, mean.scaling, mean.actor.network)


def recurrent_policy() -> Any:
    """Its memory has two layers, of 5 and 4 units."""
    mean = policy()
    policies = pytest.importorskip("l96bench.envs")
    rng, sizes = np.random.default_rng(3), ((3, 5), (5, 4))
    memory = tuple((rng.normal(size=(4 * n, width + n)), rng.normal(size=4 * n)) for width, n in sizes)
    network = TorchRegressor((4,), **SMALL).fit(rng.uniform(-1, 1, (200, 4)), rng.normal(size=200))
    actor = policies.Actor(network, mean.actor.low, mean.actor.high, False)
    return policies.RecurrentPolicyClosure(actor, mean.index, mean.scaling, memory)


STEPS: list[Any] = [
    AR1Regressor(PolynomialRegressor(2)),
    AR1Regressor(LocalRegressor(TorchRegressor((4,), **SMALL))),
    AR1Regressor(RecurrentRegressor(units=3, **SMALL)),
    *(StochasticRegressor(form=form, white=white) for form in get_args(NoiseForm) for white in (False, True)),
    HeteroscedasticRegressor(LocalRegressor(TorchRegressor((4,), **SMALL))),
    LocalRegressor(LinearRegression(), lags=(0.05, 0.15)),
    LocalRegressor(LinearRegression(), lags=(0.01, 0.03), interval=0.01),
    LocalRegressor(RandomForestRegressor(2, max_leaf_nodes=5, random_state=0), lags=(0.05,)),
    MarkovChainRegressor(n_bins=5, n_states=3),
    MarkovChainRegressor(n_bins=1, n_states=1),
    MemoryPolynomialRegressor(),
    MemoryPolynomialRegressor(x_lags=2, u_lags=2, noise_lags=2, advection=True),
    MemoryPolynomialRegressor(x_lags=0, u_lags=0, noise_lags=0),
    RecurrentRegressor(units=3, **SMALL),
    RecurrentRegressor(units=3, infer_past=True, **SMALL),
    ProbabilisticRecurrentRegressor(units=3, **SMALL),
    GANRegressor((4,), **SMALL),
    GANRegressor((4,), noise_correlation=0.5, **SMALL),
    DropoutRegressor(TorchRegressor((4, 3), dropout=0.3, **SMALL)),
    DropoutRegressor(TorchRegressor((4, 3), dropout=0.3, **SMALL), masks="step"),
    DeepEnsembleRegressor(LocalRegressor(TorchRegressor((4,), **SMALL))),
    DeepEnsembleRegressor(LocalRegressor(RandomForestRegressor(2, max_leaf_nodes=5, random_state=0))),
    SampledGaussianProcess(SparseGaussianProcess(5, 50)),
    OnlineStochasticRegressor(20.0, TorchRegressor((4,), epochs=1, min_steps=5), steps=1, batch_size=2),
]


def fitted_step(estimator: Any) -> Any:
    return clone(estimator).fit(X, U + RNG.normal(size=U.shape))


CLOSURES: dict[str, Callable[[], Any]] = {
    "polynomial": lambda: Polynomial([1.0, -0.5]),
    "equations": lambda: EquationClosure(["U[k] = X[k-1]*X[k+1] - 2"], K),
    "forest": lambda: LocalRegressor(RandomForestRegressor(2, max_leaf_nodes=5, random_state=0)).fit(X, U),
    "linear": lambda: LocalRegressor(LinearRegression()).fit(X, U),
    "Gaussian process": lambda: LocalRegressor(SparseGaussianProcess(5, 50)).fit(X, U),
    "network of stencils": lambda: LocalRegressor(TorchRegressor((4,), **SMALL)).fit(X, U),
    "flux": lambda: FluxRegressor(LinearRegression()).fit(X, U),
    "network": lambda: TorchRegressor((4,), **SMALL).fit(X, U),
    "ring network": lambda: RingNetwork((3,), **SMALL).fit(X, U),
    "emulator": lambda: EmulatorRegressor(PolynomialRegressor(2), F=20.0).fit(X, X + 0.01 * U),
    "corrected": corrected,
    "predictor": lambda: LinearRegression().fit(X, U),
    "pipeline": lambda: make_pipeline(StandardScaler(), LocalRegressor(LinearRegression())).fit(X, U),
    "module": lambda: torch.nn.Linear(K, K),
    "policy": policy,
    "stochastic policy": stochastic_policy,
    "squashed policy": squashed_policy,
    "recurrent policy": recurrent_policy,
    **{f"step {i}": partial(fitted_step, estimator) for i, estimator in enumerate(STEPS)},
}


def renamed(instance: Any) -> Any:
    """The same object, of a subclass by another name in another module."""
    instance.__class__ = type("Mine", (type(instance),), {"__module__": "elsewhere"})
    return instance


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOSURES)
def test_a_closure_under_another_name_is_exported_to_the_same_bytes(name: str) -> None:
    closure: Any = as_closure(CLOSURES[name]())
    data = exported(closure, K).data
    for part in ("estimator", "model", "network", "base", "last", "step_map"):
        inner = getattr(closure, part, None)
        if type(inner).__module__.startswith("l96bench"):
            renamed(inner)
    again = renamed(closure)
    assert exported(again, K).data == data
    submitted = as_submitted(again, K)
    assert submitted is again if getattr(again, "graph_is_exact", False) else submitted.data == data


def test_every_closure_of_the_package_that_has_a_graph_is_tried() -> None:
    tried = {type(as_closure(make())).__name__ for make in CLOSURES.values()} | {"FunctionClosure", "Stateless"}
    with_graph = {
        name
        for module in [each for key, each in sys.modules.items() if key.startswith("l96bench.")]
        for name, each in vars(module).items()
        if isinstance(each, type) and each.__module__.startswith("l96bench.")
        and hasattr(each, "graph") and hasattr(each, "step") and hasattr(each, "deterministic")
    }  # fmt: skip
    assert with_graph - tried <= {"NoClosure", "NoisyClosure"}


def test_every_step_of_the_package_is_tried() -> None:
    tried = {type(each.step_function) for make in CLOSURES.values() if hasattr(each := as_closure(make()), "copy")}
    of_package = {
        each
        for module in pkgutil.iter_modules(l96bench.estimators.__path__)
        for each in vars(importlib.import_module(f"l96bench.estimators.{module.name}")).values()
        if isinstance(each, type) and hasattr(each, "graph") and hasattr(each, "dtype")
    }
    assert of_package <= tried


@pytest.mark.slow
@pytest.mark.parametrize("estimator", STEPS, ids=repr)
def test_a_step_and_its_graph_give_the_same(estimator: Any) -> None:
    """With a past and without one, and in copies that are made in the middle of a run."""
    own = as_closure(fitted_step(estimator))
    runs = exported(own, K)
    states = RNG.normal(2.5, 3.5, (14, 30, K))
    for past in (None, states[:6]):
        for closure in (own, runs):
            checked_start(closure, 30, np.random.default_rng(1), past)
        for each in states[6:]:
            expected, came = checked_step(own, each), checked_step(runs, each)
            np.testing.assert_allclose(came, expected, atol=1e-3 * (1 + np.abs(expected).max()), rtol=0)
            if getattr(own, "graph_is_exact", False):
                np.testing.assert_array_equal(came, expected)
    again = copy.deepcopy(runs)
    np.testing.assert_array_equal(checked_step(again, states[0]), checked_step(runs, states[0]))


class Outside:
    """A closure of another package: U = factor X, with a graph that may say something else."""

    deterministic = True

    def __init__(self, factor: float = -0.5, written: float = -0.5) -> None:
        self.factor, self.written = factor, written

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        pass

    def step(self, X: np.ndarray) -> np.ndarray:
        return self.factor * X

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        return builder.node("Mul", x, builder.constant(self.written, np.float64))


class Regressor:
    """A regressor of another package."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return -0.5 * np.asarray(X).sum(axis=1)

    def graph(self, builder: GraphBuilder, x: str, width: int) -> str:
        total = builder.node("ReduceSum", x, builder.constant([1], np.int64))
        return builder.node("Mul", total, builder.constant(-0.5, np.float64))


def test_closures_of_other_packages_run_as_the_graph_that_they_define() -> None:
    closure = as_submitted(Outside(), K)
    assert isinstance(closure, OnnxClosure)
    np.testing.assert_array_equal(closure.predict(X), -0.5 * X)
    shared = as_submitted(StencilClosure(Regressor(), np.arange(K)[:, None]), K)
    assert isinstance(shared, OnnxClosure)
    np.testing.assert_array_equal(shared.predict(X), -0.5 * X)
    assert isinstance(as_submitted(CorrectedClosure(Outside(), Outside(), 0.05), K), OnnxClosure)


def test_a_graph_that_fails_is_an_error_and_not_left_out() -> None:
    class Broken(Outside):
        def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
            return {}["U"]

    class Forbidden(Outside):
        def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
            return builder.node("RandomNormalLike", x)

    for run in (as_submitted, exported):
        with pytest.raises(ModelError, match=r"Broken.graph raised KeyError: 'U'"):
            run(Broken(), K)
        with pytest.raises(SubmissionError, match="RandomNormalLike"):
            run(Forbidden(), K)
        with pytest.raises(ModelError, match="expected the graph of Outside to give its U, got one that differs"):
            run(Outside(written=-0.4), K)


def test_a_failure_in_a_graph_of_the_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StencilClosure, "graph", lambda *args: 1 / 0)
    with pytest.raises(ModelError, match=r"StencilClosure\.graph raised ZeroDivisionError"):
        as_submitted(LocalRegressor(LinearRegression()).fit(X, U), K)


def test_a_closure_may_say_that_it_has_no_graph() -> None:
    class Without(Outside):
        def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
            raise NoGraphError("a table is no graph")

    closure = Without()
    assert as_submitted(closure, K) is closure
    with pytest.raises(NoGraphError, match="a table is no graph"):
        exported(closure, K)
    with pytest.raises(NoGraphError, match="no graph is known of <lambda>"):
        exported(lambda X: X, K)
