"""Scoring what is ready: a model from a module of the user's, or a file of predictions or equations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.entries.entry import find_entry
from l96bench.errors import L96BenchError, ModelError
from l96bench.results.record import ModelInfo, Result
from l96bench.submissions.artifacts import Artifact
from l96bench.submissions.contained import run_contained
from l96bench.submissions.evaluation import Item
from l96bench.tasks.base import Task
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing

__all__ = ["score_model"]

_MAX_BYTES = 150_000_000
"""Of a file of equations: every problem of a track has room for the longest that are read."""


def score_model(model: str, task_id: str) -> Result:
    """The result of a ready model on a task.

    Parameters
    ----------
    model : str
        ``file.npz`` with an array ``test`` (and, if wanted, ``shift``) of predicted U in the shape of ``task.test.U``,
        for the families that score predictions; ``file.json`` with equations for `equation-recovery`: a list of texts
        for all problems, or such lists by the ids of the problems; ``file.onnx`` or ``file.yaml``, a closure or
        equations as in a submission; or ``module:object``, a fitted model, function or closure.
    task_id : str

    Raises
    ------
    UnknownIdError, ModelError, L96BenchError
        If there is no such task or module, or the predictions are unusable.
    """
    task = make_task(task_id)
    if model.endswith(".json"):
        if not isinstance(task, EquationRecovery):
            raise L96BenchError(f"{task.id} cannot score a file of equations; try MODULE:OBJECT")
        info = ModelInfo(
            name=Path(model).stem,
            kind="equations",
            inputs="unknown",
            command=f"l96bench score {model} --task {task.id}",
        )
        return task.evaluate_equations(_read_equations(Path(model)), info)
    if model.endswith(".npz"):
        if not isinstance(task, SubgridForcing):
            raise L96BenchError(f"{task.id} runs its models and cannot score a file of predictions; try MODULE:OBJECT")
        arrays = _read(Path(model))
        name = Path(model).stem
        info = ModelInfo(
            name=name, kind="predictions", inputs="unknown", command=f"l96bench score {model} --task {task.id}"
        )
        return task.evaluate_predictions(arrays["test"], arrays.get("shift"), info)
    if model.endswith((".onnx", ".yaml")):
        return _score_artifact(Path(model), task)
    entry, _ = find_entry(model)
    ready = entry.make(task, 0)
    info = ModelInfo(
        name=entry.name,
        kind=entry.kind,
        inputs=entry.inputs,
        parameters=count_parameters(ready),
        command=f"l96bench score {model} --task {task.id}",
        source=entry.source,
        description=entry.description,
    )
    return task.evaluate(ready, info)


def _score_artifact(path: Path, task: Task) -> Result:
    """The result of an artifact, scored in a process of its own, as it would be in a submission."""
    command = f"l96bench score {path} --task {task.id}"
    artifact = Artifact.read(path.parent, path.name)
    info = ModelInfo(name=path.stem, kind=artifact.kind, inputs="unknown", command=command)
    task.prepare()
    [outcome] = run_contained("l96bench.submissions.evaluation:evaluate", [Item(replace(task), artifact, info)])
    if outcome.fault:
        raise ModelError(outcome.fault)
    return Result.model_validate(outcome.value)


def _read_equations(path: Path) -> Any:
    """What a file of equations holds; nothing in it is ever evaluated."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path}: expected at most {_MAX_BYTES:,} bytes of equations, got more")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a JSON file of equations, got {error}") from error


def _read(path: Path) -> dict[str, NDArray]:
    """The arrays of a predictions file; nothing in it is ever unpickled."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # a damaged archive makes NumPy raise almost anything
        raise ModelError(f"{path}: expected an .npz file of plain arrays (np.savez), got {error}") from error
    if "test" not in arrays or set(arrays) - {"test", "shift"}:
        raise ModelError(f"{path}: expected an array `test` and, if wanted, `shift`, got {sorted(arrays)}")
    return arrays
