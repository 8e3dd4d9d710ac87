"""A trained entry and a task, as diagnostics use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from l96bench.entries.entry import Entry
from l96bench.regimes import seed_word
from l96bench.tasks.base import Task


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained entry, with its model for a task; subclasses make its runs on demand.

    Parameters
    ----------
    entry : Entry
        What was trained.
    model : model
        What it made.
    task : Task
        What it was trained for.
    seed : int
        Training seed.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import diagnostics
    >>> entry = l96bench.Entry("none", "none", "", lambda task, seed: l96bench.NoClosure())
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> diagnostics.Subject(entry, entry.model(task, 0), task).entry.name
    'none'
    """

    kind: ClassVar[str] = "any"
    """The `Task.kind` whose diagnostics it gets besides those for any entry."""
    needs: ClassVar[tuple[str, ...]] = ()
    """The attributes that a task must have for this kind of subject."""

    entry: Entry
    model: Any
    task: Any
    seed: int = field(default=0, kw_only=True)

    @classmethod
    def of(cls, entry: Entry, model: Any, task: Task, seed: int, others: Mapping[str, Task]) -> Subject | None:
        """Return the subject of a task, or None where the task lacks what it `needs`.

        The other tasks on the same system are given by family.
        """
        fits = all(hasattr(type(task), each) for each in cls.needs)
        return cls(entry, model, task, seed=seed) if fits else None

    @property
    def place(self) -> str:
        """The id of the regime or track."""
        return str(self.task.regime_id)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the entry is looked at with; its standing is that in the last one."""
        return (self.task,)

    def rng(self, purpose: str) -> np.random.Generator:
        """Return a random generator for one purpose, the same each time."""
        task: Any = self.tasks[-1]
        return np.random.default_rng([seed_word(task.regime_id), task.version, seed_word(purpose)])
