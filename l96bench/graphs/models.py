"""Fitted models as ONNX graphs, and models of this library run as the graphs that they are exported as.

Two implementations of one network differ in rounding, which chaos turns into another sample of the climate and so into
another score, in its first decimal. `as_submitted` has a task run a fitted model as its file would be run: an exported
model then has the score of the original, to the last bit. Polynomials, equations and trees stay what they are, since
their graphs give the same bits.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from l96bench.dynamics.closures import FunctionClosure, ModuleClosure, as_closure, checked_step
from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import ModelError, SubmissionError
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.graphs.onnx_graph import Graph

__all__ = ["as_submitted", "exported"]

_TOLERANCE = 1e-3
"""How much U may differ, beside 1 and the largest U: single precision, in sums of large terms."""


def as_submitted(model: Any, K: int) -> Any:
    """A model as a submission of it is run: its ONNX graph, where that would round otherwise; else the model itself.

    Parameters
    ----------
    model : object
        Whatever `as_closure` takes. Models with noise or a memory, plain functions, and others that no graph is known
        of stay what they are.
    K : int
        Number of points.

    Raises
    ------
    ModelError
        If the model is none of these, or its own code raises.
    """
    closure = as_closure(model)
    more = not closure.deterministic or hasattr(closure, "remember") or hasattr(model, "sample")
    if more or _rounds_equally(closure):
        return model
    try:
        return exported(model, K, type(model).__name__)
    except (ModelError, SubmissionError):
        return model


def exported(model: Any, K: int, name: str = "closure.onnx") -> OnnxClosure:
    """The ONNX graph of a fitted, deterministic model without memory, tried against the model itself.

    Parameters
    ----------
    model : object
        See `l96bench.export_onnx`.
    K : int
        Number of points.
    name : str
        What messages call it.

    Raises
    ------
    ModelError
        If there is no such graph, or it does not give what the model gives.
    SubmissionError
        If the graph is larger than a submission may be.
    """
    closure = OnnxClosure(_onnx_bytes(model, K), K, name)
    X = np.random.default_rng(0).normal(2.5, 3.5, (100, K))
    came, wanted = closure.predict(X), [checked_step(as_closure(model), X)]
    if callable(getattr(model, "predict", None)):  # what offline tasks ask, which a class may have made its own
        wanted.append(checked_step(FunctionClosure(model.predict), X))
    for expected in wanted:
        error = float(np.abs(expected - came).max())
        if not error <= _TOLERANCE * (1.0 + float(np.abs(expected).max())):
            raise ModelError(f"{type(model).__name__} does not come out as it went in: U differs by up to {error:.3g}")
    return closure


def _rounds_equally(closure: Any) -> bool:
    """Whether a closure and its graph give the same bits."""
    if isinstance(closure, Polynomial | OnnxClosure):
        return True
    match _kind(closure):
        case "EquationClosure":
            return True
        case "StencilClosure" | "FluxClosure":
            from l96bench.estimators.prediction import is_trees

            return is_trees(closure.estimator)
        case "CorrectedClosure":
            return _rounds_equally(closure.base) and _rounds_equally(closure.correction)
    return False


def _onnx_bytes(model: Any, K: int) -> bytes:
    closure = as_closure(model)
    if isinstance(closure, ModuleClosure):
        return _torch_bytes(closure.module, K)
    graph = Graph()
    return bytes(graph.model(_closure(graph, "X", model, K), K).SerializeToString())


def _closure(graph: Graph, x: str, model: Any, K: int) -> str:
    """The operators of a model as a closure, from X (n, K) to U (n, K), both float64."""
    kind = type(model).__name__
    if kind == "EmulatorRegressor":
        return _emulator(graph, x, model, K)
    closure: Any = as_closure(model)
    if _kind(closure) == "_PipelineClosure":
        for _, step in closure.transform.__self__.steps:
            x, _ = _transformed(graph, x, step, K)
        return _closure(graph, x, closure.last, K)
    if not closure.deterministic:
        raise ModelError(f"{kind} is stochastic, and no artifact holds noise; try its mean, such as model.estimator_")
    if hasattr(closure, "remember"):
        raise ModelError(f"{kind} has a memory (lags or a hidden state), and an artifact sees the present X alone")
    if isinstance(closure, Polynomial):
        return graph.polynomial(x, closure.coefficients)
    match _kind(closure):
        case "EquationClosure":
            return graph.equations(x, closure.equations)
        case "StencilClosure":
            return _stencils(graph, x, closure, K)
        case "FluxClosure":
            return _fluxes(graph, _stencils(graph, x, closure, K), closure.constraint, K)
        case "NetworkClosure" if type(closure.network).__name__ == "RingNetwork":
            return _ring_network(graph, x, closure.network, K)
        case "NetworkClosure":
            return graph.reshape(_regressor(graph, x, closure.network, K), -1, K)
        case "PredictorClosure":
            return graph.reshape(_regressor(graph, x, closure.estimator, K), -1, K)
        case "PolicyClosure":
            return _policy(graph, x, closure)
        case "CorrectedClosure":
            increment = _closure(graph, x, closure.correction, K)
            tendency = graph.node("Div", increment, graph.constant(closure.window, np.float64))
            return graph.node("Add", _closure(graph, x, closure.base, K), tendency)
    raise ModelError(f"expected a model that can be written as an ONNX graph, got {kind}; see export_onnx")


def _stencils(graph: Graph, x: str, closure: Any, K: int) -> str:
    """A shared regressor applied to the stencil of every point."""
    width = closure._index.shape[1]
    rows = graph.reshape(graph.gather(x, closure._index), -1, width)
    return graph.reshape(_regressor(graph, rows, closure.estimator, width), -1, K)


def _fluxes(graph: Graph, S: str, constraint: str, K: int) -> str:
    """U of what the regressor of a `FluxClosure` gives."""
    if constraint not in ("flux", "staggered flux"):
        return S
    before, after = (graph.gather(S, (np.arange(K) + shift) % K) for shift in (-1, int(constraint == "flux")))
    return graph.node("Sub", before, after)


def _emulator(graph: Graph, x: str, model: Any, K: int) -> str:
    """The closure under which the resolved model's step is the emulator's."""
    change = graph.node("Mul", _closure(graph, x, model.estimator_, K), graph.constant(model.dt, np.float64))
    forcing = graph.forcing(x, graph.node("Add", x, change), K, model.dt)
    return graph.node("Sub", forcing, graph.constant(model.F, np.float64))


def _policy(graph: Graph, x: str, closure: Any) -> str:
    """A policy's most likely action as U."""
    actor, width = closure.actor, closure.index.shape[1]
    inputs = graph.clipped(graph.reshape(graph.gather(x, closure.index), -1, width), actor.low, actor.high)
    outputs = graph.cast(graph.layers(graph.cast(inputs, np.float32), actor.network), np.float64)
    actions = graph.node("Tanh", outputs) if actor.squashed else graph.clipped(outputs, -1.0, 1.0)
    scaled = graph.node("Mul", actions, graph.constant(closure.reach_U, np.float64))
    return graph.reshape(graph.node("Add", scaled, graph.constant(closure.scaling.mean_U, np.float64)), -1, closure.K)


