"""`EquationRecoveryEnv`: residuals and rewards by hand, equations that the task reads, and rows that are scalars."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from l96bench.data.instances import Instance, draw_instance, get_track, instances
from l96bench.data.recovery import load_instance, observe
from l96bench.envs.equation_recovery import EquationRecoveryEnv, EquationRecoveryVectorEnv
from l96bench.equations import EquationSet
from l96bench.errors import L96BenchError, UnknownIdError
from l96bench.tasks.equation_recovery import EquationRecovery

Array = NDArray[np.float64]
Rows = Callable[..., None]
ID = "l96bench/EquationRecovery-v2"


def system(env: EquationRecoveryEnv, info: dict[str, Any]) -> Instance:
    """The instance of an episode."""
    core: Any = env.core
    return draw_instance(core.track.base, info["instance"], {"train": 1, "test": None}[core.split])


def drawn(env: EquationRecoveryEnv, info: dict[str, Any]) -> tuple[Instance, Array]:
    """The instance of an episode and the states it is judged by, with what the last windows reach beyond them."""
    track, core, instance = env.core.track, env.core, system(env, info)  # type: ignore[attr-defined]
    states, time = observe(instance, track, info["noise"])
    first = 5.0 * core._drawn[0, 2]
    inside = (time >= first - 1e-9) & (time < first + info["budget"] + 20.5 * track.interval)
    return instance, states[inside]


def by_hand(texts: tuple[str, ...], states: Array, track: str, K: int, J: int) -> float:
    """The relative residual of equations in the weak form, integral by integral, from their text alone.

    Windows of 10 samples to each side with the weight (1 - u²)^4, every fourth sample, block by block of 5 MTU.
    """
    interval = get_track(track).interval
    tendency = EquationSet.parse(list(texts), K, J).tendency(states)
    u = np.arange(-10, 11) / 10
    weight, slope = (1 - u**2) ** 4, u * (1 - u**2) ** 3
    slope /= 10 * interval * (u @ slope)
    length = round(5 / interval)
    ratios = []
    for own in [slice(0, K)] + [slice(K, None)] * (J > 0):
        left, right = [], []
        for block in range(0, len(states) - length + 1, length):
            for start in range(block, min(block + length, len(states) - 20), 4):
                window = slice(start, start + 21)
                left.append(slope @ states[window, own])
                right.append(weight @ tendency[window, own] / weight.sum())
        y, f = np.array(left), np.array(right)
        ratios.append(np.linalg.norm(y - f) / np.linalg.norm(y))
    return float(np.mean(ratios))


def worth(texts: tuple[str, ...], instance: Instance) -> float:
    """F1 + 1 - R of equations, from their text alone, on the instance's states without noise; groups averaged."""
    K, J, data = instance.K, instance.observed_J, load_instance(instance)
    found, truth = (EquationSet.parse(list(each), K, J) for each in (texts, instance.texts))
    states = data.train[::10]
    right = instance.tendency(states, None if data.train_U is None else data.train_U[::10])
    wrong, parts = found.tendency(states) - right, []
    for own in [slice(0, K)] + [slice(K, None)] * (J > 0):
        in_group = set(range(instance.n_state)[own])
        mine, true = ({pair for pair in each.support if pair[0] in in_group} for each in (found, truth))
        f1 = 2 * len(mine & true) / (len(mine) + len(true))
        parts.append(f1 + 1 - np.linalg.norm(wrong[:, own]) / np.linalg.norm(right[:, own]))
    return float(np.mean(parts))


def true_action(env: EquationRecoveryEnv, info: dict[str, Any]) -> NDArray[np.float32]:
    """The action that writes the true equations of an episode's system, from their text."""
    core: Any = env.core
    instance, parts = system(env, info), []
    truth = EquationSet.parse(instance.texts, 8, instance.observed_J)
    for target, own in zip((0, 8), core._candidates, strict=False):
        texts = [f"d{own.left}/dt = {symbol}" for symbol in own.symbols()]
        keys = [next(iter(EquationSet.parse([text], 8, own.J).monomials(target))) for text in texts]
        parts.append([truth.monomials(target).get(key, 0.0) for key in keys])
    action = np.array(parts) / core._scale[0] / 3.0
    assert np.abs(action).max() <= 1.0
    return action.reshape(env.action_space.shape).astype(np.float32)


