"""scikit-learn estimators that learn a closure: X (n, K) in, the added tendency U (n, K) out.

All share one function among the points of the ring, so each state is K rows of training data. The target y may also be
U of point 0 alone, (n,) or (n, 1), which is then what they predict; ``closure(dt)`` gives U at every point either way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.utils.validation import check_is_fitted

from l96bench.checks import whole_multiple
from l96bench.dynamics.ar1 import AR1Closure, ar1_noise
from l96bench.dynamics.closures import HISTORY_INTERVAL, Closure, Stateless, as_closure, unchecked_sklearn
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.past_states import PastStates
from l96bench.dynamics.polynomial import fitted_coefficients, ten_digits
from l96bench.dynamics.steps import StepForm, SteppedClosure
from l96bench.errors import ModelError
from l96bench.estimators.prediction import fast_predict, is_trees
from l96bench.estimators.ring import (
    PolynomialFit,
    RingRegressor,
    check_whole,
    lag_one_correlation,
    stencil_index,
    stencil_rows,
)


class PolynomialRegressor(PolynomialFit):
    """The polynomial U_k = sum_i c_i X_k^i that fits best in least squares, pooled over all points.

    Parameters
    ----------
    degree : int
        Highest power of X.

    Attributes
    ----------
    coef_ : ndarray of shape (degree + 1,)
        The coefficients c_i, lowest order first, of the added tendency.

    References
    ----------
    Wilks (2005), Q. J. R. Meteorol. Soc. 131, 389-407: degree 4.

    Examples
    --------
    >>> import l96bench
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = l96bench.PolynomialRegressor(degree=1).fit(run.X, run.U)
    >>> model.coef_.shape
    (2,)
    >>> float(model.coef_[1].round(2))  # the fast variables damp X
    -0.8
    """

    def __init__(self, degree: int = 4) -> None:
        self.degree = degree

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) and their added tendencies y, U (n, K) or that of point 0 alone."""
        check_whole("degree", self.degree)
        X, U = self._checked_training(X, y)
        self.coef_ = fitted_coefficients(X[:, self._points()], U, self.degree)
        return self


class LocalRegressor(RingRegressor):
    """One regressor shared around the ring: U_k from the stencil X_{k-r} .. X_{k+r} of each point, now and before.

    Parameters
    ----------
    estimator : regressor of one output, default LinearRegression()
        It is cloned and trained on n K rows, one for each state and point (states first).
    radius : int
        The number r of neighbours on either side; 2 r + 1 <= K.
    lags : sequence of float
        Earlier times in MTU whose stencil is seen as well, each a whole multiple of `interval`. The rows of X are then
        successive states of ONE trajectory: do not shuffle them (`sklearn.model_selection.TimeSeriesSplit` does not).
    interval : float
        Time in MTU between the rows of X; it matters only with lags.

    Attributes
    ----------
    stencil_names_ : list of str
        The columns that `estimator_` sees, in order: offsets -r .. r now, then the same for each lag.

    Examples
    --------
    >>> import l96bench
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = l96bench.LocalRegressor(DecisionTreeRegressor(max_leaf_nodes=50, random_state=0), radius=1)
    >>> model.fit(run.X, run.U).predict(run.X).shape
    (400, 8)
    >>> model.stencil_names_
    ['X[k-1]', 'X[k+0]', 'X[k+1]']
    """

    def __init__(
        self, estimator: Any = None, radius: int = 2, lags: Sequence[float] = (), interval: float = 0.05
    ) -> None:
        self.estimator, self.radius, self.lags, self.interval = estimator, radius, lags, interval

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to states X (n, K) and their added tendencies y, U (n, K) or that of point 0 alone.

        With lags, the first rows, whose past is not in X, are not trained on.
        """
        X, U = self._checked_training(X, y)
        n, K = X.shape
        self._index = stencil_index(K, self.radius)
        steps = self._lag_steps()
        self.stencil_names_ = [
            f"X[k{offset:+d}]" + (f"(t-{lag:g})" if lag else "")
            for lag in (0.0, *self.lags)
            for offset in range(-self.radius, self.radius + 1)
        ]
        first = max(steps)
        if n <= first:
            raise ValueError(f"lags up to {first} rows need more than {first} rows of X; got n_samples={n}.")
        rows = stencil_rows([X[first - step : n - step] for step in steps], self._index[self._points()])
        self.estimator_ = clone(LinearRegression() if self.estimator is None else self.estimator)
        self.estimator_.fit(rows, U[first:].ravel())
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K), or that of point 0 when fitted on it alone.

        With lags, X is a trajectory, and its first rows see the oldest state there is instead of an earlier one.
        """
        X = self._checked_states(X)
        times = np.arange(len(X))
        past = [X[np.maximum(times - step, 0)] for step in self._lag_steps()]
        return self._like_y(self.estimator_.predict(stencil_rows(past, self._index[self._points()])))

    def closure(self, dt: float = 0.01) -> StencilClosure | SteppedClosure:
        """Return the closure for a resolved model that steps by `dt` MTU; dt must divide every lag."""
        check_is_fitted(self)
        if not len(self.lags):
            return StencilClosure(self.estimator_, self._index)
        for lag in self.lags:
            whole_multiple(lag, dt, "lag", "the model step dt")
        return SteppedClosure(LaggedStep(self.estimator_, self._index, self.lags, dt), dt)

    def _lag_steps(self) -> list[int]:
        """Return how many rows before the present each block of columns comes from, the present (0) first."""
        return [0, *(whole_multiple(lag, self.interval, "lag", "interval") for lag in self.lags)]


