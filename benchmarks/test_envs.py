"""How fast the environments are, on one core: by Gymnasium's definition a vector step is one step of every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pytest

import l96bench

if TYPE_CHECKING:
    from benchmarks.conftest import Measured

ID = "l96bench/OnlineRollout-v2"
ROWS = 64
"""Rows in the comparison of ways to make a batch."""


@pytest.fixture(scope="module", autouse=True)
def _data() -> None:
    l96bench.make_task("online-rollout/wilks-f20-v2").train_fine  # noqa: B018 - makes the data where there are none


def timed(benchmark: Any, measured: Measured, name: str, work: Callable[[], object], rounds: int, per: int) -> float:
    """The seconds that one row's step takes in the best round, kept under `name`."""
    benchmark.pedantic(work, rounds=rounds, warmup_rounds=2)
    if benchmark.stats:
        measured.seconds[name] = benchmark.stats.stats.min / per
        benchmark.extra_info["steps a second"] = round(1.0 / measured.seconds[name])
    return measured.seconds.get(name, float("nan"))


def vector_steps(env: gymnasium.vector.VectorEnv, n_steps: int = 101) -> Callable[[], None]:
    """Steps of a batch, one episode and its reset, under random actions."""
    actions = np.random.default_rng(0).uniform(-1, 1, env.action_space.shape).astype(np.float32)
    env.reset(seed=0)

    def work() -> None:
        for _ in range(n_steps):
            env.step(actions)

    return work


@pytest.mark.benchmark(group="OnlineRollout, one core")
def test_batch(benchmark: Any, measured: Measured) -> None:
    """The native batch at 1,024 rows."""
    seconds = timed(benchmark, measured, "1024", vector_steps(gymnasium.make_vec(ID, 1024)), rounds=50, per=101 * 1024)
    label = "OnlineRollout, 1,024 rows, million steps a second"
    benchmark.extra_info |= measured.promise(label, 1e-6 / seconds, ">=", 4.0)


@pytest.mark.benchmark(group="OnlineRollout, one core")
@pytest.mark.parametrize("made", ["by gymnasium.make", "unwrapped"])
def test_scalar(benchmark: Any, measured: Measured, made: str) -> None:
    """The scalar environment, with Gymnasium's default wrappers and without."""
    env = gymnasium.make(ID) if made == "by gymnasium.make" else gymnasium.make(ID).unwrapped
    action = np.full(8, 0.1, np.float32)

    def work() -> None:
        env.reset()
        for _ in range(100):
            env.step(action)

    seconds = timed(benchmark, measured, made, work, rounds=200, per=100)
    label = f"OnlineRollout, scalar {made}, thousand steps a second"
    benchmark.extra_info |= measured.promise(label, 1e-3 / seconds, ">=", 60.0)


@pytest.mark.benchmark(group="OnlineRollout, 1,024 points as agents")
def test_local(benchmark: Any, measured: Measured) -> None:
    """The native batch of 128 systems whose points are agents."""
    env = gymnasium.make_vec(ID, 1024, local=True)
    timed(benchmark, measured, "local", vector_steps(env), rounds=50, per=101 * 1024)


def native() -> Iterator[Callable[[], None]]:
    """Gymnasium's `make_vec`."""
    yield vector_steps(gymnasium.make_vec(ID, ROWS))


def synchronous() -> Iterator[Callable[[], None]]:
    """Gymnasium's `SyncVectorEnv`."""
    yield vector_steps(gymnasium.make_vec(ID, ROWS, vectorization_mode="sync"))


def processes() -> Iterator[Callable[[], None]]:
    """The `SubprocVecEnv` of stable-baselines3."""
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    env = vec_env.SubprocVecEnv([lambda: gymnasium.make(ID)] * ROWS, start_method="fork")
    actions = np.zeros((ROWS, 8), np.float32)
    env.reset()

    def work() -> None:
        for _ in range(101):
            env.step(actions)

    yield work
    env.close()


@pytest.mark.benchmark(group="OnlineRollout, 64 rows")
@pytest.mark.parametrize("batch", [native, synchronous, processes], ids=lambda batch: batch.__name__)
def test_ways_to_make_a_batch(benchmark: Any, measured: Measured, batch: Callable[[], Iterator[Any]]) -> None:
    """The same 64 rows as a native batch, as Gymnasium's loop, and as processes."""
    made = batch()
    timed(benchmark, measured, batch.__name__, next(made), rounds=100 if batch is native else 5, per=101 * ROWS)
    next(made, None)
    label = f"{batch.__name__} over native, 64 rows"
    benchmark.extra_info |= measured.compare(label, batch.__name__, "native", ">=", 20.0) if batch is not native else {}


@pytest.mark.benchmark(group="PPO, 1,024 points as agents")
@pytest.mark.parametrize("library", ["stable-baselines3", "l96bench"])
def test_ppo(benchmark: Any, measured: Measured, library: str) -> None:
    """Four updates with the same options, of stable-baselines3 and of `BatchPPO`."""
    torch = pytest.importorskip("torch")
    sb3 = pytest.importorskip("stable_baselines3")
    from l96bench.envs import BatchPPO, PPOOptions, SB3VecEnv

    same = {"gamma": 0.95, "n_steps": 20, "batch_size": 2048, "n_epochs": 3, "learning_rate": 3e-3}
    env = gymnasium.make_vec(ID, 1024, local=True, episode_steps=20, autoreset_mode="Disabled")
    steps, threads = 4 * 20 * 1024, torch.get_num_threads()
    torch.set_num_threads(1)
    if library == "l96bench":
        agent: Any = partial(BatchPPO, env, PPOOptions(**same, net_arch=(32, 32)))  # type: ignore[arg-type]
    else:
        kwargs = {"net_arch": [32, 32], "log_std_init": -1.5}
        agent = partial(sb3.PPO, "MlpPolicy", SB3VecEnv(env), **same, policy_kwargs=kwargs, seed=0, device="cpu")

    def work() -> None:
        agent().learn(steps)

    timed(benchmark, measured, f"PPO of {library}", work, rounds=3, per=steps)
    torch.set_num_threads(threads)
    if library == "l96bench":
        ratio = measured.seconds["PPO of stable-baselines3"] / measured.seconds["PPO of l96bench"]
        benchmark.extra_info |= measured.promise("PPO, times as fast as stable-baselines3", ratio, ">=", 5.0)
