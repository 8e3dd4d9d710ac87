"""Quality of ensemble forecasts by lead time.

Everywhere, ``truth`` is ``(lead, case, K)`` and ``forecast`` is ``(lead, case, member, K)``, both in units of X;
`ValueError` for other shapes, and for values that are not finite. One lead is processed at a time: a forecast may fill
hundreds of MiB, and no function makes a second array of that size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from l96bench.metrics.arrays import FloatArray, finite


def _checked(truth: ArrayLike, forecast: ArrayLike) -> tuple[FloatArray, FloatArray]:
    truth, forecast = finite("truth", truth), finite("forecast", forecast)
    expected = f"truth (lead, case, K) and forecast (lead, case, member, K), got {truth.shape} and {forecast.shape}"
    if forecast.ndim != 4 or truth.shape != (*forecast.shape[:2], forecast.shape[3]):
        raise ValueError(f"expected {expected}.")
    return truth, forecast


def crps(truth: ArrayLike, forecast: ArrayLike) -> FloatArray:
    """Return the continuous ranked probability score of every forecast, averaged over points: 0 is perfect.

    ``mean |x_i - y| - mean |x_i - x_j| / 2`` over all members and pairs of members, a member with itself included: the
    score of the ensemble as a distribution (Gneiting and Raftery 2007, section 4.2). With one member it is the absolute
    error. The "fair" variant, which estimates the score of an infinite ensemble, does not exist for one member.

    Parameters
    ----------
    truth : (lead, case, K) array
        What came.
    forecast : (lead, case, member, K) array
        What was forecast.

    Returns
    -------
    (lead, case) array
        In the units of the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> truth = np.zeros((1, 1, 2))
    >>> metrics.crps(truth, np.array([-1.0, 1.0]).reshape(1, 1, 2, 1) * np.ones((1, 1, 2, 2)))
    array([[0.5]])
    """
    truth, forecast = _checked(truth, forecast)
    score = np.empty(truth.shape[:2])
    for lead in range(truth.shape[0]):
        score[lead] = _crps_of_members(truth[lead], np.moveaxis(forecast[lead], 1, -1)).mean(axis=-1)
    return score


def _crps_of_members(truth: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return the CRPS (case, K) of members (case, K, member) by the quantile decomposition.

    It takes m log m operations, with the sorting, instead of m², in the order of the library scoringrules ("qd"), whose
    import compiles for seconds.
    """
    members = np.sort(np.ascontiguousarray(forecast), axis=-1)  # the layout decides the order of the sum
    truth, m = truth[..., None], forecast.shape[-1]
    alpha = np.arange(1, m + 1) - 0.5
    below = (members <= truth) * alpha * (truth - members)
    above = (members > truth) * (m - alpha) * (members - truth)
    return np.asarray(2 * (np.sum(below + above, axis=-1) / m**2))


def rmse_by_lead(truth: ArrayLike, forecast: ArrayLike) -> FloatArray:
    """Return the RMSE of the ensemble mean at each lead, pooled over cases and points.

    Parameters
    ----------
    truth : (lead, case, K) array
        What came.
    forecast : (lead, case, member, K) array
        What was forecast.

    Returns
    -------
    (lead,) array
        In the units of the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> metrics.rmse_by_lead(np.zeros((2, 3, 8)), np.ones((2, 3, 5, 8)))
    array([1., 1.])
    """
    truth, forecast = _checked(truth, forecast)
    with np.errstate(over="ignore"):
        error = np.square(forecast.mean(axis=2) - truth).mean(axis=(1, 2))
    return np.asarray(np.sqrt(error), dtype=np.float64)


def spread_by_lead(forecast: ArrayLike) -> FloatArray:
    """Return the spread of an ensemble, on the scale of the RMSE of its mean.

    ``sqrt((m + 1) / m * mean variance)`` for m members, the variance being the unbiased one (divided by m - 1) and
    averaged over cases and points before the root; zero for one member. With the factor, which accounts for the
    sampling error of the mean of m members, a reliable ensemble of any size has a spread equal to the RMSE of its mean
    (Fortin et al. 2014, Journal of Hydrometeorology 15, 1708).

    Parameters
    ----------
    forecast : (lead, case, member, K) array
        What was forecast.

    Returns
    -------
    (lead,) array
        In the units of the forecast.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> rng = np.random.default_rng(0)
    >>> metrics.spread_by_lead(rng.standard_normal((1, 1000, 5, 8))).round(1)  # sqrt(6 / 5)
    array([1.1])
    """
    forecast = finite("forecast", forecast)
    if forecast.ndim != 4:
        raise ValueError(f"expected forecast (lead, case, member, K), got {forecast.shape}.")
    members = forecast.shape[2]
    if members == 1:
        return np.zeros(forecast.shape[0])
    with np.errstate(over="ignore"):
        variance = np.array([lead.var(axis=1, ddof=1).mean() for lead in forecast])
    return np.asarray(np.sqrt((members + 1) / members * variance), dtype=np.float64)


