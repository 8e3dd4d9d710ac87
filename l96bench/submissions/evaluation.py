"""What is done with one artifact for one task, inside of a contained process: look through it, try it, score it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from l96bench.data.splits import get_split
from l96bench.data.store import array_digest
from l96bench.equations.closure import EquationClosure
from l96bench.equations.equation_set import EquationSet
from l96bench.errors import SubmissionError
from l96bench.graphs.onnx_closure import OnnxClosure, onnx_faults
from l96bench.results.record import ModelInfo, Result
from l96bench.submissions.artifacts import (
    EQUATIONS,
    ONNX,
    PREDICTIONS,
    Artifact,
    Expected,
    read_equations,
    read_predictions,
)
from l96bench.tasks.base import Task
from l96bench.tasks.da_increment import AssimilationSystem, DAIncrement
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.miniature import miniature
from l96bench.tasks.subgrid_forcing import SubgridForcing, predict

__all__ = [
    "Item",
    "check_increments",
    "evaluate",
    "examine",
    "expected_of",
    "inspect",
    "load_model",
    "look_through",
    "try_out",
]

_tasks: dict[Task, Task] = {}


@dataclass(frozen=True, slots=True)
class Item:
    """An artifact and a task that it enters.

    Attributes
    ----------
    task : Task
    artifact : Artifact
    info : ModelInfo
        How the row is described, up to the number of parameters.
    """

    task: Task
    artifact: Artifact
    info: ModelInfo


def evaluate(item: Item) -> dict[str, Any]:
    """The fields of the result of an artifact on a task.

    Raises
    ------
    SubmissionError, ModelError
        If the artifact cannot be used.
    """
    task = _tasks.setdefault(item.task, item.task)  # equal tasks share what they have computed
    fields: dict[str, Any] = json.loads(_score(item.artifact, task, item.info).to_json())
    return fields


def examine(work: tuple[str, Item]) -> Any:
    """`inspect` or `try_out`, by the name that comes with the item."""
    step, item = work
    return {"inspect": inspect, "try_out": try_out}[step](item)


def inspect(item: Item) -> str:
    """Nothing, or an error: whether the artifact is of a kind, size and form that the task can score.

    No data set is needed: closures are called with normally distributed states.
    """
    task, artifact = item.task, item.artifact
    if artifact.kind == PREDICTIONS:
        read_predictions(artifact, expected_of(_require_predictions(artifact, task)))
    elif isinstance(task, EquationRecovery):
        _check_recovery(artifact, task)
    else:
        model = load_model(artifact, task)
        X = np.random.default_rng(0).normal(2.5, 3.5, (64, task.regime.K))
        _check_closure(model, X, artifact.name)
    return ""


def look_through(artifact: Artifact) -> list[str]:
    """What is wrong with an artifact whatever it is for, a line each."""
    try:
        if artifact.kind == EQUATIONS:
            read_equations(artifact)
        return onnx_faults(artifact.data, artifact.name) if artifact.kind == ONNX else []
    except SubmissionError as error:
        return [str(error)]


def try_out(item: Item) -> float | None:
    """The score of an artifact on the task's miniature; None for what can only be scored on the whole."""
    task, artifact = miniature(item.task), item.artifact
    if artifact.kind == PREDICTIONS:
        return None
    if isinstance(task, EquationRecovery) and isinstance(read_equations(artifact), dict):
        return None
    result = _score(artifact, task, item.info)
    if isinstance(task, DAIncrement):
        check_increments(load_model(artifact, task), task, result)
    return result.score.value


def check_increments(model: Any, task: DAIncrement, result: Result) -> None:
    """Raise unless a model of increments, or an assimilation system, is fit to be cycled.

    Parameters
    ----------
    model : model of increments, or AssimilationSystem
    task : DAIncrement
    result : Result
        The model's on the task.

    Raises
    ------
    SubmissionError
        If the filter diverges, or if a model assimilates worse than none and its increments are opposed to those of
        the analyses.
    """
    failures, score = result.failures, result.score.value
    if failures.diverged:
        raise SubmissionError(
            f"the filter diverged in {failures.diverged} of {failures.of} segments of cycles; expected finite "
            f"increments of the size of the analyses', over one window of {task.track.window:g} MTU"
        )
    if score >= 0.0 or isinstance(model, AssimilationSystem):
        return
    predicted = predict(model, task.train.X, np.random.default_rng(0))[0]
    correlation = float(np.corrcoef(predicted.ravel(), task.train.U.ravel())[0, 1])
    if correlation < 0.0:
        raise SubmissionError(
            f"worse than no correction (score {score:.1f}), and its increments have a correlation of {correlation:.2f} "
            "with those of the analyses; expected analysis minus background: is the sign wrong?"
        )


