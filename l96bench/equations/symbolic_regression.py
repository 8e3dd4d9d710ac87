"""Symbolic regression of equations by genetic programming, with gplearn or pyoperon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone

from l96bench.equations.derivatives import Derivative
from l96bench.equations.library import RingLibrary
from l96bench.equations.regression import both_sides, checked_trajectory, rms
from l96bench.errors import ModelError

__all__ = ["SymbolicRegression", "expression"]

Array = NDArray[np.float64]

_CALLS = {
    "add": "({} + {})",
    "sub": "({} - {})",
    "mul": "({} * {})",
    "div": "({} / {})",
    "neg": "(-{})",
    "inv": "(1 / {})",
    "abs": "abs({})",
    "sqrt": "sqrt(abs({}))",
    "log": "log(abs({}))",
    "max": "maximum({}, {})",
    "min": "minimum({}, {})",
    "sin": "sin({})",
    "cos": "cos({})",
    "tan": "tan({})",
}
"""gplearn's functions; its protected ones differ only where a denominator or a logarithm's argument is close to 0."""


class SymbolicRegression(BaseEstimator):
    """A symbolic regressor that fits one equation for all points, for `equation-recovery`.

    Its inputs are the variables of the stencil, divided by their root mean squares: X_{k-r} .. X_{k+r} for X_k and, if
    there are fast variables, their sum in the sector; Y_{m-2} .. Y_{m+2} and X_k for Y_m. The equations are `texts_`.

    Parameters
    ----------
    estimator : regressor
        Of gplearn or pyoperon.
    radius, J : int
        Radius r of the stencil, and observed fast variables per point.
    derivative : SavitzkyGolay or WeakForm, optional
        As for `SparseRegression`.
    max_rows : int
        As for `SparseRegression`, but all points share the rows.

    Examples
    --------
    >>> import l96bench
    >>> from gplearn.genetic import SymbolicRegressor
    >>> run = l96bench.simulate("lorenz96-k40", 2.0, interval=0.01, spin_up=5.0)
    >>> estimator = SymbolicRegressor(population_size=50, generations=1, random_state=0)
    >>> model = l96bench.SymbolicRegression(estimator, radius=1, max_rows=100).fit(run.X, run.time)
    >>> len(model.equations())
    1
    """

    def __init__(
        self, estimator: Any, radius: int = 2, J: int = 0, derivative: Derivative | None = None, max_rows: int = 500
    ) -> None:
        self.estimator = estimator
        self.radius = radius
        self.J = J
        self.derivative = derivative
        self.max_rows = max_rows

    def fit(self, X: ArrayLike, t: ArrayLike) -> Self:
        """Find the equations of the states X (time, K + K J), observed at the times t (time,) in MTU.

        Raises `ModelError` if the data do not belong together, or the estimator's expression cannot be read.
        """
        states, interval = checked_trajectory(X, t)
        kinds = RingLibrary(1, self.radius, self.J, pooled=True).candidates(states.shape[1])
        strides = [max(1, -(-len(states) * each.n_targets // self.max_rows)) for each in kinds]
        sides = both_sides(states, interval, kinds, self.derivative, strides)
        self.texts_ = []
        for kind, (features, tendency) in zip(kinds, sides, strict=True):
            # The first candidate is the constant, which a regressor makes by itself.
            rows = features.reshape(-1, features.shape[2])[:, 1:]
            text = self._fit_one(rows, tendency.ravel(), kind.symbols()[1:])
            self.texts_.append(f"d{kind.left}/dt = {text}")
        return self

    def equations(self) -> list[str]:
        """Return the equations."""
        return list(self.texts_)

    def _fit_one(self, features: Array, tendency: Array, names: Sequence[str]) -> str:
        scales, scale = rms(features), float(rms(tendency))
        estimator = clone(self.estimator).fit(features / scales, tendency / scale)
        scaled = [f"({name} * {1.0 / size:.10g})" for name, size in zip(names, scales, strict=True)]
        return f"{scale:.10g} * ({expression(estimator, scaled)})"


def expression(estimator: Any, names: Sequence[str]) -> str:
    """Return the expression that a regressor of gplearn or pyoperon found in the inputs `names`, or `ModelError`."""
    program = getattr(estimator, "_program", None)
    if program is not None and hasattr(program, "program"):
        return _prefix(iter(program.program), names)
    if hasattr(estimator, "get_model_string"):
        return str(estimator.get_model_string(estimator.model_, 10, list(names)))
    raise ModelError(f"expected a fitted regressor of gplearn or pyoperon, got {type(estimator).__name__}")


def _prefix(nodes: Any, names: Sequence[str]) -> str:
    """Return a program of gplearn, in prefix notation, as text."""
    node = next(nodes)
    if isinstance(node, int | np.integer):
        return names[int(node)]
    if isinstance(node, float | np.floating):
        return f"({node:.10g})"
    if node.name not in _CALLS:
        raise ModelError(f"the function {node.name!r} has no counterpart in the grammar; known: {', '.join(_CALLS)}")
    return _CALLS[node.name].format(*[_prefix(nodes, names) for _ in range(node.arity)])
