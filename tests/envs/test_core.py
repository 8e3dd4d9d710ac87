"""The batched core: rows are scalar environments, bit for bit, in every autoreset mode as Gymnasium has it."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from l96bench.envs.core import BatchedEnv
from l96bench.envs.scalar import ScalarEnv
from l96bench.errors import ActionError, EpisodeError, L96BenchError, UnknownIdError

pytestmark = pytest.mark.usefixtures("miniature_registry")

MODES = ("NextStep", "SameStep", "Disabled")


class WalksVector(BatchedEnv):
    """Random walks that the action pushes: each point is an agent; ends at +-1, at random times, with infos."""

    def __init__(self, num_envs: int = 2, *, episode_steps: int = 6, **options: Any) -> None:
        box = spaces.Box(-1.0, 1.0, (1,), np.float32)
        super().__init__(
            num_envs // 2, agents=2, observation_space=box, action_space=box, episode_steps=episode_steps, **options
        )
        self.places = np.zeros((self.n_systems, 2))

    def _begin(self, systems: NDArray[np.intp]) -> None:
        for i in systems:
            self.places[i] = self.generators[i].uniform(-0.5, 0.5, 2)

    def _advance(self, actions: Any, active: Any, rewards: Any, terminated: Any) -> None:
        assert actions.shape == (self.n_systems, 2)

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                if active[i]:
                    self.places[i] = np.clip(self.places[i] + 0.5 * actions[i], -1.0, 1.0)
                    rewards[i] = -self.places[i]
                    terminated[i] = np.abs(self.places[i]).max() == 1.0

        self.over_systems(work)

    def _observe(self, out: NDArray[np.float32]) -> None:
        out[:] = self.places

    def _infos(self) -> dict[str, NDArray[Any]]:
        return {"sum": self.places.sum(axis=1), "both": self.places, "steps": self.steps}


class Walks(ScalarEnv):
    core_class: ClassVar[type[Any]] = WalksVector


ROLLOUT, UNSEEN = "l96bench/OnlineRollout-v2", "l96bench/UnseenPhysics-v1"
ENVIRONMENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("l96bench/SubgridForcing-v2", {"episode_steps": 7}),
    ("l96bench/SubgridForcing-v2", {"episode_steps": 7, "local": True, "split": "test", "regime": "arnold-c4"}),
    (ROLLOUT, {"episode_steps": 7}),
    (ROLLOUT, {"episode_steps": 7, "local": True}),
    (ROLLOUT, {"episode_steps": 7, "reward": "tendency", "regime": "three-scale"}),
    (ROLLOUT, {"episode_steps": 23, "reward": "climate"}),
    (ROLLOUT, {"episode_steps": 7, "reward": "ensemble", "local": True, "members": 3}),
    (ROLLOUT, {"episode_steps": 9, "reward": "ensemble", "max_episode_steps": 5}),
    (UNSEEN, {"episode_steps": 12}),
    (UNSEEN, {"episode_steps": 12, "local": True, "told": True, "past": 3}),
    (UNSEEN, {"episode_steps": 12, "reward": "tendency", "past": True, "max_episode_steps": 7}),
)
everywhere = pytest.mark.parametrize(("id", "options"), ENVIRONMENTS, ids=lambda value: str(value))


def rows(native: BatchedEnv, values: Any) -> NDArray[Any]:
    """Values of rows as those of the scalar environments of the systems."""
    return np.asarray(values).reshape(native.n_systems, -1)


def assert_alike(native: BatchedEnv, reference: SyncVectorEnv, n_steps: int) -> None:
    """Random actions over several episodes give the same bits in both, and the same infos."""
    first, _ = native.reset(seed=11)
    expected, _ = reference.reset(seed=11)
    assert rows(native, first).tobytes() == expected.tobytes()
    rng = np.random.default_rng(0)
    for _ in range(n_steps):
        actions = rng.uniform(-1, 1, native.action_space.shape).astype(np.float32)
        observations, rewards, terminated, truncated, infos = native.step(actions)
        expected, *ends, their_infos = reference.step(rows(native, actions))
        assert rows(native, observations).tobytes() == expected.tobytes()
        np.testing.assert_array_equal(rows(native, rewards).mean(axis=1), ends[0])
        for mine, theirs in ((terminated, ends[1]), (truncated, ends[2])):
            assert (rows(native, mine) == theirs[:, None]).all()
        assert ("final_obs" in infos) == ("final_obs" in their_infos)
        for row in np.flatnonzero(their_infos.get("_final_obs", [])):
            mine = infos["final_obs"].reshape(native.n_systems, -1)[row]
            assert np.concatenate(mine).tobytes() == their_infos["final_obs"][row].tobytes()
        if "final_obs" in infos:
            ended = rows(native, infos["_final_obs"])
            assert (ended == their_infos["_final_obs"][:, None]).all()
            assert all(value is None for value in infos["final_obs"][~ended.ravel()])
        done = terminated | truncated
        if native.autoreset_mode is AutoresetMode.DISABLED and done.any():
            again, _ = native.reset(options={"reset_mask": done})
            expected, _ = reference.reset(options={"reset_mask": rows(native, done)[:, 0].copy()})
            assert rows(native, again).tobytes() == expected.tobytes()


@pytest.mark.slow
@everywhere
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("n", "threads"), [(1, 1), (7, 2), (64, 2)])
def test_rows_are_scalar_environments(id: str, options: dict[str, Any], mode: str, n: int, threads: int) -> None:
    agents = (8 if options.get("local") else 1) * options.get("members", 2 if "ensemble" in options.values() else 1)
    native = gymnasium.make_vec(id, num_envs=n * agents, autoreset_mode=mode, threads=threads, **options)
    scalars = [lambda: gymnasium.make(id, disable_env_checker=True, **options)] * n
    assert_alike(native, SyncVectorEnv(scalars, autoreset_mode=mode), 2 * options["episode_steps"] + 3)
    native.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threads", [1, 2])
def test_rows_of_a_large_batch_are_scalar_environments(mode: str, threads: int) -> None:
    options: dict[str, Any] = {"episode_steps": 3, "render_mode": None}
    native = gymnasium.make_vec(ROLLOUT, num_envs=1024, autoreset_mode=mode, threads=threads, **options)
    scalars = [lambda: gymnasium.make(ROLLOUT, **options).unwrapped] * 1024
    assert_alike(native, SyncVectorEnv(scalars, autoreset_mode=mode), 8)
    native.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threads", [1, 3])
def test_episodes_may_end_at_different_times(mode: str, threads: int) -> None:
    native = WalksVector(14, autoreset_mode=mode, threads=threads)
    assert_alike(native, SyncVectorEnv([Walks] * 7, autoreset_mode=mode), 60)


@pytest.mark.parametrize("mode", MODES[:2])
def test_infos_are_those_of_gymnasium(mode: str) -> None:
    native, reference = WalksVector(14, autoreset_mode=mode), SyncVectorEnv([Walks] * 7, autoreset_mode=mode)
    native.reset(seed=3)
    reference.reset(seed=3)
    rng = np.random.default_rng(0)
    finals = 0
    for _ in range(40):
        actions = rng.uniform(-1, 1, (14, 1)).astype(np.float32)
        mine, theirs = native.step(actions)[-1], reference.step(actions.reshape(7, 2))[-1]
        assert mine.keys() == theirs.keys()
        parts = [(mine, theirs)]
        if "final_info" in mine:
            finals += 1
            parts.append((mine["final_info"], theirs["final_info"]))
        for ours, other in parts:
            for name in ("sum", "_sum", "both", "steps", "_steps"):
                np.testing.assert_array_equal(ours[name][::2], other[name])
                np.testing.assert_array_equal(ours[name][1::2], other[name])
    assert (finals > 0) == (mode == "SameStep")


def test_a_system_draws_from_gymnasiums_generator_of_its_seed() -> None:
    env = WalksVector(6)
    env.reset(seed=40)
    assert env.np_random_seed == (40, 41, 42)
    expected = [seeding.np_random(40 + i)[0].uniform(-0.5, 0.5, 2) for i in range(3)]
    np.testing.assert_array_equal(env.places, expected)
    env.reset(seed=[7, None, 9])
    np.testing.assert_array_equal(env.places[0], seeding.np_random(7)[0].uniform(-0.5, 0.5, 2))
    second = seeding.np_random(41)[0]
    second.uniform(-0.5, 0.5, 2)
    np.testing.assert_array_equal(env.places[1], second.uniform(-0.5, 0.5, 2))


def test_without_a_seed_every_environment_is_another() -> None:
    first, second = WalksVector(2), WalksVector(2)
    assert first.reset()[0].tobytes() != second.reset()[0].tobytes()


def test_gymnasiums_generator_may_be_replaced() -> None:
    env = Walks()
    env.np_random = np.random.default_rng(5)
    env.reset()
    np.testing.assert_array_equal(env.core.places[0], np.random.default_rng(5).uniform(-0.5, 0.5, 2))
    env.reset(seed=1)
    assert env.np_random_seed == 1
    np.testing.assert_array_equal(env.core.places[0], seeding.np_random(1)[0].uniform(-0.5, 0.5, 2))


@pytest.mark.slow
def test_a_mask_resets_some_and_leaves_the_others() -> None:
    env = gymnasium.make_vec(ROLLOUT, num_envs=4, autoreset_mode="Disabled")
    env.reset(seed=0)
    actions = np.full((4, 8), 0.3, dtype=np.float32)
    before = env.step(actions)[0]
    mask = np.array([True, False, False, True])
    options = {"reset_mask": mask}
    after, _ = env.reset(seed=90, options=options)
    assert options == {"reset_mask": mask}
    assert (after[1:3] == before[1:3]).all()
    fresh, _ = env.unwrapped.reset(seed=90)
    assert (after[[0, 3]] == fresh[[0, 3]]).all()


def test_observations_are_new_arrays() -> None:
    env = gymnasium.make_vec(ROLLOUT, num_envs=3, episode_steps=2, autoreset_mode="SameStep")
    first, _ = env.reset(seed=0)
    kept = first.copy()
    actions = np.zeros((3, 8), dtype=np.float32)
    second = env.step(actions)[0]
    third, *_, infos = env.step(actions)
    final = np.array(list(infos["final_obs"]))
    third[:] = 0.0
    env.step(actions)
    assert (first == kept).all()
    assert not np.shares_memory(second, third)
    assert (np.array(list(infos["final_obs"])) == final).all()


BAD_ACTIONS: dict[str, tuple[Any, str]] = {
    "shape": (np.zeros((3, 7), np.float32), r"shape \(3, 8\), got \(3, 7\)"),
    "one row": (np.zeros(8, np.float32), r"shape \(3, 8\), got \(8,\)"),
    "integers": (np.zeros((3, 8), np.int64), "int64.*astype"),
    "booleans": (np.zeros((3, 8), bool), "bool"),
    "objects": (np.full((3, 8), None), "object"),
    "ragged": ([[0.0] * 8, [0.0], [0.0]], "shape"),
    "complex": (np.zeros((3, 8), complex), "complex128"),
    "text": ("left", "shape"),
    "nothing": (None, "object"),
    "NaN": (np.where(np.arange(24).reshape(3, 8) == 9, np.nan, 0.0), r"nan at \(1, 1\)"),
    "infinite": (np.full((3, 8), -np.inf), "-inf"),
    "huge": (np.full((3, 8), 1e300), r"1e\+300"),
    "above": (np.full((3, 8), 1.01, np.float32), r"\[-1, 1\], got 1.01 at \(0, 0\)"),
}


@pytest.mark.parametrize("case", BAD_ACTIONS)
@pytest.mark.parametrize("local", [False, True])
def test_bad_actions_are_errors_that_change_nothing(case: str, local: bool) -> None:
    actions, message = BAD_ACTIONS[case]
    env = gymnasium.make_vec(ROLLOUT, num_envs=3)
    twin = gymnasium.make_vec(ROLLOUT, num_envs=3)
    for each in (env, twin):
        each.reset(seed=1)
    good = np.random.default_rng(0).uniform(-1, 1, (3, 8))
    env.step(good)
    twin.step(good)
    with pytest.raises(ActionError, match=message):
        env.step(actions)
    assert env.step(good)[0].tobytes() == twin.step(good)[0].tobytes()
    scalar = gymnasium.make(ROLLOUT, local=local)
    scalar.reset(seed=1)
    with pytest.raises(ActionError):
        scalar.step(actions[0] if case == "one row" else actions)
    scalar.step(good[0])


def test_actions_of_any_floating_type_are_cast_and_rounding_errors_cut_off() -> None:
    env = gymnasium.make(ROLLOUT)
    actions = np.array([1.0, -1.0, 0.25, 0.5, 0.0, -0.5, 1.0, -1.0])
    beyond = np.where(np.abs(actions) == 1.0, actions * (1 + 5e-7), actions)
    kept = beyond.copy()
    seen = set()
    for given in (actions.astype(np.float32), actions, actions.astype(np.float16), actions.tolist(), beyond):
        env.reset(seed=0)
        seen.add(env.step(given)[0].tobytes())
    assert len(seen) == 1
    assert (beyond == kept).all()


def test_stepping_before_a_reset_is_an_error() -> None:
    actions = np.zeros((2, 8), np.float32)
    env = gymnasium.make_vec(ROLLOUT, num_envs=2)
    with pytest.raises(EpisodeError, match=r"reset\(\) before the first step"):
        env.step(actions)
    with pytest.raises(EpisodeError, match="first reset of all rows"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset()
    env.step(actions)
    scalar = gymnasium.make(ROLLOUT).unwrapped
    with pytest.raises(EpisodeError, match=r"reset\(\) before the first step"):
        scalar.step(actions[0])


def test_stepping_after_the_end_is_an_error() -> None:
    env = gymnasium.make_vec(ROLLOUT, num_envs=2, episode_steps=1, autoreset_mode="Disabled")
    actions = np.zeros((2, 8), np.float32)
    env.reset(seed=0)
    last = env.step(actions)[0]
    with pytest.raises(EpisodeError, match=r"rows whose episodes have ended, \[0, 1\].*reset_mask"):
        env.step(actions)
    half, _ = env.reset(options={"reset_mask": np.array([True, False])})
    assert (half[1] == last[1]).all()
    with pytest.raises(EpisodeError, match=r"\[1\]"):
        env.step(actions)
    env.reset()
    env.step(actions)
    scalar = gymnasium.make(ROLLOUT, episode_steps=1)
    scalar.reset()
    assert scalar.step(actions[0])[3] is True
    with pytest.raises(EpisodeError, match="reset"):
        scalar.step(actions[0])
    scalar.reset()
    scalar.step(actions[0])


def test_closing() -> None:
    env = gymnasium.make_vec(ROLLOUT, num_envs=4, threads=2)
    env.reset()
    env.step(np.zeros((4, 8), np.float32))
    env.close()
    env.close()
    for use in (env.reset, lambda: env.step(np.zeros((4, 8), np.float32))):
        with pytest.raises(EpisodeError, match="closed"):
            use()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"regime": "wilks-f2"}, UnknownIdError, "wilks-f20"),
        ({"regime": "lorenz96-k40"}, UnknownIdError, "no regime 'lorenz96-k40' with data"),
        ({"reward": "forcast"}, UnknownIdError, "Did you mean 'forecast'"),
        ({"split": "train-fine"}, UnknownIdError, "'train'"),
        ({"episode_steps": 0}, L96BenchError, "episode_steps as a whole number from 1 on, got 0"),
        ({"episode_steps": 2.5}, L96BenchError, "episode_steps"),
        ({"episode_steps": 10**9}, L96BenchError, "episode_steps below"),
        ({"render_mode": "ansi"}, UnknownIdError, "render_mode"),
        ({"reward": "climate", "episode_steps": 19}, L96BenchError, "from 20 on"),
    ],
)
def test_bad_options_are_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    from l96bench.envs.online_rollout import OnlineRolloutEnv, OnlineRolloutVectorEnv

    for make in (OnlineRolloutEnv, OnlineRolloutVectorEnv):
        with pytest.raises(error, match=message):
            make(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"autoreset_mode": "next-step"}, UnknownIdError, "NextStep"),
        ({"num_envs": 0}, L96BenchError, "num_envs"),
        ({"num_envs": 12, "local": True}, L96BenchError, "multiple of 8.*try 8 or 16"),
        ({"threads": 0}, L96BenchError, "threads"),
        ({"max_episode_steps": -1}, L96BenchError, "max_episode_steps"),
    ],
)
def test_bad_options_of_batches_are_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gymnasium.make_vec(ROLLOUT, **{"num_envs": 8, **options})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": [1]}, "sequence of 2"),
        ({"seed": "now"}, "seed"),
        ({"options": {"mask": 1}}, "no option 'mask'"),
        ({"options": {"reset_mask": [1, 0]}}, "boolean array"),
        ({"options": {"reset_mask": np.ones(3, bool)}}, r"shape \(2,\)"),
        ({"options": {"reset_mask": np.zeros(2, bool)}}, "true somewhere"),
    ],
)
def test_bad_resets_are_errors_that_change_nothing(arguments: dict[str, Any], message: str) -> None:
    env, twin = (gymnasium.make_vec(ROLLOUT, num_envs=2) for _ in range(2))
    for each in (env, twin):
        each.reset(seed=0)
    with pytest.raises(L96BenchError, match=message):
        env.reset(**arguments)
    actions = np.zeros((2, 8), np.float32)
    assert env.step(actions)[0].tobytes() == twin.step(actions)[0].tobytes()
    assert env.reset()[0].tobytes() == twin.reset()[0].tobytes()


def test_rows_of_a_system_are_reset_together() -> None:
    env = gymnasium.make_vec(ROLLOUT, num_envs=16, local=True)
    env.reset(seed=0)
    with pytest.raises(L96BenchError, match="8 rows of each system"):
        env.reset(options={"reset_mask": np.arange(16) < 4})
    env.reset(options={"reset_mask": np.arange(16) < 8})


def test_a_time_limit_truncates_and_changes_nothing_else() -> None:
    """As Gymnasium's `TimeLimit` does: the same starts and rewards as without it."""
    free, limited = (
        gymnasium.make_vec(ROLLOUT, num_envs=3, episode_steps=9, max_episode_steps=limit) for limit in (None, 2)
    )
    assert free.reset(seed=0)[0].tobytes() == limited.reset(seed=0)[0].tobytes()
    for truncated in (False, True):
        steps = [env.step(np.full((3, 8), 0.1, np.float32)) for env in (free, limited)]
        assert steps[0][0].tobytes() == steps[1][0].tobytes()
        assert steps[0][1].tobytes() == steps[1][1].tobytes()
        assert (steps[1][3] == truncated).all()
        assert not steps[0][3].any()
    longer = gymnasium.make_vec(ROLLOUT, num_envs=1, episode_steps=1, max_episode_steps=5)
    longer.reset(seed=0)
    assert longer.step(np.zeros((1, 8), np.float32))[3].all(), "the lower of two limits holds"


