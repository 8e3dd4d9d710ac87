"""PPO on the batch: against stable-baselines3's formulas, an analytic task, and itself when it is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import l96bench
from l96bench.errors import L96BenchError, ModelError

sb3 = pytest.importorskip("stable_baselines3")
torch = pytest.importorskip("torch")

from gymnasium import spaces  # noqa: E402
from gymnasium.vector import AutoresetMode, VectorEnv  # noqa: E402
from gymnasium.wrappers import vector  # noqa: E402
from stable_baselines3.common.buffers import RolloutBuffer  # noqa: E402

from l96bench.envs import (  # noqa: E402
    BatchPPO,
    PolicyClosure,
    PPOOptions,
    StochasticPolicyClosure,
    clipped_slope,
    generalized_advantages,
    train_ppo,
)
from l96bench.envs.activation_kernels import multiply_by_tanh_slope, tanh_in_place  # noqa: E402
from l96bench.envs.adam import Adam  # noqa: E402
from l96bench.envs.memory_policy import MemoryPolicyClosure  # noqa: E402
from l96bench.envs.perceptron import joined  # noqa: E402

OPTIONS = {"gamma": 0.9, "n_steps": 5, "batch_size": 40, "net_arch": (8,)}


@pytest.fixture(autouse=True)
def _miniatures(miniature_registry: Path) -> None:
    torch.set_num_threads(1)


def rows(**options: Any) -> Any:
    return gymnasium.make_vec(
        "l96bench/OnlineRollout-v2",
        num_envs=32,
        local=True,
        **{"reward": "forecast", "episode_steps": 7, "autoreset_mode": "Disabled"} | options,
    )


class Slopes(VectorEnv):
    """A contextual bandit: the reward is -(action - .5 observation)^2, so that the best policy is known."""

    metadata = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

    def __init__(self, n: int) -> None:
        self.num_envs = n
        self.single_observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.single_action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.seen = self.rng.uniform(-1.0, 1.0, (self.num_envs, 1)).astype(np.float32)
        return self.seen, {}

    def step(self, actions: Any) -> Any:
        rewards = -np.square(actions - 0.5 * self.seen)[:, 0].astype(np.float64)
        return self.seen, rewards, np.ones(self.num_envs, bool), np.zeros(self.num_envs, bool), {}


def test_the_advantages_are_those_of_stable_baselines3() -> None:
    rng = np.random.default_rng(0)
    n, width, gamma, gae_lambda = 9, 6, 0.9, 0.8
    space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    buffer = RolloutBuffer(n, space, space, device="cpu", gae_lambda=gae_lambda, gamma=gamma, n_envs=width)
    rewards, values = rng.normal(size=(2, n, width)).astype(np.float32)
    last, ended = rng.normal(size=width).astype(np.float32), rng.random((n, width)) < 0.3
    starts = np.concatenate([np.ones((1, width), bool), ended[:-1]])
    zero = np.zeros((width, 1), np.float32)
    for t in range(n):
        value = torch.from_numpy(values[t])
        buffer.add(zero, zero, rewards[t], starts[t], value, torch.zeros(width))
    buffer.compute_returns_and_advantage(torch.from_numpy(last), ended[-1])
    following = np.where(ended, 0.0, np.concatenate([values[1:], last[None]])).astype(np.float32)
    given = [torch.from_numpy(each) for each in (rewards, values, following, ended.astype(np.float32))]
    found = generalized_advantages(*given, gamma, gae_lambda)
    np.testing.assert_allclose(found.numpy(), buffer.advantages, rtol=1e-5, atol=1e-6)


def test_the_slope_of_the_loss_is_that_of_automatic_differentiation() -> None:
    generator = torch.Generator().manual_seed(0)
    gains, change = torch.randn((2, 500), generator=generator)
    change.requires_grad_(True)
    ratio = change.exp()
    torch.maximum(-gains * ratio, -gains * ratio.clamp(0.8, 1.2)).sum().backward()
    slope = clipped_slope(change.detach(), gains, 0.2)
    np.testing.assert_allclose(slope, change.grad, rtol=1e-6)
    assert 0.1 < float((slope == 0.0).float().mean()) < 0.9


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("hidden", [(), (6,), (6, 4)])
def test_the_gradients_of_an_update_are_those_of_automatic_differentiation(
    activation: str, hidden: tuple[int, ...]
) -> None:
    """Of stable-baselines3's loss, written anew with torch's modules and distributions."""
    options = PPOOptions(
        gamma=0.9, net_arch=hidden, activation=activation, ent_coef=0.1, max_grad_norm=1e9, average=0.0
    )
    agent, rng = BatchPPO(rows(), options, 5), torch.Generator().manual_seed(1)
    draws = [torch.randn(size, generator=rng) for size in ((64, 5), (64, 1), 64, 64, 64)]
    agent._descend(*draws)
    found = [each.grad for each in agent._weights]
    policy, value = (each.module(each.weights).requires_grad_(True) for each in (agent._policy, agent._value))
    log_std = agent._log_std.clone().requires_grad_(True)
    seen, acted, old, gains, returns = draws
    made = torch.distributions.Normal(policy(seen), log_std.exp())
    constant = 0.5 * np.log(2.0 * np.pi)  # which the agent leaves out, in both of its densities
    ratio = (made.log_prob(acted).sum(-1) + constant - old).exp()
    gains = (gains - gains.mean()) / (gains.std() + 1e-8)
    loss = -torch.min(gains * ratio, gains * ratio.clamp(0.8, 1.2)).mean() - 0.1 * made.entropy().sum(-1).mean()
    loss = loss + 0.5 * torch.nn.functional.mse_loss(value(seen)[:, 0], returns)
    loss.backward()
    expected = [*(each.grad for each in policy.parameters()), log_std.grad, *(each.grad for each in value.parameters())]
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=1e-6)


@pytest.mark.slow
def test_a_known_best_policy_is_found() -> None:
    agent = BatchPPO(Slopes(256), PPOOptions(gamma=0.0, n_steps=4, batch_size=256, log_std_init=-1.0)).learn(60_000)
    x = torch.linspace(-1.0, 1.0, 41)[:, None]
    assert torch.abs(agent.policy(x) - 0.5 * x).max() < 0.03
    assert agent.rewards[-1] > 0.5 * agent.rewards[0]


@pytest.mark.slow
def test_exploration_may_fall_by_a_plan_and_values_be_left_out() -> None:
    options = {"gamma": 0.0, "n_steps": 4, "batch_size": 256, "log_std_init": -1.0, "log_std_final": -2.0}
    agent = BatchPPO(Slopes(256), PPOOptions(**options, vf_coef=0.0), seed=1)
    first = [each.clone() for each in agent._value.weights]

    def evaluate(agent: BatchPPO) -> dict[str, float]:
        return {"log_std": float(agent._log_std)}

    agent.learn(61_440, looks=6, evaluate=evaluate)
    expected = [-1.0, -4 / 3, -5 / 3, -2.0, -2.0, -2.0, -2.0]  # as it is where weights are averaged
    np.testing.assert_allclose(agent.learning_curve["log_std"], expected, atol=1e-6)
    assert float(agent.log_std) == pytest.approx(-2.0)
    assert all(map(torch.equal, first, agent._value.weights))
    x = torch.linspace(-1.0, 1.0, 41)[:, None]
    assert torch.abs(agent.policy(x) - 0.5 * x).max() < 0.05


def test_steps_are_those_of_torch() -> None:
    """Of its Adam and its cut of a gradient's norm, on parts of a tensor."""
    rng = torch.Generator().manual_seed(0)
    starts = [torch.randn(size, generator=rng) for size in ((3, 2), (4,))]
    theirs = [torch.nn.Parameter(each.clone()) for each in starts]
    optimizer = torch.optim.Adam(theirs, lr=0.02, eps=1e-5)
    whole, parts = joined(starts)
    own = Adam(whole)
    for step in range(20):
        for one, other in zip(theirs, parts, strict=True):
            slope = (0.01 if step % 3 else 5.0) * torch.randn(one.shape, generator=rng)
            one.grad, other.grad[...] = slope.clone(), slope
        torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        optimizer.step()
        own.step(0.02, 0.5)
        for one, other in zip(theirs, parts, strict=True):
            np.testing.assert_allclose(other, one.detach(), rtol=1e-5, atol=1e-6)


