"""The check that every diagnostic must pass, ours and those of other packages."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from l96bench.diagnostics.figures import png, style
from l96bench.diagnostics.registry import Diagnostic, Section, find_diagnostic
from l96bench.diagnostics.subject import Subject
from l96bench.diagnostics.training import subject_of
from l96bench.entries.entry import Entry
from l96bench.errors import L96BenchError
from l96bench.results.record import Result
from l96bench.tasks.registry import find_family, make_task


def check_diagnostic(
    diagnostic: str | Diagnostic, subjects: Sequence[Subject] | None = None, results: Sequence[Result] | None = None
) -> None:
    """Check a diagnostic by running it twice on each of some small examples.

    Its sections have a caption in words and cells of text that match the header; the same entry gives the same text and
    picture to the last byte; where it draws nothing it says why, and it draws at least one of the examples.

    Parameters
    ----------
    diagnostic : str or Diagnostic
        Its name, or itself.
    subjects : sequence of Subject, optional
        What it is run on; `example_subjects` of its kind, which take seconds to make, if not given.
    results : sequence of Result, optional
        Rows of the board; those of the examples if not given.

    Raises
    ------
    L96BenchError
        If something is wrong, with a line for each thing.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import diagnostics
    >>> entry = l96bench.Entry("slope", "none", "X_k", lambda task, seed: l96bench.Polynomial([0.0, -0.5]))
    >>> ids = ("subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2")
    >>> small = [l96bench.make_task(id).miniature() for id in ids]
    >>> subject = diagnostics.subject_of(entry, entry.model(small[0], 0), small[0], small)
    >>> diagnostics.check_diagnostic("density", [subject])  # nothing is wrong
    """
    diagnostic = find_diagnostic(diagnostic)
    subjects = example_subjects(diagnostic.kind) if subjects is None else subjects
    drawn, faults = False, []
    for subject in subjects:
        rows = _rows(subject) if results is None else results
        (section, *first), (_, *second) = (_drawn(diagnostic, subject, rows) for _ in range(2))
        drawn |= section.figure is not None
        found = _faults(section)
        if first != second:
            found.append("expected the same text and picture each time, got two")
        faults += [f"of {subject.entry.name!r}: {fault}" for fault in found]
    if not drawn:
        names = [subject.entry.name for subject in subjects]
        faults.append(f"expected a picture for at least one of the examples {names}, got none")
    if faults:
        raise L96BenchError(f"diagnostic {diagnostic.name!r}:\n" + "\n".join(faults))


def _faults(section: Section) -> list[str]:
    """Return what is wrong with a section, in words."""
    faults = []
    if len(section.caption.split()) < 3 or not section.caption.rstrip().endswith("."):
        faults.append(f"expected a caption of sentences, got {section.caption!r:.80}")
    if section.figure is None:
        if not section.caption.startswith("Left out: "):
            faults.append("expected a figure, got none; raise LeftOutError where it makes no sense for an entry")
        return faults
    cells = [cell for row in (section.header, *section.rows) for cell in row]
    if not section.header or not section.rows or not all(isinstance(cell, str) for cell in cells):
        faults.append("expected a header and rows, whose cells are texts")
    faults += [
        f"expected {len(section.header)} cells in a row, got {len(row)}: {list(row)!r:.80}"
        for row in section.rows
        if len(row) != len(section.header)
    ]
    return faults


def _drawn(diagnostic: Diagnostic, subject: Subject, results: Sequence[Result]) -> tuple[Section, Any, bytes | None]:
    with style():
        section = diagnostic(subject, results)
        text = section.caption, [*section.header], [[*row] for row in section.rows]
        return section, text, None if section.figure is None else png(section.figure)


@functools.lru_cache(maxsize=8)
def _rows(subject: Subject) -> list[Result]:
    """Return the rows of a subject's entry on its tasks."""
    info = {task: subject.entry.info(task, subject.model, subject.seed, "check_diagnostic") for task in subject.tasks}
    return [task.evaluate(subject.model, info[task], budgets=True, progress=False) for task in subject.tasks]


@functools.cache
def example_subjects(kind: str | None = None) -> tuple[Subject, ...]:
    """Return small trained entries in miniature: closures, an increment and equations; those of one kind if given.

    Those of a family without one are the model of its `Task.example`.

    Parameters
    ----------
    kind : str, optional
        A `Task.kind` or a family; all if not given.

    Returns
    -------
    tuple of Subject
        They take seconds to make, once in a process.

    Examples
    --------
    >>> from l96bench import diagnostics
    >>> [subject.kind for subject in diagnostics.example_subjects("equations")]
    ['equations']
    """
    found = []
    for entry, id in _example_entries():
        tasks = [make_task(id).miniature() for id in _EXAMPLE_TASKS]
        task = next(each for each in tasks if each.id == id)
        subject = subject_of(entry, entry.train(task, 0)[0], task, tasks)
        if kind in (None, subject.kind, task.family):
            found.append(subject)
    if kind is not None and not found:
        task = make_task(find_family(kind).example().task).miniature()
        example = type(task).example()
        entry = Entry(example.name, example.kind, example.inputs, lambda task, seed: task.read_model(example.content),
                      families=(kind,))  # fmt: skip
        found.append(subject_of(entry, entry.model(task, 0), task, [task]))
    return tuple(found)


_EXAMPLE_TASKS = (
    "subgrid-forcing/wilks-f20-v1",
    "online-rollout/wilks-f20-v2",
    "da-increment/dense-v1",
    "equation-recovery/single-v1",
)


def _example_entries() -> list[tuple[Entry, str]]:
    """Return entries and the ids of the tasks that they are trained for."""
    from l96bench.equations.discoverers import KnownEquations
    from l96bench.estimators.network import TorchRegressor
    from l96bench.estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor

    def network(task: Any, seed: int) -> Any:
        return LocalRegressor(TorchRegressor(hidden=(8,), epochs=1, min_steps=100), radius=1)

    closure, _, increment, equations = _EXAMPLE_TASKS
    return [
        (Entry("example network", "network", "X_{k-1..k+1}", network), closure),
        (Entry("example AR(1)", "stochastic", "X_k", lambda task, seed: AR1Regressor(PolynomialRegressor())), closure),
        (
            Entry("example increment", "polynomial", "X_k", lambda task, seed: PolynomialRegressor(1),
                  families=("da-increment",)),
            increment,
        ),
        (
            Entry("example equations", "recall", "X", lambda task, seed: KnownEquations(task.instances[0].texts),
                  families=("equation-recovery",)),
            equations,
        ),
    ]  # fmt: skip
