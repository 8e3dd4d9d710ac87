"""Coupled online learning: the nudging, the targets, and the recovery of what is known to be missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.resolved import rollout
from l96bench.dynamics.truth import State, advance, random_state, simulate
from l96bench.errors import ModelError
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.nudged import CoupledOnlineRegressor, CoupledRuns
from l96bench.regimes import get_regime

Array = NDArray[np.float64]

REGIME = get_regime("wilks-f20")
LINEAR = TorchRegressor(hidden=())


def pairs(regime_id: str = "wilks-f20") -> list[State]:
    """Three states of the truth after 3 MTU: one, turned around the ring."""
    regime = get_regime(regime_id)
    state = random_state(regime, [1, 2, 3])
    advance(regime, state, 3000)
    return [tuple(np.roll(part, i, axis=0) for part in state) for i in range(3)]


@pytest.fixture
def runs() -> CoupledRuns:
    states = pairs()
    return CoupledRuns(REGIME, states, np.stack([state[0] for state in states]), tau=0.1, tau_model=0.2)


def test_equal_states_are_not_nudged(runs: CoupledRuns) -> None:
    before = runs.X.copy()
    assert not runs.nudge().any()
    np.testing.assert_array_equal(runs.X, before)
    np.testing.assert_array_equal(runs.truth, before)


def test_each_is_pulled_towards_the_other(runs: CoupledRuns) -> None:
    runs.X += 1.0
    truth, model = runs.truth, runs.X.copy()
    pull = runs.nudge()
    np.testing.assert_allclose(pull, 0.01 / 0.1)
    np.testing.assert_allclose(runs.truth, truth + 0.1)
    np.testing.assert_allclose(runs.X, model - 0.05)


def test_in_rasps_setting_the_model_runs_free() -> None:
    states = pairs()
    runs = CoupledRuns(REGIME, states, np.stack([state[0] for state in states]) + 1.0, tau=0.1)
    before = runs.X.copy()
    runs.nudge()
    np.testing.assert_array_equal(runs.X, before)


@pytest.mark.parametrize("regime_id", ["wilks-f20", "conservative-f12", "three-scale"])
def test_targets_are_the_difference_of_tendencies(regime_id: str) -> None:
    """Both steps as the library's own runs make them; the target hardly depends on how good U is."""
    regime, states = get_regime(regime_id), pairs(regime_id)
    X = np.stack([state[0] for state in states]) + 0.2
    stacked = tuple(np.stack(parts) for parts in zip(*states, strict=True))
    truth = simulate(regime, 0.02, interval=0.01, initial=stacked, progress=False).X
    U = np.random.default_rng(0).normal(size=X.shape)
    model = rollout(lambda _: U, X, 0.02, regime=regime, interval=0.01, progress=False).X
    again = [tuple(part.copy() for part in state) for state in states]
    runs = CoupledRuns(regime, states, X, tau=0.1)
    target = runs.step(U)
    np.testing.assert_allclose(target, U + ((truth[:, 1] - truth[:, 0]) - (model[1] - model[0])) / 0.01, atol=1e-8)
    np.testing.assert_allclose(runs.X, model[1], atol=1e-10)
    np.testing.assert_allclose(runs.truth, truth[:, 1], atol=1e-12)
    np.testing.assert_allclose(CoupledRuns(regime, again, X, tau=0.1).step(U + 1.0), target, atol=0.2)


def test_the_target_of_equal_states_is_the_coupling() -> None:
    states = pairs()
    stacked = tuple(np.stack(parts) for parts in zip(*states, strict=True))
    coupling = simulate(REGIME, 0.02, interval=0.01, initial=stacked, progress=False).U
    target = CoupledRuns(REGIME, states, np.stack([state[0] for state in states]), tau=0.1).step(coupling[:, 0])
    np.testing.assert_allclose(target, coupling.mean(axis=1), atol=0.3)


