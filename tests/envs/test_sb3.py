"""`SB3VecEnv` against stable-baselines3's own vector environments, over environments that are not ours."""

from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeAwareObservation
from gymnasium.wrappers.vector import DictInfoToList, NormalizeObservation, RecordEpisodeStatistics

sb3 = pytest.importorskip("stable_baselines3")
torch = pytest.importorskip("torch")

from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.evaluation import evaluate_policy  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize  # noqa: E402

from l96bench.envs.sb3 import SB3VecEnv  # noqa: E402
from l96bench.errors import L96BenchError  # noqa: E402

MODES = list(AutoresetMode)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Counter(gymnasium.Env):
    """Counts to a random length; observations, infos and ends of every kind that there is."""

    render_mode = "rgb_array"
    metadata: ClassVar = {"render_modes": ["rgb_array"]}
    observation_space = spaces.Dict({"count": spaces.Box(0, 99, (2,), np.float64), "parity": spaces.Discrete(2)})
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.limit = 0, int(self.np_random.integers(1, 6))
        self.offset = (options or {}).get("offset", 0)
        return self._observation(), {"limit": self.limit, "nested": {"vector": np.full(2, self.limit)}}

    def step(self, action):
        self.count += 1
        ended, kind = self.count >= self.limit, self.limit % 3
        info = {"count": self.count, "vector": np.full(3, self.count), "text": "even" if self.count % 2 == 0 else "odd"}
        if self.count == 2:
            info["rare"] = {"value": 2.0}
        return self._observation(), float(action[0]), ended and kind != 1, ended and kind != 0, info

    def _observation(self):
        count = np.array([self.count + self.offset, self.limit], dtype=np.float64)
        return {"count": count, "parity": self.count % 2}

    def render(self):
        return np.full((4, 5, 3), self.count, dtype=np.uint8)

    def double(self, number, plus=0):
        return 2 * number + plus


def cartpole():
    return gymnasium.make("CartPole-v1", max_episode_steps=15)


def pendulum():
    return TimeAwareObservation(gymnasium.make("Pendulum-v1", max_episode_steps=7))


