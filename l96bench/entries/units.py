"""Units of work: what one process trains and scores by itself, whichever machine it runs on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from l96bench.data.store import cache_folder
from l96bench.entries.entry import EntryCode
from l96bench.tasks.registry import make_task

__all__ = ["CEILING", "Unit", "discoveries", "run_unit", "shown"]

CEILING = "@ceiling"
"""The name under which a task's own ceiling is scored, as a row to compare with."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One entry, trained once for one regime and seed, and all the tasks that it is scored on.

    It holds all that another machine needs besides the package: the data are made there.

    Attributes
    ----------
    entry : str
        The entry's name, or `CEILING`.
    code : EntryCode or None
        Its code; None for a ceiling.
    tasks : tuple of str
        Ids of the tasks, all of one regime.
    keys : tuple of str
        Fingerprints of the results, one a task.
    seed : int
        Training seed.
    slow : bool
        Whether the entry trains for minutes.
    """

    entry: str
    code: EntryCode | None
    tasks: tuple[str, ...]
    keys: tuple[str, ...]
    seed: int
    slow: bool = False

    def __str__(self) -> str:
        return f"{shown(self.entry)} on {make_task(self.tasks[0]).regime_id}, seed {self.seed}"

    @property
    def weight(self) -> float:
        """A rough number of seconds, to begin with the longest."""
        equations = self.tasks[0].startswith("equation-recovery/") and self.code is not None
        return 100.0 * self.slow + (60.0 if equations else 5.0 * len(self.tasks))

    def without(self, keys: set[str]) -> Unit:
        """The unit without the tasks whose results have these fingerprints."""
        left = [(task, key) for task, key in zip(self.tasks, self.keys, strict=True) if key not in keys]
        return replace(self, tasks=tuple(task for task, _ in left), keys=tuple(key for _, key in left))


def run_unit(unit: Unit, n_jobs: int = 1, prepare: bool = False) -> dict[str, str]:
    """Train a model and score it on its tasks: the text of each result's file by its fingerprint.

    Parameters
    ----------
    unit : Unit
    n_jobs : int
        Processes for a family that works in parallel itself.
    prepare : bool
        Whether the data may have to be made here first.
    """
    if prepare:
        for id in unit.tasks:
            _prepare(id)
    if unit.code is None:
        ceilings = {key: make_task(id).references["ceiling"] for id, key in zip(unit.tasks, unit.keys, strict=True)}
        return {key: ceiling.evaluate().to_json() for key, ceiling in ceilings.items()}
    entry, first = unit.code.load(), make_task(unit.tasks[0])
    model, seconds = entry.train(first, unit.seed)
    results = {}
    for id, key in zip(unit.tasks, unit.keys, strict=True):
        task = make_task(id)
        info = entry.info(task, model, unit.seed, f"l96bench run {shown(unit.entry)} --task {id}")
        result = task.evaluate(
            model,
            info,
            budgets=entry.quick,
            training_seconds=seconds,
            progress=False,
            n_jobs=n_jobs,
            checkpoint=discoveries(key),
        )
        curve = getattr(model, "learning_curve", {})
        result.series.update({f"learning_{name}": list(values) for name, values in curve.items()})
        results[key] = result.to_json()
        shutil.rmtree(discoveries(key), ignore_errors=True)
    return results


def discoveries(key: str) -> Path:
    """The equations of a unit that is not finished: an interrupted run carries on from them."""
    return cache_folder() / "discoveries" / key


def shown(name: str) -> str:
    """How a baseline is named in a command: without its folder."""
    path = Path(name)
    return path.stem if path.suffix == ".py" and path.parent.name == "baselines" else name


@cache
def _prepare(id: str) -> None:
    """Make a task's data where the cache of this machine lacks them; once a process."""
    make_task(id).prepare(progress=False)
