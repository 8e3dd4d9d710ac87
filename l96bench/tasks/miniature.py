"""The tasks in miniature: the code of the real ones on minutes of data, made in a second, to try a model on."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.archive import PARTS, Track, get_track, make_archive
from l96bench.data.generate import generate
from l96bench.data.instances import RECOVERY_TRACKS, Instance, RecoveryTrack, draw_instance
from l96bench.data.splits import Cases, get_split, split_regime, split_seed
from l96bench.dynamics.truth import simulate
from l96bench.errors import L96BenchError
from l96bench.regimes import Regime
from l96bench.tasks.base import Task
from l96bench.tasks.da_increment import DAIncrement
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing, SubgridForcingMemory

__all__ = [
    "MiniDAIncrement",
    "MiniOnlineRollout",
    "MiniRecovery",
    "MiniSubgridForcing",
    "MiniSubgridForcingMemory",
    "miniature",
]

_CASES = Cases(per_trajectory=10, n_trajectories=2, spacing=2.0, members=4)
_SIZES = {"train": (1, 60.0), "train-fine": (1, 60.0), "valid": (1, 10.0), "test": (2, 30.0), "shift": (2, 30.0)}
"""Trajectories, and MTU of each."""
_CLIMATE = (5, 20.0)
"""Members, and MTU of each."""
_CYCLES = {"train": (1, 200), "valid": (1, 60), "test": (2, 80)}
"""Segments, and cycles of each."""
_SPIN_UP = 5.0
"""MTU before the climate of a model."""
_SEED = 11
"""Of the instances, which are not the registered ones."""


@functools.cache
def _split(regime: Regime, name: str) -> dict[str, NDArray[np.float64]]:
    """A miniature split in the layout of the real one, read-only like it."""
    split = get_split(regime, name)
    if name.startswith("climate"):
        n, duration = _CLIMATE
        seed = split_seed(regime, split.stream)
        made = {"X": simulate(split_regime(regime, split), duration, seed=seed, n_trajectories=n, spin_up=20.0,
                              store_fast=False, progress=False).X}  # fmt: skip
        return _read_only(made)
    if name in _SIZES:
        n, duration = _SIZES[name]
        split = replace(split, n_trajectories=n, duration=duration)
    return _read_only(generate(regime, split, progress=False, cases=_CASES))


@functools.cache
def _archive(track: Track, name: str) -> dict[str, NDArray[np.float64]]:
    """A miniature part of an archive, read-only like the real one."""
    n_segments, n_cycles = _CYCLES[name]
    return _read_only(make_archive(track, replace(PARTS[name], n_segments=n_segments, n_cycles=n_cycles), False))


def _read_only(arrays: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


class _Mini:
    """Where the data of miniature tasks come from."""

    regime: Regime

    def _arrays(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        return _split(self.regime, split)

    @property
    def data_digests(self) -> dict[str, str]:
        """None: these data are not the board's."""
        return {}


@dataclass(frozen=True)
class MiniSubgridForcing(_Mini, SubgridForcing):
    """`subgrid-forcing` in miniature."""

    training_budgets: ClassVar[tuple[float, ...]] = (10.0, 20.0)


@dataclass(frozen=True)
class MiniSubgridForcingMemory(_Mini, SubgridForcingMemory):
    """`subgrid-forcing-memory` in miniature."""

    training_budgets: ClassVar[tuple[float, ...]] = (10.0,)


@dataclass(frozen=True)
class MiniOnlineRollout(_Mini, OnlineRollout):
    """`online-rollout` in miniature."""

    cases: ClassVar[Cases] = _CASES
    n_members: ClassVar[int] = _CLIMATE[0]
    spin_up: ClassVar[float] = _SPIN_UP
    duration: ClassVar[float] = _CLIMATE[1]


@dataclass(frozen=True)
class MiniDAIncrement(_Mini, DAIncrement):
    """`da-increment` in miniature: as many members as keep the filter of the uncorrected model from diverging."""

    spin_up: ClassVar[float] = _SPIN_UP
    duration: ClassVar[float] = _CLIMATE[1]

    @property
    def track(self) -> Track:
        """Half of the members, and a coarse grid of inflations."""
        return replace(get_track(self.regime_id), n_members=10, inflations=(1.05, 1.2, 1.6))

    def _arrays(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        return _archive(self.track, split)


@dataclass(frozen=True)
class MiniRecovery(EquationRecovery):
    """`equation-recovery` in miniature: two instances that are not registered, and four problems with each."""

    seed: int | None = _SEED

    @property
    def track(self) -> RecoveryTrack:
        """Two levels of noise and two budgets."""
        return replace(RECOVERY_TRACKS[self.regime_id], noises=(0.0, 0.05), budgets=(5.0, 20.0), n_instances=2)

    @functools.cached_property
    def instances(self) -> tuple[Instance, ...]:
        """One of each strength of coupling, where the track has two."""
        return tuple(draw_instance(self.track.base, index, self.seed) for index in (0, 5))


_MINIS: tuple[type[Task], ...] = (
    MiniSubgridForcing, MiniSubgridForcingMemory, MiniOnlineRollout, MiniDAIncrement, MiniRecovery,
)  # fmt: skip


@functools.cache
def miniature(task: Task) -> Task:
    """The miniature of a task, with the same id; the same object each time.

    Raises
    ------
    L96BenchError
        If the family has none.
    """
    for each in _MINIS:
        if each.family == task.family:
            return each(task.regime_id, task.version)
    raise L96BenchError(f"{task.family} has no miniature")
