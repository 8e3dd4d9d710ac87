"""What Gymnasium knows of the environments, and what its checkers and wrappers say to them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import vector as vector_wrappers

from l96bench.data.splits import DATA_REGIMES
from l96bench.envs import registration
from l96bench.envs.online_rollout import REWARDS
from l96bench.errors import L96BenchError
from l96bench.tasks.registry import make_task

pytestmark = pytest.mark.usefixtures("miniature_registry")

ROLLOUT, FORCING, UNSEEN = (
    f"l96bench/{name}" for name in ("OnlineRollout-v2", "SubgridForcing-v2", "UnseenPhysics-v1")
)
OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(
        (id, options | {"local": local, "regime": regime})
        for regime in ("wilks-f20", "arnold-c4", "three-scale")
        for local in (False, True)
        for id, options in [(FORCING, {}), *((ROLLOUT, {"reward": reward}) for reward in REWARDS)]
    ),
    (ROLLOUT, {"reward": "ensemble", "local": True, "past": 2, "noise": [0.1]}),
    (ROLLOUT, {"past": 1, "noise": [0.05, 0.5]}),
    (FORCING, {"past": 3}),
    (UNSEEN, {"local": True}),
    (UNSEEN, {"track": "extrapolate", "told": True, "reward": "tendency"}),
    (UNSEEN, {"told": True, "past": 3, "local": True}),
)
every_option = pytest.mark.parametrize(("id", "options"), OPTIONS, ids=lambda value: str(value))


@pytest.fixture
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.slow
def test_importing_registers_and_importing_again_does_no_harm() -> None:
    ids = list(registration.ENVIRONMENTS)
    program = (
        "import warnings; warnings.simplefilter('error')\n"
        "import l96bench, importlib, sys, json\n"
        "importlib.reload(l96bench)\n"
        "from gymnasium.envs.registration import registry\n"
        "heavy = {'torch', 'stable_baselines3', 'numba', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "print(json.dumps([[id for id in registry if id.startswith('l96bench/')], sorted(heavy)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [ids, []]


@pytest.mark.usefixtures("_no_warnings")
def test_every_entry_point_is_there() -> None:
    registration.register()
    for id in registration.ENVIRONMENTS:
        spec = gymnasium.spec(id)
        for entry_point, base in ((spec.entry_point, gymnasium.Env), (spec.vector_entry_point, VectorEnv)):
            module, name = str(entry_point).split(":")
            assert issubclass(getattr(importlib.import_module(module), name), base)


def test_making_an_id_by_its_module() -> None:
    assert gymnasium.make(f"l96bench:{FORCING}").unwrapped.core.num_envs == 1


@pytest.mark.slow
@every_option
@pytest.mark.usefixtures("_no_warnings")
def test_gymnasium_has_nothing_to_complain_about(id: str, options: dict[str, Any]) -> None:
    check_env(gymnasium.make(id, **options).unwrapped)
    check_env(gymnasium.make(id, render_mode="rgb_array", **options).unwrapped)
    wrapped = gymnasium.make(id, render_mode="rgb_array", **options)
    wrapped.reset(seed=0)
    for _ in range(3):
        _, reward, terminated, truncated, _ = wrapped.step(wrapped.action_space.sample())
        assert [type(each) for each in (reward, terminated, truncated)] == [float, bool, bool]
        assert wrapped.render().dtype == np.uint8


@pytest.mark.slow
@every_option
@pytest.mark.usefixtures("_no_warnings")
def test_stable_baselines_has_nothing_to_complain_about(id: str, options: dict[str, Any]) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(gymnasium.make(id, render_mode="rgb_array", **options), skip_render_check=False)
    checker.check_env(gymnasium.make(id, **options).unwrapped)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [*AutoresetMode, *(mode.value for mode in AutoresetMode)])
def test_specs_survive_json(mode: AutoresetMode | str) -> None:
    options = {"regime": "arnold-c4", "local": True, "episode_steps": 5, "reward": "tendency"}
    scalar = gymnasium.make(ROLLOUT, **options)
    again = gymnasium.make(EnvSpec.from_json(scalar.spec.to_json()))
    assert again.reset(seed=1)[0].tobytes() == scalar.reset(seed=1)[0].tobytes()
    assert again.spec == scalar.spec
    batch = gymnasium.make_vec(ROLLOUT, num_envs=16, autoreset_mode=mode, threads=2, **options)
    same = gymnasium.make_vec(EnvSpec.from_json(batch.spec.to_json()))
    assert same.reset(seed=1)[0].tobytes() == batch.reset(seed=1)[0].tobytes()
    assert same.metadata == batch.metadata
    assert same.metadata["autoreset_mode"] is AutoresetMode(mode)
    assert (same.unwrapped.threads, same.num_envs, same.unwrapped.episode_steps) == (2, 16, 5)


@pytest.mark.parametrize(("id", "options"), [(ROLLOUT, {}), (UNSEEN, {"told": True, "past": 2})])
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_gymnasiums_own_batches_hold_the_scalar_environments(
    vectorization: str, id: str, options: dict[str, Any]
) -> None:
    if vectorization == "async" and sys.platform != "linux":
        pytest.skip("needs forked processes, which hold the miniature data")
    env = gymnasium.make_vec(id, num_envs=2, vectorization_mode=vectorization, episode_steps=6, **options)
    native = gymnasium.make_vec(id, num_envs=2, episode_steps=6, **options)
    assert env.reset(seed=0)[0].tobytes() == native.reset(seed=0)[0].tobytes()
    actions = np.full((2, 8), 0.5, np.float32)
    for _ in range(9):
        assert env.step(actions)[0].tobytes() == native.step(actions)[0].tobytes()
    env.close()


@pytest.mark.slow
def test_tasks_make_their_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for id, expected in (("subgrid-forcing/arnold-c4-v1", FORCING), ("online-rollout/arnold-c4-v2", ROLLOUT)):
        task = make_task(id)
        scalar, batch = task.make_env(episode_steps=9), task.make_env(24, local=True, threads=2)
        assert scalar.spec.id == batch.spec.id == expected
        assert scalar.unwrapped.core.regime.id == batch.unwrapped.regime.id == "arnold-c4"
        assert scalar.unwrapped.core.episode_steps == 9
        assert (batch.num_envs, batch.unwrapped.n_systems) == (24, 3)
        with pytest.raises(L96BenchError, match="regime"):
            task.make_env(regime="nowhere")
    unseen = make_task("unseen-physics/extrapolate-v1").make_env(16, local=True, told=True)
    assert (unseen.spec.id, unseen.unwrapped.track, unseen.unwrapped.n_systems) == (UNSEEN, "extrapolate", 2)
    remembering = make_task("subgrid-forcing-memory/arnold-c4-v1").make_env(24, local=True)
    assert (remembering.spec.id, remembering.observation_space.shape) == (FORCING, (24, 55))
    monkeypatch.setattr(type(task), "env_id", None)
    with pytest.raises(L96BenchError, match="no environment"):
        task.make_env()


def test_every_regime_with_data_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def made(id: str) -> Any:
        asked.append(id)
        raise RuntimeError

    monkeypatch.setattr("l96bench.envs.scaling.make_task", made)
    for regime in DATA_REGIMES:
        for id in (FORCING, ROLLOUT):
            with pytest.raises(RuntimeError):
                gymnasium.make(id, regime=regime)
    assert asked == [f"subgrid-forcing/{regime}-v1" for regime in DATA_REGIMES for _ in range(2)]


def stepped(env: VectorEnv, n_steps: int = 12) -> list[tuple[Any, ...]]:
    """Random actions in an environment of any autoreset mode."""
    env.reset(seed=0)
    env.action_space.seed(0)
    seen = []
    for _ in range(n_steps):
        seen.append(env.step(env.action_space.sample()))
        ended = seen[-1][2] | seen[-1][3]
        if env.unwrapped.autoreset_mode is AutoresetMode.DISABLED and ended.any():
            env.reset(options={"reset_mask": ended})
    return seen


WRAPPERS = {
    "NormalizeObservation": vector_wrappers.NormalizeObservation,
    "NormalizeReward": vector_wrappers.NormalizeReward,
    "ClipAction": vector_wrappers.ClipAction,
    "ClipReward": lambda env: vector_wrappers.ClipReward(env, -1.0, 1.0),
    "RescaleAction": lambda env: vector_wrappers.RescaleAction(env, np.float32(-3.0), np.float32(1.7)),
    "RescaleObservation": lambda env: vector_wrappers.RescaleObservation(env, np.float32(-1.0), np.float32(1.0)),
    "FlattenObservation": vector_wrappers.FlattenObservation,
    "DictInfoToList": vector_wrappers.DictInfoToList,
}


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("id", [ROLLOUT, FORCING])
@pytest.mark.usefixtures("_no_warnings")
def test_wrappers(id: str, wrapper: str, mode: AutoresetMode) -> None:
    refused = {AutoresetMode.SAME_STEP: "Observation", AutoresetMode.DISABLED: "NormalizeObservation"}
    if refused.get(mode, "-") in wrapper:
        pytest.skip("Gymnasium's wrapper does not take this mode")
    env = gymnasium.make_vec(id, num_envs=8, episode_steps=5, autoreset_mode=mode)
    for observations, rewards, *_ in stepped(WRAPPERS[wrapper](env)):
        assert np.isfinite(observations).all()
        assert np.isfinite(rewards).all()


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
def test_episode_statistics(mode: AutoresetMode) -> None:
    plain = gymnasium.make_vec(ROLLOUT, num_envs=4, episode_steps=5, autoreset_mode=mode)
    rewards = np.array([step[1] for step in stepped(plain)])
    env = vector_wrappers.RecordEpisodeStatistics(
        gymnasium.make_vec(ROLLOUT, num_envs=4, episode_steps=5, autoreset_mode=mode)
    )
    ends = [step[4]["episode"] for step in stepped(env) if "episode" in step[4]]
    assert [end["l"].tolist() for end in ends] == [[5] * 4] * 2
    np.testing.assert_allclose(ends[0]["r"], rewards[:5].sum(axis=0))
    second = slice(6, 11) if mode is AutoresetMode.NEXT_STEP else slice(5, 10)
    np.testing.assert_allclose(ends[1]["r"], rewards[second].sum(axis=0))


def test_scalar_wrappers() -> None:
    env = gymnasium.make(ROLLOUT, max_episode_steps=4)
    env = wrappers.RecordEpisodeStatistics(wrappers.NormalizeReward(wrappers.NormalizeObservation(env)))
    env = wrappers.TimeAwareObservation(wrappers.FrameStackObservation(env, 3))
    env.reset(seed=0)
    for _ in range(4):
        *_, truncated, infos = env.step(env.action_space.sample())
    assert truncated
    assert infos["episode"]["l"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("id", [ROLLOUT, FORCING])
def test_videos(id: str, tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    env = gymnasium.make_vec(id, num_envs=2, episode_steps=4, render_mode="rgb_array")
    folder = str(tmp_path / "videos")
    video = vector_wrappers.RecordVideo(env, folder, episode_trigger=lambda episode: True, disable_logger=True)
    frames = []
    video.reset(seed=0)
    for _ in range(6):
        video.step(video.action_space.sample())
        frames.append(env.render()[0])
    video.close()
    assert len(list(tmp_path.glob("videos/*.mp4"))) == 2
    assert len({frame.tobytes() for frame in frames}) == 6


def test_rendering_without_a_mode_gives_nothing() -> None:
    env = gymnasium.make_vec(ROLLOUT, num_envs=2)
    env.reset()
    assert env.render() is None
    local = gymnasium.make_vec(ROLLOUT, num_envs=8, local=True, render_mode="rgb_array")
    with pytest.raises(L96BenchError, match="reset"):
        local.render()
    local.reset()
    assert len(local.render()) == 8
