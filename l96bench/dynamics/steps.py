"""The step of a closure with memory or noise as a pure function, and the closure that carries its state through a run.

Every closure of the resolved model can be written as one step,

    U(t), s(t) = f(X(t), s(t - interval), z),

s being its state and z its random numbers. A `StepForm` says how many of each there are; they stand in blocks of
columns, each with an interval:

- ``HISTORY_INTERVAL``, 0.05 MTU, is the interval of the training data and of the past before a start. A run with steps
  of 0.01 MTU carries five interleaved chains of such a state, each 0.05 MTU behind the next of its own. Normal numbers
  of this interval are moving averages of the last five draws, over sqrt(5): independent over 0.05 MTU, as in training,
  and smooth in between. Uniform numbers are drawn once an interval and held.
- the step of the resolved model, 0.01 MTU, is that of a state that moves with the model.

Before the start the state is driven through the past. A state of 0.05 MTU makes one step for each past state, while
what moves with the model beside it stays as it begins, without noise; the chains that begin between the newest past
state and the start are interpolated linearly. Where all of the state moves with the model, it makes its own steps
through the past, interpolated linearly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import whole_multiple
from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.resolved import MODEL_DT
from l96bench.errors import ModelError, NoGraphError

__all__ = ["Block", "Step", "StepForm", "SteppedClosure"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of the state or of the random numbers of a step.

    Parameters
    ----------
    size : int
        Number of columns.
    interval : float
        0.05 MTU or the step of the resolved model; see the head of this module.
    start : float, tuple of float, "normal" or "uniform"
        How a state begins: with a number, with a number for each column, or with random numbers that are standard
        normal or uniform on [0, 1).

    Examples
    --------
    >>> import l96bench
    >>> l96bench.Block(3, 0.01, "normal")
    Block(size=3, interval=0.01, start='normal')
    """

    size: int
    interval: float = HISTORY_INTERVAL
    start: float | tuple[float, ...] | Literal["normal", "uniform"] = 0.0

    @property
    def is_slow(self) -> bool:
        """Whether the interval is that of the training data."""
        return self.interval == HISTORY_INTERVAL


@dataclass(frozen=True, slots=True)
class StepForm:
    """The inputs of a step beside X; in each of the three, blocks of `HISTORY_INTERVAL` come first.

    Parameters
    ----------
    state, noise, uniform : tuple of Block
        The state, standard normal numbers and uniform numbers on [0, 1).
    past : bool
        Whether the state is driven through the past before the start.

    Examples
    --------
    >>> import l96bench
    >>> form = l96bench.StepForm(state=(l96bench.Block(8),), noise=(l96bench.Block(8),))
    >>> [block.size for block in form.state], form.uniform
    ([8], ())
    """

    state: tuple[Block, ...] = ()
    noise: tuple[Block, ...] = ()
    uniform: tuple[Block, ...] = ()
    past: bool = True

    @property
    def deterministic(self) -> bool:
        """Whether nothing is drawn at random."""
        return not (self.noise or self.uniform or any(isinstance(each.start, str) for each in self.state))

    @property
    def has_memory(self) -> bool:
        """Whether U depends on past X."""
        return bool(self.state) and self.past

    @staticmethod
    def size(blocks: Sequence[Block], slow: bool | None = None) -> int:
        """Return the number of columns of some blocks: all of them, the slow or the others."""
        return sum(each.size for each in blocks if slow is None or each.is_slow == slow)


class Step(Protocol):
    """A step as a pure function of rows that are independent of each other."""

    form: StepForm
    K: int
    dtype: Any
    """The type of the state and the random numbers: float32 or float64."""

    def __call__(self, X: Array, state: Array, noise: Array, uniform: Array) -> tuple[Array, Array, Array | None]:
        """Return U (n, K), the next state (n, S) and, where it is known, the mean of U (n, K) given X and the state."""


