"""Closures fitted to climate statistics alone, by ensemble Kalman inversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.checks import checked_random_state
from l96bench.dynamics.polynomial import ten_digits
from l96bench.dynamics.resolved import rollout
from l96bench.errors import ModelError
from l96bench.estimators.ring import PolynomialFit
from l96bench.estimators.tuning import OrthonormalPolynomials
from l96bench.metrics.bounds import bounds
from l96bench.regimes import Regime, get_regime

__all__ = ["InvertedPolynomial", "climate_statistics", "ensemble_kalman_inversion"]

_DRAWS = 50
"""The most draws from the prior for each member until the model runs."""
_FRACTIONS = (1.0, 0.5, 0.25, 0.125)
"""Fractions of an update that are tried in turn until the model runs."""
_SAMPLING = 0.1
"""MTU between the samples of a model run."""


class InvertedPolynomial(PolynomialFit):
    """The polynomial U_k = sum_i c_i X_k^i under which the resolved model has the climate of the truth.

    It sees neither U nor the order of the X: the data are the `climate_statistics` of X, the noise is their sampling
    covariance, estimated from windows of the truth. The prior is normal about U = 0 in polynomials orthonormal over X,
    with the standard deviation of X for the constant and the slope, and a tenth of it for each higher degree, since
    most draws blow up with more.

    Parameters
    ----------
    degree : int
        Highest power of X.
    regime : str or Regime
        The resolved model.
    n_ensemble, n_iterations, n_runs, n_windows : int
        Members, each with parameters of its own; updates; model runs for each member, from rows of X that are evenly
        spread; and successive windows of the truth, of equal length.
    spin_up, duration : float
        MTU of each run before, and in, its statistics.
    interval : float
        Time in MTU between the rows of X, which are successive states of ONE trajectory.
    random_state : int or None
        Seed of the prior's draws and of the perturbations; None draws a new one.

    Attributes
    ----------
    coef_ : ndarray of shape (degree + 1,)
        The coefficients c_i, lowest order first, of the added tendency: the mean of the last ensemble.
    misfit_ : list of float
        Squared misfit of the ensemble's mean statistics, normalized by noise and number of data, of each iteration.
    n_failed_ : int
        Number of parameters for which the model blew up.

    References
    ----------
    Iglesias, Law and Stuart (2013), Inverse Problems 29, 045001; Schneider, Lan, Stuart and Teixeira (2017),
    Geophys. Res. Lett. 44, 12396-12417, doi:10.1002/2017GL076101.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import InvertedPolynomial
    >>> run = l96bench.simulate("wilks-f20", 100.0, spin_up=5.0)
    >>> short = dict(n_ensemble=6, n_iterations=1, n_runs=2, spin_up=2.0, duration=5.0)
    >>> model = InvertedPolynomial(degree=1, **short).fit(run.X, run.U)
    >>> model.coef_.shape
    (2,)
    """

    def __init__(
        self,
        degree: int = 4,
        regime: str | Regime = "wilks-f20",
        n_ensemble: int = 30,
        n_iterations: int = 12,
        n_runs: int = 6,
        spin_up: float = 30.0,
        duration: float = 50.0,
        n_windows: int = 40,
        interval: float = 0.05,
        random_state: int | None = 0,
    ) -> None:
        self.degree, self.regime, self.n_ensemble, self.n_iterations = degree, regime, n_ensemble, n_iterations
        self.n_runs, self.spin_up, self.duration, self.n_windows = n_runs, spin_up, duration, n_windows
        self.interval, self.random_state = interval, random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to the statistics of states X (n, K) in time order; y, U (n, K) or (n,), is checked but not used."""
        X, _ = self._checked_training(X, y)
        if len(X) < 2 * self.n_windows:
            raise ValueError(
                f"{self.n_windows} windows need at least {2 * self.n_windows} rows in time order; got "
                f"n_samples={len(X)}. Try a smaller n_windows."
            )
        length = len(X) // self.n_windows
        windows = X[: length * self.n_windows].reshape(self.n_windows, length, -1).swapaxes(0, 1)
        statistics = climate_statistics(windows)
        share = length * self.interval / (self.n_runs * self.duration) + 1.0 / self.n_windows
        noise = share * np.atleast_2d(np.cov(statistics, rowvar=False))
        noise += 1e-6 * np.diag(np.diag(noise))
        basis = OrthonormalPolynomials(X, self.degree)
        rng = np.random.default_rng(checked_random_state(self.random_state))
        spread = basis.std * np.where(np.arange(self.degree + 1) < 2, 1.0, 0.1)
        found = ensemble_kalman_inversion(
            self._forward(basis, X),
            statistics.mean(axis=0),
            noise,
            lambda: spread * rng.standard_normal(self.degree + 1),
            self.n_ensemble,
            self.n_iterations,
            rng,
            tempered=True,
        )
        self.coef_ = basis.coefficients(found.members.mean(axis=0))
        self.misfit_, self.n_failed_ = found.misfits, found.n_failed
        return self

    def _forward(self, basis: OrthonormalPolynomials, X: NDArray) -> Callable[[NDArray], NDArray]:
        """Return the function from coordinates to climate statistics of the model, NaN if a run blows up."""
        regime = get_regime(self.regime)
        start = X[np.linspace(0, len(X) - 1, self.n_runs).astype(int)]

        def forward(theta: NDArray) -> NDArray:
            run = rollout(
                basis.polynomial(theta),
                start,
                self.duration,
                regime=regime,
                spin_up=self.spin_up,
                interval=_SAMPLING,
                limits=bounds(basis.mean, basis.std),
                progress=False,
            )
            return climate_statistics(run.X).mean(axis=0)

        return forward


