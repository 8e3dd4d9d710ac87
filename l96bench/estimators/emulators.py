"""Emulators, models that replace the resolved equations altogether, and their use as closures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from l96bench.dynamics.closures import Closure, Stateless, as_closure
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.inverse_kernels import solve_forcing
from l96bench.errors import ModelError
from l96bench.estimators.regressors import PolynomialRegressor

__all__ = ["EmulatorClosure", "EmulatorRegressor", "TendencyStep"]

TOLERANCE = 1e-13
"""Largest distance of the resolved model from the emulator's state, in units of X, or of the largest X if over 1."""
_ITERATIONS = 30
_NEWTON = 7
"""Iterations of Newton's method in a graph, for steps of 0.01 MTU on the attractor: to rounding."""


class EmulatorClosure(Stateless):
    """A closure that makes each step of the resolved model end where an emulator says.

    U solves RK4(X; F + U) = map(X), U held through the step of `dt`, so that the run is the emulator's own to rounding.
    If the resolved model runs under another forcing than `F`, the difference acts on top of the emulator's step. U is
    NaN where the map is, or where no U leads there.

    Parameters
    ----------
    step_map : function X (n, K) -> X one step later (n, K)
        The emulator.
    F, dt : float
        Forcing of the map's training data, and its step in MTU, that of the resolved model.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench.estimators import EmulatorClosure
    >>> closure = EmulatorClosure(lambda X: X, F=20.0)  # the emulator says that nothing moves
    >>> closure.predict(np.zeros((1, 4))).round(6) + 0.0
    array([[-20., -20., -20., -20.]])
    """

    def __init__(self, step_map: Callable[[NDArray], ArrayLike], F: float, dt: float = 0.01) -> None:
        if not dt > 0:
            raise ValueError(f"dt is a positive time in MTU; got {dt}.")
        self.step_map, self.F, self.dt = step_map, float(F), float(dt)

    def predict(self, X: NDArray) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        states = np.ascontiguousarray(X, dtype=np.float64)
        target = np.ascontiguousarray(self.step_map(states), dtype=np.float64)
        if target.shape != states.shape:
            raise ModelError(f"the emulator must return states of shape {states.shape}; got shape {target.shape}.")
        forcing = np.empty_like(states)
        # Rounding alone keeps large states further from the target than small ones.
        scale = max(1.0, float(np.abs(states).max(initial=0.0))) if np.isfinite(states).all() else 1.0
        used = solve_forcing(states, target, self.dt, TOLERANCE * scale, _ITERATIONS, forcing)
        forcing[used == _ITERATIONS] = np.nan
        return np.asarray(forcing - self.F)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the graph of the map, if it has one, and Newton's iteration for the forcing; see `Closure`."""
        forcing = _forcing(builder, x, builder.closure(x, self.step_map, K), K, self.dt)
        return builder.node("Sub", forcing, builder.constant(self.F, np.float64))


class TendencyStep:
    """The map X (n, K) -> X + dt g(X) of a deterministic closure that gives the mean tendency g of all terms."""

    def __init__(self, tendency: Closure, dt: float) -> None:
        self.tendency, self.dt = tendency, dt

    def __call__(self, X: NDArray) -> NDArray:
        """Return the states (n, K) one step after the states X (n, K)."""
        return np.asarray(X + self.dt * self.tendency.step(X))

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the tendency's graph, times dt, added to X."""
        change = builder.node("Mul", builder.closure(x, self.tendency, K), builder.constant(self.dt, np.float64))
        return builder.node("Add", x, change)


