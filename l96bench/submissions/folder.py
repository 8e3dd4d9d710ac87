"""Read, check and score submission folders, and put them on the board."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from l96bench.entries.lookup import find_entry
from l96bench.errors import L96BenchError, SubmissionError, shortened
from l96bench.files import finish_writing, locked, replace_all
from l96bench.results.record import Result
from l96bench.submissions.artifacts import Artifact, left_out, read_file, unexpected_files
from l96bench.submissions.contained import Limits, run_contained
from l96bench.submissions.evaluation import Item
from l96bench.submissions.example import AUTHOR, DRAFT
from l96bench.submissions.fields import ARTIFACT_NAMES, README_FILE, SUBMISSION_FILE
from l96bench.submissions.fresh import fresh_draw, fresh_seed, fresh_text
from l96bench.submissions.plain_yaml import MAX_BYTES, read_yaml
from l96bench.submissions.reserved import name_faults, skeleton
from l96bench.submissions.submission import Submission
from l96bench.tasks.base import Task
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.described import Described
from l96bench.tasks.registry import make_task

__all__ = [
    "CHECK_LIMITS",
    "Check",
    "FolderReading",
    "Scored",
    "SubmissionFolder",
    "check_folder",
    "owner_of",
    "require_own",
    "score_folder",
    "submit_folder",
]

CHECK_LIMITS = Limits(seconds=60.0, memory=2 * 2**30)
"""The limits of each trial in `check_folder`; the first one on a machine spends 20 s of the processor on compiling."""
_EVALUATION = "l96bench.submissions.evaluation"
Status = Literal["verified", "self-reported"]


@dataclass(frozen=True, slots=True)
class SubmissionFolder:
    """A submission and its files, read once.

    `files` holds everything that is copied on submission: `submission.yaml`, the artifacts, perhaps a README.md.
    """

    path: Path
    submission: Submission
    files: dict[str, bytes]

    @classmethod
    def read(cls, path: Path) -> SubmissionFolder:
        """Read the submission in a folder, running nothing; SubmissionError has a line for each fault."""
        return FolderReading.of(path).folder()

    def artifact(self, task: Task) -> Artifact | None:
        """Return the artifact for a task; None for ``python:``."""
        name = self.submission.artifact(task)
        return Artifact(name, self.files[name], self.submission.described(task)) if name in self.files else None

    def item(self, task: Task) -> Item | None:
        """Return the work item for a task; None for ``python:``."""
        artifact = self.artifact(task)
        return None if artifact is None else Item(task, artifact, self.submission.model_info(task))


@dataclass(frozen=True, slots=True)
class FolderReading:
    """A submission and its files as far as they can be read, and a line for each fault; nothing is run.

    What is checked, scored and copied to the board is one reading: the folder may change meanwhile.
    """

    path: Path
    submission: Submission | None
    files: dict[str, bytes]
    faults: list[str]

    @classmethod
    def of(cls, path: Path) -> FolderReading:
        """Read a folder."""
        faults: list[str] = []
        if path.is_symlink() or not path.is_dir():
            return cls(
                path, None, {}, [f"{path}: expected a folder with {SUBMISSION_FILE}; make one with `l96bench init`"]
            )
        files: dict[str, bytes] = {}
        submission, names = None, []
        try:
            files[SUBMISSION_FILE] = read_file(path, SUBMISSION_FILE, MAX_BYTES)
            fields = read_yaml(files[SUBMISSION_FILE], SUBMISSION_FILE)
            names = _artifact_names(fields)
            submission = Submission.of(fields)
        except SubmissionError as error:
            faults += str(error).splitlines()
        for name in names:
            try:
                files[name] = Artifact.read(path, name).data
            except SubmissionError as error:
                faults.append(str(error))
        if os.path.lexists(path / README_FILE):
            try:
                files[README_FILE] = read_file(path, README_FILE, MAX_BYTES)
            except SubmissionError as error:
                faults.append(str(error))
        faults += unexpected_files(path, [SUBMISSION_FILE, *names, README_FILE])
        return cls(path, submission, files, list(dict.fromkeys(faults)))

    def folder(self) -> SubmissionFolder:
        """Return what was read; SubmissionError has a line for each fault."""
        if self.submission is None or self.faults:
            raise SubmissionError("\n".join(shortened(self.faults)))
        return SubmissionFolder(self.path, self.submission, self.files)


def _artifact_names(fields: Any) -> list[str]:
    """Return the names of artifact files in a description that may have faults elsewhere."""
    given = fields.get("artifacts") if isinstance(fields, dict) else None
    values = list(given.values()) if isinstance(given, dict) else [given]
    names = [each for each in values if isinstance(each, str) and ARTIFACT_NAMES.fullmatch(each)]
    return sorted({each for each in names if each != SUBMISSION_FILE})[:100]


@dataclass(frozen=True, slots=True)
class Check:
    """The findings of `check_folder`: faults (empty if it can be scored), notes for its author, and scores.

    `scores` are those on miniature tasks by task id, and do not predict the real ones.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    submission: Submission | None = None


