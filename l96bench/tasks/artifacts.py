"""Contents of model files, as `l96bench.submissions` reads and checks them for a task, which opens no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from l96bench.tasks.described import NOTHING_SAID, Described

__all__ = ["EQUATIONS", "ONNX", "PREDICTIONS", "Content", "Example", "Expected"]

ONNX, EQUATIONS, PREDICTIONS = "onnx", "equations", "predictions"
"""The kinds of files: ``closure.onnx``, ``equations.yaml`` or ``.json``, ``predictions.npz``."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a model file: an ONNX model, equations or predictions.

    Parameters
    ----------
    name : str
        The file's name, for messages.
    kind : {"onnx", "equations", "predictions"}
        What `value` is.
    value : bytes, list of str, dict of str to list of str, or dict of str to array
        An ONNX model; equations for all problems, or by the id of the problem; predictions by split.
    described : Described
        How it is to be run.

    Examples
    --------
    >>> from l96bench import tasks
    >>> content = tasks.Content("closure.yaml", "equations", ["U[k] = 1 - 0.5*X[k]"])
    >>> content.kind, content.described.said
    ('equations', {})
    """

    name: str
    kind: str
    value: Any
    described: Described = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Expected:
    """The required contents of a file of predictions.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        By array; only the first array is obligatory.
    digest : str
        SHA-256 of the states that the predictions are for.

    Examples
    --------
    >>> from l96bench import tasks
    >>> expected = tasks.Expected({"U": (2, 100, 8)}, "0" * 64)
    >>> list(expected.shapes)
    ['U']
    """

    shapes: Mapping[str, tuple[int, ...]]
    digest: str


@dataclass(frozen=True, slots=True)
class Example:
    """A submission to begin with; the attributes are the fields of ``submission.yaml``.

    Parameters
    ----------
    name, kind, inputs, description : str
        Of the model, as in an `Entry`.
    task : str
        Id of the task.
    content : Content
        The file.
    training : sequence of dict
        The data that the model was fitted to.

    Examples
    --------
    >>> import onnx
    >>> from l96bench import tasks
    >>> example = tasks.SubgridForcing.example()
    >>> example.task, example.content.kind
    ('subgrid-forcing/wilks-f20-v1', 'onnx')
    """

    name: str
    kind: str
    inputs: str
    description: str
    task: str
    content: Content
    training: Sequence[Mapping[str, Any]] = ()
