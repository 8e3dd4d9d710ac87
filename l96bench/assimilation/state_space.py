"""A closure with red noise as a state-space model: what a smoother runs, and what is run online."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from l96bench.assimilation import kernels
from l96bench.checks import whole_multiple
from l96bench.dynamics import resolved_kernels
from l96bench.dynamics.closures import HISTORY_INTERVAL, MODEL_DT
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.polynomial import ten_digits
from l96bench.dynamics.steps import Block, StepForm, SteppedClosure
from l96bench.errors import L96BenchError, ModelError

__all__ = [
    "PHI_BOUNDS",
    "STEPS",
    "TAIL",
    "RedNoiseLearner",
    "RedNoiseModel",
    "RedNoiseStep",
    "StateSpaceLearner",
    "StateSpaceModel",
    "fitted_model",
    "noise_of",
]

Array = NDArray[np.float64]
Model = TypeVar("Model", bound="StateSpaceModel")

_LEAST, _MOST = -50.0, 60.0
"""X at which a member is stopped while it is smoothed."""
_ROWS = 1_500_000
"""The most values that a polynomial is fitted to; more are thinned."""
TAIL = 1e-3
"""Fraction of the smoothed X on either side beyond which the polynomial goes on as a line."""
_REACH = 4.0
"""The largest x - M that the polynomial sees, in standard deviations."""
STEPS = whole_multiple(HISTORY_INTERVAL, MODEL_DT)
"""Steps of the model between two times of the smoother."""
PHI_BOUNDS = (0.01, 0.97)
"""Bounds of the autocorrelation of the noise over 0.05 MTU."""


class StateSpaceModel:
    """The base of state-space models U_k = f_k + sigma e_k, f a function of X and, with a memory, of its past M.

    e is a red noise of variance 1 with the autocorrelation phi over 0.05 MTU, and dM/dt = (X - M) / memory.
    """

    __slots__ = ()

    sigma: float
    phi: float
    memory: float

    @property
    def graph_is_exact(self) -> bool:
        """Whether f and its graph give the same bits."""
        raise NotImplementedError

    def mean(self, X: Array, M: Array) -> Array:
        """Return f for X and M of any equal shape, points last."""
        raise NotImplementedError

    def mean_graph(self, builder: GraphBuilder, x: str, M: str, K: int) -> str:
        """Add f (n, K) for X and M (n, K) to a graph; without a memory M is X."""
        raise NotImplementedError

    @property
    def n_parts(self) -> int:
        """The number of times K components of its state: X, e and, with a memory, M."""
        return 3 if self.memory else 2

    def split(self, states: Array) -> tuple[Array, Array, Array]:
        """Return X, e and M, views of states (..., n_parts K); without a memory M is X."""
        parts = np.split(states, self.n_parts, axis=-1)
        return parts[0], parts[1], parts[-1] if self.memory else parts[0]

    def forcing(self, states: Array) -> Array:
        """Return U (..., K) of states (..., n_parts K)."""
        X, e, M = self.split(states)
        return self.mean(X, M) + self.sigma * e

    def advance(self, states: Array, F: float, rng: np.random.Generator, n_steps: int) -> Array:
        """Return states (row, n_parts K) after some steps of the resolved model; X is stopped outside -50 to 60."""
        parts = [np.array(each) for each in self.split(states)]
        X, e, M = parts[0], parts[1], parts[2] if self.memory else parts[0]
        kept, kick, share = self.rates(MODEL_DT)
        n = len(X)
        limits = (np.full(n, _LEAST), np.full(n, _MOST), np.full(n, F / 4.0), np.full(n, -1))
        forcing = np.full(n, F)
        for step in range(n_steps):
            U = self.mean(X, M) + self.sigma * e
            if self.memory:
                M += share * (X - M)
            resolved_kernels.advance_resolved(X, U, forcing, MODEL_DT, *limits, step)
            e = kept * e + kick * rng.standard_normal(e.shape)
        return np.concatenate([X, e, M] if self.memory else [X, e], axis=1)

    def rates(self, dt: float) -> tuple[float, float, float]:
        """Return what is kept of e over `dt`, the size of what is added, and the share by which M moves to X."""
        kept = float(self.phi ** (dt / HISTORY_INTERVAL))
        share = float(-np.expm1(-dt / self.memory)) if self.memory else 0.0
        return kept, float(np.sqrt(1.0 - kept * kept)), share

    def closure(self, K: int, dt: float = MODEL_DT) -> SteppedClosure:
        """Return the closure for K points and a resolved model that steps by `dt` MTU."""
        return SteppedClosure(RedNoiseStep(self, K, dt), dt)


@dataclass(frozen=True, slots=True, eq=False)
class RedNoiseModel(StateSpaceModel):
    """U_k = f(X_k, X_k - M_k) + sigma e_k, e a red noise of variance 1 and M the past of X, weighted exponentially.

        f(x, y) = sum_{p, q} c_{pq} x^p y^q,        dM/dt = (X - M) / memory

    x is kept between `low` and `high`, beyond which f goes on as a line, and y between -`reach` and `reach`: a quartic
    that fits all there is falls to any depth outside of it.

    Parameters
    ----------
    coefficients : (degree + 1, q + 1) array
        The numbers c_{pq}; with q = 0 there is no memory.
    sigma, phi : float
        Standard deviation of the noise, and its autocorrelation over 0.05 MTU.
    memory : float
        MTU; 0 for none.
    low, high : float
        What x is kept between.
    slope : float
        Of the line beyond `low` and `high`.
    reach : float
        What y is kept between, on either side of 0.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> model = da.RedNoiseModel(np.array([[0.0], [-0.5]]), sigma=1.0, phi=0.9)
    >>> model.closure(K=8).deterministic, model.mean(np.ones(3), np.ones(3))
    (False, array([-0.5, -0.5, -0.5]))
    """

    coefficients: Array
    sigma: float
    phi: float
    memory: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    slope: float = 0.0
    reach: float = np.inf

    @property
    def graph_is_exact(self) -> bool:
        """True: the same operations in the same order."""
        return True

    def mean(self, X: Array, M: Array) -> Array:
        """Return f for X and M of any equal shape, points last."""
        rows = [np.ascontiguousarray(each, dtype=np.float64).reshape(-1, X.shape[-1]) for each in (X, M)]
        U = np.empty(rows[0].shape)
        kernels.memory_polynomial(*rows, self.coefficients, self.low, self.high, self.slope, self.reach, U)
        return U.reshape(X.shape)

    def mean_graph(self, builder: GraphBuilder, x: str, M: str, K: int) -> str:
        """Add f (n, K) for X and M (n, K) to a graph, by Horner's rule as in `mean`."""
        f64 = np.float64

        inside = builder.clipped(x, self.low, self.high)
        y = builder.clipped(builder.node("Sub", x, M), -self.reach, self.reach) if self.memory else ""
        total = ""
        for row in self.coefficients[::-1]:
            value = builder.polynomial(y, row) if len(row) > 1 else builder.constant(row[0], f64)
            total = builder.node("Add", builder.node("Mul", total, inside), value) if total else value
        beyond = builder.node("Mul", builder.constant(self.slope, f64), builder.node("Sub", x, inside))
        return builder.node("Add", total, beyond)

    def rounded(self) -> RedNoiseModel:
        """Return the model with ten digits of each number; see `ten_digits`."""
        numbers = ("sigma", "phi", "low", "high", "slope", "reach")
        coefficients = np.array([[ten_digits(float(value)) for value in row] for row in self.coefficients])
        return replace(self, coefficients=coefficients, **{name: ten_digits(getattr(self, name)) for name in numbers})


