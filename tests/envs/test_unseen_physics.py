"""`UnseenPhysics`: the resolved model of another training system in every episode, and what its policies become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

import l96bench
from l96bench.dynamics.polynomial import Polynomial, fitted_coefficients
from l96bench.envs.unseen_physics import UnseenPhysicsVectorEnv
from l96bench.errors import L96BenchError, ModelError, UnknownIdError
from l96bench.results.record import ModelInfo
from l96bench.tasks.registry import make_task
from l96bench.tasks.system_rollout import SystemClosures
from l96bench.tasks.unseen_physics import UnseenPhysics

pytestmark = pytest.mark.usefixtures("miniature_registry")

ID = "l96bench/UnseenPhysics-v1"
Array = NDArray[np.float64]
REWARDS = ("forecast", "tendency")
by_reward = pytest.mark.parametrize("reward", REWARDS)


def train() -> list[Any]:
    """The systems of the miniature: 3, of 30 MTU."""
    return list(make_task("unseen-physics/interpolate-v1").train)


def rk4(X: Array, U: Array, F: Array, dt: float = 0.01) -> Array:
    """One step of the resolved model, U held."""

    def slope(X: Array) -> Array:
        return np.roll(X, 1, -1) * (np.roll(X, -1, -1) - np.roll(X, 2, -1)) - X + F[:, None] + U

    a = slope(X)
    b = slope(X + dt / 2 * a)
    c = slope(X + dt / 2 * b)
    return X + dt / 6 * (a + 2 * b + 2 * c + slope(X + dt * c))


def in_five_steps(X: Array, target: Array, F: Array, guess: Array) -> Array:
    """The U that, held for 0.05 MTU, carries the model from X to the target."""
    U = guess.copy()
    for _ in range(40):
        end = X
        for _ in range(5):
            end = rk4(end, U, F)
        U += (target - end) / 0.05
    return U


def play(U: Callable[[Any], Array], rows: int, seed: int = 0, **options: Any) -> tuple[Array, Array]:
    """The returns of an episode of every row under a U (n_systems, K), and whether it was terminated."""
    env: Any = UnseenPhysicsVectorEnv(num_envs=rows, autoreset_mode="Disabled", **options)
    env.reset(seed=seed)
    returns, died, actions = np.zeros(rows), np.zeros(rows, bool), np.zeros(env.action_space.shape, np.float32)
    for _ in range(env.episode_steps):
        actions[:] = env.scaling.action(U(env)).reshape(actions.shape)
        _, rewards, terminated, _, _ = env.step(actions)
        returns += np.where(died, 0.0, rewards)
        died |= terminated
        if died.any():  # begun anew, and not counted
            env.reset(options={"reset_mask": died})
    return returns, died


class Perfect:
    """The U that carries the model to the next sample of the system."""

    def __init__(self, factor: float = 1.0, noise: float = 0.0) -> None:
        self.factor, self.noise, self.rng = factor, noise, np.random.default_rng(0)

    def __call__(self, env: Any) -> Array:
        if (env.at[:, 1] % 5 == 0).all():
            systems, sample = env.at[:, 0], 200 + env.at[:, 1] // 5
            target, guess = (
                np.array([getattr(env.systems[i], name)[j] for i, j in zip(systems, sample + later, strict=True)])
                for name, later in (("X", 1), ("U", 0))
            )
            self.U = in_five_steps(env.X, target, np.array([each.F for each in env.regimes]), guess)
        return np.asarray(self.factor * self.U + self.noise * self.rng.standard_normal(self.U.shape))


@pytest.mark.slow
@by_reward
@pytest.mark.parametrize("local", [False, True])
def test_an_independent_simulator_agrees(local: bool, reward: str) -> None:
    """Systems, starts, observations and rewards, from the task's data and the documentation alone."""
    n, data = 12, train()
    X_all, U_all = (np.stack([getattr(each, name) for each in data]) for name in "XU")
    told = [[(each.regime.h - 0.85) / 0.25, (each.regime.c - 7.0) / 3.0] for each in data]
    options: dict[str, Any] = {"local": local, "reward": reward, "told": True, "past": 2, "episode_steps": 30}
    env = gymnasium.make_vec(ID, num_envs=8 * n if local else n, **options)
    shown, _ = env.reset(seed=3)
    system, start = env.unwrapped.at.T
    assert set(system) == {0, 1, 2}
    assert (start % 5 == 0).all()
    sample = 200 + start // 5
    X, F = X_all[system, sample], np.array([data[i].regime.F for i in system])
    generators = [np.random.Generator(np.random.PCG64(3 + i)) for i in range(n)]
    for i, generator in enumerate(generators):
        place = int(generator.random() * 3 * ((X_all.shape[1] - 200) * 5 - 30))
        assert (system[i], start[i]) == (place // ((X_all.shape[1] - 200) * 5 - 30), start[i])
    past = [
        X_all[i, j - 2 : j] + generator.standard_normal((2, 8))
        for i, j, generator in zip(system, sample, generators, strict=True)
    ]

    def seen(X: Array) -> Array:
        z = np.clip((X - X_all.mean()) / X_all.std(), -10, 10)
        return np.stack([np.roll(z, 2 - j, -1) for j in range(5)], axis=-1) if local else z[..., None, :]

    beside = [np.swapaxes(seen(each), 0, 1).reshape(8 if local else 1, -1) for each in past]
    unit = X_all.var(axis=(1, 2)) if reward == "forecast" else U_all.var(axis=(1, 2)) * 0.05**2
    rng = np.random.default_rng(0)
    for step in range(1, 31):
        given = [[*beside[i][r], *told[system[i]]] for i in range(n) for r in range(len(beside[i]))]
        expected = np.hstack([seen(X).reshape(len(shown), -1), given])
        np.testing.assert_allclose(shown, expected, rtol=1e-5, atol=1e-5)
        actions = rng.uniform(-0.1, 0.1, (n, 8)).astype(np.float32)
        shown, rewards, terminated, truncated, _ = env.step(actions.reshape(env.action_space.shape))
        X = rk4(X, U_all.mean() + 9.0 * U_all.std() * actions.astype(float), F)
        errors = np.zeros((n, 8))
        if step % 5 == 0:
            truth = X_all[system, sample + step // 5]
            errors = -((X - truth) ** 2) / unit[system, None]
            X = truth if reward == "tendency" else X
        expected = errors.ravel() if local else errors.mean(axis=1)
        np.testing.assert_allclose(rewards * env.unwrapped.scale, expected, rtol=1e-7, atol=1e-9)
        assert not terminated.any()
    assert truncated.all()


@pytest.mark.slow
@by_reward
def test_nothing_returns_more_than_the_true_U(reward: str) -> None:
    """What carries the model along the truth returns 0 in every episode; scaled or with noise it returns less."""
    options: dict[str, Any] = {"reward": reward, "episode_steps": 40}
    perfect, _ = play(Perfect(), 48, **options)
    assert np.abs(perfect).max() < 1e-6
    for other in (Perfect(0.0), Perfect(0.5), Perfect(0.9), Perfect(1.1), Perfect(noise=0.1), Perfect(noise=1.0)):
        assert play(other, 48, **options)[0].max() < -1e-7


@pytest.mark.slow
@pytest.mark.parametrize("local", [False, True])
@by_reward
def test_leaving_the_limits_ends_an_episode_and_never_pays(reward: str, local: bool) -> None:
    """With limits so narrow that a constant action leaves them: then the rest counts as the worst there is."""
    options: dict[str, Any] = {"num_envs": 32 if local else 4, "local": local, "episode_steps": 60, "reward": reward}
    bounded, free = (UnseenPhysicsVectorEnv(autoreset_mode="Disabled", **options) for _ in range(2))
    bounded._bounds_of = bounded._bounds_of - np.array([0.0, 8.5]) * train()[0].X.std()
    for env in (bounded, free):
        env.reset(seed=0)
    actions = np.full(free.action_space.shape, 0.8, np.float32)
    totals, gone = np.zeros((2, len(actions))), np.zeros(len(actions), bool)
    for step in range(60):
        totals[1] += free.step(actions)[1]
        if gone.all():
            continue
        _, rewards, terminated, _, _ = bounded.step(actions)
        totals[0] += np.where(gone, 0.0, rewards)
        new = terminated & ~gone
        np.testing.assert_array_equal(rewards[new], -400.0 / bounded.scale * np.ceil((60 - step) / 5))
        gone |= terminated
        if gone.any():
            bounded.reset(options={"reset_mask": gone})
    assert gone.any()
    assert totals[0][gone].max() < totals[1].min()


class OfTraining(UnseenPhysics):
    """The task tested on its training systems, those that the environment has."""

    @property
    def systems(self) -> tuple[l96bench.Regime, ...]:
        return self.training_systems


@pytest.mark.slow
def test_returns_have_the_order_of_scores() -> None:
    """From no closure to a quartic fitted to all systems, by scores on the same systems."""
    data, task = train(), replace(OfTraining("interpolate").in_miniature(), n_training=3, n_test=3)
    fitted = fitted_coefficients(*(np.concatenate([getattr(each, name) for each in data]) for name in "XU"), 4)
    ladder = [Polynomial([factor * each for each in fitted]) for factor in (0.0, 0.5, 1.0)]
    info = ModelInfo(name="a", kind="b", inputs="X", command="c")
    scores = [task.evaluate(SystemClosures(each, is_file=True), info, progress=False).score.value for each in ladder]
    assert scores == sorted(scores)
    for reward in REWARDS:
        returns = [play(lambda env, c=each: c.predict(env.X), 256, reward=reward)[0].mean() for each in ladder]
        assert returns == sorted(returns)
        assert returns[-1] < 0


@pytest.mark.slow
def test_the_scale_is_that_of_episodes_without_closure() -> None:
    """As documented: the standard deviation of 256 returns, to three digits; of both tracks, and for every agent."""
    for options in ({}, {"reward": "tendency", "episode_steps": 35}):
        raw, _ = play(lambda env: np.zeros_like(env.X), 256, scale=1.0, **options)
        for more in ({}, {"track": "extrapolate", "told": True}, {"num_envs": 8, "local": True, "past": 3}):
            assert UnseenPhysicsVectorEnv(**options, **more).scale == float(f"{raw.std():.3g}")


@pytest.mark.slow
def test_episodes_are_drawn_by_the_seed_alone() -> None:
    """The same systems and starts with and without the past; another one of them in the next episode."""
    envs: list[Any] = [UnseenPhysicsVectorEnv(num_envs=64, past=past, scale=1.0) for past in (0, 1, True)]
    for env in envs:
        env.reset(seed=0)
        assert np.array_equal(env.at, envs[0].at)
        assert np.array_equal(env.truth, env.X)
    assert np.bincount(envs[0].at[:, 0]).min() > 10
    assert {each.id for each in envs[0].regimes} == {each.regime.id for each in train()}
    before = envs[0].at
    envs[0].reset()
    assert not np.array_equal(before[:, 0], envs[0].at[:, 0])
    envs[0].reset(options={"start": (2, 17)})
    assert (envs[0].at == (2, 15)).all()
    assert np.array_equal(envs[0].X[0], train()[2].X[203])


def test_a_blind_agent_sees_nothing_of_the_system_but_X() -> None:
    """Two systems with the same X look alike, whatever F, h and c; they differ where h and c are told."""
    one = train()[0]
    twins = [one, replace(one, regime=replace(one.regime, F=20.0, h=1.1, c=4.0))]
    seen = {}
    for told in (False, True):
        env = UnseenPhysicsVectorEnv(num_envs=2, told=told, systems=twins, scale=1.0)
        seen[told], _ = env.reset(seed=0, options={"start": [[0, 5], [1, 5]]})
    assert np.array_equal(*seen[False])
    assert np.array_equal(seen[True][:, :8], seen[False])
    np.testing.assert_allclose(seen[True][1, 8:], [1.0, -1.0])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"track": "interpolat"}, UnknownIdError, "Did you mean 'interpolate'"),
        ({"reward": "climate"}, UnknownIdError, "no reward 'climate'"),
        ({"past": 201}, L96BenchError, "from 0 to 200, or True for all, got 201"),
        ({"past": 1.5}, L96BenchError, "got 1.5"),
        ({"systems": []}, L96BenchError, "at least one, got"),
        ({"systems": ["a"]}, L96BenchError, "SystemSamples.*got \\['str'\\].*try"),
        ({"episode_steps": 10**6}, L96BenchError, "expected episode_steps below"),
        ({"episode_steps": 4}, L96BenchError, "from 5 on, the first sample, got 4"),
        ({"scale": -1.0}, L96BenchError, "scale as a positive number"),
        ({"told": True, "num_envs": 12, "local": True}, L96BenchError, "multiple of 8"),
    ],
)
def test_bad_options_are_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        UnseenPhysicsVectorEnv(**options)


