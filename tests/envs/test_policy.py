"""Trained policies as closures and ONNX files, against what stable-baselines3 and onnxruntime say."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import l96bench
from l96bench.assimilation.archive import get_track, load_archive
from l96bench.data.instances import draw_instance
from l96bench.data.recovery import observe
from l96bench.equations import EquationSet
from l96bench.errors import ModelError
from l96bench.tasks.parts import count_parameters

sb3 = pytest.importorskip("stable_baselines3")
torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from gymnasium import wrappers  # noqa: E402
from gymnasium.wrappers import vector  # noqa: E402
from stable_baselines3.common.monitor import Monitor  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize  # noqa: E402

from l96bench.envs.equation_policy import EquationPolicy  # noqa: E402
from l96bench.envs.policy import PolicyClosure, SquashedPolicyClosure, StochasticPolicyClosure  # noqa: E402
from l96bench.envs.recurrent_policy import RecurrentPolicyClosure  # noqa: E402
from l96bench.envs.sb3 import SB3VecEnv  # noqa: E402
from l96bench.envs.state_noise_policy import StateNoisePolicyClosure  # noqa: E402
from l96bench.envs.training import LearningCurveCallback  # noqa: E402

ID = "l96bench/SubgridForcing-v2"


@pytest.fixture(autouse=True)
def _miniatures(miniature_registry: Path) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def batch(local: bool = True, id: str = ID, **options: Any) -> SB3VecEnv:
    return SB3VecEnv(gymnasium.make_vec(id, num_envs=16, local=local, **options))


def untrained(algorithm: str, env: Any, activation: Any = torch.nn.Tanh, **options: Any) -> Any:
    """A model with large random weights, so that actions reach the ends of their box."""
    kwargs = {"net_arch": [6, 5], "activation_fn": activation} | options
    library = sb3 if hasattr(sb3, algorithm) else pytest.importorskip("sb3_contrib")
    model = getattr(library, algorithm)("MlpPolicy", env, policy_kwargs=kwargs, seed=1, device="cpu")
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for each in model.policy.parameters():
            each.copy_(torch.randn(each.shape, generator=generator))
    return model


def acted(model: Any, env: Any, X: np.ndarray) -> np.ndarray:
    """What stable-baselines3 says that the policy does in the states X, as U."""
    core = env.venv.unwrapped if isinstance(env, SB3VecEnv) else env.unwrapped.core
    observations = core.scaling.observation(X, local=core.local)
    inputs = model.observation_space.shape[0]
    actions, _ = model.predict(observations.reshape(-1, inputs), deterministic=True)
    return core.scaling.forcing(actions).reshape(X.shape)


@pytest.fixture
def states(rng: np.random.Generator) -> np.ndarray:
    """States on the attractor, far outside of it, and beyond the bounds of observations."""
    return rng.normal(3.0, 5.0, (200, 8)) * np.repeat([1.0, 3.0, 20.0], [150, 25, 25])[:, None]


@pytest.mark.slow
@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "TD3", "SAC", "DDPG", "TQC"])
def test_equals_the_policy(algorithm: str, local: bool, states: np.ndarray, tmp_path: Path) -> None:
    env = batch(local)
    model = untrained(algorithm, env)
    closure = PolicyClosure.from_sb3(model)
    U = closure.predict(states)
    assert U.dtype == np.float64
    np.testing.assert_allclose(U, acted(model, env, states), atol=2e-4)
    low, high = env.venv.unwrapped.scaling.forcing([-1.0, 1.0])
    assert low <= U.min() < low + 0.1
    assert high - 0.1 < U.max() <= high
    session = onnxruntime.InferenceSession(closure.to_onnx(tmp_path / "closure.onnx"))
    exported = session.run(["U"], {"X": states})[0]
    np.testing.assert_allclose(exported, U, rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("activation", ["Tanh", "ReLU", "GELU", "SiLU"])
def test_activations(activation: str, states: np.ndarray, tmp_path: Path) -> None:
    env = batch()
    model = untrained("PPO", env, getattr(torch.nn, activation))
    closure = PolicyClosure.from_sb3(model)
    np.testing.assert_allclose(closure.predict(states), acted(model, env, states), rtol=1e-5, atol=2e-4)
    path = closure.to_onnx(tmp_path / "closure.onnx")
    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    assert [(each.domain, each.version) for each in file.opset_import] == [("", 17)]
    [x], [u] = file.graph.input, file.graph.output
    assert (x.name, u.name) == ("X", "U")
    assert [each.type.tensor_type.shape.dim[1].dim_value for each in (x, u)] == [8, 8]
    exported = onnxruntime.InferenceSession(path).run(None, {"X": states[:150]})[0]
    np.testing.assert_allclose(exported, closure.predict(states[:150]), rtol=1e-5, atol=2e-4)


@pytest.mark.slow
def test_a_trained_policy(tmp_path: Path) -> None:
    """One training from environment to board: closure, parameters, ONNX to 1e-5, score."""
    options = {"n_steps": 64, "batch_size": 128, "gamma": 0.0, "learning_rate": 3e-3, "n_epochs": 5}
    env = VecMonitor(batch())
    model = sb3.PPO("MlpPolicy", env, **options, policy_kwargs={"log_std_init": -1.0}, seed=0, device="cpu")
    model.learn(12_000)
    closure = PolicyClosure.from_sb3(model)
    task = l96bench.make_task("subgrid-forcing/wilks-f20-v1")
    X = np.array(task.valid.X)
    exported = onnxruntime.InferenceSession(closure.to_onnx(tmp_path / "c.onnx")).run(None, {"X": X})[0]
    np.testing.assert_allclose(exported, closure.predict(X), atol=1e-5)
    assert closure.n_parameters == 5 * 64 + 64 + 64 * 64 + 64 + 64 + 1
    assert count_parameters(closure) == closure.n_parameters
    assert l96bench.as_closure(closure) is closure
    assert task.score(closure) > 20
    assert task.score(closure) == task.score(l96bench.OnnxClosure((tmp_path / "c.onnx").read_bytes()))
    run = l96bench.rollout(closure, X[:3], 1.0, regime="wilks-f20")
    assert run.survived.all()
    assert repr(closure) == "PolicyClosure(5-64-64-1, K=8)"


@pytest.mark.slow
@pytest.mark.parametrize("local", [True, False])
def test_a_policy_of_increments_is_a_model_for_the_task(local: bool) -> None:
    """Its increments are those that the environment makes of its actions, by the archive's means and deviations."""
    env = batch(local, id="l96bench/DAIncrement-v2", split="valid")
    model = untrained("PPO", env)
    with torch.no_grad():
        for each in model.policy.parameters():
            each.mul_(0.3)  # so that most actions are inside of their box
    closure, archived = PolicyClosure.from_sb3(model), load_archive(get_track("dense"), "train")["increment"]
    observations, _ = env.venv.reset(seed=3)
    actions = model.predict(observations, deterministic=True)[0].reshape(-1, 8)
    increments = archived.mean() + 4.5 * archived.std() * actions.astype(float)
    backgrounds = env.venv.unwrapped._background
    np.testing.assert_allclose(closure.predict(backgrounds), increments, atol=2e-4)
    assert np.ptp(increments) > archived.std()
    task = l96bench.make_task("da-increment/dense-v1")
    assert task.evaluate(closure).metrics["r2_increment"].value < 0  # its weights are random


