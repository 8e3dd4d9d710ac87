"""Export fitted models as ONNX graphs, and let tasks run models as the graphs that they are exported as.

Two implementations of a network differ in rounding, which chaos turns into a different score. `as_submitted` therefore
has a task run a fitted model as its file would be run; polynomials, equations and trees have exact graphs, also with
an AR(1).
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import Closure, FunctionClosure, as_closure, checked_start, checked_step
from l96bench.dynamics.steps import SteppedClosure
from l96bench.errors import MissingExtraError, ModelError, NoGraphError, SubmissionError
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.graphs.onnx_file import MAX_NODES, MAX_ONNX_BYTES
from l96bench.graphs.onnx_graph import Graph
from l96bench.graphs.onnx_step import read_closure

__all__ = ["as_submitted", "exported"]

_TOLERANCE = 1e-3  # how much U may differ, relative to 1 and the largest U: single precision
_PAST, _RUN = 4, 11  # states before the start, and all states, of a run in which the two are compared


def as_submitted(model: Any, K: int) -> Any:
    """Return a model as its submission is run: its ONNX graph if that would round differently, else its closure.

    Plain functions and others without a known graph (`NoGraphError`) are returned as they are, and so are closures of
    files, and all other models, with a warning, where the libraries of ONNX are missing. Raises ModelError if
    `as_closure` does not take the model, its own code raises, or its graph fails or gives another U; SubmissionError
    for operators that a submission may not have.
    """
    if isinstance(model, OnnxClosure | SteppedClosure) and hasattr(model, "data"):
        return model
    closure = as_closure(model)
    if getattr(closure, "graph_is_exact", False):
        return model if closure.deterministic and not hasattr(closure, "remember") else closure
    try:
        return _exported(model, closure, K, type(model).__name__)
    except NoGraphError:
        return model
    except MissingExtraError as error:
        kind = type(model).__name__
        warnings.warn(f"{kind} runs without its graph, and scores may differ from its file's: {error}", stacklevel=2)
        return model


def _new_graph() -> Graph:
    """Return an empty graph, which can take estimators of scikit-learn if it is loaded."""
    if "sklearn" not in sys.modules:
        return Graph()
    from l96bench.graphs.sklearn_graphs import regressor_graph, transformer_graph

    return Graph(regressor_graph, transformer_graph)


def exported(model: Any, K: int, name: str = "closure.onnx") -> OnnxClosure | SteppedClosure:
    """Return the ONNX graph, called `name`, of a fitted model, tested against the model.

    A model with a memory or noise becomes a step with state and random numbers; see `l96bench.graphs.step_form`.
    Raises `NoGraphError` if no graph of the model is known, `ModelError` if its graph cannot be written or gives
    another U, and `SubmissionError` for operators that a submission may not have.
    """
    if isinstance(model, OnnxClosure | SteppedClosure) and hasattr(model, "data"):
        return read_closure(model.data, K, name)
    return _exported(model, as_closure(model), K, name)


def _exported(model: Any, closure: Closure, K: int, name: str) -> OnnxClosure | SteppedClosure:
    kind, graph = type(model).__name__, _new_graph()
    data = graph.model(graph.closure("X", closure, K), K).SerializeToString()
    if len(data) > MAX_ONNX_BYTES or len(graph.nodes) > MAX_NODES:
        raise NoGraphError(
            f"expected a graph of at most {MAX_ONNX_BYTES:,} bytes and {MAX_NODES:,} nodes, got {len(data):,} and "
            f"{len(graph.nodes):,} of {kind}; try a smaller model"
        )
    X = np.random.default_rng(0).normal(2.5, 3.5, (_RUN, 100, K))
    U = _run(closure, X)
    # What offline tasks ask, which a class may have made its own.
    asked = graph.is_plain and callable(getattr(model, "predict", None))
    if asked and not _same(checked_step(FunctionClosure(model.predict), X[-1]), U[0]):
        raise NoGraphError(f"{kind}.predict gives another U than {kind}.closure(); try to export one of the two")
    # What another library writes may be wrong or not allowed: then no graph of the model is known.
    try:
        runs = read_closure(bytes(data), K, name)
        came = _run(runs, X)
    except (ModelError, SubmissionError) as error:
        raise (NoGraphError(str(error)) if graph.foreign else error) from error
    if not _same(came, U):
        raise (NoGraphError if graph.foreign else ModelError)(
            f"expected the graph of {kind} to give its U, got one that differs by up to {np.abs(came - U).max():.3g}; "
            "try to define graph() in the class that defines step() or predict()"
        )
    return runs


def _run(closure: Closure, X: NDArray) -> NDArray:
    """Return U (step, n, K) of a closure that is started with a past, the first states X (time, n, K)."""
    deterministic = closure.deterministic and not hasattr(closure, "remember")
    checked_start(closure, X.shape[1], np.random.default_rng(0), X[:_PAST])
    return np.stack([checked_step(closure, each) for each in (X[-1:] if deterministic else X[_PAST:])])


def _same(came: NDArray, expected: NDArray) -> bool:
    """Return whether two U (.., n, K) are equal within single precision."""
    return bool(np.abs(came - expected).max() <= _TOLERANCE * (1.0 + np.abs(expected).max()))
