"""Contract checks for tasks and closures, including those of other packages."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.errors import L96BenchError
from l96bench.results.record import Result
from l96bench.tasks.base import Task

__all__ = ["check_closure", "check_task"]


def check_task(task: Task) -> None:
    """Check, within seconds, that a task keeps the contract of `Task`, by trying its miniature.

    A pickled copy works; splits are reproduced bit by bit and are read-only; references score 0 and 100; the example is
    read, checked and scored, twice alike; results have the metrics of the family's columns; and nothing draws from
    NumPy's global random state.

    Parameters
    ----------
    task : Task
        At its registered size, or in miniature.

    Raises
    ------
    L96BenchError
        At the first violation.

    Examples
    --------
    >>> import onnx
    >>> import l96bench
    >>> l96bench.check_task(l96bench.make_task("subgrid-forcing/wilks-f20-v1"))  # nothing is wrong
    """
    mini = task.miniature()
    before = _global_state()
    _require(pickle.loads(pickle.dumps(task)) == task and hash(task) == hash(copy.deepcopy(task)), task,
             "a pickle and a copy that are equal to it")  # fmt: skip
    _require(mini.id == task.id, task, f"a miniature with the id {task.id!r}, got {mini.id!r}")
    _require(task.regime_id in type(task).regime_ids(), task, f"{task.regime_id!r} among its regime_ids()")
    for split in mini.available_splits:
        _check_split(mini, split)
    references = {name: reference.evaluate() for name, reference in mini.references.items()}
    for name, wanted in (("floor", 0.0), ("ceiling", 100.0)):
        _require(name in references, task, f"a reference {name!r}")
        score = references[name].score.value
        _require(abs(score - wanted) < 1e-6, task, f"the {name} at {wanted:g} in miniature, got {score:.6g}")
    example = type(task).example()
    for result in (*references.values(), *_scored_twice(mini, example.content, task)):
        _check_result(task, result)
    _require(_global_state() == before, task, "draws from seeded generators, none from np.random itself")


def _check_split(mini: Task, split: str) -> None:
    kept, made = mini.arrays(split), mini.make(split, False)
    _require(kept.keys() == made.keys() and bool(kept), mini, f"arrays in the split {split!r}, the same at every call")
    for name, array in kept.items():
        where = f"{split}/{name}"
        _require(np.array_equal(array, made[name]), mini, f"the same bits whenever {where} is made")
        _require(not array.flags.writeable, mini, f"{where} to be read-only")
        _require(bool(np.isfinite(array).all()), mini, f"finite numbers in {where}")


def _scored_twice(mini: Task, content: Any, task: Task) -> tuple[Result, Result]:
    from l96bench.results.record import ModelInfo

    info = ModelInfo(name="example", kind="example", inputs="unknown", command="check_task")
    mini.check_content(content)
    first, second = (mini.evaluate_content(content, info) for _ in range(2))
    same = first.score == second.score and first.predictions_digest == second.predictions_digest
    _require(same, task, "the same score and predictions whenever a model is scored")
    return first, second


def _check_result(task: Task, result: Result) -> None:
    missing = [
        column.key
        for column in type(task).columns
        if not column.optional and column.key not in result.metrics and "_budget_" not in column.key
    ]
    has_model = result.model.kind != "reference"
    _require(not missing or not has_model, task, f"the metrics of its columns in a result; missing: {missing}")
    _require(Result.model_validate_json(result.to_json()) == result, task, "a result that is read as it is written")
    _require(result.task == task.id and result.score.low <= result.score.value <= result.score.high, task,
             "a result of the task, with its score inside of the interval")  # fmt: skip


def _global_state() -> bytes:
    return bytes(np.random.get_state(legacy=False)["state"]["key"].tobytes())  # noqa: NPY002 (it must not be used)


def _require(good: bool, task: Task, expected: str) -> None:
    if not good:
        raise L96BenchError(f"{task.id}: expected {expected}")


def check_closure(closure: Any, K: int = 8, n_members: int = 16) -> None:
    """Check, within a second, that a model works as a closure of the resolved model.

    U has the shape of X and is finite for states of the attractor's size; X is not changed; the same generator gives
    the same U again; members of a deterministic closure do not depend on each other; a pickled copy gives the same U.

    Parameters
    ----------
    closure : object
        Anything that `l96bench.as_closure` takes, fitted.
    K, n_members : int
        Number of points and of ensemble members.

    Raises
    ------
    ModelError
        If its own code raises, or gives U of the wrong shape or type.
    L96BenchError
        At the first other violation.

    Examples
    --------
    >>> import l96bench
    >>> l96bench.check_closure(lambda X: 1.0 - 0.5 * X)  # nothing is wrong
    """
    states = np.random.default_rng(0).normal(2.5, 3.5, (5, n_members, K))
    name = type(closure).__name__
    first = _run(closure, states)
    if not np.isfinite(first).all():
        raise L96BenchError(f"{name}: expected finite U for states of the attractor, got NaN or infinity")
    if not np.array_equal(first, _run(closure, states)):
        raise L96BenchError(f"{name}: expected the same U from the same generator; draw from the one `start` is given")
    try:
        copied = pickle.loads(cloudpickle.dumps(closure))
    except Exception as error:
        raise L96BenchError(f"{name}: expected a closure that can be pickled; pickling raised {error}") from error
    if not np.array_equal(first, _run(copied, states)):
        raise L96BenchError(f"{name}: expected a pickled copy to give the same U")
    if as_closure(closure).deterministic:
        order = np.random.default_rng(1).permutation(n_members)
        if not np.allclose(first[:, order], _run(closure, states[:, order]), rtol=1e-6, atol=1e-6):
            raise L96BenchError(f"{name}: expected U of a member to depend on it alone; it changes with their order")


def _run(closure: Any, states: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return U (time, member, K) of a restarted closure that is stepped through states."""
    running = as_closure(closure)
    checked_start(running, states.shape[1], np.random.default_rng(2))
    U = []
    for X in states:
        given = X.copy()
        U.append(np.array(checked_step(running, given)))
        if not np.array_equal(given, X):
            raise L96BenchError(f"{type(closure).__name__}: expected `step` to leave X as it is")
    return np.stack(U)
