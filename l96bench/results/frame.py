"""Results as data: one record, and one row of a pandas DataFrame, an entry and task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas

    from l96bench.results.record import Result

__all__ = ["COLUMNS", "METRICS", "FrameColumn", "make_frame", "metric_columns", "result_record"]


def _absent(result: Result) -> None:
    """Return None: only a board knows it."""


def _of(*path: str) -> Callable[[Result], Any]:
    """Return a function that gives an attribute of an attribute of a result; None where one is missing."""

    def value(result: Result) -> Any:
        found: Any = result
        for name in path:
            found = None if found is None else getattr(found, name)
        return found

    return value


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """A column that every table of results has: name, type, definition, unit, and how a result gives its value.

    Numbers have a unit, "1" for what has none. All but lists, which are of numbers, may be missing.
    """

    name: str
    type: Literal["text", "integer", "number", "list"]
    definition: str
    unit: str = "1"
    value: Callable[[Result], Any] = _absent


COLUMNS = (
    FrameColumn("entry", "text", "Name of the entry.", value=_of("model", "name")),
    FrameColumn("slug", "text", "The name as a file name: lower-case letters, digits and hyphens.", value=_of("slug")),
    FrameColumn("task", "text", "Id of the task; entry and task name a row.", value=_of("task")),
    FrameColumn("family", "text", "Family of the task.", value=_of("family")),
    FrameColumn("regime", "text", "Regime or track of the task.", value=_of("regime")),
    FrameColumn("task_version", "integer", "Version of the task.", value=_of("task_version")),
    FrameColumn(
        "rank",
        "integer",
        "Rank on the board, shared where entries cannot be told apart; missing for references, attacks, rows that "
        "nothing but the public test speaks for, and for results that are on no board.",
    ),
    FrameColumn("behind_best", "number", "Score of the best ranked row less this one's; missing for the best."),
    FrameColumn("behind_low", "number", "Lower end of that difference's interval, by the paired bootstrap."),
    FrameColumn("behind_high", "number", "Upper end of that difference's interval."),
    FrameColumn(
        "origin",
        "text",
        "Kind of row: trained here, sealed or declared; on a board reference for floors and ceilings, and attack.",
        value=lambda result: str(result.origin),
    ),
    FrameColumn("flags", "text", "Ids of the board's warnings about the row, apart by spaces."),
    FrameColumn("score", "number", "The score: 0 is the task's floor, 100 its ceiling.", value=_of("score", "value")),
    FrameColumn("score_low", "number", "Lower end of the interval of the score.", value=_of("score", "low")),
    FrameColumn("score_high", "number", "Upper end of the interval of the score.", value=_of("score", "high")),
    FrameColumn("level", "number", "Level of the intervals of score and metrics.", value=_of("score", "level")),
    FrameColumn("seeds", "list", "Training seeds.", value=_of("model", "seeds")),
    FrameColumn(
        "seed_scores",
        "list",
        "Scores of the training seeds, in order; empty for what is not trained.",
        value=lambda result: [seed.value for seed in result.score.seeds],
    ),
    FrameColumn(
        "fresh_draw_score", "number", "Score of a submission on test data drawn anew.", value=_of("fresh", "score")
    ),
    FrameColumn(
        "fresh_draw_difference", "number", "Score less that on the fresh draw.", value=_of("fresh", "difference")
    ),
    FrameColumn(
        "fresh_draw_low", "number", "Lower end of the difference's interval, at 99 %.", value=_of("fresh", "low")
    ),
    FrameColumn(
        "fresh_draw_high", "number", "Upper end of the difference's interval, at 99 %.", value=_of("fresh", "high")
    ),
    FrameColumn("season", "text", "The last revealed season that has a row of the entry."),
    FrameColumn("season_difference", "number", "Score less that on the season."),
    FrameColumn("season_low", "number", "Lower end of the difference's interval."),
    FrameColumn("season_high", "number", "Upper end of the difference's interval."),
    FrameColumn(
        "not_finite", "integer", "Predictions or runs that were not finite.", value=_of("failures", "non_finite")
    ),
    FrameColumn(
        "diverged", "integer", "Predictions or runs that left the attractor.", value=_of("failures", "diverged")
    ),
    FrameColumn("n_predictions", "integer", "Predictions or runs in all.", value=_of("failures", "of")),
    FrameColumn(
        "training_seconds",
        "number",
        "Processor time of training, a seed.",
        "s",
        value=_of("cost", "training_seconds"),
    ),
    FrameColumn("microseconds_per_call", "number", "Time of a call.", "µs", value=_of("cost", "microseconds_per_call")),
    FrameColumn(
        "kernel_steps_per_call",
        "number",
        "Time of a call over that of one step of the reference kernel, which compares machines.",
        value=_of("cost", "kernel_steps_per_call"),
    ),
    FrameColumn("kind", "text", "Kind of model.", value=_of("model", "kind")),
    FrameColumn("inputs", "text", "What the model is given.", value=_of("model", "inputs")),
    FrameColumn("parameters", "integer", "Number of parameters, mean over seeds.", value=_of("model", "parameters")),
    FrameColumn("trained_on", "text", "Training data.", value=_of("model", "trained_on")),
    FrameColumn("source", "text", "Where the method is from.", value=_of("model", "source")),
    FrameColumn("description", "text", "What the model is.", value=_of("model", "description")),
    FrameColumn("script", "text", "The script that made the row, as commands take it.", value=_of("model", "script")),
    FrameColumn("command", "text", "The command that makes the row.", value=_of("model", "command")),
    FrameColumn("status", "text", "baseline, verified or self-reported.", value=_of("status")),
    FrameColumn(
        "authors",
        "text",
        "Authors of a submission.",
        value=lambda result: None if result.submission is None else "; ".join(result.submission.authors),
    ),
    FrameColumn("artifact", "text", "File of a submission.", value=_of("submission", "artifact")),
    FrameColumn("artifact_sha256", "text", "SHA-256 of that file.", value=_of("submission", "artifact_sha256")),
    FrameColumn("license", "text", "License of a submission.", value=_of("submission", "license")),
    FrameColumn("split", "text", "The test data.", value=_of("split")),
    FrameColumn("scorer_version", "text", "Version of the scoring program.", value=_of("scorer_version")),
    FrameColumn("predictions_digest", "text", "SHA-256 of the predictions.", value=_of("predictions_digest")),
    *(
        FrameColumn(name, "text", f"{title} that the row was made with.", value=_of("environment", name))
        for name, title in (
            *(("python", "Python"), ("numpy", "NumPy"), ("numba", "Numba")),
            *(("cpu", "Microarchitecture of the processor"), ("platform", "Operating system and machine")),
        )
    ),
)
"""The columns of every table of results, in order; those of the metrics follow, each with its interval."""
METRICS = "metrics"
"""The key of a record's metrics."""
_NAMES = frozenset(column.name for column in COLUMNS)
_TYPES = {"text": "string", "integer": "Int64", "number": "float64", "list": "object"}


