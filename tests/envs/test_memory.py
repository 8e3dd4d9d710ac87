"""The past and the noise that agents of `OnlineRollout` may see, what pays them, and the closures that they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

import l96bench
from l96bench.errors import L96BenchError, ModelError

torch = pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

from l96bench import envs  # noqa: E402

ID = "l96bench/OnlineRollout-v2"
pytestmark = pytest.mark.usefixtures("miniature_registry")


def made(**options: Any) -> Any:
    defaults = {"split": "valid", "episode_steps": 12, "scale": 1.0, "autoreset_mode": "Disabled"}
    return gymnasium.make_vec(ID, **(defaults | options))


def network(width: int, outputs: int, seed: int = 1) -> Any:
    torch.manual_seed(seed)
    layers = torch.nn.Sequential(torch.nn.Linear(width, 6), torch.nn.Tanh(), torch.nn.Linear(6, outputs))
    return layers.requires_grad_(False)


@pytest.mark.slow
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("members", [1, 2])
def test_the_past_is_that_of_the_own_run(local: bool, members: int, rng: np.random.Generator) -> None:
    """Before the start that of the truth, which an environment without a past shows at the same samples."""
    many = {"reward": "ensemble", "members": members} if members > 1 else {}
    rows = 3 * members * (8 if local else 1)
    env, plain = (made(num_envs=rows, local=local, past=past, **many).unwrapped for past in (2, 0))
    seen, _ = env.reset(seed=0)
    trajectory, sample = env.at.T
    earlier = []
    for back in (10, 5):  # a sample counts from 0.1 MTU on
        plain.reset(options={"start": np.stack([trajectory, sample + 10 - back], axis=1)})
        earlier.append(plain.X)
    runs = [*earlier[:1], *[earlier[0]] * 4, *earlier[1:], *[earlier[1]] * 4, env.X]  # known every fifth step
    for step in range(12):
        here = seen.reshape(3 * members, 8, 3, 5).swapaxes(1, 2) if local else seen.reshape(3 * members, 3, 8)
        own = here[..., 2] if local else here
        for frame, back in enumerate((0, 10, 5)):
            if step - back in (-10, -5) or step >= back:
                expected = (runs[10 + step - back] - env.scaling.mean_X) / env.scaling.std_X
                np.testing.assert_allclose(own[:, frame], expected, atol=1e-6)
        if local:
            assert np.array_equal(here[..., 0], np.roll(here[..., 2], 2, axis=2))
        seen, *_ = env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        runs.append(env.X)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(("local", "agents"), [(False, 2), (True, 16)])
def test_rows_are_scalar_environments(
    local: bool, agents: int, mode: AutoresetMode, rng: np.random.Generator, rows_are_scalars: Callable[..., None]
) -> None:
    options = {"past": 2, "noise": [0.05, 0.3], "reward": "ensemble", "split": "valid", "scale": 1.0}
    actions = rng.uniform(-1, 1, (12, 64, 16)).astype(np.float32)
    rows_are_scalars(ID, actions, mode, agents=agents, threads=2, local=local, episode_steps=5, **options)


def test_noise_is_red_and_independent_everywhere_else() -> None:
    env = made(num_envs=400 * 16, local=True, reward="ensemble", noise=[0.05, 0.4], episode_steps=20)
    path = [env.reset(seed=3)[0][:, 5:]]
    path += [env.step(np.zeros((400 * 16, 1), np.float32))[0][:, 5:] for _ in range(20)]
    noise = np.array(path)
    np.testing.assert_allclose(noise.mean(axis=(0, 1)), 0.0, atol=0.03)
    np.testing.assert_allclose(noise.std(axis=(0, 1)), 1.0, atol=0.02)
    assert abs(np.mean(noise[..., 0] * noise[..., 1])) < 0.02
    for i, time in enumerate((0.05, 0.4)):
        for lag in (1, 5, 20):
            found = np.mean(noise[lag:, :, i] * noise[: 21 - lag, :, i])
            assert abs(found - np.exp(-0.01 * lag / time)) < 0.03
    by_point = noise[0, :, 0].reshape(400, 16)
    assert np.abs(np.corrcoef(by_point.T) - np.eye(16)).max() < 0.25
    plain = made(num_envs=400 * 16, local=True, reward="ensemble", episode_steps=20)
    assert np.array_equal(plain.reset(seed=3)[0], env.reset(seed=3)[0][:, :5])  # starts are what they were


@pytest.mark.parametrize("local", [False, True])
def test_a_closure_does_what_the_agent_does(local: bool, tmp_path: Path) -> None:
    """Through an episode, from the truth's past on; so does its file."""
    env = made(num_envs=24 if local else 3, local=local, past=3).unwrapped
    seen, _ = env.reset(seed=0)
    policy = network(seen.shape[1], env.single_action_space.shape[0])
    closure = envs.PolicyClosure.from_torch(policy, env)
    assert isinstance(closure, envs.MemoryPolicyClosure)
    assert closure.deterministic
    frames = seen.reshape(3, 8, 4, 5)[..., 2].swapaxes(1, 2) if local else seen.reshape(3, 4, 8)
    past = env.scaling.mean_X + env.scaling.std_X * frames[:, 1:].swapaxes(0, 1).astype(float)
    file = l96bench.read_closure(closure.to_onnx(tmp_path / "closure.onnx").read_bytes(), 8)
    for each in (closure, file):
        each.start(3, np.random.default_rng(0))
        each.remember(past)
    for step in range(12):
        actions = policy(torch.from_numpy(seen)).clamp(-1, 1).numpy()
        U, X = closure.step(env.X), env.X
        np.testing.assert_allclose(file.step(X), U, rtol=1e-5, atol=1e-4)
        if step % 5 == 0:  # between them the agent knows the truth, and the closure interpolates it
            np.testing.assert_allclose(U, env.scaling.forcing(actions).reshape(3, 8), atol=1e-4)
        seen, *_ = env.step(actions)


