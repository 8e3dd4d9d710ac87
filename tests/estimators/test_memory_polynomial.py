"""The memory polynomial: parameters recovered from its own runs, and its recursions against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from l96bench.dynamics.ar1 import ar1_noise
from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.steps import SteppedClosure
from l96bench.errors import ModelError
from l96bench.estimators.memory_polynomial import MemoryPolynomialRegressor

K = 8
A, D, SIGMA = 0.5, 0.4, 0.8


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def advection(X: NDArray) -> NDArray:
    return np.roll(X, 1, axis=-1) * (np.roll(X, -1, axis=-1) - np.roll(X, 2, axis=-1))


def data(n: int = 8000, sigma: float = SIGMA) -> tuple[NDArray, NDArray]:
    """U^n = 0.3 + 0.5 U^{n-1} - 0.6 X^n + 0.02 X^n ** 2 + 0.2 X^{n-1} + 0.01 A^n + xi^n + 0.4 xi^{n-1}."""
    X = 2.0 + ar1_noise((n, K), 0.9, 3.0, rng(1))
    xi = sigma * rng(2).standard_normal((n, K))
    U = np.zeros((n, K))
    for i in range(1, n):
        drive = 0.3 - 0.6 * X[i] + 0.02 * X[i] ** 2 + 0.2 * X[i - 1] + 0.01 * advection(X[i])
        U[i] = A * U[i - 1] + drive + xi[i] + D * xi[i - 1]
    return X[50:], U[50:]


TIME = "the rows are times in order, so their order matters"


@parametrize_with_checks(
    [MemoryPolynomialRegressor(), MemoryPolynomialRegressor(degree=2, x_lags=2, u_lags=0, noise_lags=0)],
    expected_failed_checks=lambda _: {
        "check_regressor_multioutput": "y must be U at all points of X or at one; the check has 5 of 10",
        "check_methods_sample_order_invariance": TIME,
        "check_methods_subset_invariance": TIME,
    },
    xfail_strict=True,
)
def test_scikit_learn_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
def test_parameters_are_recovered() -> None:
    X, U = data()
    model = MemoryPolynomialRegressor(degree=2, advection=True).fit(X, U)
    assert model.ar_ == pytest.approx([A], abs=0.02)
    assert model.ma_ == pytest.approx([D], abs=0.03)
    assert model.sigma_ == pytest.approx(SIGMA, rel=0.01)
    assert model.intercept_ == pytest.approx(0.3, abs=0.05)
    np.testing.assert_allclose(model.coef_, [[-0.6, 0.02, 0.01], [0.2, 0.0, 0.0]], atol=0.015)
    assert model.n_parameters == 6 + 1 + 1 + 2


def test_prediction_and_samples_agree_with_plain_loops() -> None:
    X, U = data(400)
    model = MemoryPolynomialRegressor(degree=2, advection=True).fit(X, U)
    g = [model.coef_[j, 0] * X + model.coef_[j, 1] * X**2 + model.coef_[j, 2] * advection(X) for j in (0, 1)]
    rest = (model.intercept_ + g[0][0] + g[1][0]) / (1 - model.ar_[0])
    expected, before = np.empty_like(X), rest
    for i in range(len(X)):
        before = model.intercept_ + model.ar_[0] * before + g[0][i] + g[1][max(i - 1, 0)]
        expected[i] = before
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-9, atol=1e-9)
    e = model.sample(X, 200, rng(3)) - model.predict(X)
    a, d, variance = model.ar_[0], model.ma_[0], model.sigma_**2  # textbook ARMA(1, 1)
    power = variance * (1 + 2 * a * d + d**2) / (1 - a**2)
    assert np.mean(e**2) == pytest.approx(power, rel=0.02)
    assert np.mean(e[:, 0] ** 2) == pytest.approx(power, rel=0.1)  # stationary from the first row on
    assert np.mean(e[:, 1:] * e[:, :-1]) == pytest.approx(a * power + d * variance, rel=0.03)
    np.testing.assert_array_equal(model.sample(X, 2, rng(3)), model.sample(X, 2, rng(3)))


@pytest.mark.parametrize("dt", [0.01, 0.05])
def test_the_closure_carries_its_past(dt: float) -> None:
    """Without noise, driven along a smooth trajectory, it gives what `predict` gives on every fifth state."""
    X, U = data(400)
    model = MemoryPolynomialRegressor(degree=2, x_lags=2, u_lags=2, advection=True).fit(X, U)
    model.sigma_ = 0.0
    every, n = round(0.05 / dt), 60
    t = dt * np.arange(n * every)[:, None, None]
    fine = 3.0 + 2.0 * np.sin(3.0 * t + rng(4).uniform(0, 6, (1, 3, K)))
    expected = np.stack([model.predict(fine[::every, member]) for member in range(3)], axis=1)
    closure = as_closure(model, dt)
    assert isinstance(closure, SteppedClosure)
    checked_start(closure, 3, rng(), fine[: 20 * every : every])
    stepped = np.array([checked_step(closure, states) for states in fine[20 * every :]])
    np.testing.assert_allclose(stepped[::every], expected[20:], rtol=1e-9, atol=1e-9)


def test_the_noise_of_the_closure_is_smooth_and_has_the_memory_of_the_model() -> None:
    X, U = data(2000)
    model = MemoryPolynomialRegressor(degree=2, advection=True).fit(X, U)
    closure, fixed = as_closure(model), np.full((2000, K), 2.0)
    checked_start(closure, 2000, rng(5), None)
    steps = np.array([checked_step(closure, fixed) for _ in range(20)])
    e = steps - model.predict(fixed[:1])  # the mean rests in the constant past
    assert np.mean(np.square(e[1:] - e[:-1])) < 0.6 * np.mean(np.square(e[5:] - e[:-5]))
    e = e[::5]
    a, d = model.ar_[0], model.ma_[0]
    power = model.sigma_**2 * (1 + 2 * a * d + d**2) / (1 - a**2)
    assert np.mean(e**2) == pytest.approx(power, rel=0.03)
    assert np.mean(e[1:] * e[:-1]) == pytest.approx(a * power + d * model.sigma_**2, rel=0.04)
    with pytest.raises(ModelError, match=r"started for states of shape \(2000, 8\); X has \(8, 8\)"):
        checked_step(closure, fixed[:8])


def test_an_unstable_autoregression_is_reflected() -> None:
    n = 60
    X = rng(6).normal(size=(n, K))
    U = np.cumprod(np.full((n, K), 1.1), axis=0)  # grows, which no climate does
    model = MemoryPolynomialRegressor(degree=1, x_lags=0, noise_lags=0).fit(X, U)
    assert model.ar_ == pytest.approx([1 / 1.1], abs=1e-6)
    assert np.isfinite(model.predict(np.tile(X, (50, 1)))).all()


def test_unusable_arguments_say_why() -> None:
    X, U = data(100)
    with pytest.raises(ValueError, match="u_lags must be a whole number of at least 0; got -1"):
        MemoryPolynomialRegressor(u_lags=-1).fit(X, U)
    with pytest.raises(ValueError, match=r"these lags need at least \d+ rows in time order; got n_samples=5"):
        MemoryPolynomialRegressor().fit(X[:5], U[:5])
