"""Correct models with what was learned from analysis increments, as a tendency on top of a closure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import Closure, as_closure, checked_start, checked_step
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.dynamics.resolved import MODEL_DT
from l96bench.errors import L96BenchError

__all__ = ["CorrectedClosure", "corrected"]


class CorrectedClosure:
    """The closure U = base(X) + correction(X) / window.

    An increment corrects the model error of one window. A model of the increment given the background, divided by the
    window (MTU between the analyses), is therefore a missing tendency. Like every closure it is evaluated at the start
    of each model step, for each member at its own state, so that it also runs free forecasts and climates. Holding it
    through the window is no better (on `wilks-f20`, background RMSE .57 and .57 for a cubic of the stencil, .57 and .60
    held for a quartic of the point).

    Parameters
    ----------
    base : Closure
        Of the model that made the background.
    correction : Closure
        A model of the increment (n, K) given the background (n, K).
    window : float
        MTU between the analyses.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> closure = da.CorrectedClosure(l96bench.NoClosure(), l96bench.Polynomial([0.0, -0.1]), window=0.05)
    >>> closure.step(np.ones((1, 3)))
    array([[-2., -2., -2.]])
    """

    def __init__(self, base: Closure, correction: Closure, window: float) -> None:
        self.base, self.correction, self.window = base, correction, window
        self.deterministic = base.deterministic and correction.deterministic
        if hasattr(base, "remember") or hasattr(correction, "remember"):
            self.remember = self._remember

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Start both parts."""
        for part in (self.base, self.correction):
            checked_start(part, n_members, rng)

    def _remember(self, history: NDArray) -> None:
        for part in (self.base, self.correction):
            if hasattr(part, "remember"):
                part.remember(history.copy())

    def step(self, X: NDArray) -> NDArray:
        """Return the added tendency U (member, K) for the states X (member, K)."""
        return checked_step(self.base, X) + checked_step(self.correction, X) / self.window

    @property
    def graph_is_exact(self) -> bool:
        """Whether the closure and its graph give the same bits."""
        return all(getattr(part, "graph_is_exact", False) for part in (self.base, self.correction))

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the sum of both parts' graphs; see `Closure`."""
        window = builder.constant(self.window, np.float64)
        tendency = builder.node("Div", builder.closure(x, self.correction, K), window)
        return builder.node("Add", builder.closure(x, self.base, K), tendency)

    def __repr__(self) -> str:
        return f"CorrectedClosure({self.base!r}, {self.correction!r}, window={self.window})"


def corrected(correction: Any, window: float, closure: Any = None, dt: float = MODEL_DT) -> Closure:
    """Return the closure of a model corrected by what was learned from its increments.

    Use it like any closure: in a `ResolvedModel` to cycle again, in `rollout` for free forecasts and climate.

    Parameters
    ----------
    correction : model
        Whatever `as_closure` takes, mapping background means X (n, K) to increments (n, K).
    window : float
        MTU between the analyses from which the increments came.
    closure : model, optional
        The closure of the model that made the background; none (U = 0) by default.
    dt : float
        Step of the resolved model in MTU.

    Returns
    -------
    Closure
        Deterministic, if both parts are.

    Raises
    ------
    L96BenchError
        If the window is not positive.
    ModelError
        If the correction or the closure cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> closure = da.corrected(lambda X: -0.1 * X, window=0.05)
    >>> closure.step(np.ones((1, 3)))
    array([[-2., -2., -2.]])
    """
    if not 0 < window < np.inf:
        raise L96BenchError(f"expected a positive window in MTU, got {window}")
    base, increment = as_closure(NoClosure() if closure is None else closure, dt), as_closure(correction, dt)
    if isinstance(base, Polynomial) and isinstance(increment, Polynomial):
        coefficients = np.zeros(max(base.degree, increment.degree) + 1)
        coefficients[: base.degree + 1] = base.coefficients
        coefficients[: increment.degree + 1] += increment.coefficients / window
        return Polynomial(coefficients)
    return CorrectedClosure(base, increment, window)
