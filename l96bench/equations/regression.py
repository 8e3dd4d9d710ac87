"""Sparse linear regression of equations on candidate terms, by scikit-learn regressors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_array, check_X_y

from l96bench.equations.derivatives import Derivative, SavitzkyGolay
from l96bench.equations.library import Candidates, RingLibrary
from l96bench.errors import ModelError

__all__ = ["SparseRegression", "ThresholdSelection", "both_sides", "checked_trajectory", "rms"]

Array = NDArray[np.float64]
_FACTOR = 1.5
"""Growth of the residual that one term is worth."""
_ROUNDING = 1e-6
"""Residuals below this share of the tendency count as equal."""


class SparseRegression(BaseEstimator):
    """A scikit-learn regressor that fits dX/dt by candidate terms, for `equation-recovery`.

    Parameters
    ----------
    estimator : regressor
        With ``coef_`` after ``fit(features, tendency)``: linear ones of scikit-learn, optimizers of pysindy, or a
        `ThresholdSelection` of these. Candidates and tendency are divided by their root mean squares, so that a
        coefficient is the share of the tendency that its term makes.
    library : RingLibrary, optional
        The candidates; by default, all monomials up to degree 2 in the whole ring. Two-scale data need its `J`.
    derivative : SavitzkyGolay or WeakForm, optional
        How tendencies are estimated; by default, from local polynomials with a window chosen by cross-validation.
    symmetric : bool
        Whether one equation holds at every point: it is then fitted to all of them together and written once, with k.
    max_rows : int
        Rows that one regression uses at most, evenly spread over the trajectory.

    Attributes
    ----------
    candidates_, coefficients_ : tuple of Candidates, list of arrays
        For X, and for Y if there are fast variables: (term,) of a symmetric model, else (target, term).

    Examples
    --------
    >>> import l96bench
    >>> from sklearn.linear_model import Lasso
    >>> run = l96bench.simulate("lorenz96-k40", 2.0, interval=0.01, spin_up=5.0)
    >>> model = l96bench.SparseRegression(Lasso(alpha=0.01), l96bench.RingLibrary(degree=2, radius=2), symmetric=True)
    >>> (found,) = model.fit(run.X, run.time).equations()
    >>> "X[k-2]*X[k-1]" in found and "X[k-1]*X[k+1]" in found
    True
    """

    def __init__(
        self,
        estimator: Any,
        library: RingLibrary | None = None,
        derivative: Derivative | None = None,
        symmetric: bool = False,
        max_rows: int = 8_000,
    ) -> None:
        self.estimator = estimator
        self.library = library
        self.derivative = derivative
        self.symmetric = symmetric
        self.max_rows = max_rows

    def fit(self, X: ArrayLike, t: ArrayLike) -> Self:
        """Find the equations of the states X (time, K + K J), observed at the times t (time,) in MTU.

        Raises `ModelError` if the data do not belong together, or the estimator has no coefficients.
        """
        states, interval = checked_trajectory(X, t)
        with config_context(assume_finite=True, skip_parameter_validation=True):  # a third of the time, for 72 targets
            self._fit(states, interval)
        return self

    def _fit(self, states: Array, interval: float) -> None:
        library = RingLibrary() if self.library is None else self.library
        self.candidates_ = library.candidates(states.shape[1])
        strides = [self._stride(len(states), each.n_targets) for each in self.candidates_]
        sides = both_sides(states, interval, self.candidates_, self.derivative, strides)
        self.coefficients_ = [self._fit_kind(features, tendency) for features, tendency in sides]

    def equations(self) -> list[str]:
        """Return the equations as texts with 10 significant digits."""
        pairs = zip(self.candidates_, self.coefficients_, strict=True)
        if self.symmetric:
            return [each.shared_text(values) for each, values in pairs]
        return [text for each, values in pairs for text in each.texts(values)]

    def _stride(self, n: int, n_targets: int) -> int:
        return max(1, -(-n * (n_targets if self.symmetric else 1) // self.max_rows))

    def _fit_kind(self, features: Array, tendency: Array) -> Array:
        """Return coefficients of one kind of variable from features (row, target, term), tendencies (row, target)."""
        if self.symmetric:
            return self._fit_one(features.reshape(-1, features.shape[2]), tendency.ravel())
        return np.stack([self._fit_one(features[:, i], tendency[:, i]) for i in range(tendency.shape[1])])

    def _fit_one(self, features: Array, tendency: Array) -> Array:
        scales, scale = rms(features), rms(tendency)
        estimator = clone(self.estimator).fit(features / scales, tendency / scale)
        return _coefficients(estimator, features.shape[1]) * scale / scales


class ThresholdSelection(RegressorMixin, BaseEstimator):
    """A sparse regressor that chooses its threshold from the training data, balancing number of terms and fit.

    Of the values, the one is taken whose coefficients w minimize ``max(D, R) + terms(w)``, the larger one of equals. D,
    in units of one part in all candidates, is the deviation ``|A (w - w0)| / |A w0|`` from least squares w0 without a
    threshold (Messenger and Bortz 2021, J. Comput. Phys. 443, 110525, doi:10.1016/j.jcp.2021.110525). R, in factors of
    1.5, is the growth of the residual over that of w0, which keeps small terms that explain much of the residual. A
    term stays if it is worth its cost in either unit; neither noise nor number of terms need be known.

    Parameters
    ----------
    estimator : regressor with ``coef_``
        Must depend on the rows of its data through their sums of squares and products only, as least squares, ridge,
        STLSQ and SR3 do: it gets a triangular matrix with the same sums in place of the rows.
    parameter : str
        The name of its threshold.
    values : sequence of float
        The thresholds to choose from.

    Attributes
    ----------
    coef_ : (term,) array
    threshold_ : float

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> from sklearn.linear_model import Lasso
    >>> features = np.random.default_rng(0).standard_normal((100, 3))
    >>> model = l96bench.ThresholdSelection(Lasso(), "alpha", (0.01, 0.1)).fit(features, 2.0 * features[:, 0])
    >>> int((model.coef_ != 0.0).sum())
    1
    """

    def __init__(
        self, estimator: Any, parameter: str = "threshold", values: Sequence[float] = (0.003, 0.01, 0.03, 0.1, 0.3)
    ) -> None:
        self.estimator = estimator
        self.parameter = parameter
        self.values = values

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to candidates X (row, term) and a tendency y (row,)."""
        features, tendency = check_X_y(X, y, dtype=np.float64)
        self.n_features_in_ = n = features.shape[1]
        triangle = np.linalg.qr(np.column_stack([features, tendency]), mode="r") / np.sqrt(len(tendency))
        A, b = triangle[:, :n], triangle[:, n]
        full = np.linalg.lstsq(A, b, rcond=None)[0]
        size = _norm(A @ full) or 1.0
        least = max(_norm(b - A @ full), _ROUNDING * _norm(b)) or 1.0
        best = np.inf
        for value in sorted(self.values, reverse=True):
            estimator = clone(self.estimator)
            estimator.set_params(**{self.parameter: value})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # thresholds that leave nothing are among those tried
                coefficients = _coefficients(estimator.fit(A, b), n)
            deviation = n * _norm(A @ (coefficients - full)) / size
            growth = math.log(max(1.0, _norm(b - A @ coefficients) / least), _FACTOR)
            loss = max(deviation, growth) + np.count_nonzero(coefficients)
            if loss < best:
                best, self.coef_, self.threshold_ = loss, coefficients, float(value)
        self.intercept_ = 0.0
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Return the tendency (row,) of candidates X (row, term)."""
        return check_array(X, dtype=np.float64) @ self.coef_


def checked_trajectory(X: ArrayLike, t: ArrayLike) -> tuple[Array, float]:
    """Return the states as an array (time, variable) and their interval in MTU; `ModelError` if irregular."""
    states, times = np.asarray(X, dtype=np.float64), np.asarray(t, dtype=np.float64)
    if states.ndim != 2 or times.shape != (len(states),) or len(states) < 2:
        raise ModelError(
            f"expected states X (time, variable) and times t (time,), got {states.shape} and {times.shape}"
        )
    if not (np.isfinite(states).all() and np.isfinite(times).all()):
        raise ModelError("expected finite states and times, got some that are not")
    interval = (times[-1] - times[0]) / (len(times) - 1)
    if interval <= 0 or np.abs(np.diff(times) - interval).max() > 1e-6 * interval:
        raise ModelError(
            f"expected times at one regular interval, got steps of {np.diff(times).min():g} to {np.diff(times).max():g}"
        )
    return states, float(interval)


def both_sides(
    states: Array, interval: float, candidates: Sequence[Candidates], derivative: Derivative | None, strides: list[int]
) -> Iterator[tuple[Array, Array]]:
    """Yield the features (row, target, term) and tendencies (row, target) of each kind of variable."""
    K = candidates[0].K
    groups = [states[:, :K], states[:, K:]][: len(candidates)]
    smooth, schemes = (derivative or SavitzkyGolay()).schemes(groups, interval, strides)
    for each, scheme in zip(candidates, schemes, strict=True):
        yield each.features(smooth[0], smooth[-1], scheme.project), scheme.tendency


def _norm(values: Array) -> float:
    return float(np.linalg.norm(values))


def rms(values: Array) -> Array:
    """Return the root mean squares of columns, with 1 in place of 0."""
    scales = np.sqrt(np.mean(values**2, axis=0))
    return np.where(scales > 0, scales, 1.0)


def _coefficients(estimator: Any, n: int) -> Array:
    """Return the coefficients of n candidates of a fitted regressor; its intercept is added to the first, the 1."""
    fitted = getattr(estimator, "best_estimator_", estimator)
    values = np.array(getattr(fitted, "coef_", np.empty(0)), dtype=np.float64).ravel()
    if values.size != n:
        raise ModelError(f"expected a linear regressor with coef_ for {n} candidates, got {type(estimator).__name__}")
    values[0] += float(np.ravel(getattr(fitted, "intercept_", 0.0))[0])
    if not np.isfinite(values).all():
        raise ModelError(f"{type(estimator).__name__} found coefficients that are not finite")
    return values
