"""Registry of task families and of tasks by id, ``family/regime-vN``, including those of other packages."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.metrics.glossary import Metric
from l96bench.plugins import Registry
from l96bench.tasks.base import KINDS, Task, shared
from l96bench.tasks.da_increment import DAIncrement
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.observed_closure import ObservedClosure
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing
from l96bench.tasks.subgrid_forcing_memory import SubgridForcingMemory
from l96bench.tasks.unseen_physics import UnseenPhysics

__all__ = ["families", "find_family", "glossary", "list_tasks", "make_task", "register_task", "tasks_given_as"]

_ID = re.compile(r"(?P<family>[a-z0-9-]+)/(?P<regime>[a-z0-9-]+)-v(?P<version>[0-9]+)")
_given_as: list[Callable[[Task], Task]] = []


def _checked(name: str, cls: Any) -> type[Task]:
    """Return a family offered under a name, if it is valid."""
    if not (isinstance(cls, type) and issubclass(cls, Task)):
        raise L96BenchError(f"expected a subclass of l96bench.Task, got {cls!r:.80}")
    if getattr(cls, "family", None) != name or not re.fullmatch("[a-z0-9-]+", name):
        got = getattr(cls, "family", None)
        raise L96BenchError(f"{cls.__name__}: expected `family` of a-z, 0-9 and -, as it is registered, got {got!r}")
    if not isinstance(getattr(cls, "title", None), str) or cls.kind not in KINDS:
        raise L96BenchError(f"{cls.__name__}: expected a `title`, and a `kind` of {', '.join(KINDS)}")
    if getattr(cls, "__abstractmethods__", None):
        raise L96BenchError(f"{cls.__name__}: expected these methods: {', '.join(sorted(cls.__abstractmethods__))}")
    return cls


_FAMILIES: Registry[type[Task]] = Registry("family", "l96bench.tasks", _checked)


def register_task(cls: type[Task]) -> type[Task]:
    """Register a family of tasks, or decorate its class.

    Installed packages can instead name families as entry points of the group ``l96bench.tasks``.

    Parameters
    ----------
    cls : subclass of Task
        Its `family` is the first part of the ids of its tasks.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    L96BenchError
        If the class is invalid, or its name is taken.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.tasks import SubgridForcing
    >>> l96bench.register_task(SubgridForcing) is SubgridForcing  # which is registered already
    True
    """
    return _FAMILIES.register(str(getattr(cls, "family", None)), cls)


_OWN = (SubgridForcing, SubgridForcingMemory, OnlineRollout, DAIncrement, EquationRecovery, ObservedClosure)
for _each in (*_OWN, UnseenPhysics):
    register_task(_each)


def families() -> dict[str, type[Task]]:
    """Return every family by name: built-in ones, then those of other packages, without any that cannot be loaded.

    Returns
    -------
    dict of str to type
        The classes, subclasses of `Task`.

    Examples
    --------
    >>> from l96bench import tasks
    >>> tasks.families()["subgrid-forcing"] is tasks.SubgridForcing
    True
    """
    return _FAMILIES.working()


def find_family(name: str) -> type[Task]:
    """Return the family of that name.

    Parameters
    ----------
    name : str
        Such as ``"online-rollout"``.

    Returns
    -------
    type
        The class, a subclass of `Task`.

    Raises
    ------
    UnknownIdError
        If there is no such family; the message names the closest ones.
    L96BenchError
        If it is ambiguous or cannot be loaded.

    Examples
    --------
    >>> from l96bench import tasks
    >>> tasks.find_family("online-rollout").default_regimes
    ('wilks-f20', 'arnold-c4')
    """
    return _FAMILIES[name]


def glossary(of: str | Task | type[Task]) -> tuple[Metric, ...]:
    """Return the definitions of all metrics and curves in the results of a family.

    Parameters
    ----------
    of : str, Task or type
        A family's name or class, a task or its id.

    Returns
    -------
    tuple of Metric
        In the order in which a report shows them.

    Raises
    ------
    UnknownIdError
        If there is no such family.

    Examples
    --------
    >>> import l96bench
    >>> [metric.key for metric in l96bench.glossary("subgrid-forcing")][:3]
    ['r2', 'r2_shift', 'rmse']
    """
    return (find_family(of.partition("/")[0]) if isinstance(of, str) else of).glossary


def list_tasks(family: str | None = None) -> list[str]:
    """Return the ids of all tasks, or of one family.

    Parameters
    ----------
    family : str, optional
        Such as ``"online-rollout"``; all families if not given.

    Returns
    -------
    list of str
        By family, in the order of the board.

    Raises
    ------
    UnknownIdError
        If there is no such family.

    Examples
    --------
    >>> import l96bench
    >>> l96bench.list_tasks("da-increment")
    ['da-increment/dense-v1', 'da-increment/sparse-v1']
    """
    chosen = families().values() if family is None else [find_family(family)]
    return [each(regime).id for each in chosen for regime in each.regime_ids()]


def make_task(id: str) -> Any:
    """Return the task of that id, the same object at every call, so that its data are read once.

    Parameters
    ----------
    id : str
        Such as ``"online-rollout/wilks-f20-v2"``; `list_tasks` returns all.

    Returns
    -------
    Task
        With ``train``, ``score(model)``, ``evaluate(model)`` and ``miniature()``; see the class of its family.

    Raises
    ------
    UnknownIdError
        If there is no such task; the message names the closest ids.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1")
    >>> trial = task.miniature()  # a small sample of the task, which needs no data
    >>> trial.train.X.shape, trial.train.U.shape
    ((1200, 8), (1200, 8))
    >>> closure = l96bench.PUBLISHED["wilks2005_f20"].polynomial
    >>> round(trial.score(closure), 1)
    82.4
    >>> result = trial.evaluate(closure, progress=False)
    >>> bool(result.score.low < result.score.value < result.score.high)
    True
    """
    found = _ID.fullmatch(str(id))
    if found is None or found["family"] not in _FAMILIES:
        raise UnknownIdError(f"no task {id!r}." + nearest(str(id), list_tasks()))
    cls, regime = _FAMILIES[found["family"]], found["regime"]
    if regime not in cls.regime_ids():
        raise UnknownIdError(f"no task {id!r}." + nearest(id, list_tasks()))
    task: Task = cls(regime)
    if task.version != int(found["version"]):
        raise UnknownIdError(f"no task {id!r}. Did you mean {task.id!r}, the current version?")
    task = shared(task)
    return _given_as[-1](task) if _given_as else task


@contextlib.contextmanager
def tasks_given_as(change: Callable[[Task], Task]) -> Iterator[None]:
    """Within this context, `make_task` returns ``change(task)``, such as its miniature.

    Parameters
    ----------
    change : (Task) -> Task
        What is made of a task.

    Yields
    ------
    None
        Until the end of the context.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import tasks
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):
    ...     print(l96bench.make_task("subgrid-forcing/wilks-f20-v1").train.X.shape)
    ...
    (1200, 8)
    """
    _given_as.append(change)
    try:
        yield
    finally:
        _given_as.pop()
