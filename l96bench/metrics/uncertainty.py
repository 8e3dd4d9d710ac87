"""Intervals of scores, by resampling.

All entries of a task are resampled with the same indices, so the replicates of two entries are paired: replicate i of
both is made of the same blocks. Replicates and estimates may be ``-inf`` (a hopeless score), never NaN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf, isfinite, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.metrics.arrays import FloatArray, without_nan


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}: 0.95 is usual.")


def bootstrap_indices(
    n_blocks: int, n_replicates: int = 1000, seed: int | Sequence[int] = 0, block_length: int = 1
) -> NDArray[np.int64]:
    """Return which blocks each bootstrap replicate is made of.

    Parameters
    ----------
    n_blocks, n_replicates : int
        Blocks of the sample, and replicates; at least 1.
    seed : int or sequence of int
        Seed of a PCG64 generator; the same arguments give the same indices.
    block_length : int
        1 draws blocks independently (Efron 1979). More draws runs of that many consecutive blocks, the last being
        followed by the first (circular block bootstrap, Politis and Romano 1992), for blocks that are not independent.

    Returns
    -------
    (n_replicates, n_blocks) array of int
        From 0 to ``n_blocks - 1``.

    Raises
    ------
    ValueError
        If runs are longer than the sample, or a number is below 1.

    Examples
    --------
    >>> from l96bench import metrics
    >>> indices = metrics.bootstrap_indices(n_blocks=5, n_replicates=100)
    >>> indices.shape, int(indices.min()), int(indices.max())
    ((100, 5), 0, 4)
    """
    if n_blocks < 1 or n_replicates < 1 or not 1 <= block_length <= n_blocks:
        raise ValueError(
            "expected n_blocks >= 1, n_replicates >= 1 and 1 <= block_length <= n_blocks, "
            f"got {n_blocks}, {n_replicates} and {block_length}."
        )
    generator, n_runs = np.random.default_rng(seed), -(-n_blocks // block_length)
    firsts = generator.integers(n_blocks, size=(n_replicates, n_runs))
    runs = (firsts[..., None] + np.arange(block_length)) % n_blocks
    return runs.reshape(n_replicates, -1)[:, :n_blocks]


def resampling_weights(indices: NDArray[np.int64], n_blocks: int) -> FloatArray:
    """Return how often each replicate holds each block, ready for a matrix product with sums over blocks.

    Parameters
    ----------
    indices : (n_replicates, n_drawn) array of int
        From `bootstrap_indices`.
    n_blocks : int
        Blocks of the sample.

    Returns
    -------
    (n_replicates, n_blocks) array
        Whole numbers as float64; every row sums to ``n_drawn``.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> metrics.resampling_weights(np.array([[0, 0, 2]]), n_blocks=3)
    array([[2., 0., 1.]])
    """
    indices = np.asarray(indices)
    if indices.ndim != 2 or indices.size == 0 or indices.min() < 0 or indices.max() >= n_blocks:
        raise ValueError(f"indices must be (n_replicates, n_drawn) within 0..{n_blocks - 1}, got {indices.shape}.")
    n_replicates = len(indices)
    flat = indices + n_blocks * np.arange(n_replicates)[:, None]
    counts = np.bincount(flat.ravel(), minlength=n_replicates * n_blocks)
    return counts.reshape(n_replicates, n_blocks).astype(np.float64)


def correlated_weights(weights: FloatArray, correlation: float) -> FloatArray:
    """Return weights for blocks whose neighbours are correlated, from those of `resampling_weights`.

    A bootstrap draws blocks as if they were independent. With deviations from 1 that are longer by the square root of
    (1 + r) / (1 - r), means have the standard deviation of those of blocks with the lag-1 correlation r (Wilks 2011,
    Statistical Methods in the Atmospheric Sciences, section 5.2.4).

    Parameters
    ----------
    weights : (n_replicates, n_blocks) array
        How often each replicate holds each block.
    correlation : float
        The correlation r of neighbouring blocks, below 1.

    Returns
    -------
    (n_replicates, n_blocks) array
        They may be a little below 0.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> metrics.correlated_weights(np.array([[0.0, 2.0, 1.0]]), correlation=0.6)
    array([[-1.,  3.,  1.]])
    """
    return np.asarray(1.0 + sqrt((1.0 + correlation) / (1.0 - correlation)) * (weights - 1.0))


def resampled_means(weights: FloatArray, blocks: FloatArray) -> FloatArray:
    """Return means (replicate,) of blocks >= 0, none below the smallest, by weights of sum 1 that may be below 0."""
    return np.maximum(weights @ blocks, blocks.min())


def recentre(replicates: ArrayLike, estimate: float) -> FloatArray:
    """Return the replicates shifted so that their mean is the estimate, the score of the sample itself.

    A distance between resampled samples is larger than that between the samples, and a score made from it smaller; the
    shift takes this bias of the bootstrap out of the interval. Replicates that are not all finite have no mean and are
    returned as they are.

    Parameters
    ----------
    replicates : (n_replicates,) array
        The score of resampled samples.
    estimate : float
        The score of the sample.

    Returns
    -------
    (n_replicates,) array
        In the units of the score.

    Examples
    --------
    >>> from l96bench import metrics
    >>> metrics.recentre([1.0, 2.0, 3.0], 5.0)
    array([4., 5., 6.])
    """
    values = without_nan("replicates", replicates)
    if not (np.isfinite(values).all() and np.isfinite(estimate)):
        return values.copy()
    return np.asarray(values - values.mean() + estimate, dtype=np.float64)


def interval(replicates: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of bootstrap replicates (Efron and Tibshirani 1993, chapter 13).

    Its ends are replicates themselves, the outer ones where a quantile lies between two: nothing is interpolated, so
    that ``-inf`` is a possible end. It is too short where the replicates are made of few draws; `estimate_interval` is
    not.

    Parameters
    ----------
    replicates : (n_replicates,) array
        An estimate from resampled samples.
    level : float
        The fraction between the ends.

    Returns
    -------
    low : float
        In the units of the estimate.
    high : float
        Not below `low`.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> low, high = metrics.interval(np.arange(1001.0), level=0.9)
    >>> float(low), float(high)
    (49.0, 951.0)
    """
    _check_level(level)
    ordered = np.sort(without_nan("replicates", replicates))
    left_out = floor((1 - level) / 2 * (ordered.size - 1))
    return float(ordered[left_out]), float(ordered[-1 - left_out])


