"""Conservation of momentum: how far the added tendencies of a flux coupling, which sum to zero, are from doing so."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from l96bench.metrics.arrays import FloatArray, finite

__all__ = ["momentum_source", "rms_replicates", "root_mean_square"]


def momentum_source(U: ArrayLike) -> FloatArray:
    """Return the tendency of the mean of X that a closure makes, mean_k U_k.

    Parameters
    ----------
    U : (..., K) array
        Its tendencies, X a MTU.

    Returns
    -------
    (...) array
        X a MTU.

    Examples
    --------
    >>> from l96bench import metrics
    >>> float(metrics.momentum_source([1.0, -2.0, 4.0]))
    1.0
    """
    return np.asarray(finite("U", U).mean(axis=-1), dtype=np.float64)


def root_mean_square(squares: FloatArray, counts: FloatArray) -> float:
    """Return the root of a mean of squares, from the sums over blocks.

    Parameters
    ----------
    squares : (block,) array
        Sums of squares.
    counts : (block,) array
        Numbers of squares in the sums.

    Returns
    -------
    float
        In the units of what was squared.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> metrics.root_mean_square(np.array([8.0, 10.0]), np.array([1.0, 1.0]))
    3.0
    """
    return float(np.sqrt(squares.sum() / counts.sum()))


def rms_replicates(weights: FloatArray, squares: FloatArray, counts: FloatArray) -> FloatArray:
    """Return root mean squares of resampled blocks, from their sums of squares and counts.

    A replicate of empty blocks alone gets the sample's own value.

    Parameters
    ----------
    weights : (n_replicates, n_blocks) array
        From `resampling_weights`.
    squares, counts : (n_blocks,) array
        Sums of squares, and numbers of squares in them.

    Returns
    -------
    (n_replicates,) array
        In the units of what was squared.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> weights = np.array([[1.0, 1.0], [2.0, 0.0]])
    >>> metrics.rms_replicates(weights, np.array([2.0, 0.0]), np.array([1.0, 1.0])).round(2)
    array([1.  , 1.41])
    """
    drawn = weights @ counts
    mean = np.full(len(weights), squares.sum() / counts.sum())
    np.divide(weights @ squares, drawn, out=mean, where=drawn > 0)
    return np.asarray(np.sqrt(mean), dtype=np.float64)
