"""The tasks of a season: those of the benchmark, trained on its data and tested on the season's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.data.splits import CASES, Cases, Split, get_split
from l96bench.data.store import array_digest, digests
from l96bench.errors import L96BenchError
from l96bench.regimes import Regime
from l96bench.results.record import ModelInfo, Result
from l96bench.seasons.data import SEASON_SPLITS, Season
from l96bench.tasks.base import Parts, Task
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing, SubgridForcingMemory

__all__ = [
    "SEASON_FAMILIES",
    "SeasonMixin",
    "SeasonOnlineRollout",
    "SeasonSubgridForcing",
    "SeasonSubgridForcingMemory",
    "season_task",
    "split_name",
]


def split_name(season: str, drawn: bool) -> str:
    """What the rows of a season give as their split."""
    return f"season {season}, drawn parameters" if drawn else f"season {season}"


@dataclass(frozen=True)
class SeasonMixin:
    """Where a season's tasks take their data from, with the ids of the tasks whose training data they share.

    They ask for the score alone: there is no shifted climate in them.

    Parameters
    ----------
    season : Season
    drawn : bool
        Whether the test data are of the parameters that the season draws around the named ones, on which no model is
        trained. The resolved model knows the drawn F; a closure knows neither h nor c.
    """

    season: Season = field(kw_only=True)
    drawn: bool = field(default=False, kw_only=True)

    regime_id: str
    id: ClassVar[str]
    splits: ClassVar[tuple[str, ...]]

    @property
    def regime(self) -> Regime:
        """The system that is tested on."""
        return self.season.regime(self.regime_id, self.drawn)

    @property
    def has_shift(self) -> bool:
        """No."""
        return False

    @property
    def own_splits(self) -> tuple[str, ...]:
        """The splits that come from the season's secret."""
        return tuple(name for name in self.splits if name in SEASON_SPLITS)

    def own_split(self, name: str) -> Split:
        """What a split of the season holds: as much as the public one."""
        return get_split(self.regime_id, name)

    def _arrays(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        if split not in SEASON_SPLITS:
            return make_task(self.id)._arrays(split, progress)
        cases: Cases = getattr(self, "cases", CASES)
        return self.season.arrays(self.regime_id, self.own_split(split), self.drawn, cases, progress)

    @property
    def season_digests(self) -> dict[str, str]:
        """SHA-256 of the season's own arrays; they are made for it where they are not."""
        place = f"{self.regime_id}/{split_name(self.season.name, self.drawn)}"
        arrays = {name: self._arrays(name) for name in self.own_splits}
        return {
            f"{place}/{name}/{key}": array_digest(array) for name, own in arrays.items() for key, array in own.items()
        }

    @property
    def data_digests(self) -> dict[str, str]:
        """SHA-256 of the arrays behind the task: the public training data and the season's own."""
        learned = {key: value for key, value in digests().items() if key.startswith(f"{self.regime_id}/train/")}
        return learned | self.season_digests

    def result(self, model: Any, info: ModelInfo | None, parts: Parts, training_seconds: float | None) -> Result:
        """The record of an evaluation, which names the season as its split."""
        made: Result = super().result(model, info, parts, training_seconds)  # type: ignore[misc]
        return made.model_copy(update={"split": split_name(self.season.name, self.drawn)})


@dataclass(frozen=True)
class SeasonSubgridForcing(SeasonMixin, SubgridForcing):
    """`subgrid-forcing`, tested on a season's data."""


@dataclass(frozen=True)
class SeasonSubgridForcingMemory(SeasonMixin, SubgridForcingMemory):
    """`subgrid-forcing-memory`, tested on a season's data."""


@dataclass(frozen=True)
class SeasonOnlineRollout(SeasonMixin, OnlineRollout):
    """`online-rollout`, tested on a season's data."""


SEASON_FAMILIES: dict[str, type[Task]] = {
    each.family: each for each in (SeasonSubgridForcing, SeasonSubgridForcingMemory, SeasonOnlineRollout)
}
"""The families that seasons can have."""


def season_task(task: Task, season: Season, drawn: bool = False) -> Task:
    """A task with the same id that is tested on a season's data.

    Raises
    ------
    L96BenchError
        If its family has no seasons.
    """
    if task.family not in SEASON_FAMILIES:
        raise L96BenchError(f"expected a task of {', '.join(SEASON_FAMILIES)}, got {task.id}")
    made: Any = SEASON_FAMILIES[task.family]
    found: Task = made(task.regime_id, task.version, season=season, drawn=drawn)
    return found
