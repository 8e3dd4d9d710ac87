"""Environments in other processes: spawned ones make them, copies and forked ones go on with their own threads."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
from multiprocessing.connection import Connection
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AsyncVectorEnv, VectorEnv

from tests.envs.marked import every_id

ROLLOUT = "l96bench:l96bench/OnlineRollout-v2"
OPTIONS: dict[str, Any] = {"episode_steps": 6, "reward": "tendency"}


def made() -> gymnasium.Env[Any, Any]:
    return gymnasium.make(ROLLOUT, **OPTIONS)


@pytest.fixture
def scalar(real_data: None) -> gymnasium.Env[Any, Any]:
    """A spawned process has no miniature."""
    return made()


def test_spawned_processes_make_environments(scalar: gymnasium.Env[Any, Any]) -> None:
    """By the id with its module, by a spec and by a spec from JSON, in a process that has not imported the package."""
    assert scalar.spec is not None
    batch = gymnasium.make_vec(ROLLOUT, num_envs=2, threads=2, **OPTIONS)
    of_batch = EnvSpec.from_json(batch.spec.to_json())
    works: list[tuple[Any, Any, dict[str, Any], Any]] = [
        (gymnasium.make, ROLLOUT, OPTIONS, scalar),
        (gymnasium.make, scalar.spec, {}, scalar),
        (gymnasium.make, EnvSpec.from_json(scalar.spec.to_json()), {}, scalar),
        (gymnasium.make_vec, ROLLOUT, {"num_envs": 2, **OPTIONS}, batch),
        (gymnasium.make_vec, of_batch, {}, batch),
    ]
    for make, given, options, expected in works:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            env = pool.apply(make, (given,), options)
        assert env.reset(seed=3)[0].tobytes() == expected.reset(seed=3)[0].tobytes()


@pytest.mark.parametrize("how", ["functions", "id", "spec"])
def test_gymnasiums_asynchronous_batches_spawn(how: str, scalar: gymnasium.Env[Any, Any]) -> None:
    assert scalar.spec is not None
    own: dict[str, Any] = {"num_envs": 2, "vectorization_mode": "async", "vector_kwargs": {"context": "spawn"}}
    if how == "functions":
        env: VectorEnv = AsyncVectorEnv([lambda: gymnasium.make(ROLLOUT, **OPTIONS)] * 2, context="spawn")
    elif how == "id":
        env = gymnasium.make_vec(ROLLOUT, **own, **OPTIONS)
    else:
        env = gymnasium.make_vec(EnvSpec.from_json(scalar.spec.to_json()), **own)
    native = gymnasium.make_vec(ROLLOUT, num_envs=2, **OPTIONS)
    assert env.reset(seed=3)[0].tobytes() == native.reset(seed=3)[0].tobytes()
    actions = np.full((2, 8), 0.25, np.float32)
    for _ in range(8):
        assert [each.tobytes() for each in env.step(actions)[:2]] == [
            each.tobytes() for each in native.step(actions)[:2]
        ]
    env.close()


def played(env: Any, n_steps: int = 8) -> bytes:
    """What an environment gives under fixed actions, over the end of an episode."""
    actions = np.full(env.action_space.shape, 0.1, np.float32)
    return b"".join(each.tobytes() for _ in range(n_steps) for each in env.step(actions)[:4])


def threaded(id: str) -> VectorEnv:
    """A batch whose threads have started, in the middle of an episode."""
    env = gymnasium.make_vec(id, num_envs=4, threads=2, episode_steps=6)
    env.reset(seed=0)
    played(env, 2)
    return env


@every_id
@pytest.mark.usefixtures("data_of_id")
def test_environments_with_threads_pickle_and_copy(id: str) -> None:
    env = threaded(id)
    copies = [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    expected = played(env)
    assert [played(each) for each in copies] == [expected] * 2
    for each in (env, *copies):
        each.close()


@every_id
@pytest.mark.usefixtures("data_of_id")
def test_scalar_environments_pickle_and_copy(id: str) -> None:
    env = gymnasium.make(id, episode_steps=6)
    env.reset(seed=0)
    copies = [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    action = np.full(env.action_space.shape or (), 0.1, np.float32)
    for _ in range(2):
        seen, reward, *_ = env.step(action)
        for each in copies:
            own, of_copy, *_ = each.step(action)
            assert (own.tobytes(), of_copy) == (seen.tobytes(), reward)
    seen, _ = env.reset()
    assert [each.reset()[0].tobytes() for each in copies] == [seen.tobytes()] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs forked processes")
@every_id
@pytest.mark.usefixtures("data_of_id")
def test_environments_with_threads_fork(id: str) -> None:
    env = threaded(id)

    def child(connection: Connection) -> None:
        connection.send(played(env))
        env.close()
        connection.send("closed")

    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    process = fork.Process(target=child, args=(there,))
    process.start()
    try:
        assert here.poll(60), "the child waits for threads that it does not have"
        assert here.recv() == played(env)
        assert here.poll(60)
        assert here.recv() == "closed"
    finally:
        process.kill()
        process.join()
    env.close()