def best_action(env: EquationRecoveryEnv) -> NDArray[np.float32]:
    """Least squares for all candidates of all agents, from the sums that the environment keeps."""
    core: Any = env.core
    grams, moments = (part.reshape(-1, *part.shape[3:]) for part in (core._gram, core._moment))
    fits = [np.linalg.lstsq(gram, moment, rcond=1e-12)[0] for gram, moment in zip(grams, moments, strict=True)]
    return np.clip(np.concatenate(fits) / 3, -1, 1).astype(np.float32)


def episode(env: EquationRecoveryEnv, actions: list[NDArray[np.float32]]) -> tuple[list[float], dict[str, Any]]:
    rewards, info = [], {}
    for action in actions:
        _, reward, terminated, _, info = env.step(action)
        assert not terminated
        rewards.append(reward)
    return rewards, info


# What the numbers are.


@pytest.mark.slow
@pytest.mark.parametrize(("track", "local"), [("single", False), ("single-coarse", True), ("two-scale", False)])
def test_the_residual_is_that_of_the_written_equations(track: str, local: bool, rng: np.random.Generator) -> None:
    """Scales, products, signs and texts together: the text is read by the task's grammar and judged by hand."""
    env = EquationRecoveryEnv(track=track, local=local, episode_steps=2)
    shape = env.action_space.shape
    for seed in (2, 11):
        _, info = env.reset(seed=seed)
        near = best_action(env) * 0.9 + rng.normal(0, 0.01, shape).astype(np.float32)
        _, info = episode(env, [rng.uniform(-1, 1, shape).astype(np.float32), np.clip(near, -1, 1)])
        instance, states = drawn(env, info)
        expected = by_hand(info["equations"], states, track, 8, instance.observed_J)
        if local:
            # Each point's residual is its own; pooled by the squares of the tendencies they are that of all.
            weight = np.square(env.core._scale[0, :, 0, 0])  # type: ignore[attr-defined]
            own = env.core._residual[0, :, 0]  # type: ignore[attr-defined]
            assert np.sqrt((weight * own**2).sum() / weight.sum()) == pytest.approx(expected, rel=1e-6)
        else:
            assert info["residual"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("track", "local"), [("single", False), ("single", True), ("two-scale", False), ("hidden", False)]
)
def test_rewards_add_up_to_what_the_last_equations_are_worth(track: str, local: bool, rng: np.random.Generator) -> None:
    env = EquationRecoveryEnv(track=track, local=local, episode_steps=5, scale=0.5)
    _, info = env.reset(seed=0)
    instance = system(env, info)
    actions = list(rng.uniform(-0.3, 0.3, (5, *env.action_space.shape)).astype(np.float32))
    actions[2][::2] = 0.002
    actions[4] = 0.9 * best_action(env)
    actions[4][::3] = 0.0
    rewards, info = episode(env, actions)
    if not local:
        assert 0.5 * sum(rewards) == pytest.approx(worth(info["equations"], instance), abs=1e-6)
        assert 0.5 * sum(rewards) == pytest.approx(info["f1"] + 1 - info["operator_residual"], abs=1e-12)
    else:
        size = np.linalg.norm(instance.tendency(load_instance(instance).train[::10]), axis=0)
        core: Any = env.core
        pooled = np.linalg.norm(size * core._operator_residual[0, :, 0]) / np.linalg.norm(size)
        assert info["f1"] + 1 - pooled == pytest.approx(worth(info["equations"], instance), abs=0.02)
    terms = EquationSet.parse(list(info["equations"]), 8, instance.observed_J).n_terms
    assert track == "two-scale" or info["n_terms"] == (terms if local else terms / 8)


@pytest.mark.slow
@pytest.mark.parametrize("track", ["single", "single-coarse", "two-scale"])
def test_nothing_is_rewarded_more_than_the_true_equations(track: str, rng: np.random.Generator) -> None:
    """With noise, too: not all candidates, least squares for the true ones, a term more or less, nor a search."""
    env = EquationRecoveryEnv(track=track, episode_steps=1)
    seeds: dict[float, int] = {}
    for seed in range(40):
        seeds.setdefault(env.reset(seed=seed)[1]["noise"], seed)
    core: Any = env.core
    for noise in (0.0, 0.1):
        _, info = env.reset(seed=seeds[noise])
        action, everything = true_action(env, info), best_action(env)

        def reward(tried: NDArray[Any], seed: int = seeds[noise]) -> float:
            env.reset(seed=seed)
            return episode(env, [np.clip(tried, -1, 1).astype(np.float32)])[0][0]

        most = reward(action)
        assert most == pytest.approx(2.0, abs=2e-3)
        true, n = action != 0, core._n_terms
        kept = np.concatenate([fitted(core, kind, own) for kind, own in enumerate(true.reshape(-1, n))])
        others = [everything, np.where(np.abs(everything) < 0.003, 0.004, everything), kept, 0.9 * action, 1.1 * action]
        others += [np.where(np.arange(action.size) == i, 0, action) for i in np.flatnonzero(true)]
        others += [np.where(np.arange(action.size) == i, 0.004, action) for i in np.flatnonzero(~true)[:5]]
        assert max(map(reward, others)) < most
        centre, width = action.astype(float), np.full(action.size, 0.02)
        for _ in range(6):
            tried = centre + width * rng.standard_normal((24, action.size))
            values = np.array([reward(each) for each in tried])
            assert values.max() < most
            leaders = tried[np.argsort(-values)[:6]]
            centre, width = leaders.mean(axis=0), leaders.std(axis=0) + 1e-4