@pytest.mark.slow
@pytest.mark.parametrize(("track", "local"), [("single", False), ("single-coarse", True), ("two-scale", False)])
def test_a_policy_of_equations_writes_what_it_writes_in_its_environment(track: str, local: bool) -> None:
    """Given the states of an episode alone, it ends with the equations of that episode."""
    batched = gymnasium.make_vec("l96bench/EquationRecovery-v2", num_envs=8, track=track, local=local, split="valid")
    model = untrained("PPO", SB3VecEnv(batched))
    policy = EquationPolicy.from_sb3(model)
    env = gymnasium.make("l96bench/EquationRecovery-v2", track=track, local=local, split="valid")
    seen, info = env.reset(seed=5)
    over = False
    while not over:
        actions, _ = model.predict(seen.reshape(-1, *model.observation_space.shape), deterministic=True)
        seen, _, _, over, info = env.step(actions.ravel())
    core: Any = env.unwrapped.core  # type: ignore[attr-defined]
    instance = draw_instance(core.track.base, info["instance"], 2)
    states, time = observe(instance, core.track, info["noise"])
    first = 5.0 * core._drawn[0, 2]
    inside = (time >= first - 1e-9) & (time < first + info["budget"] + 20.5 * core.track.interval)
    found = EquationSet.parse(policy.fit(states[inside], time[inside]).equations(), 8, instance.observed_J)
    expected = EquationSet.parse(list(info["equations"]), 8, instance.observed_J)
    assert found.support == expected.support
    np.testing.assert_allclose(found.tendency(states[:50]), expected.tendency(states[:50]), rtol=1e-3, atol=1e-3)
    assert np.ptp(found.tendency(states[:50])) > 1.0
    with pytest.raises(ModelError, match=r"variables every .* MTU"):
        policy.fit(states, 2 * time)
    with pytest.raises(ModelError, match=r"variables every .* MTU"):
        policy.fit(states[:, :6], time)


