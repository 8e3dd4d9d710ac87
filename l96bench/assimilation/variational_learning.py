"""A network closure and the initial states of many windows, found together by their misfit to observations."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from sklearn.base import BaseEstimator

from l96bench.assimilation.network_maximization import NetworkMaximization, RedNoiseNetwork
from l96bench.assimilation.observed import ObservedSeries
from l96bench.assimilation.smoothing_problem import SmoothingProblem, sees_few
from l96bench.assimilation.state_space import TAIL
from l96bench.checks import checked_random_state, whole_multiple
from l96bench.dynamics.closures import MODEL_DT, Closure
from l96bench.dynamics.differentiable import differentiable_step
from l96bench.errors import L96BenchError, ModelError
from l96bench.estimators.network import TorchRegressor
from l96bench.estimators.regressors import LocalRegressor, StencilClosure
from l96bench.estimators.ring import stencil_index, stencil_rows
from l96bench.estimators.rollout_training import SharedNetwork
from l96bench.parallel import one_thread

__all__ = ["VariationalNetwork"]

Array = NDArray[np.float64]

_WARM_UP = 20
"""Iterations in which the learning rates rise to their peaks."""
_CLIP = 1.0
"""The largest norm of the gradient of the network's weights."""
_PHI, _SIGMAS, _SEARCHED = 0.3, (0.05, 5.0), 0.2
"""The noise's autocorrelation over 0.05 MTU, limits of its size in the search, and the share of series in it."""


