"""The sparse Gaussian process against scikit-learn's exact one, and its draws against their own law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.utils.estimator_checks import check_estimator

from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.errors import ModelError
from l96bench.estimators.gaussian_process import SampledGaussianProcess, SparseGaussianProcess
from l96bench.estimators.regressors import LocalRegressor
from l96bench.tasks.parts import count_parameters

rng = np.random.default_rng(2)
ROWS = rng.uniform(-3.0, 3.0, (150, 2))
TARGETS = 5.0 + np.sin(ROWS[:, 0]) * ROWS[:, 1] + 0.3 * rng.normal(size=150)
KERNEL: dict[str, Any] = {"length_scale": [1.0, 2.0], "variance": 4.0, "noise": 0.09}
K = 6
X = rng.normal(0.0, 2.0, (600, K))
U = np.sin(X) - 0.5 * np.roll(X, 1, axis=1)
U = U + 0.4 * rng.normal(size=U.shape)


@pytest.fixture(scope="module")
def sampled() -> SampledGaussianProcess:
    process = SparseGaussianProcess(n_inducing=40, length_scale=2.5, variance=4.0, noise=0.2)
    return SampledGaussianProcess(process, radius=1).fit(X[:60], U[:60])


def test_with_all_data_as_inducing_points_it_is_the_exact_process() -> None:
    exact = GaussianProcessRegressor(ConstantKernel(4.0) * RBF([1.0, 2.0]), alpha=0.09, optimizer=None)
    exact.fit(ROWS, TARGETS - TARGETS.mean())
    sparse = SparseGaussianProcess(n_inducing=150, **KERNEL).fit(ROWS, TARGETS)
    new = rng.uniform(-3.0, 3.0, (40, 2))
    np.testing.assert_allclose(sparse.predict(new), exact.predict(new) + TARGETS.mean(), atol=1e-3)
    mean, std = sparse.predict(ROWS, return_std=True)
    exact_mean, exact_std = exact.predict(ROWS, return_std=True)
    np.testing.assert_allclose(mean, exact_mean + TARGETS.mean(), atol=1e-3)
    np.testing.assert_allclose(std, np.sqrt(exact_std**2 + 0.09), rtol=1e-3)  # of a new target, noise and all


@pytest.mark.slow
def test_the_hyperparameters_maximize_the_marginal_likelihood() -> None:
    found = SparseGaussianProcess(n_inducing=60, subset=150).fit(ROWS, TARGETS)
    kernel = ConstantKernel(found.variance_) * RBF(found.length_scale_)
    exact = GaussianProcessRegressor(kernel, alpha=found.noise_).fit(ROWS, TARGETS - TARGETS.mean())
    given = exact.log_marginal_likelihood(kernel.theta)
    assert given > exact.log_marginal_likelihood(exact.kernel_.theta) - 1.0
    assert abs(np.sqrt(found.noise_) - 0.3) < 0.05


@pytest.mark.slow
def test_single_precision_is_enough_for_a_closure() -> None:
    model = LocalRegressor(SparseGaussianProcess(n_inducing=50, subset=100), radius=1).fit(X, U)
    np.testing.assert_allclose(model.closure().step(X), model.predict(X), atol=1e-3)
    assert 1 - np.mean((model.predict(X) - U) ** 2) / np.var(U) > 0.8
    assert not np.isfinite(model.closure().step(np.full((1, K), np.nan))).any()
    far = model.closure().step(np.full((1, K), 1e30))
    np.testing.assert_allclose(far, model.estimator_.mean_, rtol=1e-5)
    assert count_parameters(model) == 50 * 3 + 50 + 3 + 3


def test_members_are_draws_of_the_predictive_law(sampled: SampledGaussianProcess) -> None:
    n = 4000
    states = X[60:63]
    process = sampled.estimator_.estimator_
    rows = np.stack([np.roll(states, -offset, axis=1) for offset in (-1, 0, 1)], axis=-1)
    mean, std = process.predict(rows.reshape(-1, 3), return_std=True)
    for draws in (sampled.sample(states, n, np.random.default_rng(0)), closure_draws(sampled, states, n)):
        assert draws.shape == (n, 3, K)
        spread = std.reshape(3, K)
        np.testing.assert_allclose(draws.mean(axis=0), mean.reshape(3, K), atol=5 * spread.max() / np.sqrt(n))
        np.testing.assert_allclose(draws.std(axis=0), spread, rtol=5 / np.sqrt(2 * n))
    np.testing.assert_allclose(sampled.predict(states), mean.reshape(3, K))


def closure_draws(model: SampledGaussianProcess, states: np.ndarray, n: int) -> np.ndarray:
    closure = model.closure(0.01)
    draws = []
    for state in states:
        checked_start(closure, n, np.random.default_rng(3))
        draws.append(checked_step(closure, np.repeat(state[None], n, axis=0)))
    return np.stack(draws, axis=1)


@pytest.mark.slow
def test_a_member_keeps_its_function_and_its_noise_is_red(sampled: SampledGaussianProcess) -> None:
    sampled = clone(sampled).fit(X[:60], U[:60])
    sampled.phi_ = 0.5  # over 0.05 MTU
    closure = as_closure(sampled, 0.01)
    assert not closure.deterministic
    checked_start(closure, 800, np.random.default_rng(0))
    same = np.repeat(X[70][None], 800, axis=0)
    steps = np.stack([checked_step(closure, same) for _ in range(1500)])[:, :, 0]
    late = steps - steps[100:].mean(axis=0)
    lagged = np.mean(late[100:-5] * late[105:]) / np.mean(late[100:] ** 2)
    assert abs(lagged - 0.5) < 0.02
    process = sampled.estimator_.estimator_
    assert abs(steps[100:].std(axis=0).mean() / np.sqrt(process.noise_) - 1) < 0.05
    around = np.stack([X[70][[-1, 0, 1]]])
    function_std = np.sqrt(process.predict(around, return_std=True)[1][0] ** 2 - process.noise_)
    # Members differ in the mean over time by their functions, and by what is left of the noise.
    left = process.noise_ / 1400 * (1 + 0.5**0.2) / (1 - 0.5**0.2)
    assert abs(steps[100:].mean(axis=0).std() / np.sqrt(function_std**2 + left) - 1) < 0.08


def test_red_residuals_are_measured() -> None:
    noise = rng.normal(size=X.shape)
    for i in range(1, len(noise)):
        noise[i] = 0.7 * noise[i - 1] + np.sqrt(1 - 0.49) * noise[i]
    model = SampledGaussianProcess(SparseGaussianProcess(30, length_scale=8.0, variance=4.0, noise=1.0), radius=1)
    assert abs(model.fit(X, 0.3 * X + noise).phi_ - 0.7) < 0.05


@pytest.mark.slow
def test_it_keeps_the_promises_of_scikit_learn() -> None:
    check_estimator(SparseGaussianProcess(n_inducing=30, length_scale=8.0, variance=100.0, noise=0.01))


def test_errors_say_what_was_expected(sampled: SampledGaussianProcess) -> None:
    with pytest.raises(ValueError, match="together or not at all"):
        SparseGaussianProcess(noise=1.0).fit(ROWS, TARGETS)
    with pytest.raises(ValueError, match="n_inducing must be at least 1"):
        SparseGaussianProcess(n_inducing=0).fit(ROWS, TARGETS)
    with pytest.raises(ModelError, match="call start first"):
        sampled.closure().step(X[:2])
