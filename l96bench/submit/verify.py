"""Rows of the board derived again from their artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from l96bench.errors import L96BenchError
from l96bench.submit.contained import Limits
from l96bench.submit.folder import SubmissionFolder, score_folder
from l96bench.submit.submission import SUBMISSION_FILE
from l96bench.tasks.base import SCORER_VERSION
from l96bench.tasks.registry import make_task
from l96bench.tasks.result import Result

__all__ = [
    "CLOSE",
    "CONSISTENT",
    "DIFFERENT",
    "IDENTICAL",
    "UNVERIFIED",
    "Verdict",
    "compare",
    "compare_numbers",
    "rows_of",
    "verify_rows",
]

IDENTICAL, CLOSE, CONSISTENT, UNVERIFIED, DIFFERENT = "identical", "close", "consistent", "unverified", "DIFFERENT"
"""Verdicts: the same numbers; the same within what rounding does to a chaotic run; a baseline's row that fits the data
and the scoring program, but has no artifact; a row whose artifact is code; and all others."""
_TOLERANCE = 0.25
"""Of the width of the row's interval, by which rounding on another processor may move a score."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a row.

    Attributes
    ----------
    path : Path
        Of the result file.
    status : str
        `IDENTICAL`, `CLOSE`, `CONSISTENT`, `UNVERIFIED` or `DIFFERENT`.
    reason : str
    """

    path: Path
    status: str
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the row may stay."""
        return self.status != DIFFERENT


def rows_of(path: Path, board: Path) -> list[Path]:
    """The result files meant by a path: itself, those of a submission's folder, or all of a folder of results.

    Raises
    ------
    L96BenchError
        If there are none.
    """
    if path.is_file():
        return [path]
    if (path / SUBMISSION_FILE).is_file():
        slug = SubmissionFolder.read(path).submission.slug
        found = sorted((board / "results").rglob(f"{slug}.json"))
    else:
        found = sorted(path.rglob("*.json"))
    if not found:
        raise L96BenchError(
            f"{path}: expected a result file, a submission that has rows in {board}, or a folder of results"
        )
    return found


def verify_rows(
    paths: Sequence[Path],
    submissions: Path,
    *,
    allow_python: bool = False,
    limits: Limits | None = None,
    n_jobs: int = 1,
) -> list[Verdict]:
    """Derive rows again from the artifacts in a folder of submissions, and compare data, predictions and scores.

    Parameters
    ----------
    paths : sequence of Path
        Result files.
    submissions : Path
        The folder of the submissions' folders.
    allow_python : bool
        Also run ``python:`` artifacts.
    limits : Limits, optional
        Of each row.
    n_jobs : int
        Processes.
    """
    from joblib import Parallel, delayed

    groups: dict[Path, list[Path]] = {}
    verdicts: dict[Path, Verdict] = {}
    for path in paths:
        verdict, folder = _without_artifact(path, submissions)
        if verdict is None:
            groups.setdefault(folder, []).append(path)
        else:
            verdicts[path] = verdict
    # Threads, because they only wait: rows are scored in processes of their own.
    pool = Parallel(n_jobs=max(1, n_jobs), require="sharedmem")
    for found in pool(delayed(_verify)(folder, rows, allow_python, limits) for folder, rows in _parts(groups, n_jobs)):
        verdicts.update({each.path: each for each in found})
    return [verdicts[path] for path in paths]


