"""Diagnose filter consistency: innovation statistics, spread against error, and rank histograms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.record import Cycled
from l96bench.errors import L96BenchError

__all__ = ["InnovationStatistics", "innovation_statistics", "rank_counts", "spread_error_ratio"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class InnovationStatistics:
    """Statistics of innovations against the errors that the filter assumes; in squares of the units of X.

    Parameters
    ----------
    n, n_missing : int
        Innovations that are pooled, and observations that were due and missing.
    bias : float
        Mean innovation (not squared).
    variance, expected, ratio : float
        Mean square of the innovations y - H x_b; its expectation, the mean of the ensemble's variance at the observed
        points, H P_b H', plus that of the observation errors, R; and their ratio: 1 for a consistent filter, more for
        an overconfident one.
    background_variance, observation_variance, analysis_variance : float
        Diagnosed error variances: the mean products of y - H x_b with H (x_a - x_b), of y - H x_b with y - H x_a, and
        of H (x_a - x_b) with y - H x_a (Desroziers et al. 2005, Q. J. R. Meteorol. Soc. 131, 3385, equations 2 to 4).
        They are the true ones if the filter's gain is correct.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> truth = l96bench.simulate("wilks-f20", 5.0, spin_up=5.0).X
    >>> run = da.cycle(truth, da.ResolvedModel("wilks-f20"), da.ETKF(), da.Network(8, 0.05, 1.0))
    >>> da.innovation_statistics(run).ratio > 1.0  # overconfident: nothing stands for the missing closure
    True
    """

    n: int
    n_missing: int
    bias: float
    variance: float
    expected: float
    ratio: float
    background_variance: float
    observation_variance: float
    analysis_variance: float


def innovation_statistics(run: Cycled) -> InnovationStatistics:
    """Return the statistics of all innovations before a divergence.

    Parameters
    ----------
    run : Cycled
        One or many experiments, which are pooled.

    Returns
    -------
    InnovationStatistics
        In squares of the units of X.

    Raises
    ------
    L96BenchError
        If there are no innovations.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> truth = l96bench.simulate("wilks-f20", 2.0, spin_up=5.0).X
    >>> run = da.cycle(truth, da.ResolvedModel("wilks-f20"), da.ETKF(), da.Network(8, 0.05, 1.0), inflation=1.5)
    >>> da.innovation_statistics(run).n  # 39 cycles of 8 observations
    312
    """
    seen = np.isfinite(run.innovations)
    if not seen.any():
        raise L96BenchError("expected a run with observations before any divergence, got no innovation")
    innovations, residuals = run.innovations[seen], run.residuals[seen]
    spread = np.take_along_axis(run.background_spread, run.points, axis=2)[seen]
    moves = innovations - residuals
    variance = float(np.mean(innovations * innovations))
    expected = float(np.mean(spread * spread + run.observation_std[seen] ** 2))
    return InnovationStatistics(
        *(int(seen.sum()), int(run.missing.sum()), float(innovations.mean())),
        *(variance, expected, variance / expected),
        background_variance=float(np.mean(moves * innovations)),
        observation_variance=float(np.mean(residuals * innovations)),
        analysis_variance=float(np.mean(moves * residuals)),
    )


def rank_counts(run: Cycled, every: int = 1) -> NDArray[np.int64]:
    """Return the rank histogram of the truth among the background members, from below all to above all.

    It is pooled over experiments, cycles and points, and flat for a reliable ensemble (Hamill 2001, Mon. Wea. Rev. 129,
    550). Neighbouring cycles and points are correlated: thin them for a test that assumes independent counts.

    Parameters
    ----------
    run : Cycled
        One or many experiments.
    every : int
        Count every so many cycles.

    Returns
    -------
    (member + 1,) array of int
        The counts.

    Raises
    ------
    L96BenchError
        If `every` is below 1.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> truth = l96bench.simulate("wilks-f20", 2.0, spin_up=5.0).X
    >>> run = da.cycle(truth, da.ResolvedModel("wilks-f20"), da.ETKF(), da.Network(8, 0.05, 1.0), inflation=1.5)
    >>> counts = da.rank_counts(run)
    >>> counts.shape, int(counts.sum())
    ((21,), 312)
    """
    if every < 1:
        raise L96BenchError(f"expected every >= 1, got {every}")
    ranks = run.ranks[:, ::every]
    return np.bincount(ranks[ranks >= 0], minlength=run.n_members + 1)


def spread_error_ratio(run: Cycled) -> float:
    """Return the spread of the background over the RMSE of its mean, both pooled up to a divergence.

    With the factor sqrt((m + 1) / m) for the sampling error of a mean of m members, 1 is reliable and less is
    overconfident (Fortin et al. 2014, J. Hydrometeorol. 15, 1708).

    Parameters
    ----------
    run : Cycled
        One or many experiments.

    Returns
    -------
    float
        NaN if there is nothing to pool.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> truth = l96bench.simulate("wilks-f20", 5.0, spin_up=5.0).X
    >>> run = da.cycle(truth, da.ResolvedModel("wilks-f20"), da.ETKF(), da.Network(8, 0.05, 1.0))
    >>> da.spread_error_ratio(run) < 1.0  # overconfident: nothing stands for the missing closure
    True
    """
    kept = np.isfinite(run.background_spread)
    if not kept.any():
        return float("nan")
    error = (run.background_mean - run.truth)[kept]
    spread = run.background_spread[kept]
    factor = (run.n_members + 1) / run.n_members
    return float(np.sqrt(factor * np.mean(spread * spread) / np.mean(error * error)))
