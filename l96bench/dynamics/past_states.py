"""The states before the present one as the state of a step: what closures with lags remember."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.steps import Block

__all__ = ["PastStates"]

Array = NDArray[Any]


class PastStates:
    """Columns of a step's state that hold earlier states of the model, the newest first.

    After a start without a past, the start state stands in for it.

    Parameters
    ----------
    K, depth : int
        Points, and states that are held.
    interval : float
        MTU from one of them to the next.

    Attributes
    ----------
    block : Block
        Of the step's `StepForm`; its last column counts how much of a past there is: 0 at the start, then 1.
    """

    def __init__(self, K: int, depth: int, interval: float = HISTORY_INTERVAL) -> None:
        self.K, self.depth = K, depth
        self.block = Block(depth * K + 1, interval)

    def __call__(self, X: Array, state: Array) -> tuple[Array, Array]:
        """Return the present state and those before it, (n, 1 + depth, K), and the block (n, size) at the next step."""
        seen = state[:, -1:]
        known = state[:, :-1] / np.where(seen > 0, seen, 1.0)
        past = np.where(seen > 0, known, np.tile(X, (1, self.depth)))
        following = np.concatenate([X, past[:, : -self.K], np.ones_like(seen)], axis=1)
        return np.concatenate([X, past], axis=1).reshape(len(X), 1 + self.depth, self.K), following

    def graph(self, builder: GraphBuilder, x: str) -> str:
        """Add the block to a graph, and return the present state and those before it, (n, (1 + depth) K)."""
        n = self.depth * self.K
        state = builder.state(self.block.size, np.float64, interval=self.block.interval)
        seen, kept = builder.gather(state, np.array([n])), builder.gather(state, np.arange(n))
        zero, one = (builder.constant(value, np.float64) for value in (0.0, 1.0))
        is_seen = builder.node("Greater", seen, zero)
        known = builder.node("Div", kept, builder.node("Where", is_seen, seen, one))
        past = builder.node("Where", is_seen, known, builder.node("Concat", *[x] * self.depth, axis=1))
        everything = builder.node("Concat", x, past, axis=1)
        ones = builder.node("Add", builder.node("Mul", seen, zero), one)
        builder.keep(state, builder.node("Concat", builder.gather(everything, np.arange(n)), ones, axis=1))
        return everything
