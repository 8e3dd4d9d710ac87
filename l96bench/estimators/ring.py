"""The base class of all estimators here, stencils of the ring, and rounding to ten digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from l96bench.dynamics.polynomial import Polynomial, ten_digits


class RingRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A scikit-learn regressor from states X (n, K) to added tendencies U (n, K), or to that of point 0 alone."""

    estimator_: Any

    def predict(self, X: ArrayLike) -> NDArray:
        """Return U (n, K), or its mean, for the states X (n, K), or that of point 0 if fitted to it alone."""
        states = self._checked_states(X)
        return np.asarray(self.estimator_.predict(states), dtype=np.float64)

    def _checked_training(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray, NDArray]:
        """Return X (n, K) as float64 and y as U (n, K), or (n, 1) if it is given for point 0 alone."""
        states, U = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        n = len(states)
        if U.shape not in (states.shape, (n, 1), (n,)):
            raise ValueError(
                f"y must be U in the shape of X, {states.shape}, or of point 0 alone, ({n},); got shape {U.shape}."
            )
        self._y_shape = U.shape[1:]
        return states, U.reshape(n, -1).astype(np.float64, copy=False)

    def _checked_states(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False)

    def _points(self) -> NDArray:
        """Return the points that y was given for: all of them, or point 0."""
        return np.arange(self._y_shape[0] if self._y_shape else 1)

    def _like_y(self, U: ArrayLike) -> NDArray:
        """Reshape U of n states to the dimensions that y had."""
        return np.asarray(U, dtype=np.float64).reshape(-1, *self._y_shape)

    def _fitted_mean(self, estimator: Any, X: NDArray, U: NDArray) -> tuple[Any, NDArray]:
        """Return a fitted clone of an estimator of U (n, points), rows in time order, and its predictions for them."""
        if len(X) < 2:
            raise ValueError(f"An autocorrelation needs at least 2 rows in time order; got n_samples={len(X)}.")
        fitted = clone(estimator)
        fitted.fit(X, self._like_y(U))
        return fitted, np.asarray(fitted.predict(X), dtype=np.float64).reshape(U.shape)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # on data that know no ring
        return tags


class PolynomialFit(RingRegressor):
    """The base of estimators of one polynomial for all points, with the coefficients ``coef_``, lowest order first."""

    coef_: NDArray

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K), or that of point 0 if fitted to it alone."""
        X = self._checked_states(X)
        return self._like_y(self.closure().predict(X[:, self._points()]))

    def closure(self, dt: float = 0.01) -> Polynomial:
        """Return the fitted polynomial, which the rollout runs inside its kernel; it does not depend on dt."""
        check_is_fitted(self)
        return Polynomial(self.coef_)


def check_whole(name: str, value: Any, least: int = 0) -> None:
    """Raise a ValueError unless a parameter is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}.")


def interpolated(states: NDArray, position: float) -> NDArray:
    """Return the linearly interpolated state at a position in `states` (time, ...); before the first, the first."""
    position = max(position, 0.0)
    before = min(int(position + 1e-9), len(states) - 1)
    weight = position - before
    after = states[min(before + 1, len(states) - 1)]
    return states[before] if weight < 1e-9 else np.asarray((1 - weight) * states[before] + weight * after)


def lag_one_correlation(earlier: NDArray, later: NDArray) -> float:
    """Return the lag-one correlation of rows of mean 0, to ten digits; 0 if it came out negative."""
    power = np.sqrt(np.sum(earlier**2) * np.sum(later**2))
    return ten_digits(float(np.clip(np.sum(earlier * later) / power, 0.0, 1.0 - 1e-12))) if power > 0 else 0.0


def stencil_rows(states: Sequence[NDArray], index: NDArray) -> NDArray:
    """Return the stencils of all points as rows (n points, width times len(states)) of states (n, K) each."""
    n = len(states[0])
    points, width = index.shape
    rows = np.empty((n, points, len(states), width))
    for i, X in enumerate(states):
        rows[:, :, i] = X[:, index]
    return rows.reshape(n * points, -1)


def stencil_index(K: int, radius: int) -> NDArray:
    """Return the points k - r .. k + r for each point k of a ring of K, shape (K, 2 r + 1)."""
    check_whole("radius", radius)
    if 2 * radius + 1 > K:
        raise ValueError(
            f"radius {radius} needs a ring of at least {2 * radius + 1} points; X has n_features={K}. "
            "Try a smaller radius."
        )
    return (np.arange(K)[:, None] + np.arange(-radius, radius + 1)) % K
