"""Powell's method: against least squares, and against the closure that made the trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from l96bench.dynamics.closures import as_closure
from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.dynamics.resolved import rollout
from l96bench.errors import L96BenchError
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.estimators.tuning import OrthonormalPolynomials, TunedPolynomial, forecast_error
from l96bench.metrics.bounds import BOUND
from l96bench.regimes import get_regime

K = 8
REGIME = get_regime("wilks-f20")
KNOWN = Polynomial([-0.7, -1.1, 0.0, 0.003])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def known() -> NDArray:
    """A trajectory (time, K) of the resolved model under a known cubic."""
    run = rollout(KNOWN, 4.0 + rng().normal(size=(1, K)), 60.0, regime=REGIME, spin_up=10.0, progress=False)
    return run.X[:, 0]


@parametrize_with_checks(
    [TunedPolynomial(degree=2)],
    expected_failed_checks=lambda _: {
        "check_regressor_multioutput": "y must be U at all points of X or at one; the check has 5 of 10"
    },
    xfail_strict=True,
)
def test_scikit_learn_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("degree", [0, 1, 4])
def test_on_tendencies_it_finds_what_least_squares_finds(degree: int, known: NDArray) -> None:
    U = KNOWN(known) + rng(1).normal(size=known.shape)
    tuned, fitted = TunedPolynomial(degree).fit(known, U), PolynomialRegressor(degree).fit(known, U)
    np.testing.assert_allclose(tuned.predict(known), fitted.predict(known), atol=2e-3 * U.std())
    residual = float(np.mean(np.square(U - fitted.predict(known))) / U.var())
    assert tuned.error_ == pytest.approx(residual, rel=1e-5)
    assert tuned.n_evaluations_ > degree
    assert as_closure(tuned) == Polynomial(tuned.coef_)


@pytest.mark.slow
def test_on_trajectories_it_finds_the_closure_that_made_them(known: NDArray) -> None:
    """U is never looked at: zeros are given for it."""
    model = TunedPolynomial(3, "trajectories", REGIME, horizon=0.5, n_forecasts=40, tolerance=1e-8)
    model.fit(known, np.zeros_like(known))
    # The stepping of the known run is that of the forecasts, so that the error's minimum is 0.
    assert model.error_ < 1e-5
    states = np.quantile(known, [0.02, 0.25, 0.5, 0.75, 0.98])
    np.testing.assert_allclose(model.closure()(states), KNOWN(states), atol=0.1)
    again = clone(model).fit(known, np.zeros_like(known))
    np.testing.assert_array_equal(again.coef_, model.coef_)


def test_forecast_error_is_the_mean_of_squares(known: NDArray) -> None:
    truth = known[np.arange(0, 500, 50) + np.arange(6)[:, None]]
    assert forecast_error(KNOWN, truth, REGIME) == pytest.approx(0.0, abs=1e-20)
    run = rollout(NoClosure(), truth[0], 0.3, regime=REGIME, progress=False)
    expected = np.mean((run.X[1:] - truth[1:]) ** 2) / truth.var()
    assert forecast_error(NoClosure(), truth, REGIME) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("coefficients", [[0.0, 50.0], [0.0, 0.0, 0.0, 1.0], [1e200], [0.0, 0.0, 0.0, 0.0, 1e300]])
def test_blow_ups_cost_much_but_not_infinitely_much(coefficients: list[float], known: NDArray) -> None:
    truth = known[np.arange(0, 500, 50) + np.arange(11)[:, None]]
    error = forecast_error(Polynomial(coefficients), truth, REGIME)
    assert forecast_error(NoClosure(), truth, REGIME) < error <= (2 * BOUND) ** 2


def test_few_rows_and_unusable_arguments(known: NDArray) -> None:
    few = TunedPolynomial(1, "trajectories", REGIME, n_forecasts=500).fit(known[:30], known[:30])
    assert np.isfinite(few.coef_).all()
    with pytest.raises(ValueError, match=r"objective must be one of .*; got 'climate'"):
        TunedPolynomial(objective="climate").fit(known, known)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="need at least 11 rows; got n_samples=10"):
        TunedPolynomial(1, "trajectories").fit(known[:10], known[:10])
    with pytest.raises(ValueError, match="degree must be a whole number"):
        TunedPolynomial(-1).fit(known, known)
    with pytest.raises(L96BenchError, match="no-regime"):
        TunedPolynomial(1, "trajectories", "no-regime").fit(known, known)


@pytest.mark.parametrize("degree", [0, 1, 4])
def test_the_basis_is_orthonormal_and_converts_to_powers(degree: int) -> None:
    X = 3.0 + 4.0 * rng(2).standard_normal((500, K))
    basis, theta = OrthonormalPolynomials(X, degree), rng(3).normal(size=degree + 1)
    design = basis.design(X.ravel())
    np.testing.assert_allclose(design.T @ design / len(design), np.eye(degree + 1), atol=1e-7)
    np.testing.assert_allclose(basis.polynomial(theta)(X.ravel()), design @ theta, rtol=1e-6, atol=1e-6)