def test_the_kernels_are_tanh_and_its_slope() -> None:
    x = np.concatenate([np.linspace(-12.0, 12.0, 100_001), [1e-30, -1e-6, 0.0, 1e6]]).astype(np.float32)
    kept = x.copy()
    tanh_in_place(kept)
    np.testing.assert_allclose(kept, np.tanh(x.astype(float)), rtol=1e-6, atol=0)
    assert np.abs(kept).max() <= 1.0
    error = np.full_like(kept, 2.0)
    multiply_by_tanh_slope(error, kept)
    np.testing.assert_allclose(error, 2.0 / np.cosh(np.clip(x.astype(float), -20, 20)) ** 2, atol=2e-6)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    first, again, other = (BatchPPO(rows(), PPOOptions(**OPTIONS), seed).learn(800) for seed in (1, 1, 2))
    for one, two, three in zip(*(list(each.policy.parameters()) for each in (first, again, other)), strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, three)


@pytest.mark.slow
@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_stopped_training_goes_on_with_the_same_bits(average: float, tmp_path: Path) -> None:
    options, file = PPOOptions(**OPTIONS, average=average), tmp_path / "agent.npz"

    def evaluate(agent: BatchPPO) -> dict[str, float]:
        return {"size": float(agent.log_std.exp())}

    def train(stop: int = 99) -> BatchPPO:
        looks = []

        def stopping(agent: BatchPPO) -> dict[str, float]:
            looks.append(1)
            if len(looks) > stop:
                raise KeyboardInterrupt
            return evaluate(agent)

        agent = BatchPPO(rows(), options, 3)
        return agent.learn(1600, looks=5, evaluate=stopping, checkpoint=file)

    whole = train()
    file.unlink()
    with pytest.raises(KeyboardInterrupt):
        train(stop=4)
    resumed = train()
    assert all(map(torch.equal, whole.policy.parameters(), resumed.policy.parameters()))
    assert whole.rewards == resumed.rewards
    assert len(whole.learning_curve["size"]) == 6
    for name in ("steps", "size", "reward"):
        assert whole.learning_curve[name] == resumed.learning_curve[name]
    finished = train(stop=0)  # nothing is left to do
    assert all(map(torch.equal, whole.policy.parameters(), finished.policy.parameters()))


