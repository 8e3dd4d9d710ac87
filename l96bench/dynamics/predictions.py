"""Predictions of U by any model, and the check that U of a state depends on that state alone.

A process of `FreshCopy` imports this module, which therefore imports little.
"""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import (
    Closure,
    as_closure,
    checked_forcing,
    checked_start,
    checked_step,
    name_of,
    points_hint,
)
from l96bench.dynamics.steps import SteppedClosure
from l96bench.errors import L96BenchError, ModelError, user_error

__all__ = [
    "MEMBERS",
    "FreshCopy",
    "check_alone",
    "check_causal",
    "check_repeatable",
    "check_same",
    "mean_alone",
    "mean_of",
    "predict",
    "predict_along",
    "within_reach",
]

Predict = Callable[[Any, NDArray[np.float64]], NDArray[np.float64]]

MEMBERS = 20
"""Draws of a stochastic model."""
TOLERANCE = 1e-4
"""Largest change of U, relative to its standard deviation, that rounding may make in a batch of other states."""
DRAWS = 4
"""Draws of a stochastic closure that its predictions are compared with."""
SLACK = 0.03
"""How much smaller the mean square error of predictions may be than that of the closure, relatively."""
_ASKED = ("predict", "sample", "closure", "start", "step")
"""The methods of a model that are asked for U."""
_CHILD = """
import os, pickle, sys
out = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
sys.path[:] = pickle.load(sys.stdin.buffer)
from l96bench.dynamics.predictions import answer
answer(sys.stdin.buffer, out)
"""