def test_systems_of_different_or_too_few_samples_are_errors() -> None:
    one, other = train()[:2]
    short = replace(other, X=other.X[:-1], U=other.U[:-1])
    with pytest.raises(L96BenchError, match="systems with as many samples"):
        UnseenPhysicsVectorEnv(systems=[one, short])
    with pytest.raises(L96BenchError, match=r"at least 202 samples.*got 100"):
        UnseenPhysicsVectorEnv(systems=[replace(one, X=one.X[:100], U=one.U[:100])])


def test_infos_and_pictures_are_those_of_the_latest_sample() -> None:
    env: Any = UnseenPhysicsVectorEnv(num_envs=3, info=True, render_mode="rgb_array", episode_steps=12)
    env.reset(seed=0)
    for step in range(1, 11):
        *_, infos = env.step(np.full((3, 8), 0.05, np.float32))
        np.testing.assert_array_equal(infos["truth"], env.truth)
        assert infos["error"].any() == (step >= 5)
        if step % 5 == 0:
            np.testing.assert_array_equal(infos["error"], env.X - env.truth)
    assert env.render()[0].dtype == np.uint8


# What policies become.


def untrained(**options: Any) -> tuple[Any, Any]:
    """A PPO with large random weights behind a normalization of its own, and its environment."""
    sb3, torch = pytest.importorskip("stable_baselines3"), pytest.importorskip("torch")
    from stable_baselines3.common.vec_env import VecNormalize

    from l96bench.envs.sb3 import SB3VecEnv

    env: Any = SB3VecEnv(gymnasium.make_vec(ID, num_envs=16, local=True, **options))
    if options.get("told"):
        env = VecNormalize(env, norm_reward=False)
        rng, width = np.random.default_rng(1), env.observation_space.shape[0]
        env.obs_rms.mean, env.obs_rms.var = rng.normal(0, 0.1, width), rng.uniform(0.5, 2.0, width)
    model = sb3.PPO("MlpPolicy", env, policy_kwargs={"net_arch": [6, 5]}, seed=1, device="cpu")
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for each in model.policy.parameters():
            each.copy_(0.3 * torch.randn(each.shape, generator=generator))
    return model, env


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"told": True}, {"past": 3}, {"told": True, "past": 2}], ids=str)
def test_a_policy_becomes_a_model_that_acts_as_it(options: dict[str, Any]) -> None:
    """In the environment's episodes, by what stable-baselines3 says that it does there; and it has a score."""
    model, env = untrained(**options)
    envs = pytest.importorskip("l96bench.envs")
    kind = (
        envs.InformedPolicy
        if "told" in options
        else envs.PastPolicyClosure
        if "past" in options
        else envs.PolicyClosure
    )
    trained = kind.from_sb3(model)
    core = (env.venv if "told" in options else env).venv.unwrapped
    seen, _ = core.reset(seed=4)
    normalized = env.normalize_obs(seen) if "told" in options else seen
    actions, _ = model.predict(normalized, deterministic=True)
    expected = core.scaling.forcing(actions).reshape(2, 8)
    for i, regime in enumerate(core.regimes):
        closure = trained.closure(0.01, regime=replace(regime, id="unseen")) if "told" in options else trained
        closure.start(1, np.random.default_rng(0))
        if "past" in options:
            n = options["past"]
            own = core.beside[i, :, : 5 * n].reshape(8, n, 5)[:, :, 2].T * core.scaling.std_X + core.scaling.mean_X
            closure.remember(np.concatenate([np.full((4, 8), 50.0), own])[:, None])
        np.testing.assert_allclose(closure.step(core.X[i : i + 1])[0], expected[i], atol=1e-3)
    assert trained.n_parameters == (core.single_observation_space.shape[0] + 1) * 6 + 7 * 5 + 6
    task = make_task("unseen-physics/interpolate-v1")
    assert task.as_run(trained).informed == ("told" in options)


