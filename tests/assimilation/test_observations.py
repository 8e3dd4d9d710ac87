"""Networks and observations: what is drawn, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from l96bench.assimilation.observations import Network, Observations
from l96bench.errors import L96BenchError

Array = NDArray[np.float64]
TRUTH = np.random.default_rng(0).standard_normal((3, 2001, 8)).cumsum(axis=1)


def test_errors_have_the_variances_of_R() -> None:
    std = (0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 2.0, 4.0)
    found = Network(8, 0.05, std).draw(TRUTH, seed=1)
    errors = found.values - TRUTH[:, 1:]
    assert_allclose(errors.std(axis=(0, 1)), std, rtol=4 / np.sqrt(2 * 6000))
    correlation = np.corrcoef(errors.reshape(-1, 8).T) - np.eye(8)
    assert np.abs(correlation).max() < 4 / np.sqrt(6000)
    assert np.abs(np.mean(errors[:, 1:] * errors[:, :-1], axis=(0, 1)) / np.square(std)).max() < 4 / np.sqrt(6000)


def test_a_fixed_subset() -> None:
    found = Network(8, 0.05, 1e-9, points=(5, 1)).draw(TRUTH)
    assert_array_equal(found.points[0, 0], [5, 1])
    assert_allclose(found.values, TRUTH[:, 1:, [5, 1]], atol=1e-7)


def test_a_random_subset_is_drawn_anew() -> None:
    found = Network(8, 0.05, 1e-9, points=(0, 2, 3, 6, 7), n_random=3).draw(TRUTH)
    assert_allclose(found.values, np.take_along_axis(TRUTH[:, 1:], found.points, axis=2), atol=1e-7)
    counts = np.bincount(found.points.ravel(), minlength=8)
    assert_array_equal(counts[[1, 4, 5]], 0)
    assert_allclose(counts[[0, 2, 3, 6, 7]] / 6000, 0.6, atol=4 * np.sqrt(0.24 / 6000))
    assert (np.diff(found.points, axis=2) > 0).all()
    together = (found.points[:, 1:] == found.points[:, :-1]).all(axis=2).mean()
    assert together == pytest.approx(0.1, abs=0.02)  # one of ten subsets


def test_every_third_window() -> None:
    found = Network(8, 0.05, 1.0, every=3).draw(TRUTH)
    assert_array_equal(np.flatnonzero(found.scheduled), np.arange(2, 2000, 3))
    assert found.at(0) is None
    assert found.at(2) is not None
    assert not found.missing.any()


def test_draws_depend_on_the_seed_alone() -> None:
    network = Network(8, 0.05, 1.0, n_random=4)
    found = network.draw(TRUTH, seed=5)
    for other in (network.draw(TRUTH[:1], seed=5), network.draw(TRUTH[:, :501], seed=5)):
        E, C, _ = other.values.shape
        assert_array_equal(found.values[:E, :C], other.values)
        assert_array_equal(found.points[:E, :C], other.points)
    assert (network.draw(TRUTH, seed=6).values != found.values).all()


def test_missing_ones_are_counted_and_weigh_nothing() -> None:
    values = np.ones((2, 3, 4))
    values[0, 1, :3] = np.nan
    found = Observations(values, np.arange(4), 0.5, K=8, window=0.1)
    assert found.missing.sum(axis=(1, 2)).tolist() == [3, 0]
    observed = found.at(1)
    assert observed is not None
    assert observed.n.tolist() == [1, 4]
    assert_array_equal(observed.roots, [[0, 0, 0, 2], [2, 2, 2, 2]])


def test_records() -> None:
    found = Observations.from_records(
        [0.3, 0.1, 0.1, 0.3, 0.1], [1, 5, 2, 0, 7], [1.0, 2.0, np.nan, 4.0, 5.0], 0.5, K=8, window=0.1, n_cycles=4
    )
    assert found.scheduled.tolist() == [True, False, True, False]
    assert found.missing.sum() == 1
    observed = found.at(2)
    assert observed is not None
    assert observed.n.tolist() == [2]
    assert_array_equal(observed.points[0, :2], [1, 0])
    assert_array_equal(observed.values[0, :2], [1.0, 4.0])


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: Network(8, 0.05, 0.0), "R must be positive"),
    (lambda: Network(8, 0.05, (1.0,) * 7 + (-1.0,)), "R must be positive"),
    (lambda: Network(8, 0.05, np.nan), "R must be positive"),
    (lambda: Network(8, 0.05, (1.0,) * 7), "one for each of 8 points"),
    (lambda: Network(8, 0.05, 1.0, points=(0, 8)), r"grid points from 0 to 7, got \[8\]"),
    (lambda: Network(8, 0.05, 1.0, points=(-1,)), "grid points from 0 to 7"),
    (lambda: Network(8, 0.05, 1.0, points=(1, 1)), "without repetition"),
    (lambda: Network(8, 0.05, 1.0, n_random=9), "n_random between 1 and 8"),
    (lambda: Network(8, 0.05, 1.0, every=0), "every >= 1"),
    (lambda: Network(8, 0.0, 1.0), "positive window"),
    (lambda: Network(9, 0.05, 1.0).draw(TRUTH), r"truth \(time, 9\)"),
    (lambda: Network(8, 0.05, 1.0).draw(np.full((5, 8), np.nan)), "finite truth"),
    (lambda: Observations(np.ones((3, 4)), np.arange(4), 1.0, K=3, window=0.1), "grid points from 0 to 2"),
    (lambda: Observations(np.ones((3, 4)), np.arange(3), 1.0, K=8, window=0.1), "points and std like values"),
    (lambda: Observations(np.full((3, 4), np.inf), np.arange(4), 1.0, K=8, window=0.1), "NaN for missing"),
    (lambda: Observations(np.ones((3, 4)), np.arange(4), -1.0, K=8, window=0.1), "R must be positive"),
    (lambda: Observations(np.ones((3, 4)), np.arange(4.0), 1.0, K=8, window=0.1), "whole numbers"),
    (lambda: Observations(np.ones(4), np.arange(4), 1.0, K=8, window=0.1), r"values \(cycle, p\)"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(L96BenchError, match=message):
        make()


@pytest.mark.parametrize(
    ("time", "message"),
    [
        (0.15, "ends of windows"),
        (0.1 + 1e-6, "ends of windows"),
        (np.nan, "ends of windows"),
        (0.0, "times from 0.1"),
        (0.5, "times from 0.1 to 0.4"),
    ],
)
def test_times_between_windows_and_outside(time: float, message: str) -> None:
    with pytest.raises(L96BenchError, match=message):
        Observations.from_records([time], [0], [1.0], 1.0, K=8, window=0.1, n_cycles=4)
