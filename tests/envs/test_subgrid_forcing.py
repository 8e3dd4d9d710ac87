"""`SubgridForcing` against NumPy, and the controls: who must be rewarded more than whom, and who may know what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.envs.scaling import Scaling
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing as Offline

pytestmark = pytest.mark.usefixtures("miniature_registry")

ID = "l96bench/SubgridForcing-v2"
Policy = Callable[[Any], NDArray[np.floating]]


def average_reward(policy: Policy, regime: str = "wilks-f20", n: int = 64, **options: Any) -> float:
    """Minus the relative squared error of a policy that is given the environment and answers with actions."""
    env = gymnasium.make_vec(ID, num_envs=n, regime=regime, episode_steps=20, autoreset_mode="Disabled", **options)
    env.reset(seed=0)
    return env.unwrapped.scale * float(np.mean([env.step(policy(env))[1] for _ in range(20)]))


def states(env: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The truth's X and U that the systems of an environment have come to, from the task's data."""
    task = make_task(f"subgrid-forcing/{env.regime.id}-v1")
    trajectory, sample = env.at.T
    X, U = (np.reshape(array, (-1, *array.shape[-2:])) for array in (task.train.X, task.train.U))
    return X[trajectory, sample], U[trajectory, sample]


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["wilks-f20", "arnold-c4", "three-scale"])
def test_an_episode_is_a_piece_of_the_truth(regime: str) -> None:
    env = gymnasium.make_vec(ID, num_envs=5, regime=regime, episode_steps=30)
    X = make_task(f"subgrid-forcing/{regime}-v1").train.X
    U = make_task(f"subgrid-forcing/{regime}-v1").train.U
    seen, _ = env.reset(seed=3)
    starts = env.unwrapped.at[:, 1]
    assert len(set(starts)) > 1
    rng = np.random.default_rng(0)
    for step in range(30):
        expected = (X[starts + step] - X.mean()) / X.std()
        np.testing.assert_allclose(seen, np.clip(expected, -10, 10), rtol=1e-6, atol=1e-6)
        actions = rng.uniform(-1, 1, (5, 8)).astype(np.float32)
        seen, rewards, terminated, truncated, infos = env.step(actions)
        errors = U.mean() + 4.5 * U.std() * actions - U[starts + step]
        np.testing.assert_allclose(rewards, -np.mean(errors**2, axis=1) / U.var() / env.unwrapped.scale, rtol=1e-10)
        assert rewards.dtype == np.float64
        assert not terminated.any()
        assert truncated.all() == (step == 29)
        assert infos == {}


def test_points_as_agents_see_stencils_and_get_their_own_rewards() -> None:
    whole = gymnasium.make_vec(ID, num_envs=3)
    local = gymnasium.make_vec(ID, num_envs=24, local=True)
    scalar = gymnasium.make(ID, local=True)
    seen, stencils = whole.reset(seed=0)[0], local.reset(seed=0)[0]
    assert stencils.shape == (24, 5)
    for k in range(8):
        for offset in range(-2, 3):
            assert (stencils[k::8, offset + 2] == seen[:, (k + offset) % 8]).all()
    assert (scalar.reset(seed=0)[0] == stencils[:8].ravel()).all()
    actions = np.random.default_rng(1).uniform(-1, 1, (3, 8)).astype(np.float32)
    rewards, own = whole.step(actions)[1], local.step(actions.reshape(24, 1))[1]
    np.testing.assert_allclose(own.reshape(3, 8).mean(axis=1), rewards, rtol=1e-12)
    assert scalar.step(actions[0])[1] == own[:8].mean()
    assert len(set(own)) == 24