@pytest.mark.slow
def test_policies_of_other_environments_are_errors() -> None:
    envs = pytest.importorskip("l96bench.envs")
    told, past = untrained(told=True)[0], untrained(past=2)[0]
    with pytest.raises(ModelError, match=r"try InformedPolicy.from_sb3"):
        envs.PolicyClosure.from_sb3(told)
    with pytest.raises(ModelError, match=r"try InformedPolicy.from_sb3"):
        envs.PastPolicyClosure.from_sb3(told)
    with pytest.raises(ModelError, match=r"told=True; try PastPolicyClosure.from_sb3"):
        envs.InformedPolicy.from_sb3(past)
    closure = envs.PastPolicyClosure.from_sb3(past)
    with pytest.raises(ModelError, match="past of at least 2"):
        closure.remember(np.zeros((1, 3, 8)))
    with pytest.raises(ModelError, match="a past before the first step"):
        closure.step(np.zeros((3, 8)))
    with pytest.raises(L96BenchError, match="try looks=0"):
        envs.train(told, 100, kind=envs.InformedPolicy)


class Learns:
    """An entry as a script has it: PPO in the environment of the systems that it is fitted to."""

    def fit(self, systems: list[Any]) -> None:
        from l96bench.envs import InformedPolicy, train_ppo

        env = UnseenPhysicsVectorEnv(
            num_envs=64, local=True, told=True, systems=systems, autoreset_mode="Disabled", episode_steps=20
        )
        self.policy = train_ppo(env, gamma=0.9, steps=2560, seed=0, log_std_init=-3.0, looks=0, kind=InformedPolicy)

    def closure(self, dt: float, regime: l96bench.Regime) -> Any:
        return self.policy.closure(dt, regime)


@pytest.mark.slow
def test_a_model_may_train_in_it_where_the_truth_is_out_of_reach() -> None:
    pytest.importorskip("stable_baselines3")
    task, model = make_task("unseen-physics/extrapolate-v1"), Learns()
    assert task.fit(model) > 0.0
    assert model.policy.n_parameters == 7 * 32 + 32 + 32 * 32 + 32 + 32 + 1
