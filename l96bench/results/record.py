"""Results: what one entry scored on one task, as a validated record and a JSON file."""

from __future__ import annotations

import html
import importlib.metadata
import json
import os
import platform
import re
import shlex
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    model_validator,
)

from l96bench.display import axes_for
from l96bench.errors import ResultError, faulty_fields
from l96bench.files import read_json, read_plain, write_atomic
from l96bench.results.origin import FreshDraw, Origin, SubmissionInfo, slug_of
from l96bench.results.score import Curve, FrozenRecord, Score, Value

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

_TASK_ID = re.compile(r"^(?P<family>[a-z0-9-]+)/(?P<regime>[a-z0-9-]+)-v[0-9]+$")
MAX_BYTES = 5_000_000
"""The largest result file; those of the board have less than a hundredth."""
_N_SHOWN = 12
"""Number of metrics that a printed result shows."""
_LIST_OF_NUMBERS = re.compile(r"\[\n([-+.\deE,\s]+)\]")


Name = Annotated[str, Field(min_length=1, max_length=100)]
Key = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class ModelInfo(FrozenRecord):
    """Description of a scored model, enough to know it and to make it again.

    Parameters
    ----------
    name, kind : str
        Title of the rows, and kind of the method, of 1 to 100 characters each.
    inputs : str
        What it sees, such as ``"X_k"``.
    parameters : int, optional
        Number of trained parameters.
    trained_on : str, optional
        What it was fitted to.
    seeds : list of int
        Training seeds.
    command : str
        The command that makes the row again.
    source, description : str
        A citation, and one line.

    Examples
    --------
    >>> import l96bench
    >>> info = l96bench.ModelInfo(name="slope", kind="polynomial", inputs="X_k", command="l96bench run slope.py")
    >>> info.script
    'slope.py'
    """

    name: Name
    kind: Name
    inputs: str
    parameters: Count | None = None
    trained_on: str | None = None
    seeds: list[int] = Field(default=[])
    command: str
    source: str = ""
    description: str = ""

    @property
    def script(self) -> str:
        """The script that made it, as `find_code` takes it; empty if the command is no ``l96bench run``."""
        try:
            words = shlex.split(self.command)
        except ValueError:
            return ""
        return words[2] if words[:2] == ["l96bench", "run"] and len(words) > 2 else ""


class Failures(FrozenRecord):
    """Number of predictions or runs, out of ``of``, that were not finite or left the attractor.

    Parameters
    ----------
    non_finite, diverged : int
        Number of predictions that were not finite, and of runs that left the attractor; at most `of`.
    of : int
        Number of predictions or runs.
    note : str
        What happened, in words.

    Examples
    --------
    >>> import l96bench
    >>> l96bench.Failures(diverged=1, of=3)
    Failures(non_finite=0, diverged=1, of=3, note='')
    """

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


class Cost(FrozenRecord):
    """Cost of an entry; ``None`` where nothing was measured.

    ``training_seconds`` are of all processors together, whatever else the machine did meanwhile.
    ``kernel_steps_per_call``, the time of a call over that of one step of the reference kernel, compares machines.
    """

    training_seconds: Amount | None = None
    microseconds_per_call: Amount | None = None
    kernel_steps_per_call: Amount | None = None


class Environment(FrozenRecord):
    """Versions and processor that a result was made with."""

    python: str
    numpy: str
    numba: str
    cpu: str
    platform: str

    @classmethod
    def current(cls) -> Environment:
        """Return the environment of this process; ``cpu`` is the microarchitecture that Numba compiles for."""
        from llvmlite.binding import get_host_cpu_name

        return cls(
            python=platform.python_version(),
            numpy=importlib.metadata.version("numpy"),
            numba=importlib.metadata.version("numba"),
            cpu=get_host_cpu_name(),
            platform=f"{platform.system()} {platform.machine()}",
        )


