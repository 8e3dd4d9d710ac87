"""Forecast models, which advance an ensemble from one analysis to the next."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.assimilation.layout import Layout
from l96bench.checks import whole_multiple
from l96bench.dynamics import ensembles, kernels, resolved_kernels
from l96bench.dynamics.closures import Closure, as_closure, checked_forcing, checked_start, checked_step
from l96bench.dynamics.draws import draw_normals
from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.dynamics.resolved import MODEL_DT
from l96bench.dynamics.truth import (
    TRUTH_DT,
    advance,
    available_processors,
    fills_lanes,
    in_threads,
    parameters,
    require_reach,
)
from l96bench.errors import L96BenchError, ModelError, user_error
from l96bench.regimes import Regime, get_regime

__all__ = ["AugmentedModel", "ForecastModel", "FunctionModel", "ResolvedModel", "TruthModel", "checked_advance"]

Array = NDArray[np.float64]
Streams = Sequence[np.random.Generator]


@runtime_checkable
class ForecastModel(Protocol):
    """The interface of a forecast model: states are rows (row, n), all members of all experiments together.

    The first K components are X; `layout` says where the others are. A model may also offer ``constrain(ensembles)``,
    which replaces every analysis (experiment, member, n). A `stateful` model remembers something of its rows between
    calls (a closure with memory, a random stream), and the state of a cycle then holds a copy of it.

    Examples
    --------
    >>> from l96bench import assimilation as da
    >>> isinstance(da.ResolvedModel("wilks-f20"), da.ForecastModel)
    True
    """

    layout: Layout
    stateful: bool

    def start(self, n_rows: int, rng: np.random.Generator) -> None:
        """Reset the model for `n_rows` rows, the same ones in every call, with all randomness from `rng`."""

    def embed(self, X: Array, rngs: Streams) -> Array:
        """Return initial states (experiment, member, n) around X (experiment, member, K)."""

    def advance(self, states: Array, duration: float) -> Array:
        """Return the states (row, n) after `duration` MTU; a row that blew up is not finite."""


class _Memoryless:
    """The base of models that remember nothing of their rows."""

    stateful = False

    def start(self, n_rows: int, rng: np.random.Generator) -> None:
        """Do nothing, as there is nothing to reset."""


class ResolvedModel:
    """The resolved model under any closure, and with none the single-scale model.

    The closure is called once at the start of every step with all rows, and its U is held through the step. Rows keep
    their identity: a closure with memory or noise is started once for the whole cycle, and analyses move the states but
    not its memory.

    Parameters
    ----------
    regime : str or Regime
        The system.
    closure : model, optional
        Whatever `as_closure` takes; none (U = 0) by default.
    F : float, optional
        Forcing instead of the regime's.
    dt : float
        Step in MTU.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> model = da.ResolvedModel("wilks-f20", lambda X: -0.5 * X)
    >>> model.start(3, np.random.default_rng(0))
    >>> model.advance(np.ones((3, 8)), 0.05).shape
    (3, 8)
    """

    def __init__(
        self, regime: str | Regime, closure: Any = None, *, F: float | None = None, dt: float = MODEL_DT
    ) -> None:
        self.regime, self.dt = get_regime(regime), float(dt)
        self.F = self.regime.F if F is None else float(F)
        self.closure: Closure = as_closure(NoClosure() if closure is None else closure, self.dt)
        self.layout = Layout.ring(self.regime.K)
        # Equal states give equal U in a deterministic closure, unless it asks to remember other ones.
        self.stateful = not self.closure.deterministic or hasattr(self.closure, "remember")

    def start(self, n_rows: int, rng: np.random.Generator) -> None:
        """Start the closure for that many rows."""
        checked_start(self.closure, n_rows, rng)

    def embed(self, X: Array, rngs: Streams) -> Array:
        """Return X as the states."""
        return X

    def advance(self, states: Array, duration: float) -> Array:
        """Return X (row, K) after `duration` MTU; a row that is not finite is NaN."""
        X, n_steps = np.array(states), whole_multiple(duration, self.dt, of="dt")
        bounds = _Bounds(len(X), self.F)
        if isinstance(self.closure, Polynomial):
            resolved_kernels.advance_polynomial(
                X, self.closure.coefficients[None], bounds.F, self.dt, n_steps, *bounds.limits, bounds.left, 0
            )
            return bounds.marked(X)
        for step in range(n_steps):
            U = checked_step(self.closure, X)
            resolved_kernels.advance_resolved(X, U, bounds.F, self.dt, *bounds.limits, bounds.left, step)
        return bounds.marked(X)

    def __repr__(self) -> str:
        return f"ResolvedModel({self.regime.id!r}, {self.closure!r}, F={self.F}, dt={self.dt})"


class AugmentedModel(_Memoryless):
    """The resolved model whose state is X and the coefficients of a polynomial closure, estimated together.

    Every member has its own coefficients, which are constant in the forecast; the filter moves them by their sample
    covariance with the observed X. They belong to no grid point, and are neither localized nor inflated (an inflated
    quartic diverges on `wilks-f20`). After every analysis their spread is kept above `floor` times that of the prior
    (conditional covariance inflation; Aksoy, Zhang and Nielsen-Gammon 2006, Geophys. Res. Lett. 33, L12801), and the
    members inside the bounds.

    Parameters
    ----------
    regime : str or Regime
        The system.
    mean, std : (degree + 1,) array
        Prior of the coefficients of U = sum_i c_i X^i, lowest first; members start from independent normal draws.
    floor : float
        The smallest spread of a coefficient, as a fraction of `std`; 0 for none.
    bounds : (low, high), optional
        Bounds of every member's coefficients: numbers or arrays (degree + 1,).
    F : float, optional
        Forcing instead of the regime's.
    dt : float
        Step in MTU.

    Raises
    ------
    L96BenchError
        For a prior without spread, a negative floor, or bounds that exclude the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> model = da.AugmentedModel("wilks-f20", mean=[0.0, -0.5], std=[1.0, 0.1])
    >>> model.layout.n, model.advance(np.ones((3, 10)), 0.05).shape
    (10, (3, 10))
    """

    def __init__(
        self,
        regime: str | Regime,
        mean: ArrayLike,
        std: ArrayLike,
        *,
        floor: float = 0.1,
        bounds: tuple[ArrayLike, ArrayLike] | None = None,
        F: float | None = None,
        dt: float = MODEL_DT,
    ) -> None:
        self.regime, self.dt, self.floor = get_regime(regime), float(dt), float(floor)
        self.F = self.regime.F if F is None else float(F)
        self.mean = np.array(mean, dtype=np.float64, ndmin=1)
        self.std = np.broadcast_to(np.asarray(std, dtype=np.float64), self.mean.shape)
        ends = (-np.inf, np.inf) if bounds is None else bounds
        self.low, self.high = (np.broadcast_to(np.asarray(end, dtype=np.float64), self.mean.shape) for end in ends)
        inside = (self.low <= self.mean) & (self.mean <= self.high)
        if self.mean.ndim != 1 or not (inside & (self.std > 0) & (self.std < np.inf)).all() or not self.floor >= 0:
            raise L96BenchError(
                f"expected a mean (degree + 1,) inside its bounds, a positive std and floor >= 0, got mean {mean!r}, "
                f"std {std!r}, bounds {bounds!r} and floor {floor}"
            )
        self.layout = Layout.ring(self.regime.K, self.mean.size)

    def embed(self, X: Array, rngs: Streams) -> Array:
        """Return X and coefficients drawn from the prior."""
        drawn = self.mean + self.std * draw_normals(rngs, (X.shape[1], self.mean.size))
        return np.concatenate([X, np.clip(drawn, self.low, self.high)], axis=2)

    def constrain(self, ensembles: Array) -> Array:
        """Return the analysis with the coefficients' spread raised to its floor, and all of them within bounds."""
        K, m = self.regime.K, ensembles.shape[1]
        coefficients = ensembles[:, :, K:]
        mean = coefficients.mean(axis=1, keepdims=True)
        anomalies = coefficients - mean
        spread = np.sqrt((anomalies * anomalies).sum(axis=1, keepdims=True) / max(m - 1, 1))
        least = self.floor * self.std
        anomalies *= np.divide(least, spread, out=np.ones_like(spread), where=(spread < least) & (spread > 0))
        kept = np.clip(mean + anomalies, self.low, self.high)
        return np.concatenate([ensembles[:, :, :K], kept], axis=2)

    def advance(self, states: Array, duration: float) -> Array:
        """Return (X, coefficients) after `duration` MTU; a row that is not finite is NaN."""
        K, n_steps = self.regime.K, whole_multiple(duration, self.dt, of="dt")
        X, coefficients = np.array(states[:, :K]), np.array(states[:, K:])
        bounds = _Bounds(len(X), self.F)
        resolved_kernels.advance_polynomial(X, coefficients, bounds.F, self.dt, n_steps, *bounds.limits, bounds.left, 0)
        return bounds.marked(np.concatenate([X, coefficients], axis=1))

    def __repr__(self) -> str:
        return f"AugmentedModel({self.regime.id!r}, mean={self.mean.tolist()}, std={self.std.tolist()}, dt={self.dt})"


