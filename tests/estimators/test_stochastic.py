"""Noise forms: parameters recovered from data drawn from the model itself, and their invariance under dt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from l96bench.dynamics.ar1 import AR1Closure, ar1_noise
from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.errors import ModelError
from l96bench.estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor
from l96bench.estimators.stochastic import NoiseForm, StochasticClosure, StochasticRegressor, unit_noise

K = 8
LINE = (2.0, -1.5)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def strength(form: NoiseForm, X: NDArray) -> NDArray:
    """The forms of Arnold et al. (2013), section 3, written out again."""
    mean = LINE[0] + LINE[1] * X
    return {
        "additive": 1.2 * np.ones_like(X),
        "state dependent": 0.7 + 0.2 * np.abs(X),
        "multiplicative": 0.4 * mean,
        "multiplicative and additive": 0.5 + 0.3 * np.abs(mean),
    }[form]


SCALES: dict[NoiseForm, tuple[float, float]] = {
    "additive": (1.2, 0.0),
    "state dependent": (0.7, 0.2),
    "multiplicative": (0.0, 0.4),
    "multiplicative and additive": (0.5, 0.3),
}


def data(form: NoiseForm, n: int = 6000, phi: float = 0.6) -> tuple[NDArray, NDArray]:
    X = 3.0 + ar1_noise((n, K), 0.9, 4.0, rng(1))
    e = ar1_noise((n, K), phi, 1.0, rng(2))
    return X, LINE[0] + LINE[1] * X + strength(form, X) * e


@parametrize_with_checks(
    [StochasticRegressor(), StochasticRegressor(form="multiplicative and additive", white=True)],
    expected_failed_checks=lambda _: {
        "check_regressor_multioutput": "y must be U at all points of X or at one; the check has 5 of 10"
    },
    xfail_strict=True,
)
def test_scikit_learn_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("form", SCALES)
def test_parameters_are_recovered(form: NoiseForm) -> None:
    X, U = data(form)
    model = StochasticRegressor(PolynomialRegressor(1), form).fit(X, U)
    np.testing.assert_allclose(model.estimator_.coef_, LINE, atol=0.12)
    np.testing.assert_allclose(model.scale_, SCALES[form], rtol=0.08, atol=0.03)
    assert model.phi_ == pytest.approx(0.6, abs=0.02)
    assert StochasticRegressor(PolynomialRegressor(1), form, white=True).fit(X, U).phi_ == 0.0


@pytest.mark.parametrize("form", SCALES)
def test_samples_have_the_variance_and_memory_of_the_residual(form: NoiseForm) -> None:
    X, U = data(form)
    model = StochasticRegressor(PolynomialRegressor(1), form).fit(X, U)
    e = model.sample(X, 10, rng(3)) - model.predict(X)
    residual = U - model.predict(X)
    assert e.shape == (10, *X.shape)
    assert e.std() == pytest.approx(residual.std(), rel=0.02)
    covariance = np.mean(residual[1:] * residual[:-1])
    assert np.mean(e[:, 1:] * e[:, :-1]) == pytest.approx(covariance, rel=0.05)
    large = np.abs(X) > 8  # a long way out, where the forms differ
    assert e[:, large].std() == pytest.approx(residual[large].std(), rel=0.08)
    np.testing.assert_array_equal(model.sample(X[:9], 2, rng(3)), model.sample(X[:9], 2, rng(3)))


def test_additive_noise_is_that_of_the_ar1_regressor() -> None:
    X, U = data("additive")
    one, other = StochasticRegressor(PolynomialRegressor(2)).fit(X, U), AR1Regressor(PolynomialRegressor(2)).fit(X, U)
    assert one.scale_ == pytest.approx((other.sigma_, 0.0), rel=1e-9)
    assert one.phi_ == pytest.approx(other.phi_, rel=1e-3)
    ours, theirs = one.closure(0.01), other.closure(0.01)
    assert isinstance(theirs, AR1Closure)
    for closure in (ours, theirs):
        checked_start(closure, 5, rng(4))
    for _ in range(3):
        np.testing.assert_allclose(checked_step(ours, X[:5]), checked_step(theirs, X[:5]), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dt", [0.005, 0.01, 0.05])
@pytest.mark.parametrize("phi", [0.6, 0.0])
def test_noise_does_not_depend_on_the_time_step(dt: float, phi: float) -> None:
    """Over the interval of the data every dt gives the same autocorrelation, and the same variance."""
    noise, every = unit_noise(phi, 0.05, dt), round(0.05 / dt)
    noise.start(4000, rng(5))
    steps = np.array([noise.step((4000, K)).copy() for _ in range(4 * every)])
    assert steps.std() == pytest.approx(1.0, abs=0.01)
    assert np.mean(steps[0] * steps[every]) == pytest.approx(phi, abs=0.02)
    assert np.mean(steps[0] * steps[2 * every]) == pytest.approx(phi**2, abs=0.02)
    if phi == 0:  # a moving average in between
        for lag in range(1, every):
            assert np.mean(steps[0] * steps[lag]) == pytest.approx(1 - lag / every, abs=0.02)


def first_noise(generator: np.random.Generator, shape: tuple[int, ...], phi: float) -> NDArray:
    """The first step of an AR(1) of variance 1 from its stationary distribution."""
    before, z = generator.standard_normal((2, *shape))
    return phi * before + np.sqrt(1 - phi**2) * z


@pytest.mark.parametrize("form", SCALES)
def test_closure_is_the_formula(form: NoiseForm) -> None:
    X, U = data(form, 500)
    model = StochasticRegressor(PolynomialRegressor(1), form).fit(X, U)
    closure = as_closure(model)
    assert isinstance(closure, StochasticClosure)
    assert not closure.deterministic
    checked_start(closure, 6, rng(7))
    mean, (s0, s1) = model.predict(X[:6]), model.scale_
    follows = {"additive": 0.0, "state dependent": np.abs(X[:6]), "multiplicative": mean}.get(form, np.abs(mean))
    e = first_noise(rng(7), (6, K), model.phi_**0.2)
    np.testing.assert_allclose(checked_step(closure, X[:6]), mean + (s0 + s1 * follows) * e, rtol=1e-12)
    with pytest.raises(ModelError, match="started for 6 members; X has 7 rows"):
        checked_step(closure, X[:7])


def test_a_mean_with_memory_remembers() -> None:
    X, U = data("additive", 300)
    model = StochasticRegressor(LocalRegressor(lags=(0.05,))).fit(X, U)
    closure, mean = as_closure(model, 0.05), as_closure(model.estimator_, 0.05)
    for each in (closure, mean):
        checked_start(each, 1, rng(), X[:10, None])
    expected = checked_step(mean, X[10:11]) + model.scale_[0] * first_noise(rng(), (1, K), model.phi_)
    np.testing.assert_allclose(checked_step(closure, X[10:11]), expected, rtol=1e-12)


def test_unusable_arguments_say_why() -> None:
    X, U = data("additive", 20)
    with pytest.raises(ValueError, match=r"form must be one of .*'state dependent'.*; got 'cubic'"):
        StochasticRegressor(form="cubic").fit(X, U)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 2 rows in time order; got n_samples=1"):
        StochasticRegressor().fit(X[:1], U[:1])
    with pytest.raises(ValueError, match="must be deterministic"):
        StochasticClosure(
            AR1Closure(lambda X: X, 0.5, 1.0, 0.05), "additive", (1.0, 0.0), unit_noise(0, 0.05, 0.01), 0.01
        )
    with pytest.raises(ValueError, match=r"whole multiple of the model step dt 0\.03"):
        unit_noise(0.0, 0.05, 0.03)


def test_a_perfect_mean_has_no_noise() -> None:
    X, _ = data("additive", 50)
    for form in SCALES:
        model = StochasticRegressor(PolynomialRegressor(1), form).fit(X, np.zeros_like(X))
        assert model.scale_ == (0.0, 0.0)
        assert model.phi_ == 0.0
        np.testing.assert_array_equal(model.sample(X, 2, rng()), np.zeros((2, *X.shape)))