class Result(FrozenRecord):
    """One row of the leaderboard: one entry on one task.

    A quantity that is not finite has no place here: the caller clips it, or counts it in ``failures``.

    Parameters
    ----------
    schema : str
        Name of the format.
    task : str
        Id of the task.
    task_version : int
        Version of the task, also in its id.
    data_digests : dict of str to str
        SHA-256 in hex of the arrays that were read.
    scorer_version : str
        Version of l96bench.
    split : str
        What was scored: the registered test data, or others.
    model : ModelInfo
        What was scored.
    score : Score
        The score, with its interval and its replicates, which are kept to 6 significant digits.
    metrics : dict of str to Value
        Single numbers with intervals.
    series : dict of str to list of float
        Curves, such as skill by lead, kept to 6 significant digits.
    failures : Failures
        What was clipped or left out.
    cost : Cost
        Times.
    environment : Environment
        Versions and processor.
    predictions_digest : str
        SHA-256 in hex.
    submission : SubmissionInfo, optional
        Where a submission came from.
    fresh : FreshDraw, optional
        How the artifact of a submission does on test data drawn anew.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> result = task.evaluate(l96bench.NoClosure(), progress=False)
    >>> result.task, sorted(result.metrics)[:3], result.failures.of
    ('subgrid-forcing/wilks-f20-v1', ['bias', 'bias_shift', 'r2'], 9600)
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
    series: dict[Key, Curve] = Field(default={}, repr=False)
    failures: Failures
    cost: Cost
    environment: Environment
    predictions_digest: str
    submission: SubmissionInfo | None = None
    fresh: FreshDraw | None = None

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

    @property
    def role(self) -> str:
        """``reference``, such as a floor, ``attack`` or ``entry``; a submission is an entry, whatever its kind says."""
        is_own = self.submission is None and self.model.kind in ("reference", "attack")
        return self.model.kind if is_own else "entry"

    @property
    def competes(self) -> bool:
        """Whether it is an entry's, neither a reference nor one of the board's attacks."""
        return self.role == "entry"

    @property
    def origin(self) -> Origin:
        """The kind of row, as far as the row tells; a declared one may be sealed elsewhere, by a row of a season."""
        if self.submission is None:
            return Origin.TRAINED_HERE
        return Origin.SEALED if self.split.startswith("season ") else Origin.DECLARED

    def __str__(self) -> str:
        score = self.score
        head = f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]  {self.task}  {self.model.name}"
        lines = [f"  {name}: {value}" for name, value in self.metrics.items()]
        more = [f"  ... and {len(lines) - _N_SHOWN} more in `metrics` and `to_frame()`"] if lines[_N_SHOWN:] else []
        return "\n".join([head, *lines[:_N_SHOWN], *more])

    def __repr__(self) -> str:
        own = self.score
        score = f"{own.value:.2f} [{own.low:.2f}, {own.high:.2f}]"
        return f"Result({self.task!r}, {self.model.name!r}, score={score}, {len(self.metrics)} metrics)"

    def _repr_html_(self) -> str:
        """Return the result as a table of HTML, which notebooks show."""
        numbers: dict[str, tuple[float | None, ...]] = {"score": (self.score.value, self.score.low, self.score.high)}
        numbers |= {name: (own.value, own.low, own.high) for name, own in self.metrics.items()}
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{end:.6g}</td>' for end in own if end is not None)}</tr>"
            for name, own in numbers.items()
        )
        title = f"{html.escape(self.model.name)}, {html.escape(self.task)}"
        header = "".join(f"<th>{name}</th>" for name in ("", "value", "low", "high"))
        return f"<table><caption>{title}</caption><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"

    def to_frame(self) -> pandas.DataFrame:
        """Return a DataFrame of one row with the columns of `load_results`, rank and flags missing."""
        from l96bench.results.frame import make_frame, result_record

        return make_frame([result_record(self)])

    def plot(self, ax: Axes | None = None, curve: str | None = None, **options: Any) -> Axes:
        """Draw a curve, such as skill by lead, and return the axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes if not given.
        curve : str, optional
            A key of `series`; the first, by lead if there are any, if not given.
        **options
            For matplotlib's ``plot``; the label is the model's name.

        Raises
        ------
        ResultError
            If there is no such curve, or none at all.
        """
        by_lead = [key for key in self.series if key.endswith("_by_lead")]
        key = next(iter(by_lead or self.series), None) if curve is None else curve
        if key not in self.series:
            known = ", ".join(self.series) or "none"
            raise ResultError(f"{self.model.name} on {self.task}: no curve {curve!r}; its curves are {known}")
        values, across = self.series[key], "lead" if key in by_lead else "place"
        places = self.series["lead"] if key in by_lead and "lead" in self.series else range(len(values))
        ax = axes_for(ax)
        ax.plot(places, values, **({"label": self.model.name.replace("$", r"\$")} | options))
        ax.set(xlabel="lead (MTU)" if across == "lead" else across, ylabel=key.replace("_", " "))
        return ax

    def to_json(self) -> str:
        """Return the text of the result's file: indented, keys in a fixed order, lists of numbers on one line each."""
        absent = {name for name in ("submission", "fresh") if getattr(self, name) is None}
        fields = self.model_dump(mode="json", exclude=absent)
        if self.score.blocks is None:
            del fields["score"]["blocks"]
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
        """Return the result in a file; `ResultError` names an unreadable or invalid file and every faulty field."""
        try:
            data = read_plain(path, MAX_BYTES)
            result = cls.model_validate_json(data, strict=True)
            read_json(data)  # which refuses what pydantic's own reader may take for something else
        except OSError as error:
            raise ResultError(f"{path}: cannot be read ({error.strerror})") from error
        except ValidationError as error:
            raise ResultError("\n  ".join([f"{path}: not a valid result", *faulty_fields(error)])) from error
        except ValueError as error:
            raise ResultError(f"{path}: not a valid result\n  {error}") from error
        if "schema_" not in result.model_fields_set:
            raise ResultError(
                f"{path}: not a valid result\n  schema: expected {result.schema_!r}, the field is missing"
            )
        return result
