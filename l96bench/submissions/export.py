"""Export fitted models as artifacts of submissions: `closure.onnx`, `equations.yaml`, `predictions.npz`.

An exported model is tried before its file is written, and scores as the original does: tasks run a model as its export
(`l96bench.graphs.models.as_submitted`).
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import L96BenchError, ModelError
from l96bench.files import write_atomic
from l96bench.graphs.models import exported
from l96bench.tasks.artifacts import ONNX, Content
from l96bench.tasks.base import Task

__all__ = ["export_equations", "export_onnx", "export_predictions", "write_content"]


def export_onnx(model: Any, path: str | os.PathLike[str], K: int) -> Path:
    """Write a fitted, deterministic model without memory as an ONNX file: X (n, K) in, U (n, K) out.

    Parameters
    ----------
    model : object
        A closure of `l96bench.estimators` or a regressor that makes one; a scikit-learn estimator or pipeline or a
        ``torch.nn.Module`` with K inputs and K outputs; a stable-baselines3 model trained in an environment of
        l96bench, or its `PolicyClosure`.
    path : path
    K : int
        Number of points.

    Raises
    ------
    ModelError
        If the model is none of these, is stochastic or has a memory, or its graph gives another U.
    """
    path = Path(path)
    write_atomic(path, exported(_policy_of(model), K, path.name).data)
    return path


def _policy_of(model: Any) -> Any:
    """Return the closure of a stable-baselines3 model, and any other model as it is."""
    if "stable_baselines3" not in sys.modules:
        return model
    from stable_baselines3.common.base_class import BaseAlgorithm

    from l96bench.envs.policy import PolicyClosure

    return PolicyClosure.from_sb3(model) if isinstance(model, BaseAlgorithm) else model


def export_equations(model: Any, path: str | os.PathLike[str]) -> Path:
    """Write equations as a YAML or JSON file.

    Parameters
    ----------
    model : object
        A `Polynomial` or a regressor that makes one; an `EquationClosure` or `EquationSet`; a fitted pysindy model or
        anything with ``equations()``; a list of texts; or, for `equation-recovery`, lists by problem id.
    path : path
        JSON if it ends in ``.json``, which may be larger and is read faster.

    Raises
    ------
    ModelError
        For any other model.
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
        return [closure.equation]
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


def write_content(content: Content, folder: Path, stem: str) -> Path:
    """Write the content of an artifact as a file of its kind; return its path."""
    if content.kind == ONNX:
        path = folder / f"{stem}.onnx"
        write_atomic(path, content.value)
        return path
    # JSON where there are equations for each problem: it may be larger, and is read faster.
    return export_equations(content.value, folder / f"{stem}{'.json' if isinstance(content.value, dict) else '.yaml'}")


def export_predictions(
    path: str | os.PathLike[str], task: Task, U: ArrayLike, U_shift: ArrayLike | None = None
) -> Path:
    """Write predicted U for the test (and shifted) states of a task, with the digest of the data that they are for.

    Parameters
    ----------
    path : path
    task : Task
    U, U_shift : arrays of the shape of ``task.test.U`` and ``task.shift.U``

    Raises
    ------
    L96BenchError
        If a shape is wrong, or the task does not score predictions.
    """
    expected, arrays = task.expected_predictions, {"test": np.asarray(U)}
    if U_shift is not None:
        arrays["shift"] = np.asarray(U_shift)
    for name, array in arrays.items():
        if array.shape != expected.shapes.get(name):
            raise L96BenchError(f"{name}: expected predictions of shape {expected.shapes.get(name)}, got {array.shape}")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, data=np.array(expected.digest), **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())
    return Path(path)