def fitted(core: Any, kind: int, own: NDArray[np.bool_]) -> Array:
    """Least squares for some terms of one kind of variable, as actions."""
    out = np.zeros(own.size)
    out[own] = np.linalg.solve(core._gram[0, 0, kind][np.ix_(own, own)], core._moment[0, 0, kind][own]) / 3.0
    return out


@pytest.mark.real_data
@pytest.mark.parametrize("track", ["single", "two-scale", "hidden"])
def test_returns_have_the_order_of_scores(track: str) -> None:
    """From nothing to the true equations, and with too many terms, by what the task gives the same texts."""
    env = EquationRecoveryEnv(track=track, split="test", episode_steps=1)
    _, info = env.reset(seed=1)
    task = EquationRecovery(track, noises=(0.0,), budgets=(5.0,), indices=(info["instance"],))
    true, everything = true_action(env, info), best_action(env)
    few = np.where(np.arange(true.size) % 2, true, 0.0)
    returns, scores = [], []
    for action in (0.0 * true, everything, few, *(scale * true for scale in (0.2, 0.4, 0.6, 0.8, 1.0))):
        env.reset(seed=1)
        (reward,), info = episode(env, [action.astype(np.float32)])
        returns.append(reward)
        scores.append(task.evaluate_equations(list(info["equations"])).score.value)
    more, better = (np.subtract.outer(values, values) for values in (returns, scores))
    assert (np.sign(more) == np.sign(better))[np.abs(more) > 0.02].all(), (returns, scores)
    assert scores == pytest.approx([50 * each for each in returns], abs=2.0), "states of the task are others"


@pytest.mark.slow
def test_observations_are_correlations_and_residuals(rng: np.random.Generator) -> None:
    env = EquationRecoveryEnv(episode_steps=3)
    first, info = env.reset(seed=6)
    assert first.shape == (3 * 21 + 1,)
    assert (np.abs(first[:21]) <= 1).all(), "Cauchy and Schwarz"
    assert np.array_equal(first[:21], first[21:42]), "nothing is explained yet"
    assert not first[42:63].any()
    assert first[63] == 1.0
    _, states = drawn(env, info)
    # The constant's correlation: the mean of the tendency over its root mean square, nearly, of central differences.
    interval = get_track("single").interval
    slope = (states[20:] - states[:-20]) / (20 * interval)
    assert first[0] == pytest.approx(slope.mean() / np.sqrt(np.square(slope).mean()), abs=0.02)
    best = best_action(env)
    second, *_ = env.step(best)
    assert second[42:63] == pytest.approx(np.where(np.abs(best) < 0.003, 0, best))
    assert np.abs(second[21:42]).max() < 0.01, "the normal equations"
    third, *_ = env.step(rng.uniform(-1, 1, 21).astype(np.float32))
    assert third[63] > second[63]
    assert env.observation_space.contains(third)


@pytest.mark.slow
def test_small_actions_leave_terms_out() -> None:
    env = EquationRecoveryEnv(episode_steps=1)
    env.reset(seed=0)
    action = np.full(21, 0.0029, np.float32)
    action[3] = -0.0031
    _, info = episode(env, [action])
    assert info["n_terms"] == 1
    (text,) = info["equations"]
    assert text.startswith("dX[k]/dt = -")
    assert text.endswith("*X[k]")
    env.reset(seed=0)
    (reward,), info = episode(env, [np.zeros(21, np.float32)])
    assert reward == 0.0
    assert info["equations"] == ("dX[k]/dt = 0",)


# Where the data come from.


