"""A list of every data set that tasks read, for the commands `l96bench data`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.archive import ARRAYS, PARTS, TRACKS, ArchivePart, Track, make_archive
from l96bench.assimilation.observed import OBSERVED_PARTS, OBSERVED_TRACKS, ObservedTrack, observe
from l96bench.data.generate import generate
from l96bench.data.instances import RECOVERY_TRACKS, draw_instance
from l96bench.data.recovery import TRAJECTORIES, arrays_of, make_instance
from l96bench.data.splits import DATA_REGIMES, SPLITS, Split, split_regime, splits_of
from l96bench.data.store import (
    array_digest,
    fetch,
    fetch_unrecorded,
    kept_digests,
    recorded_digests,
    state_of,
)
from l96bench.data.systems import N_TEST, N_TRAINING, SYSTEM_TRACKS
from l96bench.dynamics.truth import available_processors
from l96bench.errors import DataError, UnknownIdError, nearest
from l96bench.parallel import in_parallel
from l96bench.progress import progress as show_progress
from l96bench.regimes import Regime, get_regime, other_regimes
from l96bench.tasks.registry import families
from l96bench.tasks.sources import own_key
from l96bench.tasks.unseen_physics import UnseenPhysics

__all__ = ["DataSet", "data_sets", "data_sets_given_as", "make_data_sets"]

_given: list[Sequence[DataSet]] = []


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set of a regime or track; `make(progress, threads)` bypasses the cache, where it is `kept_as`.

    Its arrays have the digests `recorded`, or else those of the repository.
    """

    owner: str
    name: str
    arrays: tuple[str, ...]
    size: str
    purpose: str
    make: Callable[[bool | None, int | None], Mapping[str, NDArray[np.float64]]]
    kept_as: str = ""
    recorded: Mapping[str, str] | None = None

    @property
    def key(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    def load(self, progress: bool | None = None, threads: int | None = None) -> dict[str, NDArray[np.float64]]:
        """Return the arrays from the cache, making them first unless it holds them intact."""
        if self.kept_as:
            return fetch_unrecorded(self.kept_as, lambda: self.make(progress, threads))
        return fetch(self.key, self.arrays, lambda: self.make(progress, threads), self.recorded)

    def state(self) -> str:
        """Return whether the cache holds the data set: ``"intact"``, ``"absent"`` or ``"damaged"``."""
        if not self.kept_as:
            return state_of(self.key, self.arrays, self.recorded)
        kept = kept_digests(self.kept_as)
        return state_of(self.kept_as, list(kept), kept)

    @property
    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each array: those recorded, or else those of the first making on this machine."""
        if self.kept_as:
            return kept_digests(self.kept_as)
        return dict(recorded_digests(self.key) if self.recorded is None else self.recorded)

    def remake(self, progress: bool | None = None, threads: int | None = None) -> dict[str, str]:
        """Make the data set again without the cache and return the SHA-256 of each array."""
        return {name: array_digest(array) for name, array in self.make(progress, threads).items()}


def data_sets(owners: Sequence[str] | None = None, names: Sequence[str] | None = None) -> list[DataSet]:
    """Return all data sets, or those of some owners or with some names; `UnknownIdError` if one does not exist."""
    every = _given[-1] if _given else [*_splits(), *_archives(), *_instances(), *_observed(), *_systems(), *_others()]
    # Tracks of one base sample the same trajectories.
    owners = [RECOVERY_TRACKS[each].base if each in RECOVERY_TRACKS else each for each in owners or ()]
    for given, known in ((owners, {each.owner for each in every}), (names, {each.name for each in every})):
        for one in given or ():
            if one not in known:
                raise UnknownIdError(f"no data sets of {one!r}." + nearest(one, known))
    chosen = [each for each in every if (not owners or each.owner in owners) and (not names or each.name in names)]
    if not chosen:
        raise UnknownIdError(f"{', '.join(owners or ())} has no {', '.join(names or ())}")
    return chosen


@contextmanager
def data_sets_given_as(sets: Sequence[DataSet]) -> Iterator[None]:
    """Within this context, in this process, these are all the data sets there are."""
    _given.append(sets)
    try:
        yield
    finally:
        _given.pop()


def make_data_sets(
    sets: Sequence[DataSet], *, n_jobs: int | None = None, dask: str | None = None, progress: bool | None = None
) -> Iterator[str]:
    """Make the data sets that the cache lacks, in parallel processes or on the Dask scheduler at address `dask`.

    Yields the key of each when it is there; Dask's results are sent to this machine's cache. Raises `ClusterError` if a
    cluster or process is lost and, at the end, `DataError` that names the data sets that could not be made.
    """
    n_jobs = n_jobs or available_processors()
    absent = [each for each in sets if each.state() != "intact"]
    yield from (each.key for each in sets if each not in absent)
    threads = max(1, n_jobs // max(1, len(absent))) if dask is None else 1
    work, faults = partial(_make, threads=threads, send=dask is not None), []
    with show_progress("making data", len(absent), progress) as advance:
        for outcome in in_parallel(work, [(each.owner, each.name) for each in absent], n_jobs=n_jobs, dask=dask):
            each = absent[outcome.index]
            if outcome.fault:
                faults.append(f"{each.key}: {outcome.fault}")
                continue
            if outcome.value is not None:
                fetch(each.key, each.arrays, partial(dict, outcome.value), each.recorded)
            advance(1)
            yield each.key
    if faults:
        raise DataError("these could not be made:\n  " + "\n  ".join(faults))


def _make(name: tuple[str, str], threads: int, send: bool) -> dict[str, NDArray[np.float64]] | None:
    """Make one data set in this machine's cache, and return its arrays if `send`."""
    (each,) = data_sets([name[0]], [name[1]])
    arrays = each.load(progress=False, threads=threads)
    return {key: np.array(array) for key, array in arrays.items()} if send else None


def _splits() -> list[DataSet]:
    return [trajectories(get_regime(id), split) for id in DATA_REGIMES for split in splits_of(id)]


def trajectories(regime: Regime, split: Split) -> DataSet:
    """Return the data set of one split of a regime."""
    size = f"{split.n_trajectories} x {split.duration:g} MTU every {split.interval:g}"
    note = f"{split.purpose} (F = {split_regime(regime, split).F:g})"
    make = lambda progress, threads: generate(regime, split, progress, threads)  # noqa: E731
    return DataSet(regime.id, split.name, split.arrays, size, note, make)


def _others() -> list[DataSet]:
    """Return the data sets of regimes and families of other packages."""
    sets: dict[str, DataSet] = {}
    for family in families().values():
        is_ours = family.__module__.startswith("l96bench.")
        for task in (family(id) for id in family.regime_ids() if not is_ours or id in other_regimes()):
            for split in task.available_splits:
                key = task.key(split)
                if recorded_digests(key):
                    continue
                make = lambda progress, threads, task=task, split=split: task.make(split, progress)  # noqa: E731
                sets[key] = DataSet(key.removesuffix(f"/{split}"), split, (), "", task.id, make, own_key(task, split))
    return list(sets.values())


def _archives() -> list[DataSet]:
    return [archive(track, part) for track in TRACKS.values() for part in PARTS.values()]


def archive(track: Track, part: ArchivePart) -> DataSet:
    """Return the data set of one part of a track's archive."""
    size = f"{part.n_segments} x {part.n_cycles} cycles every {track.window:g} MTU"
    make = lambda progress, threads: make_archive(track, part, progress)  # noqa: E731
    return DataSet(track.id, part.name, ARRAYS, size, f"increments, {track.regime_id}", make)


def _instances() -> list[DataSet]:
    sets = []
    for track in (each for each in RECOVERY_TRACKS.values() if each.id == each.base):
        for i in range(track.n_instances):
            make = lambda progress, threads, base=track.base, i=i: make_instance(draw_instance(base, i), progress)  # noqa: E731
            size, purpose = TRAJECTORIES.summary, f"equation recovery, {track.base}"
            sets.append(DataSet(track.base, f"instance-{i}", arrays_of(track.base), size, purpose, make))
    return sets


def _observed() -> list[DataSet]:
    return [observations(track, part) for track in OBSERVED_TRACKS.values() for part in OBSERVED_PARTS]


def observations(track: ObservedTrack, part: str) -> DataSet:
    """Return the data set of one part of the observations of a track."""
    duration = OBSERVED_PARTS[part]
    size = f"1 x {duration:g} MTU every {track.network.window:g}"
    make = lambda progress, threads: observe(track, part, duration, progress=progress)  # noqa: E731
    return DataSet(track.id, part, track.arrays, size, f"noisy observations of {track.regime_id}", make)


def _systems() -> list[DataSet]:
    sets: dict[str, DataSet] = {}
    for task in (UnseenPhysics(track) for track in SYSTEM_TRACKS):
        for split in task.splits:
            make = lambda progress, threads, task=task, split=split: task.make(split, progress)  # noqa: E731
            given, key = next(each for each in SPLITS if each.name == split), task.key(split)
            systems = f"{N_TRAINING if split == 'train' else N_TEST} systems"
            sets[key] = DataSet(key.removesuffix(f"/{split}"), split, given.arrays, systems, given.purpose, make)
    return list(sets.values())
