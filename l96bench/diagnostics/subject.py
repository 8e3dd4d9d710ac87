"""What is diagnosed: an entry trained once on a regime, and its runs, made when first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.data.splits import DATA_REGIMES
from l96bench.dynamics.closures import as_closure
from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.regimes import Regime, seed_word
from l96bench.submit.entry import Entry
from l96bench.tasks.base import Task
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.online_scores import BLOCK, ClimateRun, Forecasts
from l96bench.tasks.registry import list_tasks, make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing, predict

__all__ = ["LeftOutError", "Subject", "train"]

Array = NDArray[np.float64]

_N_TRAJECTORIES = 2
"""Test trajectories that offline pictures are made of."""


class LeftOutError(L96BenchError):
    """A diagnostic that makes no sense for this entry, or that lacks what it needs; the message says why."""


@dataclass(frozen=True)
class Subject:
    """A trained model, the tasks that it is looked at with, and its runs.

    Parameters
    ----------
    entry : Entry
    model : object
        Trained; anything that `l96bench.as_closure` takes.
    offline : SubgridForcing
    online : OnlineRollout
        Of one regime.
    """

    entry: Entry
    model: Any
    offline: SubgridForcing
    online: OnlineRollout

    @property
    def regime(self) -> Regime:
        """The system."""
        return self.online.regime

    @property
    def deterministic(self) -> bool:
        """Whether one member is a whole forecast."""
        return bool(as_closure(self.model).deterministic)

    @property
    def climatology(self) -> tuple[float, float]:
        """Mean and standard deviation of the training X."""
        return self.online.climatology

    @property
    def limits(self) -> tuple[float, float]:
        """X outside of these has left the attractor: 10 standard deviations from the mean."""
        mean, std = self.climatology
        return mean - 10.0 * std, mean + 10.0 * std

    @cached_property
    def case_weights(self) -> Array:
        """How often each bootstrap replicate holds each block of cases, (replicate, block)."""
        return self.online.weights(len(self.online.cases) // BLOCK, "cases")

    @cached_property
    def forecasts(self) -> Forecasts:
        """The model's forecasts of all cases."""
        return self.online.forecasts(self.model, False)

    @cached_property
    def climate(self) -> ClimateRun:
        """The model's long free run, without the warmer one."""
        return self.online.climates(self.model, False)[""]

    @cached_property
    def sample(self) -> tuple[Array, Array, Array]:
        """X, U and the model's mean U for some test trajectories in time order, each (trajectory, time, K)."""
        X, U = (np.array(array[:_N_TRAJECTORIES]) for array in (self.offline.test.X, self.offline.test.U))
        rng = self.rng("diagnostics offline")
        return X, U, np.stack([predict(self.model, trajectory, rng)[0] for trajectory in X])

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator for one purpose, the same each time."""
        return np.random.default_rng([self.regime.word, self.online.version, seed_word(purpose)])


def train(entry: Entry, regime: str, seed: int | None = None) -> Subject:
    """The entry, trained on a regime with its first training seed or the one given.

    Raises
    ------
    UnknownIdError
        If the regime has no data.
    L96BenchError
        If the entry is no closure of the resolved model, or not for this regime.
    ModelError
        If the entry's own code raises.
    """
    if regime not in DATA_REGIMES:
        raise UnknownIdError(f"no closure tasks for the regime {regime!r}." + nearest(regime, DATA_REGIMES))
    tasks = {
        family: _task(family, regime) for family in ("subgrid-forcing", "subgrid-forcing-memory", "online-rollout")
    }
    entered = [task for task in tasks.values() if entry.accepts(task)]
    if not entered:
        only = f"families {list(entry.families)}" + (f", regimes {list(entry.regimes)}" if entry.regimes else "")
        raise L96BenchError(
            f"expected a closure of the resolved model that enters one of {list(tasks)} on {regime}, "
            f"got {entry.name!r}, which is for {only}"
        )
    model = entry.make(entered[0], next(iter(entry.seeds)) if seed is None else seed)
    if entry.trained_on is None:
        entered[0].fit(model)
    offline, online = tasks["subgrid-forcing"], tasks["online-rollout"]
    assert isinstance(offline, SubgridForcing)
    assert isinstance(online, OnlineRollout)
    return Subject(entry, model, offline, online)


def _task(family: str, regime: str) -> Task:
    """The newest task of a family on a regime."""
    return max((task for task in map(make_task, list_tasks(family)) if task.regime_id == regime), key=_version)


def _version(task: Task) -> int:
    return task.version
