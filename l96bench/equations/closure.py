"""Closures defined by equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.dynamics.closures import Stateless
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.equations.equation_set import EquationSet
from l96bench.errors import ModelError


class EquationClosure(Stateless):
    """A closure U_k = f(X) defined by `equations`, such as ``["U[k] = -0.3 - 1.9*X[k] + 0.02*X[k]**2"]``.

    Parameters
    ----------
    texts : list of str
        One equation for all k, or K equations, in the grammar of `EquationSet.parse`, which raises `EquationError` for
        others. The left-hand side, if there is one, is ``U[k]`` or ``U[3]``; U is ADDED to dX/dt.
    K : int
        Number of points.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> closure = l96bench.EquationClosure(["U[k] = 1 - 0.5*X[k]"], K=4)
    >>> closure.predict(np.ones((1, 4)))
    array([[0.5, 0.5, 0.5, 0.5]])
    """

    graph_is_exact = True

    def __init__(self, texts: Sequence[str], K: int) -> None:
        self.equations = EquationSet.parse(texts, K, left="U")

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """The coefficients: those of one point if all points have the same."""
        equations = self.equations.equations[: self.equations.n_equations]
        return np.array([value for terms in equations for _, value in terms], dtype=np.float64)

    @property
    def n_parameters(self) -> int:
        """The number of coefficients."""
        return self.coefficients.size

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        return self.equations.tendency(X)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the ONNX graph of equations that are sums of products of whole powers; see `Closure`.

        Targets are computed side by side, in the order of terms of `EquationSet.tendency`. Those with fewer terms or
        factors are padded with terms of 0 and factors of 1, which change no bit.
        """
        terms = self.equations.equations
        if any(isinstance(factor, str) or power < 1 for each in terms for key, _ in each for factor, power in key):
            raise ModelError("equations with functions or quotients do not come as ONNX; try export_equations")
        rows = builder.columns(x)
        total = builder.constant(np.zeros((K, 1)), np.float64)
        for i in range(max(1, *map(len, terms))):
            chosen = [each[i] if i < len(each) else ((), 0.0) for each in terms]
            product = _monomials(builder, rows, [list(key) for key, _ in chosen], K)
            value = builder.constant([[value] for _, value in chosen], np.float64)
            total = builder.node("Add", total, builder.node("Mul", product, value))
        return builder.node("Transpose", total, perm=[1, 0])

    def __repr__(self) -> str:
        return f"EquationClosure({self.equations.texts('U')}, K={self.equations.K})"


def _monomials(builder: GraphBuilder, rows: str, keys: list[list[tuple[Any, int]]], K: int) -> str:
    """Add a monomial for each target (K, n) to the graph, with powers by repeated multiplication."""
    product = ""
    for place in range(max(1, *map(len, keys))):
        factors = [key[place] if place < len(key) else (K, 1) for key in keys]
        power = ""
        for exponent in range(max(exponent for _, exponent in factors)):
            index = [int(factor) if exponent < own else K for factor, own in factors]
            value = builder.gather(rows, np.array(index), axis=0)
            power = builder.node("Mul", power, value) if power else value
        product = builder.node("Mul", product, power) if product else power
    return product
