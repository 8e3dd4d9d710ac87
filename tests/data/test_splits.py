"""The splits and the cases against docs/definitions.md, "The data"."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from l96bench.data.splits import (
    CASES,
    DATA_REGIMES,
    DATA_VERSION,
    SPLITS,
    Cases,
    get_split,
    split_regime,
    split_seed,
    splits_of,
)
from l96bench.errors import UnknownIdError
from l96bench.regimes import Regime, get_regime, seed_word

# name: trajectories, MTU, MTU between samples, arrays, F + 4
TABLE = {
    "train": (1, 2000.0, 0.05, ("X", "U"), False),
    "train-fine": (1, 2000.0, 0.01, ("X", "U"), False),
    "valid": (1, 200.0, 0.05, ("X", "U"), False),
    "test": (10, 200.0, 0.05, ("X", "U"), False),
    "shift": (10, 200.0, 0.05, ("X", "U"), True),
    "climate": (50, 200.0, 0.05, ("X",), False),
    "climate-twin": (50, 200.0, 0.05, ("X",), False),
    "climate-shift": (50, 200.0, 0.05, ("X",), True),
    "climate-shift-twin": (50, 200.0, 0.05, ("X",), True),
}
TWO_SCALE = [name for name in DATA_REGIMES if name != "three-scale"]


def test_regimes_with_data() -> None:
    assert set(DATA_REGIMES) == {"wilks-f18", "wilks-f20", "arnold-c4", "wide-k36", "conservative-f12", "three-scale"}


@pytest.mark.parametrize("name", TABLE)
def test_splits_are_those_of_the_table(name: str) -> None:
    split = get_split("wilks-f20", name)
    assert (split.n_trajectories, split.duration, split.interval, split.arrays, split.shifted) == TABLE[name]


def test_perfect_split_has_the_shape_of_the_cases() -> None:
    split = get_split("wilks-f20", "perfect")
    assert (split.n_trajectories, split.duration, split.interval, split.arrays) == (300, 3.0, 0.05, ("X",))
    assert {split.name for split in SPLITS} == {*TABLE, "perfect"}


@pytest.mark.parametrize("name", TWO_SCALE)
def test_two_scale_regimes_have_every_split(name: str) -> None:
    assert splits_of(name) == SPLITS
    assert split_regime(name, get_split(name, "shift")).F == get_regime(name).F + 4
    assert split_regime(name, get_split(name, "test")) == get_regime(name)


def test_three_scale_has_no_shift() -> None:
    assert {split.name for split in splits_of("three-scale")} == {split.name for split in SPLITS} - {"shift"}
    with pytest.raises(UnknownIdError, match="shift"):
        get_split("three-scale", "shift")


def test_unknown_names() -> None:
    with pytest.raises(UnknownIdError, match="train-fine"):
        get_split("wilks-f20", "train_fine")
    with pytest.raises(UnknownIdError, match="wilks-f20"):
        get_split("wilks-f2", "train")
    with pytest.raises(UnknownIdError, match="no data sets"):
        get_split("weak-h01", "train")


@pytest.mark.parametrize("regime", [get_regime("wilks-f20").shifted(), Regime("wilks-f20", 8, 32, 20.0, c=4.0)])
def test_a_regime_that_borrows_an_id_has_no_data(regime: Regime) -> None:
    with pytest.raises(UnknownIdError, match="wilks-f20"):
        get_split(regime, "train")


def test_every_stream_has_its_own_seeds() -> None:
    """No two trajectories of any data set start from the same seed, but for the training one sampled twice."""
    seeds = [
        (*split_seed(get_regime(name), split.stream), i)
        for name in DATA_REGIMES
        for split in splits_of(name)
        if split.name not in ("train-fine", "perfect")
        for i in range(split.n_trajectories)
    ]
    assert len(set(seeds)) == len(seeds)
    states = {np.random.SeedSequence(seed).generate_state(4).tobytes() for seed in seeds}
    assert len(states) == len(seeds)


def test_seeds_are_regime_version_stream() -> None:
    regime = get_regime("arnold-c4")
    assert split_seed(regime, "test") == (regime.word, DATA_VERSION, seed_word("test"))
    assert get_split(regime, "train-fine").stream == get_split(regime, "train").stream == "train"


def test_splits_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        SPLITS[0].duration = 1.0  # type: ignore[misc]


def test_cases_are_300_and_33_mtu_apart_inside_their_trajectories() -> None:
    climate = get_split("wilks-f20", "climate")
    starts = CASES.starts * climate.interval
    assert len(CASES) == 300
    assert len(starts) * climate.n_trajectories == 300
    np.testing.assert_allclose(np.diff(starts), 33.0)
    assert starts[0] - CASES.memory >= 0.0
    assert starts[-1] + CASES.lead <= climate.duration - climate.interval
    assert CASES.n_trajectories == climate.n_trajectories
    assert CASES.members == 20
    np.testing.assert_allclose(CASES.leads, np.arange(1, 61) * 0.05)


def labelled(cases: Cases, n_times: int) -> np.ndarray:
    """X (trajectory, time, 3) whose values say where they are from."""
    X = np.zeros((cases.n_trajectories, n_times, 3))
    X += 1000 * np.arange(cases.n_trajectories)[:, None, None]
    X += np.arange(n_times)[:, None]
    return X


@pytest.mark.parametrize(
    ("cases", "n_times"), [(CASES, 4000), (Cases(3, 2, first=0.5, memory=0.5, spacing=1.0, lead=0.3), 100)]
)
def test_initial_states_truth_and_history_fit_together(cases: Cases, n_times: int) -> None:
    X = labelled(cases, n_times)
    initial, truth, history = cases.initial(X), cases.truth(X), cases.history(X)
    n_past = round(cases.memory / cases.interval)
    assert initial.shape == (len(cases), 3)
    assert truth.shape == (len(cases.leads), len(cases), 3)
    assert history.shape == (n_past, len(cases), 3)
    expected = [
        1000 * t + round((cases.first + cases.spacing * i) / 0.05)
        for t in range(cases.n_trajectories)
        for i in range(cases.per_trajectory)
    ]
    np.testing.assert_array_equal(initial[:, 0], expected)
    for i in range(len(cases.leads)):
        np.testing.assert_array_equal(truth[i], initial + i + 1)
    for i in range(n_past):
        np.testing.assert_array_equal(history[-1 - i], initial - i - 1)
