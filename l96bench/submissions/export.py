"""Export fitted models as artifacts of submissions: `closure.onnx`, `equations.yaml`, `predictions.npz`.

An exported model is tried before its file is written, and scores as the original does: tasks run a model as its export
(`l96bench.graphs.models.as_submitted`).
"""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from l96bench.dynamics.closures import checked_forcing
from l96bench.dynamics.polynomial import Polynomial
from l96bench.equations.grammar import right_side
from l96bench.errors import ArgumentError, L96BenchError, ModelError
from l96bench.files import write_atomic
from l96bench.graphs.models import exported
from l96bench.submissions.artifacts import MAX_JSON_BYTES, MAX_YAML_BYTES
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
    path : str or path
        The file to write.
    K : int
        Number of points.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ModelError
        If the model is none of these, is stochastic or has a memory, or its graph gives another U.

    Examples
    --------
    >>> import l96bench, tempfile
    >>> import onnx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     l96bench.export_onnx(l96bench.Polynomial([1.0, -0.5]), f"{folder}/closure.onnx", K=8).name
    ...
    'closure.onnx'
    """
    path = _path(path, ".onnx")
    write_atomic(path, exported(_policy_of(model), K, path.name).data)
    return path


def _path(path: str | os.PathLike[str], *suffixes: str) -> Path:
    """Return a path that ends in one of these, by which files are read."""
    path = Path(path)
    if path.suffix not in suffixes:
        wanted = " or ".join(suffixes)
        raise ArgumentError(f"{path}: expected a name that ends in {wanted}; try {path.stem or 'mine'}{suffixes[0]}")
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
    path : str or path
        The file to write: JSON if it ends in ``.json``, which may be larger and is read faster.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ModelError
        For any other model, and `EquationError` for texts outside of the grammar.

    Examples
    --------
    >>> import l96bench, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = l96bench.export_equations(l96bench.Polynomial([1.0, -0.5]), f"{folder}/closure.yaml")
    ...     print(path.read_text().strip())
    ...
    - U[k] = (1.0) + (-0.5)*X[k]
    """
    import yaml

    texts, path = _texts(model), _path(path, ".yaml", ".json")
    for each in itertools.chain.from_iterable(texts.values() if isinstance(texts, dict) else [texts]):
        right_side(each.split("=")[-1], f"{each!r:.80}")
    if path.suffix == ".json":
        content = (json.dumps(texts, indent=1, ensure_ascii=False) + "\n").encode()
    else:
        content = yaml.safe_dump(texts, width=10_000, allow_unicode=True, sort_keys=False).encode()
    most = MAX_JSON_BYTES if path.suffix == ".json" else MAX_YAML_BYTES
    if len(content) > most:
        raise ModelError(f"{path}: expected equations of at most {most:,} bytes, got {len(content):,}; try a .json")
    write_atomic(path, content)
    return path


def _texts(model: Any) -> list[str] | dict[str, list[str]]:
    from l96bench.equations.closure import EquationClosure
    from l96bench.equations.discoverers import PySINDyRegression
    from l96bench.equations.equation_set import EquationSet

    closure = model.closure() if callable(getattr(model, "closure", None)) else model
    if isinstance(closure, Polynomial):
        return [closure.equation]
    if isinstance(closure, EquationClosure):
        return closure.equations.texts("U")
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
    path : str or path
        The file to write, ``.npz``.
    task : Task
        The task, which must take predictions.
    U : array of the shape of ``task.test.U``
        Predicted tendencies; values that are not finite are counted as those of a model.
    U_shift : array of the shape of ``task.shift.U``, optional
        Those for the states in the warmer climate.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    L96BenchError
        If a shape or type is wrong, or the task does not score predictions.

    Examples
    --------
    >>> import l96bench, tempfile
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     l96bench.export_predictions(f"{folder}/U.npz", task, -0.5 * task.test.X).name
    ...
    'U.npz'
    """
    path, expected, arrays = _path(path, ".npz"), task.expected_predictions, {}
    for name, given in {"test": U, **({} if U_shift is None else {"shift": U_shift})}.items():
        if name not in expected.shapes:
            raise L96BenchError(f"{name}: {task.id} has no warmer climate; try without U_shift")
        arrays[name] = checked_forcing(given, expected.shapes[name], f"predictions of {name}")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, data=np.array(expected.digest), **arrays)  # type: ignore[arg-type]
    write_atomic(path, buffer.getvalue())
    return path
