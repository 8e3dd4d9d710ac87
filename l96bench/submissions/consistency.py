"""Check rows without running anything: whether their numbers agree with each other and with what is registered."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from statistics import fmean, median

import numpy as np

from l96bench.entries.lookup import baseline_titles
from l96bench.errors import ResultError
from l96bench.results.origin import FRESH_LEVEL
from l96bench.results.record import Result
from l96bench.results.score import Score, Value
from l96bench.submissions.folder import SubmissionFolder
from l96bench.submissions.fresh import fresh_seed
from l96bench.submissions.reserved import name_faults
from l96bench.tasks.base import Task
from l96bench.tasks.parts import LEVEL, N_REPLICATES, SCORER_VERSION, Aligned
from l96bench.tasks.registry import make_task

__all__ = ["is_ceiling", "origin_faults", "out_of_line", "readable", "row_faults"]

_EXACT = 1e-6
"""The relative error of numbers that are the same but for rounding."""
_ROUNDED = 1e-5
"""The relative error of replicates, which are kept to six digits."""
_HEX = re.compile(r"[0-9a-f]{64}")
_LARGEST = 1e15
"""The largest number in a row, with which sums and squares are exact enough."""
_FEWEST = 4
"""Rows that make a line, of which one may be wrong."""


def row_faults(row: Result, task: Task) -> list[str]:
    """Return a line for everything in a row that cannot be so, as far as the row and the task tell; needs no data."""
    if (largest := max(map(abs, _numbers(row)))) > _LARGEST:
        return [f"expected numbers of at most {_LARGEST:g}, got one of {largest:g}"]
    return [fault for part in (_registered, _ends, _seeds, _follows, _named, _fresh) for fault in part(row, task)]


def _numbers(row: Result) -> Iterator[float]:
    """Yield all estimates, ends of intervals and curves of a row."""
    estimates: list[Score | Value] = [row.score, *row.metrics.values()]
    for value in estimates:
        yield from (each for each in (value.value, value.low, value.high) if each is not None)
    yield from row.score.replicates
    yield from (seed.value for seed in row.score.seeds)
    for curve in row.series.values():
        yield from curve


def _registered(row: Result, task: Task) -> Iterator[str]:
    """Yield whether it is of the registered data, versions and settings."""
    wanted = {
        "data digests": (task.data_digests, row.data_digests),
        "task version": (task.version, row.task_version),
        "scorer version": (SCORER_VERSION, row.scorer_version),
        "split": (task.source.label, row.split),
        "level of the interval": (LEVEL, row.score.level),
        "number of replicates": (N_REPLICATES, len(row.score.replicates)),
        "number of blocks": (task.blocks, row.score.blocks),
    }
    if wrong := [name for name, (expected, came) in wanted.items() if expected != came]:
        yield f"not those of {row.task}: {', '.join(wrong)}"
    if not _HEX.fullmatch(row.predictions_digest):
        yield f"predictions digest: expected 64 hexadecimal digits, got {row.predictions_digest!r:.80}"
    if not all(len(text) <= 100 and text.isprintable() for text in dict(row.environment).values()):
        yield "environment: expected short texts of one line"
    if row.failures.of < 1:
        yield "failures: expected the number of predictions or runs, got 0"


def _ends(row: Result, task: Task) -> Iterator[str]:
    """Yield whether intervals are those of the replicates, and hold their estimates."""
    score = row.score
    low, high = score.interval_of(score.replicates)
    reach = _ROUNDED * max(1.0, *map(abs, score.replicates))
    if max(abs(score.low - low), abs(score.high - high)) > reach:
        yield f"the interval [{score.low:.4f}, {score.high:.4f}] is not that of the replicates [{low:.4f}, {high:.4f}]"
    if not score.low <= score.value <= score.high:
        yield f"the score {score.value:.4f} is outside of its own interval [{score.low:.4f}, {score.high:.4f}]"
    # At an end of the scale, the replicates are all on one side of the score.
    middle, share = fmean(score.replicates), 0.5 if score.value in (0.0, 100.0) else 0.25
    if abs(middle - score.value) > reach + share * (score.high - score.low):
        yield f"the replicates are around {middle:.4f}, the score is {score.value:.4f}"
    for key, metric in row.metrics.items():
        if metric.low is not None and metric.high is not None and not metric.low <= metric.value <= metric.high:
            yield f"{key}: {metric.value:.6g} is outside of its own interval [{metric.low:.6g}, {metric.high:.6g}]"


def _seeds(row: Result, task: Task) -> Iterator[str]:
    """Yield whether the score is the mean over the training seeds that the row names."""
    named, scored = row.model.seeds, [each.seed for each in row.score.seeds]
    if len(set(named)) < len(named) or named != scored:
        yield f"seeds: expected each once, with a score, got seeds {named} and scores of {scored}"
    elif named and not math.isclose(
        fmean(each.value for each in row.score.seeds), row.score.value, rel_tol=1e-9, abs_tol=1e-9
    ):
        yield f"the score {row.score.value:.4f} is not the mean over its seeds"
    if row.submission is not None and named:
        yield f"seeds: expected none of a submission, got {named}"


def _follows(row: Result, task: Task) -> Iterator[str]:
    """Yield whether the score follows from the metrics."""
    try:
        low, high = task.possible_scores(row)
        task.aligned(row)
    except (KeyError, ValueError) as error:
        yield f"expected the metrics of {task.family}, got {len(row.metrics)} of them ({error})"
        return
    reach = _EXACT * max(1.0, abs(row.score.value))
    if not low - reach <= row.score.value <= high + reach:
        follows = f"{low:.4f}" if math.isclose(low, high, abs_tol=1e-4) else f"{low:.4f} to {high:.4f}"
        yield f"the score {row.score.value:.4f} does not follow from the metrics: {follows} does"


def _named(row: Result, task: Task) -> Iterator[str]:
    """Yield whether it is a reference only if the task says so, and a submission only under a free name."""
    references = {each.info.name: each.info for each in task.references.values()}
    if row.submission is not None:
        yield from name_faults(row.model.name, row.model.kind)
    elif (row.model.kind == "reference" or row.model.name in references) and row.model != references.get(
        row.model.name
    ):
        yield f"expected a reference as {row.task} describes it, got {row.model.name!r}"


def _fresh(row: Result, task: Task) -> Iterator[str]:
    """Yield whether the comparison with a fresh draw is of this row's artifact and score."""
    own, digest = row.fresh, None if row.submission is None else row.submission.artifact_sha256
    if own is None:
        return
    if digest is None or own.seed != fresh_seed(digest) or own.level != FRESH_LEVEL:
        yield "fresh: expected the draw that follows from the artifact of a submission"
    if abs(row.score.value - own.score - own.difference) > _EXACT * max(1.0, abs(own.score), abs(row.score.value)):
        yield f"fresh: {row.score.value:.4f} less {own.score:.4f} is not {own.difference:.4f}"


