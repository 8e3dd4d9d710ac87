"""Compare a row of the board with what its artifact or script gives here."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any

from pydantic import BaseModel

from l96bench.results.record import ModelInfo, Result
from l96bench.submissions.fresh import fresh_moved

__all__ = [
    "CLOSE",
    "CONSISTENT",
    "DIFFERENT",
    "IDENTICAL",
    "UNVERIFIED",
    "compare",
    "compare_numbers",
    "compare_seed",
]

IDENTICAL, CLOSE, CONSISTENT, UNVERIFIED, DIFFERENT = "identical", "close", "consistent", "unverified", "DIFFERENT"
"""The verdicts on a row.

In turn: identical numbers; equal within rounding, that of a chaotic run included; a baseline's row that fits data and
scoring, but was not trained again; a row whose artifact is code; and everything else.
"""
_TOLERANCE = 0.25
"""The fraction of the row's interval width by which rounding on another processor may change a score."""
_LEAST = 0.005
"""The smallest tolerance of a score."""
_ROUGHLY = 0.05
"""The relative change of a metric without an interval, or with a small one, that rounding may make."""
_ROUNDING = 1e-9
"""The relative and absolute change of a number of the same predictions that the order of its sums may make."""
_NUMBERS = ("score", "metrics", "series", "failures")
"""The fields of a row that are made of the predictions."""


def compare(row: Result, again: Result) -> tuple[str, str]:
    """Return the verdict on a row, given its artifact's result here, and the reason.

    Everything but costs, environment and status is compared. Last-bit differences of predictions between processors
    change a chaotic run; the score must then agree within a quarter of its interval.
    """
    ours, theirs = again.submission, row.submission
    if ours is None or theirs is None or ours.model_copy(update={"status": theirs.status}) != theirs:
        return DIFFERENT, "the submission is not the one that the row names (authors, artifact or its SHA-256)"
    if moved := fresh_moved(row, again, _TOLERANCE, _LEAST):
        return DIFFERENT, moved
    return _compare_models(row.model, again.model) or compare_numbers(row, again)


def compare_seed(row: Result, again: Result) -> tuple[str, str]:
    """Return the verdict on a baseline's row, given the result of one of its seeds, and the reason.

    A row of one seed must have the same numbers; a row of several, that seed's score and the description.
    """
    if row.model.seeds == again.model.seeds:
        return _compare_models(row.model, again.model) or compare_numbers(row, again)
    (seed,) = again.model.seeds
    scores = {each.seed: each.value for each in row.score.seeds}
    if seed not in row.model.seeds or sorted(scores) != sorted(row.model.seeds):
        return DIFFERENT, f"trained with seed {seed}; the row is of {row.model.seeds}, with scores of {sorted(scores)}"
    if not math.isclose(fmean(scores.values()), row.score.value, rel_tol=1e-9, abs_tol=1e-9):
        return DIFFERENT, f"the score {row.score.value:.4f} is not the mean over its seeds"
    told = {"seeds": [seed], "parameters": again.model.parameters}
    if wrong := _compare_models(row.model.model_copy(update=told), again.model):
        return wrong
    of = f"seed {seed}, one of {len(scores)}"
    if scores[seed] == again.score.value:
        return IDENTICAL, f"score {again.score.value:.2f}, {of}"
    reach = max(_LEAST, _TOLERANCE * (again.score.high - again.score.low))
    moved = f"score {scores[seed]:.4f}, here {again.score.value:.4f}, {of}"
    return (CLOSE if abs(scores[seed] - again.score.value) <= reach else DIFFERENT), moved


def _compare_models(model: ModelInfo, again: ModelInfo) -> tuple[str, str] | None:
    fields = [name for name in type(model).model_fields if getattr(model, name) != getattr(again, name)]
    return (DIFFERENT, f"the model is described differently: {', '.join(fields)}") if fields else None


def compare_numbers(row: Result, again: Result) -> tuple[str, str]:
    """Compare as `compare` does, but only scores, metrics, failures and predictions."""
    same = all(getattr(row, name) == getattr(again, name) for name in _NUMBERS)
    if same and row.predictions_digest == again.predictions_digest:
        return IDENTICAL, f"score {again.score.value:.2f}"
    moved = f"score {row.score.value:.4f}, here {again.score.value:.4f}"
    if row.predictions_digest == again.predictions_digest:
        if all(_equal(getattr(row, name), getattr(again, name)) for name in _NUMBERS):
            return CLOSE, f"{moved}; the same predictions"
        return DIFFERENT, f"{moved}: the same predictions have other numbers"
    reach = max(_LEAST, _TOLERANCE * (again.score.high - again.score.low))
    near = (
        abs(row.score.value - again.score.value) <= reach
        and abs(row.score.low - again.score.low) <= 2 * reach
        and abs(row.score.high - again.score.high) <= 2 * reach
        and (row.score.method, row.failures.of, row.failures.note)
        == (again.score.method, again.failures.of, again.failures.note)
    )
    if near and (apart := _apart(row, again)):
        return DIFFERENT, f"{moved}; other values of {', '.join(apart[:5])}"
    return (CLOSE if near else DIFFERENT), f"{moved}; predictions differ"


def _equal(told: Any, here: Any) -> bool:
    """Return whether values are equal up to the rounding of sums, whose order differs between processors."""
    if isinstance(told, BaseModel) and isinstance(here, BaseModel):
        told, here = told.model_dump(), here.model_dump()
    if isinstance(told, dict) and isinstance(here, dict):
        return told.keys() == here.keys() and all(_equal(told[key], here[key]) for key in told)
    if isinstance(told, list | tuple) and isinstance(here, list | tuple):
        return len(told) == len(here) and all(map(_equal, told, here))
    if isinstance(told, float) and isinstance(here, float):
        return math.isclose(told, here, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return bool(told == here)


def _apart(row: Result, again: Result) -> list[str]:
    """Return the metrics and curves that differ by more than rounding in a chaotic run may change."""
    apart = sorted((row.metrics.keys() ^ again.metrics.keys()) | (row.series.keys() ^ again.series.keys()))
    for key in sorted(row.metrics.keys() & again.metrics.keys()):
        told, here = row.metrics[key], again.metrics[key]
        width = 0.0 if here.low is None or here.high is None else here.high - here.low
        reach = max(2 * width, _ROUGHLY * abs(here.value), _LEAST)
        ends = [(told.value, here.value), (told.low, here.low), (told.high, here.high)]
        if any((a is None) != (b is None) or (a is not None and abs(a - (b or 0.0)) > reach) for a, b in ends):
            apart.append(key)
    for key in sorted(row.series.keys() & again.series.keys()):
        curves = row.series[key], again.series[key]
        reach = max(0.25 * max(map(abs, curves[1]), default=0.0), _LEAST)
        if len(curves[0]) != len(curves[1]) or any(abs(a - b) > reach for a, b in zip(*curves, strict=True)):
            apart.append(key)
    return apart
