"""Check, try and score one artifact for one task inside a contained process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from l96bench.data.store import cache_folder
from l96bench.errors import SubmissionError
from l96bench.files import write_atomic
from l96bench.graphs.onnx_file import onnx_faults
from l96bench.jit import cache_root
from l96bench.parallel import installed
from l96bench.results.record import ModelInfo
from l96bench.submissions.artifacts import Artifact, read_content, read_equations
from l96bench.submissions.fresh import fresh_seed
from l96bench.tasks.artifacts import EQUATIONS, ONNX, PREDICTIONS
from l96bench.tasks.base import Task, shared

__all__ = ["Item", "evaluate", "evaluate_anew", "examine", "inspect", "look_through", "prepare", "try_out"]


@dataclass(frozen=True, slots=True)
class Item:
    """An artifact, a task that it enters, and the description of its row (without the number of parameters)."""

    task: Task
    artifact: Artifact
    info: ModelInfo


def prepare(work: Sequence[Any]) -> None:
    """Make and keep what the items need and a process that is cut off from files cannot keep.

    On the first call with this version of the code, the families' examples are scored, which compiles what they run.
    The miniatures of closures that are tried are simulated.
    """
    tried = {each[1].task for each in work if isinstance(each, tuple) and each[1].artifact.kind == ONNX}
    for task in tried:
        task.miniature().prepare(False)
    tasks = [each[1].task if isinstance(each, tuple) else getattr(each, "task", None) for each in work]
    place = hashlib.sha256(str(cache_root()).encode()).hexdigest()[:8]
    for task in {task.family: task for task in tasks if task is not None}.values():
        done = cache_folder() / "compiled" / f"{task.family}-{installed()['l96bench']}-{place}"
        if done.exists():
            continue
        mini = task.miniature()
        mini.evaluate_content(mini.example().content, mini.references["floor"].info)
        write_atomic(done, "")


def evaluate(item: Item) -> dict[str, Any]:
    """Return the fields of the result of an artifact on a task; SubmissionError or ModelError if it cannot be used."""
    task = shared(item.task)
    result = task.evaluate_content(read_content(item.artifact, task), item.info)
    fields: dict[str, Any] = json.loads(result.to_json())
    return fields


def evaluate_anew(item: Item) -> dict[str, Any] | None:
    """Return the fields of the result of an artifact on a fresh draw of the task; None if it cannot answer that."""
    task = shared(item.task)
    content = read_content(item.artifact, task)
    if not task.answers_anew(content):
        return None
    fresh = shared(task.fresh(fresh_seed(item.artifact.digest)))
    fields: dict[str, Any] = json.loads(fresh.evaluate_content(content, item.info).to_json())
    return fields


def examine(work: tuple[str, Item]) -> Any:
    """Call `inspect` or `try_out`, whichever is named with the item."""
    step, item = work
    return {"inspect": inspect, "try_out": try_out}[step](item)


def inspect(item: Item) -> str:
    """Raise unless the artifact has a kind, size and form that the task can score; return an empty text.

    No data set is needed: closures are called with normally distributed states.
    """
    item.task.check_content(read_content(item.artifact, item.task))
    return ""


def look_through(artifact: Artifact) -> list[str]:
    """Return a line for each fault of an artifact that does not depend on the task."""
    try:
        if artifact.kind == EQUATIONS:
            read_equations(artifact)
        described = artifact.described.step is not None  # what it becomes depends on the task
        return onnx_faults(artifact.data, artifact.name) if artifact.kind == ONNX and not described else []
    except SubmissionError as error:
        return [str(error)]


def try_out(item: Item) -> float | None:
    """Return the score of an artifact on the task's miniature; None if it can only be scored on the whole task."""
    task, artifact = item.task.miniature(), item.artifact
    if artifact.kind == PREDICTIONS:
        return None
    content = read_content(artifact, task)
    if isinstance(content.value, dict):  # equations for each problem of the whole task
        return None
    result = task.evaluate_content(content, item.info)
    task.check_trial(content, result)
    return result.score.value
