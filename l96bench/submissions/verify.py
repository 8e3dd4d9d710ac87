"""Verify rows of the board: score submissions again from their artifacts, and train baselines again.

Every row is first checked without running anything (`l96bench.submissions.consistency`). A baseline's script is code of
this repository, and is run: the model is trained again with the first of the row's seeds and must reach that seed's
score. Code from submissions is not run. Both are also scored on a fresh draw of test data, and the difference is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from l96bench.entries.entry import Entry
from l96bench.entries.lookup import baseline_names, find_code
from l96bench.entries.run import CEILING, Job, units_of
from l96bench.entries.units import Unit, run_unit
from l96bench.errors import L96BenchError, UnknownIdError
from l96bench.parallel import in_parallel
from l96bench.progress import progress as show_progress
from l96bench.results.combine import combine_seeds
from l96bench.results.origin import slug_of
from l96bench.results.record import Result
from l96bench.submissions.comparison import CONSISTENT, DIFFERENT, UNVERIFIED, compare, compare_seed
from l96bench.submissions.consistency import is_ceiling, origin_faults, out_of_line, readable, row_faults
from l96bench.submissions.contained import Limits, stop_contained
from l96bench.submissions.fields import SUBMISSION_FILE
from l96bench.submissions.folder import SubmissionFolder, score_folder
from l96bench.submissions.fresh import fresh_draw, fresh_seed, fresh_text
from l96bench.submissions.names import resolve
from l96bench.tasks.registry import make_task

__all__ = [
    "Train",
    "Verdict",
    "rows_of",
    "verify_rows",
]

_DRAWN = "-fresh"
"""The end of the keys of results on fresh draws."""
_LONG = 30.0
"""Seconds of recorded training time from which a baseline is trained again only on request."""
_TOLD = ("kind", "inputs", "source", "description")
"""The fields of a row that are those of its entry."""


class Train(StrEnum):
    """The regimes and tracks on which a baseline is trained again."""

    NONE = "none"
    FIRST = "first"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a result file: a status such as `IDENTICAL`, and the reason."""

    path: Path
    status: str
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the row may stay on the board."""
        return self.status != DIFFERENT


def rows_of(name: str, board: Path) -> list[Path]:
    """Return the result files of a name: a file, all of a folder, or an entry's on the board; L96BenchError if none."""
    path = Path(name)
    if path.is_file() and path.suffix == ".json":
        return [path]
    if path.is_dir() and not (path / SUBMISSION_FILE).is_file():
        found = sorted(path.rglob("*.json"))
    else:
        named = resolve(name)
        if named.kind == "artifact":
            raise L96BenchError(f"{name}: expected what has rows, got an artifact; give its submission's folder")
        found = sorted((board / "results").rglob(f"{slug_of(named.title)}.json"))
    if not found:
        raise L96BenchError(
            f"{name}: expected a result file, a folder of results, or a submission or an entry that has rows in {board}"
        )
    return found


def verify_rows(
    paths: Sequence[Path],
    submissions: Path,
    *,
    allow_python: bool = False,
    limits: Limits | None = None,
    train: Train = Train.FIRST,
    slow: bool = False,
    run: bool = True,
    n_jobs: int = 1,
    progress: bool | None = False,
) -> list[Verdict]:
    """Verify result files against artifacts below `submissions` and baseline scripts; compare data and scores.

    `train` says on which regimes baselines are trained again; those that take over half a minute only with `slow`.
    Without `run` only the numbers are checked: nothing is trained, and no artifact is scored.
    `limits` apply to each row; `allow_python` also runs ``python:`` artifacts.
    """
    if run:
        _register(paths, submissions.parent / "results")
    rows, verdicts = _consistent(paths, submissions.parent)
    if not run:
        verdicts |= {path: Verdict(path, CONSISTENT, "its numbers agree; not made again") for path in rows}
        return [verdicts[path] for path in paths]
    scripts: dict[Path, Result] = {}
    groups: dict[Path, list[Path]] = {}
    for path, row in rows.items():
        if row.submission is None:
            scripts[path] = row
        else:
            groups.setdefault(submissions / row.slug, []).append(path)
    with show_progress("verifying", len(rows), progress) as advance:
        board = (submissions.parent / "results").resolve()
        for verdict in _from_scripts(scripts, board, train, slow, n_jobs):
            verdicts[verdict.path] = verdict
            advance(1)
        for verdict in _from_artifacts(groups, allow_python, limits, n_jobs):
            verdicts[verdict.path] = verdict
            advance(1)
    return [verdicts[path] for path in paths]