class StencilClosure(Stateless):
    """A fitted regressor of one output applied to the stencils of all points.

    Parameters
    ----------
    estimator : regressor of one output
        Fitted to the stencils.
    index : (K, width) array of int
        The points in the stencil of each point.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench.estimators import StencilClosure
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> closure = l96bench.LocalRegressor(radius=1).fit(run.X, run.U).closure(0.01)
    >>> isinstance(closure, StencilClosure), closure.index[0]
    (True, array([7, 0, 1]))
    """

    def __init__(self, estimator: Any, index: NDArray) -> None:
        self.estimator, self.index = estimator, index
        self._predict = fast_predict(estimator)

    def predict(self, X: NDArray) -> NDArray:
        """Return the added tendency U (n, K) for the states X (n, K)."""
        return self.outputs([X])

    def outputs(self, states: Sequence[NDArray]) -> NDArray:
        """Return the regressor's outputs (n, K) at the stencils of all points of states that are each (n, K)."""
        shape = states[0].shape
        if shape[1] != len(self.index):
            raise ModelError(f"The closure was fitted on K = {len(self.index)} points; X has shape {shape}.")
        with unchecked_sklearn():
            return np.asarray(self._predict(stencil_rows(states, self.index)), dtype=np.float64).reshape(shape)

    @property
    def graph_is_exact(self) -> bool:  # type: ignore[override]
        """Whether the closure and its graph give the same bits: those of trees do."""
        return is_trees(self.estimator)

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the regressor's graph at the stencils of all points; see `Closure`."""
        width = self.index.shape[1]
        rows = builder.reshape(builder.gather(x, self.index), -1, width)
        return builder.reshape(builder.regressor(rows, self.estimator, width), -1, K)


class StencilRegressor(RingRegressor):
    """The base of estimators that train one network, ``estimator_``, on the stencils of all points."""

    _index: NDArray

    def predict(self, X: ArrayLike) -> NDArray:
        """Return U (n, K), or its mean, for the states X (n, K), or that of point 0 if fitted to it alone."""
        return self._like_y(self._outputs(self._checked_states(X))[:, 0])

    def closure(self, dt: float = 0.01) -> Closure:
        """Return the network as a closure; it does not depend on dt."""
        check_is_fitted(self)
        return StencilClosure(self.estimator_, self._index)

    @property
    def n_parameters(self) -> int:
        """The number of trained weights."""
        check_is_fitted(self)
        return int(self.estimator_.n_parameters)

    def _outputs(self, X: NDArray) -> NDArray:
        """Return the outputs of the network (n points, outputs) for the states X (n, K)."""
        rows = stencil_rows([X], self._index[self._points()])
        return np.asarray(self.estimator_.predict_unchecked(rows)).reshape(len(rows), -1)