@dataclass(frozen=True, slots=True)
class Draws:
    """The few independent draws of which bootstrap replicates are made.

    Parameters
    ----------
    blocks : int, optional
        Number of blocks of the sample; None for so many that the percentile interval needs no correction.
    seeds : tuple of tuple of float
        The estimate of each training seed, for each of the entries that were trained with several.

    Examples
    --------
    >>> from l96bench import metrics
    >>> metrics.Draws(blocks=6), metrics.Draws().blocks
    (Draws(blocks=6, seeds=()), None)
    """

    blocks: int | None = None
    seeds: tuple[tuple[float, ...], ...] = ()

    def beside(self, other: Draws) -> Draws:
        """Return the draws behind the difference of two entries that share their blocks."""
        counts = [each.blocks for each in (self, other) if each.blocks is not None]
        return Draws(min(counts, default=None), self.seeds + other.seeds)

    def stretch(self, replicates: ArrayLike, level: float = 0.95) -> float:
        """Return the factor, at least 1, by which a percentile interval is too short.

        A bootstrap of m blocks has a variance that is too small by (m - 1) / m, and a variance estimated from few
        values has the quantiles of Student's t (Hesterberg 2015, What teachers should know about the bootstrap, Am.
        Stat. 69, 371-386). The degrees of freedom are those of Satterthwaite (1946): the variance of the mean over n
        training seeds has n - 1, the rest of the variance of the replicates m - 1. It is 1 for replicates that are all
        equal or not all finite.
        """
        _check_level(level)
        values = without_nan("replicates", replicates)
        if (self.blocks is None and not self.seeds) or not np.isfinite(values).all() or np.ptp(values) == 0.0:
            return 1.0
        from scipy.special import stdtrit

        variance = float(values.var())
        shares = [float(np.var(own, ddof=1)) / len(own) / variance for own in self.seeds]
        rest = max(0.0, 1.0 - sum(shares))
        free = inf if self.blocks is None or self.blocks < 2 else self.blocks - 1.0
        parts = [*zip(shares, (len(own) - 1.0 for own in self.seeds), strict=True), (rest, free)]
        spent = sum(share**2 / own for share, own in parts)
        freedom = sum(share for share, _ in parts) ** 2 / spent if spent > 0.0 else inf
        quantile = (1.0 + level) / 2.0
        student = stdtrit(freedom, quantile) / NormalDist().inv_cdf(quantile)
        return max(1.0, float(student)) * sqrt(1.0 + rest / free)


