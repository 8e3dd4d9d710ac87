"""Make the tasks of a season: benchmark tasks with the same ids and training data, tested on the season's data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from l96bench.assimilation.archive import ArchivePart, Track
from l96bench.assimilation.observed import OBSERVED_TRACKS, ObservedTrack
from l96bench.data.instances import InstanceSeed
from l96bench.data.splits import Cases, Split, data_regimes, get_split
from l96bench.errors import L96BenchError
from l96bench.regimes import Regime
from l96bench.seasons.data import Arrays, Season
from l96bench.tasks.base import Task, shared
from l96bench.tasks.registry import families, find_family
from l96bench.tasks.sources import REGISTERED, TRAINING_SPLITS, Source, digests_beside

__all__ = [
    "SeasonSource",
    "default_regimes",
    "drawn_regimes",
    "has_parameters",
    "season_families",
    "season_regimes",
    "season_task",
    "split_name",
]


def split_name(season: str, drawn: bool) -> str:
    """Return the split that the rows of a season name."""
    return f"season {season}, drawn parameters" if drawn else f"season {season}"


@dataclass(frozen=True, slots=True)
class SeasonSource:
    """Test data from a season's secret, and training data from another source (`learned`).

    With `drawn` the test data have the parameters that the season draws around the named ones, on which no model is
    trained. The resolved model knows the drawn F; a closure knows neither h nor c.
    """

    season: Season
    drawn: bool = False
    learned: Source = field(default=REGISTERED, repr=False)

    @property
    def has_shift(self) -> bool:
        """Whether there are splits in a warmer climate, as there are from version 2 of seasons on."""
        return self.season.version > 1 and self.learned.has_shift

    @property
    def label(self) -> str:
        """The split that results name."""
        return split_name(self.season.name, self.drawn)

    def regime(self, regime_id: str) -> Regime:
        """Return the regime of the test data."""
        return self.season.regime(regime_id, self.drawn)

    def arrays(self, task: Task, split: str, progress: bool | None = None) -> Arrays:
        """Return the arrays of a split: the season's own, or the public training data."""
        return self.training(task).arrays(split, progress) if split in TRAINING_SPLITS else task.make(split, progress)

    def sized(self, split: Split) -> Split:
        """Return the split at the size that the source of the training data has."""
        return self.learned.sized(split)

    def simulated(self, regime: Regime, split: str, cases: Cases, progress: bool | None) -> Arrays:
        """Return the arrays of a split of the season, from the cache."""
        return self.season.arrays(regime.id, self.sized(get_split(regime.id, split)), self.drawn, cases, progress)

    def part(self, track: Track, name: str) -> ArchivePart:
        """Return the part of an archive, that of the test with the season's seeds."""
        part = self.learned.part(track, name)
        return part if name in TRAINING_SPLITS else self.season.part(track, part)

    def archived(self, track: Track, part: str, progress: bool | None) -> Arrays:
        """Return the arrays of the season's archive, from the cache."""
        return self.season.archive(track, self.part(track, part), progress)

    def hidden(self) -> SeasonSource:
        """Return the season at its drawn parameters, which nobody knows while models learn from observations of it."""
        return replace(self, drawn=True)

    def observed(self, track: ObservedTrack, part: str, duration: float, progress: bool | None) -> Arrays:
        """Return the season's observations of its system, from the cache; entrants get them."""
        return self.season.observations(track, part, duration, progress)

    def instance_seed(self, base: str, problem: str = "") -> InstanceSeed:
        """Return the seed words of the season's system for a problem of equation recovery.

        Entrants get all observations. A system that is seen without noise, or for long, must be no other problem's.
        """
        return self.season.words(base, "instances", *([problem] if self.season.version > 2 else []))

    def digests(self, task: Task) -> dict[str, str]:
        """Return the digests of the public training data and of the season's own arrays, making these first."""
        return digests_beside(self, task)

    def training(self, task: Task) -> Task:
        """Return the benchmark's own task."""
        return shared(replace(task, source=self.learned))


def season_families() -> list[str]:
    """Return the families that seasons can have."""
    return [name for name, family in families().items() if family.redrawn or family.has_seasons]


def season_regimes() -> list[str]:
    """Return the regimes and tracks that seasons can have tasks for."""
    return list(dict.fromkeys(id for name in season_families() for id in find_family(name).regime_ids()))


def default_regimes(families: Sequence[str]) -> list[str]:
    """Return the first regime, or track, of each family."""
    return list(dict.fromkeys(find_family(name).default_regimes[0] for name in families))


def has_parameters(regime_id: str) -> bool:
    """Return whether a season has a second test at drawn parameters: for regimes, not for tracks."""
    return regime_id in data_regimes()


def drawn_regimes(ids: Sequence[str]) -> list[str]:
    """Return the regimes whose parameters a season draws for some regimes and tracks."""
    observed = {id: track.regime_id for id, track in OBSERVED_TRACKS.items()}
    return list(dict.fromkeys(observed.get(id, id) for id in ids if id in observed or has_parameters(id)))


def season_task(task: Task, season: Season, drawn: bool = False) -> Task:
    """Return a task with the same id that is tested on a season's data; L96BenchError if its family has no seasons."""
    if not (task.redrawn or task.has_seasons):
        raise L96BenchError(f"expected a task of {', '.join(season_families())}, got {task.id}")
    return shared(replace(task, source=SeasonSource(season, drawn, task.source)))
