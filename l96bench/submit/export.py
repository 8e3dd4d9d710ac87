"""Fitted models as artifacts of submissions: `closure.onnx`, `equations.yaml`, `predictions.npz`.

An exported model gives the predictions of the original to rounding, and is tried before its file is written. That of a
polynomial gives the same bits. Where rounding differs, forecasts agree, and a chaotic run of hundreds of MTU is another
sample of the same climate.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.dynamics.closures import as_closure, checked_step
from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import L96BenchError, ModelError
from l96bench.estimators.fast_predict import boosting_nodes, is_plain_boosting
from l96bench.submit.onnx_closure import OnnxClosure
from l96bench.submit.onnx_graph import Graph
from l96bench.tasks.base import Task
from l96bench.tasks.result import write_atomic

__all__ = ["export_discoveries", "export_equations", "export_onnx", "export_predictions"]


def export_onnx(model: Any, path: str | os.PathLike[str], K: int) -> Path:
    """Write a fitted, deterministic model without memory as an ONNX file: X (n, K) in, U (n, K) out.

    Parameters
    ----------
    model : object
        A closure of `l96bench.estimators`, or a regressor that makes one: polynomials, regressors of stencils and
        fluxes, networks of the ring, sums and products of equations, emulators; a scikit-learn estimator or pipeline of
        K inputs and K outputs; a ``torch.nn.Module`` of the same kind; a stable-baselines3 model that was trained in an
        environment of l96bench, or its `PolicyClosure`.
    path : path
    K : int
        Number of points.

    Raises
    ------
    ModelError
        If the model is none of these, is stochastic or has a memory, or does not come out as it went in.
    """
    path = Path(path)
    data = _onnx_bytes(model, K)
    closure, original = OnnxClosure(data, K, path.name), _original(model)
    X = np.random.default_rng(0).normal(2.5, 3.5, (100, K))
    expected, came = checked_step(original, X), closure.predict(X)
    error = float(np.abs(expected - came).max())
    if not error <= 1e-4 * (1.0 + float(np.abs(expected).max())):
        raise ModelError(f"{type(model).__name__} does not come out as it went in: U differs by up to {error:.3g}")
    _write(path, data)
    return path


def _onnx_bytes(model: Any, K: int) -> bytes:
    if _is_torch_module(model):
        return _torch_bytes(model, K)
    policy = _as_policy(model)
    if policy is not None:
        with tempfile.TemporaryDirectory() as folder:
            return Path(policy.to_onnx(Path(folder) / "closure.onnx")).read_bytes()
    graph = Graph()
    return bytes(graph.model(_closure(graph, "X", model, K), K).SerializeToString())


def _closure(graph: Graph, x: str, model: Any, K: int) -> str:
    """The operators of a model as a closure, from X (n, K) to U (n, K), both float64."""
    kind = type(model).__name__
    if kind == "EmulatorRegressor":
        return _emulator(graph, x, model, K)
    closure: Any = as_closure(model)
    if type(closure).__name__ == "_PipelineClosure":
        for _, step in closure.transform.__self__.steps:
            x, _ = _transformed(graph, x, step, K)
        return _closure(graph, x, closure.last, K)
    if not closure.deterministic:
        raise ModelError(f"{kind} is stochastic, and no artifact holds noise; try its mean, such as model.estimator_")
    if hasattr(closure, "remember"):
        raise ModelError(f"{kind} has a memory (lags or a hidden state), and an artifact sees the present X alone")
    if isinstance(closure, Polynomial):
        return graph.polynomial(x, closure.coefficients)
    match type(closure).__name__:
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


def _regressor(graph: Graph, x: str, estimator: Any, width: int) -> str:
    """A regressor of rows (n, width), float64."""
    kind = type(estimator).__name__
    if kind == "TorchRegressor":
        return graph.cast(graph.layers(graph.cast(x, np.float32), estimator), np.float64)
    if kind == "Pipeline":
        for _, step in estimator.steps[:-1]:
            x, width = _transformed(graph, x, step, width)
        return _regressor(graph, x, estimator[-1], width)
    if kind in {"RandomForestRegressor", "ExtraTreesRegressor"} and estimator.n_outputs_ == 1:
        return graph.forest(x, [each.tree_ for each in estimator.estimators_])
    if kind == "DecisionTreeRegressor" and estimator.n_outputs_ == 1:
        return graph.forest(x, [estimator.tree_])
    if kind == "HistGradientBoostingRegressor" and is_plain_boosting(estimator):
        return graph.boosting(x, boosting_nodes(estimator), float(np.ravel(estimator._baseline_prediction)[0]))
    if kind == "SparseGaussianProcess":
        return graph.gaussian_process(x, estimator)
    if hasattr(estimator, "coef_") and hasattr(estimator, "intercept_") and kind != "SVR":
        coef = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
        if coef.shape[1] == width:
            return graph.linear(x, coef, np.broadcast_to(estimator.intercept_, len(coef)))
    return graph.sklearn(x, estimator, width)


def _transformed(graph: Graph, x: str, step: Any, width: int) -> tuple[str, int]:
    """What a step of a pipeline makes of rows (n, width), float64, and their new width."""
    kind = type(step).__name__
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


def _is_torch_module(model: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _as_policy(model: Any) -> Any:
    """The policy closure of a stable-baselines3 model, or a policy closure itself; None for others."""
    if "stable_baselines3" not in sys.modules:
        return None
    from stable_baselines3.common.base_class import BaseAlgorithm

    from l96bench.envs.policy import PolicyClosure

    if isinstance(model, BaseAlgorithm):
        return PolicyClosure.from_sb3(model)
    return model if isinstance(model, PolicyClosure) and model.deterministic else None


def _torch_bytes(module: Any, K: int) -> bytes:
    """A module in inference mode, by torch's own exporter."""
    import torch

    dtype = next((each.dtype for each in module.parameters()), torch.float32)
    training, axes = module.training, {name: {0: "n"} for name in "XU"}
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")  # that there is a newer exporter, which needs more packages
            file = Path(folder) / "closure.onnx"
            torch.onnx.export(module.eval(), (torch.zeros(2, K, dtype=dtype),), file, input_names=["X"],
                              output_names=["U"], dynamic_axes=axes, opset_version=17, dynamo=False)  # fmt: skip
            return file.read_bytes()
    except Exception as error:
        raise ModelError(f"torch cannot write {type(module).__name__}: {' '.join(str(error).split())[:200]}") from error
    finally:
        module.train(training)