def spread_skill_ratio(truth: ArrayLike, forecast: ArrayLike) -> FloatArray:
    """Return the spread over the RMSE of the ensemble mean at each lead.

    1 is reliable, less is overconfident; 0 for one member, infinity for a spread around a mean without error.

    Parameters
    ----------
    truth : (lead, case, K) array
        What came.
    forecast : (lead, case, member, K) array
        What was forecast.

    Returns
    -------
    (lead,) array
        Without unit.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> rng = np.random.default_rng(0)
    >>> truth, members = rng.standard_normal((1, 2000, 8)), rng.standard_normal((1, 2000, 5, 8))
    >>> metrics.spread_skill_ratio(truth, members).round(1)  # the truth is one more member
    array([1.])
    """
    spread, error = spread_by_lead(forecast), rmse_by_lead(truth, forecast)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread == 0, 0.0, spread / error)


def anomaly_correlation_by_lead(
    truth: ArrayLike, forecast: ArrayLike, climatological_mean: float | FloatArray
) -> FloatArray:
    """Return the correlation of forecast and true anomalies at each lead, pooled over cases and points.

    ``sum f t / sqrt(sum f² sum t²)`` with f and t the anomalies of the ensemble mean and of the truth about the
    climatological mean; the anomalies' own means are not removed (the uncentred form; Wilks 2011, chapter 8). It is 0
    for a forecast that equals the climatological mean everywhere.

    Parameters
    ----------
    truth : (lead, case, K) array
        What came.
    forecast : (lead, case, member, K) array
        What was forecast.
    climatological_mean : float or (K,) array
        Of the training data.

    Returns
    -------
    (lead,) array
        From -1 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> truth = np.random.default_rng(0).standard_normal((2, 3, 8))
    >>> metrics.anomaly_correlation_by_lead(truth, 0.5 * truth[:, :, None], 0.0).round(6)
    array([1., 1.])
    """
    truth, forecast = _checked(truth, forecast)
    predicted = forecast.mean(axis=2) - climatological_mean
    observed = truth - climatological_mean
    # Scaled by the largest anomaly, which cancels, so that the squares of a blown-up forecast stay in range.
    largest = np.abs(predicted).max(axis=(1, 2), keepdims=True)
    predicted /= np.where(largest == 0, 1.0, largest)
    product = (predicted * observed).sum(axis=(1, 2))
    norm = np.sqrt(np.square(predicted).sum(axis=(1, 2)) * np.square(observed).sum(axis=(1, 2)))
    return np.asarray(np.divide(product, norm, out=np.zeros_like(product), where=norm > 0), dtype=np.float64)


def rank_histogram(truth: ArrayLike, forecast: ArrayLike) -> FloatArray:
    """Return how often the truth takes each rank among the members, from below to above all.

    Counts are pooled over leads, cases and points. A reliable ensemble fills all ranks alike (Hamill 2001). Where the
    truth equals e members, its count is shared evenly among the e + 1 ranks that it could take: no random draw, and no
    preference for high or low ranks.

    Parameters
    ----------
    truth : (lead, case, K) array
        What came.
    forecast : (lead, case, member, K) array
        What was forecast.

    Returns
    -------
    (member + 1,) array
        They add up to the number of values of the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import metrics
    >>> members = np.array([-1.0, 1.0]).reshape(1, 1, 2, 1)
    >>> metrics.rank_histogram(np.array([[[-2.0]]]), members), metrics.rank_histogram(np.array([[[1.0]]]), members)
    (array([1., 0., 0.]), array([0. , 0.5, 0.5]))
    """
    truth, forecast = _checked(truth, forecast)
    n_ranks = forecast.shape[2] + 1
    # Each truth adds its share at its first possible rank and takes it back behind the last; a cumulative sum fills in.
    change = np.zeros(n_ranks + 1)
    for true, members in zip(truth, forecast, strict=True):
        first = (members < true[:, None]).sum(axis=1).ravel()
        ranks = 1 + (members == true[:, None]).sum(axis=1).ravel()
        share = 1.0 / ranks
        change += np.bincount(first, share, n_ranks + 1) - np.bincount(first + ranks, share, n_ranks + 1)
    return np.cumsum(change)[:-1]


def valid_prediction_time(
    rmse: ArrayLike, leads: ArrayLike, climatological_std: float, threshold: float = 0.4
) -> float:
    """Return the first lead at which the RMSE exceeds a fraction of the climatological standard deviation.

    A forecast that never exceeds the threshold gets the last lead: its value is censored there, a lower bound.

    Parameters
    ----------
    rmse : (lead,) array
        From `rmse_by_lead`; infinity is allowed.
    leads : (lead,) array
        Increasing lead times in MTU.
    climatological_std : float
        Standard deviation of the training data.
    threshold : float
        The fraction.

    Returns
    -------
    float
        In MTU.

    Raises
    ------
    ValueError
        If the shapes differ, a value is NaN, the leads do not increase, or the standard deviation is not positive.

    Examples
    --------
    >>> from l96bench import metrics
    >>> metrics.valid_prediction_time([0.1, 0.3, 0.9], [0.05, 0.1, 0.15], climatological_std=1.0)
    0.15
    """
    error, times = np.asarray(rmse, dtype=np.float64), finite("leads", leads)
    if error.ndim != 1 or error.shape != times.shape:
        raise ValueError(f"rmse and leads must be one-dimensional and equally long, got {error.shape}, {times.shape}.")
    if np.isnan(error).any() or (np.diff(times) <= 0).any() or not climatological_std > 0:
        raise ValueError("expected rmse without NaN, increasing leads and a positive climatological_std.")
    exceeded = np.flatnonzero(error > threshold * climatological_std)
    return float(times[exceeded[0]] if exceeded.size else times[-1])