def test_noise_becomes_a_draw(tmp_path: Path) -> None:
    """A policy that acts its noise alone is a red noise of that size, and its file draws the same."""
    env = made(num_envs=8, local=True, noise=[0.05])
    policy = torch.nn.Sequential(torch.nn.Linear(6, 1)).requires_grad_(False)
    policy[0].weight.copy_(torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.1]]))
    policy[0].bias.zero_()
    closure = envs.MemoryPolicyClosure.from_torch(policy, env)
    assert not closure.deterministic
    assert not hasattr(closure, "remember")
    file = l96bench.read_closure(closure.to_onnx(tmp_path / "closure.onnx").read_bytes(), 8)
    X, runs = np.zeros((2000, 8)), []
    for each in (closure, file):
        each.start(2000, np.random.default_rng(0))
        runs.append(np.array([each.step(X) for _ in range(6)]))
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-5)
    scaling = env.unwrapped.scaling
    drawn = (runs[0] - scaling.mean_U) / (4.5 * 0.1 * scaling.std_U)
    np.testing.assert_allclose([drawn.mean(), drawn.std()], [0.0, 1.0], atol=0.02)
    np.testing.assert_allclose(np.mean(drawn[5] * drawn[0]), np.exp(-1.0), atol=0.03)


def test_a_spec_in_json_makes_the_same() -> None:
    env = made(num_envs=8, local=True, past=2, noise=(0.05,))
    again = gymnasium.make_vec(EnvSpec.from_json(env.spec.to_json()))
    assert np.array_equal(env.reset(seed=1)[0], again.reset(seed=1)[0])


@pytest.mark.slow
def test_twins_are_paid_for_their_exploration_alone(rng: np.random.Generator, scoringrules: Any) -> None:
    """A member's reward changes as the score of the ensemble without its twin, and is zero if it acts as its twin."""
    env = envs.TwinShares(made(num_envs=2 * 6 * 8, local=True, reward="ensemble", members=6, noise=[0.1, 0.2]))
    seen, _ = env.reset(seed=0)
    noises = seen.reshape(2, 3, 2, 8, 7)[..., 5:]
    assert np.array_equal(noises[:, :, 0], noises[:, :, 1])
    assert len(np.unique(noises)) == noises.size // 2
    actions = rng.uniform(-1, 1, (2, 6, 8)).astype(np.float32)
    moved = actions.copy()
    moved[:, 2] = rng.uniform(-1, 1, (2, 8))
    paid, scores = [], []
    for acted in (actions, moved):
        env.reset(seed=0)
        seen, rewards, *_ = env.step(acted.reshape(-1, 1))
        assert np.array_equal(seen.reshape(2, 3, 2, 8, 7)[:, :, 0, :, 5:], seen.reshape(2, 3, 2, 8, 7)[:, :, 1, :, 5:])
        paid.append(rewards.reshape(2, 6, 8))
        np.testing.assert_allclose(paid[-1][:, ::2], -paid[-1][:, 1::2])
        x, unit = env.unwrapped.X.reshape(2, 6, 8), env.unwrapped.scaling.std_X
        others = np.delete(x, 3, axis=1)
        scores.append(scoringrules.crps_ensemble(env.unwrapped.truth, others, 1, estimator="fair") / unit)
    np.testing.assert_allclose(6 * (paid[1] - paid[0])[:, 2], -5 * (scores[1] - scores[0]), atol=1e-10)
    actions[:, 1::2] = actions[:, ::2]
    env.reset(seed=0)
    assert not env.step(actions.reshape(-1, 1))[1].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"past": -1}, "past as a whole number of states from 0 to 40"),
        ({"past": 41}, "from 0 to 40"),
        ({"past": 1.0}, "whole number"),
        ({"past": True}, "whole number"),
        ({"noise": [0.0]}, "positive times in MTU"),
        ({"noise": 0.1}, "list of positive times"),
        ({"noise": ["red"]}, "list of positive times"),
    ],
)
def test_bad_options_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(L96BenchError, match=message):
        made(num_envs=8, local=True, **options)


def test_policies_and_environments_of_another_kind_are_refused() -> None:
    plain = made(num_envs=8, local=True)
    with pytest.raises(ModelError, match="environment with past or noise"):
        envs.MemoryPolicyClosure.from_torch(network(5, 1), plain)
    with pytest.raises(ModelError, match="MemoryPolicyClosure"):
        envs.StochasticPolicyClosure.from_torch(network(10, 1), made(num_envs=8, local=True, past=1), std=[0.1])
    for options in ({"noise": [0.1]}, {"members": 4}, {"noise": [0.1], "members": 3}):
        env = made(num_envs=8 * options.get("members", 2), local=True, reward="ensemble", **options)
        with pytest.raises(L96BenchError, match="even number of members from 4 on"):
            envs.TwinShares(env)
