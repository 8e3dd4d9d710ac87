"""Estimators of closures: against brute-force stencils, numpy's own fits, and scikit-learn's checks."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.estimator_checks import parametrize_with_checks

from l96bench import AR1Closure, AR1Regressor, LocalRegressor, ModelError, Polynomial, PolynomialRegressor, as_closure
from l96bench.dynamics.closures import checked_start, checked_step
from l96bench.dynamics.steps import SteppedClosure
from l96bench.estimators.regressors import StencilClosure

K = 8


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def trajectory(n: int = 300, seed: int = 0, interval: float = 0.05) -> NDArray:
    """A smooth periodic stand-in for X (n, K) that any dt can sample: a few random waves."""
    draws = rng(seed)
    t = np.arange(n)[:, None, None] * interval
    frequency, phase = draws.uniform(0.5, 4.0, (1, K, 5)), draws.uniform(0, 2 * np.pi, (1, K, 5))
    return 3.0 + 3.0 * np.sin(frequency * t + phase).sum(axis=2)


X = trajectory()
U = -0.3 * X + 0.02 * np.roll(X, 1, axis=1) * np.roll(X, -2, axis=1) + rng(1).normal(0, 0.3, X.shape)


def brute_force_rows(X: NDArray, radius: int, lags: tuple[int, ...] = ()) -> NDArray:
    """The stencil matrix by np.roll: column by column, rows states first, from the first row whose past is known."""
    first = max((0, *lags))
    columns = [
        np.roll(X, -offset, axis=1)[first - lag : len(X) - lag].ravel()
        for lag in (0, *lags)
        for offset in range(-radius, radius + 1)
    ]
    return np.stack(columns, axis=1)


class Recorder(BaseEstimator):
    """A regressor of one output that keeps what it is given; it predicts its first column."""

    def fit(self, X: NDArray, y: NDArray) -> Recorder:
        self.rows_, self.targets_ = X, y
        return self

    def predict(self, X: NDArray) -> NDArray:
        self.asked_ = X
        return X[:, 0]


# ------------------------------------------------------------------------------------------- scikit-learn's checks

SHAPE = "y must be U at all points of X or at one; the check has 5 of 10"
TIME = "with lags the rows of X are times in order, so their order matters"


def expected_failures(estimator: Any) -> dict[str, str]:
    failures = {"check_regressor_multioutput": SHAPE}
    if getattr(estimator, "lags", ()):
        failures |= {"check_methods_sample_order_invariance": TIME, "check_methods_subset_invariance": TIME}
    return failures


@parametrize_with_checks(
    [
        LocalRegressor(radius=0),  # the checks use rings of as few as 2 points, which hold no wider stencil
        LocalRegressor(Ridge(), radius=0, lags=(0.05,)),
        PolynomialRegressor(),
        AR1Regressor(),
    ],
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_scikit_learn_conventions(estimator: Any, check: Any) -> None:
    check(estimator)


# ------------------------------------------------------------------------------------------------ PolynomialRegressor


@pytest.mark.parametrize("degree", [0, 1, 3, 4, 8])
def test_polynomial_fit_agrees_with_least_squares_in_extended_precision(degree: int) -> None:
    model = PolynomialRegressor(degree).fit(X, U)
    x, u = X.ravel().astype(np.longdouble), U.ravel().astype(np.longdouble)
    # The residual of the least-squares solution is orthogonal to every power of X.
    residual = u - sum(c * x**i for i, c in enumerate(model.coef_))
    for power in range(degree + 1):
        column = x**power
        assert abs(residual @ column) < 1e-9 * np.sqrt((u @ u) * (column @ column))
    assert model.coef_.shape == (degree + 1,)


def test_polynomial_recovers_an_exact_polynomial() -> None:
    coefficients = [-0.3, -1.4, 0.012, 0.007, -0.0003]
    model = PolynomialRegressor(4).fit(X, np.polynomial.polynomial.polyval(X, coefficients))
    np.testing.assert_allclose(model.coef_, coefficients, rtol=1e-8, atol=1e-12)
    assert model.closure() == Polynomial(model.coef_)
    assert as_closure(model) == model.closure(0.01)
    np.testing.assert_array_equal(model.predict(X), model.closure()(X))
    assert model.score(X, model.predict(X)) == 1.0


@pytest.mark.parametrize("degree", [-1, 1.5, True, "4"])
def test_polynomial_degree_is_checked(degree: Any) -> None:
    with pytest.raises(ValueError, match="degree must be a whole number of at least 0; got"):
        PolynomialRegressor(degree).fit(X, U)


# ------------------------------------------------------------------------------------------------- LocalRegressor


@pytest.mark.parametrize("radius", [0, 1, 2, 3])
@pytest.mark.parametrize("lags", [(), (1,), (1, 3), (4, 2)])
def test_rows_are_the_stencils_of_every_point(radius: int, lags: tuple[int, ...]) -> None:
    model = LocalRegressor(Recorder(), radius=radius, lags=[0.05 * lag for lag in lags]).fit(X, U)
    np.testing.assert_array_equal(model.estimator_.rows_, brute_force_rows(X, radius, lags))
    np.testing.assert_array_equal(model.estimator_.targets_, U[max((0, *lags)) :].ravel())
    padded = np.concatenate([np.repeat(X[:1], max((0, *lags)), axis=0), X])  # before the first, the oldest there is
    model.predict(X)
    np.testing.assert_array_equal(model.estimator_.asked_, brute_force_rows(padded, radius, lags))
    assert len(model.stencil_names_) == model.estimator_.rows_.shape[1]


def test_columns_are_named() -> None:
    names = LocalRegressor(radius=1, lags=(0.05, 0.1)).fit(X, U).stencil_names_
    assert names[:3] == ["X[k-1]", "X[k+0]", "X[k+1]"]
    assert names[3:6] == ["X[k-1](t-0.05)", "X[k+0](t-0.05)", "X[k+1](t-0.05)"]


def test_fit_agrees_with_least_squares_on_brute_force_stencils() -> None:
    model = LocalRegressor(radius=2).fit(X, U)
    design = np.column_stack([np.ones(X.size), brute_force_rows(X, 2)])
    solution = np.linalg.lstsq(design, U.ravel(), rcond=None)[0]
    np.testing.assert_allclose(model.predict(X), (design @ solution).reshape(X.shape), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lags", [(), (0.05, 0.1)])
@pytest.mark.parametrize(
    "estimator",
    [None, make_pipeline(PolynomialFeatures(2), LinearRegression()), RandomForestRegressor(3, random_state=0)],
    ids=["linear", "quadratic", "forest"],
)
def test_rolling_the_ring_rolls_the_forcing(estimator: Any, lags: tuple[float, ...]) -> None:
    model = LocalRegressor(estimator, lags=lags).fit(X, U)
    # Bit for bit up to the linear algebra, whose rounding may depend on where a row lies in a batch.
    for shift in range(K):
        rolled = model.predict(np.roll(X, shift, axis=1))
        np.testing.assert_allclose(rolled, np.roll(model.predict(X), shift, axis=1), rtol=1e-12, atol=1e-12)


def test_it_learns_what_no_single_point_tells() -> None:
    quadratic = LocalRegressor(make_pipeline(PolynomialFeatures(2), LinearRegression())).fit(X[:200], U[:200])
    quartic = PolynomialRegressor(4).fit(X[:200], U[:200])
    error = {model: np.sqrt(np.mean((model.predict(X[200:]) - U[200:]) ** 2)) for model in (quadratic, quartic)}
    assert error[quadratic] == pytest.approx(0.3, rel=0.05)  # the noise alone
    assert error[quartic] > 1.5 * error[quadratic]


def test_it_is_a_scikit_learn_citizen() -> None:
    model = LocalRegressor(Ridge(alpha=2.0), radius=1, lags=(0.05,), interval=0.05)
    copy = clone(model)
    assert copy.get_params()["estimator__alpha"] == 2.0
    copy.set_params(estimator__alpha=3.0, radius=2)
    assert (model.estimator.alpha, model.radius) == (2.0, 1)

    grid = {"radius": [0, 2], "estimator__alpha": [0.1, 1.0]}
    search = GridSearchCV(LocalRegressor(Ridge()), grid, cv=TimeSeriesSplit(3))
    assert search.fit(X, U).best_params_["radius"] == 2
    np.testing.assert_allclose(search.predict(X), search.best_estimator_.predict(X))
    assert as_closure(search).deterministic

    fitted = LocalRegressor(lags=(0.05,)).fit(X, U)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
    frame = pd.DataFrame(X, columns=[f"X{k}" for k in range(K)])
    assert list(LocalRegressor().fit(frame, U).feature_names_in_) == list(frame.columns)


def test_fit_leaves_its_estimator_and_the_global_generator_alone() -> None:
    estimator = RandomForestRegressor(2, max_depth=3, random_state=1)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = LocalRegressor(estimator).fit(X, U).predict(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not hasattr(estimator, "estimators_")
    np.testing.assert_array_equal(LocalRegressor(estimator).fit(X, U).predict(X), first)


def test_the_forcing_of_one_point_is_enough_to_learn_from() -> None:
    exact = -0.3 * X + 0.1 * np.roll(X, 1, axis=1)
    for y in (exact[:, 0], exact[:, :1]):
        for model in (LocalRegressor(), LocalRegressor(lags=(0.05,))):
            model.fit(X, y)
            np.testing.assert_allclose(model.predict(X), y, atol=1e-9)
            closure = as_closure(model)
            checked_start(closure, len(X), rng())
            np.testing.assert_allclose(checked_step(closure, X), exact, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (
            LocalRegressor(radius=4),
            U,
            "radius 4 needs a ring of at least 9 points; X has n_features=8. Try a smaller radius",
        ),
        (LocalRegressor(radius=-1), U, "radius must be a whole number of at least 0; got -1"),
        (LocalRegressor(radius=1.0), U, r"radius must be a whole number of at least 0; got 1\.0"),
        (
            LocalRegressor(),
            U[:, :5],
            r"in the shape of X, \(300, 8\), or of point 0 alone, \(300,\); got shape \(300, 5\)",
        ),
        (
            LocalRegressor(lags=(0.07,)),
            U,
            r"lag 0\.07 must be a positive whole multiple of interval 0\.05; it is 1\.4 times",
        ),
        (LocalRegressor(lags=(0.0,)), U, r"lag 0\.0 must be a positive whole multiple"),
        (LocalRegressor(lags=(-0.05,)), U, r"lag -0\.05 must be a positive whole multiple"),
        (LocalRegressor(lags=(0.05 * (1 + 1e-8),)), U, "must be a positive whole multiple"),
        (LocalRegressor(lags=(15.0,)), U, "lags up to 300 rows need more than 300 rows of X; got n_samples=300"),
    ],
)
def test_unusable_arguments_say_why(model: Any, y: NDArray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


def test_lags_are_compared_as_times_not_bits() -> None:
    assert 0.15 / 0.05 != 3  # in binary
    LocalRegressor(lags=(0.15,)).fit(X, U)


def test_not_fitted() -> None:
    for model in (LocalRegressor(), PolynomialRegressor(), AR1Regressor()):
        with pytest.raises(NotFittedError):
            model.predict(X)
        with pytest.raises(NotFittedError):
            model.closure()


# ------------------------------------------------------------------------------------------------------- closures


def test_closure_without_lags_is_predict() -> None:
    model = LocalRegressor(make_pipeline(PolynomialFeatures(2), LinearRegression())).fit(X, U)
    closure = as_closure(model)
    assert isinstance(closure, StencilClosure)
    np.testing.assert_array_equal(checked_step(closure, X), model.predict(X))
    with pytest.raises(ModelError, match=r"fitted on K = 8 points; X has shape \(3, 9\)"):
        checked_step(closure, np.ones((3, 9)))


@pytest.mark.parametrize("dt", [0.005, 0.01, 0.05])
def test_lagged_closure_sees_what_predict_sees(dt: float) -> None:
    """Driven along trajectories sampled every dt, it gives what `predict` gives on each of them sampled every 0.05."""
    model = LocalRegressor(lags=(0.05, 0.15)).fit(X, U)
    every, n = round(0.05 / dt), 20
    fine = np.stack([trajectory(n * every, seed, dt) for seed in range(3)], axis=1)  # (time, member, K)
    expected = np.stack([model.predict(fine[::every, member]) for member in range(3)], axis=1)
    closure = as_closure(model, dt)
    assert isinstance(closure, SteppedClosure)
    checked_start(closure, 3, rng(), fine[: 10 * every : every])
    stepped = np.array([checked_step(closure, states) for states in fine[10 * every :]])
    np.testing.assert_allclose(stepped[::every], expected[10:], rtol=1e-9, atol=1e-9)


def test_lagged_closure_interpolates_what_it_was_told_and_keeps_what_it_saw() -> None:
    """Between the remembered states the error is that of linear interpolation, and it ends after the longest lag."""
    dt, fine = 0.01, trajectory(200, 3, 0.01)[:, None]
    model = LocalRegressor(Recorder(), radius=0, lags=(0.1,)).fit(X, U)
    closure = as_closure(model, dt)
    checked_start(closure, 1, rng(), fine[:100:5])
    for i in range(100, 130):
        checked_step(closure, fine[i])
        seen, exact = model.estimator_.asked_[:, 1], fine[i - 10, 0]
        if i >= 110 or i % 5 == 0:
            np.testing.assert_allclose(seen, exact, rtol=1e-12)
        else:
            before = fine[(i - 10) // 5 * 5, 0]
            after = fine[(i - 10) // 5 * 5 + 5, 0]
            np.testing.assert_allclose(seen, before + (after - before) * (i % 5) / 5, rtol=1e-12)


@pytest.mark.parametrize("past", [0, 1])
def test_lagged_closure_without_enough_past_takes_the_oldest_state(past: int) -> None:
    model = LocalRegressor(Recorder(), radius=0, lags=(0.05, 0.15)).fit(X, U)
    closure = as_closure(model, dt=0.05)
    history = X[4:5, None] if past else None
    checked_start(closure, 1, rng(), history)
    oldest = X[5 - past]
    for i in range(5, 12):
        checked_step(closure, X[i : i + 1])
        np.testing.assert_array_equal(model.estimator_.asked_[:, 1], X[max(i - 1, 5 - past)])
        np.testing.assert_array_equal(model.estimator_.asked_[:, 2], X[i - 3] if i - 3 >= 5 - past else oldest)


def test_lagged_closure_forgets_at_the_start_and_refuses_another_batch() -> None:
    model = LocalRegressor(lags=(0.05,)).fit(X, U)
    closure = as_closure(model)

    def run() -> NDArray:
        checked_start(closure, 1, rng())
        return np.array([checked_step(closure, states[None]) for states in X[:20]])

    np.testing.assert_array_equal(run(), run())
    with pytest.raises(ModelError, match=r"started for states of shape \(1, 8\); X has \(2, 8\)"):
        checked_step(closure, X[:2])


# --------------------------------------------------------------------------------------------------- AR1Regressor


def ar1_data(n: int, seed: int) -> tuple[NDArray, NDArray]:
    """U = 1 - 0.5 X + e with e of lag-one correlation 0.6 and std 1.5."""
    z = rng(seed).normal(size=(n, K))
    e = np.empty_like(z)
    e[0] = z[0]
    for i in range(1, n):
        e[i] = 0.6 * e[i - 1] + 0.8 * z[i]
    states = trajectory(n, seed)
    return states, 1.0 - 0.5 * states + 1.5 * e


def test_ar1_parameters_are_recovered() -> None:
    model = AR1Regressor(PolynomialRegressor(1)).fit(*ar1_data(4000, 0))
    assert model.phi_ == pytest.approx(0.6, abs=0.015)  # 32,000 values: standard error 0.0045
    assert model.sigma_ == pytest.approx(1.5, rel=0.03)
    np.testing.assert_allclose(model.estimator_.coef_, [1.0, -0.5], atol=0.1)
    np.testing.assert_array_equal(model.predict(X), model.estimator_.predict(X))


def test_ar1_closure_and_samples_carry_the_parameters() -> None:
    model = AR1Regressor(PolynomialRegressor(1)).fit(*ar1_data(1000, 0))
    closure = as_closure(model, dt=0.01)
    assert isinstance(closure, AR1Closure)
    assert closure.phi_dt**5 == pytest.approx(model.phi_, rel=1e-12)
    assert closure.sigma == model.sigma_
    assert not closure.deterministic
    e = model.sample(X, 100, rng(2)) - model.predict(X)
    assert e.shape == (100, 300, 8)
    assert e.std() == pytest.approx(model.sigma_, rel=0.02)
    assert (e[:, 1:] * e[:, :-1]).mean() / e.var() == pytest.approx(model.phi_, abs=0.01)
    np.testing.assert_array_equal(model.sample(X, 2, rng(3)), model.sample(X, 2, rng(3)))


def test_ar1_pairs_stay_within_trajectories() -> None:
    """Trajectories of two rows each: pairs across their ends, uncorrelated, would halve phi."""
    z = rng(5).normal(size=(3000, 2, K))
    e = np.stack([z[:, 0], 0.6 * z[:, 0] + 0.8 * z[:, 1]], axis=1).reshape(-1, K)
    states = rng(6).normal(size=e.shape)
    groups = np.repeat(np.arange(3000), 2)
    assert AR1Regressor().fit(states, states + e, groups).phi_ == pytest.approx(0.6, abs=0.03)
    assert AR1Regressor().fit(states, states + e).phi_ == pytest.approx(0.3, abs=0.03)
    with pytest.raises(ValueError, match=r"groups must have shape \(6000,\).*got \(3,\)"):
        AR1Regressor().fit(states, states + e, [1, 2, 3])


def test_ar1_of_a_perfect_or_alternating_residual_is_usable() -> None:
    exact = AR1Regressor().fit(X, np.zeros_like(X))
    assert (exact.phi_, exact.sigma_) == (0.0, 0.0)
    alternating = np.where(np.arange(300) % 2, 1.0, -1.0)[:, None] + np.zeros(K)
    assert AR1Regressor(PolynomialRegressor(0)).fit(X, alternating).phi_ == 0.0
    with pytest.raises(ValueError, match="at least 2 rows in time order; got n_samples=1"):
        AR1Regressor().fit(X[:1], U[:1])


def test_ar1_around_a_stencil_with_memory_remembers() -> None:
    model = AR1Regressor(LocalRegressor(lags=(0.05,))).fit(X, U)
    closure = as_closure(model, dt=0.05)
    mean = as_closure(model.estimator_, dt=0.05)
    checked_start(closure, 1, rng(), X[:10, None])
    checked_start(mean, 1, rng(), X[:10, None])
    before, z = rng().normal(size=(2, 1, K))
    e = model.phi_ * before + np.sqrt(1 - model.phi_**2) * z
    expected = checked_step(mean, X[10:11]) + model.sigma_ * e
    np.testing.assert_allclose(checked_step(closure, X[10:11]), expected, rtol=1e-12)
    with pytest.raises(ModelError, match=r"SteppedClosure depends on more than the present X"):
        closure.predict(X)  # type: ignore[attr-defined]
