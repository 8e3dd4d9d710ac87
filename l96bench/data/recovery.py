"""Trajectories of the instances of `equation-recovery`, and noisy observations of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import whole_multiple
from l96bench.data.instances import Instance, RecoveryTrack, draw_instance, get_track, words_of
from l96bench.data.store import fetch, fetch_unrecorded
from l96bench.dynamics.draws import standard_normal
from l96bench.dynamics.generalized import advance, random_state, record
from l96bench.dynamics.truth import SPIN_UP, TRUTH_DT
from l96bench.errors import BlowUpError, L96BenchError
from l96bench.progress import progress as show_progress
from l96bench.regimes import seed_word

__all__ = [
    "TRAJECTORIES",
    "InstanceData",
    "Trajectories",
    "arrays_of",
    "load_instance",
    "make_instance",
    "observe",
    "pairs",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trajectories:
    """Lengths and sampling of an instance's trajectories, in MTU.

    The `n_cases` test cases of length `lead` start every `spacing` on one trajectory with its own seed and spin-up; X
    decorrelates between them.
    """

    duration: float = 100.0
    interval: float = 0.01
    n_cases: int = 20
    spacing: float = 20.0
    lead: float = 10.0
    test_interval: float = 0.05

    @property
    def summary(self) -> str:
        """The size in words, for listings."""
        test = f"{self.n_cases} x {self.lead:g} every {self.test_interval:g}"
        return f"{self.duration:g} MTU every {self.interval:g}, {test}"


TRAJECTORIES = Trajectories()


@dataclass(frozen=True, slots=True, eq=False)
class InstanceData:
    """The noise-free, read-only trajectories of an instance.

    `train` is (time, n_state), 100 MTU every 0.01; `test` is (case, lead, n_state), 20 unseen cases of 10 MTU every
    0.05. `train_U` and `test_U` are the simultaneous tendencies of hidden fast variables, or None.
    """

    train: Array
    test: Array
    train_U: Array | None = None
    test_U: Array | None = None
    interval: float = TRAJECTORIES.interval
    test_interval: float = TRAJECTORIES.test_interval


def arrays_of(base: str) -> tuple[str, ...]:
    """Return the names of the arrays stored for an instance of a base track."""
    return ("train", "test", "train_U", "test_U") if base == "hidden" else ("train", "test")


def make_instance(instance: Instance, progress: bool | None = None) -> dict[str, Array]:
    """Make an instance's arrays without the cache: train, test and, where Y is hidden, their U; or `BlowUpError`."""
    sizes = TRAJECTORIES
    n_samples, n_leads = (
        whole_multiple(sizes.duration, sizes.interval),
        whole_multiple(sizes.lead, sizes.test_interval) + 1,
    )
    total = 2 * SPIN_UP + sizes.duration + sizes.n_cases * sizes.spacing
    with show_progress(f"simulating {instance.base} {instance.index}", round(total), progress) as report:
        train, train_U = _cases(instance, "train", 1, n_samples, sizes.interval, sizes.duration, report)
        test, test_U = _cases(instance, "test", sizes.n_cases, n_leads, sizes.test_interval, sizes.spacing, report)
    arrays = {"train": train[0], "test": test}
    if instance.hidden:
        arrays |= {"train_U": train_U[0], "test_U": test_U}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise BlowUpError(f"instance {instance.index} of {instance.base!r} blew up: {instance.coefficients}")
    return arrays


