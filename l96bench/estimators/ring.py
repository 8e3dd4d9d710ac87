"""The base class of all estimators here, stencils of the ring, and rounding to ten digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["RingRegressor", "lag_one_correlation", "stencil_index", "stencil_rows", "ten_digits"]


class RingRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A scikit-learn regressor from states X (n, K) to added tendencies U (n, K)."""

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # on data that know no ring
        return tags


def ten_digits(value: float) -> float:
    """Round to 10 significant digits, so that a chaotic run does not depend on the BLAS."""
    return float(f"{value:.10g}")


def lag_one_correlation(earlier: NDArray, later: NDArray) -> float:
    """The correlation, to ten digits, of values of mean 0 with those one row later; 0 if it came out negative."""
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
    if isinstance(radius, bool) or not isinstance(radius, int | np.integer) or radius < 0:
        raise ValueError(f"radius must be a whole number of at least 0; got {radius!r}.")
    if 2 * radius + 1 > K:
        raise ValueError(
            f"radius {radius} needs a ring of at least {2 * radius + 1} points; X has n_features={K}. "
            "Try a smaller radius."
        )
    return (np.arange(K)[:, None] + np.arange(-radius, radius + 1)) % K
