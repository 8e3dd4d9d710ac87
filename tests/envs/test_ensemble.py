"""Rewards of ensembles against the published formula of the CRPS, and a reward that noise can fool."""

from typing import Any

import numpy as np
import pytest

from l96bench.envs.ensemble import EnsembleRolloutVectorEnv
from l96bench.envs.sb3 import SB3VecEnv
from l96bench.errors import L96BenchError

OPTIONS = {"split": "valid", "episode_steps": 6}


pytestmark = pytest.mark.usefixtures("miniature_registry")


@pytest.mark.slow
@pytest.mark.parametrize("members", [2, 3])
def test_marginal_rewards(members: int, rng: np.random.Generator, scoringrules: Any) -> None:
    """Moving one member changes its own reward as it changes the ensemble's score, scored by another library."""
    env = EnsembleRolloutVectorEnv(num_envs=members * 2 * 8, members=members, **OPTIONS)
    env.reset(seed=0)
    start, truth = env.env.X, env.env.truth
    assert np.array_equal(start, truth)
    assert np.array_equal(start[:2], start[-2:])

    def crps() -> np.ndarray:
        X = env.env.X.reshape(members, 2, 8) / env.env.scaling.std_X
        return np.asarray(scoringrules.crps_ensemble(env.env.truth[:2] / env.env.scaling.std_X, X, 0, estimator="fair"))

    actions = rng.uniform(-1, 1, (members * 16, 1)).astype(np.float32)
    _, before, *_ = env.step(actions)
    score = crps()
    env.reset(seed=0)
    moved = actions.copy()
    moved[:16] = rng.uniform(-1, 1, (16, 1))
    _, after, *_ = env.step(moved)
    np.testing.assert_allclose((after - before)[:16].reshape(2, 8), -members * (crps() - score), atol=1e-12)
    # Two members that act alike are no ensemble: minus the absolute error.
    env.reset(seed=0)
    _, alike, *_ = env.step(np.full((members * 16, 1), 0.3, dtype=np.float32))
    error = np.abs(env.env.X - env.env.truth) / env.env.scaling.std_X
    np.testing.assert_allclose(alike, -error.reshape(-1), atol=1e-12)


def test_members_share_the_truth_through_episodes(rng: np.random.Generator) -> None:
    env = SB3VecEnv(EnsembleRolloutVectorEnv(num_envs=64, **OPTIONS))
    env.seed(3)
    first = env.reset()
    inner, dones = env.venv.env, 0
    for _ in range(20):
        observations, _, done, infos = env.step(rng.uniform(-1, 1, (64, 1)).astype(np.float32))
        assert np.array_equal(inner.truth[:4], inner.truth[4:])
        assert done.all() or not done.any()
        dones += done.all()
        assert all(info["TimeLimit.truncated"] == done.all() for info in infos)
        if done.all():
            assert np.array_equal(observations[:32], observations[32:])
    assert dones == 3
    env.seed(3)
    assert np.array_equal(env.reset(), first)


def test_blow_up_ends_the_whole_ensemble() -> None:
    env = EnsembleRolloutVectorEnv(num_envs=32, **OPTIONS)
    env.reset(seed=0)
    env.env._X[0] = 1e6
    _, rewards, terminated, truncated, _ = env.step(np.zeros((32, 1), dtype=np.float32))
    own = np.repeat(np.arange(4) == 0, 8)
    companion = np.repeat(np.arange(4) == 2, 8)
    assert np.array_equal(terminated, own)
    assert np.array_equal(truncated, companion)
    assert (rewards[own] <= -20).all()
    assert np.isfinite(rewards).all()
    assert (np.abs(rewards[companion]) < 1).all()
    env.reset(options={"reset_mask": terminated | truncated})
    with pytest.raises(L96BenchError, match="equal for all members"):
        env.reset(options={"reset_mask": own})


def test_bad_arguments() -> None:
    for options in ({"members": 1}, {"members": 3}, {"reward": "tendency"}):
        with pytest.raises(L96BenchError, match="members"):
            EnsembleRolloutVectorEnv(num_envs=32, **(OPTIONS | options))