@pytest.mark.slow
@pytest.mark.parametrize("local", [True, False])
def test_a_recurrent_policy_remembers_as_it_did(local: bool, states: np.ndarray, tmp_path: Path) -> None:
    """Step by step the actions of sb3-contrib, from the start of a run on; so does the file."""
    contrib = pytest.importorskip("sb3_contrib")
    env = batch(local, id="l96bench/OnlineRollout-v2", autoreset_mode="SameStep")
    kwargs = {"net_arch": [6, 5], "lstm_hidden_size": 7, "n_lstm_layers": 2}
    model = contrib.RecurrentPPO("MlpLstmPolicy", env, policy_kwargs=kwargs, seed=1, device="cpu")
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for each in model.policy.parameters():
            each.copy_(torch.randn(each.shape, generator=generator))
    closure = PolicyClosure.from_sb3(model)
    assert isinstance(closure, RecurrentPolicyClosure)
    core: Any = env.venv.unwrapped
    file = l96bench.read_closure(closure.to_onnx(tmp_path / "closure.onnx").read_bytes(), 8)
    for each in (closure, file):
        each.start(50, np.random.default_rng(0))
    kept, found = None, []
    for X in states.reshape(4, 50, 8):
        seen = core.scaling.observation(X, local=local).reshape(-1, *model.observation_space.shape)
        actions, kept = model.predict(seen, state=kept, deterministic=True)
        found.append(closure.step(X))
        np.testing.assert_allclose(found[-1], core.scaling.forcing(actions).reshape(X.shape), atol=5e-4)
        np.testing.assert_allclose(file.step(X), found[-1], rtol=1e-5, atol=2e-4)  # single precision
    closure.start(50, np.random.default_rng(0))
    assert np.abs(closure.step(states[150:]) - found[-1]).max() > 0.1  # it had a past
    closure.start(50, np.random.default_rng(1))
    np.testing.assert_array_equal(closure.step(states[:50]), found[0])
    parts = [model.policy.lstm_actor, model.policy.mlp_extractor.policy_net, model.policy.action_net]
    own = sum(each.numel() for part in parts for each in part.parameters())
    assert closure.n_parameters == own - 2 * 4 * 7  # torch has two biases for each gate
    with pytest.raises(ModelError, match="without memory"):
        StochasticPolicyClosure.from_sb3(model)
    with pytest.raises(ModelError, match="expected a recurrent policy"):
        RecurrentPolicyClosure.from_sb3(untrained("PPO", env))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["PPO", "SAC", "TD3", "TQC"])
def test_policies_in_jax(algorithm: str, states: np.ndarray) -> None:
    sbx = pytest.importorskip("sbx")
    env = batch(id="l96bench/OnlineRollout-v2")
    model = getattr(sbx, algorithm)("MlpPolicy", env, seed=1)
    closure = PolicyClosure.from_sb3(model)
    np.testing.assert_allclose(closure.predict(states), acted(model, env, states), atol=2e-4)
    assert np.ptp(closure.predict(states)) > 0.01


