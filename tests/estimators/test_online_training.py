"""Training through the resolved model: what is known is recovered, blow-ups do no harm, seeds decide everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.resolved import rollout
from l96bench.errors import ModelError
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.online_training import OnlineNetworkRegressor, OnlineStochasticRegressor, started
from l96bench.estimators.rollout_training import SharedNetwork, StochasticNetworkClosure, descend, fair_crps
from l96bench.tasks.subgrid_forcing import SubgridForcing

pytestmark = pytest.mark.training

Array = NDArray[np.float64]

F = 20.0
LINEAR = TorchRegressor(hidden=())
"""A network without hidden layers: a linear function."""


def linear(X: Array) -> Array:
    return -0.7 - 1.1 * X


def state_of(slope: float, intercept: float, hidden: int = 0) -> dict[str, Array]:
    return {"0.weight": np.array([[slope]]), "0.bias": np.array([intercept]), "one_output": np.array(True)}


@pytest.fixture(scope="module")
def trajectory() -> tuple[Array, Array]:
    """30 MTU of the resolved model under a known linear closure, every 0.05 MTU."""
    X = rollout(linear, np.linspace(-2.0, 9.0, 8), 30.0, regime="wilks-f20", spin_up=5.0, progress=False).X[:, 0]
    return X, linear(X)


@pytest.fixture(scope="module")
def noisy() -> tuple[Array, Array]:
    """100 MTU under the linear closure with red noise of a known size and memory."""
    from l96bench.dynamics.ar1 import AR1Closure

    closure = AR1Closure(linear, phi=float(np.exp(-0.05 / 0.1)), sigma=3.0, interval=0.05)
    run = rollout(closure, np.linspace(-2, 9, 8), 100.0, regime="wilks-f20", spin_up=5.0, progress=False)
    return run.X[:, 0], linear(run.X[:, 0])


def online(**options: Any) -> OnlineNetworkRegressor:
    settings: dict[str, Any] = {"network": LINEAR, "radius": 0, "steps": 100, "batch_size": 32, "learning_rate": 0.1}
    return OnlineNetworkRegressor(F, **(settings | options))


def forecast_error(model: Any, X: Array, leads: int = 4) -> float:
    starts = np.arange(0, len(X) - leads, 7)
    run = rollout(model, X[starts], 0.05 * (leads + 1), regime="wilks-f20", progress=False)
    truth = np.stack([X[starts + lead] for lead in range(1, leads + 1)])
    return float(np.mean((run.X[1:] - truth) ** 2) / X.var())


def test_a_linear_closure_is_recovered_from_X_alone(trajectory: tuple[Array, Array]) -> None:
    X, U = trajectory
    wrong = state_of(-0.8, 0.5)
    model = online(start=wrong, steps=200, batch_size=16).fit(X, np.zeros_like(U))  # U is not looked at
    assert model.estimator_.coefs_[0][0, 0] == pytest.approx(-1.1, abs=0.005)
    assert model.estimator_.intercepts_[0][0] == pytest.approx(-0.7, abs=0.02)
    assert model.n_skipped_ == 0
    before = forecast_error(online(start=wrong, steps=0).fit(X, U), X)
    assert forecast_error(model, X) < 1e-3 * before


def test_a_perturbed_network_forecasts_better_after_training(trajectory: tuple[Array, Array]) -> None:
    X, U = trajectory
    fitted = TorchRegressor(hidden=(16,), min_steps=600).fit(
        np.stack([np.roll(X, 1, 1), X, np.roll(X, -1, 1)], axis=-1).reshape(-1, 3), U.ravel()
    )
    state = fitted.state_dict()
    state["0.weight"] = state["0.weight"] * 1.2
    options = {"network": TorchRegressor(hidden=(16,)), "radius": 1, "start": state, "learning_rate": 0.01}
    before = forecast_error(online(**options, steps=0).fit(X, U), X)
    model = online(**options, steps=80).fit(X, U)
    assert forecast_error(model, X) < 0.1 * before
    assert np.mean(model.loss_curve_[-20:]) < 0.1 * np.mean(model.loss_curve_[:3])


def test_without_steps_it_is_the_network_fitted_to_U(trajectory: tuple[Array, Array]) -> None:
    from l96bench.estimators.regressors import LocalRegressor

    X, U = trajectory
    form = TorchRegressor(hidden=(8,), epochs=1, min_steps=50)
    model = online(network=form, radius=2, steps=0, random_state=3).fit(X, U)
    expected = LocalRegressor(clone(form).set_params(random_state=3), radius=2).fit(X, U)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), atol=1e-4)
    assert model.n_parameters == 5 * 8 + 8 + 8 + 1
    closure = as_closure(model)
    checked_start(closure, 10, np.random.default_rng(0))
    assert closure.deterministic
    np.testing.assert_allclose(checked_step(closure, X[:10]), model.predict(X[:10]), atol=1e-4)


def test_scaled_weights_are_the_same_function() -> None:
    rows = np.random.default_rng(0).normal(3.0, 5.0, (500, 3))
    network = TorchRegressor(hidden=(8,), epochs=1, min_steps=50).fit(rows, rows[:, 0] - rows[:, 2] ** 2 / 10)
    index = (np.arange(8)[:, None] + np.arange(-1, 2)) % 8
    shared = SharedNetwork(network, index, (3.0, 5.0, -4.0, 4.4))
    X = np.random.default_rng(1).normal(3.0, 5.0, (20, 8)).astype(np.float32)
    expected = network.predict(X[:, index].reshape(-1, 3)).reshape(X.shape)
    np.testing.assert_allclose(shared(torch.from_numpy(X)).detach().numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(shared.trained().predict(rows), network.predict(rows), atol=1e-4)


def test_equal_seeds_give_equal_networks_and_leave_torch_alone(trajectory: tuple[Array, Array]) -> None:
    X, U = trajectory
    options: dict[str, Any] = {"network": TorchRegressor(hidden=(8,), epochs=1, min_steps=20), "steps": 5}
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    for kind in (OnlineNetworkRegressor, OnlineStochasticRegressor):
        first, second = (kind(F, **options, random_state=1, horizon=0.1).fit(X, U) for _ in range(2))
        other = kind(F, **options, random_state=2, horizon=0.1).fit(X, U)
        np.testing.assert_array_equal(first.predict(X), second.predict(X))
        assert np.abs(first.predict(X) - other.predict(X)).max() > 1e-3
        assert clone(first).get_params()["horizon"] == 0.1
    assert torch.equal(state, torch.get_rng_state())
    assert threads == torch.get_num_threads()


@pytest.mark.parametrize("kind", [OnlineNetworkRegressor, OnlineStochasticRegressor])
def test_blow_ups_leave_finite_losses_and_weights(trajectory: tuple[Array, Array], kind: Any) -> None:
    X, U = trajectory
    explosive = {"network": LINEAR, "radius": 0, "start": state_of(60.0, 0.0), "horizon": 0.5, "steps": 10}
    model = kind(F, **explosive).fit(X, U)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.predict(X)).all()


def test_a_step_without_a_finite_gradient_is_left_out() -> None:
    weight = torch.tensor(1.0, requires_grad=True)
    factors = iter([1.0, float("nan"), float("inf"), 1.0])
    curve, skipped = descend([weight], lambda: weight * next(factors), 4, 0.1)
    assert skipped == 2
    assert len(curve) == 4
    assert torch.isfinite(weight)


def test_starts() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 5))
    form = TorchRegressor(hidden=(4,), min_steps=20)
    random = started(form, "random", 3, rows, rows[:, 0])
    assert np.abs(random.predict(rows) - rows[:, 0]).mean() > 0.3
    assert (random.predict(rows) == started(form, "random", 3, rows, rows[:, 0]).predict(rows)).all()
    assert not hasattr(form, "coefs_")
    with pytest.raises(ValueError, match="start must be"):
        started(form, "zero", 0, rows, rows[:, 0])


def test_offline_weight_pulls_towards_U(trajectory: tuple[Array, Array]) -> None:
    X, U = trajectory
    biased = U + 2.0
    free = online(steps=40).fit(X, biased)
    pulled = online(steps=40, offline_weight=10.0).fit(X, biased)
    assert np.abs(pulled.predict(X) - biased).mean() < 0.3 * np.abs(free.predict(X) - biased).mean()


def test_one_point_is_enough_for_y(trajectory: tuple[Array, Array]) -> None:
    X, U = trajectory
    form = TorchRegressor(hidden=(8,), epochs=1, min_steps=30)
    for kind in (OnlineNetworkRegressor, OnlineStochasticRegressor):
        model = kind(F, network=form, steps=2, horizon=0.1).fit(X, U[:, 0])
        assert model.predict(X).shape == (len(X),)
        closure = as_closure(model)
        checked_start(closure, 3, np.random.default_rng(0))
        assert checked_step(closure, X[:3]).shape == (3, 8)


@pytest.mark.slow
@pytest.mark.parametrize("M", [2, 5])
def test_fair_crps_is_that_of_another_implementation(M: int, scoringrules: Any) -> None:
    rng = np.random.default_rng(0)
    members, truth = rng.normal(size=(M, 50)), rng.normal(size=50)
    expected = scoringrules.crps_ensemble(truth, members, m_axis=0, estimator="fair")
    came = fair_crps(torch.from_numpy(members), torch.from_numpy(truth))
    np.testing.assert_allclose(came.numpy(), expected, rtol=1e-12)


def test_noise_is_recovered(noisy: tuple[Array, Array]) -> None:
    """Started with a tenth of the size and a third of the memory; what only forecasts of X can tell is learned."""
    X, U = noisy
    rng = np.random.default_rng(0)
    start = U + 0.3 * rng.standard_normal(U.shape)  # a small white residual is what the noise starts from
    model = OnlineStochasticRegressor(
        F,
        network=LINEAR,
        radius=0,
        start=state_of(-1.1, -0.7),
        horizon=0.2,
        steps=200,
        batch_size=128,
        learning_rate=0.05,
        random_state=0,
    ).fit(X, start)
    sigma = model.sample(X, 200, rng).std(axis=0).mean()
    assert sigma == pytest.approx(3.0, rel=0.25)
    assert model.memory_ == pytest.approx(0.1, rel=0.5)
    assert model.n_parameters == 2 * 2 + 1
    np.testing.assert_allclose(model.predict(X), U, atol=0.5)


def test_the_noise_of_the_closure_is_what_it_says() -> None:
    state = {"0.weight": np.zeros((2, 1)), "0.bias": np.array([-4.0, np.log(0.5)]), "one_output": np.array(False)}
    network = TorchRegressor(hidden=()).load_state_dict(state)
    closure = StochasticNetworkClosure(network, np.arange(8)[:, None], memory=0.2, u_std=3.0, dt=0.01)
    checked_start(closure, 2000, np.random.default_rng(0))
    U = np.stack([checked_step(closure, np.zeros((2000, 8))) for _ in range(21)])
    assert U.mean() == pytest.approx(-4.0, abs=0.02)
    np.testing.assert_allclose(U.std(axis=(1, 2)), 1.5, rtol=0.03)  # stationary from the first step on
    e = (U + 4.0) / 1.5
    assert np.mean(e[0] * e[20]) == pytest.approx(np.exp(-1), abs=0.02)
    assert abs(np.mean(e[0][:, 0] * e[0][:, 1])) < 0.1
    with pytest.raises(ModelError, match="started for"):
        closure.step(np.zeros((3, 8)))


def test_the_spread_may_follow_the_state(offline: SubgridForcing) -> None:
    model = OnlineStochasticRegressor(F, steps=20, batch_size=32, horizon=0.2, random_state=0)
    offline.fit(model)
    X = np.array(offline.test.X[0])
    members = model.sample(X, 40, np.random.default_rng(0))
    assert members.shape == (40, *X.shape)
    np.testing.assert_allclose(members.mean(axis=0), model.predict(X), atol=2.0)
    spread = members.std(axis=0)
    assert spread.std() > 0.1 * spread.mean()
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0.07}, "horizon"),
        ({"interval": 0.055}, "interval"),
        ({"horizon": 50.0}, "more than 1000 rows"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"radius": 4}, "radius"),
        ({"start": "zero"}, "start must be"),
    ],
)
def test_errors_say_what_was_expected(trajectory: tuple[Array, Array], options: Any, message: str) -> None:
    X, U = trajectory
    with pytest.raises(ValueError, match=message):
        online(**options).fit(X, U)


def test_an_ensemble_needs_two_members(trajectory: tuple[Array, Array]) -> None:
    X, U = trajectory
    with pytest.raises(ValueError, match="members"):
        OnlineStochasticRegressor(F, network=LINEAR, radius=0, members=1).fit(X, U)
