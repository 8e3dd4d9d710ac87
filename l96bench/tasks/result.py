"""Results: what one entry scored on one task, as a validated record and a JSON file."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from l96bench.errors import ResultError
from l96bench.metrics.uncertainty import interval
from l96bench.tasks.origin import SubmissionInfo, slug_of

_TASK_ID = re.compile(r"^(?P<family>[a-z0-9-]+)/(?P<regime>[a-z0-9-]+)-v[0-9]+$")
_LIST_OF_NUMBERS = re.compile(r"\[\n([-+.\deE,\s]+)\]")


def _check_order(low: float | None, high: float | None) -> None:
    if (low is None) != (high is None):
        raise ValueError(f"expected both ends of the interval or none, got low={low}, high={high}")
    if low is not None and high is not None and low > high:
        raise ValueError(f"expected low <= high, got low={low}, high={high}")


def _six_digits(values: list[float], info: ValidationInfo) -> list[float]:
    # Rounded when the record is made, not when it is written: a record equals what is read back from its file.
    return values if info.mode == "json" else [float(f"{value:.6g}") for value in values]


Name = Annotated[str, Field(min_length=1, max_length=100)]
Key = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Curve = Annotated[list[float], AfterValidator(_six_digits)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class _Record(BaseModel):
    """Frozen; unknown keys, NaN and infinity are errors that name their field."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True)


class Value(_Record):
    """One metric: its estimate and, where there is one, its confidence interval."""

    value: float
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        _check_order(self.low, self.high)
        return self


class SeedScore(_Record):
    """The score that one training seed reached."""

    seed: int
    value: float


class Score(_Record):
    """The score of a task (100 is the ceiling), its interval, and the bootstrap replicates behind the interval.

    All entries of a task are resampled with the same indices, so that the element-wise difference of two entries'
    ``replicates`` is the paired bootstrap of their difference.  ``seeds`` is empty for what is not trained.
    """

    value: float
    low: float
    high: float
    level: float = Field(default=0.95, gt=0, lt=1)
    method: str
    replicates: Curve = Field(min_length=1)
    seeds: list[SeedScore] = []

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        _check_order(self.low, self.high)
        return self


class ModelInfo(_Record):
    """What was scored: enough to know it and to make it again."""

    name: Name
    kind: Name
    inputs: str
    parameters: Count | None = None
    trained_on: str | None = None
    seeds: list[int] = []
    command: str
    source: str = ""
    description: str = ""


class Failures(_Record):
    """How many predictions or runs, ``of`` how many, were not finite or left the attractor."""

    non_finite: Count = 0
    diverged: Count = 0
    of: Count
    note: str = ""

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if max(self.non_finite, self.diverged) > self.of:
            raise ValueError(
                f"expected at most of={self.of}, got {self.non_finite} non-finite, {self.diverged} diverged"
            )
        return self


class Cost(_Record):
    """What the entry costs; ``None`` where nothing was measured.

    ``training_seconds`` are of all processors together, whatever else the machine did meanwhile.
    ``kernel_steps_per_call``, the time of a call over that of one step of the reference kernel, compares machines.
    """

    training_seconds: Amount | None = None
    microseconds_per_call: Amount | None = None
    kernel_steps_per_call: Amount | None = None


class Environment(_Record):
    """Versions and processor that a result was made with."""

    python: str
    numpy: str
    numba: str
    cpu: str
    platform: str

    @classmethod
    def current(cls) -> Environment:
        """The environment of this process; ``cpu`` is the microarchitecture that Numba compiles for."""
        from llvmlite.binding import get_host_cpu_name

        return cls(
            python=platform.python_version(),
            numpy=importlib.metadata.version("numpy"),
            numba=importlib.metadata.version("numba"),
            cpu=get_host_cpu_name(),
            platform=f"{platform.system()} {platform.machine()}",
        )


