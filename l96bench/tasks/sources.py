"""Sources of a task's data: registered sets, small miniatures, fresh draws; `l96bench.seasons.tasks` adds seasons."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.archive import PARTS, ArchivePart, Track, make_archive
from l96bench.assimilation.observed import ObservedTrack, observe
from l96bench.data.generate import generate
from l96bench.data.instances import InstanceSeed
from l96bench.data.splits import CASES, Cases, Split, get_split, split_regime, split_seed
from l96bench.data.store import array_digest, fetch, fetch_unrecorded, kept_digests, recorded_digests
from l96bench.dynamics.truth import simulate
from l96bench.errors import DataError
from l96bench.parallel import installed
from l96bench.regimes import Regime, get_regime, seed_word

if TYPE_CHECKING:
    from l96bench.tasks.base import Task

__all__ = [
    "MINIATURE",
    "REGISTERED",
    "TRAINING_SPLITS",
    "Fresh",
    "Miniature",
    "Registered",
    "Source",
    "digests_beside",
    "fewer",
    "own_key",
    "shared",
]

Arrays = dict[str, NDArray[np.float64]]
T = TypeVar("T", bound="Task")


class Source(Protocol):
    """Base class of what provides the arrays of a task's splits.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1")
    >>> task.source.label, task.source.has_shift
    ('test', True)
    """

    @property
    def label(self) -> str:
        """Name of the source in results."""

    @property
    def has_shift(self) -> bool:
        """Whether there are splits in a warmer climate."""

    def regime(self, regime_id: str) -> Regime:
        """Return the system behind the data of a regime."""

    def arrays(self, task: Task, split: str, progress: bool | None = None) -> Arrays:
        """Return the arrays of one of the task's splits, read-only, making those that are missing."""

    def sized(self, split: Split) -> Split:
        """Return a split with the number and length of trajectories of this source."""

    def simulated(self, regime: Regime, split: str, cases: Cases, progress: bool | None) -> Arrays:
        """Simulate the arrays of a split of a regime."""

    def part(self, track: Track, name: str) -> ArchivePart:
        """Return a part of a track's assimilation archive at the size, and with the seeds, that it has here."""

    def archived(self, track: Track, part: str, progress: bool | None) -> Arrays:
        """Cycle a part of a track's assimilation archive."""

    def hidden(self) -> Source:
        """Return the source of the systems that models know by observations alone: this one, except in a season."""

    def observed(self, track: ObservedTrack, part: str, duration: float, progress: bool | None) -> Arrays:
        """Simulate and observe a track."""

    def instance_seed(self, base: str, problem: str = "") -> InstanceSeed:
        """Return what the system of a problem of equation recovery is drawn from; None for the registered ones."""

    def digests(self, task: Task) -> dict[str, str]:
        """Return the SHA-256 of the arrays behind the task, by ``regime/split/array``."""

    def training(self, task: Task) -> Task:
        """Return the task whose training data this one shares."""


class _Known:
    """The base of sources whose systems are known to everybody."""

    __slots__ = ()

    def hidden(self) -> Self:
        """Return this source."""
        return self

    def observed(self, track: ObservedTrack, part: str, duration: float, progress: bool | None) -> Arrays:
        """Simulate and observe a track."""
        return observe(track, part, duration, progress=progress)


@dataclass(frozen=True, slots=True)
class Registered(_Known):
    """Full-size data sets with recorded digests; without any, those of the first making on this machine are kept."""

    label: ClassVar[str] = "test"
    has_shift: ClassVar[bool] = True

    def regime(self, regime_id: str) -> Regime:
        """Return the registered regime."""
        return get_regime(regime_id)

    def arrays(self, task: Task, split: str, progress: bool | None = None) -> Arrays:
        """Return the arrays, memory-mapped from the cache and made if it does not hold them intact."""
        key = task.key(split)
        recorded = recorded_digests(key)
        if recorded:
            return fetch(key, list(recorded), lambda: task.make(split, progress), recorded)
        return fetch_unrecorded(own_key(task, split), lambda: task.make(split, progress))

    def sized(self, split: Split) -> Split:
        """Return the split as it is defined."""
        return split

    def simulated(self, regime: Regime, split: str, cases: Cases, progress: bool | None) -> Arrays:
        """Simulate the split as it is defined."""
        return generate(regime, get_split(regime, split), progress, cases=cases)

    def part(self, track: Track, name: str) -> ArchivePart:
        """Return the part as it is defined."""
        return PARTS[name]

    def archived(self, track: Track, part: str, progress: bool | None) -> Arrays:
        """Cycle the part as it is defined."""
        return make_archive(track, self.part(track, part), progress)

    def instance_seed(self, base: str, problem: str = "") -> InstanceSeed:
        """Return None."""
        return None

    def digests(self, task: Task) -> dict[str, str]:
        """Return the recorded digests; data sets without any are made first."""
        found: dict[str, str] = {}
        for split in task.available_splits:
            recorded = recorded_digests(task.key(split))
            if not recorded:
                self.arrays(task, split)
                recorded = kept_digests(own_key(task, split))
            found |= {f"{task.key(split)}/{name}": digest for name, digest in recorded.items()}
        return found

    def training(self, task: Task) -> Task:
        """Return the task itself."""
        return task


