"""The description of a submission, `submission.yaml`: its fields, their checks, and its JSON schema."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from l96bench.errors import L96BenchError, SubmissionError, UnknownIdError, faulty_fields
from l96bench.results.origin import SubmissionInfo, slug_of
from l96bench.results.record import ModelInfo
from l96bench.submissions.plain_yaml import read_yaml
from l96bench.submissions.reserved import is_device, is_invisible
from l96bench.tasks.base import Task
from l96bench.tasks.registry import list_tasks, make_task
from l96bench.tasks.sources import TRAINING_SPLITS

__all__ = ["ARTIFACT_NAMES", "README_FILE", "SCHEMA", "SUBMISSION_FILE", "Submission", "TrainingData", "json_schema"]

SUBMISSION_FILE = "submission.yaml"
"""The name of the file that describes a submission."""
README_FILE = "README.md"
"""The name of the file with anything else that a reader should know."""
SCHEMA = "l96bench/submission/1"
ARTIFACT_NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}\.(onnx|yaml|json)", re.ASCII)
"""The names that artifact files may have; none leads out of the folder."""
_PYTHON = re.compile(r"python:[A-Za-z_][\w.]{0,200}:[A-Za-z_]\w{0,100}", re.ASCII)
_MARKUP = re.compile(r"<[A-Za-z/!?]|&[#A-Za-z0-9]+;|\]\(|javascript:", re.IGNORECASE)
_SIGNS = ".,:;+-/()'=#%{}^²³±×°µ·&!?’‘“”–—…"
_LINE = re.compile(rf"[\w {re.escape(_SIGNS)}]+")
"""Characters of names in tables: letters of any script, digits, spaces, and those of formulas and of typeset text."""
_ENTITY = re.compile(r"&&|&#?\w+;")


def _line(text: str) -> str:
    """Return a text for a table if it is one line of plain characters, or raise."""
    if text != text.strip() or text != unicodedata.normalize("NFC", text):
        raise ValueError("expected no space at its ends, and composed characters (NFC)")
    if not _LINE.fullmatch(text) or "__" in text or _ENTITY.search(text) or not any(map(str.isalnum, text)):
        strange = [*sorted({each for each in text if not _LINE.fullmatch(each)}), *_ENTITY.findall(text)]
        raise ValueError(f"expected letters, digits, spaces and {_SIGNS}_, got also {strange[:5]}")
    if hidden := sorted({each for each in text if is_invisible(each)}):
        raise ValueError(f"expected characters that can be seen, got {', '.join(map(ascii, hidden[:5]))}")
    return text


def _prose(text: str) -> str:
    """Return a description if it is plain text without HTML or Markdown, or raise."""
    for each in text:
        if unicodedata.category(each) in {"Cc", "Cf", "Co", "Cs", "Cn"} and each != "\n":
            raise ValueError(f"expected printable characters, got {each!r}")
    if found := _MARKUP.search(text):
        raise ValueError(f"expected plain text without HTML or Markdown, got {found[0]!r}")
    return text.strip()


def _task_id(text: str) -> str:
    try:
        make_task(text)
    except UnknownIdError as error:
        raise ValueError(str(error)) from error
    return text


def _artifact(text: str) -> str:
    if text.endswith(".npz"):
        raise ValueError(
            "expected a model, got a file of predictions: whoever has the public test states can predict them without "
            "one. `l96bench score FILE --task ID` scores predictions for their author alone"
        )
    if not (ARTIFACT_NAMES.fullmatch(text) or _PYTHON.fullmatch(text)):
        raise ValueError(
            "expected the name of a file in the folder (NAME.onnx, NAME.yaml or NAME.json, of letters, digits, - and "
            "_), or python:MODULE:OBJECT"
        )
    if text == SUBMISSION_FILE:
        raise ValueError(f"expected an artifact, got {SUBMISSION_FILE} itself")
    if is_device(text.partition(".")[0]):
        raise ValueError("expected a name that a file can have on Windows")
    return text


def _by_task(given: Any) -> Any:
    return {"default": given} if isinstance(given, str) else given


Line = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_line)]
Prose = Annotated[str, Field(max_length=2000), AfterValidator(_prose)]
TaskId = Annotated[str, Field(max_length=100), AfterValidator(_task_id)]
Artifact = Annotated[str, Field(max_length=320), AfterValidator(_artifact)]
Artifacts = Annotated[
    dict[Annotated[str, Field(max_length=100)], Artifact],
    Field(min_length=1, max_length=100),
    BeforeValidator(_by_task, json_schema_input_type=Artifact | dict[str, Artifact]),
]


class _Part(BaseModel):
    """A strict, frozen model: unknown keys and values of another type are errors that name their field."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TrainingData(_Part):
    """One data set that the model, or any choice about it, was fitted to.

    Attributes
    ----------
    regime : str
        A regime or track of l96bench, such as ``wilks-f20``; ``other`` for other data, which `note` then describes.
    split : str
        A split of l96bench, test data included if they were used; ``own`` for trajectories simulated for the purpose.
    mtu : float, optional
        The amount in MTU (or cycles); everything if not given.
    seeds : list of int
        The seeds of the simulated trajectories, with the split ``own``.
    note : str
        Anything else, in words.
    """

    regime: Line
    split: Literal[
        "train", "train-fine", "valid", "test", "shift", "perfect", "climate", "climate-twin", "climate-shift",
        "climate-shift-twin", "own",
    ]  # fmt: skip
    mtu: Annotated[float, Field(gt=0, strict=False)] | None = None
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(max_length=1000)] = []
    note: Prose = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.split == "own" and not self.seeds:
            raise ValueError("expected the seeds of the simulated trajectories with split: own")
        return self

    def text(self) -> str:
        """Describe the data set in words."""
        amount = "" if self.mtu is None else f", {self.mtu:g} MTU"
        seeds = f", seeds {', '.join(map(str, self.seeds))}" if self.seeds else ""
        return f"{self.regime} {self.split}{amount}{seeds}"