class FreshCopy:
    """A context in which a copy of a model, as it was before anything was asked, answers in a process of its own.

    With ``here=True`` the copy answers in this process, which takes milliseconds in place of a second; with
    ``keeps_nothing=True``, for models that are run as graphs or by this package's kernels, the model itself does,
    unless a method of its class was replaced in this one object.

    Raises
    ------
    ModelError
        If the model cannot be pickled, or from `ask` if its process ends.
    """

    def __init__(self, model: Any, *, here: bool = False, keeps_nothing: bool = False) -> None:
        self.name, self.model = type(model).__name__, model
        self._child: subprocess.Popen[bytes] | None = None
        self._pickled = b""
        if keeps_nothing and not any(name in getattr(model, "__dict__", {}) for name in _ASKED):
            return
        import cloudpickle

        try:
            pickled = cloudpickle.dumps(model)
            if here:
                self.model = pickle.loads(pickled)
            else:
                self._pickled = pickle.dumps(sys.path) + pickled
        except Exception as error:
            raise user_error(f"{self.name}: expected a model that can be pickled; pickling", error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()

    def ask(self, predict: Predict, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``predict(copy, X)``; its errors are raised here."""
        if not self._pickled:
            return predict(self.model, X)
        import cloudpickle

        message = cloudpickle.dumps((predict, X))
        if self._child is None:
            command = [sys.executable, "-c", _CHILD]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            message = self._pickled + message
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(message)
            self._child.stdin.flush()
            found = pickle.load(self._child.stdout)
        except (OSError, EOFError) as error:
            raise ModelError(
                f"{self.name}: expected a copy of the model to answer in a process of its own, which ended with status "
                f"{self._child.wait()}; can the model be loaded in another process?"
            ) from error
        if isinstance(found, BaseException):
            raise found
        return np.asarray(found)


def answer(questions: Any, answers: Any) -> None:
    """Answer the questions of `FreshCopy.ask` from one stream on another until it ends."""
    model = pickle.load(questions)
    while True:
        try:
            predict, X = pickle.load(questions)
        except EOFError:
            return
        try:
            found = predict(model, X)
        except L96BenchError as error:
            found = error
        pickle.dump(found, answers)
        answers.flush()


def check_alone(
    copy: FreshCopy,
    predict: Predict,
    rows: NDArray[np.float64],
    U: NDArray[np.float64],
    company: NDArray[np.float64],
    seed: int,
) -> None:
    """Raise `ModelError` unless a fresh copy gives states the same U as before, with other states around them.

    Parameters
    ----------
    copy : FreshCopy
    predict : callable
        ``predict(model, X)`` is U (n, K) for states X (n, K).
    rows, U : (n, K) arrays
        One batch of states, each at the place in the batch where it was predicted, and what was predicted.
    company : (m, K) array
        States that take the places of half of them.
    seed : int
        Chooses the half and the company. A seed that follows from all predictions is known to no model beforehand.
    """
    rng = np.random.default_rng(seed)
    stays = rng.permutation(len(rows)) < (len(rows) + 1) // 2
    mixed = np.where(stays[:, None], rows, company[rng.integers(len(company), size=len(rows))])
    again = copy.ask(predict, mixed)
    differs = ~_same(U, again)[stays]
    if differs.any():
        change = np.nanmax(np.abs(again - U)[stays])
        raise ModelError(
            f"{copy.name}: expected the same U for the same state, whatever other states come with it and came before; "
            f"a fresh copy of the model gave U that differs by up to {change:.3g} in "
            f"{int(differs.any(axis=1).sum())} of {int(stays.sum())} rows. A model of one state at a time has no "
            "memory, sees no other rows of X and draws no random numbers of its own; noise and memory belong into a "
            "closure with start(n_members, rng) and step(X)"
        )
    check_same(copy.name, again, copy.ask(predict, mixed))


def check_repeatable(closure: Closure, X: NDArray[np.float64], history: NDArray[np.float64] | None = None) -> None:
    """Raise `ModelError` if a closure draws random numbers of its own.

    Started again it must give states X (n, K) the same U: a deterministic closure with any generator, a stochastic one
    with a generator in the same state.
    """
    name, given = name_of(closure), []
    for seed in (0, 1 if closure.deterministic else 0):
        checked_start(closure, len(X), np.random.default_rng(seed), history)
        given.append(np.array(checked_step(closure, X)))
    check_same(name, *given)


def check_same(name: str, first: NDArray[np.float64], again: NDArray[np.float64]) -> None:
    """Raise `ModelError` unless a model has given the same U twice: else it draws random numbers of its own."""
    if not _same(first, again).all():
        with np.errstate(invalid="ignore"):
            change = np.nanmax(np.abs(again - first))
        raise ModelError(
            f"{name}: expected the same U whenever it is asked the same, got U that differs by up to {change:.3g}. It "
            "draws random numbers of its own: a stochastic closure has start(n_members, rng) and step(X), and draws "
            "from the rng that start is given; any other is deterministic and draws none"
        )


def _same(U: NDArray[np.float64], again: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which values are the same but for rounding."""
    scale = float(np.std(np.clip(U[np.isfinite(U)], -1e9, 1e9))) if np.isfinite(U).any() else 0.0
    return np.isclose(again, U, rtol=1e-6, atol=TOLERANCE * (scale or 1.0), equal_nan=True)


def check_causal(
    model: Any,
    X: NDArray[np.float64],
    *,
    truth: NDArray[np.float64],
    mean: NDArray[np.float64],
    skipped: int,
    interval: float,
) -> NDArray[np.float64]:
    """Raise `ModelError` if a model uses later states of a trajectory than the one that it predicts U of.

    Its predictions must not change where nothing but later states do, and must not be better than those of its closure,
    which sees no later state. The first alone is passed by a model that recognizes what it has predicted before, the
    second by a closure whose noise cancels in the mean of its draws.

    Parameters
    ----------
    model : object with ``predict`` and ``closure(dt)``
    X, truth, mean : (trajectory, time, K) arrays
        The trajectories, the true U, and what `predict` gave for each of them.
    skipped : int
        Samples at the start of a trajectory that are not compared.
    interval : float
        MTU between samples.

    Returns
    -------
    array (2,)
        The mean square errors of the predictions and of the closure. That of a stochastic closure is corrected for the
        variance of a mean of `DRAWS` draws.
    """
    _check_splices(model, X, mean)
    closure = as_closure(model, interval)
    n, members = len(X), 1 if closure.deterministic else DRAWS
    checked_start(closure, n * members, np.random.default_rng(0))
    rows = (np.repeat(X[:, time], members, axis=0) for time in range(X.shape[1]))
    draws = np.stack([checked_step(closure, each) for each in rows], axis=1).reshape(n, members, *X.shape[1:])
    draws = draws[:, :, skipped:]
    error, own = (np.square(each - truth[:, skipped:]).mean() for each in (mean[:, skipped:], draws.mean(axis=1)))
    if members > 1:
        own -= draws.var(axis=1, ddof=1).mean() / members
    if error < (1.0 - SLACK) * own:
        name = type(model).__name__
        raise ModelError(
            f"expected {name}.predict to use no later states, as {name}.closure() does, which is given one state after "
            f"another; but its mean square error is {error:.4g}, and that of the closure {own:.4g}"
        )
    return np.array([error, own])


def _check_splices(model: Any, X: NDArray[np.float64], mean: NDArray[np.float64]) -> None:
    """Raise unless trajectories that go on as others do have the same predictions as before, up to there.

    Where they go on as others follows from all predictions, so that no model can know it beforehand.
    """
    n, length = X.shape[:2]
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(mean.tobytes()).digest(), "little"))
    ends = [int(rng.integers(1, length)) for _ in range(n)]
    others = X[np.arange(n) - 1] if n > 1 else X[:, ::-1]
    for own, other, before, end in zip(X, others, mean, ends, strict=True):
        again = mean_alone(model, np.concatenate([own[:end], other[end:]]))
        if not _same(before, np.concatenate([again[:end], before[end:]])).all():
            raise ModelError(
                f"expected {type(model).__name__}.predict to use no later states, and to draw no random numbers; but U "
                f"changes by up to {np.nanmax(np.abs(again - before)[:end]):.3g} where nothing but later states do"
            )


