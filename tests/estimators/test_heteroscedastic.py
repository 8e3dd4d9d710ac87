"""Noise whose size a network predicts."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.estimators.heteroscedastic import HeteroscedasticRegressor
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.recurrent import RecurrentRegressor
from l96bench.estimators.regressors import LocalRegressor
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing

pytestmark = pytest.mark.training

K, PHI = 4, 0.7


def size(X: NDArray) -> NDArray:
    """The standard deviation with which the data are made."""
    return 0.4 + 0.3 * np.abs(X)


@functools.cache
def data() -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(0)
    X, e = rng.normal(0.0, 2.0, (6000, K)), rng.normal(size=(6000, K))
    for i in range(1, len(e)):
        e[i] = PHI * e[i - 1] + np.sqrt(1 - PHI**2) * e[i]
    return X, np.sin(X) - X + size(X) * e


@functools.cache
def fitted() -> HeteroscedasticRegressor:
    network = LocalRegressor(TorchRegressor(hidden=(16, 16), epochs=10, min_steps=900), radius=0)
    return HeteroscedasticRegressor(network).fit(*data())


def test_mean_size_and_memory_of_the_data_are_found() -> None:
    """The mean within 0.15, the size within 10 %, the correlation within 0.05, averaged over the states."""
    X = data()[0][:2000]
    assert np.sqrt(np.mean((fitted().predict(X) - (np.sin(X) - X)) ** 2)) < 0.15
    assert np.mean(np.abs(fitted().std(X) / size(X) - 1)) < 0.1
    assert fitted().phi_ == pytest.approx(PHI, abs=0.05)


def test_draws_have_that_law() -> None:
    X = data()[0][:500]
    draws = fitted().sample(X, 300, np.random.default_rng(0))
    assert np.mean(np.abs(draws.mean(axis=0) - fitted().predict(X)) / size(X)) < 0.1
    assert np.mean(np.abs(draws.std(axis=0) / fitted().std(X) - 1)) < 0.06
    e = (draws - fitted().predict(X)) / fitted().std(X)
    assert np.mean(e[:, 1:] * e[:, :-1]) == pytest.approx(fitted().phi_, abs=0.03)


@pytest.mark.parametrize("dt", [0.05, 0.01])
def test_the_closure_has_that_law(dt: float) -> None:
    closure = as_closure(fitted(), dt)
    assert not closure.deterministic
    X = np.repeat(data()[0][:1], 2000, axis=0)
    checked_start(closure, 2000, np.random.default_rng(0))
    U = np.stack([checked_step(closure, X) for _ in range(round(0.05 / dt) + 1)])
    np.testing.assert_allclose(U[-1].mean(axis=0), fitted().predict(X[:1])[0], atol=0.1)
    np.testing.assert_allclose(U[-1].std(axis=0), fitted().std(X[:1])[0], rtol=0.08)
    e = (U - fitted().predict(X[:1])) / fitted().std(X[:1])
    assert np.mean(e[0] * e[-1]) == pytest.approx(fitted().phi_, abs=0.05)
    checked_start(closure, 2000, np.random.default_rng(0))
    assert (checked_step(closure, X) == U[0]).all()


def test_a_mean_with_memory_is_told_the_past() -> None:
    X, U = (values[:300] for values in data())
    mean = RecurrentRegressor(units=4, radius=1, epochs=1, min_steps=20)
    noise = LocalRegressor(TorchRegressor(hidden=(4,), min_steps=20), radius=0)
    model = HeteroscedasticRegressor(mean, noise).fit(X, U)
    closure = model.closure()
    checked_start(closure, 1, np.random.default_rng(0), X[:20, None])
    before, z = np.random.default_rng(0).standard_normal((2, 1, K))
    phi = model.phi_**0.2  # of a step of 0.01 MTU
    e = phi * before + np.sqrt(1 - phi**2) * z
    expected = model.predict(X[:21])[20] + model.std(X[:21])[20] * e
    np.testing.assert_allclose(checked_step(closure, X[20:21]), expected, atol=1e-4)


def test_its_families_take_it(offline: SubgridForcing, online: OnlineRollout) -> None:
    network = LocalRegressor(TorchRegressor(hidden=(8,), epochs=2, min_steps=100))
    model = HeteroscedasticRegressor(network)
    offline.fit(model)
    assert count_parameters(model) == 2 * (5 * 8 + 8 + 8 + 1)
    result = offline.evaluate(model)
    assert 0.7 < result.metrics["spread_skill"].value < 1.3
    assert online.evaluate(model).metrics["survival"].value == 1.0
    with pytest.raises(ValueError, match="at least 2 rows"):
        HeteroscedasticRegressor(network).fit(*(values[:1] for values in data()))