class SteppedClosure:
    """The closure that carries the state of a pure step through a run of the resolved model.

    Parameters
    ----------
    step : Step
        Such as a `MarkovChainStep`: what U is now, and what the state is at the next step.
    dt : float
        Step of the resolved model in MTU; it divides 0.05.

    Attributes
    ----------
    last_mean : ndarray of shape (member, K) or None
        The mean of U at the last step given X and the state, where the step says it.
    data : bytes
        The file, if the step is in one.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import MarkovChainRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> chain = MarkovChainRegressor(n_bins=4, n_states=2).fit(run.X, run.U)
    >>> closure = chain.closure(0.01)
    >>> isinstance(closure, l96bench.SteppedClosure), closure.deterministic
    (True, False)
    """

    def __init__(self, step: Step, dt: float = MODEL_DT) -> None:
        self.form, self.K = step.form, step.K
        self.deterministic = self.form.deterministic
        self._step, self._dt = step, dt
        if (data := getattr(step, "data", None)) is not None:
            self.data: bytes = data
        self._n_chains = whole_multiple(HISTORY_INTERVAL, dt, "the memory's step", "the model step dt")
        if self.form.has_memory:
            self.remember = self._remember
        self.start(0, np.random.default_rng(0))

    @property
    def step_function(self) -> Step:
        """The pure function."""
        return self._step

    @property
    def n_parameters(self) -> int | None:
        """The number of parameters of the step, where it is known."""
        return getattr(self._step, "n_parameters", None)

    @property
    def graph_is_exact(self) -> bool:
        """Whether the step and its graph give the same bits."""
        return bool(getattr(self._step, "graph_is_exact", False))

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the step's graph; see `Closure`."""
        if self._dt != MODEL_DT:
            raise NoGraphError(f"expected a closure for the model's step of {MODEL_DT} MTU, got one for {self._dt}")
        if not callable(write := getattr(self._step, "graph", None)):
            raise NoGraphError(f"no graph is known of {type(self._step).__name__}")
        return str(write(builder, x, K))

    def copy(self) -> SteppedClosure:
        """Return another closure of the same step, which remembers nothing."""
        return SteppedClosure(self._step, self._dt)

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget everything; `n_members` rows are coming, and all randomness comes from `rng`."""
        self._n, self._rng, self._steps = n_members, rng, 0
        self._past: Array | None = None
        self.last_mean: Array | None = None
        state = [self._begun(block) for block in self.form.state]
        both = np.concatenate(state, axis=1) if state else self._empty()
        n_slow = StepForm.size(self.form.state, slow=True)
        self._chains, self._moving = [both[:, :n_slow]], both[:, n_slow:]
        self._draws = self._normal(self._n_chains, n_members, StepForm.size(self.form.noise, slow=True))
        self._held = self._empty()

    def _remember(self, history: NDArray) -> None:
        """Take the states before the start, (past, member, K), `HISTORY_INTERVAL` apart, newest last."""
        self._past = np.array(history)

    def step(self, X: NDArray) -> NDArray:
        """Return the added tendency U (member, K) for the states X (member, K)."""
        if X.shape != (self._n, self.K):
            raise ModelError(f"The closure was started for states of shape {(self._n, self.K)}; X has {X.shape}.")
        if self._past is not None:
            self._drive(self._past, X)
            self._past = None
        slot = self._steps % self._n_chains
        if self._steps:
            self._draws[slot] = self._normal(*self._draws.shape[1:])
        if slot == 0:
            self._held = self._uniform(self._n, StepForm.size(self.form.uniform, slow=True))
        noise = self._draws.sum(axis=0) / self._draws.dtype.type(math.sqrt(self._n_chains))
        before = self._chains[slot]
        U, slow = self._made(X, before, noise, self._held)
        if self._steps == 0:
            self._chains = [
                before + (slow - before) * slow.dtype.type(i / self._n_chains) for i in range(self._n_chains)
            ]
        self._chains[slot] = slow
        self._steps += 1
        return U

    def along(self, X: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray | None]:
        """Return U (row, time, K), and its mean if known, along trajectories X (row, time, K), 0.05 MTU a state."""
        self.start(len(X), rng)
        U, means = np.empty(X.shape), np.empty(X.shape)
        between = self._n_chains if self.form.has_memory and not self._is_slow else 1
        for time in range(X.shape[1]):
            for i in range(between if time else 1):
                weight = (i + 1) / between if time else 1.0
                here = X[:, time] if weight == 1.0 else (1 - weight) * X[:, time - 1] + weight * X[:, time]
                U[:, time] = self.once(here)
            if self.last_mean is not None:
                means[:, time] = self.last_mean
        return U, None if self.last_mean is None else means

    def once(self, X: NDArray, moves: bool = True) -> NDArray:
        """Make one step with fresh random numbers and without interleaved chains; return U (member, K).

        Without `moves`, what moves with the model stays as it is.
        """
        noise = self._normal(self._n, StepForm.size(self.form.noise, slow=True))
        uniform = self._uniform(self._n, StepForm.size(self.form.uniform, slow=True))
        U, self._chains[0] = self._made(X, self._chains[0], noise, uniform, moves)
        return U

    @property
    def state(self) -> Array:
        """The state (member, S), that of the first chain."""
        return _beside(self._chains[0], self._moving)

    def inputs(self, X: NDArray) -> tuple[Array, Array, Array, Array]:
        """Return X, the state, and fresh normal and uniform numbers, as the step is given them."""
        noise = self._normal(self._n, StepForm.size(self.form.noise))
        return X, self.state, noise, self._uniform(self._n, StepForm.size(self.form.uniform))

    def __repr__(self) -> str:
        return f"SteppedClosure({self._step!r})"

    @property
    def _is_slow(self) -> bool:
        return StepForm.size(self.form.state, slow=True) > 0

    def _drive(self, past: NDArray, X: NDArray) -> None:
        """Drive the state through the past (past, member, K) up to the start X (member, K)."""
        rows = np.concatenate([past, X[None]])
        between = 1 if self._is_slow else self._n_chains
        for here, following in itertools.pairwise(rows):
            for i in range(between):
                self.once(here if i == 0 else here + (following - here) * (i / between), moves=between > 1)

    def _made(self, X: NDArray, slow: Array, noise: Array, uniform: Array, moves: bool = True) -> tuple[NDArray, Array]:
        """Call the step with these slow parts, keep what moves with the model, and return U and the slow state."""
        sizes = (StepForm.size(blocks, slow=False) for blocks in (self.form.noise, self.form.uniform))
        drawn = [
            draw(self._n, size) if moves else np.zeros((self._n, size), dtype=self._step.dtype)
            for draw, size in zip((self._normal, self._uniform), sizes, strict=True)
        ]
        numbers = (_beside(*each) for each in zip((noise, uniform), drawn, strict=True))
        U, state, self.last_mean = self._step(X, _beside(slow, self._moving), *numbers)
        n_slow = slow.shape[1]
        if moves:
            self._moving = state[:, n_slow:]
        return U, state[:, :n_slow]

    def _begun(self, block: Block) -> Array:
        """Return the start (member, size) of a block of the state."""
        if block.start == "normal":
            return self._normal(self._n, block.size)
        if block.start == "uniform":
            return self._uniform(self._n, block.size)
        return np.tile(np.full(block.size, block.start, dtype=self._step.dtype), (self._n, 1))

    def _normal(self, *shape: int) -> Array:
        if not shape[-1]:
            return np.empty(shape, dtype=self._step.dtype)
        return self._rng.standard_normal(shape, dtype=self._step.dtype)

    def _uniform(self, *shape: int) -> Array:
        if not shape[-1]:
            return np.empty(shape, dtype=self._step.dtype)
        return self._rng.random(shape, dtype=self._step.dtype)

    def _empty(self) -> Array:
        return np.empty((self._n, 0), dtype=self._step.dtype)


def _beside(slow: Array, fast: Array) -> Array:
    """Return columns side by side, without a copy where there is one kind."""
    if not fast.shape[1]:
        return slow
    return np.concatenate([slow, fast], axis=1) if slow.shape[1] else fast
