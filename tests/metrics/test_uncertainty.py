"""Bootstrap, intervals and ranks against textbook formulas, known coverage and hand-made cases."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from l96bench.metrics import comparison, uncertainty


@pytest.mark.parametrize("block_length", [1, 5])
def test_indices_are_deterministic_and_uniform(block_length: int) -> None:
    indices = uncertainty.bootstrap_indices(40, 2000, seed=7, block_length=block_length)
    assert indices.shape == (2000, 40)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices, uncertainty.bootstrap_indices(40, 2000, 7, block_length))
    assert (indices != uncertainty.bootstrap_indices(40, 2000, 8, block_length)).any()
    # Each block is drawn 2,000 times on average; five standard deviations of a sum of runs of block_length draws.
    counts = np.bincount(indices.ravel(), minlength=40)
    assert np.abs(counts - 2000).max() < 5 * sqrt(2000 * block_length)


@pytest.mark.slow
@pytest.mark.parametrize(("n_blocks", "block_length"), [(1, 1), (10, 1), (12, 4), (57, 5), (57, 57)])
def test_draws_are_those_of_arch(n_blocks: int, block_length: int) -> None:
    from arch.bootstrap import CircularBlockBootstrap, IIDBootstrap

    for seed in (0, (2427949844, 1)):
        blocks, generator = np.arange(n_blocks), np.random.default_rng(seed)
        if block_length == 1:
            theirs = IIDBootstrap(blocks, seed=generator)
        else:
            theirs = CircularBlockBootstrap(block_length, blocks, seed=generator)
        drawn = [each for (each,), _ in theirs.bootstrap(100)]
        np.testing.assert_array_equal(uncertainty.bootstrap_indices(n_blocks, 100, seed, block_length), drawn)


def test_longer_blocks_are_runs_round_the_circle() -> None:
    runs = uncertainty.bootstrap_indices(12, 50, seed=0, block_length=4).reshape(50, 3, 4)
    assert ((np.diff(runs, axis=-1) % 12) == 1).all()
    assert (np.diff(runs, axis=-1) == -11).any()


def test_weights_give_the_sums_of_the_drawn_blocks() -> None:
    indices = uncertainty.bootstrap_indices(30, 100, seed=1)
    weights = uncertainty.resampling_weights(indices, 30)
    values = np.random.default_rng(0).standard_normal(30)
    assert weights.dtype == np.float64
    assert (weights.sum(axis=1) == 30).all()
    np.testing.assert_allclose(weights @ values, values[indices].sum(axis=1), atol=1e-12)


def coverage(samples: np.ndarray, block_length: int) -> float:
    """Fraction of samples (sample, n) of mean 0 whose bootstrap interval of the mean holds 0."""
    n = samples.shape[1]
    weights = uncertainty.resampling_weights(uncertainty.bootstrap_indices(n, 500, 3, block_length), n)
    replicates = samples @ weights.T / n
    ends = [uncertainty.interval(row) for row in replicates]
    return float(np.mean([low <= 0 <= high for low, high in ends]))


def test_interval_covers_the_mean_of_independent_blocks() -> None:
    samples = np.random.default_rng(0).standard_normal((1000, 100))
    assert coverage(samples, 1) == pytest.approx(0.95, abs=0.025)


def test_interval_of_dependent_blocks_needs_longer_blocks() -> None:
    rng = np.random.default_rng(1)
    phi, n, length = 0.7, 400, 25
    samples = rng.standard_normal((500, n))
    samples[:, 0] /= sqrt(1 - phi**2)
    for i in range(1, n):
        samples[:, i] += phi * samples[:, i - 1]
    lag = np.arange(1, n)
    # Variance of the mean over that of independent values, and its expectation under the circular block bootstrap:
    # covariances weighted by the share of pairs that stay within a block and off the seam, about the sample's own mean.
    exact = 1 + 2 * np.sum((1 - lag / n) * phi**lag)
    taper = np.maximum(1 - lag / length, 0)
    expected = 1 + 2 * np.sum(taper * (1 - lag / n) * phi**lag) - length / n * exact
    # A variance from 400 values has a normal distribution's quantiles, one from 16 blocks those of Student's t.
    naive = 2 * norm.cdf(1.96 / sqrt(exact)) - 1
    blocked = 2 * student.cdf(1.96 * sqrt(expected / exact), n // length - 1) - 1
    # Tolerances: three standard errors of a fraction of 500.
    assert coverage(samples, 1) == pytest.approx(naive, abs=3 * sqrt(naive * (1 - naive) / 500))
    assert coverage(samples, length) == pytest.approx(blocked, abs=3 * sqrt(blocked * (1 - blocked) / 500))
    weights = uncertainty.resampling_weights(uncertainty.bootstrap_indices(n, 500, 3, length), n)
    variance = (samples @ weights.T / n).var(axis=1).mean() * n * (1 - phi**2)
    assert variance == pytest.approx(expected, rel=0.06)


def test_interval_is_made_of_replicates() -> None:
    replicates = np.random.default_rng(0).permutation(np.arange(1000.0))
    assert uncertainty.interval(replicates) == (24, 975)
    assert uncertainty.interval(replicates, 0.9) == (49, 950)
    assert uncertainty.interval([2.0]) == (2, 2)
    low, high = uncertainty.interval([-np.inf] * 100 + [0.5] * 900)
    assert (low, high) == (-np.inf, 0.5)


def test_recentred_replicates_have_the_mean_of_the_estimate() -> None:
    replicates = np.random.default_rng(0).gamma(2.0, size=1000)
    moved = uncertainty.recentre(replicates, 0.3)
    assert moved.mean() == pytest.approx(0.3)
    np.testing.assert_allclose(np.diff(moved), np.diff(replicates), atol=1e-12)
    hopeless = np.array([-np.inf, 0.5])
    np.testing.assert_array_equal(uncertainty.recentre(hopeless, -np.inf), hopeless)


@pytest.mark.parametrize(("successes", "trials"), [(0, 50), (50, 50), (47, 50), (1, 3)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_the_textbook_formula(successes: int, trials: int, level: float) -> None:
    z, p = norm.ppf((1 + level) / 2), successes / trials
    centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    low, high = uncertainty.wilson(successes, trials, level)
    assert low == pytest.approx(centre - half, abs=1e-12)
    assert high == pytest.approx(centre + half, abs=1e-12)


def test_pairing_tells_apart_what_single_intervals_do_not() -> None:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(1000)
    a, b = 50 + shared + 0.05 * rng.standard_normal(1000), 49.5 + shared
    assert uncertainty.interval(a)[0] < uncertainty.interval(b)[1]
    paired = comparison.compare_paired(a, 50.0, b, 49.5)
    assert paired.distinguishable
    assert paired.difference == pytest.approx(0.5)
    assert (paired.low, paired.high) == (pytest.approx(0.4, abs=0.03), pytest.approx(0.6, abs=0.03))
    mirrored = comparison.compare_paired(b, 49.5, a, 50.0)
    assert (mirrored.low, mirrored.high) == (-paired.high, -paired.low)
    assert not comparison.compare_paired(a, 50.0, rng.permutation(b), 49.5).distinguishable


def test_an_entry_equals_itself_even_when_it_is_hopeless() -> None:
    for replicates, estimate in ((np.arange(5.0), 2.0), (np.full(5, -np.inf), -np.inf)):
        same = comparison.compare_paired(replicates, estimate, replicates, estimate)
        assert (same.difference, same.low, same.high, same.distinguishable) == (0, 0, 0, False)


def test_tied_ranks() -> None:
    noise = np.random.default_rng(0).standard_normal((5, 1000))
    estimates = np.array([10.0, 50.0, 49.0, 47.0, -np.inf])
    replicates = estimates[:, None] + noise
    # 49 cannot be told from 50; 47 - 50 has the interval -3 +- 2.8 and can, but not from 49, whose rank it shares.
    assert comparison.tied_ranks(estimates, replicates) == [4, 1, 1, 1, 5]
    shuffled = [3, 0, 4, 2, 1]
    ranks = comparison.tied_ranks(estimates[shuffled], replicates[shuffled])
    assert ranks == [1, 4, 5, 1, 1]
    assert comparison.tied_ranks([1.0], [[1.0, 1.1]]) == [1]


@pytest.mark.parametrize("seed", range(5))
def test_entries_with_different_ranks_are_told_apart(seed: int) -> None:
    """And no group could be divided: it is the finest such division into groups of neighbours."""
    rng = np.random.default_rng(seed)
    estimates = np.sort(rng.normal(0.0, 12.0, 25))[::-1]
    replicates = estimates[:, None] + rng.normal(size=(25, 400)) * rng.uniform(0.2, 2.0, (25, 1))
    ranks = comparison.tied_ranks(estimates, replicates)
    apart = np.array(
        [
            [
                comparison.compare_paired(b, b0, a, a0).distinguishable
                for a0, a in zip(estimates, replicates, strict=True)
            ]
            for b0, b in zip(estimates, replicates, strict=True)
        ]
    )
    boundaries = [at for at in range(1, 25) if apart[:at, at:].all()]
    assert ranks == [max([0, *(at for at in boundaries if at <= place)]) + 1 for place in range(25)]
    assert 1 < len(set(ranks)) < 25


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="block_length <= n_blocks"):
        uncertainty.bootstrap_indices(5, 10, block_length=6)
    with pytest.raises(ValueError, match=r"within 0\.\.2"):
        uncertainty.resampling_weights(np.array([[0, 3]]), 3)
    with pytest.raises(ValueError, match="NaN"):
        uncertainty.interval([1.0, np.nan])
    with pytest.raises(ValueError, match="between 0 and 1"):
        uncertainty.interval([1.0], level=95)
    with pytest.raises(ValueError, match="successes <= trials"):
        uncertainty.wilson(4, 3)
    with pytest.raises(ValueError, match="equally many"):
        comparison.compare_paired([1.0], 1.0, [1.0, 2.0], 1.0)
    with pytest.raises(ValueError, match="one row of replicates"):
        comparison.tied_ranks([1.0, 2.0], [[1.0]])


def normal_samples(n: int, n_samples: int, n_replicates: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Normal samples (sample, n) of mean 0 and the replicates (sample, replicate) of their means."""
    samples = np.random.default_rng(n).standard_normal((n_samples, n))
    weights = uncertainty.resampling_weights(uncertainty.bootstrap_indices(n, n_replicates, 5), n) / n
    return samples, samples @ weights.T