@pytest.mark.slow
def test_a_policy_that_keeps_its_noise(states: np.ndarray) -> None:
    env = batch(id="l96bench/OnlineRollout-v2", split="valid")
    model = sb3.PPO("MlpPolicy", env, policy_kwargs={"log_std_init": -2.0}, seed=0, device="cpu")
    closure, mean = StochasticPolicyClosure.from_sb3(model), PolicyClosure.from_sb3(model)
    X = states[:150]
    np.testing.assert_array_equal(closure.predict(X), mean.predict(X))
    core = env.venv.unwrapped
    drawn = np.stack(
        [
            core.scaling.forcing(model.predict(core.scaling.observation(X, local=True), deterministic=False)[0])
            for _ in range(40)
        ]
    )
    ours = closure.sample(X, 40, np.random.default_rng(0))
    spread = 4.5 * core.scaling.std_U * np.exp(-2)
    assert ours.shape == (40, 150, 8)
    for each in (drawn.reshape(ours.shape), ours):
        assert np.std(each - mean.predict(X)) == pytest.approx(spread, rel=0.01)
    steps = []
    for _ in range(2):
        closure.start(150, np.random.default_rng(7))
        steps.append([closure.step(X), closure.step(X)])
    np.testing.assert_array_equal(steps[0], steps[1])
    assert np.corrcoef((steps[0] - mean.predict(X)).reshape(2, -1))[0, 1] == pytest.approx(0, abs=0.1)
    assert not l96bench.as_closure(closure).deterministic
    with pytest.raises(ModelError, match="normal distribution"):
        StochasticPolicyClosure.from_sb3(untrained("TD3", env))