class TruthModel(_Memoryless):
    """The full equations as forecast model, X observed: the state is (X, Y) or (X, Y, Z), flattened.

    Fast variables are updated by their covariance with the observed X, at the grid point of their sector. They start
    random and are spun up with X held constant.

    Parameters
    ----------
    regime : str or Regime
        The system.
    dt : float
        Step in MTU.
    drive : float
        MTU for which the fast variables are spun up.
    threads : int, optional
        Threads that rows are shared among; all processors if not given. The bits do not depend on it.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> model = da.TruthModel("wilks-f20", drive=0.1)
    >>> states = model.embed(np.ones((1, 2, 8)), [np.random.default_rng(0)])
    >>> states.shape, model.advance(states[0], 0.05).shape
    ((1, 2, 264), (2, 264))
    """

    def __init__(
        self, regime: str | Regime, *, dt: float = TRUTH_DT, drive: float = 1.0, threads: int | None = None
    ) -> None:
        self.regime, self.dt, self.drive, self.threads = get_regime(regime), float(dt), float(drive), threads
        shapes = self.regime.state_shapes
        sectors = [np.indices(shape)[0].ravel() for shape in shapes]
        self.layout = Layout(self.regime.K, tuple(np.concatenate(sectors).tolist()))
        self._ends = np.cumsum([len(sector) for sector in sectors])

    def embed(self, X: Array, rngs: Streams) -> Array:
        """Return X and fast variables in balance with it."""
        n, b, d = self.layout.n, self.regime.b, self.regime.d
        states = np.empty((*X.shape[:2], n))
        for state, rng in zip(states, rngs, strict=True):
            state[:] = rng.random(state.shape) - 0.5
        states[:, :, self.regime.K :] /= b
        if self.regime.scales == 3:
            states[:, :, self._ends[1] :] /= d
        states[:, :, : self.regime.K] = X
        if self.regime.scales > 1:
            self._run(states.reshape(-1, n), whole_multiple(self.drive, self.dt, "drive", "dt"), driven=True)
        return states

    def advance(self, states: Array, duration: float) -> Array:
        """Return the states (row, n) after `duration` MTU."""
        states = np.array(states)
        self._run(states, whole_multiple(duration, self.dt, of="dt"), driven=False)
        return states

    def _run(self, states: Array, n_steps: int, driven: bool) -> None:
        """Advance all rows in place, one block for each thread."""
        require_reach()
        n_blocks = min(len(states), self.threads or available_processors())
        blocks = np.array_split(np.arange(len(states)), n_blocks)

        def work(block: int) -> None:
            if fills_lanes(self.regime) and not driven:
                rows, regime = states[blocks[block][0] : blocks[block][-1] + 1], self.regime
                numbers = (regime.K, regime.J, regime.F, *parameters(regime), regime.coupling == "flux")
                ensembles.advance_two_scale(rows, *numbers, self.dt, n_steps)
                return
            for row in blocks[block]:
                parts = self._parts(states[row])
                if driven:
                    stages = np.empty((n_steps, 4, self.regime.K))
                    stages[:] = parts[0]
                    advance(self.regime, parts, n_steps, self.dt, stages=stages, mode=kernels.DRIVEN)
                else:
                    advance(self.regime, parts, n_steps, self.dt)

        in_threads(work, n_blocks, self.threads)

    def _parts(self, state: Array) -> tuple[Array, ...]:
        """Return views of X, Y and Z in a flat state."""
        pieces = np.split(state, self._ends[:-1])
        return tuple(piece.reshape(shape) for piece, shape in zip(pieces, self.regime.state_shapes, strict=True))

    def __repr__(self) -> str:
        return f"TruthModel({self.regime.id!r}, dt={self.dt})"


