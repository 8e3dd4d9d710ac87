"""The program that trains entries and scores them: in parallel, resumable, one result a task.

A unit of work is an entry, a regime and a training seed: the model is trained once and scored in every family. Its
results are kept in the cache under a fingerprint of everything that they depend on, so that a run that was interrupted
carries on, and one that is repeated only reads.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import chain
from pathlib import Path

from l96bench.data.store import cache_folder, digests
from l96bench.dynamics.truth import available_processors
from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.progress import progress as show_progress
from l96bench.submit.entry import baseline_names, find_entry
from l96bench.tasks.base import SCORER_VERSION, Task
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.registry import FAMILIES, make_task
from l96bench.tasks.result import Result, combine_seeds

__all__ = ["Job", "plan", "result_path", "run_jobs"]

CEILING = "@ceiling"
"""The name under which a task's own ceiling is scored, as a row to compare with."""
_SCORING_CODE = (
    "regimes.py",
    "dynamics",
    "estimators",
    "equations",
    "data",
    "metrics",
    "assimilation",
    "tasks",
    "envs",
    "submit",
)


@dataclass(frozen=True, slots=True)
class Job:
    """One entry on one task.

    Attributes
    ----------
    entry : str
        As `find_entry` takes it, or `CEILING`.
    task : str
        Id of the task.
    """

    entry: str
    task: str


@dataclass(frozen=True, slots=True)
class _Unit:
    """One entry, trained once for one regime and seed, and all the tasks that it is scored on."""

    entry: str
    tasks: tuple[str, ...]
    seed: int
    keys: tuple[str, ...]

    def keys_of(self, job: Job) -> list[str]:
        """The fingerprints of the results that this unit adds to a job: one, or none."""
        pairs = zip(self.tasks, self.keys, strict=True)
        return [key for task, key in pairs if self.entry == job.entry and task == job.task]


def plan(entries: Sequence[str] | None, tasks: Sequence[str] | None, regimes: Sequence[str]) -> list[Job]:
    """Every entry on the given tasks, or on its own tasks on the given regimes, and the ceilings of all these tasks.

    Without entries, all quick baselines, each on those of the tasks that it enters.

    Raises
    ------
    UnknownIdError
        For unknown names.
    L96BenchError
        If an entry does not enter a task that was asked for by its id.
    """
    known = {id for family in FAMILIES for id in family.regime_ids}
    for regime in regimes:
        if regime not in known:
            raise UnknownIdError(f"no tasks for the regime {regime!r}." + nearest(regime, known))
    jobs = []
    for name in baseline_names() if entries is None else entries:
        entry, _ = find_entry(name)
        if entries is None and not entry.quick:
            continue
        chosen = entry.tasks(regimes) if tasks is None else [make_task(id) for id in tasks]
        for task in chosen:
            if entries is None and not entry.accepts(task):
                continue
            if not entry.accepts(task):
                only = f"families {list(entry.families)}" + (
                    f", regimes {list(entry.regimes)}" if entry.regimes else ""
                )
                raise L96BenchError(f"{entry.name!r} does not enter {task.id}: it is for {only}")
            jobs.append(Job(name, task.id))
    jobs = list(dict.fromkeys(jobs))
    return jobs + [Job(CEILING, id) for id in dict.fromkeys(job.task for job in jobs)]