@pytest.mark.real_data
def test_training_never_sees_the_instances_that_are_scored() -> None:
    registered = {instance.coefficients for instance in instances("single")}
    for split, same in (("train", False), ("valid", False), ("test", True)):
        env = EquationRecoveryVectorEnv(num_envs=3, split=split)
        _, infos = env.reset(seed=1)
        seed = {"train": 1, "valid": 2, "test": None}[split]
        for index in infos["instance"]:
            assert (draw_instance("single", int(index), seed).coefficients in registered) == same


@pytest.mark.slow
def test_every_episode_draws_its_data_from_the_track() -> None:
    env = EquationRecoveryVectorEnv(num_envs=100)
    _, infos = env.reset(seed=0)
    track = get_track("single")
    assert set(infos["noise"]) == set(track.noises)
    assert set(infos["budget"]) == set(track.budgets)
    assert set(infos["instance"]) == set(range(10))
    first, n_blocks = env._drawn[:, 2], env._drawn[:, 3]
    assert (first + n_blocks <= 20).all()
    assert len(set(first[n_blocks == 1])) > 5
    assert infos["equations"].tolist() == [()] * 100


@pytest.mark.slow
def test_hidden_variables_are_not_seen() -> None:
    env = EquationRecoveryEnv(track="hidden")
    _, info = env.reset(seed=0)
    assert env.action_space.shape == (21,)
    instance, states = drawn(env, info)
    assert instance.J == 32
    assert states.shape[1] == 8
    assert load_instance(instance).train_U is not None


# Rows, checkers and bad input.


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(("n", "threads", "agents"), [(1, 1, 1), (7, 2, 1), (64, 1, 1), (1024, 2, 1), (7, 1, 8)])
def test_every_row_is_the_scalar_environment(
    n: int, threads: int, agents: int, mode: AutoresetMode, rng: np.random.Generator, rows_are_scalars: Rows
) -> None:
    actions = rng.uniform(-1, 1, (8, n, 21 * agents)).astype(np.float32)
    options = {"agents": agents, "local": agents > 1, "threads": threads, "episode_steps": 3}
    rows_are_scalars(ID, actions, mode, **options)


@pytest.mark.slow
def test_points_have_equations_of_their_own(rng: np.random.Generator) -> None:
    rows = EquationRecoveryVectorEnv(num_envs=16, local=True, episode_steps=1)
    rows.reset(seed=3)
    action = rng.uniform(-0.5, 0.5, (16, 21)).astype(np.float32)
    action[5] = 0.0
    seen, rewards, _, truncated, infos = rows.step(action)
    assert truncated.all()
    assert rewards[5] == 0.0
    assert len(set(rewards)) == 16
    texts = infos["equations"][0]
    assert infos["equations"].tolist() == [infos["equations"][0]] * 8 + [infos["equations"][8]] * 8
    assert len(texts) == 8
    assert texts[5] == "dX[5]/dt = 0"
    assert len(EquationSet.parse(list(texts), 8).monomials(4)) == 21
    assert seen.shape == (16, 64)


@pytest.mark.real_data
@pytest.mark.parametrize("options", [{}, {"local": True}, {"track": "single-coarse", "split": "test"}])
def test_checkers_find_nothing(options: dict[str, Any]) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(ID, **options).unwrapped)
        checker.check_env(gymnasium.make(ID, **options).unwrapped)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(UnknownIdError, match=r"no track 'singel'.*'single'"):
        EquationRecoveryEnv(track="singel")
    with pytest.raises(UnknownIdError, match=r"no split 'shift'"):
        EquationRecoveryEnv(split="shift")
    with pytest.raises(L96BenchError, match="multiple of 8"):
        EquationRecoveryVectorEnv(num_envs=12, local=True)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"track": "two-scale"}, {"local": True}])
def test_the_picture_shows_the_equations_at_work(options: dict[str, Any]) -> None:
    env = EquationRecoveryEnv(render_mode="rgb_array", **options)
    env.reset(seed=1)
    empty = env.render()
    env.step(best_action(env))
    good = env.render()
    assert empty is not None
    assert good is not None
    assert empty.shape == good.shape == (400, 640, 3)
    left, middle = (slice(70, 230), slice(60, 220)), (slice(70, 230), slice(257, 417))
    assert np.array_equal(empty[left], good[left]), "the data"
    difference = np.abs(good[left].astype(float) - good[middle]).mean()
    assert difference < 0.5 * np.abs(good[left].astype(float) - empty[middle]).mean()
