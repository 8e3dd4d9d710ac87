"""Comparisons of two entries, and ranks that entries share when they cannot be told apart.

All entries of a task are resampled with the same indices, so the replicates of two entries are paired: replicate i of
both is made of the same blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from l96bench.metrics.arrays import FloatArray, without_nan
from l96bench.metrics.uncertainty import MANY, Draws, interval, stretched


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """The difference of two entries' estimates, first minus second, and its interval.

    Parameters
    ----------
    difference : float
        Of the estimates, in their units.
    low, high : float
        The ends of the interval.
    level : float
        Of the interval.
    distinguishable : bool
        Whether the interval leaves 0 out.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> replicates = np.random.default_rng(0).normal(0.0, 1.0, 1000)
    >>> gain = metrics.compare_paired(replicates + 51.0, 51.0, replicates + 50.0, 50.0)
    >>> gain.difference, gain.distinguishable
    (1.0, True)
    """

    difference: float
    low: float
    high: float
    level: float
    distinguishable: bool

    def __str__(self) -> str:
        verdict = "told apart" if self.distinguishable else "cannot be told apart"
        return f"{self.difference:+.2f} [{self.low:+.2f}, {self.high:+.2f}] at {100 * self.level:g} %: {verdict}"


def _difference(a: FloatArray | float, b: FloatArray | float) -> FloatArray:
    """Differences in which two equal infinities are 0 apart."""
    with np.errstate(invalid="ignore"):
        return np.where(np.equal(a, b), 0.0, np.subtract(a, b))


def compare_paired(
    replicates_a: ArrayLike,
    estimate_a: float,
    replicates_b: ArrayLike,
    estimate_b: float,
    level: float = 0.95,
    draws: Draws = MANY,
) -> PairedComparison:
    """Return whether two entries that were resampled with the same indices can be told apart.

    Parameters
    ----------
    replicates_a, replicates_b : (n_replicates,) array
        Of each score, from the same indices, recentred on its estimate.
    estimate_a, estimate_b : float
        The scores.
    level : float
        Of the interval.
    draws : Draws
        Those behind the difference (`Draws.beside`), whose interval is stretched like that of a score.

    Returns
    -------
    PairedComparison
        The first less the second.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> replicates = np.random.default_rng(0).normal(0.0, 1.0, 1000)
    >>> metrics.compare_paired(replicates + 51.0, 51.0, replicates + 50.0, 50.0).distinguishable  # they vary together
    True
    >>> metrics.compare_paired(replicates + 51.0, 51.0, replicates[::-1] + 50.0, 50.0).distinguishable
    False
    """
    a, b = without_nan("replicates_a", replicates_a), without_nan("replicates_b", replicates_b)
    if a.shape != b.shape:
        raise ValueError(f"paired replicates must be equally many, got {a.size} and {b.size}.")
    differences, difference = _difference(a, b), float(_difference(estimate_a, estimate_b))
    low, high = stretched(interval(differences, level), difference, draws.stretch(differences, level))
    return PairedComparison(difference, low, high, level, not low <= 0 <= high)


def compare_independent(
    replicates_a: ArrayLike,
    estimate_a: float,
    replicates_b: ArrayLike,
    estimate_b: float,
    level: float = 0.95,
    draws: Draws = MANY,
) -> PairedComparison:
    """Compare two scores on test data that have nothing in common, so that the variances of both add up.

    Replicates of the two are made into pairs that are not of the same indices, whatever their number of blocks.
    The difference of few blocks has the degrees of freedom of one of the two samples, which is careful.
    """
    b = without_nan("replicates_b", replicates_b)
    found = compare_paired(replicates_a, estimate_a, np.roll(b, 1), estimate_b, level, draws)
    low, high = min(found.low, found.difference), max(found.high, found.difference)
    return PairedComparison(found.difference, low, high, level, not low <= 0 <= high)


def tied_ranks(
    estimates: ArrayLike, replicates: ArrayLike, level: float = 0.95, draws: Sequence[Draws] | None = None
) -> list[int]:
    """Return ranks of entries in the order given, 1 for the best: any two with different ranks can be told apart.

    From the largest estimate down, an entry opens a group, whose rank is its position (1, 1, 3, ...), if it and all
    entries below it can be told apart from all entries above it, each pair by the paired interval of their difference.
    Otherwise it shares the rank of the entry above. Entries with equal estimates keep their order.

    Clusters of significance are the practice of machine translation's shared tasks (Bojar et al. 2013,
    Findings of the 2013 Workshop on Statistical Machine Translation, section 3).

    Parameters
    ----------
    estimates : (n_entries,) array
        The scores.
    replicates : (n_entries, n_replicates) array
        From the same indices, recentred on the estimates.
    level : float
        Of the intervals.
    draws : sequence of Draws, optional
        What the replicates of each entry are made of.

    Returns
    -------
    list of int
        A rank for each entry.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> estimates = np.array([50.0, 60.0, 50.1])
    >>> replicates = estimates[:, None] + np.random.default_rng(0).normal(0.0, 1.0, (3, 1000))
    >>> metrics.tied_ranks(estimates, replicates)
    [2, 1, 2]
    """
    scores, samples = without_nan("estimates", estimates), without_nan("replicates", replicates, ndim=2)
    if len(scores) != len(samples):
        raise ValueError(f"one row of replicates for each estimate, got {len(samples)} rows for {len(scores)}.")
    made_of = [MANY] * len(scores) if draws is None else draws
    if len(made_of) != len(scores):
        raise ValueError(f"draws for each estimate, got {len(made_of)} for {len(scores)}.")
    order = np.argsort(-scores, kind="stable")
    reach = 0  # the lowest position that is not told apart from one of those so far
    ranks, rank = [0] * len(scores), 1
    for position, entry in enumerate(order):
        if position > reach:
            rank = position + 1
        ranks[entry] = rank
        for lower in range(len(order) - 1, max(position, reach), -1):
            other = order[lower]
            both = made_of[entry].beside(made_of[other])
            if not compare_paired(
                samples[entry], scores[entry], samples[other], scores[other], level, both
            ).distinguishable:
                reach = lower
                break
    return ranks