class LaggedStep:
    """The step of a `StencilClosure` that sees earlier states as well; its state holds them, newest first.

    After a start without a past, the start state stands in for it. States are kept every 0.05 MTU, or every `dt` where
    a lag is no multiple of 0.05.

    Parameters
    ----------
    estimator : regressor of one output
        Fitted to the stencils, now and at each lag.
    index : (K, width) array of int
        The points in the stencil of each point.
    lags : sequence of float
        In MTU.
    dt : float
        Step in MTU.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from l96bench.estimators import LaggedStep
    >>> rng = np.random.default_rng(0)
    >>> regressor = LinearRegression().fit(rng.standard_normal((50, 6)), rng.standard_normal(50))
    >>> index = (np.arange(8)[:, None] + [-1, 0, 1]) % 8
    >>> LaggedStep(regressor, index, lags=(0.1,), dt=0.01).slots  # in steps of 0.05 MTU
    (2,)
    """

    dtype = np.float64

    def __init__(self, estimator: Any, index: NDArray, lags: Sequence[float], dt: float) -> None:
        self.stencils, self.K = StencilClosure(estimator, index), len(index)
        slow = all(math.isclose(lag / HISTORY_INTERVAL, round(lag / HISTORY_INTERVAL)) for lag in lags)
        interval = HISTORY_INTERVAL if slow else dt
        self.slots = tuple(whole_multiple(lag, interval, "lag", "the model step dt") for lag in lags)
        self.states = PastStates(self.K, max(self.slots), interval)
        self.form = StepForm((self.states.block,))

    def __call__(
        self, X: NDArray, state: NDArray, noise: NDArray, uniform: NDArray
    ) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return U (n, K) and the next state; see `l96bench.dynamics.steps.Step`."""
        states, following = self.states(X, state)
        return self.stencils.outputs([states[:, slot] for slot in (0, *self.slots)]), following, None

    @property
    def graph_is_exact(self) -> bool:
        """Whether the step and its graph give the same bits: those of trees do."""
        return self.stencils.graph_is_exact

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the step's graph; see `Closure`."""
        everything = self.states.graph(builder, x)
        index = [slot * K + self.stencils.index for slot in (0, *self.slots)]
        width = len(index) * self.stencils.index.shape[1]
        rows = builder.reshape(builder.gather(everything, np.concatenate(index, axis=1)), -1, width)
        return builder.reshape(builder.regressor(rows, self.stencils.estimator, width), -1, K)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stencils.estimator!r}, slots={self.slots})"


class AR1Regressor(RingRegressor):
    """A regressor for the mean of U plus a first-order autoregression for what it leaves over.

    Parameters
    ----------
    estimator : regressor of X (n, K) -> U (n, K), default PolynomialRegressor()
        Of the mean of U.
    interval : float
        Time in MTU between the rows of X, which are successive states of a trajectory.

    Attributes
    ----------
    phi_ : float
        Autocorrelation of the residual over `interval`, pooled over points; 0 if it came out negative.
    sigma_ : float
        Standard deviation of the training residual; too small, therefore, for an estimator that overfits.

    References
    ----------
    Wilks (2005), Q. J. R. Meteorol. Soc. 131, 389-407; Arnold, Moroz and Palmer (2013), Phil. Trans. R. Soc. A
    371, 20110479.

    Examples
    --------
    >>> import l96bench
    >>> run = l96bench.simulate("wilks-f20", 20.0, spin_up=5.0)
    >>> model = l96bench.AR1Regressor(l96bench.PolynomialRegressor(degree=1)).fit(run.X, run.U)
    >>> 0.0 < model.phi_ < 1.0, model.sigma_ > 0.0
    (True, True)
    >>> model.closure(0.01).deterministic
    False
    """

    def __init__(self, estimator: Any = None, interval: float = 0.05) -> None:
        self.estimator, self.interval = estimator, interval

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Fit to states X (n, K) in time order and their added tendencies y, U (n, K) or that of point 0 alone.

        Where there are several trajectories, `groups` (n,) says which each row belongs to.
        """
        X, U = self._checked_training(X, y)
        mean = PolynomialRegressor() if self.estimator is None else self.estimator
        self.estimator_, predicted = self._fitted_mean(mean, X, U)
        residual = U - predicted
        residual -= residual.mean()
        labels = np.zeros(len(X)) if groups is None else np.asarray(groups)
        if labels.shape != (len(X),):
            raise ValueError(f"groups must have shape ({len(X)},), a label for each row of X; got {labels.shape}.")
        together = labels[:-1] == labels[1:]
        self.phi_ = lag_one_correlation(residual[:-1][together], residual[1:][together])
        self.sigma_ = ten_digits(float(residual.std()))
        return self

    def sample(self, X: ArrayLike, n_members: int, rng: np.random.Generator) -> NDArray:
        """Draw U (member, n, K), mean plus correlated residuals, along a trajectory X (n, K) in time order."""
        mean = self.predict(X)
        noise = ar1_noise((len(mean), n_members, *mean.shape[1:]), self.phi_, self.sigma_, rng)
        return mean + np.moveaxis(noise, 1, 0)

    def closure(self, dt: float = 0.01) -> AR1Closure:
        """Return the stochastic closure for a resolved model that steps by `dt` MTU."""
        check_is_fitted(self)
        return AR1Closure(as_closure(self.estimator_, dt), self.phi_, self.sigma_, self.interval, dt)
