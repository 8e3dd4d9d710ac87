"""Closures learned from noisy observations of X by smoothing and fitting in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from l96bench.assimilation.observed import ObservedSeries
from l96bench.assimilation.observed_climate import climate_model
from l96bench.assimilation.smoothing_problem import SmoothingProblem, sees_few
from l96bench.assimilation.state_space import PHI_BOUNDS, RedNoiseLearner, RedNoiseModel, fitted_model
from l96bench.checks import checked_random_state
from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.errors import L96BenchError

__all__ = ["ExpectationMaximization"]

Array = NDArray[np.float64]

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
    start : RedNoiseModel, optional
        The closure to begin with; by default it is searched for.
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
        start: RedNoiseModel | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.degree, self.memory, self.n_members, self.momentum = degree, memory, n_members, momentum
        self.first_rounds, self.rounds, self.last_rounds = first_rounds, rounds, last_rounds
        self.length, self.spin_up, self.inflation, self.lag = length, spin_up, inflation, lag
        self.start, self.random_state = start, random_state

    def fit(self, observations: ObservedSeries) -> Self:
        """Fit to an `ObservedSeries`; `L96BenchError` where it is shorter than one of the series it is cut into."""
        self._check()
        rng = np.random.default_rng(checked_random_state(self.random_state))
        problem = SmoothingProblem(observations, self.length, self.spin_up, self.n_members, self.inflation, self.lag)
        self.log_likelihood_: list[float] = []
        few = sees_few(observations)
        first = (_FEW_ROUNDS if few else _ROUNDS) if self.first_rounds is None else self.first_rounds
        if self.start is not None:
            model = self.start
        elif few:
            model = climate_model(observations, self.degree, rng)
        else:
            model = _start(problem, self.degree, int(rng.integers(2**31)))
        model = self._improved(problem, model, first, rng)
        if self.memory:
            model = self._improved(problem, replace(model, memory=self.memory), first, rng)
        self.model_, self.K_ = model.rounded(), observations.K
        return self

    def _improved(
        self, problem: SmoothingProblem, model: RedNoiseModel, first: int, rng: np.random.Generator
    ) -> RedNoiseModel:
        """Return the model after all rounds, the first of them with a fifth of the observations."""
        plan = [(5, self.momentum)] * first + [(1, self.momentum)] * self.rounds
        plan += [(1, 0.0)] * self.last_rounds
        before: RedNoiseModel | None = None
        for number, (share, momentum) in enumerate(plan):
            members = problem.smoothed(model, rng, slice(number % share, None, share))
            self.log_likelihood_.append(members.log_likelihood)
            found = fitted_model(model, members.X, members.M, members.U, self.degree)
            model = found if before is None or not momentum else _beyond(found, before, momentum)
            before = found
        return model

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


def _start(problem: SmoothingProblem, degree: int, seed: int) -> RedNoiseModel:
    """Return the linear closure under which the observations of a few series are most likely, by a simplex search."""
    n_times, n_series = problem.values.shape[:2]
    some = slice(None, None, max(round(n_series * n_times * HISTORY_INTERVAL / _SEARCHED), 1))

    def model_of(parameters: Array) -> RedNoiseModel:
        slope, constant, log_size = parameters
        coefficients = np.zeros((degree + 1, 1))
        coefficients[:2, 0] = constant, slope
        return RedNoiseModel(coefficients, float(np.exp(log_size)), _PHI_START)

    def misfit(parameters: Array) -> float:
        return -problem.likelihood(model_of(parameters), np.random.default_rng(seed), some)

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