MANY = Draws()
"""Enough draws for a percentile interval."""


def drawn_seeds(name: str, n: int, n_replicates: int) -> tuple[int, NDArray[np.int64]]:
    """Return the seed that follows from an entry's name, and which of n training seeds (n - 1, replicate) it draws.

    Parameters
    ----------
    name : str
        The entry's name.
    n : int
        Number of training seeds.
    n_replicates : int
        Number of replicates.

    Returns
    -------
    seed : int
        Seed of a PCG64 generator that follows from the name.
    drawn : (n - 1, n_replicates) array of int
        The training seeds, from 0 to n - 1, that each replicate draws.

    Examples
    --------
    >>> from l96bench import metrics
    >>> seed, drawn = metrics.drawn_seeds("GRU", n=5, n_replicates=10)
    >>> drawn.shape, bool((drawn < 5).all())
    ((4, 10), True)
    """
    entropy = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    return entropy, np.random.Generator(np.random.PCG64(entropy)).integers(n, size=(n - 1, n_replicates))


def stretched(
    ends: tuple[float, float], estimate: float, factor: float, bounds: tuple[float, float] = (-inf, inf)
) -> tuple[float, float]:
    """Return the ends of an interval, moved away from the estimate; within bounds if they were.

    Parameters
    ----------
    ends : (low, high)
        The interval.
    estimate : float
        What it is moved away from.
    factor : float
        At least 1.
    bounds : (low, high)
        Of what is estimated.

    Returns
    -------
    low : float
        In the units of the estimate.
    high : float
        Not below `low`.

    Examples
    --------
    >>> from l96bench import metrics
    >>> metrics.stretched((1.0, 4.0), 2.0, 1.5, bounds=(0.0, 4.5))
    (0.5, 4.5)
    """
    low, high = ends
    if factor == 1.0 or not isfinite(estimate):
        return ends
    below, above = (factor - 1.0) * max(0.0, estimate - low), (factor - 1.0) * max(0.0, high - estimate)
    return max(low - below, min(low, bounds[0])), min(high + above, max(high, bounds[1]))


def estimate_interval(
    estimate: float,
    replicates: ArrayLike,
    level: float = 0.95,
    draws: Draws = MANY,
    bounds: tuple[float, float] = (-inf, inf),
) -> tuple[float, float]:
    """Return the interval of an estimate: that of its replicates, stretched about it where they are made of few draws.

    It holds the estimate. What the percentile interval has within the bounds of what is estimated stays within.

    Parameters
    ----------
    estimate : float
        Such as a score.
    replicates : (n_replicates,) array
        The estimate from resampled samples.
    level : float
        The fraction between the ends.
    draws : Draws
        What the replicates are made of.
    bounds : (low, high)
        What the estimate lies between, whatever the sample.

    Returns
    -------
    low : float
        In the units of the estimate.
    high : float
        Not below `low`.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> replicates = np.random.default_rng(0).normal(50.0, 1.0, 1000)
    >>> low, high = metrics.estimate_interval(50.0, replicates)
    >>> few = metrics.estimate_interval(50.0, replicates, draws=metrics.Draws(blocks=4))
    >>> few[0] < low < 50.0 < high < few[1]
    True
    """
    low, high = stretched(interval(replicates, level), estimate, draws.stretch(replicates, level), bounds)
    return min(low, estimate), max(high, estimate)


def wilson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's (1927) score interval of a proportion, such as the fraction of runs that survive.

    Its ends are apart even when all or none succeed.

    Parameters
    ----------
    successes, trials : int
        Numbers.
    level : float
        The fraction of samples whose interval holds the true proportion.

    Returns
    -------
    low : float
        At least 0.
    high : float
        At most 1.

    Examples
    --------
    >>> from l96bench import metrics
    >>> low, high = metrics.wilson(120, 120)
    >>> round(low, 3), high
    (0.969, 1.0)
    """
    from scipy.stats import binomtest

    _check_level(level)
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"expected 0 <= successes <= trials and trials >= 1, got {successes} of {trials}.")
    ends = binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(ends.low), float(ends.high)