def test_members_that_blow_up_are_put_on_the_truth(runs: CoupledRuns) -> None:
    runs.X[1, 3] = np.nan
    runs.X[2, 0] = 1e6
    assert runs.rescue(-50.0, 50.0) == 2
    np.testing.assert_array_equal(runs.X, runs.truth)
    assert runs.rescue(-50.0, 50.0) == 0
    first = runs.truth
    runs.step(0.0 * runs.X)
    runs.states[1][0][2] = np.inf
    runs.states[1][1][2, 3] = np.nan
    runs.rescue(-50.0, 50.0)
    np.testing.assert_array_equal(runs.truth[1], first[1])
    assert np.isfinite(runs.states[1][1]).all()


def coupled(**options: Any) -> CoupledOnlineRegressor:
    settings: dict[str, Any] = {"network": LINEAR, "radius": 0, "pairs": 4, "duration": 6.0, "spin_up": 5.0}
    settings |= {"regime": "wilks-f20", "learning_rate": 0.03}
    return CoupledOnlineRegressor(**(settings | options))


def data(regime: Any = REGIME, duration: float = 40.0) -> tuple[Array, Array]:
    run = simulate(regime, duration, seed=[9, 9], spin_up=3.0, store_fast=False, progress=False)
    return run.X, run.U


@pytest.mark.slow
def test_a_missing_linear_term_is_learned() -> None:
    """Started without the linear part of U, it learns what least squares on a trajectory of the truth gives."""
    X, U = data()
    slope, intercept = np.polyfit(X.ravel(), U.ravel(), 1)
    start = {"0.weight": np.array([[0.0]]), "0.bias": np.array([U.mean()]), "one_output": np.array(True)}
    model = coupled(start=start, tau=0.02, duration=10.0, learning_rate=0.05).fit(X, U)
    found = float(model.estimator_.coefs_[0][0, 0])
    assert found == pytest.approx(slope, rel=0.2)
    assert float(model.predict(np.full((1, 8), X.mean()))[0, 0]) == pytest.approx(slope * X.mean() + intercept, abs=0.5)
    assert np.mean(model.loss_curve_[-50:]) < 0.6 * np.mean(model.loss_curve_[:5])
    assert model.n_rescued_ == 0


def test_an_explosive_start_is_rescued() -> None:
    X, U = data()
    start = {"0.weight": np.array([[40.0]]), "0.bias": np.array([0.0]), "one_output": np.array(True)}
    model = coupled(start=start, duration=2.0, learning_rate=1e-6).fit(X, U)
    assert model.n_rescued_ > 0
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.difference_curve_).all()


@pytest.mark.slow
def test_equal_seeds_give_equal_networks() -> None:
    X, U = data(duration=20.0)
    options: dict[str, Any] = {"network": TorchRegressor(hidden=(8,), epochs=1, min_steps=50), "radius": 2}
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, second = (coupled(**options, duration=1.0, random_state=1).fit(X, U) for _ in range(2))
    other = coupled(**options, duration=1.0, random_state=2).fit(X, U)
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert np.abs(first.predict(X) - other.predict(X)).max() > 1e-3
    assert torch.equal(state, torch.get_rng_state())
    assert threads == torch.get_num_threads()
    assert len(first.loss_curve_) == 25
    closure = as_closure(first)
    checked_start(closure, 10, np.random.default_rng(0))
    np.testing.assert_allclose(checked_step(closure, X[:10]), first.predict(X[:10]), atol=1e-5)
    assert first.n_parameters == 5 * 8 + 8 + 8 + 1
    assert clone(first).get_params()["pairs"] == 4


@pytest.mark.slow
def test_errors_say_what_was_expected() -> None:
    X, U = data(duration=5.0)
    with pytest.raises(ValueError, match="36 points"):
        coupled(regime="wide-k36").fit(X, U)
    with pytest.raises(ModelError, match="fast variables"):
        CoupledRuns(get_regime("lorenz96-k40"), [], np.zeros((1, 40)), tau=0.1)
    with pytest.raises(ModelError, match="nudging times"):
        coupled(tau=0.001).fit(X, U)
    with pytest.raises(ValueError, match="start must be"):
        coupled(start="zero").fit(X, U)
    assert coupled(regime=replace(REGIME, F=18.0), duration=0.4).fit(X, U).predict(X).shape == X.shape