def same(a, b):
    """Whether nested dictionaries, lists and arrays are equal, dtypes of arrays included."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return a.dtype == b.dtype and np.array_equal(a, b)
    return a == b


def frozen(value):
    """A copy of nested values that shares nothing with them."""
    if isinstance(value, dict):
        return {key: frozen(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [frozen(each) for each in value]
    return np.array(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", [cartpole, pendulum, Counter])
def test_equals_dummy_vec_env(make, mode):
    ours = SB3VecEnv(SyncVectorEnv([make] * 5, autoreset_mode=mode))
    theirs = DummyVecEnv([make] * 5)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    for env in (ours, theirs):
        env.seed(7)
        env.action_space.seed(3)
    if make is Counter:
        for env in (ours, theirs):
            env.set_options({"offset": 3})
    assert same(ours.reset(), theirs.reset())
    assert same(ours.reset_infos, theirs.reset_infos)
    history = []
    for _ in range(60):
        actions = np.stack([theirs.action_space.sample() for _ in range(5)])
        mine = ours.step(actions)
        assert same(mine, theirs.step(actions))
        assert same(ours.reset_infos, theirs.reset_infos)
        history.append((mine, frozen(mine)))
    assert any(dones.any() for (_, _, dones, _), _ in history)
    for returned, then in history:
        assert same(returned, then)


@pytest.mark.usefixtures("miniature_registry")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", ["SubgridForcing", "OnlineRollout"])
def test_our_batches_equal_dummy_vec_env_of_scalars(id, mode):
    options = {"split": "valid", "episode_steps": 5}
    ours = SB3VecEnv(gymnasium.make_vec(f"l96bench/{id}-v2", num_envs=4, autoreset_mode=mode, **options))
    theirs = DummyVecEnv([lambda: gymnasium.make(f"l96bench/{id}-v2", **options)] * 4)
    for env in (ours, theirs):
        env.seed(7)
    assert same(ours.reset(), theirs.reset())
    rng = np.random.default_rng(0)
    for step in range(23):
        actions = rng.uniform(-1, 1, (4, 8)).astype(np.float32)
        if step == 8:  # what blows up is terminated
            ours.venv.unwrapped.__dict__.get("_X", np.zeros(1))[0] = 1e7
            getattr(theirs.envs[0].unwrapped.core, "_X", np.zeros(1))[0] = 1e7
        mine, other = ours.step(actions), theirs.step(actions)
        assert same(mine, other)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_returned_can_be_changed(mode):
    ours, twin = (SB3VecEnv(SyncVectorEnv([pendulum] * 3, autoreset_mode=mode, copy=copy)) for copy in (False, True))
    for env in (ours, twin):
        env.seed(0)
    assert same(ours.reset(), twin.reset())
    for _ in range(20):
        actions = np.zeros((3, 1), dtype=np.float32)
        mine, other = ours.step(actions), twin.step(actions)
        assert same(mine, other)
        for array in (*mine[:3], *(info["terminal_observation"] for info in mine[3] if "terminal_observation" in info)):
            array[:] = 1
        for info in mine[3]:
            info.clear()


def test_asynchronous():
    ours = SB3VecEnv(AsyncVectorEnv([cartpole] * 2, autoreset_mode=AutoresetMode.NEXT_STEP))
    theirs = DummyVecEnv([cartpole] * 2)
    for env in (ours, theirs):
        env.seed(1)
    assert same(ours.reset(), theirs.reset())
    for _ in range(30):
        actions = np.ones(2, dtype=np.int64)
        assert same(ours.step(actions), theirs.step(actions))
    assert ours.get_attr("gravity") == [9.8, 9.8]
    ours.set_attr("gravity", 1.6, indices=1)
    assert ours.get_attr("gravity") == [9.8, 1.6]
    ours.close()


@pytest.mark.parametrize("mode", MODES)
def test_episode_statistics(mode):
    """Gymnasium's own wrapper of the batch counts what stable-baselines3's monitor of each environment counts."""
    ours = SB3VecEnv(RecordEpisodeStatistics(SyncVectorEnv([cartpole] * 4, autoreset_mode=mode)))
    theirs = make_vec_env(cartpole, n_envs=4)
    for env in (ours, theirs):
        env.seed(5)
        env.reset()
    episodes = 0
    for step in range(80):
        actions = np.array([step % 2, 1, 0, (step // 3) % 2])
        mine, other = ours.step(actions)[3], theirs.step(actions)[3]
        for a, b in zip(mine, other, strict=True):
            assert ("episode" in a) == ("episode" in b)
            if "episode" in a:
                episodes += 1
                assert a["episode"]["r"] == pytest.approx(b["episode"]["r"])
                assert a["episode"]["l"] == b["episode"]["l"]
    assert episodes > 20


def test_lists_of_infos():
    ours = SB3VecEnv(DictInfoToList(SyncVectorEnv([Counter] * 2, autoreset_mode=AutoresetMode.DISABLED)))
    ours.reset()
    assert ours.step(np.zeros((2, 1), dtype=np.float32))[3][0]["count"] == 1


def test_next_step_without_a_mask():
    """An environment that can only reset in the next step shows one idle step at the start of every episode."""
    venv = gymnasium.make_vec("CartPole-v1", num_envs=6)
    assert not isinstance(venv.unwrapped, SyncVectorEnv)
    with pytest.warns(UserWarning, match="idle step"):
        ours = SB3VecEnv(venv)
    ours.seed(0)
    ours.reset()
    before = np.zeros(6, dtype=bool)
    for _ in range(100):
        observations, rewards, dones, infos = ours.step(np.ones(6, dtype=np.int64))
        assert (rewards == ~before).all()
        assert not dones[before].any()
        assert (np.abs(observations[before]) <= 0.05).all()
        for row in np.flatnonzero(dones):
            assert same(infos[row]["terminal_observation"], observations[row])
        before = dones
    with pytest.warns(UserWarning, match="idle step"):
        normalized = SB3VecEnv(NormalizeObservation(SyncVectorEnv([cartpole] * 2)))
    normalized.reset()
    for _ in range(40):
        normalized.step(np.ones(2, dtype=np.int64))


def test_attributes_and_methods_of_rows():
    ours = SB3VecEnv(SyncVectorEnv([Counter] * 3))
    ours.seed(0)
    ours.reset()
    assert ours.get_attr("count") == [0, 0, 0]
    ours.set_attr("count", 4, indices=[0, 2])
    assert ours.get_attr("count") == [4, 0, 4]
    ours.set_attr("count", 1)
    assert ours.get_attr("count", indices=1) == [1]
    assert ours.env_method("double", 4, plus=1, indices=[2]) == [9]
    assert ours.has_attr("limit")
    assert not ours.has_attr("no_such_thing")
    wrapped = SB3VecEnv(SyncVectorEnv([pendulum] * 2))
    assert wrapped.env_is_wrapped(TimeAwareObservation) == [True, True]
    assert ours.env_is_wrapped(TimeAwareObservation, indices=[0]) == [False]
    statistics = SB3VecEnv(RecordEpisodeStatistics(SyncVectorEnv([Counter])))
    assert statistics.env_is_wrapped(RecordEpisodeStatistics) == [True]


def test_pictures_and_close():
    ours = SB3VecEnv(SyncVectorEnv([Counter] * 4))
    ours.reset()
    assert [image.shape for image in ours.get_images()] == [(4, 5, 3)] * 4
    assert ours.render().shape == (8, 10, 3)
    ours.close()
    assert ours.venv.closed


def test_seeds():
    ours = SB3VecEnv(SyncVectorEnv([Counter] * 3, autoreset_mode=AutoresetMode.SAME_STEP))
    assert ours.seed(11) == [11, 12, 13]
    first = ours.reset()
    ours.seed(11)
    assert same(first, ours.reset())
    limits = [frozen(ours.reset())["count"][:, 1] for _ in range(8)]
    assert len({tuple(each) for each in limits}) > 1
    assert ours.seed(None) != ours.seed(None)
    ours.set_options([{"offset": 1}, {"offset": 2}, {"offset": 3}])
    with pytest.raises(L96BenchError, match="same options"):
        ours.reset()


def test_bad_environments():
    with pytest.raises(TypeError, match="make_vec"):
        SB3VecEnv(cartpole())

    class Text(Counter):
        observation_space = spaces.Text(5)

    with pytest.raises(L96BenchError, match="cannot hold"):
        SB3VecEnv(SyncVectorEnv([Text]))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["PPO", "SAC", "TD3"])
def test_algorithms_train(algorithm):
    def make(mode):
        return SB3VecEnv(SyncVectorEnv([pendulum] * 4, autoreset_mode=mode))

    options = {"n_steps": 16, "batch_size": 32} if algorithm == "PPO" else {"learning_starts": 8}
    env = VecNormalize(VecMonitor(make(AutoresetMode.SAME_STEP)))
    model = getattr(sb3, algorithm)("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, seed=0, device="cpu", **options)
    model.learn(64)
    assert len(model.ep_info_buffer) > 4
    assert all(episode["l"] == 7 for episode in model.ep_info_buffer)
    env.training = False
    mean, _ = evaluate_policy(model, env, n_eval_episodes=5)
    assert np.isfinite(mean)


@pytest.mark.slow
def test_training_equals_that_through_dummy_vec_env():
    """Same seeds, same network: not one weight differs."""
    weights = []
    for env in (
        SB3VecEnv(SyncVectorEnv([cartpole] * 4, autoreset_mode=AutoresetMode.SAME_STEP)),
        SB3VecEnv(SyncVectorEnv([cartpole] * 4, autoreset_mode=AutoresetMode.NEXT_STEP)),
        DummyVecEnv([cartpole] * 4),
    ):
        model = sb3.PPO("MlpPolicy", env, n_steps=32, batch_size=64, n_epochs=2, seed=3, device="cpu")
        model.learn(256)
        weights.append(torch.cat([each.flatten() for each in model.policy.parameters()]).detach().numpy())
    assert np.array_equal(weights[0], weights[2])
    assert np.array_equal(weights[1], weights[2])
