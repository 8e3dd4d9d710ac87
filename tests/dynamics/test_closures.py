"""The closure protocol, its adapters and the AR(1) closure."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from l96bench.dynamics.ar1 import AR1Closure, ar1_noise
from l96bench.dynamics.closures import (
    Closure,
    FunctionClosure,
    PredictorClosure,
    as_closure,
    checked_start,
    checked_step,
)
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.steps import SteppedClosure
from l96bench.errors import L96BenchError, ModelError
from l96bench.estimators.regressors import AR1Regressor, LocalRegressor

X = np.random.default_rng(0).normal(3.0, 5.0, (40, 8))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def step(model: object, states: np.ndarray = X) -> np.ndarray:
    closure = as_closure(model)
    checked_start(closure, len(states), rng())
    return checked_step(closure, states)


class Minimal:
    """What the closure protocol asks for, and no more."""

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.rng = rng

    def step(self, X: np.ndarray) -> np.ndarray:
        return self.rng.normal(size=X.shape)


class Constant:
    """A model whose predict returns whatever it was given."""

    def __init__(self, value: object) -> None:
        self.value = value

    def predict(self, X: np.ndarray) -> object:
        return self.value


# ---------------------------------------------------------------------------------------------------- as_closure


def test_every_kind_of_model_becomes_a_closure() -> None:
    linear = LinearRegression().fit(X, -0.5 * X)
    for model in (linear, lambda X: -0.5 * X, Polynomial([0.0, -0.5]), Constant(-0.5 * X)):
        closure = as_closure(model)
        assert isinstance(closure, Closure)
        assert closure.deterministic
        np.testing.assert_allclose(step(model), -0.5 * X, atol=1e-12)


def test_a_closure_comes_back_as_it_is() -> None:
    for closure in (
        Polynomial([1.0]),
        FunctionClosure(np.sin),
        PredictorClosure(Constant(X)),
        AR1Closure(abs, 0, 1, 1),
    ):
        assert as_closure(closure) is closure


def test_a_closure_that_does_not_declare_itself_is_stochastic() -> None:
    closure = as_closure(Minimal())
    assert not closure.deterministic
    assert not hasattr(closure, "remember")
    np.testing.assert_array_equal(step(Minimal()), rng().normal(size=X.shape))


def test_remember_is_found_behind_the_adapter() -> None:
    class Remembering(Minimal):
        def remember(self, history: np.ndarray) -> None:
            self.history = history

    model = Remembering()
    checked_start(as_closure(model), 40, rng(), X[None])
    np.testing.assert_array_equal(model.history, X[None])


def test_a_model_that_makes_its_own_closure_is_asked_for_it_with_dt() -> None:
    class Maker:
        def closure(self, dt: float) -> Polynomial:
            return Polynomial([dt])

        def predict(self, X: np.ndarray) -> np.ndarray:
            raise AssertionError("closure(dt) comes first")

    assert as_closure(Maker(), 0.02) == Polynomial([0.02])


def test_searches_and_pipelines_keep_the_memory_of_what_they_hold() -> None:
    lagged = LocalRegressor(radius=1, lags=(0.05,))
    search = GridSearchCV(lagged, {"radius": [0, 1]}, cv=2).fit(X, X)
    assert isinstance(as_closure(search), SteppedClosure)
    assert isinstance(as_closure(make_pipeline(lagged).fit(X, X)), SteppedClosure)

    target = np.roll(X, 1, axis=0)  # U is the state 0.05 MTU ago
    pipeline = make_pipeline(FunctionTransformer(lambda X: X / 5.0 - 1.0), lagged).fit(X[1:], target[1:])
    closure = as_closure(pipeline, dt=0.05)
    checked_start(closure, 1, rng(), X[:20, None])
    np.testing.assert_allclose(checked_step(closure, X[20:21]), X[19:20], atol=1e-9)
    np.testing.assert_allclose(checked_step(closure, X[21:22]), X[20:21], atol=1e-9)
    assert not as_closure(make_pipeline(StandardScaler(), AR1Regressor()).fit(X, X)).deterministic


def test_lags_that_a_wrapper_hides_are_refused() -> None:
    model = TransformedTargetRegressor(LocalRegressor(lags=(0.05,)), transformer=StandardScaler()).fit(X, X)
    with pytest.raises(ModelError, match=r"Try it the other way round: LocalRegressor\(TransformedTargetRegressor"):
        as_closure(model)
    plain = TransformedTargetRegressor(LocalRegressor(), func=lambda U: 2 * U, inverse_func=lambda U: U / 2).fit(X, X)
    np.testing.assert_allclose(step(plain), X, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (3, r"Expected an object with predict\(X\), one with start.* or a function X -> U; got an int\."),
        ("polynomial", "got a str"),
        (None, "got a NoneType"),
        (LinearRegression, r"got the class LinearRegression\. Try an instance: LinearRegression\(\.\.\.\)"),
        (Polynomial, "class Polynomial"),
        (LinearRegression(), r"fitted model, got a LinearRegression without a fit.*model\.fit\(task\.train\.X, task"),
        (make_pipeline(StandardScaler(), LinearRegression()), "a Pipeline without a fit"),
        (GridSearchCV(LocalRegressor(), {"radius": [1]}), "a GridSearchCV without a fit"),
        (LocalRegressor(), "a LocalRegressor without a fit"),
    ],
)
def test_what_cannot_be_a_closure_says_why(model: object, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        as_closure(model)
    assert isinstance(caught.value, L96BenchError)


def test_a_closure_that_cannot_be_made_says_why() -> None:
    model = LocalRegressor(lags=(0.05,)).fit(X, X)
    with pytest.raises(
        ModelError, match=r"LocalRegressor\.closure\(0\.03\) raised ArgumentError: lag 0\.05 must be a pos"
    ):
        as_closure(model, dt=0.03)


def test_a_home_made_estimator_need_not_follow_the_underscore_rule() -> None:
    class HomeMade(BaseEstimator):
        def fit(self, X: np.ndarray, y: np.ndarray) -> HomeMade:
            self.slope = -0.5
            return self

        def predict(self, X: np.ndarray) -> np.ndarray:
            return self.slope * X

    np.testing.assert_array_equal(step(HomeMade().fit(X, X)), -0.5 * X)
    with pytest.raises(ModelError, match="a HomeMade without a fit"):
        as_closure(HomeMade())


def test_closures_do_not_load_scikit_learn_or_torch() -> None:
    code = (
        "import sys, numpy as np; from l96bench.dynamics.closures import as_closure, checked_step; "
        "from l96bench.dynamics.polynomial import PUBLISHED; "
        "checked_step(as_closure(lambda X: -X), np.ones((2, 8))); "
        "assert not {'sklearn', 'torch', 'scipy', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -------------------------------------------------------------------------------------------------- checked_step


@pytest.mark.parametrize(
    "value",
    [
        X.astype(np.float32),
        X.astype(np.float32).tolist(),
        torch.tensor(X, dtype=torch.float32, requires_grad=True),
        np.asfortranarray(X.astype(np.float32)),
    ],
    ids=["float32", "list", "torch", "fortran"],
)
def test_real_numbers_of_any_kind_are_converted(value: object) -> None:
    U = step(Constant(value))
    assert U.dtype == np.float64
    np.testing.assert_array_equal(U, X.astype(np.float32))
    assert step(Constant(np.ones((40, 8), dtype=int))).dtype == np.float64


def test_non_finite_numbers_pass() -> None:
    value = X.copy()
    value[0, 0], value[1, 1] = np.nan, np.inf
    np.testing.assert_array_equal(step(Constant(value)), value)


def test_estimators_are_asked_about_non_finite_states_too() -> None:
    states = X.copy()
    states[3] = np.nan
    for model in (LinearRegression().fit(X, X), LocalRegressor().fit(X, X)):
        U = step(model, states)
        assert np.isnan(U[3]).all()
        np.testing.assert_allclose(np.delete(U, 3, axis=0), np.delete(X, 3, axis=0), atol=1e-9)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (X + 0j, "Constant must return U as real numbers of shape .40, 8., one row per state; got .* dtype complex128"),
        (X.astype(object), "dtype object"),
        (X > 0, "dtype bool"),
        (X.astype(str), "dtype <U"),
        (None, "got a NoneType of dtype object"),
        ((X, None), "got a tuple that is no array"),
        (X[0], r"got shape \(8,\)\."),
        (X[:, 0], r"got shape \(40,\)\. For one output per point, try LocalRegressor"),
        (X[:, :1], r"got shape \(40, 1\)\. For one output per point, try LocalRegressor"),
        (X.T, r"got shape \(8, 40\)\. Try its transpose\."),
        (X[None], r"got shape \(1, 40, 8\)\."),
        (0.0, r"got shape \(\)\."),
    ],
)
def test_unusable_results_say_what_was_expected_and_what_came(value: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        step(Constant(value))


def test_exceptions_of_a_model_become_model_errors() -> None:
    def broken(X: np.ndarray) -> np.ndarray:
        raise KeyError("lost")

    with pytest.raises(ModelError, match=r"broken raised KeyError: 'lost' for X of shape \(40, 8\)") as caught:
        step(broken)
    assert isinstance(caught.value.__cause__, KeyError)

    class NoStart(Minimal):
        def start(self, n_members: int, rng: np.random.Generator) -> None:
            raise RuntimeError("no")

    with pytest.raises(ModelError, match="NoStart raised RuntimeError: no at its start"):
        checked_start(as_closure(NoStart()), 3, rng())


def test_an_unfitted_model_inside_a_function_gets_the_hint() -> None:
    with pytest.raises(ModelError, match=r"raised NotFittedError.*Fit it first: model\.fit\(task\.train\.X"):
        step(LinearRegression().predict)


def test_a_model_may_change_or_return_what_it_gets() -> None:
    def careless(X: np.ndarray) -> np.ndarray:
        X *= 2.0
        return X

    states = X.copy()
    U = step(careless, states)
    np.testing.assert_array_equal(states, X)
    np.testing.assert_array_equal(U, 2 * X)
    assert not np.shares_memory(step(lambda X: X, states), states)


# ------------------------------------------------------------------------------------------------------- AR(1)


@pytest.mark.parametrize("dt", [0.01, 0.05])
def test_ar1_has_the_stated_variance_and_correlation_time_at_every_dt(dt: float) -> None:
    phi, sigma, interval = 0.7, 1.5, 0.05
    closure = AR1Closure(Polynomial([2.0, -1.0]), phi, sigma, interval, dt)
    closure.start(500, rng(1))
    states = rng(2).normal(size=(500, 8))
    e = np.array([closure.step(states) - (2.0 - states) for _ in range(round(2.0 / dt) + 1)])
    # 4,000 independent series: standard error of a std about 1.1 %, of a correlation about 0.015, at any one time.
    np.testing.assert_allclose(e[[0, 1, -1]].std(axis=(1, 2)), sigma, rtol=0.04)
    lag = round(interval / dt)
    correlation = (e[lag:] * e[:-lag]).mean() / (e**2).mean()
    assert correlation == pytest.approx(phi, abs=0.01)
    assert (e[4 * lag :] * e[: -4 * lag]).mean() / (e**2).mean() == pytest.approx(phi**4, abs=0.015)


def test_ar1_is_independent_between_members_and_points() -> None:
    closure = AR1Closure(Polynomial([0.0]), 0.5, 1.0, 0.05, 0.05)
    closure.start(3, rng())
    e = np.array([closure.step(np.zeros((3, 8))) for _ in range(4000)]).reshape(-1, 24)
    off_diagonal = np.corrcoef(e.T)[~np.eye(24, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.09  # 4.4 standard errors of a correlation of two such series


@pytest.mark.parametrize("dt", [0.001, 0.005, 0.01, 0.02, 0.05])
def test_phi_is_rescaled_to_the_step(dt: float) -> None:
    closure = AR1Closure(Polynomial([0.0]), 0.984, 1.74, 0.005, dt)
    assert closure.phi_dt ** (0.005 / dt) == pytest.approx(0.984, rel=1e-12)


def test_ar1_starts_afresh_and_depends_on_the_generator_alone() -> None:
    def run(seed: int) -> np.ndarray:
        closure.start(40, rng(seed))
        return np.array([closure.step(X) for _ in range(5)])

    closure = AR1Closure(Polynomial([0.0, 1.0]), 0.9, 1.0, 0.05)
    first = run(1)
    np.testing.assert_array_equal(run(1), first)
    assert not np.array_equal(run(2), first)
    assert not closure.deterministic


def test_ar1_noise_matches_its_recursion() -> None:
    z = rng(3).standard_normal((50, 2))
    expected = [2.0 * z[0]]
    for draw in z[1:]:
        expected.append(0.8 * expected[-1] + 2.0 * np.sqrt(1 - 0.8**2) * draw)
    np.testing.assert_allclose(ar1_noise((50, 2), 0.8, 2.0, rng(3)), expected, rtol=1e-12)


def test_ar1_sample_is_a_stationary_draw_along_a_trajectory() -> None:
    closure = AR1Closure(Polynomial([1.0, 1.0]), 0.9, 2.0, 0.01)
    states = rng().normal(size=(200, 8))
    e = closure.sample(states, 50, rng(1), interval=0.02) - closure.predict(states)
    assert e.shape == (50, 200, 8)
    assert e.std() == pytest.approx(2.0, rel=0.03)
    assert (e[:, 1:] * e[:, :-1]).mean() / e.var() == pytest.approx(0.81, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((abs, 1.0, 1.0, 0.05), "phi must be at least 0 and below 1"),
        ((abs, -0.1, 1.0, 0.05), "phi must be"),
        ((abs, 0.5, np.nan, 0.05), "sigma must be a finite"),
        ((abs, 0.5, 1.0, 0.0), "positive times in MTU"),
        ((Minimal(), 0.5, 1.0, 0.05), "must be deterministic; Minimal is not"),
    ],
)
def test_ar1_refuses_unusable_parameters(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AR1Closure(*arguments)


def test_ar1_says_when_the_batch_is_not_what_it_was_started_for() -> None:
    closure = AR1Closure(abs, 0.5, 1.0, 0.05)
    with pytest.raises(ModelError, match="started for None members; X has 40 rows"):
        closure.step(X)
    closure.start(3, rng())
    with pytest.raises(ModelError, match="started for 3 members; X has 40 rows"):
        checked_step(closure, X)


def of_points(estimator: object, radius: int = 0) -> object:
    rows = np.stack([np.roll(X, -offset, axis=1) for offset in range(-radius, radius + 1)], axis=-1)
    return estimator.fit(rows.reshape(X.size, -1), -0.5 * X.reshape(-1))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("model", "radius"),
    [
        (of_points(LinearRegression()), 0),
        (of_points(make_pipeline(StandardScaler(), LinearRegression())), 0),
        (of_points(KNeighborsRegressor(2)), 0),
        (of_points(GridSearchCV(LinearRegression(), {"fit_intercept": [True]})), 0),
        (of_points(LinearRegression(), 1), 1),
        (of_points(KNeighborsRegressor(2), 2), 2),
        (torch.nn.Linear(1, 1), 0),
        (torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)), 2),
        (of_points(LinearRegression()).predict, 0),  # type: ignore[attr-defined]
    ],
)
def test_a_model_of_points_is_told_how_it_becomes_one_of_the_ring(model: object, radius: int) -> None:
    what = "single points" if not radius else f"stencils of {2 * radius + 1} points"
    with pytest.raises(ModelError, match=rf"It takes {what}: try LocalRegressor\(estimator, radius={radius}\)"):
        step(model)


def test_the_function_that_the_message_types_works() -> None:
    model = of_points(LinearRegression())
    U = step(lambda X: model.predict(X.reshape(-1, 1)).reshape(X.shape))  # type: ignore[attr-defined]
    np.testing.assert_allclose(U, -0.5 * X, atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 8, 1), (40, 1, 8), (320,), (320, 1)])
def test_another_layout_of_the_same_numbers_is_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"got shape .*Try U\.reshape\(X\.shape\)"):
        step(lambda X: X.reshape(shape))


def test_a_model_that_fails_for_another_reason_gets_no_such_hint() -> None:
    with pytest.raises(ModelError) as caught:
        step(lambda X: X @ np.ones((3, 3, 3)) + {}["a"])
    assert "LocalRegressor" not in str(caught.value)
