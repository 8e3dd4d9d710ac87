"""Every data set that a task reads, whichever part of the package makes it: what `l96bench data` works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.archive import ARRAYS, PARTS, TRACKS, make_archive
from l96bench.data.generate import generate
from l96bench.data.instances import RECOVERY_TRACKS, draw_instance
from l96bench.data.recovery import TRAJECTORIES, arrays_of, make_instance
from l96bench.data.splits import DATA_REGIMES, split_regime, splits_of
from l96bench.data.store import array_digest, fetch, state_of
from l96bench.errors import UnknownIdError, nearest
from l96bench.regimes import get_regime

__all__ = ["DataSet", "data_sets"]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One split of a regime, one part of an assimilation archive, or one instance of a track of equation recovery.

    Attributes
    ----------
    owner, name : str
        The regime or track, and the split, part or instance.
    arrays : tuple of str
        What it holds.
    size : str
        How much, for listings.
    purpose : str
        One line for listings.
    make : (progress, threads) -> arrays by name
        Makes it, without the cache.
    """

    owner: str
    name: str
    arrays: tuple[str, ...]
    size: str
    purpose: str
    make: Callable[[bool | None, int | None], Mapping[str, NDArray[np.float64]]]

    @property
    def key(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    def load(self, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        """The arrays, from the cache; made first when it does not hold them intact."""
        return fetch(self.key, self.arrays, lambda: self.make(progress, None))

    def state(self) -> str:
        """Whether the cache holds it: ``"intact"``, ``"absent"`` or ``"damaged"``."""
        return state_of(self.key, self.arrays)

    def remake(self, progress: bool | None = None, threads: int | None = None) -> dict[str, str]:
        """Make it anew, without the cache: the digests of its arrays by name."""
        return {name: array_digest(array) for name, array in self.make(progress, threads).items()}


def data_sets(owners: Sequence[str] | None = None, names: Sequence[str] | None = None) -> list[DataSet]:
    """All data sets, or those of some regimes and tracks, or with some names.

    Raises
    ------
    UnknownIdError
        For an owner or a name that no data set has.
    """
    every = [*_splits(), *_archives(), *_instances()]
    for given, known in ((owners, {each.owner for each in every}), (names, {each.name for each in every})):
        for one in given or ():
            if one not in known:
                raise UnknownIdError(f"no data sets of {one!r}." + nearest(one, known))
    chosen = [each for each in every if (not owners or each.owner in owners) and (not names or each.name in names)]
    if not chosen:
        raise UnknownIdError(f"{', '.join(owners or ())} has no {', '.join(names or ())}")
    return chosen


def _splits() -> list[DataSet]:
    sets = []
    for id in DATA_REGIMES:
        regime = get_regime(id)
        for split in splits_of(regime):
            size = f"{split.n_trajectories} x {split.duration:g} MTU every {split.interval:g}"
            note = f"{split.purpose} (F = {split_regime(regime, split).F:g})"
            make = lambda progress, threads, regime=regime, split=split: generate(regime, split, progress, threads)  # noqa: E731
            sets.append(DataSet(id, split.name, split.arrays, size, note, make))
    return sets


def _archives() -> list[DataSet]:
    sets = []
    for track in TRACKS.values():
        for part in PARTS.values():
            size = f"{part.n_segments} x {part.n_cycles} cycles every {track.window:g} MTU"
            make = lambda progress, threads, track=track, part=part: make_archive(track, part, progress)  # noqa: E731
            sets.append(DataSet(track.id, part.name, ARRAYS, size, f"increments, {track.regime_id}", make))
    return sets


def _instances() -> list[DataSet]:
    sets = []
    for track in (each for each in RECOVERY_TRACKS.values() if each.id == each.base):
        for i in range(track.n_instances):
            make = lambda progress, threads, base=track.base, i=i: make_instance(draw_instance(base, i), progress)  # noqa: E731
            size, purpose = TRAJECTORIES.summary, f"equation recovery, {track.base}"
            sets.append(DataSet(track.base, f"instance-{i}", arrays_of(track.base), size, purpose, make))
    return sets
