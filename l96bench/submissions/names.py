"""Resolve names on the command line: entries, submission folders, artifacts and result files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from l96bench.entries.entry import Entry
from l96bench.entries.lookup import EntryCode, find_code
from l96bench.errors import L96BenchError, UnknownIdError
from l96bench.results.load import find_board
from l96bench.results.origin import slug_of
from l96bench.results.record import Result
from l96bench.submissions.artifacts import Artifact, read_content
from l96bench.submissions.fields import SUBMISSION_FILE
from l96bench.submissions.folder import SubmissionFolder
from l96bench.tasks.base import Task
from l96bench.tasks.registry import list_tasks, make_task

__all__ = ["Named", "entry_of", "resolve"]

_ARTIFACTS = (".onnx", ".yaml", ".json", ".npz")


@dataclass(frozen=True, slots=True)
class Named:
    """The object that a name denotes: an entry, a submission folder, an artifact or a result.

    `text` is the name as given; for an entry its key, path or ``module:object``.
    """

    text: str
    kind: Literal["entry", "folder", "artifact", "result"]
    code: EntryCode | None = None
    folder: SubmissionFolder | None = None
    result: Result | None = None

    @property
    def title(self) -> str:
        """The title of its rows."""
        if self.code is not None:
            return self.code.load().name
        if self.folder is not None:
            return self.folder.submission.name
        return Path(self.text).stem if self.result is None else self.result.model.name

    def script(self) -> str:
        """The name for `find_code`, for a result of the entry that made it; L96BenchError if nothing can be trained."""
        if self.code is not None:
            return self.text
        if self.result is not None and self.result.submission is None:
            entry_of(self.result, self.text)
            return self.result.model.script
        raise L96BenchError(f"{self.text}: expected something to train, got what is ready; try `l96bench score`")

    def entry(self) -> Entry:
        """Return the entry, for a result the one that made it, or for an artifact a ready one; else L96BenchError."""
        if self.code is not None:
            return self.code.load()
        if self.result is not None:
            return entry_of(self.result, self.text)
        if self.folder is not None:
            return _ready(self.folder)
        path = Path(self.text)
        if path.suffix == ".npz":
            raise L96BenchError(f"{path}: expected a model, got a file of predictions, which can only be scored")
        artifact = Artifact.read(path.parent, path.name)
        families = tuple(dict.fromkeys(id.partition("/")[0] for id in list_tasks()))
        return Entry(path.stem, artifact.kind, "unknown", lambda task, seed: _load(artifact, task), (0,), families)


def resolve(text: str) -> Named:
    """Resolve the name of an entry, a submission (its folder, or its name on the board), an artifact or a result file.

    Raises UnknownIdError, naming the nearest entries and where they were looked for, if it is none of these.
    """
    path = Path(text)
    if (path / SUBMISSION_FILE).is_file():
        return Named(text, "folder", folder=SubmissionFolder.read(path))
    if path.suffix in _ARTIFACTS:
        if not path.is_file():
            raise UnknownIdError(f"no file {text!r}; looked for {path.absolute()}")
        if path.suffix == ".json" and b'"l96bench/result/' in _beginning(path):
            return Named(text, "result", result=Result.read(path))
        return Named(text, "artifact")
    try:
        code = find_code(text)
    except UnknownIdError:
        if (folder := _on_board(text)) is None:
            raise
        return Named(text, "folder", folder=folder)
    return Named(code.name, "entry", code=code)


def _on_board(name: str) -> SubmissionFolder | None:
    """Return the submission of that name on the board around this folder, if there is one."""
    try:
        place = find_board() / "submissions" / slug_of(name)
    except L96BenchError:
        return None
    return SubmissionFolder.read(place) if (place / SUBMISSION_FILE).is_file() else None


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(200)


def entry_of(row: Result, shown: str) -> Entry:
    """Return the entry that made a row: a submission on the board, or the script in its command; else L96BenchError."""
    if row.submission is not None:
        place = find_board() / "submissions" / row.slug
        if not (place / SUBMISSION_FILE).is_file():
            raise L96BenchError(f"{shown}: expected its submission in {place}, found none; give its folder instead")
        return _ready(SubmissionFolder.read(place))
    name = row.model.script
    if not name:
        raise L96BenchError(f"{shown}: expected a row of an entry, got one made by {row.model.command!r}")
    entry = find_code(name).load()
    if entry.name != row.model.name:
        raise L96BenchError(f"{shown}: expected {name} to be called {row.model.name!r}, got {entry.name!r}")
    return entry


def _ready(folder: SubmissionFolder) -> Entry:
    """Return a submission as an entry on its own tasks."""
    submission, tasks = folder.submission, [make_task(id) for id in folder.submission.tasks]

    def make(task: Task, seed: int) -> Any:
        artifact = folder.artifact(task)
        if artifact is None:
            raise L96BenchError(f"{folder.path}: {submission.artifact(task)} is code; give MODULE:OBJECT instead")
        return _load(artifact, task)

    families, regimes = ({getattr(task, name): None for task in tasks} for name in ("family", "regime_id"))
    return Entry(
        submission.name, submission.kind, submission.inputs, make, (0,), tuple(families), tuple(regimes), trained_on=""
    )


def _load(artifact: Artifact, task: Task) -> Any:
    return task.read_model(read_content(artifact, task))