class FunctionModel(_Memoryless):
    """A plain function as a forecast model without memory.

    Parameters
    ----------
    function : (states (row, n), duration) -> states (row, n)
        The states after `duration` MTU.
    K : int
        Points of the ring.
    layout : Layout, optional
        Positions of the components, if there are more than X.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import assimilation as da
    >>> model = da.FunctionModel(lambda states, duration: states * np.exp(-duration), K=4)
    >>> model.advance(np.ones((1, 4)), 0.1).round(3)
    array([[0.905, 0.905, 0.905, 0.905]])
    """

    def __init__(self, function: Callable[[Array, float], ArrayLike], K: int, layout: Layout | None = None) -> None:
        self.function = function
        self.layout = Layout.ring(K) if layout is None else layout

    def embed(self, X: Array, rngs: Streams) -> Array:
        """Return X as the states, if there are no other components."""
        if self.layout.n > X.shape[2]:
            raise ModelError(f"expected `initial` for a FunctionModel with {self.layout.n} components, got none")
        return X

    def advance(self, states: Array, duration: float) -> Any:
        """Return whatever the function returns."""
        return self.function(states, duration)


class _Bounds:
    """Arguments of the resolved kernels for each row: forcing, limits (all finite numbers), and whether it blew up."""

    def __init__(self, n_rows: int, F: float) -> None:
        largest = np.finfo(np.float64).max
        self.F = np.full(n_rows, F)
        self.limits = (np.full(n_rows, -largest), np.full(n_rows, largest), np.zeros(n_rows))
        self.left = np.full(n_rows, -1)

    def marked(self, states: Array) -> Array:
        """Return the states with NaN in the rows that blew up."""
        states[self.left >= 0] = np.nan
        return states


def checked_advance(model: ForecastModel, states: Array, duration: float) -> Array:
    """Return the model's states after `duration` as float64 of the same shape, or raise `ModelError`."""
    try:
        moved = model.advance(states, duration)
    except L96BenchError:
        raise
    except Exception as error:
        raise user_error(f"{type(model).__name__}.advance", error) from error
    if type(moved) is np.ndarray and moved.dtype == np.float64 and moved.shape == states.shape:
        return moved
    return checked_forcing(moved, states.shape, type(model).__name__)


def copied(model: ForecastModel) -> ForecastModel | None:
    """Return a copy of a stateful model, None for others; `ModelError` if it cannot be copied."""
    if not model.stateful:
        return None
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise ModelError(
            f"{model!r} remembers something and cannot be copied ({type(error).__name__}: {error}): expected a closure "
            "that copy.deepcopy takes, so that a cycle can be resumed"
        ) from error