class EmulatorRegressor(BaseEstimator):
    """A regressor that learns the step of the whole model: X(t + dt) = X(t) + dt g(X(t)), g being what is fitted.

    ``fit`` takes states and the states one step later, not U, while ``predict`` gives U as every model here does. g is
    the mean tendency over the step, resolved and subgrid terms together.

    Parameters
    ----------
    estimator : regressor of X (n, K) -> tendency (n, K), default PolynomialRegressor()
        Such as a `LocalRegressor`, which is local and shared around the ring, or a network of all points.
    F, dt : float
        Forcing of the data, which `EmulatorClosure` takes off again, and MTU between a state and the next.

    Attributes
    ----------
    estimator_ : the fitted clone of `estimator`

    References
    ----------
    Dueben and Bauer (2018), Geosci. Model Dev. 11, 3999-4009, doi:10.5194/gmd-11-3999-2018.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import EmulatorRegressor
    >>> run = l96bench.simulate("wilks-f20", 5.0, interval=0.01, spin_up=5.0)
    >>> emulator = EmulatorRegressor(l96bench.LocalRegressor(), F=20.0).fit(run.X[:-1], run.X[1:])
    >>> emulator.predict(run.X).shape
    (500, 8)
    """

    def __init__(self, estimator: Any = None, F: float = 0.0, dt: float = 0.01) -> None:
        self.estimator, self.F, self.dt = estimator, F, dt

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) and the states y (n, K) that follow them after `dt`."""
        states, after = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        if after.shape != states.shape:
            raise ValueError(f"y must be the states one step later, {states.shape}; got shape {after.shape}.")
        self.estimator_ = clone(PolynomialRegressor() if self.estimator is None else self.estimator)
        self.estimator_.fit(states, (after - states) / self.dt)
        return self

    def fit_trajectory(self, X: ArrayLike, every: int = 5) -> Self:
        """Fit to the steps that begin at each `every`-th state of a trajectory X (time, K), a state every `dt`."""
        trajectory = np.asarray(X, dtype=np.float64)
        return self.fit(trajectory[:-1:every], trajectory[1::every])

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the U (n, K) under which the resolved model makes the emulator's step from the states X (n, K)."""
        check_is_fitted(self)
        states = validate_data(self, X, dtype=np.float64, reset=False)
        return EmulatorClosure(self.advance, self.F, self.dt).predict(states)

    def advance(self, X: ArrayLike) -> NDArray:
        """Return the states (n, K) one step after the states X (n, K)."""
        check_is_fitted(self)
        states = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(states + self.dt * np.asarray(self.estimator_.predict(states)))

    def closure(self, dt: float = 0.01) -> Closure:
        """Return the closure that makes the resolved model's step the emulator's; another `dt` is a ModelError."""
        check_is_fitted(self)
        if abs(dt - self.dt) > 1e-9 * self.dt:
            raise ModelError(f"the emulator goes ahead by {self.dt} MTU; got a model step of {dt}. Fit one for that.")
        tendency = as_closure(self.estimator_, dt)
        if not tendency.deterministic or hasattr(tendency, "remember"):
            raise ModelError(f"an emulator is a function of the present X; {type(self.estimator_).__name__} is not.")
        return EmulatorClosure(TendencyStep(tendency, self.dt), self.F, self.dt)


def _forcing(builder: GraphBuilder, x: str, target: str, K: int, dt: float) -> str:
    """Return F + U (n, K) that take the model from x (n, K) to the target in one RK4 step, by Newton iteration."""
    scalars = {each: builder.constant(each, np.float64) for each in (0.5, 2.0, 0.5 * dt, dt, dt / 6, 1 / dt)}

    def at(x: str, shift: int) -> str:
        return builder.gather(x, (np.arange(K) + shift) % K)

    def times(factor: float, x: str) -> str:
        return builder.node("Mul", x, scalars[factor])

    def advection(v: str, x: str) -> str:
        return builder.node("Mul", at(v, -1), builder.node("Sub", at(x, 1), at(x, -2)))

    def slope(x: str) -> str:
        return builder.node("Add", builder.node("Sub", advection(x, x), x), forcing)

    forcing = builder.polynomial(x, np.zeros(1))
    for _ in range(_NEWTON):
        slopes = [slope(x)]
        for factor in (0.5 * dt, 0.5 * dt, dt):
            slopes.append(slope(builder.node("Add", x, times(factor, slopes[-1]))))
        middle = times(2.0, builder.node("Add", slopes[1], slopes[2]))
        total = builder.node("Add", builder.node("Add", slopes[0], middle), slopes[3])
        missing = builder.node("Sub", target, builder.node("Add", x, times(dt / 6, total)))
        change = builder.node("Add", advection(missing, x), advection(x, missing))
        correction = builder.node("Sub", times(1 / dt, missing), times(0.5, builder.node("Sub", change, missing)))
        forcing = builder.node("Add", forcing, correction)
    return forcing