@dataclass(frozen=True, slots=True)
class Miniature(_Known):
    """Small data sets made in seconds, once on a machine whose cache can be written, without recorded digests."""

    label: ClassVar[str] = "test"
    has_shift: ClassVar[bool] = True

    def regime(self, regime_id: str) -> Regime:
        """Return the registered regime."""
        return get_regime(regime_id)

    def arrays(self, task: Task, split: str, progress: bool | None = None) -> Arrays:
        """Return the arrays; equal tasks share them."""
        return _kept(task, split)

    def sized(self, split: Split) -> Split:
        """Return the split with fewer and shorter trajectories."""
        n, duration = _SIZES.get(split.name, (split.n_trajectories, split.duration))
        return replace(split, n_trajectories=n, duration=duration)

    def simulated(self, regime: Regime, split: str, cases: Cases, progress: bool | None) -> Arrays:
        """Simulate less of the split."""
        return _small_split(regime, split, cases if split == "perfect" else CASES)

    def part(self, track: Track, name: str) -> ArchivePart:
        """Return the part with fewer and shorter segments."""
        n_segments, n_cycles = _CYCLES[name]
        return replace(PARTS[name], n_segments=n_segments, n_cycles=n_cycles)

    def archived(self, track: Track, part: str, progress: bool | None) -> Arrays:
        """Cycle less of the part: fewer and shorter segments."""
        return _small_archive(track, part)

    def instance_seed(self, base: str, problem: str = "") -> InstanceSeed:
        """Return None."""
        return None

    def digests(self, task: Task) -> dict[str, str]:
        """Return no digests."""
        return {}

    def training(self, task: Task) -> Task:
        """Return the task itself."""
        return task


REGISTERED, MINIATURE = Registered(), Miniature()
TRAINING_SPLITS = frozenset({"train", "train-fine", "valid"})
"""The splits that models are fitted to and chosen by, which are never drawn anew."""


