"""Export fitted models as ONNX graphs, and let tasks run models as the graphs that they are exported as.

Two implementations of a network differ in rounding, which chaos turns into a different score. `as_submitted` therefore
has a task run a fitted model as its file would be run; polynomials, equations and trees have exact graphs.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import Closure, FunctionClosure, as_closure, checked_step
from l96bench.errors import ModelError, NoGraphError, SubmissionError
from l96bench.graphs.onnx_closure import MAX_NODES, MAX_ONNX_BYTES, OnnxClosure
from l96bench.graphs.onnx_graph import Graph

__all__ = ["as_submitted", "exported"]

_TOLERANCE = 1e-3  # how much U may differ, relative to 1 and the largest U: single precision


def as_submitted(model: Any, K: int) -> Any:
    """Return a model as its submission is run: its ONNX graph if that would round differently, else the model.

    Models with noise or a memory, plain functions, and others without a known graph (`NoGraphError`) are returned as
    they are, and so is an `OnnxClosure`. Raises ModelError if `as_closure` does not take the model, its own code
    raises, or its graph fails or gives another U; SubmissionError for operators that a submission may not have.
    """
    if isinstance(model, OnnxClosure):
        return model
    closure = as_closure(model)
    if getattr(closure, "graph_is_exact", False) or hasattr(model, "sample"):
        return model
    try:
        return _exported(model, closure, K, type(model).__name__)
    except NoGraphError as error:
        if isinstance(error.__cause__, ImportError):
            warnings.warn(f"{error}; without it, scores differ from those of a submission", stacklevel=2)
        return model


def _new_graph() -> Graph:
    """Return an empty graph, which can take estimators of scikit-learn if it is loaded."""
    if "sklearn" not in sys.modules:
        return Graph()
    from l96bench.graphs.sklearn_graphs import regressor_graph, transformer_graph

    return Graph(regressor_graph, transformer_graph)


def exported(model: Any, K: int, name: str = "closure.onnx") -> OnnxClosure:
    """Return the ONNX graph, called `name`, of a fitted, deterministic model without memory, tested against the model.

    Raises `NoGraphError` if no graph of the model is known, `ModelError` if its graph cannot be written or gives
    another U, and `SubmissionError` for operators that a submission may not have.
    """
    return _exported(model, as_closure(model), K, name)


def _exported(model: Any, closure: Closure, K: int, name: str) -> OnnxClosure:
    kind = type(model).__name__
    if not closure.deterministic:
        raise NoGraphError(f"{kind} is stochastic, and no artifact holds noise; try its mean, such as model.estimator_")
    if hasattr(closure, "remember"):
        raise NoGraphError(
            f"{kind} has a memory (lags or a hidden state), and an artifact sees the present X alone; "
            "try a model without one"
        )
    graph = _new_graph()
    data = graph.model(graph.closure("X", closure, K), K).SerializeToString()
    if len(data) > MAX_ONNX_BYTES or len(graph.nodes) > MAX_NODES:
        raise NoGraphError(
            f"expected a graph of at most {MAX_ONNX_BYTES:,} bytes and {MAX_NODES:,} nodes, got {len(data):,} and "
            f"{len(graph.nodes):,} of {kind}; try a smaller model"
        )
    X = np.random.default_rng(0).normal(2.5, 3.5, (100, K))
    U = checked_step(closure, X)
    # What offline tasks ask, which a class may have made its own.
    own = checked_step(FunctionClosure(model.predict), X) if callable(getattr(model, "predict", None)) else U
    if not _same(own, U):
        raise NoGraphError(f"{kind}.predict gives another U than {kind}.closure(); try to export one of the two")
    # What another library writes may be wrong or not allowed: then no graph of the model is known.
    try:
        runs = OnnxClosure(bytes(data), K, name)
        came = runs.predict(X)
    except (ModelError, SubmissionError) as error:
        raise (NoGraphError(str(error)) if graph.foreign else error) from error
    if not _same(came, U):
        raise (NoGraphError if graph.foreign else ModelError)(
            f"expected the graph of {kind} to give its U, got one that differs by up to {np.abs(came - U).max():.3g}; "
            "try to define graph() in the class that defines step() or predict()"
        )
    return runs


def _same(came: NDArray, expected: NDArray) -> bool:
    """Return whether two U (n, K) are equal within single precision."""
    return bool(np.abs(came - expected).max() <= _TOLERANCE * (1.0 + np.abs(expected).max()))
