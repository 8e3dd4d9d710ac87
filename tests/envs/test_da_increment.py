"""`DAIncrementEnv`: the cycle is the library's, the reward what it says, and every row the scalar environment."""

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

import l96bench.envs.da_increment as module
from l96bench.assimilation.archive import SPIN_UP, get_track, load_archive
from l96bench.assimilation.cycling import cycle
from l96bench.assimilation.models import ResolvedModel
from l96bench.assimilation.observations import Observations, Observed
from l96bench.envs.da_increment import INFLATIONS, DAIncrementEnv, DAIncrementVectorEnv
from l96bench.errors import L96BenchError, UnknownIdError

pytestmark = pytest.mark.real_data

Array = NDArray[np.float64]
Rows = Callable[..., None]
TRACKS = ("dense", "sparse")


def archive(track: str) -> dict[str, Array]:
    return load_archive(get_track(track), "train", False)


def action_of(increment: Array, track: str) -> NDArray[np.float32]:
    """The action that stands for an increment, from the documented map."""
    known = archive(track)["increment"]
    return ((increment - known.mean()) / (4.5 * known.std())).astype(np.float32)


def increment_of(action: NDArray[np.float32], track: str) -> Array:
    known = archive(track)["increment"]
    return known.mean() + 4.5 * known.std() * action.astype(np.float64)


def background_of(observation: NDArray[np.float32], track: str) -> Array:
    """The background mean that an observation shows."""
    known = archive(track)["background"]
    return known.mean() + known.std() * observation.astype(np.float64)


def unit(track: str) -> float:
    """The mean square error of the archive's backgrounds."""
    known = archive(track)
    return float(np.square(known["truth"][:, 1 + SPIN_UP :] - known["background"]).mean())


# The cycle.


@pytest.mark.parametrize("track", TRACKS)
def test_an_episode_is_a_cycle_of_the_library_under_the_same_tendency(track: str, rng: np.random.Generator) -> None:
    """From the first analysis on `assimilation.cycling` is run with the agent's tendency as closure."""
    n, steps = 3, 8
    env = DAIncrementVectorEnv(track, num_envs=n, episode_steps=steps)
    start, _ = env.reset(seed=4)
    action = rng.uniform(-0.1, 0.1, env.action_space.shape).astype(np.float32)
    ensembles, truth, seen = env._ensembles.copy(), env._truth.copy(), env._observed
    backgrounds = [background_of(env.step(action)[0], track) for _ in range(steps)]

    about, K = get_track(track), env.K
    first = Observed(seen.values[:, 0], seen.points[:, 0], seen.std[:, 0])
    analysis = about.filter.analyse(ensembles, first)
    mean = analysis.mean(axis=1, keepdims=True)
    analysis = mean + INFLATIONS[track] * (analysis - mean)
    U = increment_of(action, track) / about.window
    for i in range(n):
        model = ResolvedModel(about.regime, lambda X, U=U[i]: np.broadcast_to(U, X.shape))
        observations = Observations(seen.values[i, 1:], seen.points[i, 1:], seen.std[i, 1:], K, about.window)
        run = cycle(
            truth[i, :steps],
            model,
            about.filter,
            observations,
            initial=analysis[i],
            inflation=INFLATIONS[track],
            progress=False,
        )
        expected = run.background_mean[0]
        assert np.array([each[i] for each in backgrounds[:-1]]) == pytest.approx(expected, abs=1e-5)
    assert background_of(start, track) == pytest.approx(ensembles.mean(axis=1), abs=1e-5)


