"""Train entries and score them: in parallel, resumable, one result for each task.

A unit of work is an entry, a regime and a training seed: the model is trained once and scored in every family. Results
are cached under a fingerprint of everything that they depend on, so that interrupted runs continue and repeated ones
only read. Only this process writes to the cache; units may run on other machines, and return their results.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from l96bench.data.store import cache_errors, cache_folder, digests, require_writable
from l96bench.dynamics.truth import available_processors
from l96bench.entries.entry import QUICK_REGIMES, Entry
from l96bench.entries.fingerprint import fingerprint
from l96bench.entries.lookup import baseline_names, find_code
from l96bench.entries.options import NO_OPTIONS, Options, configured
from l96bench.entries.units import CEILING, Unit, discoveries, run_unit
from l96bench.errors import DataError, L96BenchError, MissingExtraError, UnknownIdError, nearest
from l96bench.files import read_checked, write_checked
from l96bench.parallel import Outcome, in_parallel
from l96bench.processes import fault_of
from l96bench.progress import progress as show_progress
from l96bench.results.combine import combine_seeds
from l96bench.results.record import Result
from l96bench.tasks.base import Task, shared
from l96bench.tasks.registry import families, list_tasks, make_task

__all__ = ["CEILING", "Job", "broken_entries", "plan", "result_path", "run_jobs", "units_of"]


def broken_entries(names: Sequence[str], limit: float) -> dict[str, str]:
    """Return which scripts and modules cannot be loaded, and why: they raise, end the process, crash it or hang.

    They are tried in a process of their own for at most `limit` seconds, all before the first is loaded in this one:
    what JAX has started here would make the next one's process hang. Names that are unknown are not among them.
    """
    scripts = [name for name in names if name.endswith(".py") or ":" in name]
    found = {name: fault_of(lambda name=name: find_code(name).load(), limit) for name in scripts}  # type: ignore[misc]
    for name in (name for name in scripts if not found[name]):
        try:
            find_code(name).load()
        except UnknownIdError:
            continue
        except L96BenchError as error:
            found[name] = str(error)
    return {name: fault for name, fault in found.items() if fault}


@dataclass(frozen=True, slots=True)
class Job:
    """One entry (as `find_entry` takes it, or `CEILING`) on one task, by its id.

    It may have `options` (see `configured`), and be scored on test data drawn anew from the seed `draw`.
    """

    entry: str
    task: str
    options: Options = NO_OPTIONS
    draw: int | None = None


def plan(
    entries: Sequence[str] | None,
    tasks: Sequence[str] | None = None,
    regimes: Sequence[str] | None = None,
    *,
    every: bool = False,
    slow: bool = True,
    report: Callable[[str], None] = lambda line: None,
) -> list[Job]:
    """Return every entry on the given tasks, or on its own tasks on the given regimes, and the ceilings of these tasks.

    Without `entries`, these are the quick baselines on the quick board's regimes, or with `every` all baselines on all
    regimes, but those whose libraries are not installed, of which `report` gets a line. Entries that train for minutes
    are left out without `slow`. Raises UnknownIdError for unknown names, and L96BenchError if a named entry does not
    enter a requested task, or there is nothing to run.
    """
    known = list(dict.fromkeys(id for family in families().values() for id in family.regime_ids()))
    for regime in regimes or ():
        if regime not in known:
            raise UnknownIdError(f"no tasks for the regime {regime!r}." + nearest(regime, known))
    if entries is None:
        regimes = regimes or (known if every else QUICK_REGIMES)
    jobs, lacking = [], dict[str, list[str]]()
    for name in baseline_names() if entries is None else entries:
        code = find_code(name)
        try:
            entry = code.load()
        except MissingExtraError as error:
            if entries is not None:
                raise
            lacking.setdefault(str(error), []).append(name)
            continue
        if (entries is None and not (entry.quick or every)) or (entry.slow and not slow):
            continue
        chosen = entry.tasks(regimes or None) if tasks is None else [make_task(id) for id in tasks]
        if entries is not None:
            _require_entered(entry, chosen, regimes)
        jobs += [Job(code.name, task.id) for task in chosen if entry.accepts(task)]
    for reason, names in lacking.items():
        report(f"left out ({reason}): {', '.join(names)}")
    if not jobs:
        left_out = "" if slow else "; those that train for minutes are left out (--no-slow)"
        raise L96BenchError(f"nothing to run: no entry has a task on {', '.join(tasks or regimes or ())}{left_out}")
    jobs = list(dict.fromkeys(jobs))
    return jobs + [Job(CEILING, id) for id in dict.fromkeys(job.task for job in jobs)]


def _require_entered(entry: Entry, tasks: Sequence[Task], regimes: Sequence[str] | None) -> None:
    """Raise unless an entry that was requested by name enters these tasks, or has any on these regimes."""
    entered = list(dict.fromkeys(task.regime_id for task in map(make_task, list_tasks()) if entry.accepts(task)))
    only = f"families {list(entry.families)}, regimes or tracks {entered}"
    for task in tasks:
        if not entry.accepts(task):
            raise L96BenchError(f"{entry.name!r} does not enter {task.id}: it is for {only}")
    if not tasks:
        raise L96BenchError(f"{entry.name!r} enters nothing on {', '.join(regimes or ())}: it is for {only}")


def run_jobs(
    jobs: Sequence[Job],
    output: Path | None,
    *,
    n_jobs: int | None = None,
    n_seeds: int | None = None,
    fresh: bool = False,
    dask: str | None = None,
    limit: float | None = None,
    apart: bool = False,
    faults: Sequence[str] = (),
    progress: bool | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """Train and score; write one result file a job below `output`, if there is one, and return the results in order.

    `n_jobs` processes are used (all processors if not given), or with `dask` the workers of the scheduler at that
    address. `n_seeds` limits each entry's training seeds, `fresh` ignores cached results, and `report` gets a line a
    result. With `apart` one process is not this one, and workers start one beside them, so that an entry can end its
    process, crash it or exceed `limit` (seconds for training, and for scoring on each task) without harm to others.
    Raises ClusterError if the cluster is lost, and L96BenchError at the end if entries failed, naming each and its
    error, after `faults` that are known already. The results of all others are written in both cases.
    """
    finished, failed = attempt_jobs(
        jobs,
        output,
        n_jobs=n_jobs,
        n_seeds=n_seeds,
        fresh=fresh,
        dask=dask,
        limit=limit,
        apart=apart,
        progress=progress,
        report=report,
    )
    faults = [*faults, *(f"{unit}: {outcome.fault}" for unit, outcome in failed)]
    if faults:
        error = L96BenchError("these failed; everything else is scored and kept:\n  " + "\n  ".join(faults))
        for _, outcome in failed:
            error.add_note(outcome.trace)
        raise error
    return [finished[job] for job in jobs]


def attempt_jobs(
    jobs: Sequence[Job],
    output: Path | None,
    *,
    n_jobs: int | None,
    n_seeds: int | None,
    fresh: bool,
    dask: str | None,
    limit: float | None,
    apart: bool,
    progress: bool | None,
    report: Callable[[str], None],
) -> tuple[dict[Job, Result], list[tuple[Unit, Outcome]]]:
    """Do what `run_jobs` does, and return the results of the jobs that were finished, and what failed."""
    units = units_of(jobs, n_seeds)
    todo = _todo(units, fresh, report)
    if todo:
        require_writable("runs")
    missing = {key for unit in todo for key in unit.keys}
    for key in missing if fresh else ():
        shutil.rmtree(discoveries(key), ignore_errors=True)
    if dask is None:
        for task in dict.fromkeys(
            task if unit.draw is None else task.training_task for unit in todo for task in unit.tasks
        ):
            task.prepare(progress)
    rows = _Rows(units, missing, output, report)
    rows.collect(jobs)
    failed = []
    with show_progress("training and scoring", len(todo), progress) as advance:
        for outcome in _outcomes(todo, n_jobs or available_processors(), dask, limit, apart):
            rows.keep(outcome.value or {})
            if outcome.fault:
                failed.append((todo[outcome.index], outcome))
            advance(1)
    return rows.finished, failed


class _Rows:
    """The rows of jobs, each written when the results of all its seeds are available."""

    def __init__(
        self, units: Iterable[Unit], missing: set[str], output: Path | None, report: Callable[[str], None]
    ) -> None:
        self.finished: dict[Job, Result] = {}
        self._missing, self._output, self._report = missing, output, report
        self._keys_of, self._jobs_of = _links(units)

    def keep(self, texts: Mapping[str, str]) -> None:
        """Store result texts by fingerprint, and write the rows that are now complete."""
        for key, text in texts.items():
            with cache_errors():
                write_checked(_kept(key), text)
            self._missing.remove(key)
            self.collect(self._jobs_of[key])

    def collect(self, jobs: Iterable[Job]) -> None:
        """Write the rows that are complete."""
        for job in jobs:
            keys = self._keys_of[job]
            if job not in self.finished and self._missing.isdisjoint(keys):
                self.finished[job] = _collect(job, keys, self._output, self._report)


def _outcomes(
    units: Sequence[Unit], n_jobs: int, dask: str | None, limit: float | None, apart: bool
) -> Iterator[Outcome]:
    """Yield the outcome of each unit as it is finished."""
    if dask is None:
        # What a unit may use that works in parallel itself; a ceiling is soon done.
        inner = n_jobs // max(1, min(n_jobs, sum(unit.entry != CEILING for unit in units)))
        work = partial(run_unit, n_jobs=inner, limit=limit)
    else:
        work = partial(run_unit, prepare=True, limit=limit)
    own = {CEILING, *baseline_names()}  # they may share a process
    return in_parallel(
        work,
        units,
        n_jobs=n_jobs,
        dask=dask,
        apart=apart,
        owner=lambda unit: "" if unit.entry in own else unit.entry,
    )


def result_path(output: Path, result: Result) -> Path:
    """Return the path of a result below a folder of results: ``family/regime-vN/entry.json``."""
    return output / result.task / f"{result.slug}.json"


def units_of(jobs: Sequence[Job], n_seeds: int | None) -> list[Unit]:
    """Return the units of work of jobs, grouping tasks of one regime, for at most `n_seeds` of each entry's seeds."""
    grouped: dict[tuple[str, str, Options, int | None], list[Task]] = {}
    for job in jobs:
        task = make_task(job.task)
        grouped.setdefault((task.regime_id, job.entry, job.options, job.draw), []).append(task)
    data = {task: _data_of(task) for task in dict.fromkeys(make_task(job.task) for job in jobs)}
    units = []
    for (_, name, options, draw), own in sorted(grouped.items(), key=lambda item: item[0][0]):
        code = None if name == CEILING else find_code(name)
        entry = None if code is None else configured(code.load(), options)
        digest = (CEILING if code is None else code.digest) + options.key
        tasks = own if draw is None else [shared(task.fresh(draw)) for task in own]
        slow = entry is not None and entry.slow
        for seed in list(entry.seeds)[:n_seeds] if entry else (0,):
            keys = tuple(fingerprint(digest, task, data[known], seed) for task, known in zip(tasks, own, strict=True))
            units.append(Unit(name, code, tuple(tasks), keys, seed, slow, options=options, draw=draw))
    return units


