"""Polynomial closures tuned by Powell's method, which needs no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.polynomial import Polynomial as Series
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from l96bench.dynamics.polynomial import Polynomial, ten_digits
from l96bench.dynamics.resolved import rollout
from l96bench.estimators.ring import PolynomialFit, check_whole
from l96bench.metrics.bounds import BOUND, bounds
from l96bench.regimes import Regime, get_regime

__all__ = ["Objective", "OrthonormalPolynomials", "TunedPolynomial", "forecast_error"]

Objective = Literal["tendencies", "trajectories"]


class TunedPolynomial(PolynomialFit):
    """The polynomial U_k = sum_i c_i X_k^i that minimizes an error by Powell's method.

    The search starts at U = 0 and uses polynomials orthonormal over the training X as coordinates, so that its first
    directions are independent.

    Parameters
    ----------
    degree : int
        Highest power of X.
    objective : {"tendencies", "trajectories"}
        The mean squared error of U itself, whose minimum is least squares; or that of short forecasts with the resolved
        model, which uses X alone.
    regime : str or Regime
        The resolved model, for trajectories.
    horizon, interval : float
        MTU of each forecast, whose error is averaged over its leads, `interval` apart; and MTU between the rows of X,
        which are successive states of ONE trajectory, for trajectories.
    n_forecasts, max_evaluations : int
        Forecasts, or fewer, from rows evenly spread over X; and the most errors to compute.
    tolerance : float
        Relative change of the error, in a round of line searches, at which the search ends.

    Attributes
    ----------
    coef_ : ndarray of shape (degree + 1,)
        The coefficients c_i, lowest order first, of the added tendency.
    error_, n_evaluations_ : float, int
        The minimum found, the mean squared error over the variance of U or X; and the number of errors computed.

    References
    ----------
    Powell (1964), Comput. J. 7, 155-162, as in `scipy.optimize`.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import TunedPolynomial
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = TunedPolynomial(degree=1, max_evaluations=20).fit(run.X, run.U)
    >>> model.coef_.shape, model.error_ < 1.0
    ((2,), True)
    """

    def __init__(
        self,
        degree: int = 4,
        objective: Objective = "tendencies",
        regime: str | Regime = "wilks-f20",
        horizon: float = 0.5,
        n_forecasts: int = 500,
        interval: float = 0.05,
        tolerance: float = 1e-5,
        max_evaluations: int = 2000,
    ) -> None:
        self.degree, self.objective, self.regime, self.horizon = degree, objective, regime, horizon
        self.n_forecasts, self.interval, self.tolerance = n_forecasts, interval, tolerance
        self.max_evaluations = max_evaluations

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Tune on states X (n, K) in time order and y, which is U (n, K) or the U of point 0 alone."""
        if self.objective not in get_args(Objective):
            raise ValueError(f"objective must be one of {get_args(Objective)}; got {self.objective!r}.")
        X, U = self._checked_training(X, y)
        basis = OrthonormalPolynomials(X, self.degree)
        if self.objective == "tendencies":
            error = self._tendency_error(basis, X[:, self._points()], U)
        else:
            error = self._forecast_error(basis, X)
        found = minimize(
            # What the search compares is rounded, so that it takes the same path where the last bits differ.
            lambda theta: ten_digits(error(theta)),
            np.zeros(self.degree + 1),
            method="Powell",
            options={"ftol": self.tolerance, "xtol": 1e-4, "maxfev": self.max_evaluations},
        )
        self.coef_ = basis.coefficients(found.x)
        self.error_, self.n_evaluations_ = float(found.fun), int(found.nfev)
        return self

    def _tendency_error(self, basis: OrthonormalPolynomials, X: NDArray, U: NDArray) -> Callable[[NDArray], float]:
        """Return the function for the mean squared error of U over its variance, computed from moments."""
        design = basis.design(X.ravel())
        gram, moments = design.T @ design / len(design), design.T @ U.ravel() / len(design)
        power, variance = float(np.mean(np.square(U))), float(U.var()) or 1.0
        return lambda theta: float((theta @ gram @ theta - 2.0 * theta @ moments + power) / variance)

    def _forecast_error(self, basis: OrthonormalPolynomials, X: NDArray) -> Callable[[NDArray], float]:
        regime = get_regime(self.regime)
        n_leads = round(self.horizon / self.interval)
        if len(X) <= n_leads or n_leads < 1:
            raise ValueError(
                f"forecasts over {n_leads} intervals need at least {n_leads + 1} rows; got n_samples={len(X)}."
            )
        starts = np.unique(np.linspace(0, len(X) - 1 - n_leads, self.n_forecasts).astype(int))
        truth = X[starts + np.arange(n_leads + 1)[:, None]]
        return lambda theta: forecast_error(basis.polynomial(theta), truth, regime, self.interval)


class OrthonormalPolynomials:
    """Polynomials p_i of degree 0 to `degree` that are orthonormal over the values of X, of any shape."""

    def __init__(self, X: NDArray, degree: int) -> None:
        check_whole("degree", degree)
        self.mean, self.std = ten_digits(float(X.mean())), ten_digits(float(X.std())) or 1.0
        powers = self._powers(np.ravel(X), degree)
        factor = np.linalg.qr(powers / np.sqrt(len(powers)))[1]
        diagonal = np.diag(factor)
        triangle = np.array(factor * np.where(diagonal < 0, -1.0, 1.0)[:, None])
        # Of fewer different values than the degree, the higher polynomials are no more than powers.
        free = np.abs(diagonal) < 1e-9
        triangle[free] = np.eye(degree + 1)[free]
        inverse = np.linalg.inv(triangle)
        self._weights = np.array([[ten_digits(float(value)) for value in row] for row in inverse])

    def design(self, X: NDArray) -> NDArray:
        """Return p_0(X) .. p_n(X) as columns, (n, degree + 1), of values X (n,)."""
        return np.asarray(self._powers(X, len(self._weights) - 1) @ self._weights)

    def coefficients(self, theta: ArrayLike) -> NDArray:
        """Return the coefficients of X^0, X^1, ... in sum_i theta_i p_i(X), to ten digits."""
        window = Series(self._weights @ np.asarray(theta), domain=[self.mean - self.std, self.mean + self.std])
        values = np.zeros(len(self._weights))
        converted = window.convert().coef
        values[: len(converted)] = [ten_digits(float(value)) for value in converted]
        return values

    def polynomial(self, theta: ArrayLike) -> Polynomial:
        """Return sum_i theta_i p_i(X) as a closure."""
        return Polynomial(self.coefficients(theta))

    def _powers(self, X: NDArray, degree: int) -> NDArray:
        return np.vander((X - self.mean) / self.std, degree + 1, increasing=True)


def forecast_error(closure: Polynomial, truth: NDArray, regime: Regime, interval: float = 0.05) -> float:
    """Return the mean squared forecast error over the variance of the truth (lead, case, K); always finite."""
    mean, std = float(truth.mean()), float(truth.std()) or 1.0
    options: dict[str, Any] = {"regime": regime, "interval": interval, "limits": bounds(mean, std), "progress": False}
    run = rollout(closure, truth[0], len(truth) * interval, **options)
    error = np.abs((run.X[1:] - truth[1:]) / std)
    return float(np.mean(np.square(np.where(np.isnan(error), 2 * BOUND, np.minimum(error, 2 * BOUND)))))
