"""What is diagnosed: an entry trained once on a regime or track, and its runs, made when first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.archive import TRACKS
from l96bench.assimilation.record import Cycled
from l96bench.data.instances import RECOVERY_TRACKS, Instance
from l96bench.data.splits import DATA_REGIMES
from l96bench.dynamics.closures import as_closure
from l96bench.entries.entry import Entry
from l96bench.equations.discoverers import as_discoverer
from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.regimes import Regime, seed_word
from l96bench.tasks.base import Task
from l96bench.tasks.da_increment import Cycles, DAIncrement
from l96bench.tasks.discovery import Discovery, discover_all
from l96bench.tasks.equation_recovery import EquationRecovery, Problem
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.online_scores import BLOCK, ClimateRun, Forecasts
from l96bench.tasks.recovery_scores import InstanceScorer, Scores
from l96bench.tasks.registry import list_tasks, make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing, predict

__all__ = ["AnySubject", "AssimilationSubject", "LeftOutError", "RecoverySubject", "Subject", "train"]

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
    def place(self) -> str:
        """The id of the regime."""
        return self.regime.id

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it is looked at with."""
        return self.offline, self.online

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


@dataclass(frozen=True)
class AssimilationSubject:
    """An entry of `da-increment`, and its cycles over the test segments.

    Parameters
    ----------
    entry : Entry
    model : object
        A trained model of increments, or an `AssimilationSystem`.
    task : DAIncrement
    """

    entry: Entry
    model: Any
    task: DAIncrement

    @property
    def place(self) -> str:
        """The id of the track."""
        return self.task.regime_id

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it is looked at with."""
        return (self.task,)

    @cached_property
    def cycles(self) -> dict[str, Cycles]:
        """The cycles of the model, of no correction and of the perfect model, by these names."""
        own = self.task.cycles(self.task.system(self.model))
        return {"model": own, "no correction": self.task.without_correction, "perfect model": self.task.perfect}

    @property
    def runs(self) -> dict[str, Cycled]:
        """The same, as what the filters left behind."""
        return {name: cycles.run for name, cycles in self.cycles.items()}


@dataclass(frozen=True)
class RecoverySubject:
    """An entry of `equation-recovery`, and what it finds for one instance.

    Parameters
    ----------
    entry : Entry
    model : object
        Anything that the task takes.
    task : EquationRecovery
    seed : int
        Of the discovery.
    """

    entry: Entry
    model: Any
    task: EquationRecovery
    seed: int = 0

    @property
    def place(self) -> str:
        """The id of the track."""
        return self.task.regime_id

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it is looked at with."""
        return (self.task,)

    @property
    def instance(self) -> Instance:
        """The one whose equations are looked at: the first."""
        return self.task.instances[0]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of the instance: every noise with every budget."""
        return tuple(problem for problem in self.task.problems if problem.instance == self.instance)

    @cached_property
    def found(self) -> list[Discovery]:
        """What copies of the model find for each of them, with the seeds of `EquationRecovery.evaluate`."""
        model = as_discoverer(self.model, self.instance.observed_J)
        return discover_all(model, self.problems, seed=self.seed, limit=self.task.time_limit, progress=False)

    @cached_property
    def scorer(self) -> InstanceScorer:
        """What scores equations of the instance."""
        return InstanceScorer(self.instance)

    @cached_property
    def scores(self) -> list[Scores]:
        """The scores of what was found; where nothing was, those of no equation with the reason."""
        return [
            Scores(fault=each.fault, message=each.message) if each.texts is None else self.scorer.score(each.texts)[0]
            for each in self.found
        ]


AnySubject = Subject | AssimilationSubject | RecoverySubject

_CLOSURES = ("subgrid-forcing", "subgrid-forcing-memory", "online-rollout")
_FAMILIES = (*_CLOSURES, "da-increment", "equation-recovery")
"""In the order in which an entry of several is looked at."""


def train(entry: Entry, regime: str, seed: int | None = None) -> AnySubject:
    """The entry, trained on a regime or track with its first training seed or the one given.

    Parameters
    ----------
    entry : Entry
    regime : str
        A regime, or a track of `da-increment` or `equation-recovery`. An entry of `da-increment` that is given a regime
        is looked at on the track of that system, and one of `equation-recovery`, whose instances are no regime, on the
        first track.
    seed : int, optional

    Raises
    ------
    UnknownIdError
        If there is no such regime or track.
    L96BenchError
        If the entry enters none of the families there.
    ModelError
        If the entry's own code raises.
    """
    known = (*DATA_REGIMES, *(track.regime_id for track in TRACKS.values()), *TRACKS, *RECOVERY_TRACKS)
    if regime not in known:
        raise UnknownIdError(f"no tasks on the regime or track {regime!r}." + nearest(regime, known))
    tasks = {family: task for family in _FAMILIES for task in _tasks(family) if _is_on(task, regime)}
    entered = [task for task in tasks.values() if entry.accepts(task)]
    if not entered:
        only = f"families {list(entry.families)}" + (f", regimes {list(entry.regimes)}" if entry.regimes else "")
        raise L96BenchError(
            f"expected an entry of one of {list(tasks)} on {regime}, got {entry.name!r}, which is for {only}"
        )
    seed = next(iter(entry.seeds)) if seed is None else seed
    model, _ = entry.train(entered[0], seed)
    if isinstance(entered[0], DAIncrement):
        return AssimilationSubject(entry, model, entered[0])
    if isinstance(entered[0], EquationRecovery):
        return RecoverySubject(entry, model, entered[0], seed)
    offline, online = tasks["subgrid-forcing"], tasks["online-rollout"]
    assert isinstance(offline, SubgridForcing)
    assert isinstance(online, OnlineRollout)
    return Subject(entry, model, offline, online)


def _is_on(task: Task, regime: str) -> bool:
    """Whether a task is what a regime or track stands for; see `train`."""
    if task.regime_id == regime:
        return True
    if isinstance(task, EquationRecovery):
        return task.regime_id == next(iter(RECOVERY_TRACKS)) and regime not in (*TRACKS, *RECOVERY_TRACKS)
    return isinstance(task, DAIncrement) and task.track.regime_id == regime


def _tasks(family: str) -> list[Task]:
    """The newest task of a family on each regime or track."""
    newest: dict[str, Task] = {}
    for task in sorted(map(make_task, list_tasks(family)), key=lambda task: task.version):
        newest[task.regime_id] = task
    return list(newest.values())
