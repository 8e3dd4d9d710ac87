"""Check that a step in a file is what it should be: rows on their own, bounded, and without a clock."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import HISTORY_INTERVAL, MODEL_DT
from l96bench.dynamics.steps import StepForm, SteppedClosure
from l96bench.errors import ModelError
from l96bench.graphs.onnx_step import OnnxStep

__all__ = ["check_step"]

Array = NDArray[Any]
_TOLERANCE = 1e-4
_INTERVAL = round(HISTORY_INTERVAL / MODEL_DT)
_ROWS = 8
"""Rows of the long run."""
_AGE = 250.0
"""MTU of the long run, as long as a climate run."""
_WINDOWS = (1.0, 2.0, 5.0, 10.0, 20.0)
"""MTU after which an old state is compared with a new one, from each to the next."""
_APART, _AS_OTHERS = 0.03, 4.0
"""An old and a new state may give U that differ by this fraction of the variance, and so many times what old ones do.

Of old ones those two count that differ least, so that a clock that strikes between their ages is noticed.
"""
_GROWTH = 2.5
"""The largest growth of a state from the first quarter of the long run to the last."""
_TAIL = 6.0
"""Normal numbers as large as this come in long runs of many rows."""
_DRAWS = 400
"""Draws by which the mean of U is compared."""


def check_step(step: OnnxStep, X: NDArray, path: NDArray | None = None) -> None:
    """Raise `ModelError` unless a step in a file is what it should be.

    Its U, state and mean are finite, also for rare random numbers; they are the same whenever it is asked the same, and
    in batches of every size up to those of a run; they depend on the random numbers that the file asks for. In a run as
    long as those of a climate the state stays bounded, and it does not tell the age of the run: a state of any age
    becomes like a new one under the same X and random numbers.

    Parameters
    ----------
    step : OnnxStep
    X : (n, K) array
        States of the attractor, n at least 8.
    path : (time, K) array, optional
        A trajectory, 0.05 MTU a state, which drives the long run; else it is driven by the states X at random.
    """
    rng = np.random.default_rng(int(hashlib.sha256(step.data).hexdigest()[:16], 16))
    closure = SteppedClosure(step)
    closure.start(len(X), rng)
    for _ in range(3):
        closure.step(X)
    inputs = closure.inputs(X)
    _check_calls(step, inputs, rng)
    for kind, values in zip(("noise", "uniform"), inputs[2:], strict=True):
        if values.shape[1] and not _depends(step, closure, X, kind):
            raise ModelError(f"{step.name}: neither U nor the state depends on {kind}; leave it away")
    if step.form.state:
        _check_run(step, X, path, rng)
    else:
        _check_mean(step, closure, X)


def _check_calls(step: OnnxStep, inputs: Sequence[Array], rng: np.random.Generator) -> None:
    """Raise unless outputs are finite, repeatable, and those of each row alone whatever the batch."""
    own = _flat(step, inputs)
    if not np.isfinite(own).all():
        raise ModelError(
            f"{step.name}: expected finite U and state, and mean if any, for states of the attractor, got NaN or "
            "infinity"
        )
    if not (own == _flat(step, inputs)).all():
        raise ModelError(f"{step.name}: the same X, state and random numbers give different U or state")
    n = step.most_rows
    X, state, noise, uniform = (each[np.arange(n) % len(each)] for each in inputs)
    largest = np.abs(noise).max(axis=1, initial=1e-9, keepdims=True)
    noise = np.where(np.arange(n)[:, None] % 2, noise, _TAIL * noise / largest).astype(noise.dtype)
    many = [X, state, noise, rng.permuted(uniform, axis=0)]
    whole = _flat(step, many)
    if not np.isfinite(whole).all():
        raise ModelError(
            f"{step.name}: expected finite U and state, and mean if any, for normal numbers up to {_TAIL:g}, which "
            "come in long runs, got NaN or infinity"
        )
    scale = _TOLERANCE * (1.0 + np.abs(whole).max(axis=0))
    order = rng.permutation(n)
    moved = [np.abs(_flat(step, [each[order] for each in many]) - whole[order])]
    for size in range(1, n):
        first = int(rng.integers(n - size + 1))
        moved.append(np.abs(_flat(step, [each[first : first + size] for each in many]) - whole[first : first + size]))
    if any((each > scale).any() for each in moved):
        raise ModelError(
            f"{step.name}: U, state or mean of a row depends on the other rows of the batch, or on their number; "
            "rows are on their own"
        )


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


def _check_mean(step: OnnxStep, closure: SteppedClosure, X: NDArray) -> None:
    """Raise if the mean that a step without state says is not that of draws."""
    X, state, noise, uniform = closure.inputs(X)
    mean = step(X, state, noise, uniform)[2]
    if mean is None:
        return
    total, squares = np.zeros((2, *mean.shape))
    for _ in range(_DRAWS):
        _, _, noise, uniform = closure.inputs(X)
        U = step(X, state, noise, uniform)[0]
        total, squares = total + U, squares + U * U
    average = total / _DRAWS
    error = np.sqrt(np.maximum(squares / _DRAWS - average**2, 0.0) / _DRAWS)
    apart = np.abs(mean - average) / (error + _TOLERANCE * (1.0 + np.abs(average)))
    if apart.max() > 8.0:
        row, k = np.unravel_index(int(apart.argmax()), apart.shape)
        raise ModelError(
            f"{step.name}: expected `mean` to be the mean of U over the random numbers; it is {mean[row, k]:.3g} where "
            f"{_DRAWS} draws have {average[row, k]:.3g}"
        )


def _check_run(step: OnnxStep, X: NDArray, path: NDArray | None, rng: np.random.Generator) -> None:
    """Raise unless the state stays bounded in a long run, and does not tell its age."""
    between = 1 if StepForm.size(step.form.state, slow=True) else _INTERVAL
    states = _Driver(X, path, between, rng)
    n, interval = round(_AGE / HISTORY_INTERVAL) * between, HISTORY_INTERVAL / between
    # Whole multiples of the data's interval: a state of 0.01 MTU may count the steps in between.
    drawn = rng.integers(round(_WINDOWS[-1] / HISTORY_INTERVAL), round(_AGE / HISTORY_INTERVAL), 3) * between
    ages = {*drawn.tolist(), n}
    closure = SteppedClosure(step)
    closure.start(_ROWS, rng)
    begun, old = closure.state.copy(), []
    constant, size = np.ones(begun.shape[1], dtype=bool), np.zeros((4, begun.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(n):
            closure.once(states(i))
            state = closure.state
            size[i * 4 // n] += np.square(state, dtype=np.float64).mean(axis=0)
            if i + 1 in ages:
                old.append(((i + 1) * interval, state.copy()))
                constant &= (state == begun).all(axis=0)
        size = np.sqrt(size * 4 / n)
    _check_bounded(step, size, n * interval)
    X, _, noise, uniform = closure.inputs(states(n))
    _check_calls(step, [X, state, noise, uniform], rng)
    closure.start(_ROWS, rng)
    new = np.where(constant, begun, closure.state)  # what never changes says which of several models a row has
    groups = _coupled(step, closure, states, [new, *(each for _, each in old)], round(_WINDOWS[-1] / interval))
    _check_age(step, groups, [age for age, _ in old], [round(each / interval) for each in _WINDOWS])


def _check_bounded(step: OnnxStep, size: NDArray, duration: float) -> None:
    if not np.isfinite(size).all():
        raise ModelError(
            f"{step.name}: expected a state that stays finite, and whose squares do, within {duration:g} MTU"
        )
    grown = size[3] > _GROWTH * np.maximum(size[0], 1e-9)
    if grown.any():
        column = int(np.flatnonzero(grown)[0])
        raise ModelError(
            f"{step.name}: expected a state that stays bounded; column {column} is {size[0, column]:.3g} on average in "
            f"the first quarter of {duration:g} MTU and {size[3, column]:.3g} in the last. A state that counts or adds "
            "up tells the age of a run"
        )


def _coupled(
    step: OnnxStep, closure: SteppedClosure, states: _Driver, begin: Sequence[Array], n: int
) -> NDArray[np.float64]:
    """Return U (group, step, row, K) of groups of rows that begin with other states, given the same X and numbers."""
    state, found = np.concatenate(begin), []
    for i in range(n):
        X, _, noise, uniform = (np.tile(each, (len(begin), 1)) for each in closure.inputs(states(i)))
        U, state, _ = step(X, state, noise, uniform)
        found.append(U.reshape(len(begin), -1, U.shape[1]))
    return np.moveaxis(np.array(found), 1, 0)


def _check_age(step: OnnxStep, U: NDArray, ages: Sequence[float], windows: Sequence[int]) -> None:
    """Raise unless a new state, the first group of U, becomes like old ones as these become like each other."""
    variance = max(float(U[0].var()), 1e-30)
    for first, last in itertools.pairwise(windows):
        new, old = U[0, first:last], U[1:, first:last]
        pairs = [float(np.square(a - b).mean()) for a, b in itertools.combinations(old, 2)]
        others = min(pairs, default=0.0)
        allowed = min(variance, _APART * variance + _AS_OTHERS * others)
        for age, each in zip(ages, old, strict=True):
            apart = float(np.square(each - new).mean())
            if not apart <= allowed:
                raise ModelError(
                    f"{step.name}: U tells the age of a run: a state that is {age:.4g} MTU old and a new one, given "
                    f"the same X and random numbers for some MTU, have U that differ by {np.sqrt(apart):.3g}; expected "
                    f"at most {np.sqrt(allowed):.3g}, by what old ones differ and the standard deviation of U. Begin "
                    "the state where it usually is (`start`), and let it forget"
                )


class _Driver:
    """The states (row, K) that drive a long run, by the number of the step."""

    def __init__(self, X: NDArray, path: NDArray | None, between: int, rng: np.random.Generator) -> None:
        self._X, self._path, self._between, self._rng = X, path, between, rng
        self._starts = np.zeros(_ROWS, int) if path is None else rng.integers(len(path), size=_ROWS)

    def __call__(self, step: int) -> NDArray[np.float64]:
        if self._path is None:
            return np.asarray(self._X[self._rng.permutation(len(self._X))[:_ROWS]])
        time, part = divmod(step, self._between)
        here, following = (self._path[(self._starts + time + i) % len(self._path)] for i in (0, 1))
        return np.asarray(here + (following - here) * (part / self._between))


def _flat(step: OnnxStep, inputs: Any) -> NDArray[np.float64]:
    """Return U, state and mean, side by side."""
    U, state, mean = step(*inputs)
    return np.concatenate([U, state, *([] if mean is None else [mean])], axis=1, dtype=np.float64)