def _links(units: Iterable[Unit]) -> tuple[dict[Job, list[str]], dict[str, list[Job]]]:
    """Return the result fingerprints of each job, one a seed, and the jobs of each fingerprint."""
    keys_of: dict[Job, list[str]] = {}
    jobs_of: dict[str, list[Job]] = {}
    for unit in units:
        for task, key in zip(unit.tasks, unit.keys, strict=True):
            job = Job(unit.entry, task.id, unit.options, unit.draw)
            keys_of.setdefault(job, []).append(key)
            jobs_of.setdefault(key, []).append(job)
    return keys_of, jobs_of


def _todo(units: Iterable[Unit], fresh: bool, report: Callable[[str], None]) -> list[Unit]:
    """Return the units without cached results, each once, the longest first; say which results are damaged."""
    done = set[str]()
    todo = []
    for unit in [] if fresh else units:
        for key in unit.keys:
            if _kept(key).exists():
                if _is_intact(key):
                    done.add(key)
                else:
                    report(f"{unit}: its kept result is damaged, and is made again ({_kept(key)})")
    for unit in units:
        left = unit.without(done)
        done |= set(left.keys)
        if left.keys:
            todo.append(left)
    return sorted(todo, key=lambda unit: -unit.weight)


def _is_intact(key: str) -> bool:
    try:
        return read_checked(_kept(key)) is not None
    except OSError:
        return False


def _collect(job: Job, keys: Sequence[str], output: Path | None, report: Callable[[str], None]) -> Result:
    """Combine the cached results of a job's seeds into one row, and write it into the output folder."""
    kept = [_read(key) for key in keys]
    result = kept[0] if job.entry == CEILING else combine_seeds(kept)
    if output is not None:
        result.write(result_path(output, result))
    report(
        f"{result.score.value:7.2f} [{result.score.low:.2f}, {result.score.high:.2f}]  {job.task}  {result.model.name}"
    )
    return result


def _read(key: str) -> Result:
    """Return a kept result; raise `DataError` if it was damaged since the run began."""
    text = None
    with suppress(OSError):
        text = read_checked(_kept(key))
    if text is None:
        raise DataError(f"{_kept(key)}: expected the result that was kept there, it is damaged; run the command again")
    return Result.model_validate_json(text, strict=True)


def _kept(key: str) -> Path:
    return cache_folder() / "runs" / f"{key}.result"


def _data_of(task: Task) -> dict[str, str]:
    """Return the digests of the arrays of a task's regime or track, and of all others that the task reads."""
    return {key: value for key, value in digests().items() if key.startswith(f"{task.regime_id}/")} | task.data_digests