@pytest.mark.parametrize("regime", ["wilks-f20", "arnold-c4"])
def test_honesty(regime: str, offline: Offline) -> None:
    """The true U is rewarded most; noise, zeros and a constant less than the quartic; the mean gets about -1."""
    scaling = Scaling.of(regime)
    train = make_task(f"subgrid-forcing/{regime}-v1").train
    quartic = PolynomialRegressor(degree=4).fit(np.array(train.X), np.array(train.U))
    rng = np.random.default_rng(0)

    def action(U: Callable[[Any], NDArray[np.float64]]) -> float:
        return average_reward(lambda env: scaling.action(U(env)), regime)

    perfect = action(lambda env: states(env)[1])
    literature = action(lambda env: quartic.predict(states(env)[0]))
    scaled = action(lambda env: 0.9 * (states(env)[1] - scaling.mean_U) + scaling.mean_U)
    late = action(lambda env: np.roll(states(env)[1], 1, axis=1))
    constant = average_reward(lambda env: np.full((64, 8), 0.1), regime)
    zeros = average_reward(lambda env: np.zeros((64, 8)), regime)
    noise = average_reward(lambda env: rng.uniform(-1, 1, (64, 8)), regime)
    noisy = action(lambda env: quartic.predict(states(env)[0]) + rng.normal(0.0, scaling.std_U, (64, 8)))
    # As much as 24 bits of an action of +-4.5 std can say.
    assert -1e-12 < perfect <= 0.0
    assert perfect > scaled > literature > max(constant, zeros, noise, noisy, late) + 0.3
    assert zeros == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize("local", [False, True])
def test_observations_know_neither_the_future_nor_u(local: bool) -> None:
    """Whatever is changed in the truth after a time, and in U at all times, changes nothing that is seen until then."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (20, 8)).astype(np.float32)

    def seen(change_after: int | None) -> list[bytes]:
        env = gymnasium.make(ID, episode_steps=20, local=local).unwrapped
        first, _ = env.reset(seed=2)
        if change_after is not None:
            core = env.core
            core._truth = core._truth.copy()
            core._truth[core.at[0, 1] + change_after + 1 :] += 1.0
            core._U = core._U + 5.0
        return [first.tobytes()] + [env.step(action)[0].tobytes() for action in actions]

    plain = seen(None)
    for time in (0, 7, 19):
        assert seen(time)[: time + 1] == plain[: time + 1]
        assert seen(time)[time + 1 :] != plain[time + 1 :]


@pytest.mark.parametrize(("split", "trajectories"), [("train", 1), ("valid", 1), ("test", 2)])
def test_episodes_begin_anywhere_in_the_split(split: str, trajectories: int) -> None:
    env = gymnasium.make_vec(ID, num_envs=400, split=split, episode_steps=50).unwrapped
    env.reset(seed=0)
    first = env.at
    n_times = getattr(make_task("subgrid-forcing/wilks-f20-v1"), split).X.shape[-2]
    assert set(first[:, 0]) == set(range(trajectories))
    assert first[:, 1].min() < 0.1 * n_times
    assert 0.9 * (n_times - 50) < first[:, 1].max() < n_times - 50
    for _ in range(50):
        env.step(np.zeros((400, 8), np.float32))
    assert env.at[:, 1].max() < n_times


def test_the_longest_episode() -> None:
    n_times = make_task("subgrid-forcing/wilks-f20-v1").valid.X.shape[0]
    env = gymnasium.make(ID, split="valid", episode_steps=n_times - 1)
    for seed in range(3):
        env.reset(seed=seed)
        assert env.unwrapped.core.at[0].tolist() == [0, 0]
    ends = [env.step(np.zeros(8, np.float32))[3] for _ in range(n_times - 1)]
    assert ends == [False] * (n_times - 2) + [True]


def test_scaling() -> None:
    task = make_task("subgrid-forcing/wilks-f20-v1")
    scaling = Scaling.of("wilks-f20")
    assert scaling.std_U == pytest.approx(task.train.U.std())
    actions = np.array([[-1.0, 0.0, 1.0]], dtype=np.float32)
    U = scaling.forcing(actions)
    np.testing.assert_allclose(U, scaling.mean_U + 4.5 * scaling.std_U * actions)
    assert (scaling.action(U) == actions).all()
    X = task.train.X[:4]
    env = gymnasium.make(ID, local=True).unwrapped
    assert (scaling.observation(X, local=True)[:, 2].reshape(4, 8) == scaling.observation(X)).all()
    assert (X[:, env.core.observed][:, :, 2] == X).all()
    assert np.abs(scaling.observation(np.full((1, 8), 1e9))).max() == 10.0
    assert np.abs(task.train.U - scaling.mean_U).max() < 4.5 * scaling.std_U
