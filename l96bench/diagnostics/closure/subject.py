"""A closure with its runs in the resolved model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from l96bench.diagnostics.figures import Array
from l96bench.diagnostics.subject import Subject
from l96bench.dynamics.closures import as_closure
from l96bench.dynamics.predictions import predict
from l96bench.entries.entry import Entry
from l96bench.metrics.bounds import bounds
from l96bench.regimes import Regime
from l96bench.tasks.base import Task
from l96bench.tasks.climate_scores import ClimateRun
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.online_scores import Forecasts, Runs
from l96bench.tasks.subgrid_forcing import SubgridForcing

_N_TRAJECTORIES = 2
"""Number of test trajectories in offline pictures."""


@dataclass(frozen=True, eq=False)
class ClosureSubject(Subject):
    """A trained closure with the offline and the online task of one regime.

    Parameters
    ----------
    entry : Entry
        What was trained.
    model : model
        Anything that `l96bench.as_closure` takes.
    task : Task
        What it was trained for.
    offline : SubgridForcing
        The offline task of the regime.
    online : OnlineRollout
        The online task of the regime.
    seed : int
        Training seed.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import diagnostics
    >>> entry = l96bench.Entry("none", "none", "", lambda task, seed: l96bench.NoClosure())
    >>> ids = ("subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2")
    >>> offline, online = (l96bench.make_task(id).miniature() for id in ids)
    >>> diagnostics.ClosureSubject(entry, entry.model(offline, 0), offline, offline, online).kind
    'closure'
    """

    kind: ClassVar[str] = "closure"

    offline: SubgridForcing
    online: OnlineRollout

    @classmethod
    def of(cls, entry: Entry, model: Any, task: Task, seed: int, others: Mapping[str, Any]) -> Subject | None:
        """Return the subject of a task, where its system has tasks of the offline and the online family."""
        offline, online = others.get(SubgridForcing.family), others.get(OnlineRollout.family)
        if offline is None or online is None:
            return None
        return cls(entry, model, task, offline, online, seed=seed)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The offline and the online task, and last the entry's own where that is of another family."""
        own = self.offline, self.online
        return own if self.task.family in [each.family for each in own] else (*own, self.task)

    @property
    def regime(self) -> Regime:
        """The regime of its tasks."""
        return self.online.regime

    @property
    def deterministic(self) -> bool:
        """Whether a forecast has one member."""
        return bool(as_closure(self.model).deterministic)

    @property
    def climatology(self) -> tuple[float, float]:
        """Mean and standard deviation of the training X."""
        return self.online.climatology

    @property
    def limits(self) -> tuple[float, float]:
        """The values of X beyond which a run has left the attractor."""
        return bounds(*self.climatology)

    @cached_property
    def case_weights(self) -> Array:
        """Number of times that each bootstrap replicate holds each case, (replicate, case)."""
        return self.online.weights(len(self.online.cases), "cases")

    @cached_property
    def runs(self) -> Runs:
        """The model's forecasts and climates."""
        return self.online.runs(self.model, False)

    @property
    def forecasts(self) -> Forecasts:
        """The model's forecasts of all cases."""
        return self.runs.forecasts

    @property
    def climate(self) -> ClimateRun:
        """The model's long free run, in the climate that it was trained in."""
        return self.runs.climates[""]

    @cached_property
    def sample(self) -> tuple[Array, Array, Array]:
        """X, U and the model's mean U for some test trajectories in time order, each (trajectory, time, K)."""
        X, U = (np.array(array[:_N_TRAJECTORIES]) for array in (self.offline.test.X, self.offline.test.U))
        rng = self.rng("diagnostics offline")
        return X, U, np.stack([predict(self.model, trajectory, rng)[0] for trajectory in X])

    def states(self, n: int) -> tuple[Array, Array]:
        """Return X and U of n test states, each (n, K), evenly spread over the sample."""
        X, U, _ = (array.reshape(-1, array.shape[-1]) for array in self.sample)
        every = max(1, len(X) // n)
        return X[::every][:n], U[::every][:n]
