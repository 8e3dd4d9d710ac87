"""Closures and results that several files of task tests look at."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from l96bench.assimilation.models import ResolvedModel
from l96bench.dynamics.polynomial import Polynomial
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.results.record import Result
from l96bench.tasks.assimilation_system import AssimilationSystem
from l96bench.tasks.da_increment import DAIncrement
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing


@pytest.fixture(scope="session")
def quartic(offline: SubgridForcing) -> Polynomial:
    """The literature's closure, fitted to the training split that all miniatures of `wilks-f20` have in common."""
    return PolynomialRegressor(degree=4).fit(offline.train.X, offline.train.U).closure()


def _everything_finite(result: Result) -> bool:
    numbers = [result.score.value, result.score.low, result.score.high, *result.score.replicates]
    for value in result.metrics.values():
        numbers += [each for each in (value.value, value.low, value.high) if each is not None]
    return bool(np.isfinite(numbers).all() and all(np.isfinite(curve).all() for curve in result.series.values()))


@pytest.fixture(scope="session")
def everything_finite() -> Callable[[Result], bool]:
    """The function that says whether every number of a result is finite."""
    return _everything_finite


@pytest.fixture(scope="session")
def scored(real_data: None) -> SimpleNamespace:
    """The real `dense` track, its references, and the honest entries that others are compared with."""
    task = DAIncrement("dense")

    def with_closure(closure: Any, filter: Any = None) -> AssimilationSystem:
        return AssimilationSystem(ResolvedModel(task.regime, closure), filter, closure)

    linear = PolynomialRegressor(degree=1).fit(task.train.X, task.train.U).closure()
    coupling = make_task("subgrid-forcing/wilks-f20-v1").train
    closure = PolynomialRegressor(degree=4).fit(coupling.X, coupling.U).closure()
    return SimpleNamespace(
        task=task,
        with_closure=with_closure,
        floor=task.references["floor"].evaluate(),
        ceiling=task.references["ceiling"].evaluate(),
        linear=linear,
        honest=task.evaluate(linear, progress=False),
        closure=closure,
        good=task.evaluate(with_closure(closure), progress=False),
    )