def fitted_model(model: RedNoiseModel, X: Array, M: Array, U: Array, degree: int) -> RedNoiseModel:
    """Return the model fitted to X, M and U, all (time, ..., K), 0.05 MTU apart."""
    thin = max(X.size // _ROWS, 1)
    x, u = X.ravel()[::thin], U.ravel()[::thin]
    low, high = (float(value) for value in np.quantile(x, [TAIL, 1.0 - TAIL]))
    slope = min(float(np.cov(x, u)[0, 1] / x.var()), 0.0)
    inside = np.clip(x, low, high)
    reach, y = np.inf, np.zeros_like(x)
    if model.memory:
        y = x - M.ravel()[::thin]
        reach = _REACH * float(y.std())
        y = np.clip(y, -reach, reach)
    powers = np.array([(p, q) for p in range(degree + 1) for q in range(degree + 1 - p if model.memory else 1)])
    scales = np.abs(inside).max(), np.abs(y).max() or 1.0
    columns = [(inside / scales[0]) ** p * (y / scales[1]) ** q for p, q in powers]
    design = np.stack(columns, axis=1)
    solution = np.linalg.lstsq(design.T @ design, design.T @ (u - slope * (x - inside)), rcond=None)[0]
    coefficients = np.zeros((degree + 1, degree + 1 if model.memory else 1))
    coefficients[powers[:, 0], powers[:, 1]] = solution / scales[0] ** powers[:, 0] / scales[1] ** powers[:, 1]
    found = RedNoiseModel(coefficients, 1.0, 0.5, model.memory, low, high, slope, reach)
    sigma, phi = noise_of(U - found.mean(X, M))
    return replace(found, sigma=sigma, phi=phi)


def noise_of(residual: Array) -> tuple[float, float]:
    """Return sigma and phi of a residual (time, ...), 0.05 MTU apart."""
    phi = float((residual[1:] * residual[:-1]).mean() / (residual * residual).mean())
    return float(residual.std()), min(max(phi, PHI_BOUNDS[0]), PHI_BOUNDS[1])


class StateSpaceLearner(BaseEstimator, Generic[Model]):
    """The base of models that learn a closure with red noise, and have it as ``model_`` once they are fitted."""

    memory: float = 0.0
    model_: Model
    K_: int

    def closure(self, dt: float = MODEL_DT) -> SteppedClosure:
        """Return the stochastic closure for a resolved model that steps by `dt` MTU."""
        if not hasattr(self, "model_"):
            raise ModelError(f"this {type(self).__name__} is not fitted yet. Try fit(observations) first.")
        return self.model_.closure(self.K_, dt)

    def given_U(self, X: ArrayLike, U: ArrayLike) -> Self:
        """Return a copy whose closure is fitted to true X and U, both (time, K), 0.05 MTU apart on one trajectory."""
        states, forcing = true_series(X, U)
        blank = RedNoiseModel(np.zeros((1, 1)), 1.0, 0.5, self.memory)
        M = past_of(states, blank) if self.memory else states
        found = copy.copy(self)
        found.model_, found.K_ = self._fitted(blank, states, M, forcing), states.shape[1]
        return found

    def _fitted(self, blank: RedNoiseModel, X: Array, M: Array, U: Array) -> Model:
        """Return the model fitted to true X, M and U (time, K); `blank` is no closure with the same memory."""
        raise NotImplementedError


class RedNoiseLearner(StateSpaceLearner[RedNoiseModel]):
    """The base of those that learn a polynomial."""

    degree: int

    def _fitted(self, blank: RedNoiseModel, X: Array, M: Array, U: Array) -> RedNoiseModel:
        return fitted_model(blank, X, M, U, self.degree).rounded()


def true_series(X: ArrayLike, U: ArrayLike) -> tuple[Array, Array]:
    """Return X and U (time, K) as float64; `L96BenchError` for other shapes."""
    states, forcing = (np.asarray(each, dtype=np.float64) for each in (X, U))
    if states.ndim != 2 or states.shape != forcing.shape or len(states) < 2:
        raise L96BenchError(f"expected X and U (time, K) of one shape, got {states.shape} and {forcing.shape}")
    return states, forcing


def past_of(X: Array, model: StateSpaceModel) -> Array:
    """Return M (time, K) along a trajectory X (time, K), 0.05 MTU apart, X being linear in between."""
    share, M = model.rates(MODEL_DT)[2], np.array(X)
    for time in range(1, len(X)):
        now = M[time - 1]
        for step in range(STEPS):
            now = now + share * (X[time - 1] + (X[time] - X[time - 1]) * (step / STEPS) - now)
        M[time] = now
    return M


class RedNoiseStep:
    """The step of a `StateSpaceModel`; its state is M, whether there is a past, and e, which move with the model.

    Without a past, M starts as X.
    """

    dtype = np.float64

    def __init__(self, model: StateSpaceModel, K: int, dt: float) -> None:
        self.model, self.K, self.dt = model, K, dt
        self.rates = model.rates(dt)
        kept = (Block(K + 1, dt),) if model.memory else ()
        self.form = StepForm((*kept, Block(K, dt, "normal")), (Block(K, dt),), past=bool(model.memory))

    @property
    def graph_is_exact(self) -> bool:
        """Whether the step and its graph give the same bits."""
        return self.model.graph_is_exact

    def __call__(self, X: Array, state: Array, noise: Array, uniform: Array) -> tuple[Array, Array, Array]:
        """Return U (n, K), the next state and the mean (n, K); see `l96bench.dynamics.steps.Step`."""
        kept, kick, share = self.rates
        e = state[:, -self.K :]
        following = [kept * e + kick * noise]
        M = X
        if self.model.memory:
            M = np.where(state[:, self.K : self.K + 1] > 0.0, state[:, : self.K], X)
            following = [M + share * (X - M), np.ones((len(X), 1)), *following]
        mean = self.model.mean(X, M)
        return mean + self.model.sigma * e, np.concatenate(following, axis=1), mean

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the step's graph; see `Closure`."""
        f64, model = np.float64, self.model

        def times(values: str, factor: float) -> str:
            return builder.node("Mul", builder.constant(factor, f64), values)

        kept, kick, share = self.rates
        M = x
        if model.memory:
            memory = builder.state(K + 1, f64, interval=self.dt)
            seen = builder.gather(memory, np.array([K]))
            is_seen = builder.node("Greater", seen, builder.constant(0.0, f64))
            M = builder.node("Where", is_seen, builder.gather(memory, np.arange(K)), x)
            moved = builder.node("Add", M, times(builder.node("Sub", x, M), share))
            one = builder.node("Add", times(seen, 0.0), builder.constant(1.0, f64))
            builder.keep(memory, builder.node("Concat", moved, one, axis=1))
        e = builder.state(K, f64, "normal", self.dt, past=bool(model.memory))
        noise = builder.noise(K, f64, self.dt)
        builder.keep(e, builder.node("Add", times(e, kept), times(noise, kick)))
        mean = self.model.mean_graph(builder, x, M, K)
        builder.mean(mean)
        return builder.node("Add", mean, times(e, model.sigma))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, K={self.K}, dt={self.dt})"
