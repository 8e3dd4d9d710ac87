"""Miniature tasks: the code of the real ones on minutes of data instead of hours, made once for all tests."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.data.generate import generate, perfect_forecast
from l96bench.data.instances import RECOVERY_TRACKS, Instance, RecoveryTrack, draw_instance
from l96bench.data.splits import Cases, get_split, split_regime, split_seed
from l96bench.dynamics.truth import simulate
from l96bench.regimes import Regime
from l96bench.tasks import registry
from l96bench.tasks.base import Task
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing, SubgridForcingMemory

CASES = Cases(per_trajectory=10, n_trajectories=2, spacing=2.0, members=4)
SIZES = {"train": (1, 60.0), "train-fine": (1, 60.0), "valid": (1, 10.0), "test": (2, 30.0), "shift": (2, 30.0)}
CLIMATE = (5, 20.0)


@functools.cache
def arrays(regime: Regime, name: str) -> dict[str, NDArray[np.float64]]:
    """A miniature split in the layout of the real one, read-only like it."""
    split = get_split(regime, name)
    if name == "perfect":
        made = {"X": perfect_forecast(regime, CASES, progress=False)}
    elif name.startswith("climate"):
        n, duration = CLIMATE
        seed = split_seed(regime, split.stream)
        run = simulate(
            split_regime(regime, split), duration, seed=seed, n_trajectories=n, spin_up=20.0, store_fast=False
        )
        made = {"X": run.X}
    else:
        n, duration = SIZES[name]
        made = generate(regime, replace(split, n_trajectories=n, duration=duration), progress=False)
    for array in made.values():
        array.flags.writeable = False
    return made


class Mini:
    """What the miniature tasks share: where their data come from."""

    regime: Regime

    def _arrays(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        return arrays(self.regime, split)


@dataclass(frozen=True)
class MiniSubgridForcing(Mini, SubgridForcing):
    training_budgets: ClassVar[tuple[float, ...]] = (10.0, 20.0)


@dataclass(frozen=True)
class MiniSubgridForcingMemory(Mini, SubgridForcingMemory):
    training_budgets: ClassVar[tuple[float, ...]] = (10.0,)


@dataclass(frozen=True)
class MiniOnlineRollout(Mini, OnlineRollout):
    cases: ClassVar[Cases] = CASES
    n_members: ClassVar[int] = CLIMATE[0]
    spin_up: ClassVar[float] = 5.0
    duration: ClassVar[float] = CLIMATE[1]


@dataclass(frozen=True)
class MiniRecovery(EquationRecovery):
    """Two instances that nobody has seen, of one strength of coupling each, and four problems with each."""

    seed: int | None = 11

    @property
    def track(self) -> RecoveryTrack:
        return replace(RECOVERY_TRACKS[self.regime_id], noises=(0.0, 0.05), budgets=(5.0, 20.0), n_instances=2)

    @functools.cached_property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(draw_instance(self.track.base, index, self.seed) for index in (0, 5))


@functools.cache
def minis() -> dict[str, Task]:
    """The miniature tasks by the ids of the real ones."""
    families = (MiniSubgridForcing, MiniSubgridForcingMemory, MiniOnlineRollout)
    tasks: list[Task] = [family(regime) for family in families for regime in ("wilks-f20", "arnold-c4", "three-scale")]
    return {task.id: task for task in [*tasks, MiniRecovery("single")]}


@pytest.fixture(scope="session")
def offline() -> SubgridForcing:
    task = minis()["subgrid-forcing/wilks-f20-v1"]
    assert isinstance(task, SubgridForcing)
    return task


@pytest.fixture(scope="session")
def memory() -> SubgridForcingMemory:
    task = minis()["subgrid-forcing-memory/wilks-f20-v1"]
    assert isinstance(task, SubgridForcingMemory)
    return task


@pytest.fixture(scope="session")
def online() -> OnlineRollout:
    task = minis()["online-rollout/wilks-f20-v1"]
    assert isinstance(task, OnlineRollout)
    return task


@pytest.fixture(scope="session")
def single() -> MiniRecovery:
    """A miniature of `equation-recovery/single`."""
    task = minis()["equation-recovery/single-v1"]
    assert isinstance(task, MiniRecovery)
    return task


@pytest.fixture(scope="session")
def two_scale() -> MiniRecovery:
    """A miniature of `equation-recovery/two-scale`."""
    return MiniRecovery("two-scale")


@pytest.fixture(scope="session")
def hidden() -> MiniRecovery:
    """A miniature of `equation-recovery/hidden`."""
    return MiniRecovery("hidden")


@pytest.fixture
def miniature_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """`make_task` gives miniatures, and the cache is an empty folder, which is the fixture's value."""
    monkeypatch.setattr(registry, "_TASKS", minis())
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    registry.make_task.cache_clear()
    yield tmp_path / "cache"
    registry.make_task.cache_clear()
