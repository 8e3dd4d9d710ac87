"""Make the flags that warn readers about rows, from the results alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from l96bench.results.origin import Origin
from l96bench.results.record import Result
from l96bench.results.score import Score, Value
from l96bench.tasks.registry import families

__all__ = ["KINDS", "Flag", "Key", "Kind", "doubts", "flags", "is_attack", "is_reference", "is_sealed", "marks"]

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
    Kind("unproven", "U", "declared, and scored on the public test alone: it has no rank"),
    Kind(
        "recalled",
        "R",
        "its free run does not go on as one model does: see restart and distance from training; no rank",
    ),
    Kind("falls", "F", "lower on test data that nobody could fit anything to, beyond the interval: it has no rank"),
    Kind("attack", "A", "an attack, which tries to gain by something else than knowledge of the system: no rank"),
    Kind("superseded", "O", "an older submission, which its authors have replaced by another: it has no rank"),
)
"""Every kind of flags, in the order in which a row shows them."""

_SAME = 0.005
"""Scores and replicates that differ by less look the same at two decimals; noise may have been added to a copy."""
_NEIGHBOURS = 8
"""Rows next to each other by score that are compared."""
_CEILING_FROM = 50.0
"""References with at least this score are ceilings, the others floors."""
_PARTS = ("forecast_part", "climate_part", "climate_part_shift")
"""Metrics whose ceiling is 1, and which the score caps."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A warning about a row: the id of one of `KINDS`, and a text that may hold untrusted names, to be escaped."""

    kind: str
    text: str

    @property
    def mark(self) -> str:
        """The mark of its kind."""
        return next(kind.mark for kind in KINDS if kind.id == self.kind)


def flags(results: Sequence[Result]) -> dict[Key, list[Flag]]:
    """Return the flags of all rows that have some, by task and slug, whatever the order of the results."""
    found: dict[Key, list[Flag]] = {}
    ordered = sorted(results, key=lambda result: (result.task, result.slug))
    for _, group in groupby(ordered, key=lambda result: result.task):
        rows = list(group)
        ceilings = [row for row in rows if is_reference(row) and row.score.value >= _CEILING_FROM]
        ceiling = max(ceilings, key=lambda row: row.score.value, default=None)
        copies = _copies(rows)
        for row in rows:
            own = [*copies.get(row.slug, []), *_above(row, ceiling), *_of_submission(row)]
            if own:
                found[row.task, row.slug] = own
    return found


def marks(found: Sequence[Flag]) -> str:
    """Return the marks of some flags, each once, such as ``D T``."""
    kinds = {flag.kind for flag in found}
    return " ".join(kind.mark for kind in KINDS if kind.id in kinds)


def is_reference(result: Result) -> bool:
    """Return whether a row is a floor or ceiling of its task, shown but not ranked; no submission is."""
    return result.role == "reference"


def is_attack(result: Result) -> bool:
    """Return whether a row shows what does not win: scored by the board itself, not ranked; no submission is one."""
    return result.role == "attack"


def is_sealed(row: Result, season: Result | None) -> bool:
    """Return whether the same artifact has a row in a season, and its season asks about the same system."""
    family = families().get(row.family)
    if family is not None and family.has_seasons:
        return False
    one, other = row.submission, None if season is None else season.submission
    return one is not None and other is not None and one.artifact_sha256 == other.artifact_sha256 is not None


def doubts(row: Result, gap: Value | None) -> list[Flag]:
    """Return the reasons why a row has no rank: `gap` is its score less that of a season, if it is sealed by one.

    A script of the repository is run here, on any data, and needs neither a season nor a fresh draw.
    """
    found = list(_out_of_bounds(row))
    if is_attack(row):
        found.append(Flag("attack", f"an attack: {row.model.description}"))
    if row.origin == Origin.TRAINED_HERE:
        return found
    if row.fresh is None and gap is None:
        text = "nothing but the public test speaks for it: its artifact was not scored on a fresh draw, nor in a season"
        found.append(Flag("unproven", text))
    if row.fresh is not None and row.fresh.falls:
        own = row.fresh
        between = f"difference {own.difference:.2f}, at {100 * own.level:g} % {own.low:.2f} to {own.high:.2f}"
        found.append(Flag("falls", f"score {own.score:.2f} on a fresh draw, {row.score.value:.2f} here ({between})"))
    if gap is not None and gap.low is not None and gap.low > 0.0:
        found.append(Flag("falls", f"{gap.value:.2f} lower in a season than here (at least {gap.low:.2f})"))
    if row.submission is not None and row.submission.superseded_by:
        found.append(Flag("superseded", f"superseded by {row.submission.superseded_by}"))
    return found


def _of_submission(row: Result) -> Iterator[Flag]:
    if row.submission is None:
        return
    if row.submission.overlaps:
        yield Flag("test-data", f"trained on data that the task tests on: {'; '.join(row.submission.overlaps)}")
    if row.status == "self-reported":
        yield Flag("self-reported", "scored by its author, not derived again from an artifact")


def _out_of_bounds(row: Result) -> Iterator[Flag]:
    """Yield a flag for each metric that is outside of the bounds that the family declares, beyond its interval."""
    family = families().get(row.family)
    for metric in () if family is None else family.glossary:
        own = row.metrics.get(metric.key)
        if own is None:
            continue
        low, high = (own.value if end is None else end for end in (own.low, own.high))
        if metric.most is not None and low > metric.most:
            yield Flag(metric.flag, f"{metric.title} {own.value:.3g}, expected at most {metric.most:g}")
        if metric.least is not None and high < metric.least:
            yield Flag(metric.flag, f"{metric.title} {own.value:.3g}, expected at least {metric.least:g}")


def _above(row: Result, ceiling: Result | None) -> Iterator[Flag]:
    """Yield a flag where the score, or a part that it caps, is above the task's ceiling beyond both intervals."""
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
    """Return flags, by slug, of the submissions among the rows of a task that equal another row."""
    found: dict[str, list[Flag]] = {}

    def note(row: Result, other: Result, what: str) -> None:
        if row.submission is not None:
            found.setdefault(row.slug, [Flag("duplicate", f"the same {what} as {other.model.name}")])

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
    return found


def _same_score(one: Score, other: Score) -> bool:
    """Return whether all replicates agree; not for intervals of no width, as of all that fail or succeed wholly."""
    if one.low == one.high or len(one.replicates) != len(other.replicates):
        return False
    return bool(np.allclose(one.replicates, other.replicates, rtol=0.0, atol=_SAME))
