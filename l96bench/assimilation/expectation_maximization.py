"""Closures learned from noisy observations of X by smoothing and fitting in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from l96bench.assimilation.observed import ObservedSeries
from l96bench.assimilation.observed_climate import climate_model
from l96bench.assimilation.smoother import Smoothed, ensemble_smoother
from l96bench.assimilation.state_space import PHI_BOUNDS, STEPS, RedNoiseLearner, RedNoiseModel, fitted_model
from l96bench.checks import checked_random_state, whole_multiple
from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.errors import L96BenchError

__all__ = ["ExpectationMaximization"]

Array = NDArray[np.float64]

_MEMBERS, _FEW_MEMBERS, _FEW_LAG = 40, 160, 1.5
"""Members, and those and the lag, in MTU, where some points are not observed."""
_ROUNDS, _FEW_ROUNDS = 30, 10
"""First rounds, and those where some points are not observed: more of them lead away, as members are few for them."""
_SLOPES, _SIZES, _PHI_START = (-0.2, -0.5, -0.9, -1.3), (1.0, 3.0), 0.2
"""The linear closures from which the search for a start sets out."""
_SEARCHED = 200.0
"""MTU of the observations in that search."""
_EVALUATIONS = 45
"""Likelihoods in that search, beside those of the closures above."""


class ExpectationMaximization(RedNoiseLearner):
    """A polynomial closure with red noise that makes noisy observations of X likely.

        U_k = f(X_k, X_k - M_k) + sigma e_k,       dM/dt = (X - M) / memory

    with f a polynomial and e an AR(1) of variance 1 in time. Neither U nor the true X is seen. Start: the linear
    closure under which an ensemble Kalman filter makes the observations most likely; or, where some points
    are not observed, that of `ClimateInversion`. Then, in turn: smooth, with e and M in the state, which
    gives members of (X, M, U) given all observations; and fit f, sigma and the autocorrelation to these members. Each
    round raises the likelihood, up to sampling, and they are made longer by momentum, since what the observations
    hardly show, the noise, moves by little in each. First rounds see a fifth of the observations each.

    Parameters
    ----------
    degree : int
        Highest power of X, and of all variables together.
    memory : float
        MTU over which M forgets; 0 for a closure of the present X alone.
    first_rounds : int, optional
        Rounds with a fifth of the observations; by default 30, and 10 where some points are not observed.
    rounds, last_rounds : int
        Rounds with all of them, and with all of them and no momentum. With a memory all rounds are made again with M,
        after those without.
    n_members : int, optional
        Members of the smoother; by default 40, and 160 where some points are not observed.
    momentum : float
        From 0 to below 1.
    length, spin_up : float
        MTU of the series into which the observations are cut, and at the start of each that is not fitted to.
    inflation : float
        Of the forecast anomalies.
    lag : float, optional
        MTU over which an analysis moves the past members, see `ensemble_smoother`; by default they are smoothed
        backward, and with a lag of 1.5 where some points are not observed.
    random_state : int or None
        Seed of all randomness; None draws a new one.

    Attributes
    ----------
    model_ : RedNoiseModel
        The closure's numbers.
    log_likelihood_ : list of float
        Of an observation given those before it, in each round, before its fit.

    References
    ----------
    Dempster, Laird and Rubin (1977), J. R. Stat. Soc. B 39, 1-38; Shumway and Stoffer (1982), J. Time Ser.
    Anal. 3, 253-264: expectation-maximization, and for state-space models. Evensen and van Leeuwen (2000), Mon. Wea.
    Rev. 128, 1852-1867: the smoother with an ensemble. Tandeo et al. (2020), Mon. Wea. Rev. 148, 3973-3994: a review of
    its use for the noise of models. Brajard et al. (2020), J. Comput. Sci. 44, 101171, and Bocquet et al. (2020),
    Found. Data Sci. 2, 55-80, arXiv:2001.06270: for what models lack.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> series = l96bench.make_task("observed-closure/wilks-f20-dense-v1").miniature().train
    >>> learner = da.ExpectationMaximization(degree=1, first_rounds=1, rounds=1, n_members=20, length=5.0)
    >>> learner.fit(series).model_.coefficients.shape
    (2, 1)
    """

    def __init__(
        self,
        degree: int = 4,
        memory: float = 0.0,
        first_rounds: int | None = None,
        rounds: int = 3,
        last_rounds: int = 1,
        n_members: int | None = None,
        momentum: float = 0.7,
        length: float = 20.0,
        spin_up: float = 2.0,
        inflation: float = 1.0,
        lag: float | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.degree, self.memory, self.n_members, self.momentum = degree, memory, n_members, momentum
        self.first_rounds, self.rounds, self.last_rounds = first_rounds, rounds, last_rounds
        self.length, self.spin_up, self.inflation, self.lag = length, spin_up, inflation, lag
        self.random_state = random_state

    def fit(self, observations: ObservedSeries) -> Self:
        """Fit to an `ObservedSeries`; `L96BenchError` where it is shorter than one of the series it is cut into."""
        self._check()
        rng = np.random.default_rng(checked_random_state(self.random_state))
        problem = self._problem(observations)
        self.log_likelihood_: list[float] = []
        if _sees_few(observations):
            model = climate_model(observations, self.degree, rng)
        else:
            model = _start(problem, self.degree, int(rng.integers(2**31)))
        model = self._improved(problem, model, rng)
        if self.memory:
            model = self._improved(problem, replace(model, memory=self.memory), rng)
        self.model_, self.K_ = model.rounded(), observations.K
        return self

    def _improved(self, problem: _Problem, model: RedNoiseModel, rng: np.random.Generator) -> RedNoiseModel:
        """Return the model after all rounds."""
        first = problem.first_rounds if self.first_rounds is None else self.first_rounds
        plan = [(5, self.momentum)] * first + [(1, self.momentum)] * self.rounds
        plan += [(1, 0.0)] * self.last_rounds
        before: RedNoiseModel | None = None
        for number, (share, momentum) in enumerate(plan):
            smoothed, likelihood = problem.smoothed(model, rng, slice(number % share, None, share), problem.lag)
            self.log_likelihood_.append(likelihood)
            states = smoothed.states[problem.first :, :, :: problem.thin]
            X, _, M = model.split(states)
            found = fitted_model(model, X, M, model.forcing(states), self.degree)
            model = found if before is None or not momentum else _beyond(found, before, momentum)
            before = found
        return model

    def _problem(self, observations: ObservedSeries) -> _Problem:
        """Return the observations cut into series, with the members and the lag that suit the network."""
        few = _sees_few(observations)
        n_members = (_FEW_MEMBERS if few else _MEMBERS) if self.n_members is None else self.n_members
        lag = _FEW_LAG if few and self.lag is None else self.lag
        problem = _Problem(observations, self.length, self.spin_up, n_members, self.inflation, lag)
        problem.first_rounds = _FEW_ROUNDS if few else _ROUNDS
        return problem

    def _check(self) -> None:
        """Raise `L96BenchError` for parameters that cannot be used."""
        counts = (self.degree, self.first_rounds or 0, self.rounds, self.last_rounds)
        if min(counts) < 0 or self.degree < 1 or sum(counts[1:]) < 1 or self.memory < 0:
            raise L96BenchError(
                f"expected a degree of at least 1, rounds, and memory >= 0, got degree, first_rounds, rounds and "
                f"last_rounds {counts} and memory {self.memory}"
            )
        if not (0 <= self.momentum < 1 and 0 <= self.spin_up < self.length):
            raise L96BenchError(
                f"expected a momentum from 0 to below 1 and spin_up shorter than length, got {self.momentum}, "
                f"{self.spin_up} and {self.length}"
            )

    def __repr__(self) -> str:
        names = ("degree", "memory", "n_members", "random_state")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


class _Problem:
    """Observations cut into series side by side, (time, series, K), on the smoother's times, 0.05 MTU apart."""

    def __init__(
        self,
        observations: ObservedSeries,
        length: float,
        spin_up: float,
        n_members: int,
        inflation: float,
        lag: float | None,
    ) -> None:
        every = whole_multiple(observations.window, HISTORY_INTERVAL, "the window", "0.05")
        cut = observations.cut(length)
        self.first = min(round(spin_up / HISTORY_INTERVAL), len(cut) * every // 2)
        self.values = np.full((len(cut) * every, *cut.shape[1:]), np.nan)
        self.values[::every] = cut
        self.F, self.std, self.inflation = observations.F, observations.std, inflation
        self.lag = None if lag is None else round(lag / HISTORY_INTERVAL)
        self.first_rounds = _ROUNDS
        self.n_members, self.thin = n_members, max(n_members // 10, 1)
        self.mean, self.spread = float(np.nanmean(cut)), float(np.nanstd(cut))

    def smoothed(
        self, model: RedNoiseModel, rng: np.random.Generator, some: slice = slice(None), lag: int | None = 0
    ) -> tuple[Smoothed, float]:
        """Return members under a model, and the log likelihood of an observation after the spin-up."""
        values = self.values[:, some] if self.values[:, some].size else self.values

        def advance(states: Array, time: int) -> Array:
            return model.advance(states, self.F, rng, STEPS)

        initial = self._initial(model, values[0], rng)
        found = ensemble_smoother(advance, initial, values, self.std, rng=rng, inflation=self.inflation, lag=lag)
        counted = np.isfinite(values[self.first :]).sum()
        return found, float(found.log_likelihood[self.first :].sum() / max(counted, 1))

    def likelihood(self, model: RedNoiseModel, seed: int) -> float:
        """Return the log likelihood of an observation of a few series under a model; minus infinity if it blows up."""
        n_times, n_series = self.values.shape[:2]
        some = slice(None, None, max(round(n_series * n_times * HISTORY_INTERVAL / _SEARCHED), 1))
        found = self.smoothed(model, np.random.default_rng(seed), some)[1]
        return found if np.isfinite(found) else -np.inf

    def _initial(self, model: RedNoiseModel, values: Array, rng: np.random.Generator) -> Array:
        """Return members (series, member, n) around the first observations, or the climate where there is none."""
        seen = np.isfinite(values)
        centre, spread = np.where(seen, values, self.mean), np.where(seen, self.std, self.spread)
        shape = (len(values), self.n_members, values.shape[1])
        X = centre[:, None] + spread[:, None] * rng.standard_normal(shape)
        parts = [X, rng.standard_normal(shape)]
        if model.memory:
            parts.append(X + rng.standard_normal(shape))
        return np.concatenate(parts, axis=2)


def _sees_few(observations: ObservedSeries) -> bool:
    """Return whether all points are never observed at once."""
    return not observations.observed.all(axis=1).any()


def _start(problem: _Problem, degree: int, seed: int) -> RedNoiseModel:
    """Return the linear closure under which the observations of a few series are most likely, by a simplex search."""

    def model_of(parameters: Array) -> RedNoiseModel:
        slope, constant, log_size = parameters
        coefficients = np.zeros((degree + 1, 1))
        coefficients[:2, 0] = constant, slope
        return RedNoiseModel(coefficients, float(np.exp(log_size)), _PHI_START)

    def misfit(parameters: Array) -> float:
        return -problem.likelihood(model_of(parameters), seed)

    tried = [np.array([slope, 0.0, np.log(size)]) for slope in _SLOPES for size in _SIZES]
    best = min(tried, key=misfit)
    simplex = best + np.array([[0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.0, 0.7, 0.0], [0.0, 0.0, 0.4]])
    options = {"maxfev": _EVALUATIONS, "initial_simplex": simplex}
    return model_of(minimize(misfit, best, method="Nelder-Mead", options=options).x)


def _beyond(found: RedNoiseModel, before: RedNoiseModel, momentum: float) -> RedNoiseModel:
    """Return the model as far beyond `found` as `momentum` times the way to it from the one found before."""

    def further(value: Any, earlier: Any) -> Any:
        return value + momentum * (value - earlier)

    phi = further(np.log(found.phi / (1.0 - found.phi)), np.log(before.phi / (1.0 - before.phi)))
    return replace(
        found,
        coefficients=further(found.coefficients, before.coefficients),
        sigma=float(np.exp(further(np.log(found.sigma), np.log(before.sigma)))),
        phi=float(np.clip(1.0 / (1.0 + np.exp(-phi)), *PHI_BOUNDS)),
    )
