"""Statistics of long free runs: moments, and autocovariance and spectrum in time.

A run is ``X`` of shape ``(time, member, K)``, sampled every ``interval`` MTU; `ValueError` unless it is finite. Members
are processed one at a time, so memory beyond the run itself stays small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from l96bench.checks import whole_multiple
from l96bench.metrics.arrays import FloatArray, checked_run

_MEMBERS = 20
"""Members whose spectra are made at once."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean, standard deviation, 0.1 and 99.9 percentiles, in units of X.

    Parameters
    ----------
    mean, std : float
        Mean and standard deviation, in units of X.
    percentile_0_1, percentile_99_9 : float
        The 0.1 and 99.9 percentiles, in units of X.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> round(metrics.moments(np.arange(1001.0).reshape(1001, 1, 1)).percentile_99_9, 9)
    999.0
    """

    mean: float
    std: float
    percentile_0_1: float
    percentile_99_9: float


def moments(X: ArrayLike) -> Moments:
    """Return moments and extreme percentiles of a run, pooled over everything.

    Parameters
    ----------
    X : (time, member, K) array
        A run.

    Returns
    -------
    Moments
        In units of X.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> found = metrics.moments(np.arange(1001.0).reshape(1001, 1, 1))
    >>> found.mean, found.percentile_0_1
    (500.0, 1.0)
    """
    run = checked_run(X)
    low, high = np.percentile(run, (0.1, 99.9))
    with np.errstate(over="ignore"):
        return Moments(float(run.mean()), float(run.std()), float(low), float(high))


def autocovariance(X: ArrayLike, interval: float, max_lag: float = 10.0) -> FloatArray:
    """Return the autocovariance in time of every member, pooled over points, about the mean of the whole run.

    At each lag, the mean of the products of all pairs of samples that far apart. Means over members are those of the
    pooled run, so that members can be resampled.

    Parameters
    ----------
    X : (time, member, K) array
        A run.
    interval : float
        MTU between samples.
    max_lag : float
        The longest lag in MTU, a whole number of intervals and shorter than the run.

    Returns
    -------
    (member, lag) array
        In units of X².

    Raises
    ------
    ValueError
        If the longest lag is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> X = np.random.default_rng(0).standard_normal((400, 2, 8))
    >>> found = metrics.autocovariance(X, interval=0.05, max_lag=1.0)
    >>> found.shape, bool(np.isclose(found[:, 0].mean(), X.var()))
    ((2, 21), True)
    """
    from scipy.fft import irfft, next_fast_len, rfft

    run = checked_run(X)
    n_times, n_members, K = run.shape
    n_lags = 1 + whole_multiple(max_lag, interval, "max_lag")
    if n_lags > n_times:
        raise ValueError(f"max_lag {max_lag} MTU is not shorter than the run of {n_times} samples every {interval}.")
    # Zeros behind the series keep the circular correlation of the transform from wrapping round, up to the last lag.
    length = next_fast_len(n_times + n_lags - 1, real=True)
    mean = run.mean()
    covariance = np.empty((n_members, n_lags))
    for member in range(n_members):
        transform = rfft(run[:, member] - mean, n=length, axis=0)
        power = (np.square(transform.real) + np.square(transform.imag)).sum(axis=1)
        covariance[member] = irfft(power, n=length)[:n_lags] / (K * np.arange(n_times, n_times - n_lags, -1))
    return covariance


def autocorrelation(X: ArrayLike, interval: float, max_lag: float = 10.0) -> tuple[FloatArray, FloatArray]:
    """Return the autocorrelation in time, pooled over members and points, about the pooled mean; see `autocovariance`.

    Parameters
    ----------
    X : (time, member, K) array
        A run.
    interval : float
        MTU between samples.
    max_lag : float
        The longest lag in MTU, as for `autocovariance`.

    Returns
    -------
    lags : (lag,) array
        0, interval, ..., max_lag, in MTU.
    correlation : (lag,) array
        1 at lag 0, and at every lag of a run that does not vary.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> X = np.sin(2 * np.pi * np.arange(400) / 40).reshape(400, 1, 1)
    >>> lags, correlation = metrics.autocorrelation(X, interval=0.05, max_lag=1.0)
    >>> float(lags[-1]), round(float(correlation[-1]), 2)  # half a period
    (1.0, -1.0)
    """
    covariance = autocovariance(X, interval, max_lag).mean(axis=0)
    correlation = covariance / covariance[0] if covariance[0] > 0 else np.ones_like(covariance)
    return np.arange(len(covariance), dtype=np.float64) * interval, np.asarray(correlation, dtype=np.float64)


def spectrum(X: ArrayLike, interval: float, segment: float = 50.0) -> tuple[FloatArray, FloatArray]:
    """Return the power spectral density in time, averaged over members and points (Welch 1967).

    Segments of the anomalies about the pooled mean, `segment` MTU long (a whole number of intervals; a shorter run is
    one segment), overlap by half and are tapered by a Hann window: without a taper, leakage from the slow, strong
    motions would bury the fast end of the spectrum. By Parseval, summed over frequencies and multiplied by their
    spacing, the density of a segment is its mean square, weighted by the squared window; for a long run that is its
    variance, to sampling error.

    Parameters
    ----------
    X : (time, member, K) array
        A run.
    interval : float
        MTU between samples.
    segment : float
        Length of a segment in MTU.

    Returns
    -------
    frequency : (n_frequencies,) array
        0 to ``1 / (2 interval)``, in cycles per MTU.
    density : (n_frequencies,) array
        The one-sided density, in units of X² MTU.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> X = np.sin(2 * np.pi * 0.05 * np.arange(1000)).reshape(1000, 1, 1)  # one cycle per MTU
    >>> frequency, density = metrics.spectrum(X, interval=0.05)
    >>> round(float(frequency[density.argmax()]), 3)
    1.0
    """
    from scipy.signal import welch

    run = checked_run(X)
    samples = min(whole_multiple(segment, interval, "segment"), run.shape[0])
    mean = run.mean()
    density = np.zeros(samples // 2 + 1)
    for start in range(0, run.shape[1], _MEMBERS):
        some = run[:, start : start + _MEMBERS] - mean
        frequency, power = welch(some, fs=1 / interval, window="hann", nperseg=samples, detrend=False, axis=0)
        density += power.mean(axis=2).sum(axis=1)
    return np.asarray(frequency, dtype=np.float64), density / run.shape[1]
