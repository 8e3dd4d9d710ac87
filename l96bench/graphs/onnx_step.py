"""Run an ONNX file as a closure: of X alone, or as a step with state and random numbers (see `step_form`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.steps import StepForm, SteppedClosure
from l96bench.graphs.onnx_closure import POINTS, OnnxClosure, Session
from l96bench.graphs.step_form import KINDS

__all__ = ["OnnxStep", "read_closure"]


class OnnxStep:
    """A step in an ONNX file as a pure function; see `l96bench.dynamics.steps.Step`.

    Parameters
    ----------
    data : bytes
        The file, with its form in the metadata; or a `Session` of it.
    K : int, optional
        Number of points; that of the file if not given.
    name : str
        Name in messages.

    Raises
    ------
    SubmissionError
        With a line for everything in the file that is not allowed.
    """

    def __init__(self, data: bytes | Session, K: int | None = None, name: str = "closure.onnx") -> None:
        session = data if isinstance(data, Session) else Session(data, K, name)
        self.form: StepForm = session.form or StepForm()
        self.data, self.name, self.K = session.data, session.name, session.K
        self.n_parameters = session.n_parameters
        self.dtype = next((session.dtypes[kind] for kind in KINDS if kind in session.dtypes), np.float64)
        self._session = session

    @property
    def most_rows(self) -> int:
        """The most rows that are computed at once: many small operators, so half the calls are worth the cache."""
        return max(1, 2 * POINTS // self.K)

    def __call__(
        self, X: NDArray, state: NDArray, noise: NDArray, uniform: NDArray
    ) -> tuple[NDArray[np.float64], NDArray, NDArray | None]:
        """Return U (n, K), the next state (n, S) and the mean of U (n, K), if the file says it."""
        given = {"X": X, "state": state, "noise": noise, "uniform": uniform}
        given = {key: value for key, value in given.items() if key in self._session.dtypes}
        names, sizes = self._session.outputs, {"U": self.K, "state_out": state.shape[1], "mean": self.K}
        found = {
            key: np.empty((len(X), sizes[key]), dtype=self.dtype if key == "state_out" else np.float64)
            for key in ("state_out", *names)
        }
        n = self.most_rows
        for first in range(0, len(X), n):
            rows = {key: value[first : first + n] for key, value in given.items()}
            shapes: dict[str, tuple[int, ...]] = {key: (len(rows["X"]), sizes[key]) for key in names}
            for key, values in zip(names, self._session.run(rows, shapes), strict=True):
                found[key][first : first + n] = values
        return found["U"], found["state_out"], found.get("mean")

    def __reduce__(self) -> tuple[type[OnnxStep], tuple[bytes, int, str]]:
        """Pickle and copy by the file."""
        return type(self), (self.data, self.K, self.name)

    def __repr__(self) -> str:
        return f"OnnxStep({self.name!r}, K={self.K})"


def read_closure(data: bytes, K: int | None = None, name: str = "closure.onnx") -> OnnxClosure | SteppedClosure:
    """Return the closure in an ONNX file.

    Parameters
    ----------
    data : bytes
        The file: X (n, K) in and U (n, K) out, or a step with state and random numbers, which says so in its metadata.
    K : int, optional
        Number of points; that of the file if not given.
    name : str
        Name in messages.

    Returns
    -------
    OnnxClosure or SteppedClosure
        The latter for a step.

    Raises
    ------
    SubmissionError
        With a line for everything in the file that is not allowed, or if the runtime cannot load it.

    Examples
    --------
    >>> import l96bench, tempfile
    >>> import onnx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = l96bench.export_onnx(l96bench.Polynomial([1.0, -0.5]), f"{folder}/closure.onnx", K=4)
    ...     closure = l96bench.read_closure(file.read_bytes())
    ...
    >>> closure.deterministic
    True
    """
    session = Session(data, K, name)
    return OnnxClosure(session, K, name) if session.form is None else SteppedClosure(OnnxStep(session, K, name))
