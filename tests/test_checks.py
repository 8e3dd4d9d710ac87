"""Seeds, options and times out of range: everywhere the same error, which says what to try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

import l96bench
from l96bench.assimilation import Network
from l96bench.checks import checked_random_state, checked_seed, seed_words, whole_multiple
from l96bench.data.instances import instances
from l96bench.envs.registration import ENVIRONMENTS
from l96bench.errors import ArgumentError, L96BenchError, UnknownIdError
from l96bench.estimators import OnlineNetworkRegressor
from l96bench.tasks.subgrid_forcing import SubgridForcing

TRUTH = np.zeros((3, 8)) + np.arange(8.0)
X = np.random.default_rng(0).normal(size=(200, 8))


@pytest.mark.parametrize("seed", [-1, 1.5, "1", [], object()])
def test_a_seed_is_a_whole_number_from_0_on(seed: Any) -> None:
    with pytest.raises(ArgumentError, match="expected seed as a whole number from 0 on"):
        checked_seed(seed)
    with pytest.raises(ValueError, match="random_state"):
        checked_random_state(seed)


def test_seeds_that_are_whole_numbers() -> None:
    assert checked_seed(np.int64(3)) == 3
    assert checked_random_state(None) is None
    assert seed_words(3) == [3]
    assert seed_words([3, np.uint8(4)]) == seed_words(np.array([3, 4])) == [3, 4]
    with pytest.raises(ArgumentError, match="got None"):
        seed_words([1, None])  # type: ignore[list-item]


CALLS: dict[str, Callable[[Any], object]] = {
    "simulate": lambda seed: l96bench.simulate("lorenz96-k40", 1.0, seed=seed),
    "words": lambda seed: l96bench.simulate("lorenz96-k40", 1.0, seed=[0, seed]),
    "draw": lambda seed: Network(8, 0.05, 1.0).draw(TRUTH, seed),
    "draws": lambda seed: Network(8, 0.05, 1.0).draw(TRUTH, [seed]),
    "instances": lambda seed: instances("single", -1 if seed is None else seed),
    "regressor": lambda seed: l96bench.TorchRegressor(random_state=-1 if seed is None else seed, epochs=1).fit(X, X),
    "online": lambda seed: OnlineNetworkRegressor(random_state=-1 if seed is None else seed, F=20.0, steps=1).fit(X, X),
}


@pytest.mark.parametrize("seed", [None, -1, 1.5, "a"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_seed_out_of_range_is_our_error_everywhere(call: Callable[[Any], object], seed: Any) -> None:
    with pytest.raises(L96BenchError, match=r"whole number from 0 on.*got"):
        call(seed)


def test_a_rollout_takes_a_generator() -> None:
    with pytest.raises(L96BenchError, match=r"expected rng as a numpy Generator, got 0; try numpy.random.default_rng"):
        l96bench.rollout(l96bench.NoClosure(), TRUTH[0], 1.0, regime="wilks-f20", rng=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("id", ENVIRONMENTS)
def test_an_option_or_seed_of_an_environment_that_is_wrong(id: str) -> None:
    right, wrong = ("told", "tol") if "Unseen" in id else ("split", "spilt")
    for make in (gymnasium.make, lambda id, **options: gymnasium.make_vec(id, num_envs=2, **options)):
        with pytest.raises(UnknownIdError, match=rf"has no option '{wrong}'. Did you mean '{right}'"):
            make(id, **{wrong: "train"})
    with pytest.raises(UnknownIdError, match=r"has no option 'thread'. Did you mean 'threads'"):
        gymnasium.make_vec(id, num_envs=2, thread=2)
    with pytest.raises(UnknownIdError, match="has no option 'threads'"):
        gymnasium.make(id, threads=2)


def test_a_task_passes_the_options_on() -> None:
    for num_envs in (None, 2):
        with pytest.raises(UnknownIdError, match="Did you mean 'episode_steps'"):
            SubgridForcing("wilks-f20").make_env(num_envs, episode_step=3)


@pytest.mark.parametrize(("duration", "interval", "n"), [(0.3, 0.1, 3), (2000.0 * (1 + 5e-10), 0.05, 40_000)])
def test_whole_multiples(duration: float, interval: float, n: int) -> None:
    assert whole_multiple(duration, interval) == n


@pytest.mark.parametrize(("duration", "interval"), [(0.07, 0.05), (0.0, 1.0), (1.0, 0.0), (1.0, -1.0), (np.nan, 1.0)])
def test_times_that_are_not_whole(duration: float, interval: float) -> None:
    with pytest.raises(ArgumentError, match=rf"lag {duration} must be a positive whole multiple of dt {interval}; it"):
        whole_multiple(duration, interval, "lag", "dt")
