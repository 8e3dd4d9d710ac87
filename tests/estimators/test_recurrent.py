"""The gated recurrent unit, its training, and its state along a rollout."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.steps import SteppedClosure
from l96bench.dynamics.truth import simulate
from l96bench.errors import ModelError
from l96bench.estimators.recurrences import GatedUnit, along
from l96bench.estimators.recurrent import RecurrentRegressor
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing_memory import SubgridForcingMemory

K, UNITS = 8, 5
INDEX = (np.arange(K)[:, None] + np.arange(-1, 2)) % K
RNG = np.random.default_rng(3)
SMALL: dict[str, Any] = {"units": 8, "epochs": 1, "batch_size": 32, "min_steps": 40}


def weights(n_noise: int = 0) -> dict[str, NDArray]:
    shapes = {
        "input": (3 * UNITS, 3 + n_noise),
        "state": (3 * UNITS, UNITS),
        "input_bias": (3 * UNITS,),
        "state_bias": (3 * UNITS,),
        "output": (1, UNITS),
        "output_bias": (1,),
    }
    rng = np.random.default_rng(0)
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def by_numpy(w: dict[str, NDArray], x: NDArray, h: NDArray) -> NDArray:
    """The equations of Cho et al. (2014) in NumPy, the reset gate behind the product."""

    def sigmoid(a: NDArray) -> NDArray:
        return np.asarray(1 / (1 + np.exp(-a)))

    from_x = np.split(x @ w["input"].T + w["input_bias"], 3, axis=1)
    from_h = np.split(h @ w["state"].T + w["state_bias"], 3, axis=1)
    r, z = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
    return np.asarray((1 - z) * np.tanh(from_x[2] + r * from_h[2]) + z * h)


@functools.cache
def fine() -> NDArray:
    """A truth trajectory every 0.01 MTU, (n, K)."""
    return np.asarray(simulate("wilks-f20", 20.0, interval=0.01, seed=5, spin_up=5.0, store_fast=False).X)


@functools.cache
def fitted() -> RecurrentRegressor:
    X = fine()[::5]
    return RecurrentRegressor(**SMALL).fit(X, -X + 0.5 * np.roll(X, 3, axis=0))


def test_the_unit_follows_its_equations() -> None:
    w, x, h = weights(), RNG.normal(size=(30, 3)), RNG.normal(size=(30, UNITS))
    unit = GatedUnit(w)
    to = functools.partial(torch.tensor, dtype=torch.float32)
    state = unit.advance(to(x), to(h), torch.zeros(30, 0))
    np.testing.assert_allclose(state, by_numpy(w, x, h), atol=1e-5)
    np.testing.assert_allclose(unit.output(state), (state.numpy() @ w["output"].T + w["output_bias"])[:, 0], atol=1e-5)


def test_a_trajectory_is_what_torch_makes_of_it() -> None:
    w, X = weights(), RNG.normal(size=(50, K))
    unit = torch.nn.GRU(3, UNITS)
    names = ("input", "state", "input_bias", "state_bias")
    unit.load_state_dict(dict(zip(unit.state_dict(), (torch.from_numpy(w[name]) for name in names), strict=True)))
    states = unit(torch.tensor(X[:, INDEX], dtype=torch.float32))[0].detach().numpy()
    np.testing.assert_allclose(along(GatedUnit(w), INDEX, X)[0], states @ w["output"][0] + w["output_bias"], atol=1e-5)


@pytest.mark.slow
def test_what_is_learned_is_in_the_units_of_the_data() -> None:
    model = fitted()
    scaled = RecurrentRegressor(**SMALL).fit(
        100 * fine()[::5] + 7, 0.01 * (-fine()[::5] + 0.5 * np.roll(fine()[::5], 3, 0))
    )
    np.testing.assert_allclose(100 * scaled.predict(100 * fine()[:500:5] + 7), model.predict(fine()[:500:5]), atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.05, 0.01])
def test_stepping_along_the_truth_is_predicting(dt: float) -> None:
    model, every = fitted(), round(0.05 / dt)
    X = fine()[:: 5 // every][: 60 * every]
    closure = model.closure(dt)
    assert closure.deterministic
    checked_start(closure, 1, np.random.default_rng(0))
    U = np.concatenate([checked_step(closure, x[None]) for x in X])
    np.testing.assert_allclose(U[::every], model.predict(X[::every]), atol=1e-5)


@pytest.mark.slow
def test_between_its_updates_the_state_is_of_its_time() -> None:
    """Once the start is forgotten, every phase of the 0.05 MTU is the prediction from its own past."""
    model = fitted()
    closure = model.closure(0.01)
    checked_start(closure, 1, np.random.default_rng(0))
    U = np.concatenate([checked_step(closure, x[None]) for x in fine()[:1000]])
    for phase in range(5):
        np.testing.assert_allclose(U[phase::5][100:], model.predict(fine()[phase:1000:5])[100:], atol=1e-4)


@pytest.mark.slow
def test_remembering_is_having_stepped() -> None:
    model = fitted()
    past, later = fine()[: 40 * 5 : 5], fine()[40 * 5 : 60 * 5]
    closure = model.closure()
    checked_start(closure, 1, np.random.default_rng(0), past[:, None])
    U = np.concatenate([checked_step(closure, x[None]) for x in later])
    expected = model.predict(fine()[: 60 * 5 : 5])[40:]
    np.testing.assert_allclose(U[::5], expected, atol=1e-5)
    between = np.abs(U[2] - 0.5 * (expected[0] + expected[1])).max()  # interpolated states begin the other chains
    assert between < 0.2 * np.abs(expected[1] - expected[0]).max() + 0.05
    checked_start(closure, 1, np.random.default_rng(0))  # starting again forgets
    again = checked_step(closure, later[:1])
    np.testing.assert_allclose(again[0], model.predict(later[:1])[0], atol=1e-5)
    assert np.abs(again - U[0]).max() > 1e-3


@pytest.mark.slow
def test_members_are_independent_and_have_no_order() -> None:
    closure = fitted().closure()
    X = np.stack([fine()[i : i + 30] for i in (0, 400, 800, 1200)], axis=1)
    order = np.array([2, 0, 3, 1])

    def run(X: NDArray, history: NDArray) -> NDArray:
        checked_start(closure, X.shape[1], np.random.default_rng(0), history)
        return np.stack([checked_step(closure, x) for x in X])

    U = run(X[10:], X[:10])
    np.testing.assert_allclose(run(X[10:, order], X[:10, order]), U[:, order], atol=1e-5)
    np.testing.assert_allclose(run(X[10:, 1:2], X[:10, 1:2])[:, 0], U[:, 1], atol=1e-5)


@pytest.mark.slow
def test_it_learns_what_only_the_past_can_tell() -> None:
    X = RNG.normal(2.0, 3.0, (1500, 4))
    U = 0.5 * X
    U[1:] -= np.roll(X, 1, axis=1)[:-1]  # U_k = X_k(t) / 2 - X_{k-1}(t - 0.05)
    model = RecurrentRegressor(units=12, radius=1, epochs=1, warm_up=4, length=8, batch_size=64, min_steps=400)
    error = model.fit(X[:1000], U[:1000]).predict(X[1000:]) - U[1000:]
    assert np.var(error[5:]) < 0.1 * np.var(U)
    assert model.loss_curve_[-1] < 0.1 < model.loss_curve_[0]
    assert count_parameters(model) == model.n_parameters == 3 * 12 * (3 + 12 + 2) + 12 + 1


@pytest.mark.slow
def test_seeds_reproduce_and_leave_torch_alone() -> None:
    X, U = fine()[::5], -fine()[::5]
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    a, b, c = (RecurrentRegressor(**SMALL, random_state=seed).fit(X, U).predict(X[:20]) for seed in (1, 1, 2))
    assert (a == b).all()
    assert (a != c).any()
    assert (torch.get_rng_state() == before).all()
    assert torch.get_num_threads() == threads


def test_point_0_alone_and_short_series() -> None:
    X = fine()[:100:5]
    model = clone(RecurrentRegressor(**SMALL)).fit(X, -X[:, 0])
    assert model.predict(X).shape == (20,)
    assert checked_step_of(model.closure(), X[:3]).shape == (3, K)


def checked_step_of(closure: SteppedClosure, X: NDArray) -> NDArray:
    checked_start(closure, len(X), np.random.default_rng(0))
    return checked_step(closure, X)


def test_what_cannot_be() -> None:
    X = fine()[:100:5]
    with pytest.raises(ValueError, match="length"):
        RecurrentRegressor(length=0).fit(X, X)
    with pytest.raises(ModelError, match=r"whole multiple of the model step dt 0\.04"):
        as_closure(fitted(), 0.04)
    closure = fitted().closure()
    checked_start(closure, 3, np.random.default_rng(0))
    with pytest.raises(ModelError, match=r"started for states of shape \(3, 8\); X has \(2, 8\)"):
        checked_step(closure, X[:2])


def test_a_member_that_blows_up_takes_nobody_along() -> None:
    closure = fitted().closure()
    X = fine()[:3].copy()
    U = checked_step_of(closure, X)
    X[1] = 1e300
    np.testing.assert_allclose(checked_step_of(closure, X)[[0, 2]], U[[0, 2]], atol=1e-6)


@pytest.mark.slow
def test_its_families_take_it(memory: SubgridForcingMemory, online: OnlineRollout) -> None:
    model = RecurrentRegressor(**SMALL)
    memory.fit(model)
    result = memory.evaluate(model, budgets=True)
    assert result.failures.diverged == 0
    assert result.score.value > 50
    assert "r2_budget_10" in result.metrics
    assert online.evaluate(model).metrics["survival"].value == 1.0