def check_folder(path: Path | FolderReading, *, allow_python: bool = False, limits: Limits = CHECK_LIMITS) -> Check:
    """Find all faults of a submission, which may be read already, in seconds and without the data sets.

    Checks the description, the files and every artifact for each of its tasks, and scores each artifact in miniature on
    its first task of each family, within `limits`. `allow_python` also runs the code of ``python:`` artifacts.
    """
    reading = FolderReading.of(path) if isinstance(path, Path) else path
    path, submission, files, faults = reading.path, reading.submission, reading.files, reading.faults
    if submission is None:
        # What can be said about the artifacts without the tasks that they are for; a step with faults describes none.
        unknown = any(each.startswith(f"{SUBMISSION_FILE}: step") for each in faults)
        read = {name for name in files if not (unknown and name.endswith(".onnx"))} - {SUBMISSION_FILE, README_FILE}
        artifacts = [Artifact(name, data) for name, data in files.items() if name in read]
        outcomes = run_contained(f"{_EVALUATION}:look_through", artifacts, limits)
        return Check(faults + [fault for each in outcomes for fault in ([each.fault] if each.fault else each.value)])
    folder = SubmissionFolder(path, submission, files)
    faults = [*faults, *name_faults(submission.name, submission.kind), *_draft_faults(files[SUBMISSION_FILE])]
    report = Check(faults, [*_placeholders(submission)], {}, submission)
    report.notes.extend(f"{name!r:.100} is left out: it is not submitted" for name in left_out(path)[:20])
    items = []
    for id in submission.tasks:
        task = make_task(id)
        report.notes.extend(f"{id}: training data that the task tests on: {each}" for each in submission.overlaps(task))
        item = folder.item(task)
        if item is not None:
            items.append(item)
        elif submission.artifact(task).startswith("python:"):
            _check_python(submission, task, allow_python, report)
    _try(items, limits, report)
    return report


def _draft_faults(description: bytes) -> list[str]:
    """Return a line if a description still says that it has to be filled in."""
    if DRAFT.encode() not in description.splitlines():
        return []
    return [f"{SUBMISSION_FILE}: the template of `l96bench init`; fill in its fields, and remove the line {DRAFT!r}"]


def _placeholders(submission: Submission) -> list[str]:
    """Return a line for each field that says what the template says."""
    given = {"authors": AUTHOR} if AUTHOR in submission.authors else {}
    given |= {"name": submission.name} if submission.name.startswith("example ") else {}
    return [f"{field}: {text!r} is what `l96bench init` writes; is it yours?" for field, text in given.items()]


def _try(items: Sequence[Item], limits: Limits, report: Check) -> None:
    """Check all items, and score each artifact in miniature on its first task of each family, in one process."""
    distinct = list({(*_as_run(item), item.task.form): item for item in reversed(items)}.values())
    firsts = list({_as_run(item): item for item in reversed(items)}.values())
    work = [("inspect", item) for item in reversed(distinct)] + [("try_out", item) for item in reversed(firsts)]
    unsound: set[tuple[str, str]] = set()
    for (step, item), outcome in zip(work, run_contained(f"{_EVALUATION}:examine", work, limits), strict=True):
        own = (item.artifact.name, item.task.id)
        if step == "inspect" and outcome.fault:
            unsound.add(own)
            report.faults.extend(f"{line} [{item.task.id}]" for line in outcome.fault.splitlines())
        elif outcome.fault and own not in unsound:
            report.faults.append(f"{item.artifact.name}: {outcome.fault} [{item.task.id}, in miniature]")
        elif not outcome.fault and step == "try_out" and outcome.value is not None:
            report.scores[item.task.id] = outcome.value