class Submission(_Part):
    """The fields of `submission.yaml`.

    Attributes
    ----------
    name, kind, inputs : str
        The name of the row, the kind of the method, and what it sees (``X_k``, ``X_{k-2..k+2}``), as tables show them.
    authors : list of str
        Their names.
    description, source, license : str
        One or a few sentences; a citation; an SPDX identifier.
    tasks : list of str
        The ids of the tasks to be scored on.
    artifacts : dict of str to str, or one str for all
        The file for each task, by the task's id, its regime (or track), its family, or ``default``; the first of these
        keys that is there counts. ``python:MODULE:OBJECT`` in place of a file works on one's own machine only, and is
        marked self-reported.
    training : list of TrainingData
        All data that the model was fitted to; an empty list if it was not fitted.
    """

    schema_: Literal["l96bench/submission/1"] = Field(alias="schema")
    name: Line
    authors: Annotated[list[Line], Field(min_length=1, max_length=50)]
    kind: Line
    inputs: Line
    description: Annotated[Prose, Field(min_length=1)]
    source: Prose = ""
    license: Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z0-9.+() -]*$")] = ""
    tasks: Annotated[list[TaskId], Field(min_length=1, max_length=200)]
    artifacts: Artifacts
    training: Annotated[list[TrainingData], Field(max_length=100)]

    @model_validator(mode="after")
    def _check_artifacts(self) -> Self:
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError("tasks: expected each task once")
        spelled: dict[str, str] = {}
        for name in (SUBMISSION_FILE, README_FILE, *self.files):
            if (other := spelled.setdefault(name.lower(), name)) != name:
                raise ValueError(f"artifacts: {other} and {name} are one file on many machines; rename one")
        used = set()
        for id in self.tasks:
            key = _key(self.artifacts, make_task(id))
            if key is None:
                raise ValueError(f"artifacts: expected one for {id}: under its id, its regime, its family or default")
            used.add(key)
        if unused := sorted(set(self.artifacts) - used):
            raise ValueError(f"artifacts: no task uses {unused[:5]}; expected task ids, regimes, families or default")
        return self

    @classmethod
    def parse(cls, data: bytes, name: str = SUBMISSION_FILE) -> Submission:
        """Return the submission in a YAML text; SubmissionError, with a line for each fault, if it is invalid."""
        return cls.of(read_yaml(data, name), name)

    @classmethod
    def of(cls, fields: Any, name: str = SUBMISSION_FILE) -> Submission:
        """Return the submission with these fields, as plain data; see `parse`."""
        if not isinstance(fields, dict):
            raise SubmissionError(f"{name}: expected a mapping (name: .., tasks: ..), got {type(fields).__name__}")
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise SubmissionError("\n".join(f"{name}: {line}" for line in faulty_fields(error, _known_keys))) from error

    @property
    def slug(self) -> str:
        """The name in the form used for its folder and files."""
        return slug_of(self.name)

    def artifact(self, task: Task) -> str:
        """Return the file name (or ``python:..``) of the artifact for a task."""
        key = _key(self.artifacts, task)
        if key is None:
            raise L96BenchError(f"{self.name!r} has no artifact for {task.id}")
        return self.artifacts[key]

    @property
    def files(self) -> list[str]:
        """The names of all artifact files."""
        return sorted({each for each in self.artifacts.values() if not each.startswith("python:")})

    def model_info(self, task: Task, parameters: int | None = None) -> ModelInfo:
        """Return the description of its row on a task."""
        return ModelInfo(
            name=self.name,
            kind=self.kind,
            inputs=self.inputs,
            parameters=parameters,
            trained_on="; ".join(each.text() for each in self.training) or None,
            seeds=[],
            command=f"l96bench score leaderboard/submissions/{self.slug} --task {task.id}",
            source=self.source,
            description=self.description,
        )

    def info(self, task: Task, digest: str | None, status: Literal["verified", "self-reported"]) -> SubmissionInfo:
        """Return the origin of its row on a task: authors, artifact and its SHA-256, overlaps, status."""
        return SubmissionInfo(
            status=status,
            authors=list(self.authors),
            artifact=self.artifact(task),
            artifact_sha256=digest,
            license=self.license,
            overlaps=self.overlaps(task),
        )

    def overlaps(self, task: Task) -> list[str]:
        """Return the declared training data that the task tests on."""
        tested = set(task.splits) - TRAINING_SPLITS
        same = [each for each in self.training if each.regime == task.regime_id]
        return [each.text() for each in same if each.split in tested]


def _key(artifacts: Mapping[str, str], task: Task) -> str | None:
    """Return the key of the artifact for a task."""
    return next((key for key in (task.id, task.regime_id, task.family, "default") if key in artifacts), None)


def _known_keys(where: tuple[int | str, ...]) -> list[str]:
    part: type[BaseModel] = TrainingData if where[0] == "training" and len(where) > 1 else Submission
    return [field.alias or name for name, field in part.model_fields.items()]


def json_schema() -> str:
    """Return the JSON schema of `submission.yaml` for editors, as indented text with the ids of all tasks."""
    schema = Submission.model_json_schema(by_alias=True)
    schema["properties"]["tasks"]["items"] = {"enum": list_tasks()}
    schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"{SUBMISSION_FILE} of l96bench"}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