def _register(paths: Sequence[Path], board: Path) -> None:
    """Load the users' scripts that made rows outside of the board, as they may register families and regimes."""
    for path in paths:
        if not path.resolve().is_relative_to(board.resolve()):
            with suppress(L96BenchError):  # it is the verdict on the row
                row = Result.read(path)
                if row.submission is None and row.model.script:
                    find_code(row.model.script).load()


def _consistent(paths: Sequence[Path], board: Path) -> tuple[dict[Path, Result], dict[Path, Verdict]]:
    """Return the rows whose numbers and origin can be so, and the verdicts on all others."""
    rows: dict[Path, Result] = {}
    faults: dict[Path, list[str]] = {}
    for path in paths:
        try:
            row = Result.read(path)
            task = make_task(row.task)
        except L96BenchError as error:
            faults[path] = [str(error)]
            continue
        rows[path], faults[path] = row, row_faults(row, task)
        if "/".join(path.resolve().parts[-3:]) != f"{row.task}/{row.slug}.json":
            faults[path].append(f"expected its place to be {row.task}/{row.slug}.json")
        if row.submission is not None or path.resolve().is_relative_to((board / "results").resolve()):
            faults[path] += _origin_faults(row, board)
    for id in {row.task for row in rows.values()}:
        own = {path.resolve(): path for path, row in rows.items() if row.task == id}
        beside = [path for path in sorted((board / "results" / id).glob("*.json")) if path.resolve() not in own]
        apart = out_of_line([*readable(beside), *(rows[path] for path in own.values())], make_task(id))
        for path in own.values():
            faults[path] += apart.get(rows[path].slug, [])
    wrong = {path: Verdict(path, DIFFERENT, "; ".join(faults[path])) for path in paths if faults[path]}
    return {path: row for path, row in rows.items() if path not in wrong}, wrong


def _origin_faults(row: Result, board: Path) -> list[str]:
    place = board / "submissions" / row.slug
    if row.submission is None:
        return origin_faults(row, None)
    try:
        return origin_faults(row, SubmissionFolder.read(place))
    except L96BenchError as error:
        return [f"expected its submission in {place}: {error}"]


def _from_scripts(rows: Mapping[Path, Result], board: Path, train: Train, slow: bool, n_jobs: int) -> Iterator[Verdict]:
    """Yield the verdicts on rows of scripts, in training order; rows on the board must be of baselines."""
    jobs: dict[Job, Path] = {}
    first: dict[str, str] = {}
    entries: dict[str, Entry | None] = {}
    for path, row in rows.items():
        own = not path.resolve().is_relative_to(board)
        name = CEILING if is_ceiling(row) else row.model.script
        if name != CEILING and name not in entries:
            entries[name] = _entry(name, own)
        entry = entries.get(name)
        if name != CEILING and (
            entry is None or entry.name != row.model.name or not entry.accepts(make_task(row.task))
        ):
            which = "no script that is here" if own else "no baseline"
            yield Verdict(path, DIFFERENT, f"{which} makes it: {row.model.command}")
        elif entry is not None and (unlike := _unlike(entry, row)):
            yield Verdict(path, DIFFERENT, unlike)
        elif train == Train.NONE or ((row.cost.training_seconds or 0.0) > _LONG and not slow):
            yield Verdict(path, CONSISTENT, f"not trained again; made by: {row.model.command}")
        elif name != CEILING and train == Train.FIRST and first.setdefault(name, row.regime) != row.regime:
            yield Verdict(path, CONSISTENT, f"trained again on {first[name]} only; made by: {row.model.command}")
        else:
            jobs[Job(name, row.task)] = path
    units = sorted(map(_with_draws, units_of(list(jobs), 1)), key=lambda unit: -unit.weight)
    for job in jobs:
        make_task(job.task).prepare()
    for outcome in in_parallel(run_unit, units, n_jobs=n_jobs):
        unit = units[outcome.index]
        for task, key in zip(unit.tasks, unit.keys, strict=True):
            if key.endswith(_DRAWN):
                continue
            path = jobs[Job(unit.entry, task.id)]
            if outcome.value is None:
                yield Verdict(path, DIFFERENT, outcome.fault)
            else:
                again = Result.model_validate_json(outcome.value[key])
                # Rows are made of their seeds' results, be it one.
                status, reason = compare_seed(rows[path], combine_seeds([again]) if again.model.seeds else again)
                if text := outcome.value.get(f"{key}{_DRAWN}"):
                    drawn = fresh_draw(again, Result.model_validate_json(text).score, fresh_seed(key))
                    reason = f"{reason}; {fresh_text(again.model_copy(update={'fresh': drawn}))}"
                yield Verdict(path, status, reason)


