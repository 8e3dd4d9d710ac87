"""The description of a submission, `submission.yaml`: its fields, their checks, and its JSON schema."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from l96bench.errors import L96BenchError, SubmissionError, faulty_fields
from l96bench.graphs.step_map import StepMap
from l96bench.results.origin import Label, SubmissionInfo, slug_of
from l96bench.results.record import ModelInfo
from l96bench.submissions.fields import README_FILE, SUBMISSION_FILE, Artifacts, Line, Link, Prose, Slug, TaskId
from l96bench.submissions.plain_yaml import read_yaml
from l96bench.tasks.base import Task
from l96bench.tasks.described import PLACES, STRICT, Assimilation, Described
from l96bench.tasks.registry import list_tasks, make_task
from l96bench.tasks.sources import TRAINING_SPLITS

__all__ = ["SCHEMA", "Lifecycle", "Submission", "TrainingCost", "TrainingData", "json_schema"]

SCHEMA = "l96bench/submission/2"
"""The schema of new descriptions; those of schema 1, which has fewer fields, are read as well."""
_FROM_2 = ("lifecycle", "training_cost", "links", "assimilation", "step")
"""The fields that schema 1 has not."""


def _by_task(part: type[BaseModel], given: Any) -> Any:
    """Return one description of a kind as that for all tasks; a mapping by task has mappings only."""
    several = isinstance(given, dict) and given and all(isinstance(each, dict) for each in given.values())
    return given if several and not given.keys() & part.model_fields.keys() else {"default": given}


TaskKey = Annotated[str, Field(max_length=100)]
Assimilations = Annotated[
    dict[TaskKey, Assimilation],
    Field(min_length=1, max_length=100),
    BeforeValidator(partial(_by_task, Assimilation), json_schema_input_type=Assimilation | dict[str, Assimilation]),
]
Steps = Annotated[
    dict[TaskKey, StepMap],
    Field(min_length=1, max_length=100),
    BeforeValidator(partial(_by_task, StepMap), json_schema_input_type=StepMap | dict[str, StepMap]),
]


class _Part(BaseModel):
    """A strict, frozen model: unknown keys and values of another type are errors that name their field."""

    model_config = STRICT


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


class Lifecycle(_Part):
    """Whether a submission is still its authors' answer, and which one replaces it.

    Attributes
    ----------
    status : {"active", "superseded"}
    superseded_by : str, optional
        The name of the folder of the submission that replaces it.
    """

    status: Literal["active", "superseded"]
    superseded_by: Slug | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.status == "superseded") != (self.superseded_by is not None):
            raise ValueError("expected superseded_by with status: superseded, and only there")
        return self


class TrainingCost(_Part):
    """The hardware that the model was trained on, in one line, and the hours on it."""

    hardware: Line
    hours: Annotated[float, Field(ge=0, le=1e7)]

    def __str__(self) -> str:
        return f"{self.hours:g} hours on {self.hardware}"


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
    lifecycle : Lifecycle, optional
        This and all that follows is of schema 2. Active if not given.
    training_cost : TrainingCost, optional
    links : dict of str to str
        Addresses of its paper, code, data and homepage.
    assimilation : dict of str to Assimilation, or one Assimilation for all
        How the files of `da-increment` are run, by keys as those of `artifacts`: by default as models of increments.
    step : dict of str to StepMap, or one StepMap for all
        Which inputs and outputs of a file are state and random numbers, by keys as those of `artifacts`.
    """

    schema_: Literal["l96bench/submission/1", "l96bench/submission/2"] = Field(alias="schema")
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
    lifecycle: Lifecycle | None = None
    training_cost: TrainingCost | None = None
    links: Annotated[dict[Label, Link], Field(max_length=4)] = {}
    assimilation: Assimilations | None = None
    step: Steps | None = None

    @model_validator(mode="after")
    def _check_schema(self) -> Self:
        if self.schema_ != SCHEMA and (newer := [name for name in _FROM_2 if name in self.model_fields_set]):
            expected = f"expected schema: {SCHEMA}, which has such a field, got schema: {self.schema_}"
            raise ValueError(f"{', '.join(newer)}: {expected}")
        if self.lifecycle is not None and self.lifecycle.superseded_by == self.slug:
            raise ValueError("lifecycle: expected another submission as superseded_by, got itself")
        return self

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

    @model_validator(mode="after")
    def _check_described(self) -> Self:
        for field in (each.name for each in dataclasses.fields(Described)):
            given = getattr(self, field) or {}
            heeding = [task for task in map(make_task, self.tasks) if field in task.heeds]
            keys = {task.id: _key(given, task) for task in heeding}
            if unused := sorted(given.keys() - set(keys.values())):
                known = "task ids, regimes, families or default"
                raise ValueError(f"{field}: no task that heeds it uses {unused[:5]}; expected {known}")
            if code := [id for id, key in keys.items() if key and self.artifact(make_task(id)).startswith("python:")]:
                raise ValueError(f"{field}: expected a file for {code[0]}, got code, which says itself how it is run")
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

    def described(self, task: Task) -> Described:
        """Return what is said about how the artifact is run for a task."""
        given = {name: getattr(self, name) or {} for name in task.heeds}
        keys = {name: _key(each, task) for name, each in given.items()}
        return Described(**{name: given[name][key] for name, key in keys.items() if key is not None})

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
            run_as=str(self.described(task))[:400],
            training_cost="" if self.training_cost is None else str(self.training_cost),
            links=dict(self.links),
            superseded_by="" if self.lifecycle is None else self.lifecycle.superseded_by or "",
        )

    def overlaps(self, task: Task) -> list[str]:
        """Return the declared training data that the task tests on."""
        tested = set(task.splits) - TRAINING_SPLITS
        same = [each for each in self.training if each.regime == task.regime_id]
        return [each.text() for each in same if each.split in tested]


def _key(given: Mapping[str, Any], task: Task) -> str | None:
    """Return the key of what is given for a task."""
    return next((key for key in (task.id, task.regime_id, task.family, "default") if key in given), None)


def _known_keys(where: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are known where an unknown one is, by the fields and names of filters on the way there."""
    own: dict[str, type[BaseModel]] = {"training": TrainingData, "lifecycle": Lifecycle, "training_cost": TrainingCost}
    parts = own | dict(PLACES)
    part = next((parts[str(each)] for each in reversed(where[:-1]) if str(each) in parts), Submission)
    return [field.alias or name for name, field in part.model_fields.items()]


def json_schema() -> str:
    """Return the JSON schema of `submission.yaml` for editors, as indented text with the ids of all tasks."""
    schema = Submission.model_json_schema(by_alias=True)
    schema["properties"]["tasks"]["items"] = {"enum": list_tasks()}
    schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"{SUBMISSION_FILE} of l96bench"}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
