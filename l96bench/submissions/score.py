"""Score a ready model from a user's module, or a file of predictions, equations or a closure."""

from __future__ import annotations

from pathlib import Path

from l96bench.entries.lookup import find_entry
from l96bench.errors import ModelError
from l96bench.results.record import ModelInfo, Result
from l96bench.submissions.artifacts import SUFFIXES, Artifact, read_content
from l96bench.submissions.contained import run_contained
from l96bench.submissions.evaluation import Item
from l96bench.tasks.artifacts import PREDICTIONS
from l96bench.tasks.base import Task
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.registry import make_task

__all__ = ["score_model"]


def score_model(model: str, task_id: str) -> Result:
    """Score a ready model on a task.

    `model` is ``file.npz`` (predicted U as ``test`` and optionally ``shift``), ``file.json``, ``file.yaml`` or
    ``file.onnx`` as in a submission, or ``module:object``: a fitted model, function or closure.
    Raises UnknownIdError, ModelError or L96BenchError for an unknown task or module, or unusable predictions.
    """
    task = make_task(task_id)
    command = f"l96bench score {model} --task {task.id}"
    if Path(model).suffix in SUFFIXES:
        return _score_file(Path(model), task, command)
    entry, _ = find_entry(model)
    if entry.declared:
        seed = next(iter(entry.seeds))
        ready, seconds = entry.train(task, seed)
        return task.evaluate(ready, entry.info(task, ready, seed, command), training_seconds=seconds)
    ready = entry.model(task, 0)
    info = ModelInfo(
        name=entry.name,
        kind=entry.kind,
        inputs=entry.inputs,
        parameters=count_parameters(ready),
        command=command,
        source=entry.source,
        description=entry.description,
    )
    return task.evaluate(ready, info)


def _score_file(path: Path, task: Task, command: str) -> Result:
    """Score a file: predictions in this process, closures and equations in a contained one."""
    artifact = Artifact.read(path.parent, path.name)
    info = ModelInfo(name=path.stem, kind=artifact.kind, inputs="unknown", command=command)
    content = read_content(artifact, task)
    if artifact.kind == PREDICTIONS:
        return task.evaluate_content(content, info)
    task.prepare()
    [outcome] = run_contained("l96bench.submissions.evaluation:evaluate", [Item(task, artifact, info)])
    if outcome.fault:
        raise ModelError(outcome.fault)
    return Result.model_validate(outcome.value)
