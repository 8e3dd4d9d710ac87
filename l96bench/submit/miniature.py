"""The tasks in miniature: the code of the real ones on minutes of data, made in a second, to try a model on."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.data.generate import generate, perfect_forecast
from l96bench.data.instances import RECOVERY_TRACKS, Instance, RecoveryTrack, draw_instance
from l96bench.data.splits import Cases, get_split, split_regime, split_seed
from l96bench.dynamics.truth import simulate
from l96bench.errors import L96BenchError
from l96bench.regimes import Regime
from l96bench.tasks.base import Task
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing, SubgridForcingMemory

__all__ = ["miniature"]

_CASES = Cases(per_trajectory=10, n_trajectories=1, spacing=2.0, lead=2.0, members=4)
_SIZES = {"train": (1, 40.0), "train-fine": (1, 40.0), "valid": (1, 10.0), "test": (1, 30.0), "shift": (1, 30.0)}
_CLIMATE = (5, 20.0)
_SPIN_UP = 5.0
_SEED = 20


@functools.cache
def _arrays(regime: Regime, name: str) -> dict[str, NDArray[np.float64]]:
    """A miniature split in the layout of the real one, read-only like it."""
    split = get_split(regime, name)
    if name == "perfect":
        made = {"X": perfect_forecast(regime, _CASES, progress=False)}
    elif name.startswith("climate"):
        n, duration = _CLIMATE
        seed = split_seed(regime, split.stream)
        made = {"X": simulate(split_regime(regime, split), duration, seed=seed, n_trajectories=n, spin_up=_SPIN_UP,
                              store_fast=False, progress=False).X}  # fmt: skip
    else:
        n, duration = _SIZES[name]
        made = generate(regime, replace(split, n_trajectories=n, duration=duration), progress=False)
        made = {key: array if array.ndim == 3 else array[None] for key, array in made.items()}
    for array in made.values():
        array.flags.writeable = False
    return made


class _Mini:
    """Where the data of miniature tasks come from, and how many blocks they have."""

    regime: Regime
    regime_id: str

    def _arrays(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        return _arrays(self.regime, split)

    @property
    def data_digests(self) -> dict[str, str]:
        """None: these data are not the board's."""
        return {}


@dataclass(frozen=True)
class MiniSubgridForcing(_Mini, SubgridForcing):
    """`subgrid-forcing` in miniature."""

    training_budgets: ClassVar[tuple[float, ...]] = ()


@dataclass(frozen=True)
class MiniSubgridForcingMemory(_Mini, SubgridForcingMemory):
    """`subgrid-forcing-memory` in miniature."""

    training_budgets: ClassVar[tuple[float, ...]] = ()


@dataclass(frozen=True)
class MiniOnlineRollout(_Mini, OnlineRollout):
    """`online-rollout` in miniature."""

    cases: ClassVar[Cases] = _CASES
    n_members: ClassVar[int] = _CLIMATE[0]
    spin_up: ClassVar[float] = _SPIN_UP
    duration: ClassVar[float] = _CLIMATE[1]


@dataclass(frozen=True)
class MiniRecovery(EquationRecovery):
    """`equation-recovery` in miniature: one instance that is not registered, two problems."""

    seed: int | None = _SEED

    @property
    def track(self) -> RecoveryTrack:
        """One instance, one level of noise, one budget."""
        return replace(RECOVERY_TRACKS[self.regime_id], noises=(0.0,), budgets=(5.0,), n_instances=1)

    @functools.cached_property
    def instances(self) -> tuple[Instance, ...]:
        """The one instance."""
        return (draw_instance(self.track.base, 0, _SEED),)


_MINIS: tuple[type[Task], ...] = (MiniSubgridForcing, MiniSubgridForcingMemory, MiniOnlineRollout, MiniRecovery)


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