def _with_draws(unit: Unit) -> Unit:
    """Return a unit that also scores what it trains on a fresh draw of each task that has one."""
    pairs = list(zip(unit.tasks, unit.keys, strict=True))
    drawn = {f"{key}{_DRAWN}": task.fresh(fresh_seed(key)) for task, key in pairs if task.redrawn}
    return replace(unit, tasks=(*unit.tasks, *drawn.values()), keys=(*unit.keys, *drawn)) if unit.code else unit


def _entry(name: str, own: bool) -> Entry | None:
    """Return the baseline, or also a user's script if `own`, of that name; None if there is none."""
    if name not in baseline_names() and not own:
        return None
    try:
        return find_code(name).load()
    except UnknownIdError:
        return None


def _unlike(entry: Entry, row: Result) -> str:
    """Return how a row is described otherwise than its entry's rows are; empty if it is not."""
    if not set(row.model.seeds) <= set(entry.seeds):
        return f"trained with seeds {list(entry.seeds)}; the row is of {row.model.seeds}"
    fields = [name for name in _TOLD if getattr(entry, name) != getattr(row.model, name)]
    return f"the model is described differently: {', '.join(fields)}" if fields else ""


def _from_artifacts(
    groups: dict[Path, list[Path]], allow_python: bool, limits: Limits | None, n_jobs: int
) -> Iterator[Verdict]:
    """Yield the verdicts on the rows of each submission folder."""
    from joblib import Parallel, delayed

    # Threads, because they only wait: rows are scored in processes of their own.
    pool = Parallel(n_jobs=max(1, n_jobs), require="sharedmem", return_as="generator")
    parts = _parts(groups, n_jobs)
    try:
        for found in pool(delayed(_verify)(folder, rows, allow_python, limits) for folder, rows in parts):
            yield from found
    except BaseException:
        stop_contained()
        raise


def _parts(groups: dict[Path, list[Path]], n_jobs: int) -> list[tuple[Path, list[Path]]]:
    """Split the rows of each submission into parts of at least one row that keep all processes busy."""
    n_rows = sum(map(len, groups.values()))
    size = max(1, n_rows // (4 * max(1, n_jobs)))
    return [
        (folder, rows[first : first + size]) for folder, rows in groups.items() for first in range(0, len(rows), size)
    ]


def _verify(folder: Path, paths: Sequence[Path], allow_python: bool, limits: Limits | None) -> list[Verdict]:
    rows = {path: Result.read(path) for path in paths}
    try:
        submission = SubmissionFolder.read(folder)
        wanted = [make_task(row.task) for row in rows.values()]
        code = [task for task in wanted if task.id in submission.submission.tasks and submission.item(task) is None]
        tasks = [task for task in wanted if allow_python or task not in code]
        scored = score_folder(submission, tasks, allow_python=allow_python, limits=limits, fresh=True)
    except L96BenchError as error:
        return [Verdict(path, DIFFERENT, str(error)) for path in paths]
    again = {result.task: result for result in scored.results}
    verdicts = []
    for path, row in rows.items():
        if row.task in again:
            status, reason = compare(row, again[row.task])
            verdicts.append(Verdict(path, status, f"{reason}; {fresh_text(again[row.task])}"))
        elif any(task.id == row.task for task in code):
            honest = row.status == "self-reported"
            reason = "its artifact is code (--allow-python runs it)" if honest else "code cannot be verified"
            verdicts.append(Verdict(path, UNVERIFIED if honest else DIFFERENT, reason))
        else:
            faults = [each for each in scored.faults if each.startswith(f"{row.task}: ")]
            verdicts.append(Verdict(path, DIFFERENT, "; ".join(faults)))
    return verdicts