def load_model(artifact: Artifact, task: Task) -> OnnxClosure | EquationClosure:
    """The closure (or model of increments) in an artifact.

    Raises
    ------
    SubmissionError, EquationError
        If there is none.
    """
    if artifact.kind == ONNX:
        return OnnxClosure(artifact.data, task.regime.K, artifact.name)
    texts = read_equations(artifact)
    if isinstance(texts, dict):
        raise SubmissionError(f"{artifact.name}: {task.id} expects one list of equations, U[k] = .., got a mapping")
    return EquationClosure(texts, task.regime.K)


def expected_of(task: SubgridForcing) -> Expected:
    """The shapes and the digest that a file of predictions must have, without the data where they are recorded."""
    names = ("test", "shift") if task.has_shift else ("test",)
    digest = task.data_digests.get(f"{task.regime_id}/test/X")
    if digest is None:
        shapes = {name: getattr(task, name).X.shape for name in names}
        return Expected(shapes, array_digest(np.asarray(task.test.X)))
    shapes = {}
    for name in names:
        split = get_split(task.regime, name)
        shapes[name] = (split.n_trajectories, round(split.duration / split.interval), task.regime.K)
    return Expected(shapes, digest)


def _score(artifact: Artifact, task: Task, info: ModelInfo) -> Result:
    if artifact.kind == PREDICTIONS:
        scorer = _require_predictions(artifact, task)
        arrays = read_predictions(artifact, expected_of(scorer))
        return scorer.evaluate_predictions(arrays["test"], arrays.get("shift"), info)
    if isinstance(task, EquationRecovery):
        _require_equations(artifact, task)
        return task.evaluate_equations(read_equations(artifact), info)
    model = load_model(artifact, task)
    rows = task.train.X
    _check_closure(model, np.array(rows[:: max(1, len(rows) // 64)][:64]), artifact.name)
    return task.evaluate(model, info.model_copy(update={"parameters": model.n_parameters}), progress=False)


def _check_closure(model: OnnxClosure | EquationClosure, X: np.ndarray, name: str) -> None:
    """Raise unless the model gives finite U for states (n, K), each on its own."""
    if isinstance(model, OnnxClosure):
        model.check_rows(X)
    elif not np.isfinite(model.predict(X)).all():
        raise SubmissionError(f"{name}: expected finite U for states of the attractor, got NaN or infinity")


def _check_recovery(artifact: Artifact, task: EquationRecovery) -> None:
    """Raise unless all equations can be read, and are there for every problem."""
    _require_equations(artifact, task)
    texts = read_equations(artifact)
    problems = {problem.id: problem for problem in task.problems}
    if isinstance(texts, list):
        problem = task.problems[0]
        EquationSet.parse(texts, problem.K, problem.J)
        return
    if set(texts) != set(problems):
        missing, unknown = sorted(set(problems) - set(texts))[:3], sorted(set(texts) - set(problems))[:3]
        raise SubmissionError(
            f"{artifact.name}: expected equations for {len(problems)} problems of {task.id}; "
            f"missing: {missing}, unknown: {unknown}"
        )
    for id, own in texts.items():
        EquationSet.parse(own, problems[id].K, problems[id].J)


def _require_predictions(artifact: Artifact, task: Task) -> SubgridForcing:
    if not isinstance(task, SubgridForcing):
        raise SubmissionError(f"{artifact.name}: {task.id} runs its models and cannot score predictions; try an .onnx")
    return task


def _require_equations(artifact: Artifact, task: Task) -> None:
    if artifact.kind != EQUATIONS:
        raise SubmissionError(f"{artifact.name}: {task.id} scores equations (.yaml or .json), not {artifact.kind}")
