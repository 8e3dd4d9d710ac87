"""Train entries for diagnostics."""

from __future__ import annotations

from typing import Any

from l96bench.diagnostics.assimilation.subject import AssimilationSubject
from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.recovery.subject import RecoverySubject
from l96bench.diagnostics.subject import Subject
from l96bench.entries.entry import Entry
from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.tasks.base import Task
from l96bench.tasks.registry import list_tasks, make_task

_SUBJECTS = {each.kind: each for each in (ClosureSubject, AssimilationSubject, RecoverySubject)}


def train(entry: Entry, place: str | None = None, seed: int | None = None, kind: str | None = None) -> Subject:
    """Train an entry on a regime or track, and return it with what its diagnostics need.

    Parameters
    ----------
    entry : Entry
        What to train.
    place : str, optional
        A regime, or a track; for an entry that enters none of that name, the system of a track. A default one of the
        family that the entry enters if not given.
    seed : int, optional
        Training seed; the entry's first if not given.
    kind : str, optional
        The `Diagnostic.kind` that the subject should have, where the entry enters tasks of several.

    Returns
    -------
    Subject
        The kind of subject that its task has.

    Raises
    ------
    UnknownIdError, L96BenchError, ModelError
        If there is no such regime or track; if the entry enters no task there; if the entry's own code raises.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import diagnostics, tasks
    >>> entry = l96bench.Entry("slope", "polynomial", "X_k", lambda task, seed: l96bench.PolynomialRegressor(degree=1))
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     subject = diagnostics.train(entry, "wilks-f20")
    ...
    >>> subject.kind, subject.model.coef_.shape
    ('closure', (2,))
    """
    tasks = [make_task(id) for id in list_tasks()]
    entered = [task for task in tasks if entry.accepts(task)]
    here = _at([task for task in entered if kind in (task.kind, task.family)], place) or _at(entered, place)
    if not here:
        known = {name for task in tasks for name in (task.regime_id, _system(task))}
        if place is not None and place not in known:
            raise UnknownIdError(f"no tasks on the regime or track {place!r}." + nearest(place, known))
        choice = ", ".join(dict.fromkeys(task.regime_id for task in entered)) or "none"
        raise L96BenchError(
            f"{entry.name!r} enters no task on {place or 'any regime'}: it is for {', '.join(entry.families)}; "
            f"expected one of its regimes or tracks: {choice}"
        )
    seed = next(iter(entry.seeds)) if seed is None else seed
    return subject_of(entry, entry.train(here[0], seed)[0], here[0], tasks, seed)


def _at(tasks: list[Task], place: str | None) -> list[Task]:
    """Return the tasks on a regime or track, else those on the system of that name; default ones without a place."""
    if place is None:
        return [task for task in tasks if task.regime_id in task.default_regimes] or tasks
    return [task for task in tasks if task.regime_id == place] or [task for task in tasks if _system(task) == place]


def subject_of(entry: Entry, model: Any, task: Task, tasks: list[Task], seed: int = 0) -> Subject:
    """Return a trained model as a subject of diagnostics.

    Parameters
    ----------
    entry : Entry
        What was trained.
    model : model
        What it made.
    task : Task
        What it was trained for.
    tasks : list of Task
        Those among which the subject's systems are found.
    seed : int
        Training seed.

    Returns
    -------
    Subject
        The kind of subject that the task has.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import diagnostics
    >>> entry = l96bench.Entry("none", "none", "", lambda task, seed: l96bench.NoClosure())
    >>> ids = ("subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2")
    >>> small = [l96bench.make_task(id).miniature() for id in ids]
    >>> subject = diagnostics.subject_of(entry, l96bench.NoClosure(), small[0], small)
    >>> subject.online.id
    'online-rollout/wilks-f20-v2'
    """
    others = {each.family: each for each in tasks if each.regime_id == _system(task)}
    kind = _SUBJECTS.get(task.kind, Subject)
    return kind.of(entry, model, task, seed, others) or Subject(entry, model, task, seed=seed)


def _system(task: Task) -> str:
    """Return the id of the system that a task is about: its regime, or the one behind its track."""
    regime = getattr(task, "regime", None)
    return task.regime_id if regime is None else str(regime.id)
