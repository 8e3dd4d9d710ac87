"""Conservation of momentum: how far the added tendencies of a flux coupling, which sum to zero, are from doing so."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from l96bench.metrics.arrays import FloatArray, finite

__all__ = ["momentum_source", "rms_replicates", "root_mean_square"]


def momentum_source(U: ArrayLike) -> FloatArray:
    """The tendency of the mean of X that a closure makes, mean_k U_k (...), of its tendencies U (..., K)."""
    return np.asarray(finite("U", U).mean(axis=-1), dtype=np.float64)


def root_mean_square(squares: FloatArray, counts: FloatArray) -> float:
    """The root of a mean of squares, from their sums and numbers (block,)."""
    return float(np.sqrt(squares.sum() / counts.sum()))


def rms_replicates(weights: FloatArray, squares: FloatArray, counts: FloatArray) -> FloatArray:
    """Root mean squares (n_replicates,) of resampled blocks, from their sums of squares and counts (n_blocks,).

    The `weights` are those of `l96bench.metrics.uncertainty.resampling_weights`. A replicate of empty blocks alone gets
    the sample's own value.
    """
    drawn = weights @ counts
    mean = np.full(len(weights), squares.sum() / counts.sum())
    np.divide(weights @ squares, drawn, out=mean, where=drawn > 0)
    return np.asarray(np.sqrt(mean), dtype=np.float64)
