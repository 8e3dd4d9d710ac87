"""Closures learned by smoothing and fitting in turn, and the state-space model behind them."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import l96bench
from l96bench.assimilation import (
    ExpectationMaximization,
    Network,
    NetworkMaximization,
    ObservedSeries,
    RedNoiseModel,
    VariationalNetwork,
)
from l96bench.errors import L96BenchError, ModelError
from l96bench.graphs.models import exported

K, F = 8, 20.0
TRUE = RedNoiseModel(np.array([[-0.5], [-0.9], [0.0]]), 1.5, 0.4)
COEFFICIENTS = np.array([[0.5, 0.2, -0.02], [-0.9, 0.03, 0.0], [0.01, 0.0, 0.0]])
MEMORY = RedNoiseModel(COEFFICIENTS, 0.6, 0.05, 0.1, -8.0, 12.0, -0.4, 12.0)


def run(model: RedNoiseModel, duration: float, seed: int = 0) -> tuple[NDArray, NDArray]:
    """X and U (time, K), 0.05 MTU apart, of the resolved model under a closure that is known."""
    rng = np.random.default_rng(seed)
    states = np.concatenate([3.0 + 4.0 * rng.standard_normal((1, K))] * model.n_parts, axis=1)
    states[:, K : 2 * K] = rng.standard_normal((1, K))
    X, U = [], []
    for time in range(round((duration + 5.0) / 0.05)):
        states = model.advance(states, F, rng, 5)
        if time >= 100:
            X.append(model.split(states)[0][0])
            U.append(model.forcing(states)[0])
    return np.array(X), np.array(U)


def observed(model: RedNoiseModel, duration: float, every: int = 1) -> ObservedSeries:
    X = run(model, duration)[0][every - 1 :: every]
    network = Network(K, 0.05 * every, 1.0)
    return ObservedSeries(X + np.random.default_rng(1).standard_normal(X.shape), network, F)


def quick(**options: object) -> ExpectationMaximization:
    return ExpectationMaximization(**{"first_rounds": 6, "rounds": 2, "last_rounds": 1, "degree": 2, **options})


@pytest.mark.slow
def test_it_finds_the_closure_that_made_the_observations() -> None:
    found = quick(first_rounds=25).fit(observed(TRUE, 150.0))
    x = np.linspace(-5.0, 10.0, 31)[None]
    error = found.model_.mean(x, x) - TRUE.mean(x, x)
    assert np.sqrt(np.square(error).mean()) < 0.35
    assert len(found.log_likelihood_) == 28
    strength = [m.sigma**2 * (1 + m.phi**0.2) / (1 - m.phi**0.2) for m in (found.model_, TRUE)]
    assert strength[0] == pytest.approx(strength[1], rel=0.4)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.0, 0.1])
def test_equal_seeds_give_equal_closures(memory: float) -> None:
    series = observed(TRUE, 30.0, every=4)
    first, again, other = (quick(memory=memory, random_state=seed).fit(series).model_ for seed in (0, 0, 1))
    assert first.coefficients.shape == ((3, 3) if memory else (3, 1))
    for field in dataclasses.fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(again, field.name))
    assert not np.array_equal(first.coefficients, other.coefficients)


@pytest.mark.parametrize("model", [TRUE, MEMORY])
def test_true_x_and_u_give_the_closure_back(model: RedNoiseModel) -> None:
    """The memory is known between the data only by interpolation, and the noise of 0.05 MTU is smooth."""
    X, U = run(model, 200.0)
    found = ExpectationMaximization(degree=2, memory=model.memory).given_U(X, U).model_
    x = np.linspace(-4.0, 9.0, 27)[None]
    for past in (x, x - 1.0):
        np.testing.assert_allclose(found.mean(x, past), model.mean(x, past), atol=0.3)
    assert found.sigma == pytest.approx(model.sigma, rel=0.1)
    assert found.phi == pytest.approx(model.phi, abs=0.05)


@pytest.mark.parametrize("model", [TRUE, MEMORY])
def test_the_closure_is_the_model_that_was_smoothed(model: RedNoiseModel) -> None:
    """A run online has the mean, spread and noise of the members that are advanced here."""
    X = np.random.default_rng(0).normal(3.0, 4.0, (4000, K))
    closure = model.closure(K)
    closure.start(len(X), np.random.default_rng(1))
    U = closure.step(X)
    np.testing.assert_allclose(closure.last_mean, model.mean(X, X))
    assert (U - closure.last_mean).std() == pytest.approx(model.sigma, rel=0.02)
    states = np.concatenate([X, (U - closure.last_mean) / model.sigma, X], axis=1)[:, : model.n_parts * K]
    online = l96bench.rollout(_Held(model, K), X[:1], 0.1, regime="wilks-f20", interval=0.05, progress=False)
    still = dataclasses.replace(model, sigma=0.0)
    moved = still.advance(states[:1], F, np.random.default_rng(0), 5)
    np.testing.assert_allclose(online.X[1], moved[:, :K], rtol=1e-12)


class _Held:
    """The closure without its noise."""

    deterministic = True

    def __init__(self, model: RedNoiseModel, K: int) -> None:
        self.inner = dataclasses.replace(model, sigma=0.0).closure(K)

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.inner.start(n_members, rng)

    def step(self, X: NDArray) -> NDArray:
        return self.inner.step(X)


@pytest.mark.parametrize("model", [TRUE, MEMORY])
def test_the_file_has_the_bits_of_the_closure(model: RedNoiseModel) -> None:
    """Through a past, if it has a memory, and beyond the data."""
    closure = model.rounded().closure(K)
    read = l96bench.read_closure(exported(closure, K).data, K)
    X = np.random.default_rng(0).normal(2.5, 6.0, (300, 40, K))
    for each in (closure, read):
        each.start(40, np.random.default_rng(5))
        if model.memory:
            each.remember(X[:40])
    assert all(np.array_equal(closure.step(now), read.step(now)) for now in X)


def test_the_polynomial_goes_on_as_a_line() -> None:
    x = np.array([[-20.0, -8.0, 12.0, 30.0]])
    U = MEMORY.mean(x, x)
    np.testing.assert_allclose(U[0, 0], U[0, 1] - 0.4 * -12.0)
    np.testing.assert_allclose(U[0, 3], U[0, 2] - 0.4 * 18.0)
    np.testing.assert_array_equal(MEMORY.mean(x, x - 50.0) != MEMORY.mean(x, x - 12.0), False)


@pytest.mark.parametrize("model", [TRUE, MEMORY])
def test_the_noise_has_its_autocorrelation(model: RedNoiseModel) -> None:
    states = np.random.default_rng(0).standard_normal((5000, model.n_parts * K))
    e = model.split(model.advance(states, F, np.random.default_rng(1), 5))[1]
    assert np.mean(e * model.split(states)[1]) == pytest.approx(model.phi, abs=0.02)
    assert e.std() == pytest.approx(1.0, abs=0.02)


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(ModelError, match="not fitted"):
        ExpectationMaximization().closure()
    for wrong in (
        {"degree": 0},
        dict.fromkeys(("first_rounds", "rounds", "last_rounds"), 0),
        {"momentum": 1.0},
        {"spin_up": 20.0},
        {"memory": -1},
    ):
        with pytest.raises(L96BenchError, match="expected"):
            ExpectationMaximization(**wrong).fit(observed(TRUE, 1.0))
    with pytest.raises(L96BenchError, match="one shape"):
        ExpectationMaximization().given_U(np.ones((5, K)), np.ones(5))


def test_given_u_leaves_the_original_as_it_is() -> None:
    model = ExpectationMaximization(degree=2)
    before = copy.deepcopy(vars(model))
    assert model.given_U(*run(TRUE, 5.0)).closure().K == K
    assert vars(model) == before


START = ExpectationMaximization(degree=1, first_rounds=3, rounds=1, n_members=30, length=10.0)


def small(**options: object) -> NetworkMaximization:
    return NetworkMaximization(**{"start": START, "hidden": (8,), "rounds": 2, "last_rounds": 1, **options})


def root_mean_square(values: NDArray) -> float:
    return float(np.sqrt(np.square(values).mean()))


BENT = RedNoiseModel(np.array([[0.0], [-1.2], [0.0], [0.006]]), 1.0, 0.3, low=-8.0, high=12.0, slope=-0.4)


@pytest.mark.training
def test_a_network_finds_what_a_line_cannot() -> None:
    series, (X, _) = observed(BENT, 200.0), run(BENT, 50.0, seed=3)
    learner = small(hidden=(16, 16), memory=0.0, rounds=15, last_rounds=2).fit(series)
    line = copy.deepcopy(START).set_params(random_state=0).fit(series).model_
    truth = BENT.mean(X, X)
    errors = [root_mean_square(model.mean(X, X) - truth) for model in (learner.model_, line)]
    assert errors[0] < 0.75 * errors[1]
    assert len(learner.log_likelihood_) == 17


@pytest.mark.training
def test_a_variational_network_finds_the_closure_and_fits_to_the_errors_of_the_observations() -> None:
    """A deterministic system, so that the best misfit is that of the errors, but for the states that fit them, too."""
    still = dataclasses.replace(BENT, sigma=0.0)
    series, (X, _) = observed(still, 200.0), run(still, 50.0, seed=3)
    learner = VariationalNetwork(hidden=(16,), iterations=300).fit(series)
    error = learner.closure().predict(X) - still.mean(X, X)
    assert root_mean_square(error) < 0.4 * still.mean(X, X).std()
    assert learner.loss_curve_[-1] == pytest.approx(1.0 - 1.0 / 10.0, abs=0.02)  # 8 numbers of 80 are free
    assert learner.sigma_ == 0.0


@pytest.mark.training
def test_the_likeliest_noise_is_of_the_size_of_the_true_one() -> None:
    loud = dataclasses.replace(BENT, sigma=4.0)
    learner = VariationalNetwork(noise=True, hidden=(16,), iterations=80).fit(observed(loud, 150.0))
    assert learner.sigma_ == pytest.approx(4.0, rel=0.25)
    assert not learner.closure().deterministic


@pytest.mark.training
@pytest.mark.parametrize("learner", [small(memory=0.1), VariationalNetwork(noise=True, hidden=(8,), iterations=5)])
def test_networks_of_equal_seeds_are_equal_and_their_files_agree(learner: Any) -> None:
    series = observed(TRUE, 30.0)
    first, again = (copy.deepcopy(learner).fit(series).closure() for _ in range(2))
    other = copy.deepcopy(learner).set_params(random_state=1).fit(series).closure()
    read = l96bench.read_closure(exported(first, K).data, K)
    X = np.random.default_rng(0).normal(2.5, 6.0, (20, 40, K))
    for each in (first, again, other, read):
        each.start(40, np.random.default_rng(5))
        if hasattr(each, "remember"):
            each.remember(X[:40])
    for now in X:
        U = first.step(now)
        np.testing.assert_array_equal(U, again.step(now))
        np.testing.assert_allclose(U, read.step(now), atol=1e-4)
        assert not np.array_equal(U, other.step(now))


@pytest.mark.training
def test_networks_given_true_x_and_u() -> None:
    X, U = run(BENT, 200.0)
    options: dict[str, Any] = {"hidden": (16, 16)}
    given = [
        small(memory=0.0, **options).given_U(X, U).model_.mean(X, X),
        VariationalNetwork(noise=True, **options).given_U(X, U).model_.mean(X, X),
        VariationalNetwork(**options).given_U(X, U).predict(X),
    ]
    for mean in given:
        assert root_mean_square(mean - BENT.mean(X, X)) < 0.3
    model = small(memory=0.0, **options).given_U(X, U).model_
    assert model.sigma == pytest.approx(BENT.sigma, rel=0.05)
    assert model.phi == pytest.approx(BENT.phi, abs=0.05)


@pytest.mark.training
def test_beyond_the_data_a_network_stays_as_it_is() -> None:
    model = small(memory=0.1).given_U(*run(TRUE, 20.0)).model_
    X = np.full((1, K), model.high)
    np.testing.assert_array_equal(model.mean(X, X), model.mean(X + 100.0, X + 100.0))


def test_networks_that_cannot_be_fitted() -> None:
    for unfitted in (NetworkMaximization(), VariationalNetwork()):
        with pytest.raises(ModelError, match="not fitted"):
            unfitted.closure()
    for wrong in ({"rounds": 0, "last_rounds": 0}, {"memory": -1.0}, {"over_relaxation": 3.0}):
        with pytest.raises(L96BenchError, match="expected"):
            small(**wrong).fit(observed(TRUE, 1.0))
    for wrong in ({"window": 0.05}, {"iterations": 0}):
        with pytest.raises(L96BenchError, match="expected"):
            VariationalNetwork(**wrong).fit(observed(TRUE, 1.0))
    hidden = l96bench.make_task("observed-closure/wilks-f20-fixed-v1").miniature().train
    with pytest.raises(L96BenchError, match="all points at once"):
        VariationalNetwork().fit(hidden)
