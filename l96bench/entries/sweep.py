"""A sweep: one entry with many options and training seeds, on test data that no row of the board is scored on."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

from l96bench.checks import checked_seed
from l96bench.entries.lookup import find_code
from l96bench.entries.options import Options, configured
from l96bench.entries.run import Job, attempt_jobs
from l96bench.errors import ArgumentError, L96BenchError, ModelError, ModelWarning
from l96bench.results.frame import METRICS, make_frame, result_record
from l96bench.tasks.registry import make_task

if TYPE_CHECKING:
    import pandas

    from l96bench.results.record import Result

__all__ = ["sweep"]


def sweep(
    entry: str,
    options: Mapping[str, Iterable[Any]],
    tasks: Sequence[str] | None = None,
    *,
    seeds: int | None = None,
    draw: int = 0,
    n_jobs: int | None = None,
    dask: str | None = None,
    limit: float | None = None,
    apart: bool = False,
    fresh: bool = False,
    progress: bool | None = None,
    report: Callable[[str], None] | None = None,
) -> pandas.DataFrame:
    """Train and score an entry with every combination of options.

    Options are chosen without the board's test data: scores are of data that `Task.fresh` draws from the seed `draw`,
    a fifth of the trajectories or half of the assimilation cycles. What is scored is kept; a sweep that was interrupted
    carries on.

    Parameters
    ----------
    entry : str
        As `find_entry` takes it: a baseline, a script, or ``module:object``. Its models have ``set_params``.
    options : mapping of str to iterable
        The values of each parameter; ``outer__inner`` for a parameter of a part, as in scikit-learn.
    tasks : sequence of str, optional
        Ids; by default the entry's on the quick board.
    seeds : int, optional
        At most so many of the entry's training seeds.
    draw : int
        Seed of the test data.
    n_jobs : int, optional
        Processes; all processors if not given.
    dask : str, optional
        Address of a scheduler whose workers do it instead.
    limit : float, optional
        Seconds for training a seed, and for scoring it on a task.
    apart : bool
        Whether to train in other processes only, which an entry can end without harm.
    fresh : bool
        Whether to train and score again what is kept.
    progress : bool, optional
        Whether to show a bar; on a terminal if not given.
    report : callable, optional
        Gets a line a result.

    Returns
    -------
    pandas.DataFrame
        A row for each combination and task: the options, after ``option_`` where a column of results has their name,
        ``fault``, why a combination failed, and the columns of `load_results`, with intervals over test data and
        training seeds. Tasks are in order, and in each the best score comes first.

    Raises
    ------
    ArgumentError
        If there is no option, an option has no values, or the models have no such option; for tasks that are a string,
        and for less than one seed.
    L96BenchError
        If the entry does not enter a task, or the test data of a family cannot be drawn anew.
    ClusterError
        If the cluster is lost.

    Examples
    --------
    >>> import l96bench
    >>> found = l96bench.sweep("quartic", {"degree": [1, 4]}, ["subgrid-forcing/wilks-f20-v1"])  # doctest: +SKIP
    >>> found[["degree", "score", "score_low", "score_high"]]  # doctest: +SKIP
    """
    combinations = _combinations(options)
    if isinstance(tasks, str):
        raise ArgumentError(f"expected a sequence of task ids, got {tasks!r}; try [{tasks!r}]")
    if seeds is not None and checked_seed(seeds, "seeds") < 1:
        raise ArgumentError(f"expected seeds as a whole number from 1 on, got {seeds!r}; try seeds=1")
    code = find_code(entry)
    made = code.load()
    chosen = [make_task(id) for id in tasks] if tasks else made.tasks()
    for task in chosen:
        if not made.accepts(task):
            raise L96BenchError(f"{made.name!r} does not enter {task.id}; it is for families {list(made.families)}")
        task.fresh(draw)
    with suppress(ModelError, SystemExit):  # a value that is refused is a row that says so
        configured(made, combinations[0]).model(chosen[0].training_task, made.seeds[0])
    jobs = list(dict.fromkeys(Job(code.name, task.id, each, draw) for task in chosen for each in combinations))
    finished, failed = attempt_jobs(
        jobs,
        None,
        n_jobs=n_jobs,
        n_seeds=seeds,
        fresh=fresh,
        dask=dask,
        limit=limit,
        apart=apart,
        progress=progress,
        report=report or (lambda line: None),
    )
    faults: dict[Job, str] = {}
    for unit, outcome in failed:
        warnings.warn(f"{unit}: {outcome.fault}", ModelWarning, stacklevel=2)
        for task in unit.tasks:
            faults.setdefault(Job(unit.entry, task.id, unit.options, unit.draw), f"seed {unit.seed}: {outcome.fault}")
    return _frame(jobs, finished, faults)


def _combinations(options: Mapping[str, Iterable[Any]]) -> list[Options]:
    """Return every combination of the values of options."""
    try:
        values = {name: list(each) for name, each in options.items() if not isinstance(each, str)}
    except (AttributeError, TypeError):
        values = {}
    if not values or len(values) < len(options) or not all(isinstance(name, str) and values[name] for name in values):
        raise ArgumentError(f"expected options with values, such as {{'degree': [1, 2]}}, got {options!r}")
    return [Options.of(dict(zip(values, each, strict=True))) for each in itertools.product(*values.values())]


def _frame(jobs: Sequence[Job], finished: Mapping[Job, Result], faults: Mapping[Job, str]) -> pandas.DataFrame:
    """Return a row a job, the best of each task first."""
    import pandas as pd

    order = {id: place for place, id in enumerate(dict.fromkeys(job.task for job in jobs))}
    jobs = sorted(jobs, key=lambda job: (order[job.task], -finished[job].score.value if job in finished else inf))
    records = [result_record(finished[job]) if job in finished else {"task": job.task, METRICS: {}} for job in jobs]
    frame = make_frame(records)
    frame.insert(0, "fault", [faults.get(job, "") for job in jobs])
    for place in reversed(range(len(jobs[0].options.values))):
        name, values = jobs[0].options.values[place][0], [job.options.values[place][1] for job in jobs]
        while name in frame:
            name = f"option_{name}"
        frame.insert(0, name, pd.Series(values, dtype=object).infer_objects())
    return frame
