"""`ParallelPointsEnv`: PettingZoo's checkers, the numbers of the native batch, and refusals."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest

from l96bench.envs.registration import ENVIRONMENTS
from l96bench.errors import ActionError, EpisodeError, L96BenchError, UnknownIdError

pytest.importorskip("pettingzoo")

from pettingzoo.test import parallel_api_test, parallel_seed_test
from pettingzoo.utils.conversions import parallel_to_aec

from l96bench.envs import ParallelPointsEnv
from tests.envs.marked import marked

pytestmark = pytest.mark.usefixtures("data_of_id")

ROLLOUT, UNSEEN = "l96bench/OnlineRollout-v2", "l96bench/UnseenPhysics-v1"
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    ROLLOUT: ({"reward": "ensemble", "members": 3}, {"info": True, "reward": "tendency"}),
    UNSEEN: ({"told": True, "past": 2},),
}
every_option = pytest.mark.parametrize(
    ("id", "options"),
    [
        marked(id, {"episode_steps": 12, **each}, slow="members" in each)
        for id in ENVIRONMENTS
        for each in OPTIONS.get(id, ({},))
    ],
    ids=str,
)


@every_option
def test_pettingzoo_has_nothing_to_complain_about(
    id: str, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(ParallelPointsEnv(id, **options), num_cycles=30)
        parallel_seed_test(lambda: ParallelPointsEnv(id, **options), num_cycles=30)
    assert "Passed" in capsys.readouterr().out


@every_option
def test_agents_are_the_rows_of_the_native_batch(id: str, options: dict[str, Any]) -> None:
    env = ParallelPointsEnv(id, **options)
    n = len(env.possible_agents)
    batch = gymnasium.make_vec(id, num_envs=2 * n, local=True, autoreset_mode="Disabled", **options)
    seen, infos = env.reset(seed=8)
    expected, expected_infos = batch.reset(seed=7)
    rng = np.random.default_rng(0)
    ended = False
    while not ended:
        assert list(seen) == list(infos) == env.agents
        assert np.stack(list(seen.values())).tobytes() == expected[n:].tobytes() == env.state().tobytes()
        assert env.state() in env.state_space
        for i, info in enumerate(infos.values()):
            assert all(np.array_equal(value, expected_infos[key][n + i]) for key, value in info.items())
        actions = rng.uniform(-0.3, 0.3, batch.action_space.shape).astype(np.float32)
        seen, rewards, terminated, truncated, infos = env.step(dict(zip(env.agents, actions[n:], strict=True)))
        expected, *numbers, expected_infos = batch.step(actions)
        for own, of_batch in zip((rewards, terminated, truncated), numbers, strict=True):
            assert list(own.values()) == of_batch[n:].tolist()
        ended = any(terminated.values()) or any(truncated.values())
        assert env.agents == ([] if ended else env.possible_agents)
    assert list(seen) == env.possible_agents


def test_turn_by_turn_it_is_an_environment_too() -> None:
    env = parallel_to_aec(ParallelPointsEnv(ROLLOUT, episode_steps=3))
    env.reset(seed=0)
    turns = 0
    for agent in env.agent_iter():
        _, reward, terminated, truncated, _ = env.last()
        assert np.isfinite(reward)
        env.step(None if terminated or truncated else env.action_space(agent).sample())
        turns += 1
    assert turns == 8 * 4


def test_members_are_in_the_names() -> None:
    env = ParallelPointsEnv(ROLLOUT, reward="ensemble", members=2)
    assert env.possible_agents[7:9] == ["member_0_point_7", "member_1_point_0"]
    assert ParallelPointsEnv(f"l96bench:{ROLLOUT}").possible_agents == [f"point_{k}" for k in range(8)]


def test_it_pickles_in_the_middle_of_an_episode() -> None:
    env = ParallelPointsEnv(ROLLOUT)
    env.reset(seed=0)
    actions = {agent: np.full(1, 0.1, np.float32) for agent in env.agents}
    env.step(actions)
    again = pickle.loads(pickle.dumps(env))
    assert again.step(actions)[1] == env.step(actions)[1]


def test_start_render_and_close() -> None:
    env = ParallelPointsEnv(ROLLOUT, render_mode="rgb_array", episode_steps=3)
    env.reset(seed=0, options={"start": (0, 5)})
    assert env.core.at.tolist() == [[0, 5]]  # type: ignore[attr-defined]
    assert env.render().dtype == np.uint8
    assert ParallelPointsEnv(ROLLOUT).render() is None
    env.close()
    with pytest.raises(EpisodeError):
        env.reset()


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(UnknownIdError, match="OnlineRollout"):
        ParallelPointsEnv("l96bench/OnlineRolout-v2")
    with pytest.raises(UnknownIdError, match="num_envs"):
        ParallelPointsEnv(ROLLOUT, num_envs=8)
    env = ParallelPointsEnv(ROLLOUT, episode_steps=2)
    actions = {agent: np.zeros(1, np.float32) for agent in env.possible_agents}
    with pytest.raises(EpisodeError):
        env.step(actions)
    with pytest.raises(L96BenchError, match="start"):
        env.reset(options={"start": (-1, 0)})
    env.reset(seed=0)
    for wrong in ({}, actions | {"point_8": actions["point_0"]}, {**actions, "point_3": np.zeros(2, np.float32)}):
        with pytest.raises(ActionError):
            env.step(wrong)
    with pytest.raises(ActionError, match="expected actions in"):
        env.step(actions | {"point_3": np.full(1, 2.0, np.float32)})
    env.step(actions)
    env.step(actions)
    with pytest.raises(EpisodeError):
        env.step(actions)
