"""A trained network and its miniature tasks, shared by the tests of diagnostics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from l96bench.diagnostics import AssimilationSubject, ClosureSubject, RecoverySubject
from l96bench.entries.entry import Entry
from l96bench.equations.discoverers import KnownEquations
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor
from l96bench.results.record import Cost, Environment, Failures, ModelInfo, Result
from l96bench.results.score import Score, Value
from l96bench.tasks.da_increment import DAIncrement
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing

HOSTILE = "<script>alert('x')</script> $x^{ & \"q\""


def _result(name: str, task: str, value: float, cost: float | None = None, kind: str = "network") -> Result:
    budgets = {"r2_budget_10": Value(value=0.5, low=0.4, high=0.6), "r2": Value(value=0.9)}
    return Result(
        task=task,
        task_version=1,
        data_digests={},
        scorer_version="1",
        split="test",
        model=ModelInfo(name=name, kind=kind, inputs="X", command="run"),
        score=Score(value=value, low=value - 1, high=value + 2, method="bootstrap", replicates=[value]),
        metrics=budgets if task.startswith("subgrid") else {},
        failures=Failures(of=1),
        cost=Cost(kernel_steps_per_call=cost),
        environment=Environment(python="3", numpy="2", numba="0", cpu="any", platform="any"),
        predictions_digest="ab",
    )


@pytest.fixture(scope="session")
def make_result() -> Callable[..., Result]:
    """A row of the board by its name, task and score."""
    return _result


@pytest.fixture(scope="session")
def network_subject(offline: SubgridForcing, online: OnlineRollout) -> ClosureSubject:
    """A small stencil network with a name that wants to be a script."""
    model = LocalRegressor(TorchRegressor(hidden=(8,), epochs=1, min_steps=100), radius=1)
    model.fit(np.array(offline.train.X), np.array(offline.train.U))
    entry = Entry(HOSTILE, "network", "X_{k-1..k+1}", lambda task, seed: model, description=HOSTILE)
    return ClosureSubject(entry, model, offline, offline, online)


@pytest.fixture(scope="session")
def stochastic_subject(offline: SubgridForcing, online: OnlineRollout) -> ClosureSubject:
    """A quartic with a red-noise residual."""
    model = AR1Regressor(PolynomialRegressor()).fit(np.array(offline.train.X), np.array(offline.train.U))
    entry = Entry("quartic + AR(1)", "stochastic", "X_k", lambda task, seed: model)
    return ClosureSubject(entry, model, offline, offline, online)


@pytest.fixture(scope="session")
def assimilation_subject() -> AssimilationSubject:
    """A linear model of increments in a miniature archive."""
    task = DAIncrement("dense").in_miniature()
    entry = Entry(
        "linear increment", "polynomial", "X", lambda task, seed: PolynomialRegressor(1), families=("da-increment",)
    )
    return AssimilationSubject(entry, entry.train(task, 0)[0], task)


@pytest.fixture(scope="session")
def recovery_subject(single: EquationRecovery) -> RecoverySubject:
    """The true equations, recalled."""
    model = KnownEquations(single.instances[0].texts)
    entry = Entry("recalled", "recall", "X", lambda task, seed: model, families=("equation-recovery",))
    return RecoverySubject(entry, model, single)