def _kind(model: Any) -> str:
    """The name of a class of scikit-learn or of this library; others may mean anything by theirs."""
    own = type(model).__module__.split(".")[0] in ("sklearn", "l96bench")
    return type(model).__name__ if own else ""


def _regressor(graph: Graph, x: str, estimator: Any, width: int) -> str:
    """A regressor of rows (n, width), float64."""
    from l96bench.estimators.prediction import boosting_nodes, is_trees, tree_nodes

    kind = _kind(estimator)
    if kind == "TorchRegressor":
        return graph.cast(graph.layers(graph.cast(x, np.float32), estimator), np.float64)
    if kind == "Pipeline":
        for _, step in estimator.steps[:-1]:
            x, width = _transformed(graph, x, step, width)
        return _regressor(graph, x, estimator[-1], width)
    if is_trees(estimator):
        if kind == "HistGradientBoostingRegressor":
            return graph.boosting(x, boosting_nodes(estimator), float(np.ravel(estimator._baseline_prediction)[0]))
        return graph.forest(x, tree_nodes(estimator))
    if kind == "SparseGaussianProcess":
        return graph.gaussian_process(x, estimator)
    if kind in {"GaussianProcessRegressor", "KernelRidge"}:
        return _kernel_machine(graph, x, estimator)
    module = type(estimator).__module__
    if module.startswith("sklearn.linear_model") and "_glm" not in module and hasattr(estimator, "coef_"):
        coef = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
        return graph.linear(x, coef, np.broadcast_to(estimator.intercept_, len(coef)))
    return graph.sklearn(x, estimator, width)