def fewer(n: int) -> int:
    """Return how many trajectories or members a fresh draw has where the registered data have `n`."""
    return max(2, n // 5)


@dataclass(frozen=True, slots=True)
class Fresh(_Known):
    """Test data drawn anew from a seed and kept in memory: a fifth of the trajectories, half of the segments of cycles.

    Training data are those of another source (`learned`), as are the systems and their warmer climates.
    """

    seed: int
    learned: Source = REGISTERED

    @property
    def has_shift(self) -> bool:
        """Whether there are splits in a warmer climate."""
        return self.learned.has_shift

    @property
    def label(self) -> str:
        """``fresh draw SEED``."""
        return f"fresh draw {self.seed}"

    def regime(self, regime_id: str) -> Regime:
        """Return the registered regime."""
        return self.learned.regime(regime_id)

    def arrays(self, task: Task, split: str, progress: bool | None = None) -> Arrays:
        """Return the arrays; tests are made once a process."""
        return self.training(task).arrays(split, progress) if split in TRAINING_SPLITS else _kept(task, split)

    def sized(self, split: Split) -> Split:
        """Return the split with fewer trajectories, if it is one of the test."""
        sized = self.learned.sized(split)
        return sized if split.name in TRAINING_SPLITS else replace(sized, n_trajectories=fewer(sized.n_trajectories))

    def words(self, *purpose: str) -> tuple[int, ...]:
        """Return seed words for a purpose."""
        return (seed_word("fresh draw"), self.seed, *map(seed_word, purpose))

    def simulated(self, regime: Regime, split: str, cases: Cases, progress: bool | None) -> Arrays:
        """Simulate the split from seeds of this draw."""
        sized = self.sized(get_split(regime, split))
        return generate(regime, sized, progress, cases=cases, seed_of=lambda own, stream: self.words(own.id, stream))

    def part(self, track: Track, name: str) -> ArchivePart:
        """Return the part with half of its segments and seeds of this draw, if it is the test."""
        part = self.learned.part(track, name)
        if name in TRAINING_SPLITS:
            return part
        return replace(part, n_segments=max(2, part.n_segments // 2), words=self.words(track.id, name))

    def archived(self, track: Track, part: str, progress: bool | None) -> Arrays:
        """Cycle the part from seeds of this draw."""
        return make_archive(track, self.part(track, part), progress)

    def instance_seed(self, base: str, problem: str = "") -> InstanceSeed:
        """Return the seed."""
        return self.seed

    def digests(self, task: Task) -> dict[str, str]:
        """Return the digests of the training data, and of the tests of this draw, making these first."""
        return digests_beside(self, task)

    def training(self, task: Task) -> Task:
        """Return the task on the data of the other source."""
        return shared(replace(task, source=self.learned))


def digests_beside(source: Source, task: Task) -> dict[str, str]:
    """Return the digests of a task's training data, and those of its own tests, making these first."""
    learned = {f"{task.key('train')}/{name}": value for name, value in recorded_digests(task.key("train")).items()}
    made = {name: source.arrays(task, name) for name in task.available_splits if name not in TRAINING_SPLITS}
    place = f"{task.regime_id}/{source.label}"
    return learned | {
        f"{place}/{name}/{key}": array_digest(array) for name in made for key, array in made[name].items()
    }


_shared: dict[Task, Task] = {}


def shared(task: T) -> T:
    """Return one shared object for all equal tasks, so that data and results are read and computed once."""
    return cast("T", _shared.setdefault(task, task))


def own_key(task: Task, split: str) -> str:
    """Return the place in the cache of data without recorded digests, named by all that they depend on."""
    return f"own/{task.key(split)}-{hashlib.sha256(task.recipe(split).encode()).hexdigest()[:12]}"


CLIMATE = (5, 20.0)
"""Members of a miniature climate run, and MTU of each."""
_CLIMATES = ("climate", "climate-twin", "climate-shift", "climate-shift-twin")
_SIZES = {"train": (1, 60.0), "train-fine": (1, 60.0), "valid": (1, 10.0), "test": (2, 30.0), "shift": (2, 30.0)}
_SIZES |= dict.fromkeys(_CLIMATES, CLIMATE)
"""Trajectories of a miniature split, and MTU of each."""
_CYCLES = {"train": (1, 200), "valid": (1, 60), "test": (2, 80)}
"""Segments of a miniature archive, and cycles of each."""


@functools.cache
def _kept(task: Task, split: str) -> Arrays:
    return _read_only(task.make(split, False))


@functools.cache
def _small_split(regime: Regime, name: str, cases: Cases) -> Arrays:
    split = MINIATURE.sized(get_split(regime, name))
    return _stored((regime, split, cases), lambda: _simulated(regime, split, cases))


def _simulated(regime: Regime, split: Split, cases: Cases) -> Arrays:
    if split.name not in _CLIMATES or split.name == "climate":  # forecasts begin on it
        return generate(regime, split, progress=False, cases=cases)
    run = simulate(
        split_regime(regime, split),
        split.duration,
        seed=split_seed(regime, split.stream),
        n_trajectories=split.n_trajectories,
        spin_up=20.0,
        store_fast=False,
        progress=False,
    )
    return {"X": run.X}


@functools.cache
def _small_archive(track: Track, name: str) -> Arrays:
    part = MINIATURE.part(track, name)
    return _stored((track, part), lambda: make_archive(track, part, False))


def _stored(what: tuple[object, ...], make: Callable[[], Arrays]) -> Arrays:
    """Return arrays from the cache, named by all that they depend on; without a cache, make them."""
    place = hashlib.sha256(repr((installed()["l96bench"], what)).encode()).hexdigest()[:24]
    made = functools.cache(make)
    try:
        return fetch_unrecorded(f"miniature/{place}", made)
    except (DataError, OSError):  # it cannot be written, as in a process that reads untrusted files
        return _read_only(made())


def _read_only(arrays: Arrays) -> Arrays:
    for array in arrays.values():
        array.flags.writeable = False
    return arrays
