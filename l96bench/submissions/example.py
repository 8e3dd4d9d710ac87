"""Example submissions: small, honest, and working as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.submissions.export import export_equations, export_onnx
from l96bench.submissions.submission import SCHEMA, SUBMISSION_FILE
from l96bench.tasks.miniature import miniature
from l96bench.tasks.registry import FAMILIES, make_task

__all__ = ["write_example"]

_MTU = 40
"""Of the miniature's training data."""
_YAML = """\
# What a submission says about itself; `l96bench check FOLDER` says what is wrong with it.
schema: {schema}
name: {name}
authors: [Your Name]
kind: {kind}
inputs: {inputs}
description: {description}
source: ''
license: CC0-1.0
tasks:
  - {task}
# One file for all tasks, or a mapping: a task's id, its regime, its family or default, to a file.
artifacts: {artifact}
# Everything that the model was fitted to, or chosen by.
training: {training}
"""
_README = """\
# {name}

    l96bench check {folder}     # seconds: says everything that is wrong
    l96bench score {folder}     # the real tasks
    l96bench submit {folder}    # on the board

Made by `l96bench init --family {family}`: {description}
"""


def write_example(folder: Path, family: str) -> list[Path]:
    """Write a submission for a family into a new folder; the paths of its files.

    A quartic closure that is fitted to the first 40 MTU of the training data of `wilks-f20` (simulated on the way), or,
    for `equation-recovery`, the textbook's equation.

    Raises
    ------
    L96BenchError
        If the folder exists and is not empty.
    UnknownIdError
        If there is no such family.
    """
    families = [each.family for each in FAMILIES]
    if family not in families:
        raise UnknownIdError(f"no family {family!r}." + nearest(family, families))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise L96BenchError(f"{folder}: expected a folder that does not exist, or an empty one")
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"schema": SCHEMA, "family": family, "folder": folder.as_posix()}
    if family == "equation-recovery":
        fields |= _recovery(folder)
    else:
        fields |= _closure(folder, family)
    (folder / SUBMISSION_FILE).write_text(_YAML.format(**fields), encoding="utf-8")
    (folder / "README.md").write_text(_README.format(**fields), encoding="utf-8")
    return sorted(folder.iterdir())


def _recovery(folder: Path) -> dict[str, str]:
    texts = ["dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8"]
    export_equations(texts, folder / "equations.yaml")
    return {
        "name": "example equation",
        "kind": "equations",
        "inputs": "none",
        "description": "The textbook's equation with the textbook's coefficients.",
        "task": "equation-recovery/single-v1",
        "artifact": "equations.yaml",
        "training": "[]",
    }


def _closure(folder: Path, family: str) -> dict[str, str]:
    from l96bench.dynamics.polynomial import Polynomial
    from l96bench.estimators.regressors import PolynomialRegressor

    train = miniature(make_task("subgrid-forcing/wilks-f20-v1")).train.prefix(_MTU)
    model = PolynomialRegressor(degree=4).fit(np.array(train.X), np.array(train.U)).closure()
    regime, description = "wilks-f20", f"A quartic in X, fitted to {_MTU} MTU of the exact coupling."
    if family == "da-increment":
        regime, window = "dense", make_task("da-increment/dense-v1").track.window  # type: ignore[attr-defined]
        model = Polynomial(window * model.coefficients)
        description = f"A quartic closure, fitted to {_MTU} MTU of the exact coupling, times the window."
    if family == "online-rollout":
        artifact = export_equations(model, folder / "equations.yaml").name
    else:
        artifact = export_onnx(model, folder / "closure.onnx", K=8).name
    return {
        "name": "example quartic",
        "kind": "polynomial",
        "inputs": "X_k",
        "description": description,
        "task": f"{family}/{regime}-v1",
        "artifact": artifact,
        "training": f"\n  - {{regime: wilks-f20, split: train, mtu: {_MTU}}}",
    }
