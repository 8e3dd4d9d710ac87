"""The array type of the metrics and the checks that they share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def finite(name: str, values: ArrayLike) -> FloatArray:
    """The values as a float64 array (not copied where they are one already).

    Raises `ValueError` if the array is empty or an element is NaN or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: expected at least one value.")
    valid = np.isfinite(array)
    if not valid.all():
        raise ValueError(
            f"{name} must be finite, but {array.size - np.count_nonzero(valid)} of {array.size} values are NaN or "
            "infinite. Replace the runs that left before scoring: a metric does not decide how they count."
        )
    return array


def finite_pair(truth: ArrayLike, prediction: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Truth and prediction as finite float64 arrays of one shape; ValueError otherwise."""
    truth, prediction = finite("truth", truth), finite("prediction", prediction)
    if truth.shape != prediction.shape:
        raise ValueError(f"prediction must have the shape of truth, {truth.shape}, got {prediction.shape}.")
    return truth, prediction


def without_nan(name: str, values: ArrayLike, ndim: int = 1) -> FloatArray:
    """The values as a float64 array of `ndim` dimensions without NaN; ValueError otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"{name} must have {ndim} dimension(s) and at least one value, got shape {array.shape}.")
    if np.isnan(array).any():
        raise ValueError(f"{name} holds {np.isnan(array).sum()} NaN of {array.size}: a score must be a number or -inf.")
    return array


def checked_run(X: ArrayLike) -> FloatArray:
    """A run (time, member, K) as a finite float64 array; ValueError otherwise."""
    run = finite("X", X)
    if run.ndim != 3:
        raise ValueError(f"expected a run (time, member, K), got shape {run.shape}.")
    return run
