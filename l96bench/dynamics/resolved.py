"""The resolved model: the X equation of a batch of members, under a closure whose U is held through each RK4 step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.checks import whole_multiple
from l96bench.display import brief, draw_hovmoeller
from l96bench.dynamics import resolved_kernels
from l96bench.dynamics.closures import MODEL_DT, Closure, as_closure, checked_start, checked_step
from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import L96BenchError
from l96bench.progress import progress as show_progress
from l96bench.regimes import Regime, get_regime

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

__all__ = ["MODEL_DT", "Rollout", "rollout"]

_REPORT = 1000
"""Steps between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A run of the resolved model.

    Parameters
    ----------
    time, left : (time,) and (member,) arrays
        MTU of the samples since the start, and at which a member left the allowed range (or the finite numbers);
        infinity for those that never did.
    X : (time, member, K) array
        The members; NaN from the sample after a member has left.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> run = l96bench.rollout(l96bench.NoClosure(), np.eye(3, 8), 0.2, regime="wilks-f20", limits=(-1e3, 1e3))
    >>> run.X.shape, run.left
    ((4, 3, 8), array([inf, inf, inf]))
    """

    time: NDArray[np.float64]
    X: NDArray[np.float64]
    left: NDArray[np.float64]

    __repr__ = brief

    def to_xarray(self) -> xarray.Dataset:
        """Return X (time, member, k) and left (member) as an xarray dataset, times in MTU."""
        import xarray

        data = {
            "X": (("time", "member", "k"), self.X, {"units": "1"}),
            "left": ("member", self.left, {"units": "MTU"}),
        }
        return xarray.Dataset(data, coords={"time": ("time", self.time, {"units": "MTU"})})

    def plot(self, ax: Axes | None = None, member: int = 0, **options: Any) -> Axes:
        """Draw X of a member over point and time (a Hovmöller diagram), and return the axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes if not given.
        member : int
            Which one; `L96BenchError` if it is not there.
        **options
            For matplotlib's ``imshow``, such as ``vmin``, ``vmax`` and ``cmap``.
        """
        n = self.X.shape[1]
        if not -n <= member < n:
            raise L96BenchError(f"expected a member of 0 to {n - 1}, got {member}")
        return draw_hovmoeller(ax, self.time, self.X[:, member], "X", **options)

    @property
    def survived(self) -> NDArray[np.bool_]:
        """Which members stayed inside to the end, (member,)."""
        return np.isinf(self.left)


def rollout(
    closure: Any,
    X0: ArrayLike,
    duration: float,
    *,
    regime: str | Regime,
    F: ArrayLike | None = None,
    dt: float = MODEL_DT,
    interval: float = 0.05,
    spin_up: float = 0.0,
    limits: tuple[ArrayLike, ArrayLike] | None = None,
    history: NDArray[np.float64] | None = None,
    rng: np.random.Generator | None = None,
    progress: bool | None = None,
) -> Rollout:
    """Run the resolved model under a closure from a batch of states.

    Parameters
    ----------
    closure : Closure or model
        Anything that `as_closure` takes: a closure, an estimator with ``predict``, a function X -> U, a polynomial.
    X0 : (member, K) or (K,) array
        Initial states.
    duration, spin_up : float
        MTU to sample, ``round(duration / interval)`` samples, the first at the end of the spin-up; and MTU before it.
    regime : str or Regime
        The regime whose forcing is used.
    F : float or (member,) array, optional
        Forcing instead of the regime's.
    dt, interval : float
        Time step, and time between samples, in MTU.
    limits : (low, high), optional
        Numbers or arrays (member,). A member with any X outside has left: it is stopped, and its samples are NaN from
        there on.
    history : (past, member, K) array, optional
        States before X0, 0.05 MTU apart, the newest last, for closures with memory.
    rng : numpy Generator, optional
        For stochastic closures; from seed 0 if not given.
    progress : bool, optional
        Show a progress bar; by default when standard error is a terminal.

    Returns
    -------
    Rollout
        X of all members at all samples, and when a member left the limits.

    Raises
    ------
    ModelError
        If the closure cannot be used, raises, or returns something of the wrong shape or dtype.
    L96BenchError
        For initial states of the wrong shape or counts that are not whole.

    Examples
    --------
    >>> import l96bench
    >>> truth = l96bench.simulate("wilks-f20", 1.0, spin_up=5.0)
    >>> closure = l96bench.PUBLISHED["wilks2005_f20"].polynomial
    >>> run = l96bench.rollout(closure, truth.X[0], 1.0, regime="wilks-f20")
    >>> run
    Rollout(time=(20,), X=(20, 1, 8), left=(1,))
    >>> bare = l96bench.rollout(l96bench.NoClosure(), truth.X[0], 1.0, regime="wilks-f20")
    >>> bool(abs(run.X[:, 0] - truth.X).mean() < abs(bare.X[:, 0] - truth.X).mean())
    True
    """
    regime = get_regime(regime)
    X = np.array(X0, dtype=np.float64, ndmin=2)
    if X.ndim != 2 or X.shape[1] != regime.K:
        raise L96BenchError(f"expected initial states (member, {regime.K}) for {regime.id}, got {np.shape(X0)}")
    n_samples, every = whole_multiple(duration, interval), whole_multiple(interval, dt, "interval", "dt")
    n_spin = whole_multiple(spin_up, dt, "spin_up", "dt") if spin_up else 0
    forcing = _per_member(regime.F if F is None else F, len(X), "F")
    closure = as_closure(closure, dt)
    rng = np.random.default_rng(0) if rng is None else rng
    if not isinstance(rng, np.random.Generator):
        raise L96BenchError(f"expected rng as a numpy Generator, got {rng!r}; try numpy.random.default_rng(0)")
    checked_start(closure, len(X), rng, history)
    run = _Run(closure, X, forcing, dt, limits)
    samples = np.empty((n_samples, *X.shape))
    with show_progress("resolved model", n_spin + n_samples * every, progress) as report:
        for start in range(0, n_spin, _REPORT):
            run.advance(min(_REPORT, n_spin - start))
            report(min(_REPORT, n_spin - start))
        for i in range(n_samples):
            samples[i] = run.X
            samples[i, run.left >= 0] = np.nan
            if i + 1 < n_samples:
                run.advance(every)
            report(every)
    left = np.where(run.left >= 0, (run.left + 1) * dt, np.inf)
    time = np.asarray(spin_up + np.arange(n_samples) * interval, dtype=np.float64)
    return Rollout(time, samples, left)


def _per_member(value: ArrayLike, n_members: int, name: str) -> NDArray[np.float64]:
    """Return a number, or one for each member, as an array (member,)."""
    if np.shape(value) not in ((), (n_members,)):
        raise L96BenchError(
            f"expected {name} as a number or one for each of {n_members} members, got {np.shape(value)}"
        )
    return np.full(n_members, value, dtype=np.float64)


class _Run:
    """The state of a rollout: members, when they left, and how many steps have been made."""

    def __init__(
        self, closure: Closure, X: NDArray, forcing: NDArray, dt: float, limits: tuple[ArrayLike, ArrayLike] | None
    ) -> None:
        self.closure, self.X, self.forcing, self.dt = closure, X, forcing, dt
        largest = np.finfo(np.float64).max
        ends = (-largest, largest) if limits is None else limits
        self.low, self.high = (np.clip(_per_member(end, len(X), "limits"), -largest, largest) for end in ends)
        self.rest = np.clip(0.0, self.low, self.high)
        self.left = np.full(len(X), -1)
        self.steps = 0

    def advance(self, n_steps: int) -> None:
        """Make n_steps steps: inside the kernel for polynomials, one call of the closure a step for all others."""
        bounds = (self.low, self.high, self.rest, self.left)
        if isinstance(self.closure, Polynomial):
            resolved_kernels.advance_polynomial(
                self.X, self.closure.coefficients[None], self.forcing, self.dt, n_steps, *bounds, self.steps
            )
            self.steps += n_steps
            return
        for _ in range(n_steps):
            U = checked_step(self.closure, self.X)
            resolved_kernels.advance_resolved(self.X, U, self.forcing, self.dt, *bounds, self.steps)
            self.steps += 1