def test_the_interval_of_ten_blocks_is_that_of_student() -> None:
    samples, replicates = normal_samples(10, 200, n_replicates=20_000)
    ends = np.array(
        [
            uncertainty.estimate_interval(own.mean(), drawn, draws=uncertainty.Draws(10))
            for own, drawn in zip(samples, replicates, strict=True)
        ]
    )
    half = student.ppf(0.975, 9) * samples.std(axis=1, ddof=1) / sqrt(10)
    expected = samples.mean(axis=1)[:, None] + np.outer(half, [-1, 1])
    # Bootstrap quantiles of ten normal values are not quite normal: a twentieth of the half-width in the mean of many.
    np.testing.assert_allclose(((ends - expected) / half[:, None]).mean(axis=0), 0.0, atol=0.05)


def test_the_factor_is_that_of_the_definition() -> None:
    replicates = np.random.default_rng(0).normal(50.0, 1.0, 1000)
    z = norm.ppf(0.975)
    assert uncertainty.Draws().stretch(replicates) == 1.0
    ten = uncertainty.Draws(10).stretch(replicates)
    assert ten == pytest.approx(sqrt(10 / 9) * student.ppf(0.975, 9) / z, rel=1e-12)
    # Seeds that make all of the variance have n - 1 degrees of freedom, those that make half of it 4 (n - 1).
    seeds = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    for share, freedom in ((1.0, 4.0), (0.5, 16.0)):
        own = seeds * sqrt(share * replicates.var() * 5 / seeds.var(ddof=1))
        factor = uncertainty.Draws(seeds=(tuple(own),)).stretch(replicates)
        assert factor == pytest.approx(student.ppf(0.975, freedom) / z, rel=1e-9)
    # Of two entries, whose seeds make a half each, twice four.
    own = seeds * sqrt(0.5 * replicates.var() * 5 / seeds.var(ddof=1))
    both = uncertainty.Draws(None, (tuple(own),)).beside(uncertainty.Draws(None, (tuple(own),)))
    assert both.stretch(replicates) == pytest.approx(student.ppf(0.975, 8) / z, rel=1e-9)
    assert uncertainty.Draws(10).stretch(np.full(5, 3.0)) == uncertainty.Draws(10).stretch([-np.inf, 1.0]) == 1.0


