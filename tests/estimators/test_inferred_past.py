"""What the past of X says about U, and a recurrence that is told."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from l96bench.dynamics.closures import checked_start, checked_step
from l96bench.dynamics.truth import Trajectory, simulate
from l96bench.estimators.generative import ProbabilisticRecurrentRegressor
from l96bench.estimators.inferred_past import WithPastForcing, past_forcing
from l96bench.estimators.recurrences import GatedUnit, along
from l96bench.estimators.recurrent import RecurrentRegressor

K, RADIUS, UNITS = 8, 2, 4
INDEX = (np.arange(K)[:, None] + np.arange(-RADIUS, RADIUS + 1)) % K
SMALL: dict[str, Any] = {"units": 8, "epochs": 1, "batch_size": 32, "min_steps": 60, "infer_past": True}
RNG = np.random.default_rng(0)


@functools.cache
def truth() -> Trajectory:
    """Every 0.01 MTU."""
    return simulate("wilks-f20", 20.0, interval=0.01, seed=5, spin_up=5.0, store_fast=False)


@functools.cache
def fitted() -> RecurrentRegressor:
    return RecurrentRegressor(**SMALL).fit(truth().X[::5], truth().U[::5])


def unit() -> GatedUnit:
    shapes = {
        "input": (3 * UNITS, 2 * RADIUS + 2),
        "state": (3 * UNITS, UNITS),
        "input_bias": (3 * UNITS,),
        "state_bias": (3 * UNITS,),
        "output": (1, UNITS),
        "output_bias": (1,),
    }
    rng = np.random.default_rng(1)
    return GatedUnit({name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()})


class Told:
    """The input as the state, to look at."""

    n_state, n_noise = 1, 0

    def advance(self, x: torch.Tensor, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return x[:, -1:]

    def output(self, state: torch.Tensor) -> torch.Tensor:
        return state[..., 0]


def test_states_that_move_evenly_leave_the_known_error_of_the_trapezoidal_rule() -> None:
    """X = a + b t has the forcing b - mean of R, and R is a parabola in t, for which the rule errs by dt² R'' / 12."""
    a, b = RNG.normal(2.0, 4.0, (2, K))
    times = 0.05 * np.arange(4)[:, None]
    fine = np.linspace(0.0, 0.05, 3)[:, None] + times[:3, None]
    X = a + b * fine
    R = np.roll(X, 1, axis=2) * (np.roll(X, -1, axis=2) - np.roll(X, 2, axis=2)) - X
    mean = (R[:, 0] + 4 * R[:, 1] + R[:, 2]) / 6  # Simpson's rule, exact for parabolas
    curvature = 2 * np.roll(b, 1) * (np.roll(b, -1) - np.roll(b, 2))
    np.testing.assert_allclose(past_forcing(a + b * times), b - mean - 0.05**2 / 12 * curvature, rtol=1e-9)


def test_on_the_truth_it_is_the_forcing_that_was() -> None:
    X, U = np.array(truth().X), np.array(truth().U)
    weights = np.array([0.5, 1, 1, 1, 1, 0.5]) / 5  # the trapezoidal rule at 0.01 MTU
    mean = np.sum([weight * U[i : len(U) - 5 + i] for i, weight in enumerate(weights)], axis=0)[::5]
    inferred = past_forcing(X[::5])[: len(mean)] - 20.0
    assert np.corrcoef(inferred.ravel(), mean.ravel())[0, 1] > 0.9
    assert abs(inferred.mean() - mean.mean()) < 0.05 * U.std()


def test_a_recurrence_is_told_what_the_trajectory_says() -> None:
    X = np.array(truth().X[::5])
    told = along(WithPastForcing(Told(), RADIUS), INDEX, X)[0]
    assert (told[0] == 0).all()
    np.testing.assert_allclose(told[1:], past_forcing(X), atol=2e-3)


def test_its_state_is_that_of_the_unit_with_one_input_more() -> None:
    X = np.array(truth().X[:100:5])
    inner, states = unit(), torch.zeros(K, UNITS)
    expected = []
    for x, before in zip(X, [np.zeros(K), *past_forcing(X)], strict=True):
        inputs = np.concatenate((x[INDEX], before[:, None]), axis=1)
        states = inner.advance(torch.tensor(inputs, dtype=torch.float32), states, torch.zeros(K, 0))
        expected.append(inner.output(states).numpy())
    np.testing.assert_allclose(along(WithPastForcing(inner, RADIUS), INDEX, X)[0], expected, atol=1e-4)


def test_what_was_seen_survives_a_mixture_with_a_state_of_zeros() -> None:
    recurrence = WithPastForcing(Told(), RADIUS)
    x = torch.tensor(RNG.normal(size=(K, 2 * RADIUS + 1)), dtype=torch.float32)
    state = recurrence.advance(x, torch.zeros(K, recurrence.n_state), torch.zeros(K, 0))
    mixed = torch.lerp(torch.zeros_like(state), state, 0.4)
    later = x + 0.1
    whole, part = (recurrence.advance(later, each, torch.zeros(K, 0)) for each in (state, mixed))
    np.testing.assert_allclose(whole, part, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.05, 0.01])
def test_stepping_along_the_truth_is_predicting(dt: float) -> None:
    every = round(0.05 / dt)
    X = np.array(truth().X[:: 5 // every][: 60 * every])
    closure = fitted().closure(dt)
    checked_start(closure, 1, np.random.default_rng(0))
    U = np.concatenate([checked_step(closure, x[None]) for x in X])
    np.testing.assert_allclose(U[::every], fitted().predict(X[::every]), atol=1e-4)


@pytest.mark.slow
def test_what_is_learned_is_in_the_units_of_the_data() -> None:
    """The folded unit gives what the scaled one was trained to give: nearly U on its own training data."""
    X, U = np.array(truth().X[::5]), np.array(truth().U[::5])
    error = fitted().predict(X)[20:] - U[20:]
    assert np.var(error) < 1.2 * fitted().loss_curve_[-1] * np.var(U) + 0.02 * np.var(U)


@pytest.mark.slow
def test_it_tells_more_than_the_stencil() -> None:
    X, U = np.array(truth().X[::5]), np.array(truth().U[::5])
    without = RecurrentRegressor(**(SMALL | {"infer_past": False})).fit(X, U)
    assert fitted().loss_curve_[-1] < 0.8 * without.loss_curve_[-1]
    assert fitted().n_parameters == without.n_parameters + 3 * 8  # one column for each gate


@pytest.mark.slow
def test_with_noise_and_at_point_0_alone() -> None:
    X: NDArray = np.array(truth().X[:300:5])
    model = ProbabilisticRecurrentRegressor(**SMALL).fit(X, truth().U[:300:5, 0])
    draws = model.sample(X, 3, np.random.default_rng(0))
    assert draws.shape == (3, len(X))
    assert draws.std(axis=0).min() > 0
    closure = model.closure()
    checked_start(closure, 2, np.random.default_rng(0))
    assert checked_step(closure, X[:2]).shape == (2, K)


def test_a_stencil_that_lacks_the_resolved_tendency_is_refused() -> None:
    X = truth().X[:100:5]
    with pytest.raises(ValueError, match="radius of at least 2; got 1"):
        RecurrentRegressor(**SMALL, radius=1).fit(X, X)
