"""The ensemble reward of `OnlineRollout` against the CRPS of another library, and what its members share."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from l96bench.envs.sb3 import SB3VecEnv
from l96bench.envs.shares import MemberShares
from l96bench.envs.wrappers import find_environment
from l96bench.errors import L96BenchError

OPTIONS: dict[str, Any] = {"reward": "ensemble", "split": "valid", "episode_steps": 6}
ID = "l96bench/OnlineRollout-v2"

pytestmark = pytest.mark.usefixtures("miniature_registry")


@pytest.mark.slow
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("members", [2, 3])
def test_every_member_gets_the_score_of_its_ensemble(
    members: int, local: bool, rng: np.random.Generator, scoringrules: Any
) -> None:
    rows = members * 4 * (8 if local else 1)
    env = gymnasium.make_vec(ID, num_envs=rows, members=members, local=local, **OPTIONS).unwrapped
    seen, _ = env.reset(seed=0)
    assert np.array_equal(env.X.reshape(4, members, 8), np.repeat(env.truth[:, None], members, axis=1))
    for _ in range(5):
        own = seen[:, 2] if local else seen
        np.testing.assert_allclose(own.reshape(-1, 8), (env.X - env.scaling.mean_X) / env.scaling.std_X, atol=1e-5)
        seen, rewards, *_ = env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        X = env.X.reshape(4, members, 8) / env.scaling.std_X
        crps = scoringrules.crps_ensemble(env.truth / env.scaling.std_X, X, 1, estimator="fair")
        expected = np.repeat(crps[:, None], members, axis=1) if local else np.repeat(crps.mean(axis=1), members)
        np.testing.assert_allclose(rewards * env.scale, -expected.ravel(), atol=1e-12)


def test_members_that_act_alike_are_one() -> None:
    """The fair CRPS of equal members is the absolute error of one of them."""
    env = gymnasium.make_vec(ID, num_envs=4, **OPTIONS).unwrapped
    env.reset(seed=0)
    for _ in range(3):
        _, rewards, *_ = env.step(np.full((4, 8), 0.3, np.float32))
    error = np.abs(env.X[::2] - env.truth).mean(axis=1) / env.scaling.std_X
    np.testing.assert_allclose(rewards, -np.repeat(error, 2) / env.scale, rtol=1e-12)


@pytest.mark.parametrize("seeds", [[7], [None], [7, None], [[1, 2, 3]], [None, [None, 2, None]]])
def test_members_begin_together_whatever_the_seed(seeds: list[Any]) -> None:
    env = gymnasium.make_vec(ID, num_envs=3 * 2 * 8, local=True, **OPTIONS)
    for seed in seeds:
        seen, _ = env.reset(seed=seed)
        assert np.array_equal(*seen.reshape(3, 2, -1).swapaxes(0, 1))
        n = len(np.unique(seen.reshape(6, -1), axis=0))
        assert n == 3 or ("None" in str(seed) and 1 < n < 3)  # unseeded systems may meet by chance
    with pytest.raises(L96BenchError, match="sequence of 3"):
        env.reset(seed=[1, 2])


def test_members_share_the_truth_through_episodes(rng: np.random.Generator) -> None:
    env = SB3VecEnv(gymnasium.make_vec(ID, num_envs=64, local=True, autoreset_mode="SameStep", **OPTIONS))
    env.seed(3)
    first, dones = env.reset(), 0
    for _ in range(20):
        seen, _, done, infos = env.step(rng.uniform(-1, 1, (64, 1)).astype(np.float32))
        assert done.all() or not done.any()
        dones += done.all()
        assert all(info["TimeLimit.truncated"] == done.all() for info in infos)
        if done.all():
            assert np.array_equal(*seen.reshape(4, 2, -1).swapaxes(0, 1))
    assert dones == 3
    env.seed(3)
    assert np.array_equal(env.reset(), first)


def test_blow_up_ends_the_whole_ensemble_and_no_other() -> None:
    env = gymnasium.make_vec(ID, num_envs=4, autoreset_mode="Disabled", **OPTIONS).unwrapped
    env.reset(seed=0)
    env._X[1] = 1e6
    _, rewards, terminated, truncated, _ = env.step(np.zeros((4, 8), np.float32))
    assert terminated.tolist() == [True, True, False, False]
    assert not truncated.any()
    np.testing.assert_allclose(rewards[:2], -20.0 * 6 / env.scale)
    assert (rewards[2:] > -1).all()
    with pytest.raises(L96BenchError, match="2 rows of each system"):
        env.reset(options={"reset_mask": np.array([True, False, False, False])})
    env.reset(options={"reset_mask": terminated})


def test_a_spec_in_json_makes_the_same() -> None:
    env = gymnasium.make_vec(ID, num_envs=6, members=3, autoreset_mode="SameStep", render_mode="rgb_array", **OPTIONS)
    again = gymnasium.make_vec(EnvSpec.from_json(env.spec.to_json()))
    assert np.array_equal(env.reset(seed=1)[0], again.reset(seed=1)[0])
    assert again.unwrapped.members == 3
    frames = env.render()
    assert len(frames) == 6
    assert frames[0].shape == frames[5].shape
    assert not np.array_equal(frames[0], frames[5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 1}, "from 2 on"),
        ({"members": 3}, "multiple of 24"),
        ({"members": 2.0}, "whole number"),
        ({"members": 2, "reward": "tendency"}, "only with reward='ensemble'"),
        ({"scale": 0.0}, "positive number"),
        ({"scale": "1"}, "positive number"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(L96BenchError, match=message):
        gymnasium.make_vec(ID, num_envs=32, local=True, **(OPTIONS | options))


@pytest.mark.slow
@pytest.mark.parametrize("members", [2, 3])
def test_shares_change_as_the_score_of_the_ensemble(members: int, rng: np.random.Generator) -> None:
    """Moving one member changes its share as it changes the reward of all; in other members' errors it has no part."""
    options = OPTIONS | {"local": True, "members": members, "autoreset_mode": "Disabled"}
    plain, shares = (gymnasium.make_vec(ID, num_envs=members * 16, **options) for _ in range(2))
    shares = MemberShares(shares)
    actions = rng.uniform(-1, 1, (2, members, 8, 1)).astype(np.float32)
    moved = actions.copy()
    moved[:, 0] = rng.uniform(-1, 1, (2, 8, 1))
    found = []
    for env in (plain, shares):
        for acted in (actions, moved):
            env.reset(seed=0)
            _, rewards, *_ = env.step(acted.reshape(-1, 1))
            found.append(rewards.reshape(2, members, 8)[:, 0])
    np.testing.assert_allclose(found[1] - found[0], found[3] - found[2], atol=1e-10)
    assert np.abs(found[1] - found[0]).max() > 0.1
    assert find_environment(SB3VecEnv(shares)) is shares.unwrapped
    for wrong in ({"autoreset_mode": "SameStep"}, {"local": False}, {"reward": "forecast", "members": None}):
        with pytest.raises(L96BenchError, match="expected OnlineRollout-v2 with local=True"):
            MemberShares(gymnasium.make_vec(ID, num_envs=members * 8, **(options | wrong)))