def test_with_zero_increments_and_its_inflation_the_archive_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started spun up, so that the error is that of the archive from the first windows on."""
    monkeypatch.setitem(INFLATIONS, "dense", get_track("dense").archive_inflation)
    env = DAIncrementVectorEnv(num_envs=200, episode_steps=30)
    _, infos = env.reset(seed=0)
    errors = [infos["background_rmse"]]
    action = np.broadcast_to(action_of(np.zeros(8), "dense"), env.action_space.shape)
    for _ in range(30):
        *_, infos = env.step(action)
        errors.append(infos["background_rmse"])
    known = np.sqrt(unit("dense"))
    pooled = np.sqrt(np.square(errors).mean(axis=1))
    assert pooled.mean() == pytest.approx(known, rel=0.03)
    assert pooled == pytest.approx(known, rel=0.1), "in every window"


@pytest.mark.parametrize(("track", "steps", "n"), [("dense", 60, 64), ("sparse", 40, 16)])
def test_the_fitted_linear_increment_assimilates_as_well_as_on_the_board(track: str, steps: int, n: int) -> None:
    """`leaderboard/results/da-increment`: background RMSE .575 (dense) and .467 (sparse) on the test segments."""
    known = archive(track)
    fitted = np.polyfit(known["background"].ravel(), known["increment"].ravel(), 1)
    env = DAIncrementVectorEnv(track, num_envs=n, episode_steps=steps + 1)
    observation, _ = env.reset(seed=0)
    errors = []
    for _ in range(steps):
        action = np.clip(action_of(np.polyval(fitted, background_of(observation, track)), track), -1, 1)
        observation, _, terminated, _, infos = env.step(action)
        errors.append(infos["background_rmse"])
        assert not terminated.any()
    board = {"dense": 0.575, "sparse": 0.467}[track]
    assert np.sqrt(np.square(errors[15:]).mean()) == pytest.approx(board, rel=0.1)


# The reward.


@pytest.mark.parametrize("track", TRACKS)
def test_the_reward_is_minus_the_squared_error(track: str, rng: np.random.Generator) -> None:
    env, points = DAIncrementVectorEnv(track, num_envs=5), DAIncrementVectorEnv(track, num_envs=5 * 40, local=True)
    if track == "dense":
        points = DAIncrementVectorEnv(track, num_envs=5 * 8, local=True)
    env.reset(seed=1)
    points.reset(seed=1)
    for _ in range(3):
        action = rng.uniform(-0.3, 0.3, env.action_space.shape).astype(np.float32)
        seen, rewards, _, _, infos = env.step(action)
        assert rewards * env.scale == pytest.approx(-np.square(infos["background_rmse"]) / unit(track), rel=1e-9)
        error = background_of(seen, track) - env._truth[np.arange(5), env.steps]
        assert infos["background_rmse"] == pytest.approx(np.sqrt(np.square(error).mean(axis=1)), rel=1e-4)
        local, own, _, _, _ = points.step(action.reshape(-1, 1))
        assert own.reshape(5, -1).mean(axis=1) == pytest.approx(rewards, rel=1e-9)
        assert own.std() > 0
        stencils = np.stack([np.roll(seen, -offset, axis=1) for offset in range(-2, 3)], axis=2)
        assert np.array_equal(local.reshape(stencils.shape), stencils)


@pytest.mark.parametrize("track", TRACKS)
def test_the_exact_correction_removes_most_of_the_error(track: str) -> None:
    """What the background without correction lacks of the truth, told by a twin."""
    env, twin = (DAIncrementVectorEnv(track, num_envs=64) for _ in range(2))
    env.reset(seed=9)
    twin.reset(seed=9)
    nothing = np.broadcast_to(action_of(np.zeros(env.K), track), env.action_space.shape)
    seen, without, *_ = twin.step(nothing)
    lacking = env._truth[:, 1] - background_of(seen, track)
    _, exact, *_ = env.step(np.clip(action_of(lacking, track), -1, 1))
    assert (exact > without).all()
    assert exact.mean() > 0.2 * without.mean()


def test_a_filter_that_diverges_ends_its_episode_and_no_other() -> None:
    env = DAIncrementVectorEnv(num_envs=6, autoreset_mode="Disabled")
    env.reset(seed=2)
    alone = DAIncrementVectorEnv(num_envs=6)
    alone.reset(seed=2)
    action = np.zeros((6, 8), np.float32)
    action[3] = np.tile([1.0, -1.0], 4)
    limit = archive("dense")["truth"].std()
    for _ in range(40):
        seen, rewards, terminated, truncated, infos = env.step(action)
        others, *_ = alone.step(np.zeros((6, 8), np.float32))
        assert np.array_equal(np.delete(seen, 3, axis=0), np.delete(others, 3, axis=0))
        assert (terminated == (infos["background_rmse"] > limit)).all()
        if terminated.any():
            break
    assert np.flatnonzero(terminated).tolist() == [3]
    assert 1 < env.steps[3] < 30
    left = 100 - env.steps[3] + 1
    assert rewards[3] == pytest.approx(-left * limit**2 / unit("dense") / env.scale), "as if all that is left were lost"
    assert not truncated.any()
    assert env.observation_space.contains(seen)


def test_members_that_leave_the_finite_numbers_end_it_too() -> None:
    env = DAIncrementEnv()
    env.reset(seed=0)
    env.core._ensembles[:] = 1e200  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen, reward, terminated, truncated, info = env.step(np.zeros(8, np.float32))
    assert terminated
    assert not truncated
    assert np.isfinite(reward)
    assert env.observation_space.contains(seen)
    assert not np.isfinite(info["background_rmse"])


# The start.


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_an_episode_starts_from_a_cycle_of_its_split(split: str) -> None:
    env = DAIncrementVectorEnv(num_envs=20, split=split)
    seen, _ = env.reset(seed=3)
    data = load_archive(get_track("dense"), split, False)
    cycles = data["background"].reshape(-1, 8)
    found = [int(np.abs(cycles - row).max(axis=1).argmin()) for row in background_of(seen, "dense")]
    assert background_of(seen, "dense") == pytest.approx(cycles[found], abs=1e-5)
    assert len(set(found)) > 15
    assert env._ensembles.std(axis=1, ddof=1) == pytest.approx(data["spread"].reshape(-1, 8)[found], rel=1e-9)
    errors = env._observed.values - np.take_along_axis(env._truth[:, :-1], env._observed.points, axis=2)
    assert errors.std() == pytest.approx(1.0, abs=0.03), "the track's observation error"
    assert abs(np.corrcoef(errors[0].ravel(), errors[1].ravel())[0, 1]) < 0.15
    before = env._truth.copy()
    env.reset()
    assert not np.array_equal(env._truth, before), "the next episode is another one"
    env.reset(seed=3)
    assert np.array_equal(env._truth, before)


def test_sparse_observations_are_of_random_points() -> None:
    env = DAIncrementVectorEnv("sparse", num_envs=2, episode_steps=50)
    env.reset(seed=0)
    points = env._observed.points
    assert points.shape == (2, 50, 20)
    assert all(len(set(each)) == 20 for each in points.reshape(-1, 20).tolist())
    assert not np.array_equal(points[0, 0], points[0, 1])


# Rows and scalars.


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(("n", "threads", "agents"), [(1, 1, 1), (7, 2, 1), (64, 1, 1), (7, 1, 8)])
def test_every_row_is_the_scalar_environment(
    n: int, threads: int, agents: int, mode: AutoresetMode, rng: np.random.Generator, rows_are_scalars: Rows
) -> None:
    actions = rng.uniform(-1, 1, (11, n, 8)).astype(np.float32)
    actions[:, 1::2] *= 0.2
    options = {"agents": agents, "local": agents > 1, "threads": threads, "episode_steps": 4}
    rows_are_scalars("l96bench/DAIncrement-v2", actions, mode, **options)


def test_every_sparse_row_is_the_scalar_environment(rng: np.random.Generator, rows_are_scalars: Rows) -> None:
    actions = rng.uniform(-1, 1, (7, 5, 40)).astype(np.float32)
    options = {"track": "sparse", "threads": 2, "episode_steps": 3}
    rows_are_scalars("l96bench/DAIncrement-v2", actions, AutoresetMode.NEXT_STEP, **options)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_row_of_a_large_batch_is_too(threads: int, rng: np.random.Generator, rows_are_scalars: Rows) -> None:
    actions = rng.uniform(-1, 1, (4, 1024, 8)).astype(np.float32)
    rows_are_scalars("l96bench/DAIncrement-v2", actions, AutoresetMode.SAME_STEP, threads=threads, episode_steps=3)


# Checkers and bad input.


@pytest.mark.parametrize("options", [{}, {"local": True}, {"track": "sparse", "split": "test"}])
def test_checkers_find_nothing(options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("l96bench/DAIncrement-v2", **options).unwrapped)
        checker = pytest.importorskip("stable_baselines3.common.env_checker")
        checker.check_env(gymnasium.make("l96bench/DAIncrement-v2", **options).unwrapped)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(UnknownIdError, match=r"no track 'dens'.*'dense'"):
        DAIncrementEnv(track="dens")
    with pytest.raises(UnknownIdError, match=r"no split 'tests'.*'test'"):
        DAIncrementEnv(split="tests")
    with pytest.raises(L96BenchError, match="episode_steps below the 400 cycles"):
        DAIncrementEnv(split="test", episode_steps=400)
    with pytest.raises(L96BenchError, match="multiple of 8"):
        DAIncrementVectorEnv(num_envs=12, local=True)
    DAIncrementEnv(split="test", episode_steps=399).reset(seed=0)


def test_every_track_has_an_inflation_of_its_grid() -> None:
    for track in TRACKS:
        assert INFLATIONS[track] in get_track(track).inflations
    assert set(module.INFLATIONS) == set(TRACKS)


def test_the_picture_shows_truth_background_and_error() -> None:
    env = DAIncrementEnv(render_mode="rgb_array", episode_steps=10)
    env.reset(seed=0)
    frames = [env.render()]
    for _ in range(10):
        env.step(np.zeros(8, np.float32))
        frames.append(env.render())
    assert len({frame.tobytes() for frame in frames if frame is not None}) == 11
    records, gone = env.core._history.of(0)  # type: ignore[union-attr]
    assert gone == 0
    truth, background, error = records
    assert np.array_equal(truth, env.core._truth[0])  # type: ignore[attr-defined]
    assert np.array_equal(background - truth, error)


@pytest.mark.parametrize("track", TRACKS)
def test_a_start_and_infos(track: str) -> None:
    """An episode begins at the segment and cycle that are asked for; `info` knows the truth there."""
    env = DAIncrementEnv(track=track, split="test", episode_steps=9, info=True)
    seen, info = env.reset(seed=0, options={"start": (3, 200)})
    data = load_archive(get_track(track), "test", False)
    assert background_of(seen, track) == pytest.approx(data["background"][3, 200], abs=1e-5)
    assert np.array_equal(info["truth"], data["truth"][3, SPIN_UP + 201])
    assert np.sqrt(np.square(info["error"]).mean()) == pytest.approx(info["background_rmse"])
    *_, info = env.step(np.zeros(env.action_space.shape, np.float32))
    assert info["time"] == pytest.approx(get_track(track).window)
    with pytest.raises(L96BenchError, match="a trajectory below 10 and a sample below 391"):
        env.reset(options={"start": (3, 391)})
