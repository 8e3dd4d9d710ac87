"""Pointwise metrics against scikit-learn, by hand, and under attack."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import mean_squared_error, r2_score

from l96bench.metrics import pointwise
from l96bench.metrics.uncertainty import bootstrap_indices, resampling_weights

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def sample() -> tuple[Array, Array, Array]:
    """Resolved state, forcing and an honest linear closure, with the means, scales and R² (0.8) of wilks-f18."""
    rng = np.random.default_rng(1)
    X = 3.7 + 4.5 * rng.standard_normal((10, 400, 8))
    honest = -3.9 - 0.87 * (X - 3.7)
    return X, honest + 1.95 * rng.standard_normal(X.shape), honest


def test_r2_is_sklearns_about_the_tests_own_mean(sample: tuple[Array, Array, Array]) -> None:
    _, truth, honest = sample
    expected = r2_score(truth.ravel(), honest.ravel())
    assert pointwise.r2(truth, honest, truth.mean()) == pytest.approx(expected, abs=1e-13)


def test_r2_about_a_foreign_mean(sample: tuple[Array, Array, Array]) -> None:
    _, truth, _ = sample
    assert pointwise.r2(truth, np.full_like(truth, -3.0), -3.0) == 0.0
    assert pointwise.r2(truth, truth, -3.0) == 1.0
    assert pointwise.r2([1.0, 3.0], [1.0, 2.0], 0.0) == pytest.approx(1 - 1 / 10)


def test_rmse_and_bias(sample: tuple[Array, Array, Array]) -> None:
    _, truth, honest = sample
    assert pointwise.rmse(truth, honest) == pytest.approx(np.sqrt(mean_squared_error(truth.ravel(), honest.ravel())))
    assert pointwise.bias([1.0, 2.0], [2.0, 4.0]) == pytest.approx(1.5)
    assert pointwise.bias([0.0, 0.0, 0.0], [1.5e308, 1.5e308, -1.5e308]) == pytest.approx(0.5e308)


@pytest.mark.parametrize("attack", ["zeros", "mean", "outlier", "shuffled", "noise", "constant"])
def test_attacks_score_far_below_the_honest_closure(sample: tuple[Array, Array, Array], attack: str) -> None:
    _, truth, honest = sample
    rng = np.random.default_rng(2)
    outlier = honest.copy()
    outlier[0, 0, 0] = 1e9
    prediction, margin = {
        "zeros": (np.zeros_like(truth), 1.4),
        "mean": (np.full_like(truth, -3.9), 0.79),
        "outlier": (outlier, 1e9),
        "shuffled": (rng.permutation(truth.reshape(-1, 8)).reshape(truth.shape), 1.7),
        "noise": (honest + 4.4 * rng.standard_normal(truth.shape), 0.9),
        "constant": (np.full_like(truth, truth.mean()), 0.79),
    }[attack]
    assert pointwise.r2(truth, prediction, -3.9) < pointwise.r2(truth, honest, -3.9) - margin


@pytest.mark.filterwarnings("error")
def test_overflow_is_infinitely_bad_not_nan(sample: tuple[Array, Array, Array]) -> None:
    X, truth, honest = sample
    huge = honest.copy()
    huge[0, 0, 0] = 1e200
    assert pointwise.r2(truth, huge, -3.9) == -np.inf
    assert pointwise.rmse(truth, huge) == np.inf
    sse, sst = pointwise.block_sums(truth, huge, -3.9, 100)
    assert np.isinf(sse).tolist() == [True] + [False] * 39
    assert np.isfinite(sst).all()
    errors = [sums[0].sum() for sums in pointwise.block_sums_by_quantile(truth, huge, X, -3.9, 100).values()]
    assert sum(error == np.inf for error in errors) == 1
    assert not np.isnan(errors).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_refused(bad: float) -> None:
    for metric in (pointwise.rmse, pointwise.bias, lambda t, p: pointwise.r2(t, p, 0.0)):
        with pytest.raises(ValueError, match="prediction must be finite, but 1 of 2"):
            metric([1.0, 2.0], [1.0, bad])


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="shape of truth"):
        pointwise.r2(np.zeros((2, 3)), np.zeros(3), 1.0)
    with pytest.raises(ValueError, match="at least one value"):
        pointwise.rmse([], [])
    with pytest.raises(ValueError, match="truth that varies"):
        pointwise.r2([2.0, 2.0], [1.0, 1.0], 2.0)
    with pytest.raises(ValueError, match="increase from 0 to 1"):
        pointwise.block_sums_by_quantile([[1.0], [2.0]], [[1.0], [2.0]], [[1.0], [2.0]], 0.0, 1, edges=(0, 0.5))
    with pytest.raises(ValueError, match="no variation"):
        pointwise.block_sums_by_quantile([[1.0], [2.0]], [[1.0], [2.0]], [[3.0], [3.0]], 0.0, 1)
    with pytest.raises(ValueError, match="X must have the shape"):
        pointwise.block_sums_by_quantile([[1.0], [2.0]], [[1.0], [2.0]], [[3.0]], 0.0, 1)


def test_sums_by_quantile_against_masks(sample: tuple[Array, Array, Array]) -> None:
    X, truth, honest = sample
    sums = pointwise.block_sums_by_quantile(truth, honest, X, -3.9, 100)
    result = {name: 1 - sse.sum() / sst.sum() for name, (sse, sst) in sums.items()}
    assert list(result) == ["0-5%", "5-25%", "25-50%", "50-75%", "75-95%", "95-100%"]
    ranks = X.ravel().argsort().argsort().reshape(X.shape) / X.size
    for name, value in result.items():
        low, high = (float(edge) / 100 for edge in name.rstrip("%").split("-"))
        inside = (ranks >= low) & (ranks < high)
        assert value == pytest.approx(pointwise.r2(truth[inside], honest[inside], -3.9), abs=1e-12), name


def test_block_sums_are_the_parts_of_r2(sample: tuple[Array, Array, Array]) -> None:
    _, truth, honest = sample
    sse, sst = pointwise.block_sums(truth, honest, -3.9, 50)
    assert sse.shape == sst.shape == (10 * 400 // 50,)
    assert 1 - sse.sum() / sst.sum() == pytest.approx(pointwise.r2(truth, honest, -3.9), abs=1e-13)
    # The ninth block is the first of the second trajectory.
    assert sse[8] == pytest.approx(((truth - honest)[1, :50] ** 2).sum())
    with pytest.raises(ValueError, match="do not divide"):
        pointwise.block_sums(truth, honest, -3.9, 7)
    with pytest.raises(ValueError, match=r"\(\.\.\., time, K\)"):
        pointwise.block_sums(truth[0, 0], honest[0, 0], -3.9, 1)


def test_replicates_are_the_r2_of_the_resampled_blocks(sample: tuple[Array, Array, Array]) -> None:
    _, truth, honest = sample
    sse, sst = pointwise.block_sums(truth, honest, -3.9, 400)
    indices = bootstrap_indices(10, 20, seed=4)
    replicates = pointwise.r2_replicates(resampling_weights(indices, 10), sse, sst)
    expected = [pointwise.r2(truth[drawn], honest[drawn], -3.9) for drawn in indices]
    np.testing.assert_allclose(replicates, expected, atol=1e-12)


def test_replicates_without_the_overflowed_block_stay_finite() -> None:
    weights = np.array([[0.0, 2.0], [1.0, 1.0]])
    replicates = pointwise.r2_replicates(weights, np.array([np.inf, 1.0]), np.array([4.0, 4.0]))
    assert replicates.tolist() == [0.75, -np.inf]
