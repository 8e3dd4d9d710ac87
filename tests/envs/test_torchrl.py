"""TorchRL's own wrapper around the native batch: its checker, the same numbers, and resets of rows that ended."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from tests.envs.marked import every_id

pytest.importorskip("torchrl")

import torch
from torchrl.envs import GymWrapper, check_env_specs

pytestmark = [pytest.mark.usefixtures("data_of_id"), pytest.mark.slow]


def made(id: str) -> Any:
    n_points = gymnasium.make(id, local=True).unwrapped.core.agents
    return gymnasium.make_vec(id, num_envs=3 * n_points, local=True, episode_steps=5, autoreset_mode="Disabled")


@every_id
def test_the_batch_is_an_environment_of_torchrl(id: str) -> None:
    check_env_specs(GymWrapper(made(id)))


@every_id
def test_a_rollout_has_the_numbers_of_the_batch(id: str) -> None:
    env, batch = GymWrapper(made(id)), made(id)
    seen, _ = batch.reset(seed=3)
    torch.manual_seed(0)
    env.set_seed(3)  # TorchRL draws a seed of its own for what comes after
    played = env.rollout(12, break_when_any_done=False, auto_reset=False, tensordict=env.reset(seed=3))
    for t in range(12):
        assert np.array_equal(played["observation"][:, t].numpy(), seen)
        seen, rewards, terminated, truncated, _ = batch.step(played["action"][:, t].numpy())
        assert np.array_equal(played["next", "observation"][:, t].numpy(), seen)
        np.testing.assert_allclose(played["next", "reward"][:, t, 0].numpy(), rewards, rtol=1e-6)
        assert np.array_equal(played["next", "done"][:, t, 0].numpy(), terminated | truncated)
        assert np.array_equal(played["next", "terminated"][:, t, 0].numpy(), terminated)
        if (terminated | truncated).any():
            seen, _ = batch.reset(options={"reset_mask": terminated | truncated})
