"""Ensemble Kalman inversion: against the analytic posterior, least squares, and a closure whose climate is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from l96bench.dynamics.closures import as_closure
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.resolved import rollout
from l96bench.errors import ModelError
from l96bench.estimators.inversion import InvertedPolynomial, climate_statistics, ensemble_kalman_inversion
from l96bench.regimes import get_regime

K = 8
REGIME = get_regime("wilks-f20")
KNOWN = Polynomial([-0.8, -0.9])

MATRIX = np.array([[1.0, 0.5], [-0.3, 1.2], [0.4, 0.4], [2.0, -1.0]])
NOISE = np.diag([0.3, 0.5, 0.2, 0.8]) + 0.05
DATA = np.array([1.0, -0.5, 0.7, 2.0])
PRIOR = np.array([2.0, 1.0])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def invert(n_members: int, n_iterations: int, tempered: bool = False) -> NDArray:
    draws = rng(1)
    found = ensemble_kalman_inversion(
        lambda theta: MATRIX @ theta,
        DATA,
        NOISE,
        lambda: PRIOR * draws.standard_normal(2),
        n_members,
        n_iterations,
        rng(2),
        tempered,
    )
    assert found.n_failed == 0
    assert found.misfits[-1] <= found.misfits[0]
    return found.members


@pytest.mark.slow
def test_one_iteration_of_a_linear_model_gives_the_posterior() -> None:
    members = invert(20000, 1)
    precision = np.diag(PRIOR**-2) + MATRIX.T @ np.linalg.solve(NOISE, MATRIX)
    mean = np.linalg.solve(precision, MATRIX.T @ np.linalg.solve(NOISE, DATA))
    np.testing.assert_allclose(members.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(members.T), np.linalg.inv(precision), atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("tempered", [False, True])
def test_many_iterations_give_weighted_least_squares(tempered: bool) -> None:
    members = invert(300, 60, tempered)
    weighted = MATRIX.T @ np.linalg.inv(NOISE)
    np.testing.assert_allclose(members.mean(axis=0), np.linalg.solve(weighted @ MATRIX, weighted @ DATA), atol=0.05)


def test_members_step_back_from_blow_ups() -> None:
    """A model that runs only where its first parameter is below 1.2 still reaches 1, and is never asked to stay."""

    def forward(theta: NDArray) -> NDArray:
        return MATRIX @ theta if theta[0] < 1.2 else np.full(4, np.nan)

    draws, truth = rng(3), np.array([1.0, 0.5])
    found = ensemble_kalman_inversion(
        forward, MATRIX @ truth, 0.01 * NOISE, lambda: 3.0 * draws.standard_normal(2), 40, 20, rng(4)
    )
    assert found.n_failed > 0
    assert (found.members[:, 0] < 1.2).all()
    np.testing.assert_allclose(found.data, found.members @ MATRIX.T, rtol=1e-8)
    np.testing.assert_allclose(found.members.mean(axis=0), truth, atol=0.1)
    with pytest.raises(ModelError, match=r"expected a prior under which the model runs; of 150 draws 150 blew up"):
        ensemble_kalman_inversion(lambda _: np.full(4, np.nan), DATA, NOISE, lambda: np.zeros(2), 3, 1, rng())


def test_statistics_are_means_of_products() -> None:
    X = rng(5).normal(size=(50, 3, K))
    found = climate_statistics(X)
    assert found.shape == (3, 8)
    for member in range(3):
        sums = np.zeros(8)
        for t in range(50):
            for k in range(K):
                sums[:4] += X[t, member, k] ** np.arange(1, 5)
                for j in range(1, 5):
                    sums[3 + j] += X[t, member, k] * X[t, member, (k + j) % K]
        np.testing.assert_allclose(found[member], sums / (50 * K), atol=1e-12)
    X[40:, 1] = np.nan
    assert np.isnan(climate_statistics(X)).all(axis=1).tolist() == [False, True, False]


@pytest.fixture(scope="module")
def known() -> NDArray:
    """A trajectory (time, K) of the resolved model under a known line."""
    run = rollout(KNOWN, 4.0 + rng().normal(size=(1, K)), 400.0, regime=REGIME, spin_up=10.0, progress=False)
    return run.X[:, 0]


@pytest.mark.slow
def test_a_known_closure_is_found_from_its_climate(known: NDArray) -> None:
    model = InvertedPolynomial(
        degree=1, regime=REGIME, n_ensemble=15, n_iterations=10, n_runs=5, spin_up=5.0, duration=40.0, random_state=1
    )
    model.fit(known, np.zeros_like(known))  # U is never looked at
    np.testing.assert_allclose(model.coef_, KNOWN.coefficients, atol=0.15)
    states = np.quantile(known, [0.05, 0.5, 0.95])
    np.testing.assert_allclose(model.closure()(states), KNOWN(states), atol=0.5)
    assert model.misfit_[-1] < model.misfit_[0] / 100
    assert as_closure(model) == Polynomial(model.coef_)
    np.testing.assert_array_equal(model.predict(known), model.closure()(known))


def test_equal_seeds_give_equal_closures_whatever_blows_up(known: NDArray) -> None:
    small = InvertedPolynomial(3, REGIME, n_ensemble=6, n_iterations=2, n_runs=2, spin_up=1.0, duration=3.0)
    first, second, other = (
        clone(small).set_params(random_state=seed).fit(known[:800], known[:800]) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.coef_, second.coef_)
    assert (first.coef_ != other.coef_).any()
    assert first.n_failed_ + other.n_failed_ > 0
    assert np.isfinite([*first.coef_, *first.misfit_, *other.coef_]).all()
    with pytest.raises(ValueError, match="40 windows need at least 80 rows in time order; got n_samples=79"):
        small.fit(known[:79], known[:79])
