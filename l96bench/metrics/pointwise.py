"""Errors of a prediction at points and times: R², RMSE, bias, tails, and sums over blocks for the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.metrics.arrays import FloatArray, finite, finite_pair


def _squared_error(truth: FloatArray, prediction: FloatArray | float) -> FloatArray:
    """Squared differences; infinity, without a warning, where the square is too large for a float64."""
    with np.errstate(over="ignore"):
        return np.square(prediction - truth)


def _sum_of_squares(truth: FloatArray, prediction: FloatArray | float) -> float:
    """The sum of `_squared_error`, with infinities alike."""
    with np.errstate(over="ignore"):
        return float(_squared_error(truth, prediction).sum())


def r2(truth: ArrayLike, prediction: ArrayLike, reference_mean: float) -> float:
    """Return the coefficient of determination, pooled over everything, about the training mean.

    ``1 - sum (t - p)² / sum (t - m)²``, for truth t, prediction p and training mean ``m``. It is 1 for the truth
    itself, 0 for the training mean, and ``-inf`` where the squared errors exceed the range of a float64 (predictions
    beyond 1e150). The ``r2_score`` of scikit-learn takes the mean of the test truth as its reference, which no model
    can know.

    Parameters
    ----------
    truth, prediction : (..., K) array
        Of one shape.
    reference_mean : float
        Mean of the training data, in the units of the truth.

    Returns
    -------
    float
        At most 1.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or the truth equals the reference mean everywhere.

    Examples
    --------
    >>> from l96bench import metrics
    >>> metrics.r2([1.0, 3.0], [1.0, 2.0], reference_mean=1.0)
    0.75
    """
    truth, prediction = finite_pair(truth, prediction)
    total = _sum_of_squares(truth, reference_mean)
    if total == 0.0:
        raise ValueError(f"R² needs a truth that varies, but every value is the reference mean {reference_mean}.")
    return 1.0 - _sum_of_squares(truth, prediction) / total


def rmse(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the root of the mean squared error, pooled.

    Parameters
    ----------
    truth, prediction : (..., K) array
        Of one shape.

    Returns
    -------
    float
        In the units of the truth; infinity where the squares overflow.

    Examples
    --------
    >>> from l96bench import metrics
    >>> metrics.rmse([1.0, 3.0], [1.0, 3.0]), metrics.rmse([0.0, 0.0], [2.0, -2.0])
    (0.0, 2.0)
    """
    truth, prediction = finite_pair(truth, prediction)
    return float(np.sqrt(_sum_of_squares(truth, prediction) / truth.size))


