"""Emulators as closures: they are where the resolved model lands, and polynomials find the equations themselves."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from l96bench.dynamics import resolved_kernels
from l96bench.dynamics.closures import as_closure
from l96bench.dynamics.inverse_kernels import solve_forcing
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.resolved import rollout
from l96bench.errors import ModelError
from l96bench.estimators.emulators import EmulatorClosure, EmulatorRegressor
from l96bench.estimators.regressors import LocalRegressor
from l96bench.regimes import get_regime

REGIME = get_regime("wilks-f20")
QUARTIC = Polynomial([-0.26, -1.45, 0.012, 0.0071, -0.0003])
X0 = np.random.default_rng(0).normal(3.0, 4.0, (20, 8))


def landed(X: np.ndarray, forcing: np.ndarray, dt: float = 0.01) -> np.ndarray:
    """One step of the resolved model under F + U = forcing."""
    n, out, far = len(X), X.copy(), np.finfo(np.float64).max
    ends = (np.full(n, -far), np.full(n, far), np.zeros(n), np.full(n, -1))
    resolved_kernels.advance_resolved(out, forcing, np.zeros(n), dt, *ends, 0)
    return out


@pytest.mark.parametrize("dt", [0.001, 0.01, 0.05])
def test_the_forcing_of_a_step_is_found(dt: float) -> None:
    forcing = np.random.default_rng(1).normal(10.0, 5.0, X0.shape)
    found = np.empty_like(X0)
    used = solve_forcing(X0, landed(X0, forcing, dt), dt, 1e-12, 50, found)
    assert used.max() < (8 if dt <= 0.01 else 25)
    np.testing.assert_allclose(found, forcing, atol=1e-9)


def test_the_step_of_a_closure_is_that_closure() -> None:
    emulator = EmulatorClosure(lambda X: landed(X, REGIME.F + QUARTIC.predict(X)), REGIME.F)
    np.testing.assert_allclose(emulator.predict(X0), QUARTIC.predict(X0), atol=1e-10)
    for F in (REGIME.F, REGIME.F + 4.0):  # another forcing acts on top of what the emulator has learnt
        own, other = (rollout(each, X0, 1.0, regime=REGIME, F=F).X for each in (emulator, QUARTIC))
        np.testing.assert_allclose(own, other, atol=1e-8)


def test_what_leads_nowhere_is_not_a_number() -> None:
    emulator = EmulatorClosure(lambda X: np.where(X > 100.0, np.nan, X), REGIME.F)
    X = X0.copy()
    X[3, 2] = 101.0
    U = emulator.predict(X)
    assert np.isnan(U[3]).all()
    assert np.isfinite(np.delete(U, 3, axis=0)).all()
    run = rollout(emulator, X, 0.1, regime=REGIME)
    assert run.survived.sum() == len(X) - 1


def test_a_polynomial_emulator_finds_the_equations() -> None:
    K, F = 9, 8.0
    X = np.random.default_rng(3).normal(2.0, 3.5, (400, K))
    tendency = np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + F
    features = PolynomialFeatures(2, include_bias=False)
    local = LocalRegressor(make_pipeline(features, LinearRegression()), radius=2)
    model = EmulatorRegressor(local, F=F).fit(X, X + 0.01 * tendency)
    pipeline = model.estimator_.estimator_
    names = pipeline[0].get_feature_names_out(["a", "b", "c", "d", "e"])  # X_{k-2} .. X_{k+2}
    found = {name: value for name, value in zip(names, pipeline[1].coef_, strict=True) if abs(value) > 1e-8}
    assert found == pytest.approx({"b d": 1.0, "a b": -1.0, "c": -1.0}, abs=1e-9)
    assert pipeline[1].intercept_ == pytest.approx(F, abs=1e-9)
    np.testing.assert_allclose(model.advance(X), X + 0.01 * tendency, atol=1e-10)
    np.testing.assert_allclose(landed(X, model.predict(X) + F), X + 0.01 * tendency, atol=1e-10)
    np.testing.assert_array_equal(as_closure(model).step(X), model.predict(X))


@pytest.mark.slow
def test_an_emulator_of_the_steps_themselves_needs_next_to_no_closure() -> None:
    run = rollout(lambda X: np.zeros_like(X), X0, 5.0, regime=REGIME, interval=0.01).X
    X, after = run[:-1:5].reshape(-1, 8), run[1::5].reshape(-1, 8)
    cubic = make_pipeline(PolynomialFeatures(3), LinearRegression())
    emulator = EmulatorRegressor(LocalRegressor(cubic, radius=3), F=REGIME.F).fit(X, after)
    # The mean tendency of a step is the tendency, its first order in dt, and less: three points on either side.
    assert np.sqrt(np.mean(as_closure(emulator).step(X[::7]) ** 2)) < 0.05 * np.std((after - X) / 0.01)


def test_a_trajectory_is_taken_in_steps_from_one_state_in_every_few() -> None:
    run = rollout(lambda X: np.zeros_like(X), X0[:1], 2.0, regime=REGIME, interval=0.01).X[:, 0]
    quadratic = make_pipeline(PolynomialFeatures(2), LinearRegression())
    own, same = (EmulatorRegressor(LocalRegressor(quadratic, radius=2)) for _ in range(2))
    own.fit_trajectory(run, every=4)
    starts = np.arange(0, len(run) - 1, 4)
    same.fit(run[starts], run[starts + 1])
    np.testing.assert_array_equal(own.advance(X0), same.advance(X0))
    # Neither pairs from between nor pairs that are further apart make the same model.
    for X, after in ((run[:-1], run[1:]), (run[starts[:-1]], run[starts[1:]])):
        assert not np.array_equal(own.advance(X0), same.fit(X, after).advance(X0))


def test_errors_say_what_was_expected() -> None:
    emulator = EmulatorRegressor(F=20.0).fit(X0, X0)
    with pytest.raises(ModelError, match=r"goes ahead by 0.01 MTU; got a model step of 0.05"):
        as_closure(emulator, 0.05)
    with pytest.raises(ValueError, match="states one step later"):
        EmulatorRegressor().fit(X0, X0[:, :3])
    with pytest.raises(ModelError, match="must return states of shape"):
        EmulatorClosure(lambda X: X[:, 0], 20.0).predict(X0)
    with pytest.raises(ValueError, match="dt is a positive time"):
        EmulatorClosure(lambda X: X, 20.0, 0.0)
    lagged = EmulatorRegressor(LocalRegressor(lags=(0.05,), interval=0.01), F=20.0).fit(
        np.tile(X0, (2, 1)), np.tile(X0, (2, 1))
    )
    with pytest.raises(ModelError, match="a function of the present X"):
        as_closure(lagged)