class VariationalNetwork(BaseEstimator):
    """A network closure under which forecasts from the best initial states fit noisy observations of X.

    The observations are cut into windows. The network f of the stencil X_{k-r} .. X_{k+r} and the initial states of all
    windows are found together, by Adam on

        J = sum over windows and times of |y - H X(t)|^2 / std^2,   dX/dt = resolved model + f(X),

    through the differentiable resolved model: four-dimensional variational assimilation with a learned model. As every
    window has its own initial state, the model may be wrong from one window to the next. With `noise`, a red noise is
    added, of the size that makes the observations most likely under an ensemble Kalman filter. The first network
    fits the errors of short forecasts from the observations themselves.

    Parameters
    ----------
    noise : bool
        Whether the closure is stochastic.
    hidden : sequence of int
        Units of each hidden layer.
    radius : int
        The number r of neighbours on either side.
    window : float
        MTU of a window.
    iterations : int
        Steps of Adam, each with all windows.
    learning_rate, state_rate : float
        Peaks of the rates for the network and the initial states.
    random_state : int or None
        Seed of all randomness; None draws a new one.

    Attributes
    ----------
    network_ : TorchRegressor
        From stencils to U.
    sigma_ : float
        Standard deviation of the noise, 0 without.
    loss_curve_ : list of float
        J divided by the number of observations, of each iteration; 1 for the errors of the observations alone.

    References
    ----------
    Bocquet, Brajard, Carrassi and Bertino (2020), Found. Data Sci. 2, 55-80, arXiv:2001.06270: a model and states that
    are estimated together, by the weak-constraint cost. Farchi et al. (2021), Q. J. R. Meteorol. Soc. 147, 3067-3084:
    networks for the error of a model, trained by 4D-Var.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> series = l96bench.make_task("observed-closure/wilks-f20-dense-v1").miniature().train
    >>> model = da.VariationalNetwork(hidden=(4,), window=0.2, iterations=3).fit(series)
    >>> len(model.loss_curve_), model.sigma_
    (3, 0.0)
    """

    def __init__(
        self,
        noise: bool = False,
        hidden: tuple[int, ...] = (32, 32),
        radius: int = 2,
        window: float = 0.5,
        iterations: int = 200,
        learning_rate: float = 0.01,
        state_rate: float = 0.05,
        random_state: int | None = 0,
    ) -> None:
        self.noise, self.hidden, self.radius, self.window = noise, hidden, radius, window
        self.iterations, self.learning_rate, self.state_rate = iterations, learning_rate, state_rate
        self.random_state = random_state

    def fit(self, observations: ObservedSeries) -> Self:
        """Fit to an `ObservedSeries` in which all points are observed at once; `L96BenchError` for others."""
        self._check(observations)
        seeds = np.random.SeedSequence(checked_random_state(self.random_state)).generate_state(2)
        with one_thread():
            self.network_ = self._descended(observations, int(seeds[0]))
        self.index_, self.sigma_ = stencil_index(observations.K, self.radius), 0.0
        if self.noise:
            self.low_, self.high_ = (float(each) for each in np.quantile(observations.values, [TAIL, 1.0 - TAIL]))
            self.sigma_ = self._likeliest(observations, int(seeds[1]))
        return self

    def closure(self, dt: float = MODEL_DT) -> Closure:
        """Return the closure for a resolved model that steps by `dt` MTU."""
        if not hasattr(self, "network_"):
            raise ModelError(f"this {type(self).__name__} is not fitted yet. Try fit(observations) first.")
        if self.noise:
            return self._model(self.sigma_).closure(len(self.index_), dt)
        return StencilClosure(self.network_, self.index_)

    def given_U(self, X: ArrayLike, U: ArrayLike) -> Any:
        """Return the same kind of closure fitted to true X and U, both (time, K), 0.05 MTU apart."""
        options: dict[str, Any] = {"hidden": self.hidden, "radius": self.radius, "random_state": self.random_state}
        if self.noise:
            return NetworkMaximization(memory=0.0, **options).given_U(X, U)
        network = TorchRegressor(self.hidden, random_state=self.random_state)
        return LocalRegressor(network, self.radius).fit(X, U)

    def _model(self, sigma: float) -> RedNoiseNetwork:
        return RedNoiseNetwork(self.network_, self.radius, sigma, _PHI, 0.0, self.low_, self.high_)

    def _likeliest(self, observations: ObservedSeries, seed: int) -> float:
        """Return the size of the noise under which some of the observations are most likely."""
        problem, some = SmoothingProblem(observations), slice(None, None, round(1.0 / _SEARCHED))

        def misfit(log_sigma: float) -> float:
            return -problem.likelihood(self._model(float(np.exp(log_sigma))), np.random.default_rng(seed), some)

        found = minimize_scalar(misfit, bounds=np.log(_SIGMAS), method="bounded", options={"maxiter": 15})
        return float(np.exp(found.x))

    def _first(self, observations: ObservedSeries, seed: int) -> tuple[TorchRegressor, tuple[float, ...]]:
        """Return a network that fits the errors of forecasts, and the means and deviations of its inputs and outputs.

        Forecasts of two windows without a closure start at the observations; their error is that of the time between.
        """
        values = observations.values
        X, ahead = values[1:-1], values[:-2]
        for _ in range(2 * whole_multiple(observations.window, MODEL_DT)):
            ahead = np.asarray(differentiable_step(ahead, np.zeros_like(ahead), observations.F))
        missing = (values[2:] - ahead) / (2.0 * observations.window)
        rows = stencil_rows([X], stencil_index(observations.K, self.radius))
        network = TorchRegressor(self.hidden, "tanh", epochs=1, min_steps=1000, batch_size=2048, random_state=seed)
        network.fit(rows, missing.ravel())
        U = network.predict_unchecked(rows)
        return network, tuple(float(each) for each in (X.mean(), X.std(), U.mean(), U.std()))

    def _descended(self, observations: ObservedSeries, seed: int) -> TorchRegressor:
        """Return the network after all iterations."""
        network, (x_mean, x_std, u_mean, u_std) = self._first(observations, seed)
        shared = SharedNetwork(
            network, stencil_index(observations.K, self.radius), (x_mean, x_std, u_mean, u_std or 1.0)
        )
        seen = torch.from_numpy(observations.cut(self.window).astype(np.float32))
        states = seen[0].clone().requires_grad_()
        rates = (self.learning_rate, self.state_rate)
        optimizer = torch.optim.Adam([{"params": shared.weights}, {"params": [states]}])
        self.loss_curve_: list[float] = []
        for i in range(self.iterations):
            factor = min(1.0, (i + 1) / _WARM_UP) * 0.5 * (1.0 + np.cos(np.pi * i / self.iterations))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            loss = _misfit(states, seen, shared, observations)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(shared.weights, _CLIP)
            optimizer.step()
            self.loss_curve_.append(float(loss.detach()))
        return shared.trained()

    def _check(self, observations: ObservedSeries) -> None:
        """Raise `L96BenchError` for parameters or observations that cannot be used."""
        if sees_few(observations):
            raise L96BenchError("expected observations of all points at once, from which forecasts can start")
        whole_multiple(self.window, observations.window, "window", "the time between observations")
        if self.window < 2 * observations.window or self.iterations < 1:
            raise L96BenchError(
                f"expected iterations, and windows of at least two observations, got iterations={self.iterations} and "
                f"window={self.window}"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(noise={self.noise}, hidden={self.hidden}, random_state={self.random_state})"


def _misfit(
    states: torch.Tensor, seen: torch.Tensor, closure: SharedNetwork, observations: ObservedSeries
) -> torch.Tensor:
    """Return J over the number of observations `seen` (time, window, K), for initial states (window, K)."""
    steps = whole_multiple(observations.window, MODEL_DT)
    X, total = states, (states - seen[0]).square().sum()
    for values in seen[1:]:
        for _ in range(steps):
            X = differentiable_step(X, closure(X), observations.F)
        total = total + (X - values).square().sum()
    return total / (seen.numel() * observations.std**2)
