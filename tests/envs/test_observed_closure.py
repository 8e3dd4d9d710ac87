"""`ObservedClosure`: the resolved model beside observations, and nothing of the truth."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.assimilation.observed import OBSERVED_TRACKS, ObservedSeries
from l96bench.envs.observed_closure import ObservedClosureVectorEnv
from l96bench.errors import L96BenchError
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.tasks.registry import make_task

pytestmark = pytest.mark.usefixtures("miniature_registry")

ID = "l96bench/ObservedClosure-v2"
Array = NDArray[np.float64]
TRACKS = ("wilks-f20-dense", "wilks-f20-sparse", "arnold-c4-fixed")


def slope(X: Array, U: Array, F: float) -> Array:
    """dX/dt after Lorenz (1996), written with `np.roll`."""
    return np.roll(X, 1, -1) * (np.roll(X, -1, -1) - np.roll(X, 2, -1)) - X + F + U


def rk4(X: Array, U: Array, F: float, dt: float = 0.01) -> Array:
    k1 = slope(X, U, F)
    k2 = slope(X + 0.5 * dt * k1, U, F)
    k3 = slope(X + 0.5 * dt * k2, U, F)
    k4 = slope(X + dt * k3, U, F)
    return X + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


@pytest.mark.slow
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("track", TRACKS)
def test_an_independent_simulator_agrees(track: str, local: bool) -> None:
    """States, observations and rewards, from the task's observations and the documentation alone."""
    n, window = 5, round(OBSERVED_TRACKS[track].network.window / 0.01)
    series = make_task(f"observed-closure/{track}-v1").train
    seen = series.values[~np.isnan(series.values)]
    mean, std = seen.mean(), np.sqrt(seen.var() - 1.0)
    env = gymnasium.make_vec(ID, num_envs=8 * n if local else n, track=track, local=local, episode_steps=40)
    shown, _ = env.reset(seed=3)
    X, at = env.unwrapped.X, env.unwrapped.at[:, 1]
    assert (at % window == 0).all()
    rng = np.random.default_rng(0)
    for step in range(1, 41):
        own = shown[:, 2] if local else shown
        np.testing.assert_allclose(own.reshape(n, 8), (X - mean) / std, rtol=1e-5, atol=1e-5)
        actions = rng.uniform(-0.3, 0.3, (n, 8)).astype(np.float32)
        shown, rewards, terminated, _, _ = env.step(actions.reshape(env.action_space.shape))
        X = rk4(X, 4.5 * std * actions.astype(np.float64), series.F)
        expected = np.zeros((n, 8))
        if step % window == 0:
            y = series.values[50 + (at + step) // window]
            expected = np.where(np.isnan(y), np.nan, -((X - y) ** 2) / std**2)
        expected = np.nan_to_num(expected).ravel() if local else np.nanmean(expected, axis=1)
        np.testing.assert_allclose(rewards * env.unwrapped.scale, expected, rtol=1e-8, atol=1e-9)
        assert not terminated.any()


@pytest.mark.slow
@pytest.mark.parametrize("track", OBSERVED_TRACKS)
def test_a_good_closure_is_rewarded_more(track: str) -> None:
    """Without closure, or with that of another system, the misfit grows faster; the true states are nowhere."""
    task = make_task(f"observed-closure/{track}-v1")
    online = make_task(f"online-rollout/{task.track.regime_id}-v2")
    quartic = PolynomialRegressor(degree=4).fit(np.array(online.train.X), np.array(online.train.U))

    def reward(sign: float) -> float:
        env = task.make_env(num_envs=64, episode_steps=60, autoreset_mode="Disabled").unwrapped
        env.reset(seed=1)
        rewards = [env.step(env.scaling.action(sign * quartic.predict(env.X)))[1] for _ in range(60)]
        return float(np.mean(rewards))

    good, none, wrong = reward(1.0), reward(0.0), reward(-1.0)
    assert wrong < none < good < 0.0


@pytest.mark.slow
def test_episodes_begin_from_observations_alone() -> None:
    """The same observations make the same analyses, whatever the truth behind them is."""
    task = make_task("observed-closure/wilks-f20-sparse-v1")
    copy = ObservedSeries(task.train.values, task.train.network, task.train.F)
    states = []
    for given in ({}, {"observations": copy}):
        env = ObservedClosureVectorEnv("wilks-f20-sparse", num_envs=4, **given)
        env.reset(seed=0)
        states.append(env.X)
        assert not any(hasattr(env, name) for name in ("truth", "U"))
    assert np.array_equal(*states)
    other = make_task("observed-closure/wilks-f20-dense-v1").train
    with pytest.raises(L96BenchError, match="expected observations of the network of wilks-f20-sparse"):
        ObservedClosureVectorEnv("wilks-f20-sparse", observations=other)


@pytest.mark.slow
@pytest.mark.parametrize("local", [False, True])
def test_leaving_the_limits_ends_an_episode_and_never_pays(local: bool) -> None:
    """With limits so narrow that a constant action leaves them."""
    options = {"num_envs": 32 if local else 4, "local": local, "episode_steps": 80, "autoreset_mode": "Disabled"}
    bounded, free = (ObservedClosureVectorEnv("wilks-f20-sparse", **options) for _ in range(2))
    low, high = bounded._bounds
    bounded._bounds = (low, high - 7.2 * bounded.scaling.std_X)
    for env in (bounded, free):
        env.reset(seed=0)
    totals, actions = np.zeros((2, len(free.action_space.sample()))), np.ones_like(free.action_space.sample())
    terminated = np.zeros(len(actions), dtype=bool)
    for step in range(80):
        totals[1] += free.step(actions)[1]
        if not terminated.any():
            _, rewards, terminated, _, _ = bounded.step(actions)
            totals[0] += rewards
            np.testing.assert_array_equal(rewards[terminated], -400.0 / bounded.scale * np.ceil((80 - step) / 20))
    assert terminated.any()
    assert totals[0][terminated].max() < totals[1].min()
