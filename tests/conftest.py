"""Miniature tasks, made once for all tests."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from l96bench.errors import L96BenchError
from l96bench.submissions import folder as folders
from l96bench.submissions.contained import ContainedOutcome
from l96bench.tasks.base import Task
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.registry import tasks_given_as
from l96bench.tasks.subgrid_forcing import SubgridForcing, SubgridForcingMemory


@functools.cache
def minis() -> dict[str, Task]:
    """The miniature tasks by the ids of the real ones."""
    families = (SubgridForcing, SubgridForcingMemory, OnlineRollout)
    tasks: list[Task] = [family(regime) for family in families for regime in ("wilks-f20", "arnold-c4", "three-scale")]
    return {task.id: task.miniature() for task in [*tasks, EquationRecovery("single")]}


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
def single() -> EquationRecovery:
    """A miniature of `equation-recovery/single`."""
    task = minis()["equation-recovery/single-v1"]
    assert isinstance(task, EquationRecovery)
    return task


@pytest.fixture(scope="session")
def two_scale() -> EquationRecovery:
    """A miniature of `equation-recovery/two-scale`."""
    return EquationRecovery("two-scale").in_miniature()


@pytest.fixture(scope="session")
def hidden() -> EquationRecovery:
    """A miniature of `equation-recovery/hidden`."""
    return EquationRecovery("hidden").in_miniature()


@pytest.fixture
def miniature_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """`make_task` gives miniatures, and the cache is an empty folder, which is the fixture's value."""
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    with tasks_given_as(Task.miniature):
        yield tmp_path / "cache"


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containment costs seconds and knows no task of a test: where it is not what is tested, it is done without."""

    def work(function: str, items: Sequence[Any], *_: Any) -> list[ContainedOutcome]:
        module, _, name = function.partition(":")
        outcomes = []
        for item in items:
            try:
                outcomes.append(ContainedOutcome(getattr(importlib.import_module(module), name)(item), "", 0.0))
            except L96BenchError as error:
                outcomes.append(ContainedOutcome(None, str(error), 0.0))
        return outcomes

    monkeypatch.setattr(folders, "run_contained", work)
