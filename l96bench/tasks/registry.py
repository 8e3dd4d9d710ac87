"""Every task by its id, ``family/regime-vN``."""

from __future__ import annotations

from functools import cache

from l96bench.errors import UnknownIdError, nearest
from l96bench.tasks.base import Task
from l96bench.tasks.da_increment import DAIncrement
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing, SubgridForcingMemory

__all__ = ["FAMILIES", "list_tasks", "make_task"]

FAMILIES: tuple[type[Task], ...] = (SubgridForcing, SubgridForcingMemory, OnlineRollout, DAIncrement, EquationRecovery)
"""The families of tasks, one class each."""

_TASKS: dict[str, Task] = {task.id: task for family in FAMILIES for task in map(family, family.regime_ids)}


def list_tasks(family: str | None = None) -> list[str]:
    """The ids of all tasks, or of one family's.

    Raises
    ------
    UnknownIdError
        If there is no such family.
    """
    names = [each.family for each in FAMILIES]
    if family is not None and family not in names:
        raise UnknownIdError(f"no family {family!r}." + nearest(family, names))
    return [id for id, task in _TASKS.items() if family in (None, task.family)]


@cache
def make_task(id: str) -> Task:
    """The task of that id; the same object each time, so that its data are read once.

    Raises
    ------
    UnknownIdError
        If there is no such task; the message names the closest ids.
    """
    if id not in _TASKS:
        raise UnknownIdError(f"no task {id!r}." + nearest(str(id), _TASKS))
    return _TASKS[id]
