"""Miniature tasks, made once for all tests, and the tiers of the tests.

A test that needs real data, training, a cluster or a browser says so, by a mark or by a fixture of that name. Without
it, the test fails in the fast tier (`-m "not slow"`).
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from l96bench import regimes
from l96bench.errors import L96BenchError
from l96bench.submissions import folder as folders
from l96bench.submissions import score
from l96bench.submissions.contained import ContainedOutcome
from l96bench.tasks.base import Task
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.registry import tasks_given_as
from l96bench.tasks.subgrid_forcing import SubgridForcing
from l96bench.tasks.subgrid_forcing_memory import SubgridForcingMemory

TIERS = ("real_data", "training", "cluster", "browser")
PROGRAMS = {"cluster": "distributed", "browser": "chrom"}
STEPS = 1000
"""Steps of an optimizer that a test may make without the mark `training`."""


class Guard:
    """What the test that runs now may have."""

    allowed: ClassVar[set[str]] = set(TIERS)
    steps: ClassVar[int] = 0

    @classmethod
    def starts(cls, event: str, arguments: tuple[Any, ...]) -> None:
        """Fail a test that starts a program of a tier that it is not in."""
        if event == "subprocess.Popen":
            for tier, program in PROGRAMS.items():
                if tier not in cls.allowed and program in str(arguments[:2]):
                    pytest.fail(f"a test that starts {program} needs the mark `{tier}`")

    @classmethod
    def steps_made(cls, *_: Any) -> None:
        """Fail a test that trains for long without saying so."""
        cls.steps += 1
        if cls.steps > STEPS and "training" not in cls.allowed:
            pytest.fail(f"a test that makes more than {STEPS} steps of an optimizer needs the mark `training`")


sys.addaudithook(Guard.starts)


@pytest.fixture(autouse=True)
def _no_regime_outlives_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regimes._OTHERS, "_own", {**regimes._OTHERS._own})
    monkeypatch.setattr(regimes, "_DIGESTS", {**regimes._DIGESTS})


@functools.cache
def _count_steps() -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook

    register_optimizer_step_post_hook(Guard.steps_made)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the fixture of a tier, and as slow whatever is in one."""
    for item in items:
        for tier in TIERS:
            if tier in getattr(item, "fixturenames", ()):
                item.add_marker(tier)
        if any(item.get_closest_marker(tier) for tier in TIERS):
            item.add_marker("slow")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """In the fast tier, take from a test what it does not say that it needs."""
    if "not slow" not in item.config.option.markexpr:
        yield
        return
    if "torch" in sys.modules:
        _count_steps()
    Guard.allowed, Guard.steps = {tier for tier in TIERS if item.get_closest_marker(tier)}, 0
    with pytest.MonkeyPatch.context() as patch:
        if "real_data" not in Guard.allowed:
            # Below a file no process can make anything; the name of the folder is what an error shows.
            patch.setenv("L96BENCH_CACHE", str(Path(__file__) / "a-test-of-real-data-needs-the-mark-real_data"))
        yield
    Guard.allowed = set(TIERS)


@pytest.fixture(scope="session")
def real_data() -> None:
    """What a fixture asks for that reads data sets in their registered size: marks the tests that use it."""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """run(*arguments): the exit code, standard output and standard error of a command."""

    from l96bench import cli

    def command(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main([str(each) for each in arguments])
        assert isinstance(caught.value.code, int)
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return command


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
    task = minis()["online-rollout/wilks-f20-v2"]
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

    for module in (folders, score):
        monkeypatch.setattr(module, "run_contained", work)


@pytest.fixture(scope="session")
def scoringrules() -> Any:
    """Another implementation of scores; it compiles for seconds when it is imported."""
    return importlib.import_module("scoringrules")
