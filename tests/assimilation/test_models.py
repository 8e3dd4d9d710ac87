"""Forecast models: rows, closures, coefficients, fast variables, corrections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from l96bench.assimilation.corrections import CorrectedClosure, corrected
from l96bench.assimilation.layout import Layout
from l96bench.assimilation.models import (
    AugmentedModel,
    ForecastModel,
    FunctionModel,
    ResolvedModel,
    TruthModel,
    checked_advance,
)
from l96bench.dynamics.ar1 import AR1Closure
from l96bench.dynamics.draws import streams
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.resolved import rollout
from l96bench.dynamics.truth import simulate
from l96bench.errors import L96BenchError, ModelError, UnknownIdError
from l96bench.estimators.regressors import LocalRegressor

Array = NDArray[np.float64]
QUARTIC = Polynomial([-0.65, -1.26, 0.0043, 0.0075, -0.00032])
X = simulate("wilks-f20", 2.0, interval=0.1, spin_up=5.0, store_fast=False).X
RNG = np.random.default_rng(0)


def started(model: ForecastModel, n_rows: int = len(X)) -> ForecastModel:
    model.start(n_rows, np.random.default_rng(1))
    return model


class Plain:
    """A closure that is no polynomial, so that the model calls it at every step."""

    deterministic = True

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.calls = 0

    def step(self, X: Array) -> Array:
        self.calls += 1
        return QUARTIC(X)


@pytest.mark.parametrize("closure", [None, QUARTIC, Plain()])
def test_resolved_model_is_the_rollout(closure: Any) -> None:
    found = started(ResolvedModel("wilks-f20", closure)).advance(X, 0.05)
    run = rollout(closure or Polynomial([0.0]), X, 0.1, regime="wilks-f20")
    assert_array_equal(found, run.X[1])
    assert getattr(closure, "calls", 5) == 5
    warmer = started(ResolvedModel("wilks-f20", closure, F=24.0, dt=0.05)).advance(X, 0.05)
    assert_array_equal(warmer, rollout(closure or Polynomial([0.0]), X, 0.1, regime="wilks-f20", F=24.0, dt=0.05).X[1])


def test_what_a_model_remembers() -> None:
    assert not ResolvedModel("wilks-f20", QUARTIC).stateful
    assert not ResolvedModel("wilks-f20", Plain()).stateful
    assert ResolvedModel("wilks-f20", AR1Closure(QUARTIC, 0.9, 1.0, 0.05)).stateful


def test_a_stochastic_closure_goes_on_from_window_to_window() -> None:
    """Its noise is correlated over windows, so that it cannot have been started anew."""
    model = started(ResolvedModel("wilks-f20", AR1Closure(Polynomial([0.0]), 0.999, 2.0, 0.01)), 500)
    states = np.tile(X[:1], (500, 1))
    bare = started(ResolvedModel("wilks-f20"), 1).advance(X[:1], 0.05)
    first, second = (model.advance(states, 0.05) - bare for _ in range(2))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.95


def test_a_row_that_blows_up_is_not_finite() -> None:
    found = started(ResolvedModel("wilks-f20", Polynomial([0.0, 0.0, 0.0, 5.0]))).advance(X, 0.5)
    assert not np.isfinite(found).all(axis=1).any()
    assert_array_equal(np.isnan(found).any(axis=1), np.isnan(found).all(axis=1))


def test_augmented_model_is_a_resolved_model_a_row() -> None:
    model = AugmentedModel("wilks-f20", np.zeros(5), np.ones(5))
    coefficients = QUARTIC.coefficients + 0.01 * RNG.standard_normal((len(X), 5)) * np.abs(QUARTIC.coefficients)
    found = model.advance(np.concatenate([X, coefficients], axis=1), 0.05)
    assert_array_equal(found[:, 8:], coefficients)
    for i in range(len(X)):
        expected = started(ResolvedModel("wilks-f20", Polynomial(coefficients[i])), 1).advance(X[i : i + 1], 0.05)
        assert_array_equal(found[i, :8], expected[0])


def test_coefficients_start_from_the_prior_and_stay_where_they_may() -> None:
    model = AugmentedModel("wilks-f20", [1.0, -1.0], [0.5, 0.1], floor=0.2, bounds=([-9.0, -1.2], [9.0, 9.0]))
    drawn = model.embed(np.zeros((3, 4000, 8)), streams(0, 3, 2))[:, :, 8:]
    assert_allclose(drawn[:, :, 0].mean(axis=1), 1.0, atol=4 * 0.5 / np.sqrt(4000))
    assert_allclose(drawn[:, :, 0].std(axis=1), 0.5, rtol=0.05)
    assert drawn[:, :, 1].min() == -1.2
    narrow = np.concatenate([np.ones((3, 20, 8)), drawn[:, :20] * 0.01], axis=2)
    wide = model.constrain(narrow)
    assert_allclose(wide[:, :, 8:].std(axis=1, ddof=1), [[0.1, 0.02]] * 3)
    assert_allclose(wide[:, :, 8:].mean(axis=1), narrow[:, :, 8:].mean(axis=1))
    assert_array_equal(wide[:, :, :8], narrow[:, :, :8])
    assert_allclose(model.constrain(wide), wide, atol=1e-15)


@pytest.mark.parametrize("regime", ["wilks-f20", "conservative-f12", "three-scale", "lorenz96-k40"])
def test_truth_model_is_the_truth(regime: str) -> None:
    run = simulate(regime, 0.2, interval=0.1, n_trajectories=3, spin_up=2.0, seed=3)
    parts = [part for part in (run.X, run.Y, run.Z) if part is not None]
    states = [np.concatenate([part[:, i].reshape(3, -1) for part in parts], axis=1) for i in range(2)]
    for threads in (1, 2):
        model = TruthModel(regime, threads=threads)
        assert model.layout.n == states[0].shape[1]
        assert_array_equal(model.advance(states[0], 0.1), states[1])


def test_fast_variables_belong_to_their_sector() -> None:
    positions = np.array(TruthModel("wilks-f20").layout.positions)
    assert_array_equal(positions[8:].reshape(8, 32), np.arange(8)[:, None].repeat(32, axis=1))
    deep = np.array(TruthModel("three-scale").layout.positions)
    assert_array_equal(deep[72:].reshape(8, 64), np.arange(8)[:, None].repeat(64, axis=1))


def test_truth_model_starts_with_fast_variables_that_fit_X() -> None:
    """U from the drawn Y against U from a quartic of X: nearly as close as the truth's own is."""
    model = TruthModel("wilks-f20")
    drawn = model.embed(np.repeat(X[None], 2, axis=0), streams(0, 2, 2))
    assert_array_equal(drawn[:, :, :8], np.repeat(X[None], 2, axis=0))
    U = -drawn[:, :, 8:].reshape(2, -1, 8, 32).sum(axis=-1)
    assert np.corrcoef(U.ravel(), QUARTIC(drawn[:, :, :8]).ravel())[0, 1] > 0.85
    assert (drawn[0] != drawn[1]).any()
    alone = model.embed(X[None], streams([[0, 1]], 1, 2))
    assert_array_equal(alone[0], drawn[1])


