"""`OnlineRollout` against an independent simulator, its rewards, and the controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.envs.online_rollout import fine_truth
from l96bench.envs.scaling import Scaling
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.metrics.climate import DistanceGrid, climate_distance, member_cdfs
from l96bench.regimes import get_regime
from l96bench.tasks.registry import make_task

pytestmark = pytest.mark.usefixtures("miniature_registry")

ID = "l96bench/OnlineRollout-v2"
Array = NDArray[np.float64]


def slope(X: Array, U: Array, F: float) -> Array:
    """dX/dt after Lorenz (1996), written with `np.roll`."""
    return np.roll(X, 1, -1) * (np.roll(X, -1, -1) - np.roll(X, 2, -1)) - X + F + U


def rk4(X: Array, U: Array, F: float, dt: float = 0.01) -> Array:
    """The classical Runge-Kutta step, U held."""
    k1 = slope(X, U, F)
    k2 = slope(X + 0.5 * dt * k1, U, F)
    k3 = slope(X + 0.5 * dt * k2, U, F)
    k4 = slope(X + dt * k3, U, F)
    return X + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


class Simulator:
    """The environment once more, in NumPy, from the task's data and the published definitions alone."""

    def __init__(self, regime: str, reward: str, starts: NDArray[np.int64]) -> None:
        task = make_task(f"online-rollout/{regime}-v2")
        self.truth = np.asarray(task.train_fine.X)
        self.mean_X, self.std_X = task.train.X.mean(), task.train.X.std()
        self.mean_U, self.std_U = task.train.U.mean(), task.train.U.std()
        self.F, self.reward, self.at = get_regime(regime).F, reward, starts.copy()
        self.X = self.truth[self.at]

    @property
    def observation(self) -> Array:
        return (self.X - self.mean_X) / self.std_X

    def step(self, actions: NDArray[np.float32]) -> Array:
        """Rewards of all points before they are scaled, (n, K)."""
        self.X = rk4(self.X, self.mean_U + 4.5 * self.std_U * actions.astype(np.float64), self.F)
        self.at += 1
        error = self.X - self.truth[self.at]
        if self.reward == "forecast":
            return -((error / self.std_X) ** 2)
        self.X = self.truth[self.at]
        return -((error / 0.01 / self.std_U) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("reward", ["forecast", "tendency"])
@pytest.mark.parametrize("regime", ["wilks-f20", "arnold-c4", "three-scale"])
def test_an_independent_simulator_agrees(regime: str, reward: str, local: bool) -> None:
    n = 6
    env = gymnasium.make_vec(
        ID, num_envs=8 * n if local else n, regime=regime, reward=reward, local=local, episode_steps=40
    )
    seen, _ = env.reset(seed=9)
    simulator = Simulator(regime, reward, env.unwrapped.at[:, 1])
    rng = np.random.default_rng(0)
    for step in range(40):
        own = seen[:, 2] if local else seen
        np.testing.assert_allclose(own.reshape(n, 8), simulator.observation, rtol=1e-5, atol=1e-6)
        actions = rng.uniform(-1, 1, (n, 8)).astype(np.float32)
        seen, rewards, terminated, truncated, _ = env.step(actions.reshape(env.action_space.shape))
        expected = simulator.step(actions)
        expected = expected.ravel() if local else expected.mean(axis=1)
        # One step's error over dt is a difference of close numbers.
        np.testing.assert_allclose(rewards * env.unwrapped.scale, expected, rtol=1e-8, atol=1e-9)
        assert not terminated.any()
        assert truncated.all() == (step == 39)
        np.testing.assert_allclose(env.unwrapped.X, simulator.X, rtol=1e-9, atol=1e-9)


def total_rewards(policy: Callable[[Any], Array], n: int = 48, **options: Any) -> Array:
    """Unscaled rewards (step, row) of an episode under a policy that sees the environment and answers with U."""
    env = gymnasium.make_vec(ID, num_envs=n, autoreset_mode="Disabled", **options).unwrapped
    env.reset(seed=0)
    rewards = [env.step(env.scaling.action(policy(env)))[1] for _ in range(env.episode_steps)]
    return np.array(rewards) * env.scale


def true_forcing(env: Any, ahead: int = 0) -> Array:
    """U at the truth's time, from the task's data."""
    sample = env.at[:, 1]
    return np.asarray(make_task(f"online-rollout/{env.regime.id}-v2").train_fine.U)[sample + ahead]


@pytest.mark.slow
@pytest.mark.parametrize("reward", ["forecast", "tendency"])
@pytest.mark.parametrize("regime", ["wilks-f20", "arnold-c4"])
def test_honesty(regime: str, reward: str) -> None:
    """Perfect physics is rewarded most; noise, zeros, a constant, and the quartic with noise less than the quartic."""
    scaling = Scaling.of(regime)
    train = make_task(f"subgrid-forcing/{regime}-v1").train
    quartic = PolynomialRegressor(degree=4).fit(np.array(train.X), np.array(train.U))
    rng = np.random.default_rng(0)
    shape = (48, 8)

    def score(policy: Callable[[Any], Array]) -> float:
        return float(total_rewards(policy, regime=regime, reward=reward, episode_steps=60).mean())

    perfect = score(lambda env: 0.5 * (true_forcing(env) + true_forcing(env, 1)))
    literature = score(lambda env: quartic.predict(env.X))
    attacks = {
        "no closure": score(lambda env: np.zeros(shape)),
        "climatological mean": score(lambda env: np.full(shape, scaling.mean_U)),
        "another constant": score(lambda env: np.full(shape, scaling.mean_U + 0.5 * scaling.std_U)),
        "noise": score(lambda env: rng.normal(scaling.mean_U, scaling.std_U, shape)),
        "quartic and noise": score(lambda env: quartic.predict(env.X) + rng.normal(0.0, 2 * scaling.std_U, shape)),
        "another point's": score(lambda env: np.roll(quartic.predict(env.X), 1, axis=1)),
    }
    assert perfect <= 0.0
    assert perfect > 0.1 * literature
    assert literature > 1.05 * literature > max(attacks.values()), attacks


def test_the_tendency_reward_is_the_error_of_u() -> None:
    """To first order in dt: acting the mean U of a step's ends plus e gets -(e / std)^2."""
    scaling = Scaling.of("wilks-f20")
    for error in (0.5, 2.0):
        rewards = total_rewards(
            lambda env, error=error: 0.5 * (true_forcing(env) + true_forcing(env, 1)) + error * scaling.std_U,
            reward="tendency",
            episode_steps=20,
        )
        assert rewards.mean() == pytest.approx(-(error**2), rel=0.02)


@pytest.mark.slow
def test_a_perfect_climate_is_rewarded_more_than_a_wrong_one() -> None:
    scaling = Scaling.of("wilks-f20")
    train = make_task("subgrid-forcing/wilks-f20-v1").train
    quartic = PolynomialRegressor(degree=4).fit(np.array(train.X), np.array(train.U))

    def score(policy: Callable[[Any], Array]) -> float:
        return float(total_rewards(policy, n=8, reward="climate", episode_steps=1000).sum(axis=0).mean())

    literature = score(lambda env: quartic.predict(env.X))
    for wrong in (lambda env: np.zeros((8, 8)), lambda env: np.full((8, 8), scaling.mean_U + scaling.std_U)):
        assert literature > 2.0 * literature > score(wrong)


@pytest.mark.parametrize("local", [False, True])
def test_climate_rewards_add_up_to_the_distance_from_the_truths_path(local: bool) -> None:
    """By the metric of `online-rollout`, on the same cells; every point gets its system's reward."""
    n, steps = 3, 150
    rows = 8 * n if local else n
    env = gymnasium.make_vec(
        ID, num_envs=rows, reward="climate", local=local, episode_steps=steps, autoreset_mode="Disabled"
    ).unwrapped
    task = make_task("online-rollout/wilks-f20-v2")
    grid = DistanceGrid.from_truth(task.train.X[:, None], 0.05, cells=200)

    def functions(states: Array) -> Array:
        made = member_cdfs(states[1:], 0.01, grid)
        made[:, 1] = member_cdfs(states, 0.01, grid)[:, 1]  # changes since the start, whose state is no sample itself
        return made

    rng = np.random.default_rng(0)
    for seed in (0, 1):
        env.reset(seed=seed)
        starts, states, total = env.at[:, 1], [env.X], np.zeros(rows)
        for _ in range(steps):
            total += env.step(rng.uniform(-1, 1, env.action_space.shape))[1]
            states.append(env.X)
        truth = task.train_fine.X[starts + np.arange(steps + 1)[:, None]]
        distance = climate_distance(functions(np.array(states)), functions(truth), grid)
        np.testing.assert_allclose(total * env.scale, np.repeat(-distance, rows // n), rtol=1e-10)


@pytest.mark.parametrize("reward", ["forecast", "tendency"])
@pytest.mark.parametrize("local", [False, True])
def test_observations_know_nothing_of_the_future(reward: str, local: bool) -> None:
    """What is changed in the truth after a time changes nothing that is seen until then, or ever by a forecast."""
    actions = np.random.default_rng(0).uniform(-1, 1, (20, 8)).astype(np.float32)

    def seen(change_after: int | None) -> list[bytes]:
        env = gymnasium.make(ID, episode_steps=20, local=local, reward=reward).unwrapped
        first, _ = env.reset(seed=2)
        if change_after is not None:
            core = env.core
            core._truth = core._truth.copy()
            core._truth[core.at[0, 1] + change_after + 1 :] += 1.0
        return [first.tobytes()] + [env.step(action)[0].tobytes() for action in actions]

    plain = seen(None)
    for time in (0, 7, 19):
        known = time + 1 if reward == "tendency" else 21
        assert seen(time)[:known] == plain[:known]
        assert known == 21 or seen(time)[known:] != plain[known:]


def narrowed(env: Any, reach: float) -> Any:
    """The environment with limits so narrow that the model soon leaves them."""
    low, high = env._bounds
    env._bounds = (low + reach, high - reach)
    return env


@pytest.mark.parametrize("reward", ["forecast", "ensemble", "climate"])
@pytest.mark.parametrize("local", [False, True])
def test_leaving_the_limits_ends_an_episode_and_never_pays(reward: str, local: bool) -> None:
    n, steps, members = 4, 80, 2 if reward == "ensemble" else 1
    rows = members * (8 * n if local else n)
    options: dict[str, Any] = {"reward": reward, "local": local, "episode_steps": steps, "autoreset_mode": "Disabled"}
    bounded = narrowed(gymnasium.make_vec(ID, num_envs=rows, **options).unwrapped, 7.2 * Scaling.of("wilks-f20").std_X)
    free = gymnasium.make_vec(ID, num_envs=rows, **options).unwrapped
    actions = np.ones(free.action_space.shape, np.float32)
    for env in (bounded, free):
        env.reset(seed=0)
    totals = np.zeros((2, rows))
    ended = 0
    for step in range(steps):
        totals[1] += free.step(actions)[1]
        if ended < rows:
            seen, rewards, terminated, truncated, _ = bounded.step(actions)
            totals[0] += rewards
            assert np.isfinite(seen).all()
            assert np.isfinite(rewards).all()
            assert bounded.observation_space.contains(seen)
            if reward == "forecast":
                np.testing.assert_array_equal(rewards[terminated], -400.0 * (steps - step) / bounded.scale)
            assert not (terminated & truncated).any()
            if terminated.any():
                own = (bounded.X.max(axis=1) == bounded._bounds[1]).reshape(n, members).any(axis=1)
                assert (np.repeat(own, rows // n) == terminated).all()
                ended += int(terminated.sum())
                bounded.reset(options={"reset_mask": terminated})
                break
    assert ended > 0
    assert totals[0][terminated].max() < totals[1].min()


def test_no_constant_action_blows_up() -> None:
    """The box of actions keeps RK4 stable: a policy that has not learned yet does not end its episodes."""
    for value in (-1.0, 1.0):
        env = gymnasium.make_vec(ID, num_envs=16, episode_steps=400, autoreset_mode="Disabled")
        env.reset(seed=0)
        for _ in range(400):
            assert not env.step(np.full((16, 8), value, np.float32))[2].any()


@pytest.mark.slow
@pytest.mark.parametrize(("split", "trajectories"), [("train", 1), ("valid", 1), ("test", 2)])
def test_the_fine_truth_passes_through_the_split(split: str, trajectories: int) -> None:
    X = fine_truth("wilks-f20", split)
    samples = np.reshape(getattr(make_task("online-rollout/wilks-f20-v2"), split).X, (trajectories, -1, 8))
    assert X.shape == (trajectories, 5 * samples.shape[1], 8)
    assert X[:, ::5].tobytes() == samples.tobytes()
    env = gymnasium.make_vec(ID, num_envs=50, split=split).unwrapped
    env.reset(seed=0)
    assert set(env.at[:, 0]) == set(range(trajectories))
    assert (env.truth == env.X).all()


@pytest.mark.slow
def test_lengths_of_episodes() -> None:
    for reward, expected in (("forecast", 100), ("tendency", 100), ("ensemble", 100), ("climate", 1000)):
        assert gymnasium.make(ID, reward=reward).unwrapped.core.episode_steps == expected