def _cases(
    instance: Instance,
    purpose: str,
    n_cases: int,
    n_samples: int,
    interval: float,
    spacing: float,
    report: Callable[[int], None],
) -> tuple[Array, Array]:
    """Return states (case, sample, n_state) and U (case, sample, K) along one trajectory, after its spin-up."""
    o, every = instance.coefficients, whole_multiple(interval, TRUTH_DT, "interval", "dt")
    X, Y = random_state(o, instance.K, instance.J, [*instance.words, seed_word(purpose)])
    advance(o, X, Y, whole_multiple(SPIN_UP, TRUTH_DT))
    report(round(SPIN_UP))
    states, Us = np.empty((n_cases, n_samples, instance.n_state)), np.empty((n_cases, n_samples, instance.K))
    for case in range(n_cases):
        xs, Us[case], ys = record(o, X, Y, n_samples, every, store_fast=not instance.hidden)
        advance(o, X, Y, whole_multiple(spacing, TRUTH_DT) - n_samples * every)
        states[case, :, : instance.K] = xs
        if not instance.hidden:
            states[case, :, instance.K :] = ys.reshape(len(ys), instance.n_state - instance.K)
        report(round(spacing))
    return states, Us


@lru_cache(maxsize=20)
def load_instance(instance: Instance) -> InstanceData:
    """Return the trajectories of an instance, cached if registered or kept, or raise `BlowUpError` or `DataError`."""
    base, index = instance.base, instance.index
    if instance.words == words_of(base, index, None) and instance == draw_instance(base, index):
        arrays = fetch(f"{base}/instance-{index}", arrays_of(base), lambda: make_instance(instance))
    elif instance.kept:
        place = hashlib.sha256(repr((instance, TRAJECTORIES)).encode()).hexdigest()[:24]
        arrays = fetch_unrecorded(f"seasons/{base}/{place}", lambda: make_instance(instance))
    else:
        arrays = make_instance(instance)
        for array in arrays.values():
            array.flags.writeable = False
    return InstanceData(arrays["train"], arrays["test"], arrays.get("train_U"), arrays.get("test_U"))


def observe(
    instance: Instance, track: str | RecoveryTrack, noise: float = 0.0, budget: float | None = None
) -> tuple[Array, Array]:
    """Return what a method gets: noisy states (time, n_state) and their times (time,) in MTU.

    The noise is independent and normal, `noise` times the standard deviation of each variable over the whole training
    trajectory. Every fine sample of an instance has one draw, which each level of noise multiplies: problems of an
    instance differ in level, budget or interval and in nothing else. Raises `L96BenchError` for an instance of another
    track, a negative noise, or a budget or interval that does not fit.
    """
    track = _track_of(instance, track)
    train = load_instance(instance).train
    n, every = _prefix(track, budget)
    if not 0.0 <= noise < np.inf:
        raise L96BenchError(f"expected a noise >= 0, got {noise}")
    states = train[:n:every].copy()
    if noise:
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([*instance.words, seed_word("noise")])))
        states += noise * train.std(axis=0) * standard_normal(rng, (n, instance.n_state))[::every]
    return states, track.interval * np.arange(len(states), dtype=np.float64)


def pairs(instance: Instance, track: str | RecoveryTrack, budget: float | None = None) -> tuple[Array, Array]:
    """Return noise-free X (time, K) and U (time, K) of hidden fast variables; raises `L96BenchError` as `observe`."""
    track = _track_of(instance, track)
    data = load_instance(instance)
    if data.train_U is None:
        raise L96BenchError(f"expected a hidden instance, got one of {instance.base!r}: its U is in its equations")
    n, every = _prefix(track, budget)
    return data.train[:n:every].copy(), data.train_U[:n:every].copy()


def _track_of(instance: Instance, track: str | RecoveryTrack) -> RecoveryTrack:
    track = get_track(track)
    if track.base != instance.base:
        raise L96BenchError(
            f"expected an instance of {track.base!r} for track {track.id!r}, got one of {instance.base!r}"
        )
    return track


def _prefix(track: RecoveryTrack, budget: float | None) -> tuple[int, int]:
    """Return the number of fine samples in a budget, and in a track's sampling interval."""
    sizes = TRAJECTORIES
    budget = sizes.duration if budget is None else budget
    if not 0.0 < budget <= sizes.duration:
        raise L96BenchError(f"expected a budget of at most {sizes.duration:g} MTU, got {budget}")
    every = whole_multiple(track.interval, sizes.interval)
    return whole_multiple(budget, track.interval, "budget") * every, every