def _as_run(item: Item) -> tuple[str, Described, str]:
    """Return what items share that are the same file, run alike, for one family."""
    return item.artifact.name, item.artifact.described, item.task.family


def _check_python(submission: Submission, task: Task, allow_python: bool, report: Check) -> None:
    name = submission.artifact(task)
    if not allow_python:
        report.notes.append(f"{task.id}: {name} is not run (--allow-python does), and its rows are self-reported")
        return
    try:
        mini = task.miniature()
        model = _ready(name, mini)
        result = mini.evaluate(model)
        mini.check_trial(model, result)
    except L96BenchError as error:
        report.faults.append(f"{name}: {error} [{task.id}, in miniature]")
    else:
        report.scores[task.id] = result.score.value


def _ready(name: str, task: Task) -> Any:
    return find_entry(name.removeprefix("python:"))[0].model(task, 0)


@dataclass(frozen=True, slots=True)
class Scored:
    """The results of a submission, and a line for each task on which it cannot be scored."""

    results: list[Result]
    faults: list[str]


def score_folder(
    folder: SubmissionFolder,
    tasks: Sequence[Task] | None = None,
    *,
    status: Status = "self-reported",
    allow_python: bool = False,
    limits: Limits | None = None,
    n_jobs: int = 1,
    fresh: bool = False,
) -> Scored:
    """Score a submission on the tasks that it enters, or on `tasks`: some of them, or others with the same ids.

    Rows get `status`, but those of ``python:`` artifacts are always self-reported; these run in this process, and only
    with `allow_python`. `limits` apply to each task. With `fresh`, files are also scored on test data drawn anew, where
    they can answer that, and rows say how they do there.
    """
    submission = folder.submission
    chosen = [make_task(id) for id in submission.tasks] if tasks is None else list(tasks)
    found: dict[str, Result] = {}
    faults = [f"{task.id}: the submission does not enter it" for task in chosen if task.id not in submission.tasks]
    chosen = [task for task in chosen if task.id in submission.tasks]
    for task in chosen:
        task.prepare(False)
    items = [item for task in chosen if (item := folder.item(task)) is not None]
    for item, outcome in zip(items, run_contained(f"{_EVALUATION}:evaluate", items, limits, n_jobs), strict=True):
        if outcome.fault:
            faults += [f"{item.task.id}: {line}" for line in outcome.fault.splitlines()]
            continue
        result = Result.model_validate(outcome.value)
        info = submission.info(item.task, item.artifact.digest, status)
        found[item.task.id] = result.model_copy(update={"submission": info})
    if fresh:
        _score_anew([item for item in items if item.task.id in found], limits, n_jobs, found, faults)
    for task in chosen:
        if submission.artifact(task).startswith("python:"):
            _score_python(submission, task, allow_python, found, faults)
    return Scored([found[task.id] for task in chosen if task.id in found], faults)


def _score_anew(
    items: Sequence[Item], limits: Limits | None, n_jobs: int, found: dict[str, Result], faults: list[str]
) -> None:
    """Score files on fresh draws, where they can answer that, and note it in the rows found."""
    outcomes = run_contained(f"{_EVALUATION}:evaluate_anew", items, limits, n_jobs)
    for item, outcome in zip(items, outcomes, strict=True):
        id = item.task.id
        if outcome.fault:
            faults += [f"{id}: on a fresh draw: {line}" for line in outcome.fault.splitlines()]
        elif outcome.value is not None:
            again = Result.model_validate(outcome.value)
            drawn = fresh_draw(found[id], again.score, fresh_seed(item.artifact.digest))
            found[id] = found[id].model_copy(update={"fresh": drawn})


