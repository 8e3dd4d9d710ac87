"""Climate statistics against scipy, analytic processes and attacks, on a small single-scale Lorenz-96 model."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from l96bench.metrics import climate, time_series
from l96bench.metrics.climate import DistanceGrid

Array = NDArray[np.float64]
INTERVAL = 0.05


def lorenz96(F: float, seed: int, n_times: int = 1000, members: int = 20) -> Array:
    """A run (time, member, 8) by classical RK4, a sample a step."""

    def tendency(x: Array) -> Array:
        return np.roll(x, 1, -1) * (np.roll(x, -1, -1) - np.roll(x, 2, -1)) - x + F

    x = np.random.default_rng(seed).standard_normal((members, 8)) + F / 2
    run = np.empty((n_times, members, 8))
    for i in range(-200, n_times):
        if i >= 0:
            run[i] = x
        k1 = tendency(x)
        k2 = tendency(x + INTERVAL / 2 * k1)
        k3 = tendency(x + INTERVAL / 2 * k2)
        k4 = tendency(x + INTERVAL * k3)
        x = x + INTERVAL / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return run


def ar1(phi: float, n_times: int, members: int = 10, points: int = 8, seed: int = 0) -> Array:
    """A stationary first-order autoregression of unit variance (time, member, points)."""
    noise = np.random.default_rng(seed).standard_normal((n_times, members, points))
    run = noise.copy()
    for i in range(1, n_times):
        run[i] = phi * run[i - 1] + np.sqrt(1 - phi**2) * noise[i]
    return run


@pytest.fixture(scope="module")
def truth() -> Array:
    return lorenz96(10.0, seed=0)


@pytest.fixture(scope="module")
def grid(truth: Array) -> DistanceGrid:
    return DistanceGrid.from_truth(truth, INTERVAL)


def distances(a: Array, b: Array, grid: DistanceGrid) -> Array:
    cdf_a, cdf_b = (climate.member_cdfs(run, INTERVAL, grid).mean(axis=0) for run in (a, b))
    return climate.wasserstein(cdf_a, cdf_b, grid)


@pytest.mark.slow
@pytest.mark.parametrize(("F", "seed"), [(10.0, 1), (9.0, 2), (14.0, 3)])
def test_distances_agree_with_scipy(truth: Array, grid: DistanceGrid, F: float, seed: int) -> None:
    run = lorenz96(F, seed)
    expected = [
        wasserstein_distance(
            climate.quantity(name, truth, INTERVAL).ravel(), climate.quantity(name, run, INTERVAL).ravel()
        )
        / climate.quantity(name, truth, INTERVAL).std()
        for name in climate.QUANTITIES
    ]
    np.testing.assert_allclose(distances(truth, run, grid), expected, atol=1e-4)


def test_distances_of_short_runs_agree_with_scipy(truth: Array, grid: DistanceGrid) -> None:
    # One member is the worst case: its distribution function is ragged, and crosses the other often.
    a, b = truth[:, :1], truth[:, 1:2]
    expected = wasserstein_distance(a.ravel(), b.ravel()) / truth.std()
    assert distances(a, b, grid)[0] == pytest.approx(expected, abs=2e-4)


def test_a_shift_moves_the_values_by_itself_and_nothing_else(truth: Array, grid: DistanceGrid) -> None:
    np.testing.assert_allclose(distances(truth, truth + 0.123, grid), [0.123 / truth.std(), 0, 0], atol=1e-9)


def test_distance_is_a_metric(truth: Array, grid: DistanceGrid) -> None:
    a, b, c = (climate.member_cdfs(run, INTERVAL, grid).mean(axis=0) for run in (truth, truth[:, :3], truth**2 / 10))
    assert (climate.wasserstein(a, a, grid) == 0).all()
    np.testing.assert_array_equal(climate.wasserstein(a, b, grid), climate.wasserstein(b, a, grid))
    legs = climate.wasserstein(a, b, grid) + climate.wasserstein(b, c, grid)
    assert (climate.wasserstein(a, c, grid) <= legs + 1e-12).all()
    assert climate.climate_distance(a, c, grid) == pytest.approx(climate.wasserstein(a, c, grid).mean())


def test_distribution_functions_rise_from_0_to_1_and_pool_linearly(truth: Array, grid: DistanceGrid) -> None:
    cdfs = climate.member_cdfs(truth, INTERVAL, grid)
    assert cdfs.shape == (20, 3, grid.cells)
    assert cdfs[..., 0].max() == 0
    np.testing.assert_allclose(cdfs[..., -1], 1, rtol=1e-14)
    assert np.diff(cdfs, axis=-1).min() > -1e-14
    as_one = climate.member_cdfs(truth.reshape(-1, 1, 8), INTERVAL, grid)[0, 0]
    np.testing.assert_allclose(cdfs[:, 0].mean(axis=0), as_one, atol=1e-12)
    leading = climate.wasserstein(cdfs[None], cdfs[:2, None], grid)
    assert leading.shape == (2, 20, 3)
    assert climate.climate_distance(cdfs[None], cdfs[:2, None], grid).shape == (2, 20)


@pytest.mark.slow
def test_order_of_members_and_position_on_the_ring_do_not_matter(truth: Array, grid: DistanceGrid) -> None:
    run = lorenz96(9.0, 2)
    expected = distances(truth, run, grid)
    np.testing.assert_allclose(distances(truth, run[:, ::-1], grid), expected, atol=1e-12)
    np.testing.assert_allclose(distances(truth, np.roll(run, 3, axis=-1), grid), expected, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["outlier", "constant", "mean in time", "shuffled in time", "shuffled in space"])
def test_attacks_are_farther_from_the_truth_than_a_wrong_climate(truth: Array, grid: DistanceGrid, attack: str) -> None:
    rng = np.random.default_rng(1)
    outlier = lorenz96(10.0, 4)
    outlier[:, 0] = 1e9
    attacked, worst, factor = {
        "outlier": (outlier, 0, 2),
        "constant": (np.full_like(truth, truth.mean()), 0, 6),
        "mean in time": (np.broadcast_to(truth.mean(axis=0), truth.shape), 1, 6),
        "shuffled in time": (truth[rng.permutation(len(truth))], 1, 1.5),
        "shuffled in space": (rng.permuted(truth, axis=-1), 1, 1.5),
    }[attack]
    honest = distances(truth, lorenz96(9.0, 2), grid)  # a forcing that is 10 % wrong
    assert distances(truth, attacked, grid).mean() > factor * honest.mean()
    assert distances(truth, attacked, grid)[worst] > factor * honest[worst]


def test_shuffling_in_time_changes_the_change_only(truth: Array, grid: DistanceGrid) -> None:
    value, change, difference = distances(truth, np.random.default_rng(1).permutation(truth), grid)
    assert value == pytest.approx(0, abs=1e-12)
    assert difference == pytest.approx(0, abs=1e-12)
    assert change > 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_one_runaway_value_neither_helps_nor_rules(truth: Array, grid: DistanceGrid) -> None:
    run = lorenz96(9.0, 2)
    honest = distances(truth, run, grid)
    for size in (1e9, 1e308, -1e308):
        attacked = run.copy()
        attacked[500, 0, 0] = size
        distance = distances(truth, attacked, grid)
        assert (distance > honest - 1e-3).all()
        assert (distance < honest + 1e-2).all()


def test_grid_holds_the_scales_of_the_truth(truth: Array, grid: DistanceGrid) -> None:
    assert grid.mean[0] == pytest.approx(truth.mean())
    assert grid.mean[2] == pytest.approx(0, abs=1e-12)
    assert grid.std[1] == pytest.approx((truth[4:] - truth[:-4]).std())
    assert grid.std[2] == pytest.approx((truth[..., [1, 2, 3, 4, 5, 6, 7, 0]] - truth).std())
    assert grid.low[0] == pytest.approx(truth.mean() - 10 * truth.std())
    assert grid.high[2] == pytest.approx(20 * truth.std())
    with pytest.raises(FrozenInstanceError):
        grid.cells = 3  # type: ignore[misc]


def test_moments_of_a_gaussian() -> None:
    run = 2 + 3 * np.random.default_rng(0).standard_normal((5000, 20, 8))
    result = time_series.moments(run)
    assert result.mean == pytest.approx(2, abs=0.02)
    assert result.std == pytest.approx(3, rel=0.01)
    # Normal quantiles: -+ 3.0902 standard deviations.
    assert result.percentile_0_1 == pytest.approx(2 - 3 * 3.0902, abs=0.2)
    assert result.percentile_99_9 == pytest.approx(2 + 3 * 3.0902, abs=0.2)


def test_autocorrelation_of_an_autoregression() -> None:
    lags, correlation = time_series.autocorrelation(1e3 + ar1(0.9, 4000), INTERVAL, max_lag=1.0)
    np.testing.assert_allclose(lags, np.arange(21) * INTERVAL)
    np.testing.assert_allclose(correlation, 0.9 ** np.arange(21), atol=0.03)


def test_autocorrelation_against_its_definition(truth: Array) -> None:
    run = truth[:50]
    _, correlation = time_series.autocorrelation(run, INTERVAL, max_lag=49 * INTERVAL)
    anomaly = run - run.mean()
    expected = [(anomaly[: 50 - lag] * anomaly[lag:]).mean() / anomaly.var() for lag in range(50)]
    np.testing.assert_allclose(correlation, expected, atol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_statistics_of_a_constant_run_are_numbers(value: float) -> None:
    run = np.full((300, 3, 8), value)
    np.testing.assert_allclose(time_series.autocorrelation(run, INTERVAL, max_lag=1.0)[1], 1, rtol=1e-9)
    np.testing.assert_allclose(time_series.spectrum(run, INTERVAL, segment=5.0)[1], 0, atol=1e-25)
    assert time_series.moments(run).std == pytest.approx(0, abs=1e-12)


def test_parseval_of_one_segment(truth: Array) -> None:
    frequency, density = time_series.spectrum(truth, INTERVAL, segment=1000 * INTERVAL)
    weight = np.sin(np.pi * np.arange(1000) / 1000) ** 4  # the squared (periodic) Hann window
    expected = (weight[:, None, None] * (truth - truth.mean()) ** 2).sum(axis=0).mean() / weight.sum()
    assert density.sum() * frequency[1] == pytest.approx(expected, rel=1e-12)
    assert frequency[-1] == pytest.approx(0.5 / INTERVAL)


def test_spectrum_of_an_autoregression() -> None:
    run = ar1(0.9, 8000)
    frequency, density = time_series.spectrum(run, INTERVAL, segment=10.0)
    assert density.sum() * frequency[1] == pytest.approx(run.var(), rel=0.01)
    expected = 2 * INTERVAL * (1 - 0.9**2) / np.abs(1 - 0.9 * np.exp(-2j * np.pi * frequency * INTERVAL)) ** 2
    inner = slice(5, -2)  # the window mixes the ends with their mirror images
    np.testing.assert_allclose(density[inner], expected[inner], rtol=0.1)


def test_spectrum_finds_a_wave_and_accepts_a_short_run() -> None:
    times = np.arange(200) * INTERVAL
    run = np.broadcast_to(np.sin(2 * np.pi * 1.5 * times)[:, None, None], (200, 2, 8))
    frequency, density = time_series.spectrum(run, INTERVAL)
    assert frequency[density.argmax()] == pytest.approx(1.5)
    assert density.sum() * frequency[1] == pytest.approx(0.5, rel=1e-3)


def test_bad_arguments(truth: Array, grid: DistanceGrid) -> None:
    broken = truth[:10].copy()
    broken[0, 0, 0] = np.nan
    for call in (
        lambda: DistanceGrid.from_truth(broken, INTERVAL),
        lambda: climate.member_cdfs(broken, INTERVAL, grid),
        lambda: time_series.moments(broken),
        lambda: time_series.autocorrelation(broken, INTERVAL),
        lambda: time_series.spectrum(broken, INTERVAL),
    ):
        with pytest.raises(ValueError, match="X must be finite"):
            call()
    with pytest.raises(ValueError, match=r"run \(time, member, K\)"):
        time_series.moments(truth[0])
    with pytest.raises(ValueError, match="whole multiple"):
        climate.member_cdfs(truth, 0.03, grid)
    with pytest.raises(ValueError, match="change needs more than"):
        climate.member_cdfs(truth[:4], INTERVAL, grid)
    with pytest.raises(ValueError, match="the truth must vary"):
        DistanceGrid.from_truth(np.ones((20, 2, 8)), INTERVAL)
    with pytest.raises(ValueError, match="is not shorter than the run"):
        time_series.autocorrelation(truth[:100], INTERVAL, max_lag=5.0)
    with pytest.raises(ValueError, match="of this grid"):
        climate.wasserstein(np.zeros((3, 10)), np.zeros((3, 10)), grid)
    with pytest.raises(ValueError, match="unknown quantity"):
        climate.quantity("speed", truth, INTERVAL)  # type: ignore[arg-type]
