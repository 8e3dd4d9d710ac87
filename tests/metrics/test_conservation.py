"""Conservation of momentum against hand-made numbers, and as a metric of the two families that report it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from l96bench.metrics.conservation import momentum_source, rms_replicates, root_mean_square
from l96bench.tasks.climate_scores import ClimateRun, momentum_metrics

rng = np.random.default_rng(0)


def test_the_source_is_the_mean_over_the_ring() -> None:
    np.testing.assert_allclose(momentum_source([[1.0, 2.0, 6.0], [1.0, -2.0, 1.0]]), [3.0, 0.0])
    S = rng.normal(size=(50, 8))
    assert np.abs(momentum_source(np.roll(S, 1, 1) - np.roll(S, -1, 1))).max() < 1e-15
    with pytest.raises(ValueError, match="U"):
        momentum_source([[np.nan, 1.0]])


def test_root_mean_squares_of_resampled_blocks() -> None:
    values = rng.normal(size=(6, 10))
    squares, counts = (values**2).sum(axis=1), np.full(6, 10.0)
    assert root_mean_square(squares, counts) == pytest.approx(np.sqrt(np.mean(values**2)))
    weights = np.array([[1.0] * 6, [2.0, 0, 0, 0, 0, 4.0]])
    expected = [np.sqrt(np.mean(values**2)), np.sqrt((2 * squares[0] + 4 * squares[5]) / 60)]
    np.testing.assert_allclose(rms_replicates(weights, squares, counts), expected)
    counts[0] = squares[0] = 0.0  # a replicate of nothing
    only_empty = rms_replicates(np.array([[6.0, 0, 0, 0, 0, 0]]), squares, counts)
    assert only_empty[0] == root_mean_square(squares, counts)


def run_with(sources: Any) -> ClimateRun:
    return ClimateRun(np.zeros((4, 3, 8)), np.zeros((3, 3, 5)), np.ones(3, dtype=bool), sources)


def test_members_that_left_count_up_to_then() -> None:
    sources = np.array([[0.3, -0.4, np.nan], [0.3, np.nan, np.nan]])
    metrics = momentum_metrics(run_with(sources), np.array([[1.0, 1, 1], [0, 0, 3]]))
    assert metrics["conservation_error"].value == pytest.approx(np.sqrt((0.09 * 2 + 0.16) / 3))
    assert metrics["momentum_drift"].value == pytest.approx(0.2 / 3)
    assert momentum_metrics(run_with(None), np.ones((1, 3))) == {}
    assert momentum_metrics(run_with(np.full((2, 3), np.nan)), np.ones((1, 3))) == {}