def _kernel_machine(graph: Graph, x: str, estimator: Any) -> str:
    """Sums of kernels around the training data, float64: a `GaussianProcessRegressor` or a `KernelRidge`."""
    from sklearn.gaussian_process.kernels import RBF, DotProduct

    if _kind(estimator) == "GaussianProcessRegressor":
        values = graph.kernel(x, estimator.kernel_, estimator.X_train_)
        weights = estimator.alpha_ * estimator._y_train_std
        return graph.linear(values, np.atleast_2d(weights.T), np.atleast_1d(estimator._y_train_mean))
    rows = estimator.X_fit_
    gamma = 1.0 / rows.shape[1] if estimator.gamma is None else estimator.gamma
    kernels = {"rbf": RBF((0.5 / gamma) ** 0.5), "linear": DotProduct(0.0)}
    if estimator.kernel not in kernels:
        raise ModelError(f"a KernelRidge comes as ONNX with the kernels {sorted(kernels)}, got {estimator.kernel!r}")
    weights = np.atleast_2d(estimator.dual_coef_.T)
    return graph.linear(graph.kernel(x, kernels[estimator.kernel], rows), weights, np.zeros(len(weights)))


def _transformed(graph: Graph, x: str, step: Any, width: int) -> tuple[str, int]:
    """What a step of a pipeline makes of rows (n, width), float64, and their new width."""
    kind = _kind(step)
    if kind == "PolynomialFeatures":
        return graph.powers(x, step.powers_), len(step.powers_)
    if kind == "StandardScaler":
        return graph.scaled(x, step.mean_ if step.with_mean else None, step.scale_), width
    return graph.sklearn(x, step, width), len(step.get_feature_names_out())


def _ring_network(graph: Graph, x: str, model: Any, K: int) -> str:
    """A circular convolutional network."""
    offsets = np.arange(model.kernel) - model.kernel // 2
    index = (np.arange(K)[:, None] + offsets) % K

    def neighbours(x: str, width: int) -> str:
        return graph.reshape(graph.gather(x, index), -1, K, model.kernel * width)

    x = graph.reshape(graph.cast(x, np.float32), -1, K, 1)
    return graph.cast(graph.reshape(graph.layers(x, model, neighbours), -1, K), np.float64)


def _torch_bytes(module: Any, K: int) -> bytes:
    """A module in inference mode, by torch's own exporter."""
    import torch

    dtype = next((each.dtype for each in module.parameters()), torch.float32)
    training, axes = module.training, {name: {0: "n"} for name in "XU"}
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")  # that there is a newer exporter, which needs more packages
            # What depends on X, but would become a constant.
            warnings.simplefilter("error", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            file = Path(folder) / "closure.onnx"
            torch.onnx.export(module.eval(), (torch.zeros(2, K, dtype=dtype),), file, input_names=["X"],
                              output_names=["U"], dynamic_axes=axes, opset_version=17, dynamo=False)  # fmt: skip
            return file.read_bytes()
    except Exception as error:
        raise ModelError(f"torch cannot write {type(module).__name__}: {' '.join(str(error).split())[:200]}") from error
    finally:
        module.train(training)
