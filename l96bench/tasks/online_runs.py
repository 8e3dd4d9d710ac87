"""Run a closure as the family `online-rollout` does: batches that look alike, of which one goes on to the climates.

A closure must be one model in all that is scored. Every run therefore has the same number of rows, start states of the
same climates in an order that tells nothing, and begins from a fresh copy of the closure.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import whole_multiple
from l96bench.dynamics.closures import Closure, checked_start, checked_step, name_of
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.resolved import Rollout, rollout
from l96bench.dynamics.steps import SteppedClosure
from l96bench.errors import ModelError, user_error
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.regimes import Regime, seed_word

__all__ = [
    "AGAIN",
    "INTERVAL",
    "Batches",
    "RecordedClosure",
    "Runner",
    "Starts",
    "check_company",
    "copies",
    "restarted",
]

Array = NDArray[np.float64]
INTERVAL = 0.05
"""MTU between the samples of a run."""
DISTURBANCE = 0.01
"""Standard deviation of what is added to a state from which a closure is started again, in standard deviations of X."""
AGAIN = 0.5
"""MTU that a closure runs after it was started again."""


@dataclass(frozen=True, slots=True)
class Batches:
    """Which case and member each row of each batch is, (batch, n), and in which order the rows stand.

    `order` (batch, n + n_shifted) permutes the n forecasts and, behind them, the rows of the shifted forcing, which
    are the same in every batch. The first batch has n different cases. What is left in the last batch repeats the first
    rows.
    """

    cases: NDArray[np.int64]
    members: NDArray[np.int64]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, n_cases: int, members: int, n: int, n_shifted: int, rng: np.random.Generator) -> Batches:
        """Draw batches of n rows that hold all members of all cases."""
        first = rng.permutation(n_cases)
        orders = [rng.permutation(n + n_shifted)]
        cases = np.concatenate([first, *(rng.permutation(n_cases) for _ in range(members - 1))])
        number = np.repeat(np.arange(members), n_cases)
        n_batches = -(-len(cases) // n)
        orders += [rng.permutation(n + n_shifted) for _ in range(n_batches - 1)]
        rows = np.arange(n_batches * n) % len(cases)
        return cls(cases[rows].reshape(-1, n), number[rows].reshape(-1, n), np.array(orders))


@dataclass(frozen=True, slots=True)
class Starts:
    """Rows to start from: X (row, K), the `past` (past, row, K), the `forcing` (row,), the `limits` (2, row) of X."""

    X: Array
    past: Array
    forcing: Array
    limits: Array

    def __getitem__(self, rows: Any) -> Starts:
        return Starts(self.X[rows], self.past[:, rows], self.forcing[rows], self.limits[:, rows])

    def __add__(self, other: Starts) -> Starts:
        return Starts(
            np.concatenate([self.X, other.X]),
            np.concatenate([self.past, other.past], axis=1),
            np.concatenate([self.forcing, other.forcing]),
            np.concatenate([self.limits, other.limits], axis=1),
        )


@dataclass(frozen=True, slots=True)
class Runner:
    """The regime and how its closures are run; `__call__` runs one batch.

    The past that a closure is given has errors of standard deviation `past_error`.
    """

    regime: Regime
    progress: bool | None = None
    past_error: float = 0.0

    def observed(self, past: Array, *words: int) -> Array:
        """Return a past with the errors that it is given with; the words tell one draw of them from another."""
        if not self.past_error:
            return past
        rng = np.random.default_rng([self.regime.word, seed_word("past"), *words])
        return past + self.past_error * rng.standard_normal(past.shape)

    def __call__(
        self, closure: Any, starts: Starts, order: NDArray[np.int64], duration: float, rng: np.random.Generator
    ) -> Rollout:
        """Run a closure from `starts`, whose rows it sees in this order, and return them in their own."""
        mixed = starts[order]
        run = rollout(
            closure,
            mixed.X,
            duration,
            regime=self.regime,
            F=mixed.forcing,
            interval=INTERVAL,
            limits=(mixed.limits[0], mixed.limits[1]),
            history=mixed.past,
            rng=rng,
            progress=self.progress,
        )
        back = np.argsort(order)
        return Rollout(run.time, run.X[:, back], run.left[back])


def copies(closure: Closure) -> Callable[[], Closure]:
    """Return a function that makes fresh copies of a closure, as it is now.

    What runs as a graph or in this package's kernels keeps nothing and is its own copy; what is derived from these
    classes may keep anything. Raises `ModelError` for a closure that cannot be pickled.
    """
    if type(closure) in (OnnxClosure, Polynomial):
        return lambda: closure
    if type(closure) is SteppedClosure:
        return closure.copy
    import cloudpickle

    expected = f"{name_of(closure)}: expected a closure that can be pickled; pickling"

    def copy() -> Closure:
        try:
            found: Closure = pickle.loads(pickled)
            return found
        except Exception as error:
            raise user_error(expected, error) from error

    try:
        pickled = cloudpickle.dumps(closure)
    except Exception as error:
        raise user_error(expected, error) from error
    return copy


def _from_run(run: Runner, X: Array, at: int, starts: Starts, ahead: int) -> tuple[NDArray[np.bool_], Starts]:
    """Return which rows of a run X (time, row, K) are there around sample `at`, and all rows with their own past.

    Rows that have left by `ahead` samples later stand where they began.
    """
    past = len(starts.past)
    alive = np.asarray(np.isfinite(X[at - past : at + ahead + 1]).all(axis=(0, 2)))
    there = np.where(alive[:, None], X[at], starts.X)
    own = run.observed(X[at - past : at], at)
    return alive, Starts(there, np.where(alive[:, None], own, starts.past), starts.forcing, starts.limits)


def restarted(
    run: Runner,
    copy: Callable[[], Closure],
    X: Array,
    at: int,
    starts: Starts,
    std: float,
    rngs: Sequence[np.random.Generator],
    noise: Sequence[np.random.Generator] | None = None,
) -> Array | None:
    """Return squares of differences (3, row): of a run from its restarts, of two restarts, and of these at first.

    The run X (time, row, K), of the same rows as `starts`, is started again at sample `at` from its own past, a little
    disturbed, by two fresh copies of the closure. `rngs` draw the disturbances, and the closure's noise if no `noise`
    is given. Rows that have left are left out; None if no row is there.
    """
    n = whole_multiple(AGAIN, INTERVAL)
    alive, again = _from_run(run, X, at, starts, n)
    found, moves = [], []
    for rng, own_noise in zip(rngs, rngs if noise is None else noise, strict=True):
        move = DISTURBANCE * std * rng.standard_normal(again.X.shape)
        moved = Starts(again.X + move, again.past, again.forcing, again.limits)
        found.append(run(copy(), moved, rng.permutation(len(move)), AGAIN + INTERVAL, own_noise).X[-1])
        moves.append(move)
    first, second = found
    kept = alive & np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if not kept.any():
        return None
    own = X[at + n]
    squares = (
        (np.square(own - first) + np.square(own - second)) / 2.0,
        np.square(first - second),
        np.square(moves[0] - moves[1]),
    )
    return np.where(kept, [each.mean(axis=1) for each in squares], 0.0)


def check_company(
    run: Runner, fresh: Callable[[], Closure], X: Array, at: int, starts: Starts, rng: np.random.Generator
) -> None:
    """Raise `ModelError` unless members go on in the same way when half of the others are replaced.

    The members are those of a run X (time, row, K) at sample `at`; others stand where the run began. A stochastic
    closure draws the same numbers both times.
    """
    alive, rows = _from_run(run, X, at, starts, 0)
    n = len(alive)
    stays = rng.permutation(n) < (n + 1) // 2
    mixed = (rows + starts)[np.where(stays, np.arange(n), n + np.arange(n))]
    order = rng.permutation(n)
    noise = copy.deepcopy(rng)
    one, other = (
        run(fresh(), each, order, AGAIN + INTERVAL, own).X[:, stays & alive]
        for each, own in ((rows, rng), (mixed, noise))
    )
    if not np.allclose(one, other, rtol=0.0, atol=1e-4 * float(np.std(starts.X)), equal_nan=True):
        raise ModelError(
            f"{name_of(fresh())}: expected U of a member to depend on that member alone; with others beside it, "
            f"X differs by up to {np.nanmax(np.abs(one - other)):.3g} after {AGAIN:g} MTU"
        )


@dataclass(eq=False)
class RecordedClosure:
    """A closure wrapper that records the mean over the ring of every U, (step, row)."""

    closure: Closure
    sources: list[Array] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.deterministic = self.closure.deterministic
        if hasattr(self.closure, "remember"):
            self.remember = self.closure.remember

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Start the closure."""
        checked_start(self.closure, n_members, rng)

    def step(self, X: Array) -> Array:
        """Return the closure's U, and record it."""
        U = checked_step(self.closure, X)
        with np.errstate(over="ignore", invalid="ignore"):
            self.sources.append(U.mean(axis=1))
        return U

    def means(self, order: NDArray[np.int64], first: int, every: int) -> Array:
        """Return the means from the step `first` on, one in `every` steps, of the rows in their own order."""
        return np.array(self.sources[first::every])[:, np.argsort(order)]