def _parts(groups: dict[Path, list[Path]], n_jobs: int) -> list[tuple[Path, list[Path]]]:
    """The rows of each submission, in parts of at least one that keep all processes busy."""
    n_rows = sum(map(len, groups.values()))
    size = max(1, n_rows // (4 * max(1, n_jobs)))
    return [
        (folder, rows[first : first + size]) for folder, rows in groups.items() for first in range(0, len(rows), size)
    ]


def _without_artifact(path: Path, submissions: Path) -> tuple[Verdict | None, Path]:
    """The verdict on a row that needs no run, or None; and the folder of its submission."""
    try:
        row = Result.read(path)
        task = make_task(row.task)
    except L96BenchError as error:
        return Verdict(path, DIFFERENT, str(error)), submissions
    wanted = {
        "data digests": (task.data_digests, row.data_digests),
        "task version": (task.version, row.task_version),
        "scorer version": (SCORER_VERSION, row.scorer_version),
        "place": (f"{row.task}/{row.slug}.json", "/".join(path.resolve().parts[-3:])),
    }
    wrong = [name for name, (expected, came) in wanted.items() if expected != came]
    if wrong:
        return Verdict(path, DIFFERENT, f"not those of {row.task}: {', '.join(wrong)}"), submissions
    if row.submission is None:
        return Verdict(path, CONSISTENT, f"no artifact; made by: {row.model.command}"), submissions
    folder = submissions / row.slug
    if not (folder / SUBMISSION_FILE).is_file():
        return Verdict(path, DIFFERENT, f"expected its submission in {folder}, found none"), folder
    return None, folder


def _verify(folder: Path, paths: Sequence[Path], allow_python: bool, limits: Limits | None) -> list[Verdict]:
    rows = {path: Result.read(path) for path in paths}
    try:
        submission = SubmissionFolder.read(folder)
        wanted = [make_task(row.task) for row in rows.values()]
        code = [task for task in wanted if task.id in submission.submission.tasks and submission.item(task) is None]
        tasks = [task for task in wanted if allow_python or task not in code]
        scored = score_folder(submission, tasks, allow_python=allow_python, limits=limits)
    except L96BenchError as error:
        return [Verdict(path, DIFFERENT, str(error)) for path in paths]
    again = {result.task: result for result in scored.results}
    verdicts = []
    for path, row in rows.items():
        if row.task in again:
            verdicts.append(Verdict(path, *compare(row, again[row.task])))
        elif any(task.id == row.task for task in code):
            honest = row.status == "self-reported"
            reason = "its artifact is code (--allow-python runs it)" if honest else "code cannot be verified"
            verdicts.append(Verdict(path, UNVERIFIED if honest else DIFFERENT, reason))
        else:
            faults = [each for each in scored.faults if each.startswith(f"{row.task}: ")]
            verdicts.append(Verdict(path, DIFFERENT, "; ".join(faults)))
    return verdicts


def compare(row: Result, again: Result) -> tuple[str, str]:
    """The verdict on a row, given what its artifact scores here, and the reason.

    Everything but costs, environment and status counts. Predictions that differ in their last bits, as they do on
    other processors, make another run of a chaotic system; the score must then agree within a quarter of its interval.
    """
    ours, theirs = again.submission, row.submission
    if ours is None or theirs is None or ours.model_copy(update={"status": theirs.status}) != theirs:
        return DIFFERENT, "the submission is not the one that the row names (authors, artifact or its SHA-256)"
    if row.model != again.model:
        fields = [
            name for name in type(row.model).model_fields if getattr(row.model, name) != getattr(again.model, name)
        ]
        return DIFFERENT, f"the model is described differently: {', '.join(fields)}"
    return compare_numbers(row, again)


def compare_numbers(row: Result, again: Result) -> tuple[str, str]:
    """As `compare`, of the scores, metrics, failures and predictions alone."""
    same = all(getattr(row, name) == getattr(again, name) for name in ("score", "metrics", "series", "failures"))
    if same and row.predictions_digest == again.predictions_digest:
        return IDENTICAL, f"score {again.score.value:.2f}"
    moved = f"score {row.score.value:.4f}, here {again.score.value:.4f}"
    if row.predictions_digest == again.predictions_digest:
        return DIFFERENT, f"{moved}: the same predictions have other numbers"
    reach = max(0.005, _TOLERANCE * (again.score.high - again.score.low))
    inside = abs(row.score.value - again.score.value) <= reach and set(row.metrics) == set(again.metrics)
    near = (
        inside
        and abs(row.score.low - again.score.low) <= 2 * reach
        and abs(row.score.high - again.score.high) <= 2 * reach
    )
    return (CLOSE if near else DIFFERENT), f"{moved}; predictions differ"