def run_jobs(
    jobs: Sequence[Job],
    output: Path,
    *,
    n_jobs: int | None = None,
    n_seeds: int | None = None,
    fresh: bool = False,
    progress: bool | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """Train and score; write one result a job into `output` and return them in the order of the jobs.

    Parameters
    ----------
    jobs : sequence of Job
    output : Path
        Folder of the result files, `result_path` below it.
    n_jobs : int, optional
        Processes; as many as processors if not given.
    n_seeds : int, optional
        At most so many of each entry's training seeds.
    fresh : bool
        Train and score again what the cache already holds.
    progress : bool, optional
        Show progress; by default when standard error is a terminal.
    report : callable
        Gets a line when a result is written.

    Raises
    ------
    L96BenchError
        At the end, if an entry failed: the message names each and its error. The results of all others are written.
    """
    units = _units(jobs, n_seeds)
    needs = {job: {key for unit in units for key in unit.keys_of(job)} for job in jobs}
    todo = [unit for unit in units if fresh or not all(_kept(key).exists() for key in unit.keys)]
    for key in (key for unit in todo if fresh for key in unit.keys):
        shutil.rmtree(_discoveries(key), ignore_errors=True)
    for id in dict.fromkeys(id for unit in todo for id in unit.tasks):
        make_task(id).prepare(progress)
    missing = {key for unit in todo for key in unit.keys}
    finished: dict[Job, Result] = {}
    faults: list[str] = []
    with show_progress("training and scoring", len(todo), progress) as advance:
        for keys, fault in chain([((), "")], _in_processes(todo, n_jobs or available_processors())):
            missing -= set(keys)
            faults += [fault] if fault else []
            advance(1 if keys or fault else 0)
            for job in jobs:
                if job not in finished and not needs[job] & missing:
                    finished[job] = _collect(job, units, output, report)
    if faults:
        raise L96BenchError("these failed; everything else is scored and kept:\n  " + "\n  ".join(faults))
    return [finished[job] for job in jobs]


def _in_processes(units: Sequence[_Unit], n_jobs: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """What `_run_unit` gives for each unit as it is finished, in processes when there is more than one to do."""
    from joblib import Parallel, delayed

    outer = max(1, min(n_jobs, len(units)))
    # What a unit may use that works in parallel itself; a ceiling is soon done.
    inner = n_jobs // max(1, min(n_jobs, sum(unit.entry != CEILING for unit in units)))
    if outer == 1:
        yield from (_run_unit(unit, inner) for unit in units)
    else:
        pool = Parallel(n_jobs=outer, return_as="generator_unordered", batch_size=1)
        yield from pool(delayed(_run_unit)(unit, inner) for unit in units)


def result_path(output: Path, result: Result) -> Path:
    """Where a result lies below a folder of results: ``family/regime-vN/entry.json``."""
    return output / result.task / f"{result.slug}.json"


def _units(jobs: Sequence[Job], n_seeds: int | None) -> list[_Unit]:
    """The units of work behind the jobs, those of one regime together."""
    tasks: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        tasks.setdefault((make_task(job.task).regime_id, job.entry), []).append(job.task)
    units = []
    for (_, name), ids in sorted(tasks.items(), key=lambda item: item[0][0]):
        code, seeds = (CEILING, (0,)) if name == CEILING else _code_and_seeds(name)
        for seed in list(seeds)[:n_seeds]:
            keys = tuple(_fingerprint(code, make_task(id), seed) for id in ids)
            units.append(_Unit(name, tuple(ids), seed, keys))
    return units


def _code_and_seeds(name: str) -> tuple[str, Sequence[int]]:
    entry, code = find_entry(name)
    return code, entry.seeds


def _run_unit(unit: _Unit, n_jobs: int) -> tuple[tuple[str, ...], str]:
    """Train and score a unit: the keys of the results that are kept now, or none and what went wrong."""
    try:
        _evaluate(unit, n_jobs)
    except Exception as error:
        # One entry's fault, in its own code or in what it returns, must not take the others' results with it.
        where = f"{_shown(unit.entry)} on {make_task(unit.tasks[0]).regime_id}, seed {unit.seed}"
        return (), f"{where}: {type(error).__name__}: {error}"
    return unit.keys, ""


def _evaluate(unit: _Unit, n_jobs: int) -> None:
    """Train a model and score it on its tasks, keeping each result as it comes."""
    if unit.entry == CEILING:
        for id, key in zip(unit.tasks, unit.keys, strict=True):
            make_task(id).references["ceiling"].evaluate().write(_kept(key))
        return
    entry, _ = find_entry(unit.entry)
    first = make_task(unit.tasks[0])
    start = time.perf_counter()
    model = entry.make(first, unit.seed)
    if entry.trained_on is None:
        first.fit(model)
    seconds = time.perf_counter() - start if entry.is_trained(model) else None
    for id, key in zip(unit.tasks, unit.keys, strict=True):
        task = make_task(id)
        info = entry.info(task, model, unit.seed, f"l96bench run {_shown(unit.entry)} --task {id}")
        if isinstance(task, EquationRecovery):
            result = task.evaluate(model, info, n_jobs=n_jobs, checkpoint=_discoveries(key), progress=False)
        else:
            result = task.evaluate(model, info, budgets=True, training_seconds=seconds, progress=False)
            curve = getattr(model, "learning_curve", {})
            result.series.update({f"learning_{name}": list(values) for name, values in curve.items()})
        result.write(_kept(key))
        shutil.rmtree(_discoveries(key), ignore_errors=True)


def _collect(job: Job, units: Iterable[_Unit], output: Path, report: Callable[[str], None]) -> Result:
    """One row from the kept results of a job's seeds, written into the output folder."""
    keys = [key for unit in units for key in unit.keys_of(job)]
    kept = [Result.read(_kept(key)) for key in keys]
    result = kept[0] if job.entry == CEILING else combine_seeds(kept)
    path = result_path(output, result)
    result.write(path)
    report(
        f"{result.score.value:7.2f} [{result.score.low:.2f}, {result.score.high:.2f}]  {job.task}  {result.model.name}"
    )
    return result


def _shown(name: str) -> str:
    """How a baseline is named in a command: without its folder."""
    path = Path(name)
    return path.stem if path.suffix == ".py" and path.parent.name == "baselines" else name


def _kept(key: str) -> Path:
    return cache_folder() / "runs" / f"{key}.json"


def _discoveries(key: str) -> Path:
    """The equations of a unit that is not finished: an interrupted run carries on from them."""
    return cache_folder() / "discoveries" / key


def _fingerprint(code: str, task: Task, seed: int) -> str:
    """SHA-256 of what a result depends on: the entry's code, ours, the task, its data and the seed."""
    data = {key: value for key, value in digests().items() if key.startswith(f"{task.regime_id}/")}
    parts = [code, _scoring_code(), task.id, SCORER_VERSION, data | task.data_digests, seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1)
def _scoring_code() -> str:
    """SHA-256 over the package's files that training and scoring use."""
    root = Path(str(resources.files("l96bench")))
    files = [
        path
        for name in _SCORING_CODE
        for path in ([root / name] if name.endswith(".py") else (root / name).rglob("*.py"))
    ]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