def origin_faults(row: Result, submission: SubmissionFolder | None) -> list[str]:
    """Return a line for each way in which a row is not what its submission, or a baseline's script, is said to make."""
    if row.submission is None:
        if is_ceiling(row):
            return []
        title = baseline_titles().get(row.model.script)
        made = title == row.model.name and shlex.split(row.model.command)[3:] == ["--task", row.task]
        if not made:
            return [f"no baseline makes it: {row.model.command}"]
        return [] if row.model.seeds else ["seeds: expected those of a baseline's training, got none"]
    task = make_task(row.task)
    if submission is None or row.task not in submission.submission.tasks:
        return ["expected its submission, which enters the task"]
    artifact = submission.artifact(task)
    told = submission.submission.info(task, None if artifact is None else artifact.digest, row.submission.status)
    faults = []
    if told != row.submission:
        faults.append("the submission is not the one that the row names (authors, artifact or its SHA-256)")
    model = submission.submission.model_info(task, row.model.parameters)
    if model != row.model:
        fields = [name for name in type(model).model_fields if getattr(model, name) != getattr(row.model, name)]
        faults.append(f"the model is described differently: {', '.join(fields)}")
    return faults


def is_ceiling(row: Result) -> bool:
    """Return whether a row is that of its task's ceiling, the one reference that has rows."""
    ceiling = make_task(row.task).references.get("ceiling")
    return ceiling is not None and row.model.name == ceiling.info.name and row.submission is None


def readable(paths: Iterable[Path]) -> Iterator[Result]:
    """Yield the results in those of the files that are valid."""
    for path in paths:
        with suppress(ResultError):
            yield Result.read(path)


def out_of_line(rows: Sequence[Result], task: Task) -> dict[str, list[str]]:
    """Return the faults of those rows of a task, by slug, whose numbers are not on the line of all others."""
    points: dict[str, dict[str, Aligned]] = {}
    for row in rows:
        try:
            for each in task.aligned(row):
                points.setdefault(each.name, {})[row.slug] = each
        except (KeyError, ValueError):
            continue
    found: dict[str, list[str]] = {}
    for name, own in points.items():
        if (line := _line([each for each in own.values() if each.slack == 0.0])) is None:
            continue
        slope, intercept = line
        for slug, each in own.items():
            y = intercept + slope * each.x
            reach = _EXACT * max(1.0, abs(y)) + abs(slope) * each.slack
            if not abs(each.y - y) <= reach:
                text = f"{name}: expected {y:.6g}, as all rows of {task.id} have it for {each.x:.6g}, got {each.y:.6g}"
                found.setdefault(slug, []).append(text)
    return found


def _line(points: Sequence[Aligned]) -> tuple[float, float] | None:
    """Return the slope and intercept that most of the points agree on (Theil and Sen); None if they are too few."""
    slopes = [(b.y - a.y) / (b.x - a.x) for a, b in combinations(points, 2) if abs(b.x - a.x) > 1e-9]
    if len(points) < _FEWEST or not slopes:
        return None
    slope = median(slopes)
    return slope, float(np.median([each.y - slope * each.x for each in points]))
