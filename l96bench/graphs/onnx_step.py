"""Run an ONNX file as a closure: of X alone, or as a step with state and random numbers (see `step_form`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import HISTORY_INTERVAL, MODEL_DT
from l96bench.dynamics.steps import StepForm, SteppedClosure
from l96bench.errors import ModelError
from l96bench.graphs.onnx_closure import POINTS, OnnxClosure, Session
from l96bench.graphs.step_form import KINDS

__all__ = ["OnnxStep", "check_step", "read_closure"]

_STEPS, _ROWS = 800, 16
"""Steps and rows of the check that a state stays bounded."""
_GROWTH = 2.5
"""The largest growth of a state from the first quarter of these steps to the last."""
_TOLERANCE = 1e-4
_INTERVAL = round(HISTORY_INTERVAL / MODEL_DT)


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
        n = max(1, 2 * POINTS // self.K)  # many small operators: half the calls are worth more than the cache
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

    Raises
    ------
    SubmissionError
        With a line for everything in the file that is not allowed, or if the runtime cannot load it.
    """
    session = Session(data, K, name)
    return OnnxClosure(session, K, name) if session.form is None else SteppedClosure(OnnxStep(session, K, name))


def check_step(step: OnnxStep, X: NDArray) -> None:
    """Raise `ModelError` unless a step in a file is what it should be.

    Its U and state are finite, do not depend on other rows, are the same whenever it is asked the same, depend on the
    random numbers that it asks for, and its state stays bounded.

    Parameters
    ----------
    step : OnnxStep
    X : (n, K) array
        States of the attractor, n at least 16.
    """
    rng = np.random.default_rng(0)
    closure = SteppedClosure(step)
    closure.start(len(X), rng)
    for _ in range(3):
        closure.step(X)
    inputs = closure.inputs(X)
    own = _flat(step, inputs)
    if not np.isfinite(own).all():
        raise ModelError(f"{step.name}: expected finite U and state for states of the attractor, got NaN or infinity")
    if not (own == _flat(step, inputs)).all():
        raise ModelError(f"{step.name}: the same X, state and random numbers give different U or state")
    scale = _TOLERANCE * (1.0 + np.abs(own).max(axis=0))
    order = rng.permutation(len(X))
    moved = np.abs(_flat(step, [each[order] for each in inputs]) - own[order])
    alone = np.abs(np.concatenate([_flat(step, [each[i : i + 1] for each in inputs]) for i in (0, -1 % len(X))])
                   - own[[0, -1]])  # fmt: skip
    if (moved > scale).any() or (alone > scale).any():
        raise ModelError(
            f"{step.name}: U or state of a row depends on the other rows of the batch; rows are on their own"
        )
    for kind, values in zip(("noise", "uniform"), inputs[2:], strict=True):
        if values.shape[1] and not _depends(step, closure, X, kind):
            raise ModelError(f"{step.name}: neither U nor the state depends on {kind}; leave it away")
    _check_bounded(step, X[:_ROWS])


def _depends(step: OnnxStep, closure: SteppedClosure, X: NDArray, kind: str) -> bool:
    """Return whether other random numbers of a kind change U or the state within the steps of 0.05 MTU."""
    state = other = closure.state
    place = 2 if kind == "noise" else 3
    for _ in range(_INTERVAL + 1):
        inputs = [*closure.inputs(X)]
        changed = [*inputs]
        inputs[1], changed[1] = state, other
        changed[place] = closure.inputs(X)[place]
        (U, state, _), (V, other, _) = step(*inputs), step(*changed)
        if (U != V).any() or (state != other).any():
            return True
    return False


def _check_bounded(step: OnnxStep, X: NDArray) -> None:
    """Raise unless every column of the state is as large in the first quarter of a run as in its last."""
    if not step.form.state:
        return
    closure, rng = SteppedClosure(step), np.random.default_rng(1)
    closure.start(len(X), rng)
    size = np.zeros((4, StepForm.size(step.form.state)))
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(_STEPS):
            closure.once(X[rng.permutation(len(X))])
            size[i * 4 // _STEPS] += np.square(closure.state, dtype=np.float64).mean(axis=0)
        size = np.sqrt(size * 4 / _STEPS)
    if not np.isfinite(size).all():
        raise ModelError(f"{step.name}: expected a state that stays finite, got infinity or NaN within {_STEPS} steps")
    grown = size[3] > _GROWTH * np.maximum(size[0], 1e-9)
    if grown.any():
        column = int(np.flatnonzero(grown)[0])
        raise ModelError(
            f"{step.name}: expected a state that stays bounded; column {column} is {size[0, column]:.3g} on average in "
            f"the first quarter of {_STEPS} steps and {size[3, column]:.3g} in the last. A state that counts or adds "
            "up tells the age of a run"
        )


def _flat(step: OnnxStep, inputs: Any) -> NDArray[np.float64]:
    """Return U and state, side by side."""
    U, state, _ = step(*inputs)
    return np.concatenate([U, state], axis=1, dtype=np.float64)