def test_stretched_ends_stay_within_bounds() -> None:
    ends = uncertainty.stretched((97.0, 99.9), 99.0, 1.5, (0.0, 100.0))
    assert ends == (96.0, 100.0)
    assert uncertainty.stretched((-3.0, 101.0), 99.0, 1.5, (0.0, 100.0)) == (-3.0, 101.0)
    # A metric that lies below its replicates is not left out of its interval.
    low, high = uncertainty.estimate_interval(0.9, np.linspace(0.95, 1.0, 100), draws=uncertainty.Draws(3))
    assert low == 0.9 < high


def test_few_blocks_tie_what_many_tell_apart() -> None:
    replicates = np.random.default_rng(0).normal(0.0, 1.0, 1000)
    estimates, samples = [2.2, 0.0], np.array([2.2 + replicates, np.zeros(1000)])
    assert comparison.tied_ranks(estimates, samples) == [1, 2]
    assert comparison.tied_ranks(estimates, samples, draws=[uncertainty.Draws(10)] * 2) == [1, 1]
    with pytest.raises(ValueError, match="draws for each estimate"):
        comparison.tied_ranks(estimates, samples, draws=[uncertainty.Draws(10)])


@pytest.mark.slow
@pytest.mark.parametrize("seed_share", [0.0, 0.5, 1.0])
def test_stretched_intervals_cover_the_mean(seed_share: float) -> None:
    """Ten blocks; or 100 blocks and five seeds that make a share of the variance."""
    rng = np.random.default_rng(1)
    n_samples = 2000
    if seed_share == 0.0:
        samples, replicates = normal_samples(10, n_samples)
        estimates, draws = samples.mean(axis=1), [uncertainty.Draws(10)] * n_samples
    else:
        samples, replicates = normal_samples(100, n_samples)
        seeds = sqrt(seed_share * 5) * rng.standard_normal((n_samples, 5))
        weights = (rng.integers(5, size=(4, 1000))[..., None] == np.arange(5)).mean(axis=0)
        scale = 10 * sqrt(1 - seed_share)
        estimates = scale * samples.mean(axis=1) + seeds.mean(axis=1)
        replicates = scale * replicates + seeds @ weights.T
        draws = [uncertainty.Draws(seeds=(tuple(own),)) for own in seeds]
    wide = [
        uncertainty.estimate_interval(value, own, draws=made_of)
        for value, own, made_of in zip(estimates, replicates, draws, strict=True)
    ]
    narrow = [uncertainty.interval(own) for own in replicates]
    assert np.mean([low <= 0 <= high for low, high in wide]) == pytest.approx(0.945, abs=0.02)
    assert np.mean([low <= 0 <= high for low, high in narrow]) < 0.935


def test_weights_of_correlated_blocks_give_means_the_spread_that_they_have() -> None:
    n, r, rng = 100, 0.3, np.random.default_rng(7)
    series = np.empty((4000, n))
    series[:, 0] = rng.standard_normal(4000)
    for i in range(1, n):
        series[:, i] = r * series[:, i - 1] + np.sqrt(1.0 - r**2) * rng.standard_normal(4000)
    weights = uncertainty.resampling_weights(uncertainty.bootstrap_indices(n, 500, 3), n)
    spreads = [
        np.sqrt(((series @ each.T / n).var(axis=1)).mean())
        for each in (weights, uncertainty.correlated_weights(weights, r))
    ]
    independent, correlated = np.array(spreads) / series.mean(axis=1).std()
    assert independent == pytest.approx(np.sqrt(0.7 / 1.3), rel=0.03)
    assert correlated == pytest.approx(1.0, rel=0.03)
    np.testing.assert_allclose(uncertainty.correlated_weights(weights, r).sum(axis=1), n)
    np.testing.assert_array_equal(uncertainty.correlated_weights(weights, 0.0), weights)