@pytest.mark.parametrize("id", [ROLLOUT, "l96bench/SubgridForcing-v2"])
def test_a_start_may_be_given(id: str) -> None:
    """The place is the one asked for, and what is drawn later is as it would have been."""
    batch, plain = (gymnasium.make_vec(id, num_envs=3, episode_steps=4) for _ in range(2))
    first, _ = batch.reset(seed=0, options={"start": [[0, 5], [0, 9], [0, 7]]})
    assert batch.unwrapped.at.tolist() == [[0, 5], [0, 9], [0, 7]]
    scalar = gymnasium.make(id, episode_steps=4)
    for row, sample in enumerate((5, 9, 7)):
        assert scalar.reset(options={"start": (0, sample)})[0].tobytes() == first[row].tobytes()
    plain.reset(seed=0)
    assert batch.reset()[0].tobytes() == plain.reset()[0].tobytes()
    batch.reset(options={"reset_mask": np.array([False, True, False]), "start": [0, 3]})
    assert batch.unwrapped.at[1].tolist() == [0, 3]
    last = len(batch.unwrapped._truth) - 5
    batch.reset(options={"start": [0, last]})
    for bad in ([0, last + 1], [1, 0], [-1, 0], [0.0, 1.0], [0], [[0, 1]] * 2, "here"):
        with pytest.raises(L96BenchError, match="expected start as whole numbers"):
            batch.reset(options={"start": bad})


