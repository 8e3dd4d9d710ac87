"""A closure that is written as equations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.dynamics.closures import Stateless
from l96bench.equations.equation_set import EquationSet


class EquationClosure(Stateless):
    """The closure U_k = f(X) that equations say, such as ``["U[k] = -0.3 - 1.9*X[k] + 0.02*X[k]**2"]``.

    Parameters
    ----------
    texts : list of str
        One equation for all k, or K equations; `EquationSet.parse` says how they are written. The left-hand side, if
        there is one, is ``U[k]`` or ``U[3]``; U is the tendency that is ADDED to dX/dt.
    K : int
        Number of points.

    Attributes
    ----------
    equations : EquationSet
        The tendencies U as functions of X.

    Raises
    ------
    EquationError
        When a text is outside the grammar or its bounds.
    """

    def __init__(self, texts: Sequence[str], K: int) -> None:
        self.equations = EquationSet.parse(texts, K, left="U")

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """The coefficients as they have to be written down: those of one point where all points have the same."""
        equations = self.equations.equations[: self.equations.n_equations]
        return np.array([value for terms in equations for _, value in terms], dtype=np.float64)

    @property
    def n_parameters(self) -> int:
        """The number of coefficients."""
        return self.coefficients.size

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """The added tendency U (n, K) for the states X (n, K)."""
        return self.equations.tendency(X)

    def __repr__(self) -> str:
        return f"EquationClosure({self.equations.texts('U')}, K={self.equations.K})"