@dataclass(slots=True)
class Inversion:
    """The last ensemble and its data, the misfit before each update, and the number of failed parameters."""

    members: NDArray
    data: NDArray
    misfits: list[float] = field(default_factory=list)
    n_failed: int = 0


def ensemble_kalman_inversion(
    forward: Callable[[NDArray], NDArray],
    data: NDArray,
    noise: NDArray,
    draw: Callable[[], NDArray],
    n_members: int,
    n_iterations: int,
    rng: np.random.Generator,
    tempered: bool = False,
) -> Inversion:
    """Move an ensemble of parameters to where a model gives the data, by repeated ensemble Kalman updates.

    In each iteration theta_j += C_tg (C_gg + noise)^-1 (data + eta_j - g_j), with g_j = forward(theta_j), C the
    covariances over the ensemble, and eta_j normal with the covariance `noise` (Iglesias, Law and Stuart 2013). For
    a linear model and many members, one iteration from a normal ensemble gives the mean and covariance of the
    posterior; many give the parameters of least misfit among the combinations of the first members. The first ensemble
    is drawn until enough members have finite data, or is a `ModelError`; an update that leads to a blow-up is halved up
    to three times, then left out.

    Parameters
    ----------
    forward : (parameter,) -> (datum,)
        The model; NaN where it blew up.
    data : (datum,) array
        What the model should give.
    noise : (datum, datum) array
        Covariance of the data's errors.
    draw : () -> (parameter,)
        A draw from the prior.
    n_members, n_iterations : int
        Members of the ensemble, and updates.
    rng : numpy Generator
        Source of the perturbations eta.
    tempered : bool
        Multiply the noise, in each update, by the mean squared misfit a datum while that is above 1: the steps of a
        model that is far from linear are smaller, and its ensemble does not collapse before it has arrived (in the
        spirit of Iglesias and Yang 2021, Inverse Problems 37, 025008).

    Returns
    -------
    Inversion
        The last ensemble `members` (member, parameter) and its `data`, the misfits before each update, and the number
        of parameters for which the model blew up.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench.estimators import ensemble_kalman_inversion
    >>> rng = np.random.default_rng(0)
    >>> draw = lambda: rng.standard_normal(1)
    >>> data, noise = np.array([4.0]), np.array([[0.01]])
    >>> found = ensemble_kalman_inversion(lambda theta: 2.0 * theta, data, noise, draw, 100, 5, rng)
    >>> round(float(found.members.mean()), 1)
    2.0
    """
    found = _first_ensemble(forward, draw, n_members)
    for _ in range(n_iterations):
        g, theta = found.data, found.members
        misfit = data - g.mean(axis=0)
        found.misfits.append(float(misfit @ np.linalg.solve(noise, misfit) / len(data)))
        misfits = np.sum((data - g) * np.linalg.solve(noise, (data - g).T).T, axis=1) / len(data)
        covariance_eta = noise * (max(1.0, float(misfits.mean())) if tempered else 1.0)
        d_theta, d_g = theta - theta.mean(axis=0), g - g.mean(axis=0)
        innovations = data + rng.multivariate_normal(np.zeros(len(data)), covariance_eta, size=n_members) - g
        covariance = d_g.T @ d_g / (n_members - 1)
        step = innovations @ np.linalg.solve(covariance + covariance_eta, d_g.T @ d_theta / (n_members - 1))
        _advance(forward, found, step)
    return found


def _first_ensemble(forward: Callable[[NDArray], NDArray], draw: Callable[[], NDArray], n_members: int) -> Inversion:
    """Draw members from the prior for which the model runs."""
    members: list[NDArray] = []
    data: list[NDArray] = []
    n_tried = 0
    while len(members) < n_members:
        if n_tried == _DRAWS * n_members:
            raise ModelError(
                f"expected a prior under which the model runs; of {n_tried} draws {n_tried - len(members)} blew up. "
                "Try a smaller degree, or a longer training set."
            )
        theta = _rounded(draw())
        g = _rounded(forward(theta))
        n_tried += 1
        if np.isfinite(g).all():
            members.append(theta)
            data.append(g)
    return Inversion(np.stack(members), np.stack(data), n_failed=n_tried - n_members)


def _advance(forward: Callable[[NDArray], NDArray], found: Inversion, step: NDArray) -> None:
    """Move every member by its step, or by less if the model does not run there."""
    for j, start in enumerate(found.members.copy()):
        for fraction in _FRACTIONS:
            theta = _rounded(start + fraction * step[j])
            g = _rounded(forward(theta))
            if np.isfinite(g).all():
                found.members[j], found.data[j] = theta, g
                break
            found.n_failed += 1


def climate_statistics(X: NDArray) -> NDArray:
    """Return four moments of X (time, member, K) and means of X_k X_{k+j}, j <= min(4, K / 2), (member, statistic)."""
    neighbours = [X * np.roll(X, -j, axis=-1) for j in range(1, min(X.shape[-1] // 2, 4) + 1)]
    square = X * X
    return np.stack([each.mean(axis=(0, 2)) for each in (X, square, square * X, square * square, *neighbours)], axis=-1)


def _rounded(values: NDArray) -> NDArray:
    """Round each value to ten digits; see `ten_digits`."""
    return np.array([ten_digits(float(value)) for value in values])