def _score_python(
    submission: Submission, task: Task, allow_python: bool, found: dict[str, Result], faults: list[str]
) -> None:
    name = submission.artifact(task)
    if not allow_python:
        faults.append(f"{task.id}: {name} is code, which is run only with --allow-python")
        return
    try:
        model = _ready(name, task)
        result = task.evaluate(model, submission.model_info(task, count_parameters(model)))
    except L96BenchError as error:
        faults.append(f"{task.id}: {name}: {error}")
        return
    found[task.id] = result.model_copy(update={"submission": submission.info(task, None, "self-reported")})


def submit_folder(
    path: Path,
    board: Path,
    *,
    allow_python: bool = False,
    limits: Limits | None = None,
    n_jobs: int = 1,
    report: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """Check a submission, score it, and add it to the board's ``submissions/`` and its rows to ``results/``.

    `board` is the folder ``leaderboard/``; `report` gets a line for each written file; the rest is as for
    `score_folder`. Raises SubmissionError, with a line for each fault, and leaves the board as it is if anything is
    wrong.
    """
    finish_writing(board)
    reading = FolderReading.of(path)
    before = {} if reading.submission is None else _present(reading.submission, board)
    checked = check_folder(reading, allow_python=allow_python)
    if checked.faults:
        raise SubmissionError("\n".join(shortened(checked.faults)))
    folder = reading.folder()
    require_own(folder.submission, board)
    scored = score_folder(
        folder, status="verified", allow_python=allow_python, limits=limits, n_jobs=n_jobs, fresh=True
    )
    if scored.faults:
        raise SubmissionError("\n".join(shortened(scored.faults)))
    place = f"submissions/{folder.submission.slug}"
    files = {f"{place}/{name}": data for name, data in folder.files.items()}
    files |= {f"results/{result.task}/{result.slug}.json": result.to_json().encode() for result in scored.results}
    board.mkdir(parents=True, exist_ok=True)
    with locked(board):
        if _present(folder.submission, board) != before:
            raise SubmissionError(
                f"{board / place}: somebody else has just submitted under this name; look at it first"
            )
        replace_all(board, dict.fromkeys(before) | files)
    report(str(board / place))
    for name in files:
        if name.startswith("results/"):
            report(str(board / name))
    for result in scored.results:
        report(f"{result.task}: {result.score.value:.2f}, {fresh_text(result)}")
    return scored.results


def _present(submission: Submission, board: Path) -> dict[str, bytes]:
    """Return the files of a submission that are on the board: its own, and its rows."""
    own = (board / "submissions" / submission.slug).rglob("*")
    rows = (board / "results").rglob(f"{submission.slug}.json")
    return {path.relative_to(board).as_posix(): path.read_bytes() for path in sorted([*own, *rows]) if path.is_file()}


def require_own(submission: Submission, board: Path) -> None:
    """Raise SubmissionError if the name is that of a baseline of a board, or looks like that of others' submission."""
    for file in sorted((board / "results").rglob(f"{submission.slug}.json")):
        if Result.read(file).submission is None:
            raise SubmissionError(f"name: {submission.name!r} is the name of a baseline ({file}); choose another")
    for place in sorted((board / "submissions").glob(f"*/{SUBMISSION_FILE}")):
        name, authors = owner_of(read_file(place.parent, SUBMISSION_FILE, MAX_BYTES))
        same = place.parent.name == submission.slug
        if (same and name != submission.name) or (
            (same or skeleton(name) == skeleton(submission.name)) and authors != submission.authors
        ):
            by = ", ".join(authors)
            raise SubmissionError(f"name: {submission.name!r} is taken by {name!r} of {by}; choose another")


def owner_of(description: bytes) -> tuple[str, list[str]]:
    """Return the name and the authors in a `submission.yaml`, which need not be valid otherwise; SubmissionError."""
    fields = read_yaml(description, SUBMISSION_FILE)
    name, authors = (fields.get(key) for key in ("name", "authors")) if isinstance(fields, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(authors, list) or not all(isinstance(each, str) for each in authors):
        raise SubmissionError(f"{SUBMISSION_FILE}: expected a name and authors")
    return name, authors