@pytest.mark.slow
def test_a_checkpoint_of_another_training_or_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "agent.npz"
    BatchPPO(rows(), PPOOptions(**OPTIONS), 3).learn(320, checkpoint=file)
    with pytest.raises(L96BenchError, match="seed 3, here 4"):
        BatchPPO(rows(), PPOOptions(**OPTIONS), 4).learn(320, checkpoint=file)
    with pytest.raises(L96BenchError, match="env"):
        BatchPPO(rows(regime="arnold-c4"), PPOOptions(**OPTIONS), 3).learn(320, checkpoint=file)
    for content in (b"", b"nothing", file.read_bytes()[:300]):
        file.write_bytes(content)
        with pytest.raises(L96BenchError, match="remove it to train anew"):
            BatchPPO(rows(), PPOOptions(**OPTIONS), 3).learn(320, checkpoint=file)


def test_environments_and_options_of_another_form_are_refused() -> None:
    with pytest.raises(L96BenchError, match=r"Disabled.*SameStep"):
        BatchPPO(rows(autoreset_mode="SameStep"), PPOOptions(gamma=0.9))
    with pytest.raises(L96BenchError, match="from -1 to 1"):
        BatchPPO(vector.RescaleAction(rows(), -2.0, 2.0), PPOOptions(gamma=0.9))
    with pytest.raises(L96BenchError, match=r"gamma.*1\.5"):
        PPOOptions(gamma=1.5)
    with pytest.raises(L96BenchError, match=r"activation.*'selu'"):
        PPOOptions(gamma=0.9, activation="selu")
    with pytest.raises(L96BenchError, match="n_epochs"):
        PPOOptions(gamma=0.9, n_epochs=0)


@pytest.mark.slow
def test_the_closure_does_what_the_agent_does() -> None:
    env = rows()
    agent = BatchPPO(env, PPOOptions(**OPTIONS), 1).learn(1600)
    scaling = env.unwrapped.scaling
    X = np.random.default_rng(0).normal(3.0, 5.0, (50, 8))
    actions = agent.policy(torch.from_numpy(scaling.observation(X, local=True))).clamp(-1, 1).numpy()
    expected = scaling.forcing(actions).reshape(X.shape)
    np.testing.assert_allclose(agent.closure(PolicyClosure).predict(X), expected, atol=2e-4)
    noisy = agent.closure(StochasticPolicyClosure)
    assert noisy.std == pytest.approx(float(agent.log_std.exp()), rel=1e-6)


def test_a_network_of_any_library_becomes_a_closure(rng: np.random.Generator) -> None:
    env = rows()
    network = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.SiLU(), torch.nn.Linear(6, 1), torch.nn.Tanh())
    X = rng.normal(3.0, 5.0, (20, 8))
    with torch.no_grad():
        actions = network(torch.from_numpy(env.unwrapped.scaling.observation(X, local=True))).numpy()
    expected = env.unwrapped.scaling.forcing(actions).reshape(X.shape)
    closure = PolicyClosure.from_torch(network, env)
    np.testing.assert_allclose(closure.predict(X), expected, atol=2e-4)
    np.testing.assert_allclose(l96bench.as_closure(closure).step(X), closure.predict(X))
    with pytest.raises(ModelError, match="5 values"):
        PolicyClosure.from_torch(torch.nn.Sequential(torch.nn.Linear(4, 1)), env)
    with pytest.raises(ModelError, match="normal distribution"):
        StochasticPolicyClosure.from_torch(network, env)
    with pytest.raises(ModelError, match=r"Sequential.*GRU"):
        PolicyClosure.from_torch(torch.nn.GRU(5, 1), env)


@pytest.mark.slow
def test_training_returns_the_closure_with_its_curve() -> None:
    closure = train_ppo(rows(), steps=640, seed=0, looks=2, **OPTIONS)
    assert list(closure.learning_curve) == ["steps", "seconds", "r2", "error", "reward"]
    assert [len(each) for each in closure.learning_curve.values()] == [3, 3, 3, 3, 2]
    assert closure.learning_curve["steps"] == [0.0, 320.0, 640.0]
    closure = train_ppo(rows(past=2, noise=[0.1]), steps=640, seed=0, looks=2, kind=MemoryPolicyClosure, **OPTIONS)
    assert [len(each) for each in closure.learning_curve.values()] == [3, 3, 3, 3, 2]
    assert max(closure.learning_curve["r2"]) < 1.0