def mean_of(model: Any, X: NDArray[np.float64], state: Any) -> NDArray[np.float64]:
    """Return the predictions of a model whose draws begin at a state of the generator."""
    rng = np.random.default_rng(0)
    rng.bit_generator.state = state
    return predict(model, X, rng)[0]


def mean_alone(model: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a model's ``predict`` gives for X (n, K), or raise `ModelError`."""
    name = type(model).__name__
    try:
        return checked_forcing(model.predict(X.copy()), X.shape, f"{name}.predict")
    except ModelError:
        raise
    except Exception as error:
        hint = points_hint(model.predict, X)
        raise user_error(f"{name}.predict", error, f" for X of shape {X.shape}{'.' + hint if hint else ''}") from error


def predict(
    model: Any, X: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return a model's U (n, K) for states X (n, K), and 20 draws (member, n, K) if stochastic, or `ModelError`."""
    name = type(model).__name__
    closure = as_closure(model)
    if hasattr(model, "last_mean") or not callable(getattr(model, "predict", None)):
        draws, means = [], []
        for _ in range(1 if closure.deterministic else MEMBERS):
            checked_start(closure, len(X), rng)
            draws.append(checked_step(closure, X))
            mean = getattr(closure, "last_mean", None)
            means.append(draws[-1] if mean is None else checked_forcing(mean, X.shape, f"the mean of {name}"))
        return np.mean(means, axis=0), None if len(draws) == 1 else np.stack(draws)
    mean, sampler = mean_alone(model, X), getattr(model, "sample", None)
    try:
        drawn = sampler(X.copy(), MEMBERS, rng) if callable(sampler) else None
    except ModelError:
        raise
    except Exception as error:
        raise user_error(f"{name}.sample", error, f" for X of shape {X.shape}") from error
    return mean, None if drawn is None else checked_forcing(drawn, (MEMBERS, *X.shape), f"{name}.sample")


def predict_along(
    closure: SteppedClosure, X: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return U as `predict` does, (row, time, K), for trajectories X (row, time, K) of states in time order."""
    n_members = 1 if closure.deterministic else MEMBERS
    U, means = closure.along(np.repeat(X, n_members, axis=0), rng)
    shape = (len(X), n_members, *X.shape[1:])
    drawn = U.reshape(shape).swapaxes(0, 1)
    if n_members == 1:
        return drawn[0], None
    return (U if means is None else means).reshape(shape).mean(axis=1), drawn


def within_reach(
    values: NDArray[np.float64], mean: float, reach: float
) -> tuple[NDArray[np.float64], NDArray, NDArray]:
    """Return predictions with non-finite values replaced by the mean and outliers clipped, and where each was done."""
    wrong = ~np.isfinite(values)
    usable = np.where(wrong, mean, values)
    return np.clip(usable, mean - reach, mean + reach), wrong, np.abs(usable - mean) > reach
