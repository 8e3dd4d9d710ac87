"""Closures of a flux coupling: conservation to rounding, gauges, and what each constraint is trained to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from l96bench.dynamics.closures import Closure, as_closure, checked_step
from l96bench.errors import ModelError
from l96bench.estimators.flux import (
    CONSTRAINTS,
    ConservativeNetwork,
    FluxRegressor,
    flux_divergence,
    minimal_flux,
)
from l96bench.tasks.parts import count_parameters

K = 8
rng = np.random.default_rng(1)
X = rng.normal(2.0, 3.0, (2000, K))
S = -1.5 * X + 0.05 * X**2
U = flux_divergence(S)
NOISY = U + flux_divergence(rng.normal(0.0, 2.0, U.shape))


def small(constraint: str, **options: float) -> ConservativeNetwork:
    return ConservativeNetwork(constraint, hidden=(16,), radius=2, epochs=4, **options)


@pytest.mark.parametrize("K", [7, 8, 9, 36])
def test_the_minimal_flux_is_the_pseudo_inverse(K: int) -> None:
    matrix = flux_divergence(np.eye(K)).T
    np.testing.assert_allclose(matrix @ np.arange(K), np.roll(np.arange(K), 1) - np.roll(np.arange(K), -1))
    forcing = rng.normal(size=(5, K))
    np.testing.assert_allclose(minimal_flux(forcing), forcing @ np.linalg.pinv(matrix).T, atol=1e-12)
    balanced = flux_divergence(forcing)
    np.testing.assert_allclose(flux_divergence(minimal_flux(balanced)), balanced, atol=1e-12)
    assert np.linalg.matrix_rank(matrix) == (K - 2 if K % 2 == 0 else K - 1)  # the gauge's directions


def test_plain_regression_finds_a_flux_that_is_a_function_of_the_stencil() -> None:
    # The minimal flux of S_k = f(X_k) is f(X_k) less its mean over every second point: seen at radius 2 on four points
    # by a stencil of all of them, which a ring of 5 points has too (its gauge is one constant).
    states = X[:, :5]
    target = flux_divergence(-1.5 * states + 0.05 * states**2)
    squares = make_pipeline(PolynomialFeatures(2), LinearRegression())
    model = FluxRegressor(squares, radius=2).fit(states, target)
    np.testing.assert_allclose(model.predict(states), target, atol=1e-10)
    np.testing.assert_array_equal(model.closure().predict(states), model.predict(states))


@pytest.mark.slow
@pytest.mark.parametrize("constraint", ["flux", "staggered flux"])
def test_flux_forms_conserve_momentum_to_rounding(constraint: str) -> None:
    model = small(constraint).fit(X, NOISY)
    predicted = model.predict(X * 3.0)
    assert np.abs(predicted.sum(axis=1)).max() < 1e-12 * np.abs(predicted).max()
    flux = FluxRegressor(LinearRegression()).fit(X, NOISY)
    assert np.abs(flux.predict(X).sum(axis=1)).max() < 1e-12 * np.abs(U).max()


@pytest.mark.slow
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_every_form_learns_and_rolls_with_the_ring(constraint: str) -> None:
    model = small(constraint).fit(X, U)
    predicted = model.predict(X)
    assert 1 - np.mean((predicted - U) ** 2) / np.var(U) > 0.9
    np.testing.assert_allclose(model.predict(np.roll(X, 3, axis=1)), np.roll(predicted, 3, axis=1), atol=1e-4)
    closure = as_closure(model)
    assert isinstance(closure, Closure)
    assert closure.deterministic
    np.testing.assert_allclose(checked_step(closure, X[:20]), predicted[:20], atol=1e-5)
    width = 4 if constraint == "staggered flux" else 5
    assert count_parameters(model) == width * 16 + 16 + 16 + 1


@pytest.mark.training
def test_a_penalty_trades_skill_for_balance() -> None:
    # The divergence depends on more noise than a network can see, which makes some momentum therefore.
    sums, errors = [], []
    for weight in (0.0, 1.0, 100.0):
        model = small("penalty", weight=weight).fit(X, NOISY)
        predicted = model.predict(X)
        sums.append(np.sqrt(np.mean(predicted.mean(axis=1) ** 2)))
        errors.append(np.mean((predicted - NOISY) ** 2))
    assert sums[0] > 1.1 * sums[1] > 1.3 * sums[2]
    assert errors[0] < errors[2]
    free = small("none").fit(X, NOISY)
    np.testing.assert_array_equal(free.predict(X), small("penalty", weight=0.0).fit(X, NOISY).predict(X))


@pytest.mark.training
def test_a_shifted_mean_costs_nothing_where_nothing_is_conserved() -> None:
    model = small("none").fit(X, U + 30.0)
    assert abs(np.mean(model.predict(X)) - 30.0) < 0.5
    penalized = small("penalty", weight=1000.0).fit(X, U + 30.0)
    assert abs(np.mean(penalized.predict(X))) < 3.0  # the sum itself is penalized, not its deviation from the mean


@pytest.mark.training
def test_equal_seeds_give_equal_networks_on_any_number_of_threads() -> None:
    first = small("flux", random_state=3).fit(X, U).predict(X)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(2)
    try:
        second = clone(small("flux", random_state=3)).fit(X, U).predict(X)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert not np.array_equal(first, small("flux", random_state=4).fit(X, U).predict(X))


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match="constraint must be one of"):
        ConservativeNetwork("fluxes").fit(X, U)
    with pytest.raises(ValueError, match="weight at least 0"):
        ConservativeNetwork("penalty", weight=-1.0).fit(X, U)
    with pytest.raises(ValueError, match="y must be U at all points"):
        FluxRegressor().fit(X, U[:, 0])
    with pytest.raises(ValueError, match="Try a smaller radius"):
        FluxRegressor(radius=4).fit(X, U)
    with pytest.raises(ModelError, match="fitted on K = 8 points"):
        FluxRegressor().fit(X, U).closure().predict(X[:, :6])