def test_infos_for_critics() -> None:
    """Truth, error and time are in `info` where they are asked for; agents see the same as without."""
    options: dict[str, Any] = {"local": True, "episode_steps": 3, "autoreset_mode": "SameStep"}
    env, plain = (gymnasium.make_vec(ROLLOUT, num_envs=16, info=info, **options) for info in (True, False))
    assert not env.reset(seed=0)[1]["error"].any()
    plain.reset(seed=0)
    rng = np.random.default_rng(0)
    for step in range(1, 4):
        actions = rng.uniform(-1, 1, (16, 1)).astype(np.float32)
        *mine, infos = env.step(actions)
        *theirs, nothing = plain.step(actions)
        assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
        assert not {"truth", "error", "time"} & nothing.keys()
        found = infos["final_info"] if step == 3 else infos
        own = found["error"][np.arange(16), np.tile(np.arange(8), 2)] / env.unwrapped.scaling.std_X
        np.testing.assert_allclose(-np.square(own) / env.unwrapped.scale, mine[1], rtol=1e-9)
        np.testing.assert_allclose(found["time"], 0.01 * step)
        if step < 3:
            np.testing.assert_array_equal(found["truth"][::8], env.unwrapped.truth)
    with pytest.raises(L96BenchError, match="knows no truth"):
        gymnasium.make("l96bench/EquationRecovery-v2", info=True)
