"""Make the tasks of a season: benchmark tasks with the same ids and training data, tested on the season's data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from l96bench.assimilation.archive import Track
from l96bench.data.splits import Cases, Split, get_split
from l96bench.data.store import array_digest, recorded_digests
from l96bench.errors import L96BenchError
from l96bench.regimes import Regime
from l96bench.seasons.data import SEASON_SPLITS, Arrays, Season
from l96bench.tasks.base import Task, shared
from l96bench.tasks.registry import families
from l96bench.tasks.sources import REGISTERED, Source

__all__ = ["SeasonSource", "season_families", "season_task", "split_name"]


def split_name(season: str, drawn: bool) -> str:
    """Return the split that the rows of a season name."""
    return f"season {season}, drawn parameters" if drawn else f"season {season}"


@dataclass(frozen=True, slots=True)
class SeasonSource:
    """Test data from a season's secret, and training data from another source (`learned`); there is no warmer climate.

    With `drawn` the test data have the parameters that the season draws around the named ones, on which no model is
    trained. The resolved model knows the drawn F; a closure knows neither h nor c.
    """

    season: Season
    drawn: bool = False
    learned: Source = field(default=REGISTERED, repr=False)

    @property
    def has_shift(self) -> bool:
        """Whether there are splits in a warmer climate: False."""
        return False

    @property
    def label(self) -> str:
        """The split that results name."""
        return split_name(self.season.name, self.drawn)

    def regime(self, regime_id: str) -> Regime:
        """Return the regime of the test data."""
        return self.season.regime(regime_id, self.drawn)

    def arrays(self, task: Task, split: str, progress: bool | None = None) -> Arrays:
        """Return the arrays of a split: the season's own, or the public training data."""
        return task.make(split, progress) if split in SEASON_SPLITS else self.training(task).arrays(split, progress)

    def sized(self, split: Split) -> Split:
        """Return the split at the size that the source of the training data has."""
        return self.learned.sized(split)

    def simulated(self, regime: Regime, split: str, cases: Cases, progress: bool | None) -> Arrays:
        """Return the arrays of a split of the season, from the cache."""
        return self.season.arrays(regime.id, self.sized(get_split(regime.id, split)), self.drawn, cases, progress)

    def archived(self, track: Track, part: str, progress: bool | None) -> Arrays:
        """Raise: seasons have no archives."""
        raise L96BenchError(f"season {self.season.name!r} has no archives; expected a task of {season_families()}")

    def digests(self, task: Task) -> dict[str, str]:
        """Return the digests of the public training data and of the season's own arrays, making these first."""
        learned = {f"{task.key('train')}/{name}": value for name, value in recorded_digests(task.key("train")).items()}
        return learned | self.own_digests(task)

    def own_digests(self, task: Task) -> dict[str, str]:
        """Return the SHA-256 of the season's own arrays."""
        made = {name: self.arrays(task, name) for name in task.available_splits if name in SEASON_SPLITS}
        place = f"{task.regime_id}/{self.label}"
        return {f"{place}/{name}/{key}": array_digest(array) for name in made for key, array in made[name].items()}

    def training(self, task: Task) -> Task:
        """Return the benchmark's own task."""
        return shared(replace(task, source=self.learned))


def season_families() -> list[str]:
    """Return the families that seasons can have."""
    return [name for name, family in families().items() if family.seasonal]


def season_task(task: Task, season: Season, drawn: bool = False) -> Task:
    """Return a task with the same id that is tested on a season's data; L96BenchError if its family has no seasons."""
    if not task.seasonal:
        raise L96BenchError(f"expected a task of {', '.join(season_families())}, got {task.id}")
    return shared(replace(task, source=SeasonSource(season, drawn, task.source)))
