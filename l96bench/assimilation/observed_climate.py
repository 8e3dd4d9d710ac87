"""A closure under which the resolved model has the climate of noisy observations: a start for finer methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.observed import ObservedSeries
from l96bench.assimilation.state_space import RedNoiseLearner, RedNoiseModel
from l96bench.checks import checked_random_state, whole_multiple
from l96bench.dynamics.closures import MODEL_DT
from l96bench.errors import L96BenchError

__all__ = ["ClimateInversion", "climate_model", "continued"]

Array = NDArray[np.float64]

_NOISE, _PHI, _TAIL = 1.5, 0.2, 1e-3
_LAGS = (1, 2, 3, 4)
"""Windows between two observations whose products are compared."""
_MEMBERS, _RUNS, _SPIN_UP, _DURATION, _SERIES = 30, 16, 10.0, 60.0, 25
"""The members of the inversion, runs for each member, MTU of a run before and in its statistics, and
parts of the observations from which the noise of the statistics is estimated."""


class ClimateInversion(RedNoiseLearner):
    """A polynomial with red noise under which the model has the climate of noisy observations.

    Ensemble Kalman inversion finds the coefficients and the size of the noise from statistics of the observations
    alone; see `climate_model`. It needs no state of the system, and works where too few points are observed to know it.

    Parameters
    ----------
    degree : int
        Highest power of X.
    random_state : int or None
        Seed of all randomness; None draws a new one.
    iterations : int
        Iterations of the inversion, each of 30 runs of the model.

    Attributes
    ----------
    model_ : RedNoiseModel
        The closure's numbers.

    References
    ----------
    Iglesias, Law and Stuart (2013), Inverse Problems 29, 045001; Schneider, Lan, Stuart and Teixeira (2017),
    Geophys. Res. Lett. 44, 12396-12417, doi:10.1002/2017GL076101.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> learner = da.ClimateInversion(degree=3)
    >>> learner
    ClimateInversion(degree=3, random_state=0, iterations=10)
    """

    def __init__(self, degree: int = 4, random_state: int | None = 0, iterations: int = 10) -> None:
        self.degree, self.random_state, self.iterations = degree, random_state, iterations

    def fit(self, observations: ObservedSeries) -> Self:
        """Fit to an `ObservedSeries`; `L96BenchError` for less than 25 times 5 rows."""
        if self.iterations < 1:
            raise L96BenchError(f"expected at least one iteration, got iterations={self.iterations}")
        if self.degree < 1 or len(observations.values) < _SERIES * (_LAGS[-1] + 1):
            raise L96BenchError(
                f"expected a degree of at least 1 and {_SERIES * (_LAGS[-1] + 1)} rows of observations, got degree "
                f"{self.degree} and {len(observations.values)} rows"
            )
        rng = np.random.default_rng(checked_random_state(self.random_state))
        self.model_, self.K_ = climate_model(observations, self.degree, rng, self.iterations).rounded(), observations.K
        return self

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={getattr(self, name)}" for name in ("degree", "random_state", "iterations"))
        return f"{type(self).__name__}({options})"


def climate_model(
    observations: ObservedSeries, degree: int, rng: np.random.Generator, iterations: int = 10
) -> RedNoiseModel:
    """Return a polynomial with red noise under which the model has the statistics of the observations.

    These are four moments of an observed point, and the means of products of two observed points, by their distance, up
    to four windows apart; the model's are given the errors of the observations. The inversion starts around U = 0 with
    the standard deviation of X for slope and constant, a tenth of it for every higher degree, and a noise of about 1.5;
    its memory is given.

    References
    ----------
    Iglesias, Law and Stuart (2013), Inverse Problems 29, 045001; Schneider, Lan, Stuart and Teixeira (2017),
    Geophys. Res. Lett. 44, 12396-12417, doi:10.1002/2017GL076101.
    """
    from l96bench.estimators.inversion import ensemble_kalman_inversion
    from l96bench.estimators.tuning import OrthonormalPolynomials

    values = observations.values
    n = len(values) // _SERIES
    parts = values[: n * _SERIES].reshape(_SERIES, n, -1).swapaxes(0, 1)
    distances = _distances(parts)
    data = _statistics(parts, distances, 0.0)
    share = n * observations.window / (_RUNS * _DURATION) + 1.0 / _SERIES
    noise = share * np.cov(data, rowvar=False)
    noise += 1e-6 * np.diag(np.diag(noise))
    seen = values[np.isfinite(values)]
    basis = OrthonormalPolynomials(seen[:, None], degree)
    spread = np.append(basis.std * np.where(np.arange(degree + 1) < 2, 1.0, 0.1), 0.5)
    centre = np.append(np.zeros(degree + 1), np.log(_NOISE))
    start = rng.standard_normal((_RUNS, 2 * observations.K))
    start[:, : observations.K] = basis.mean + basis.std * start[:, : observations.K]
    window = whole_multiple(observations.window, MODEL_DT)
    n_spin, n_samples = (round(each / observations.window) for each in (_SPIN_UP, _DURATION))

    def model_of(theta: Array) -> RedNoiseModel:
        return continued(np.asarray(basis.coefficients(theta[:-1])), float(np.exp(theta[-1])), seen)

    def forward(theta: Array) -> Array:
        model, states, samples = model_of(theta), start, []
        for _ in range(n_spin + n_samples):
            states = model.advance(states, observations.F, rng, window)
            samples.append(states[:, : observations.K])
        return _statistics(np.array(samples[n_spin:]), distances, observations.std).mean(axis=0)

    found = ensemble_kalman_inversion(
        forward,
        data.mean(axis=0),
        noise,
        lambda: centre + spread * rng.standard_normal(degree + 2),
        _MEMBERS,
        iterations,
        rng,
        tempered=True,
    )
    return model_of(found.members.mean(axis=0))


def continued(coefficients: Array, sigma: float, X: Array) -> RedNoiseModel:
    """Return a polynomial with red noise that goes on as a line, with the slope of its best line, outside of X."""
    low, high = (float(value) for value in np.quantile(X, [_TAIL, 1.0 - _TAIL]))
    U = np.polynomial.polynomial.polyval(np.clip(X, low, high), coefficients)
    slope = min(float(np.cov(X, U)[0, 1] / X.var()), 0.0)
    return RedNoiseModel(coefficients[:, None], sigma, _PHI, 0.0, low, high, slope)


def _distances(values: Array) -> list[int]:
    """Return the distances along the ring at which two points are ever observed one window apart."""
    seen, K = np.isfinite(values).any(axis=(0, 1)), values.shape[-1]
    return [each for each in range(K) if (seen & np.roll(seen, -each)).any()]


def _statistics(X: Array, distances: Sequence[int], std: float) -> Array:
    """Return the statistics of X (time, series, K), NaN where nothing was observed, (series, statistic).

    `std` is that of the errors which X is still to be given.
    """
    square = X * X
    moments = [np.nanmean(each, axis=(0, 2)) for each in (X, square, square * X, square * square)]
    mean, second, third, fourth = moments
    columns = [mean, second + std**2, third + 3.0 * std**2 * mean, fourth + 6.0 * std**2 * second + 3.0 * std**4]
    for lag in _LAGS:
        columns += [np.nanmean(X[:-lag] * np.roll(X, -each, axis=2)[lag:], axis=(0, 2)) for each in distances]
    return np.stack(columns, axis=1)
