"""Adapters that give pysindy's models and known equations the methods ``fit(X, t)`` and ``equations()``."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_regressor

from l96bench.equations.library import RingLibrary
from l96bench.equations.regression import SparseRegression, checked_trajectory
from l96bench.errors import ModelError

__all__ = ["KnownEquations", "PySINDyRegression", "as_discoverer"]


class PySINDyRegression(BaseEstimator):
    """A pysindy model, with its own library, optimizer and differentiation, for `equation-recovery`.

    Parameters
    ----------
    model : pysindy.SINDy, or function of the times t (time,) that makes one
        Left unchanged; the fitted copy is `model_`. A function is for libraries that must know the times (the weak
        form). Features must have names in the grammar: polynomials, Fourier modes, or functions of such names.
    J : int
        Observed fast variables per point: states are X[0] .. X[K-1], Y[0,0], Y[0,1] .. Y[K-1,J-1].

    Examples
    --------
    >>> import l96bench, pysindy
    >>> model = l96bench.PySINDyRegression(pysindy.SINDy(optimizer=pysindy.STLSQ(threshold=0.1)))
    """

    def __init__(self, model: Any, J: int = 0) -> None:
        self.model = model
        self.J = J

    def fit(self, X: ArrayLike, t: ArrayLike) -> Self:
        """Find the equations of states X (time, K + K J) at times t (time,) in MTU; `ModelError` for invalid data."""
        states, _ = checked_trajectory(X, t)
        K = RingLibrary(J=self.J).points(states.shape[1])
        self.names_ = [f"X[{k}]" for k in range(K)] + [f"Y[{k},{j}]" for k in range(K) for j in range(self.J)]
        times = np.asarray(t, dtype=np.float64)
        # Not scikit-learn's clone, nor get_params below: some libraries of pysindy do not keep their parameters.
        self.model_ = copy.deepcopy(self.model) if _is_pysindy_model(self.model) else self.model(times)
        self.model_.fit(states, times, feature_names=self.names_)
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the model and J, without the parameters of the model."""
        return super().get_params(deep=False)

    def __sklearn_clone__(self) -> Self:
        return type(self)(copy.deepcopy(self.model), self.J)

    def equations(self) -> list[str]:
        """Return the equations as texts with 10 significant digits."""
        features = [_in_grammar(name) for name in self.model_.get_feature_names()]
        rows = np.asarray(self.model_.coefficients(), dtype=np.float64)
        if rows.shape != (len(self.names_), len(features)):
            raise ModelError(
                f"expected an equation for each of {len(self.names_)} variables and a coefficient for each of "
                f"{len(features)} features, got coefficients of shape {rows.shape}"
            )
        lines = []
        for name, row in zip(self.names_, rows.tolist(), strict=True):
            terms = [f"{value:.10g}*{feature}" for value, feature in zip(row, features, strict=True) if value]
            lines.append(f"d{name}/dt = {' + '.join(terms).replace('+ -', '- ') or '0'}")
        return lines


class KnownEquations(BaseEstimator):
    """Known equations in the grammar of `EquationSet.parse`, as a model for `equation-recovery` that learns nothing.

    Parameters
    ----------
    texts : sequence of str
        One equation for each kind of variable, or for each variable.

    Examples
    --------
    >>> import l96bench
    >>> model = l96bench.KnownEquations(["dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8"])
    >>> model.fit(None, None).equations()
    ['dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8']
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def fit(self, X: ArrayLike, t: ArrayLike) -> Self:
        """Return the model unchanged."""
        return self

    def equations(self) -> list[str]:
        """Return the equations."""
        return list(self.texts)


def as_discoverer(model: Any, J: int = 0) -> Any:
    """Return a model with ``fit(X, t)`` and ``equations()`` made from a supported model.

    A model with both methods is returned as it is, a pysindy model as a `PySINDyRegression`, a linear regressor of
    scikit-learn or optimizer of pysindy as a `SparseRegression` on default candidates; none is changed.

    Parameters
    ----------
    model : object
        Any of these.
    J : int
        Number of observed fast variables per point.

    Returns
    -------
    object
        With ``fit(X, t)`` and ``equations()``.

    Raises
    ------
    ModelError
        For any other model.

    Examples
    --------
    >>> import l96bench
    >>> from sklearn.linear_model import Lasso
    >>> type(l96bench.as_discoverer(Lasso())).__name__
    'SparseRegression'
    """
    if _is_pysindy_model(model):
        return PySINDyRegression(model, J)
    if callable(getattr(model, "fit", None)) and callable(getattr(model, "equations", None)):
        return model
    if not isinstance(model, type) and isinstance(model, BaseEstimator) and is_regressor(model):
        return SparseRegression(model, RingLibrary(J=J))
    raise ModelError(
        f"expected a model with fit(X, t) and equations(), a pysindy model or a linear regressor of scikit-learn, got "
        f"{type(model).__name__} {model!r:.100}; is it an instance?"
    )


def _is_pysindy_model(model: Any) -> bool:
    """Return whether a model is pysindy's, without importing pysindy unnecessarily."""
    pysindy = sys.modules.get("pysindy")
    return pysindy is not None and isinstance(model, pysindy.SINDy)


def _in_grammar(feature: str) -> str:
    """Translate pysindy's name of a feature, with blanks for products and ^ for powers, into the grammar."""
    return re.sub(r"(?<=[\w\])])\s+(?=[\w(])", "*", feature.strip()).replace("^", "**")