def metric_columns(key: str) -> tuple[str, str, str]:
    """Return the columns of a metric and of its interval: its key, after ``metric_`` if `COLUMNS` have that name."""
    name = f"metric_{key}" if key in _NAMES else key
    return name, f"{name}_low", f"{name}_high"


def result_record(result: Result, **known: Any) -> dict[str, Any]:
    """Return what a result has of the `COLUMNS`, as plain values by name, without what is missing or empty.

    Its metrics are in ``metrics``, by key, as a list of the value and, where there is an interval, its ends.
    `known` are columns that a board adds, or knows better.
    """
    values = {column.name: column.value(result) for column in COLUMNS} | known
    record = {name: value for name, value in values.items() if value is not None and value not in ("", [])}
    record[METRICS] = {
        key: [own.value] if own.low is None else [own.value, own.low, own.high]
        for key, own in sorted(result.metrics.items())
    }
    return record


def make_frame(records: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
    """Return a DataFrame of records: all `COLUMNS`, then the metrics that any of them has, each with its interval.

    Numbers are float64 with NaN, whole numbers Int64 and texts string with NA where there is none, lists are lists.
    """
    import pandas as pd

    data: dict[str, Any] = {}
    for column in COLUMNS:
        values = [record.get(column.name) for record in records]
        if column.type == "list":
            values = [[] if value is None else list(value) for value in values]
        data[column.name] = pd.Series(values, dtype=_TYPES[column.type])
    found: dict[str, int] = {}
    for record in records:
        for key, own in record[METRICS].items():
            found[key] = max(len(own), found.get(key, 1))
    for key, n in found.items():
        for place, name in enumerate(metric_columns(key)[:n]):
            own = (record[METRICS].get(key, ()) for record in records)
            data[name] = pd.Series([each[place] if len(each) > place else None for each in own], dtype="float64")
    return pd.DataFrame(data)
