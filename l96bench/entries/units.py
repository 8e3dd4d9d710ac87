"""Define units of work, which one process trains and scores by itself on any machine."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from l96bench.data.store import cache_folder
from l96bench.entries.lookup import EntryCode
from l96bench.entries.options import NO_OPTIONS, Options, configured
from l96bench.tasks.base import Task, shared
from l96bench.workers import time_limit

__all__ = ["CEILING", "Unit", "discoveries", "run_unit"]

CEILING = "@ceiling"
"""The entry name of a task's ceiling, which is scored as a row for comparison."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One entry, trained once for one regime and seed, and all the tasks that it is scored on.

    It holds all that another machine needs besides the package; the data are made there.

    Parameters
    ----------
    entry : str
        As `EntryCode.name`, or `CEILING`.
    code : EntryCode or None
        None for a ceiling.
    tasks : tuple of Task
        All of one regime.
    keys : tuple of str
        Fingerprints of the results, one a task.
    seed : int
        Training seed.
    slow : bool
        Whether the entry trains for minutes.
    command : str
        The command that makes the rows, if not ``l96bench run``; they have no learning curves then.
    options : Options
        Parameters of the entry's models that differ; see `configured`.
    draw : int, optional
        The seed from which the tasks' test data are drawn anew.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> unit = l96bench.Unit("quartic", l96bench.find_code("quartic"), (task,), ("key",), seed=0)
    >>> unit.entry, len(unit.tasks)
    ('quartic', 1)
    """

    entry: str
    code: EntryCode | None
    tasks: tuple[Task, ...]
    keys: tuple[str, ...]
    seed: int
    slow: bool = False
    command: str = ""
    options: Options = NO_OPTIONS
    draw: int | None = None

    def __str__(self) -> str:
        return f"{self.entry}{self.options} on {self.tasks[0].regime_id}, seed {self.seed}"

    @property
    def weight(self) -> float:
        """Estimated seconds, for starting the longest units first."""
        return 100.0 * self.slow + sum(5.0 if self.code is None else task.seconds for task in self.tasks)

    def without(self, keys: set[str]) -> Unit:
        """Return the unit without the tasks whose results have these fingerprints."""
        left = [(task, key) for task, key in zip(self.tasks, self.keys, strict=True) if key not in keys]
        return replace(self, tasks=tuple(task for task, _ in left), keys=tuple(key for _, key in left))


def run_unit(unit: Unit, n_jobs: int = 1, prepare: bool = False, limit: float | None = None) -> dict[str, str]:
    """Train a model, score it on its tasks, and return the text of each result file by its fingerprint.

    Parameters
    ----------
    unit : Unit
        What is trained and scored.
    n_jobs : int
        Processes for a family that works in parallel itself.
    prepare : bool
        Whether the data may have to be made here first.
    limit : float, optional
        Seconds of the clock for training, and for scoring on each task; what takes longer is ended where
        `l96bench.in_parallel` runs it in a process of its own.

    Returns
    -------
    dict of str to str
        The text of each result file, in JSON, by the fingerprint of the result.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> unit = l96bench.Unit("quartic", l96bench.find_code("quartic"), (task,), ("key",), seed=0)
    >>> list(l96bench.run_unit(unit))
    ['key']
    """
    if prepare:
        for task in unit.tasks:
            _prepare(task)
    tasks = [shared(task) for task in unit.tasks]
    if unit.code is None:
        ceilings = {key: task.references["ceiling"] for task, key in zip(tasks, unit.keys, strict=True)}
        return {key: ceiling.evaluate().to_json() for key, ceiling in ceilings.items()}
    with time_limit("training", limit):
        entry = configured(unit.code.load(), unit.options)
        model, seconds = entry.train(tasks[0].training_task, unit.seed)
    results = {}
    for task, key in zip(tasks, unit.keys, strict=True):
        command = unit.command or _command(unit, task)
        info = entry.info(task.training_task, model, unit.seed, command)
        with time_limit(f"scoring on {task.id}", limit):
            result = task.evaluate(
                model,
                info,
                budgets=entry.quick and not unit.command and unit.draw is None and task.training_task is task,
                training_seconds=seconds,
                progress=False,
                n_jobs=n_jobs,
                checkpoint=discoveries(key),
            )
        curve = {} if unit.command else getattr(model, "learning_curve", {})
        result.series.update({f"learning_{name}": list(values) for name, values in curve.items()})
        results[key] = result.to_json()
        shutil.rmtree(discoveries(key), ignore_errors=True)
    return results


def _command(unit: Unit, task: Task) -> str:
    """Return the command that makes the row of a unit on one of its tasks."""
    if unit.draw is None:
        return f"l96bench run {shlex.quote(unit.entry)} --task {task.id}"
    return unit.options.command(unit.entry, task.id, unit.draw)


def discoveries(key: str) -> Path:
    """Return the path of an unfinished unit's equations, from which an interrupted run continues."""
    return cache_folder() / "discoveries" / key


@cache
def _prepare(task: Task) -> None:
    """Make a task's data, once a process, if the cache of this machine lacks them."""
    task.prepare(progress=False)