@pytest.mark.slow
@pytest.mark.parametrize("every", [3, -1])
@pytest.mark.parametrize(("local", "squash_output"), [(True, False), (False, True)])
def test_noise_that_is_a_function_of_the_state(
    local: bool, squash_output: bool, every: int, states: np.ndarray, tmp_path: Path
) -> None:
    """With stable-baselines3's own weights it acts as there, and draws them from its distribution, as often."""
    env = batch(local, id="l96bench/OnlineRollout-v2", split="valid")
    kwargs = {"net_arch": [6, 5], "log_std_init": -1.0, "full_std": False, "squash_output": squash_output}
    model = sb3.PPO("MlpPolicy", env, use_sde=True, sde_sample_freq=every, policy_kwargs=kwargs, seed=1, device="cpu")
    closure, X = StochasticPolicyClosure.from_sb3(model), states[:100]
    assert isinstance(closure, StateNoisePolicyClosure)
    np.testing.assert_allclose(closure.predict(X), acted(model, env, X), atol=1e-4)
    seen = env.venv.unwrapped.scaling.observation(X, local=local).reshape(-1, *model.observation_space.shape)
    model.policy.reset_noise(len(seen))
    actions, _ = model.predict(seen, deterministic=False)
    weights = model.policy.action_dist.exploration_matrices.detach().numpy() / closure.std
    mine = closure.drawn(np.clip(closure.observed(X), closure.actor.low, closure.actor.high), weights)
    np.testing.assert_allclose(mine, actions, atol=1e-5)
    assert np.abs(mine - closure.actor.actions(closure.observed(X))).max() > 0.1
    file = l96bench.read_closure(closure.to_onnx(tmp_path / "closure.onnx").read_bytes(), 8)
    runs = []
    for each in (closure, file):
        each.start(100, np.random.default_rng(0))
        runs.append(np.array([each.step(X) for _ in range(7)]))
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-3)
    alike = [bool(np.array_equal(one, other)) for one, other in pairwise(runs[0])]
    assert alike == ([True] * 6 if every < 0 else [True, True, False, True, True, False])
    many = closure.sample(X[:2], 4000, np.random.default_rng(1))
    two = seen[: len(seen) // 50]
    model.policy.reset_noise(4000 * len(two))
    theirs = model.predict(np.tile(two, (4000, 1)), deterministic=False)[0]
    theirs = env.venv.unwrapped.scaling.forcing(theirs).reshape(4000, 2, 8)
    np.testing.assert_allclose(many.std(axis=0), theirs.std(axis=0), rtol=0.06)


@pytest.mark.slow
def test_gsde_of_other_algorithms_is_refused() -> None:
    env = batch()
    for algorithm in ("SAC", "TQC"):
        library = sb3 if algorithm == "SAC" else pytest.importorskip("sb3_contrib")
        model = getattr(library, algorithm)("MlpPolicy", env, use_sde=True, buffer_size=16, device="cpu")
        with pytest.raises(ModelError, match="gSDE of PPO or A2C alone"):
            PolicyClosure.from_sb3(model)
    model = sb3.PPO("MlpPolicy", env, use_sde=True, policy_kwargs={"activation_fn": torch.nn.SiLU}, device="cpu")
    with pytest.raises(ModelError, match="tanh or relu"):
        StochasticPolicyClosure.from_sb3(model)
    with pytest.raises(ModelError, match="use_sde=True and hidden layers"):
        StateNoisePolicyClosure.from_sb3(untrained("PPO", env))


@pytest.mark.parametrize("algorithm", ["SAC", "TQC"])
def test_noise_that_is_squashed_with_the_action(algorithm: str, states: np.ndarray, tmp_path: Path) -> None:
    """Middle and deviation are those of the library's actor; the mean is that of many draws; so is the file."""
    env, X = batch(id="l96bench/OnlineRollout-v2", split="valid"), states[:150]
    model = untrained(algorithm, env)
    with torch.no_grad():
        for each in model.policy.parameters():
            each.mul_(0.4)  # so that few actions are at the ends
    closure: Any = StochasticPolicyClosure.from_sb3(model)
    assert isinstance(closure, SquashedPolicyClosure)
    scaling = env.venv.unwrapped.scaling
    with torch.no_grad():
        seen = torch.from_numpy(scaling.observation(X, local=True))
        middle, log_std, _ = model.policy.actor.get_action_dist_params(seen)
    middle, deviation = middle.numpy().astype(float), log_std.exp().numpy().astype(float)
    noise = np.random.default_rng(3).standard_normal(X.shape).reshape(middle.shape)
    closure.start(150, np.random.default_rng(3))
    expected = scaling.forcing(np.tanh(middle + deviation * noise)).reshape(X.shape)
    np.testing.assert_allclose(closure.step(X), expected, atol=5e-4)
    drawn = closure.sample(X, 4000, np.random.default_rng(1))
    off = (drawn.mean(axis=0) - closure.predict(X)) / (drawn.std(axis=0) / np.sqrt(4000) + 1e-9)
    assert np.sqrt((off**2).mean()) == pytest.approx(1.0, abs=0.1)
    file: Any = l96bench.read_closure(closure.to_onnx(tmp_path / "closure.onnx").read_bytes(), 8)
    file.start(150, np.random.default_rng(3))
    closure.start(150, np.random.default_rng(3))
    for _ in range(3):
        np.testing.assert_allclose(file.step(X), closure.step(X), atol=2e-4)
        np.testing.assert_allclose(file.last_mean, closure.last_mean, atol=2e-4)
    with pytest.raises(ModelError, match="SAC and TQC"):
        SquashedPolicyClosure.from_sb3(untrained("PPO", env))


def test_normalized_observations(states: np.ndarray) -> None:
    env = VecNormalize(batch(), clip_obs=1.5)
    env.reset()
    for _ in range(20):
        env.step(np.zeros((16, 1), dtype=np.float32))
    env.training = False
    model = untrained("PPO", env)
    closure = PolicyClosure.from_sb3(model)
    observations = env.normalize_obs(env.venv.venv.unwrapped.scaling.observation(states, local=True))
    assert np.abs(observations).max() == 1.5
    actions, _ = model.predict(observations, deterministic=True)
    U = env.venv.venv.unwrapped.scaling.forcing(actions).reshape(states.shape)
    np.testing.assert_allclose(closure.predict(states), U, atol=2e-4)


@pytest.mark.parametrize("local", [True, False])
def test_scalar_environments(local: bool, states: np.ndarray) -> None:
    """stable-baselines3 wraps a scalar environment by itself; with local=True it observes all stencils at once."""
    env = gymnasium.make(ID, local=local)
    model = untrained("PPO", Monitor(env))
    np.testing.assert_allclose(
        PolicyClosure.from_sb3(model).predict(states), acted(model, env, states), rtol=1e-5, atol=2e-4
    )


def test_an_environment_given_later(states: np.ndarray, tmp_path: Path) -> None:
    env = batch(id="l96bench/OnlineRollout-v2", split="valid")
    model = untrained("PPO", env)
    expected = PolicyClosure.from_sb3(model).predict(states)
    model.save(tmp_path / "model")
    loaded = sb3.PPO.load(tmp_path / "model", device="cpu")
    with pytest.raises(ModelError, match="from_sb3"):
        PolicyClosure.from_sb3(loaded)
    np.testing.assert_array_equal(PolicyClosure.from_sb3(loaded, env).predict(states), expected)


def inside(env: Any) -> Any:
    """The batched environment in any wrappers."""
    while not hasattr(env, "scaling"):
        name = next(name for name in ("envs", "venv", "env", "core") if hasattr(env, name))
        env = env.envs[0] if name == "envs" else getattr(env, name)
    return env


def as_it_acts(model: Any, env: Any, states: np.ndarray) -> np.ndarray:
    """What reaches the environment, as U, when an agent is shown states through its wrappers one by one."""
    core, vec = inside(env), env
    seen: list[np.ndarray] = []
    original = core._advance
    core._advance = lambda actions, *rest: (seen.append(actions.copy()), original(actions, *rest))[1]  # type: ignore[func-returns-value]
    try:
        for start in states:
            shown = core.scaling.observation(start[None], local=core.local)
            if isinstance(vec, VecNormalize):
                shown = vec.normalize_obs(shown)
            actions, _ = model.predict(shown, deterministic=True)
            vec.reset()
            vec.step(actions)
    finally:
        core._advance = original
    return core.scaling.forcing(np.array(seen)).reshape(len(states), -1)


WRAPPED: dict[str, Any] = {
    "rescaled batch": lambda: SB3VecEnv(vector.RescaleAction(rows(), np.float32(-3), np.float32(7))),
    "rescaled twice": lambda: SB3VecEnv(
        vector.RescaleAction(vector.RescaleAction(rows(), np.float32(0), np.float32(1)), np.float32(-3), np.float32(7))
    ),
    "rescaled scalar": lambda: DummyVecEnv(
        [lambda: wrappers.RescaleAction(gymnasium.make(ID), np.float32(-3), np.float32(7))]
    ),
    "rescaled and normalized": lambda: VecNormalize(
        VecMonitor(SB3VecEnv(vector.RescaleAction(rows(), np.float32(-3), np.float32(7)))), clip_obs=1.5
    ),
}


def rows() -> Any:
    return gymnasium.make_vec(ID, num_envs=8, local=True)


@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_are_taken_along(name: str, algorithm: str, states: np.ndarray) -> None:
    """Against what reaches the environment when the agent acts in it."""
    env = WRAPPED[name]()
    if isinstance(env, VecNormalize):
        env.obs_rms.mean, env.obs_rms.var, env.training = np.linspace(-0.5, 0.5, 5), np.linspace(0.2, 3.0, 5), False
    model = untrained(algorithm, env)
    some = states[::10]
    U = PolicyClosure.from_sb3(model).predict(some)
    np.testing.assert_allclose(U, as_it_acts(model, env, some), atol=5e-4)
    assert U.std() > 0.5


def test_a_loaded_agent_gets_its_wrappers_from_the_environment_beside_it(states: np.ndarray, tmp_path: Path) -> None:
    env = WRAPPED["rescaled and normalized"]()
    env.obs_rms.mean, env.obs_rms.var, env.training = np.linspace(-0.5, 0.5, 5), np.linspace(0.2, 3.0, 5), False
    model = untrained("PPO", env)
    expected = PolicyClosure.from_sb3(model).predict(states)
    model.save(tmp_path / "model")
    env.save(tmp_path / "normalize")
    loaded = sb3.PPO.load(tmp_path / "model", device="cpu")
    beside = VecNormalize.load(
        str(tmp_path / "normalize"), SB3VecEnv(vector.RescaleAction(rows(), np.float32(-3), np.float32(7)))
    )
    np.testing.assert_array_equal(PolicyClosure.from_sb3(loaded, beside).predict(states), expected)
    for wrong in (batch(), VecNormalize.load(str(tmp_path / "normalize"), batch())):
        with pytest.raises(ModelError, match=r"the policy acts in Box\(-3.0, 7.0.*with the same RescaleAction"):
            PolicyClosure.from_sb3(loaded, wrong)
    gain = StochasticPolicyClosure.from_sb3(model).std
    assert gain == pytest.approx(float(model.policy.log_std.detach().exp()) * 0.2, rel=1e-6)


def test_normalizing_wrappers_of_gymnasium_are_taken_along(states: np.ndarray) -> None:
    for env in (
        SB3VecEnv(vector.NormalizeObservation(rows())),
        DummyVecEnv([lambda: wrappers.NormalizeObservation(gymnasium.make(ID))]),
    ):
        model = untrained("PPO", env)
        layer = env.venv if isinstance(env, SB3VecEnv) else env.envs[0]
        width = layer.obs_rms.mean.shape
        layer.obs_rms.mean, layer.obs_rms.var = np.full(width, 0.3), np.full(width, 2.0)
        core = inside(env)
        shown = (core.scaling.observation(states, local=core.local) - 0.3) / np.sqrt(2.0 + layer.epsilon)
        actions, _ = model.predict(shown.reshape(-1, *width).astype(np.float32), deterministic=True)
        expected = core.scaling.forcing(actions).reshape(states.shape)
        np.testing.assert_allclose(PolicyClosure.from_sb3(model).predict(states), expected, atol=5e-4)


class OwnMonitor(Monitor):
    """A wrapper of somebody else, which may do anything."""


def test_other_wrappers_are_refused_by_name() -> None:
    double = vector.TransformAction(rows(), lambda action: action / 2)
    several = DummyVecEnv([lambda: wrappers.NormalizeObservation(gymnasium.make(ID))] * 2)
    for env, message in (
        (SB3VecEnv(double), "got TransformAction"),
        (OwnMonitor(gymnasium.make(ID)), "got OwnMonitor"),
        (wrappers.TransformObservation(gymnasium.make(ID), lambda seen: -seen, None), "got TransformObservation"),
        (wrappers.StickyAction(gymnasium.make(ID), 0.5), "got StickyAction"),
        (several, "try VecNormalize around them"),
    ):
        with pytest.raises(ModelError, match=message):
            PolicyClosure.from_sb3(untrained("PPO", env))


def test_policies_that_are_no_closures(states: np.ndarray) -> None:
    with pytest.raises(ModelError, match="activations"):
        PolicyClosure.from_sb3(untrained("PPO", batch(), torch.nn.ELU))
    with pytest.raises(ModelError, match="observes 8 values"):
        PolicyClosure.from_sb3(untrained("PPO", batch()), batch(local=False))
    other = sb3.PPO("MlpPolicy", "Pendulum-v1", device="cpu")
    with pytest.raises(ModelError, match=r"the l96bench environment.*OnlineRollout-v2"):
        PolicyClosure.from_sb3(other)
    equations = SB3VecEnv(gymnasium.make_vec("l96bench/EquationRecovery-v2", num_envs=4))
    with pytest.raises(ModelError, match="sees X and acts at its points"):
        StochasticPolicyClosure.from_sb3(untrained("PPO", equations))
    assert isinstance(PolicyClosure.from_sb3(untrained("PPO", equations)), EquationPolicy)
    with pytest.raises(ModelError, match=r"try PolicyClosure\.from_sb3"):
        EquationPolicy.from_sb3(untrained("PPO", batch()))
    closure = PolicyClosure.from_sb3(untrained("PPO", batch()))
    with pytest.raises(ModelError, match="K = 8"):
        closure.predict(states[:, :6])


def test_a_learning_curve_says_what_the_closures_score() -> None:
    """The first look is at the untrained policy, the last at the trained one."""
    model = sb3.PPO("MlpPolicy", batch(), n_steps=8, batch_size=64, n_epochs=1, seed=1, device="cpu")
    first = PolicyClosure.from_sb3(model)
    learned = LearningCurveCallback(10**9)
    model.learn(200, callback=learned)
    curve, task = learned.curve, l96bench.make_task("subgrid-forcing/wilks-f20-v1")
    valid, mean = task.valid, np.mean(task.train.U)
    starts = np.arange(50) * (len(valid.X) // 50)
    starts = starts[starts + 20 < len(valid.X)]
    for look, closure in enumerate((first, PolicyClosure.from_sb3(model))):
        errors = (closure.predict(valid.X) - valid.U) ** 2
        assert curve["r2"][look] == pytest.approx(1 - errors.sum() / ((valid.U - mean) ** 2).sum(), rel=1e-9)
        run = l96bench.rollout(closure, valid.X[starts], 2.0, regime="wilks-f20", interval=1.0, progress=False)
        apart = np.clip((run.X[-1] - valid.X[starts + 20]) / np.std(task.train.X), -10, 10)
        assert curve["error"][look] == pytest.approx(np.sqrt((np.nan_to_num(apart, nan=10) ** 2).mean()), rel=1e-6)
    assert curve["steps"] == [0.0, 256.0]
    assert len(curve["reward"]) == 1