def test_corrected_closure_adds_a_tendency() -> None:
    step = corrected(Plain(), 0.05, Polynomial([1.0, 2.0]))
    assert isinstance(step, CorrectedClosure)
    assert step.deterministic
    step.start(len(X), np.random.default_rng(0))
    assert_allclose(step.step(X), 1 + 2 * X + QUARTIC(X) / 0.05)
    alone = corrected(lambda X: 0.05 * QUARTIC(X), 0.05)
    found, expected = (started(ResolvedModel("wilks-f20", c)).advance(X, 0.05) for c in (alone, QUARTIC))
    assert_allclose(found, expected, rtol=1e-12)


def test_corrected_polynomials_are_a_polynomial() -> None:
    assert corrected(Polynomial([0.1, 0.2]), 0.05) == Polynomial([0.1 / 0.05, 0.2 / 0.05])
    found = corrected(Polynomial([0.1]), 0.05, QUARTIC)
    assert isinstance(found, Polynomial)
    assert_allclose(found(X), QUARTIC(X) + 2.0)


def test_a_correction_of_a_stochastic_closure_is_stochastic() -> None:
    noisy = corrected(QUARTIC, 0.05, AR1Closure(QUARTIC, 0.9, 1.0, 0.05))
    assert not noisy.deterministic
    assert ResolvedModel("wilks-f20", noisy).stateful
    assert not hasattr(noisy, "remember")


def test_a_correction_of_a_closure_with_memory_has_one() -> None:
    U = -0.5 * X
    lagged = LocalRegressor(LinearRegression(), lags=(0.05,)).fit(X, U)
    assert callable(corrected(QUARTIC, 0.05, lagged).remember)  # type: ignore[attr-defined]
    assert not hasattr(corrected(Plain(), 0.05), "remember")


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: ResolvedModel("wilks-f21"), UnknownIdError, "Did you mean 'wilks-f20'"),
    (lambda: TruthModel("wilks"), UnknownIdError, "no regime 'wilks'"),
    (lambda: ResolvedModel("wilks-f20", Plain), ModelError, "Expected a model, got the class"),
    (lambda: ResolvedModel("wilks-f20", 3), ModelError, "Expected an object"),
    (lambda: started(ResolvedModel("wilks-f20")).advance(X, 0.055), L96BenchError, "whole multiple"),
    (lambda: corrected(QUARTIC, 0.0), L96BenchError, "positive window"),
    (lambda: AugmentedModel("wilks-f20", [0.0], [0.0]), L96BenchError, "a positive std"),
    (lambda: AugmentedModel("wilks-f20", [0.0], [1.0], floor=-1.0), L96BenchError, "floor >= 0"),
    (lambda: AugmentedModel("wilks-f20", [0.0], [1.0], bounds=(1, 2)), L96BenchError, "inside its bounds"),
    (lambda: FunctionModel(lambda x, t: x, 8, Layout.ring(8, 2)).embed(X[None], []), ModelError, "10 components"),
    (lambda: checked_advance(FunctionModel(lambda x, t: x[:, :4], 8), X, 0.1), ModelError, "real numbers of shape"),
    (lambda: checked_advance(FunctionModel(lambda x, t: 1 / 0, 8), X, 0.1), ModelError, "raised ZeroDivisionError"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED)
def test_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_integers_are_taken_for_numbers() -> None:
    found = checked_advance(FunctionModel(lambda states, duration: np.ones(states.shape, int), 8), X, 0.1)
    assert found.dtype == np.float64
