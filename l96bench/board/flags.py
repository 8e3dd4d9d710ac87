"""What a reader should know about a row before believing it: flags, made from results alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from l96bench.results.record import Result, Score, Value

__all__ = ["KINDS", "Flag", "Key", "Kind", "flags", "is_reference", "marks"]

Key = tuple[str, str]
"""A row: the id of its task and its slug."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of flags: its id, the mark that tables show, and what it means."""

    id: str
    mark: str
    meaning: str


KINDS: tuple[Kind, ...] = (
    Kind("duplicate", "D", "a submission with the predictions of another row, or the same score in every replicate"),
    Kind("above-ceiling", "C", "its interval lies above that of the task's ceiling"),
    Kind("test-data", "T", "it declares training data that the task tests on"),
    Kind("self-reported", "S", "scored by its author; nobody has derived it again from an artifact"),
)
"""Every kind of flags, in the order in which a row shows them."""

_SAME = 0.005
"""Scores and replicates that differ by less look the same at two decimals: noise that is added to hide a copy."""
_NEIGHBOURS = 8
"""Rows next to each other by score that are compared."""
_CEILING_FROM = 50.0
"""References with at least this score are ceilings, the others floors."""
_PARTS = ("forecast_part", "climate_part")
"""Metrics whose ceiling is 1, and which the score caps."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing to know about a row.

    Attributes
    ----------
    kind : str
        The id of one of `KINDS`.
    text : str
        What was found, in plain text that may hold names from submissions: escape it.
    """

    kind: str
    text: str

    @property
    def mark(self) -> str:
        """The mark of its kind."""
        return next(kind.mark for kind in KINDS if kind.id == self.kind)


def flags(results: Sequence[Result]) -> dict[Key, list[Flag]]:
    """The flags of all rows that have some, by task and slug; the order of the results does not matter.

    Baselines that share their predictions, such as a closure with and without its noise offline, are no copies: a
    duplicate is a submission that equals another row, whosever that is.
    """
    found: dict[Key, list[Flag]] = {}
    ordered = sorted(results, key=lambda result: (result.task, result.slug))
    for _, group in groupby(ordered, key=lambda result: result.task):
        rows = list(group)
        ceiling = max((row for row in rows if _is_ceiling(row)), key=lambda row: row.score.value, default=None)
        copies = _copies(rows)
        for row in rows:
            own = [*copies.get(row.slug, []), *_above(row, ceiling), *_of_submission(row)]
            if own:
                found[row.task, row.slug] = own
    return found


def marks(found: Sequence[Flag]) -> str:
    """The marks of some flags, each once, such as ``D T``."""
    kinds = {flag.kind for flag in found}
    return " ".join(kind.mark for kind in KINDS if kind.id in kinds)


def is_reference(result: Result) -> bool:
    """Whether a row is a floor or ceiling of its task, which is shown but not ranked; no submission is."""
    return result.model.kind == "reference" and result.submission is None


def _of_submission(row: Result) -> Iterator[Flag]:
    if row.submission is None:
        return
    if row.submission.overlaps:
        yield Flag("test-data", f"trained on data that the task tests on: {'; '.join(row.submission.overlaps)}")
    if row.status == "self-reported":
        yield Flag("self-reported", "scored by its author, not derived again from an artifact")


def _is_ceiling(row: Result) -> bool:
    return is_reference(row) and row.score.value >= _CEILING_FROM


def _above(row: Result, ceiling: Result | None) -> Iterator[Flag]:
    """The score, or a part that the score caps, is better than the task's ceiling beyond both intervals."""
    if is_reference(row):
        return
    top: Score | Value = Value(value=100.0, low=100.0, high=100.0) if ceiling is None else ceiling.score
    if _exceeds(row.score, top):
        yield Flag("above-ceiling", f"score {row.score.value:.2f}, the ceiling {top.value:.2f}")
    best: Mapping[str, Value] = {} if ceiling is None else ceiling.metrics
    for name in _PARTS:
        if name in best and name in row.metrics and _exceeds(row.metrics[name], best[name]):
            own, other = row.metrics[name].value, best[name].value
            yield Flag("above-ceiling", f"{name.replace('_', ' ')} {own:.3f}, the ceiling {other:.3f}")


def _exceeds(one: Score | Value, other: Score | Value) -> bool:
    return one.low is not None and other.high is not None and one.low > other.high


def _copies(rows: Sequence[Result]) -> dict[str, list[Flag]]:
    """The submissions among the rows of a task that equal another row."""
    found: dict[str, list[Flag]] = {}

    def note(row: Result, other: Result, what: str) -> None:
        own = found.setdefault(row.slug, [])
        text = f"the same {what} as {other.model.name}"
        if row.submission is not None and not own:
            own.append(Flag("duplicate", text))

    by_digest: dict[str, list[Result]] = {}
    for row in rows:
        by_digest.setdefault(row.predictions_digest, []).append(row)
    for same in by_digest.values():
        # The one that the others are compared with: a baseline, if there is one among them.
        first, *others = sorted(same, key=lambda row: (row.submission is not None, row.slug))
        for other in others:
            note(other, first, "predictions")
        if others:
            note(first, others[0], "predictions")
    ordered = sorted(rows, key=lambda row: (row.score.value, row.slug))
    for place, row in enumerate(ordered):
        for other in ordered[place + 1 : place + 1 + _NEIGHBOURS]:
            if other.score.value - row.score.value > _SAME:
                break
            if (row.submission or other.submission) and _same_score(row.score, other.score):
                note(row, other, "score")
                note(other, row, "score")
    return {slug: own for slug, own in found.items() if own}


def _same_score(one: Score, other: Score) -> bool:
    """Whether all replicates agree; never for an interval of no width, which all who fail or succeed wholly share."""
    if one.low == one.high or len(one.replicates) != len(other.replicates):
        return False
    return bool(np.allclose(one.replicates, other.replicates, rtol=0.0, atol=_SAME))