def bias(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the mean of prediction minus truth, pooled.

    Parameters
    ----------
    truth, prediction : (..., K) array
        Of one shape.

    Returns
    -------
    float
        In the units of the truth.

    Examples
    --------
    >>> from l96bench import metrics
    >>> metrics.bias([1.0, 3.0], [2.0, 3.0])
    0.5
    """
    truth, prediction = finite_pair(truth, prediction)
    # Divided before it is summed: huge errors of both signs must not become infinity minus infinity.
    return float(((prediction - truth) / truth.size).sum())


def _quantile_bins(truth: FloatArray, X: ArrayLike, edges: Sequence[float]) -> tuple[NDArray[np.intp], list[str]]:
    """The quantile bin of X in which every value lies, flat, and the bins' names."""
    state = finite("X", X)
    if state.shape != truth.shape:
        raise ValueError(f"X must have the shape of truth, {truth.shape}, got {state.shape}.")
    levels = np.asarray(edges, dtype=np.float64)
    if levels.ndim != 1 or levels.size < 2 or levels[0] != 0 or levels[-1] != 1 or (np.diff(levels) <= 0).any():
        raise ValueError(f"edges must increase from 0 to 1, got {tuple(edges)}.")
    bins = np.searchsorted(np.quantile(state, levels[1:-1]), state.ravel(), side="right")
    return bins, [f"{100 * low:g}-{100 * high:g}%" for low, high in pairwise(levels)]


def block_sums_by_quantile(
    truth: ArrayLike,
    prediction: ArrayLike,
    X: ArrayLike,
    reference_mean: float,
    block: int,
    edges: Sequence[float] = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1),
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """`block_sums` within quantile bins of the resolved state: R² in the tails, and what its bootstrap resamples.

    Each bin's squared error is compared with the same bin's sum of squares about the reference mean, so a bin's R² is 0
    for the training mean and 1 for the truth. A bin where the truth stays close to that mean is hard, and may be
    negative.

    Parameters
    ----------
    truth, prediction : (..., time, K) array
        Of one shape.
    reference_mean : float
        Mean of the training data, in the units of the truth.
    block : int
        Samples in a block, as for `block_sums`.
    X : array of their shape, (..., time, K)
        The resolved variable at the point and time of the truth.
    edges : sequence of float
        Increasing quantiles from 0 to 1. A bin holds its lower edge, the last one its upper edge as well.

    Returns
    -------
    dict
        From the bin in percent (``"0-5%"``) to its sums of squares, two arrays (n_blocks,), in the order of the edges.

    Raises
    ------
    ValueError
        As `block_sums`; if the edges do not rise from 0 to 1, or a bin is empty or holds only the reference mean.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> X = np.random.default_rng(0).standard_normal((100, 8))
    >>> sums = metrics.block_sums_by_quantile(X**2, X, X, reference_mean=1.0, block=20)
    >>> list(sums)[:2], sums["0-5%"][0].shape
    (['0-5%', '5-25%'], (5,))
    """
    truth, prediction = finite_pair(truth, prediction)
    bins, names = _quantile_bins(truth, X, edges)
    sums = {}
    for i, name in enumerate(names):
        inside = (bins == i).reshape(truth.shape)
        # Outside the bin the truth and the prediction are the reference mean: they add nothing to either sum.
        inner_truth, inner = (np.where(inside, values, reference_mean) for values in (truth, prediction))
        sums[name] = block_sums(inner_truth, inner, reference_mean, block)
    empty = [name for name, (_, sst) in sums.items() if sst.sum() == 0]
    if empty:
        raise ValueError(f"no variation of the truth in the bins {empty}: use fewer edges or more samples.")
    return sums


def block_sums(
    truth: ArrayLike, prediction: ArrayLike, reference_mean: float, block: int
) -> tuple[FloatArray, FloatArray]:
    """Return sums of squares over consecutive blocks of every trajectory: what a bootstrap of R² resamples.

    Parameters
    ----------
    truth, prediction : (..., time, K) array
        Of one shape.
    reference_mean : float
        Mean of the training data, in the units of the truth.
    block : int
        Samples in a block; it must divide the number of samples in a trajectory.

    Returns
    -------
    sse : (n_blocks,) array
        Sums of ``(t - p)²``: all blocks of the first trajectory in time order, then the next trajectory's.
    sst : (n_blocks,) array
        Sums of ``(t - m)²`` in that order; ``1 - sse.sum() / sst.sum()`` is `r2`.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or the blocks do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> truth = np.arange(8.0).reshape(4, 2)
    >>> metrics.block_sums(truth, truth + 1.0, reference_mean=0.0, block=2)
    (array([4., 4.]), array([ 14., 126.]))
    """
    truth, prediction = finite_pair(truth, prediction)
    if truth.ndim < 2:
        raise ValueError(f"expected arrays (..., time, K), got shape {truth.shape}.")
    if block < 1 or truth.shape[-2] % block:
        raise ValueError(f"{truth.shape[-2]} samples do not divide into blocks of {block}: use a divisor.")
    samples = block * truth.shape[-1]
    with np.errstate(over="ignore"):
        sse = _squared_error(truth, prediction).reshape(-1, samples).sum(axis=1)
    sst = _squared_error(truth, reference_mean).reshape(-1, samples).sum(axis=1)
    return sse, sst


def r2_replicates(weights: FloatArray, sse: FloatArray, sst: FloatArray) -> FloatArray:
    """Return R² of resampled blocks.

    It is ``-inf`` for a replicate that holds a block whose squared errors overflowed.

    Parameters
    ----------
    weights : (n_replicates, n_blocks) array
        From `resampling_weights`.
    sse, sst : (n_blocks,) array
        From `block_sums`.

    Returns
    -------
    (n_replicates,) array
        At most 1.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> weights = np.array([[1.0, 1.0], [2.0, 0.0]])
    >>> metrics.r2_replicates(weights, np.array([1.0, 3.0]), np.array([4.0, 4.0]))
    array([0.5 , 0.75])
    """
    overflowed = np.isinf(sse)
    with np.errstate(over="ignore"):
        error = weights @ np.where(overflowed, 0.0, sse)
    # Zero draws of an infinite block are zero; the matrix product would make them NaN.
    error[weights[:, overflowed].any(axis=1)] = np.inf
    return np.asarray(1.0 - error / (weights @ sst), dtype=np.float64)
