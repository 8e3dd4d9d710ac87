"""Run ONNX files as closures, once they are checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import Stateless
from l96bench.errors import ModelError, SubmissionError
from l96bench.graphs.onnx_file import bare_model, checked_model, short_message, tensors
from l96bench.graphs.onnx_remedies import WHOLE_RING

__all__ = ["POINTS", "OnnxClosure", "Session"]

POINTS = 2048
"""The number of points, of all rows together, that are computed at once to fit the processor's cache."""


class Session:
    """A checked ONNX file in the runtime: what was checked is what runs.

    Attributes
    ----------
    data, name : bytes and str
        The file, and its name in messages.
    K : int
        Number of points; that of the file if not given.
    form : StepForm or None
        The state and random numbers of a step; None for a file of X alone.
    n_parameters : int
        Numbers in the file that are not shapes or indices.

    Raises
    ------
    SubmissionError
        With a line for everything in the file that is not allowed, or if the runtime cannot load it.
    """

    def __init__(self, data: bytes, K: int | None, name: str) -> None:
        model, self.form, faults = checked_model(data, name, K)
        if faults:
            raise SubmissionError("\n".join(faults))
        import onnxruntime

        inputs = {each.name: each for each in model.graph.input}
        self.data, self.name = data, name
        self.K = _width(inputs["X"] if self.form is not None else model.graph.input[0]) or K or 0
        self.n_parameters = sum(math.prod(each.dims) for each in tensors(model.graph) if each.data_type in (1, 11))
        self.n_parameters += sum(len(each.floats) for node in model.graph.node for each in node.attribute)
        self.dtypes = {key: _number_type(each) for key, each in inputs.items()}
        self.outputs = [each.name for each in model.graph.output]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.load_model_format", "ONNX")  # or it is guessed from the bytes
        # No fused operators: the file's arithmetic in the file's order, on every machine and version.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            # What was checked is loaded, written anew: the runtime may read the original bytes as another model.
            checked = bare_model(model).SerializeToString()
            self._session = onnxruntime.InferenceSession(checked, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own classes, and more
            raise SubmissionError(f"{name}: the runtime cannot load it: {short_message(error)}") from error

    def run(self, given: dict[str, NDArray], shapes: dict[str, tuple[int, ...]]) -> list[NDArray]:
        """Return the outputs for these inputs, which are of these shapes, or raise `ModelError`."""
        with np.errstate(over="ignore"):  # a member that blows up becomes infinite, as it soon would anyway
            rows = {key: np.ascontiguousarray(value, dtype=self.dtypes[key]) for key, value in given.items()}
        try:
            found = self._session.run(self.outputs, rows)
        except Exception as error:
            shown = {key: value.shape for key, value in given.items()}
            came = f"inputs of shapes {shown}" if len(given) > 1 else f"X of shape {next(iter(shown.values()))}"
            hint = "; is a number of rows fixed inside? export it with dynamic_shapes, and an example of two rows"
            raise ModelError(f"{self.name}: the runtime fails for {came}: {short_message(error)}{hint}") from error
        for (key, expected), value in zip(shapes.items(), found, strict=True):
            if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or value.shape != expected:
                shape = getattr(value, "shape", type(value).__name__)
                hint = f"; {WHOLE_RING}" if shape == (*expected[:1], 1) else ""
                raise ModelError(f"{self.name}: expected {key} of shape {expected} for as many X, got {shape}{hint}")
        return found


class OnnxClosure(Stateless):
    """The closure (or model of increments) in an ONNX file: X (n, K) in, U (n, K) out, each row on its own.

    Parameters
    ----------
    data : bytes
        The file. It has one input and one output of shape (n, K), n free, float32 or float64.
    K : int, optional
        Number of points; that of the file if not given.
    name : str
        Name in messages.

    Attributes
    ----------
    n_parameters : int
        Numbers in the file that are not shapes or indices.

    Raises
    ------
    SubmissionError
        With a line for everything in the file that is not allowed, or if the runtime cannot load it.

    Examples
    --------
    >>> import l96bench, pathlib, tempfile
    >>> import onnx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = l96bench.export_onnx(l96bench.Polynomial([1.0, -0.5]), f"{folder}/closure.onnx", K=4)
    ...     closure = l96bench.OnnxClosure(file.read_bytes())
    ...
    >>> closure.predict([[1.0, 2.0, 3.0, 4.0]]).round(3)
    array([[ 0.5,  0. , -0.5, -1. ]])
    """

    def __init__(self, data: bytes | Session, K: int | None = None, name: str = "closure.onnx") -> None:
        session = data if isinstance(data, Session) else Session(data, K, name)
        if session.form is not None:
            raise SubmissionError(f"{name}: a step with state or random numbers; read it with l96bench.read_closure")
        self._session, self.data, self.name, self.K = session, session.data, session.name, session.K
        self.n_parameters = session.n_parameters

    def predict(self, X: NDArray) -> NDArray[np.float64]:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or (self.K and X.shape[1] != self.K):
            raise ModelError(f"{self.name}: expected X of shape (n, {self.K}), got {X.shape}")
        U = np.empty(X.shape)
        n = max(1, POINTS // X.shape[1])
        [key] = self._session.dtypes
        for first in range(0, len(X), n):
            rows = X[first : first + n]
            [U[first : first + n]] = self._session.run({key: rows}, {"U": rows.shape})
        return U

    def check_rows(self, X: NDArray) -> None:
        """Raise unless U is finite for each of the states X (n, K), and the same alone as among the others."""
        U = self.predict(X)
        if not np.isfinite(U).all():
            raise ModelError(f"{self.name}: expected finite U for states of the attractor, got {U[~np.isfinite(U)][0]}")
        n = max(1, POINTS // X.shape[1])
        many = X[np.arange(n) % len(X)]
        whole = self.predict(many)
        scale = 1e-4 * (1.0 + np.abs(whole).max())
        order = np.random.default_rng(0).permutation(n)
        moved = [np.abs(self.predict(many[order]) - whole[order]).max()]
        moved += [np.abs(self.predict(many[n - size :]) - whole[n - size :]).max() for size in range(1, n)]
        if max(moved) > scale:
            raise ModelError(
                f"{self.name}: U of a state depends on the other rows of the batch, or on their number; each row is on "
                "its own"
            )
        if np.abs(self.predict(X) - U).max() > 0:
            raise ModelError(
                f"{self.name}: two calls with the same X give different U; a closure file is deterministic"
            )

    def __reduce__(self) -> tuple[type[OnnxClosure], tuple[bytes, int, str]]:
        """Pickle and copy by the file, from which the runtime's session is made again."""
        return type(self), (self.data, self.K, self.name)

    def __repr__(self) -> str:
        return f"OnnxClosure({self.name!r}, K={self.K})"


def _number_type(value: Any) -> Any:
    return np.float32 if value.type.tensor_type.elem_type == 1 else np.float64


def _width(value: Any) -> int:
    return int(value.type.tensor_type.shape.dim[1].dim_value)
