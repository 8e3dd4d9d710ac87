from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from l96bench.diagnostics import (
    LeftOutError,
    by_offset,
    instant_forcing,
    jacobian,
    locality,
    offsets_of,
    permutation_importance,
)
from l96bench.diagnostics.closure.importance import gradient_times_input
from l96bench.dynamics.ar1 import AR1Closure
from l96bench.dynamics.polynomial import Polynomial
from l96bench.estimators.regressors import LocalRegressor, PolynomialRegressor

K = 6


@pytest.fixture
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(2.0, 3.0, (50, K))


def test_jacobian_of_a_quartic_is_its_derivative(X: np.ndarray) -> None:
    quartic = Polynomial([0.3, -1.2, 0.02, 0.01, -0.0004])
    found = jacobian(quartic.predict, X)
    slope = -1.2 + 0.04 * X + 0.03 * X**2 - 0.0016 * X**3
    np.testing.assert_allclose(found, slope[:, :, None] * np.eye(K), atol=1e-9)


def test_jacobian_of_a_linear_map_is_its_matrix(X: np.ndarray) -> None:
    matrix = np.random.default_rng(1).standard_normal((K, K))
    found = jacobian(lambda states: states @ matrix.T + 1.0, X)
    np.testing.assert_allclose(found, np.broadcast_to(matrix, found.shape), atol=1e-9)


def test_jacobian_of_a_smooth_function_is_accurate_to_fourth_order(X: np.ndarray) -> None:
    exact = np.cos(X)[:, :, None] * np.eye(K)
    errors = [np.abs(jacobian(np.sin, X, step) - exact).max() for step in (0.4, 0.2)]
    assert 12 < errors[0] / errors[1] < 20


def test_offsets_name_the_neighbours() -> None:
    np.testing.assert_array_equal(offsets_of(8), [-3, -2, -1, 0, 1, 2, 3, 4])
    np.testing.assert_array_equal(offsets_of(5), [-2, -1, 0, 1, 2])
    matrix = np.roll(np.eye(K), 2, axis=1)  # U_k = X_{k+2}
    relative = by_offset(matrix)
    np.testing.assert_array_equal(relative, np.tile(offsets_of(K) == 2, (K, 1)))


def test_gradient_times_input_of_a_linear_map_adds_up_to_the_output(X: np.ndarray) -> None:
    matrix = np.random.default_rng(2).standard_normal((K, K))
    products = gradient_times_input(np.broadcast_to(matrix, (len(X), K, K)), X, 0.5)
    np.testing.assert_allclose(products[3, 1, 4], matrix[1, 4] * (X[3, 4] - 0.5))
    np.testing.assert_allclose(products.sum(axis=2), (X - 0.5) @ matrix.T)


def test_permutation_finds_the_neighbours_that_are_used(X: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    states = rng.standard_normal((2000, K))

    def forcing(X: np.ndarray) -> np.ndarray:
        return 2.0 * X - np.roll(X, 1, axis=1)

    found = permutation_importance(forcing, states, forcing(states), 0.0)
    offsets = offsets_of(K)
    # Shuffling x adds twice the variance of its term: for X_k 2 * 4 / 5, for X_{k-1} 2 * 1 / 5.
    np.testing.assert_allclose(found.mean[offsets == 0], 1.6, rtol=0.05)
    np.testing.assert_allclose(found.mean[offsets == -1], 0.4, rtol=0.05)
    assert np.abs(found.mean[(offsets != 0) & (offsets != -1)]).max() == 0.0


def test_locality_is_one_for_a_local_closure_and_the_share_of_others(X: np.ndarray) -> None:
    offsets = offsets_of(K)
    local = by_offset(jacobian(Polynomial([0.0, 1.0, 0.1]).predict, X))
    assert locality(local, offsets, 0) == pytest.approx(1.0)
    weight = np.where(np.abs(offsets) <= 1, [0, -3, 1, 0, 0, 0], 0.0)
    assert locality(np.array([0.0, -1.0, 2.0, 0.0, 1.0, 0.0]), offsets, 0) == pytest.approx(0.5)
    assert locality(np.array([0.0, -1.0, 2.0, 0.0, 1.0, 0.0]), offsets, 2) == pytest.approx(1.0)
    assert locality(np.zeros(K), offsets, 0) == 0.0
    assert locality(weight, offsets, 1) == 1.0


def test_instant_forcing_takes_the_mean_and_leaves_out_what_remembers(X: np.ndarray) -> None:
    quartic = PolynomialRegressor().fit(X, -X)
    np.testing.assert_allclose(instant_forcing(quartic)(X), quartic.predict(X))
    red = AR1Closure(quartic, 0.9, 1.0, 0.05)
    np.testing.assert_allclose(instant_forcing(red)(X), quartic.predict(X))
    np.testing.assert_allclose(instant_forcing(lambda X: 2 * X)(X), 2 * X)
    lagged = LocalRegressor(radius=1, lags=(0.05,)).fit(X, X)
    with pytest.raises(LeftOutError, match="past"):
        instant_forcing(lagged)


def test_instant_forcing_leaves_out_what_is_random() -> None:
    class Noise:
        def start(self, n_members: int, rng: np.random.Generator) -> None:
            self.rng = rng

        def step(self, X: np.ndarray) -> Any:
            return self.rng.standard_normal(X.shape)

    with pytest.raises(LeftOutError, match="random"):
        instant_forcing(Noise())