class Result(_Record):
    """One row of the leaderboard: one entry on one task.

    ``metrics`` are single numbers with intervals, ``series`` are curves such as skill by lead.  ``replicates`` and
    ``series`` are kept to 6 significant digits.  ``data_digests`` and ``predictions_digest`` are SHA-256 in hex.
    A quantity that is not finite has no place here: the caller clips it, or counts it in ``failures``.
    """

    schema_: Literal["l96bench/result/1"] = Field(default="l96bench/result/1", alias="schema")
    task: str = Field(pattern=_TASK_ID.pattern)
    task_version: int
    data_digests: dict[str, str]
    scorer_version: str
    split: str
    model: ModelInfo
    score: Score
    metrics: dict[Key, Value]
    series: dict[Key, Curve] = {}
    failures: Failures
    cost: Cost
    environment: Environment
    predictions_digest: str
    submission: SubmissionInfo | None = None

    @property
    def family(self) -> str:
        """The task's family, such as ``online-rollout``."""
        return self.task.partition("/")[0]

    @property
    def regime(self) -> str:
        """The task's regime (or track), such as ``wilks-f20``."""
        return re.sub(r"-v[0-9]+$", "", self.task.partition("/")[2])

    @property
    def slug(self) -> str:
        """The model's name as a safe file name: lower-case ASCII letters, digits and hyphens."""
        return slug_of(self.model.name)

    @property
    def status(self) -> str:
        """``baseline`` for what a script of the repository makes; ``verified`` or ``self-reported`` for submissions."""
        return "baseline" if self.submission is None else self.submission.status

    def to_json(self) -> str:
        """The text of the result's file: indented, keys in a fixed order, lists of numbers on one line each."""
        fields = self.model_dump(mode="json", exclude={"submission"} if self.submission is None else None)
        for name in ("data_digests", "metrics", "series"):
            fields[name] = dict(sorted(fields[name].items()))
        text = json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False)
        # A JSON string holds no raw line break, so this matches lists only.
        return _LIST_OF_NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text) + "\n"

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the result to ``path``, all or nothing."""
        write_atomic(path, self.to_json())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Result:
        """The result in a file.

        Raises
        ------
        ResultError
            If the file cannot be read or is not a valid result; the message names the file and every faulty field.
        """
        try:
            result = cls.model_validate_json(Path(path).read_bytes(), strict=True)
        except OSError as error:
            raise ResultError(f"{path}: cannot be read ({error.strerror})") from error
        except ValidationError as error:
            raise ResultError(f"{path}: not a valid result\n{_explain(error)}") from error
        if "schema_" not in result.model_fields_set:
            raise ResultError(
                f"{path}: not a valid result\n  schema: expected {result.schema_!r}, the field is missing"
            )
        return result


def _explain(error: ValidationError) -> str:
    """One line for every faulty field: where it is, what was expected, what came."""
    lines = []
    for fault in error.errors(include_url=False):
        where = ".".join(map(str, fault["loc"])) or "the file"
        came = "" if isinstance(fault["input"], dict | list | bytes) else f", got {fault['input']!r:.80}"
        lines.append(f"  {where}: {fault['msg']}{came}")
    return "\n".join(lines)


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write text, as UTF-8, or bytes to ``path`` so that a reader sees the old file or the new one, never a part."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def require_comparable(results: Sequence[Result]) -> None:
    """Raise `ResultError` unless all results have one task, task version, split, scorer version and data digests.

    The message says which of these differ, and which rows have which value.
    """
    for field in ("task", "task_version", "split", "scorer_version", "data_digests"):
        rows: dict[str, list[str]] = {}
        for result in results:
            value = getattr(result, field)
            text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
            rows.setdefault(text, []).append(repr(result.model.name))
        if len(rows) > 1:
            raise ResultError(
                f"{results[0].task}: these rows differ in {field} and cannot be compared:\n"
                + "".join(f"  {value}: {', '.join(names)}\n" for value, names in rows.items())
                + "Score the rows that are out of date again (`l96bench run`), or remove them."
            )


def combine_seeds(results: Sequence[Result]) -> Result:
    """One row from the results of one entry on one task, trained with several seeds.

    Parameters
    ----------
    results : sequence of Result
        One result for each of ``n`` training seeds, each with exactly one seed in ``model.seeds``.

    Returns
    -------
    Result
        *Score*: the mean over seeds.  Replicate ``b`` is the mean of the ``b``-th replicates of ``n - 1`` seeds drawn
        with replacement, so that the interval carries the variance of training as well as that of the test data.
        ``n - 1`` draws, not ``n``, make the between-seed variance unbiased, which matters for few seeds (Rao and Wu
        1988, Resampling inference with complex survey data, J. Am. Stat. Assoc. 83, 231-241).  The draws come from
        PCG64, seeded by the entry's name: entries are trained independently, so their draws must be independent too.

        *Metrics*: the mean over seeds; each half-width is ``sqrt(w**2 + (z s)**2 / n)``, where ``w`` is the seeds' mean
        half-width on that side (all are scored on the same test data, so it does not shrink), ``s`` their standard
        deviation and ``z`` the normal quantile of the level.  A metric without an interval in some result has none;
        metrics and series that some result lacks are left out.

        Failures are summed.  Costs, series and the number of parameters are averaged.  The digest is the SHA-256 of
        the results' digests, one a line.  Everything else is that of the first result.

    Raises
    ------
    ResultError
        If the results are not of one entry on one task, or a seed is missing or repeated.
    """
    _require_one_entry(results)
    first = results[0]
    models, failures, costs = zip(*((result.model, result.failures, result.cost) for result in results), strict=True)
    size = _mean([model.parameters for model in models])
    digests = "\n".join(result.predictions_digest for result in results).encode()
    combined = {
        "model": models[0].model_copy(
            update={"seeds": [model.seeds[0] for model in models], "parameters": None if size is None else round(size)}
        ),
        "score": _combine_scores(results),
        "metrics": {
            key: _combine_values([result.metrics[key] for result in results], first.score.level)
            for key in first.metrics
            if all(key in result.metrics for result in results)
        },
        "series": _combine_series([result.series for result in results]),
        "failures": {field: sum(getattr(own, field) for own in failures) for field in ("non_finite", "diverged", "of")}
        | {"note": "; ".join(dict.fromkeys(own.note for own in failures if own.note))},
        "cost": {field: _mean([getattr(own, field) for own in costs]) for field in Cost.model_fields},
        "predictions_digest": hashlib.sha256(digests).hexdigest(),
    }
    return Result.model_validate(dict(first) | combined, by_name=True)


def _require_one_entry(results: Sequence[Result]) -> None:
    if not results:
        raise ResultError("combine_seeds expected at least one result, got none")
    require_comparable(results)
    for field in ("name", "kind", "inputs", "trained_on"):
        values = {getattr(result.model, field) for result in results}
        if len(values) > 1:
            raise ResultError(f"combine_seeds expected results of one entry, got different model.{field}: {values}")
    drawn = {(result.score.level, len(result.score.replicates)) for result in results}
    if len(drawn) > 1:
        raise ResultError(f"combine_seeds expected one level and number of replicates, got {drawn}")
    seeds = [result.model.seeds for result in results]
    if any(len(own) != 1 for own in seeds) or len({own[0] for own in seeds}) < len(seeds):
        raise ResultError(f"combine_seeds expected one seed a result, each another one, got {seeds}")


def _combine_scores(results: Sequence[Result]) -> Score:
    first, n = results[0], len(results)
    values = {result.model.seeds[0]: result.score.value for result in results}
    replicates = np.array([result.score.replicates for result in results])
    method = first.score.method
    if n > 1:
        entropy = int(hashlib.sha256(first.model.name.encode()).hexdigest()[:8], 16)
        drawn = np.random.Generator(np.random.PCG64(entropy)).integers(n, size=(n - 1, replicates.shape[1]))
        replicates = np.take_along_axis(replicates, drawn, axis=0)
        method += f"; bootstrap of {n} training seeds, {n - 1} drawn a replicate (PCG64, seed {entropy})"
    averaged = replicates.mean(axis=0)
    low, high = interval(averaged, first.score.level)
    return Score(
        value=float(np.mean(list(values.values()))),
        low=low,
        high=high,
        level=first.score.level,
        method=method,
        replicates=averaged.tolist(),
        seeds=[SeedScore(seed=seed, value=value) for seed, value in values.items()],
    )


def _combine_values(values: Sequence[Value], level: float) -> Value:
    estimates = np.array([value.value for value in values])
    mean = float(estimates.mean())
    intervals = [(value.low, value.high) for value in values if value.low is not None and value.high is not None]
    if len(intervals) < len(values):
        return Value(value=mean)
    n = len(values)
    between = NormalDist().inv_cdf((1 + level) / 2) * estimates.std(ddof=1) / np.sqrt(n) if n > 1 else 0.0
    below, above = np.abs(np.array(intervals) - estimates[:, None]).mean(axis=0)
    return Value(value=mean, low=mean - float(np.hypot(below, between)), high=mean + float(np.hypot(above, between)))


def _combine_series(series: Sequence[dict[str, list[float]]]) -> dict[str, list[float]]:
    shared = [key for key in series[0] if all(len(other.get(key, ())) == len(series[0][key]) for other in series)]
    return {key: np.mean([other[key] for other in series], axis=0).tolist() for key in shared}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