def _inferred(module: Any, X: NDArray) -> NDArray:
    """What a module gives for X (n, K) in inference mode."""
    import torch

    dtype, training = next((each.dtype for each in module.parameters()), torch.float32), module.training
    try:
        with torch.inference_mode():
            return np.asarray(module.eval()(torch.from_numpy(X).to(dtype)).numpy())
    finally:
        module.train(training)


def _original(model: Any) -> Any:
    """The model as a closure, to compare with."""
    if _is_torch_module(model):
        return as_closure(lambda X: _inferred(model, X))
    policy = _as_policy(model)
    return as_closure(model if policy is None else policy)


def export_equations(model: Any, path: str | os.PathLike[str]) -> Path:
    """Write equations as a YAML or JSON file: those of a polynomial closure, of whatever found some, or ready texts.

    Parameters
    ----------
    model : object
        A `Polynomial` or a regressor that makes one; an `EquationClosure` or `EquationSet`; a fitted pysindy model or
        anything with ``equations()``; a list of texts; or, for `equation-recovery`, lists by the ids of the problems.
    path : path
        JSON where it ends in ``.json``, which may be larger and is read faster.

    Raises
    ------
    ModelError
        For anything else.
    """
    import yaml

    texts, path = _texts(model), Path(path)
    if path.suffix == ".json":
        write_atomic(path, json.dumps(texts, indent=1, ensure_ascii=False) + "\n")
    else:
        write_atomic(path, yaml.safe_dump(texts, width=10_000, allow_unicode=True, sort_keys=False))
    return path


def _texts(model: Any) -> list[str] | dict[str, list[str]]:
    from l96bench.equations.closure import EquationClosure
    from l96bench.equations.discoverers import PySINDyRegression
    from l96bench.equations.equation_set import EquationSet

    closure = model.closure() if callable(getattr(model, "closure", None)) else model
    if isinstance(closure, Polynomial):
        powers = ["", "*X[k]", *(f"*X[k]**{i}" for i in range(2, closure.degree + 1))]
        terms = [f"({value!r}){power}" for value, power in zip(closure.coefficients.tolist(), powers, strict=False)]
        return ["U[k] = " + " + ".join(terms)]
    if isinstance(model, EquationClosure):
        return model.equations.texts("U")
    if isinstance(model, EquationSet):
        return model.texts()
    if isinstance(model, Mapping):
        return {str(key): [str(text) for text in texts] for key, texts in model.items()}
    pysindy = sys.modules.get("pysindy")
    if pysindy is not None and isinstance(model, pysindy.SINDy):
        found = PySINDyRegression(model)
        found.model_, found.names_ = model, list(model.feature_names)
        model = found
    if callable(getattr(model, "equations", None)):
        model = model.equations()
    if not isinstance(model, str) and isinstance(model, Sequence) and all(isinstance(each, str) for each in model):
        return list(model)
    raise ModelError(f"expected equations, or a polynomial or other model that has some, got {type(model).__name__}")


def export_discoveries(task: Any, model: Any, path: str | os.PathLike[str], *, n_jobs: int | None = None) -> Path:
    """Fit copies of a model to every problem of an `equation-recovery` task, and write what they find.

    A problem for which nothing was found gets the equation 0.
    """
    found = task.discover(model, n_jobs=n_jobs)
    texts = {problem.id: list(each.texts or ["0"]) for problem, each in zip(task.problems, found, strict=True)}
    return export_equations(texts, path)


def export_predictions(
    path: str | os.PathLike[str], task: Task, U: ArrayLike, U_shift: ArrayLike | None = None
) -> Path:
    """Write predicted U for the test (and shifted) states of a task, with the digest of the data that they are for.

    Parameters
    ----------
    path : path
    task : SubgridForcing
    U, U_shift : arrays of the shape of ``task.test.U`` and ``task.shift.U``

    Raises
    ------
    L96BenchError
        If a shape is wrong, or the task does not score predictions.
    """
    from l96bench.submit.evaluation import expected_of
    from l96bench.tasks.subgrid_forcing import SubgridForcing

    if not isinstance(task, SubgridForcing):
        raise L96BenchError(f"{task.id} runs its models and cannot score predictions")
    expected, arrays = expected_of(task), {"test": np.asarray(U)}
    if U_shift is not None:
        arrays["shift"] = np.asarray(U_shift)
    for name, array in arrays.items():
        if array.shape != expected.shapes.get(name):
            raise L96BenchError(f"{name}: expected predictions of shape {expected.shapes.get(name)}, got {array.shape}")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, data=np.array(expected.digest), **arrays)  # type: ignore[arg-type]
    _write(Path(path), buffer.getvalue())
    return Path(path)


def _write(path: Path, data: bytes) -> None:
    """Write bytes so that a reader sees the old file or the whole of the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
