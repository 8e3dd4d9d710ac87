"""Closures learned by the methods of `equation-recovery`, which find equations for U given X and U."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from l96bench.equations.closure import EquationClosure
from l96bench.equations.derivatives import Scheme

__all__ = ["EquationRegressor"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _GivenForcing:
    """A `Derivative` that returns the given U instead of differentiating."""

    U: Array

    def schemes(
        self, groups: Sequence[Array], interval: float, strides: Sequence[int]
    ) -> tuple[list[Array], list[Scheme]]:
        """Return the states as they are, and U at one sample in every stride."""
        rows = slice(0, None, strides[0])
        return list(groups), [Scheme(self.U[rows], itemgetter(rows))]


class EquationRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A closure learned by an equation discovery method, from the equation of U_k instead of dX_k/dt.

    Sparse regression is used so by Brunton, Proctor and Kutz (2016), PNAS 113, 3932-3937, and for ocean closures by
    Zanna and Bolton (2020), Geophys. Res. Lett. 47, e2020GL088376.

    Parameters
    ----------
    discoverer : SparseRegression or SymbolicRegression
        Anything with ``fit(X, t)``, ``equations()`` and a parameter ``derivative``, which is replaced by U itself. Give
        it ``max_rows`` enough for the data, and no fast variables.

    Attributes
    ----------
    discoverer_ : the fitted clone of `discoverer`
    texts_, closure_ : list of str, EquationClosure
        The equations, ``"U[k] = ..."``, and their closure.
    n_features_in_ : int
        K, the number of points.

    Examples
    --------
    >>> import l96bench
    >>> from sklearn.linear_model import Lasso
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> search = l96bench.SparseRegression(Lasso(alpha=0.1), l96bench.RingLibrary(degree=1, radius=1), symmetric=True)
    >>> model = l96bench.EquationRegressor(search).fit(run.X, run.U)
    >>> model.texts_[0].startswith("U[k] = ")
    True
    """

    def __init__(self, discoverer: Any) -> None:
        self.discoverer = discoverer

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Find the equation of the added tendencies y, U (n, K), of the states X (n, K).

        Raises `ValueError` if X and y have different shapes, `EquationError` if the result is outside the grammar.
        """
        states, U = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        if U.shape != states.shape:
            raise ValueError(f"y must be U in the shape of X, {states.shape}; got shape {U.shape}.")
        self.discoverer_ = clone(self.discoverer).set_params(derivative=_GivenForcing(np.asarray(U, dtype=np.float64)))
        self.discoverer_.fit(states, np.arange(len(states), dtype=np.float64))
        self.discoverer_.set_params(derivative=None)  # which held all of U
        self.texts_ = [text.replace("dX[", "U[", 1).replace("/dt =", " =", 1) for text in self.discoverer_.equations()]
        self.closure_ = EquationClosure(self.texts_, states.shape[1])
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        check_is_fitted(self)
        return self.closure_.predict(validate_data(self, X, dtype=np.float64, reset=False))

    def closure(self, dt: float = 0.01) -> EquationClosure:
        """Return the closure, which does not depend on dt."""
        check_is_fitted(self)
        return self.closure_

    def equations(self) -> list[str]:
        """Return the equations as texts with 10 significant digits."""
        check_is_fitted(self)
        return list(self.texts_)

    @property
    def n_parameters(self) -> int:
        """The number of coefficients."""
        check_is_fitted(self)
        return self.closure_.n_parameters
