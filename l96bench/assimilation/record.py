"""The result of a cycle: its statistics, and the state from which it can be resumed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.inflation import spread
from l96bench.assimilation.layout import Layout
from l96bench.assimilation.models import ForecastModel
from l96bench.assimilation.observations import Observations, Observed
from l96bench.display import axes_for, brief
from l96bench.errors import L96BenchError, ModelError

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

__all__ = ["CycleState", "Cycled", "Recorder", "joined"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CycleState:
    """Everything that is needed to resume a cycle; it can be pickled.

    `ensembles` and `resting` (experiment, member, n) are the analysis to start from, and the initial ensembles, to
    which diverged ones are reset. `left` (experiment,) is the cycle of divergence, -1 for none; `recent` the mean
    square error of the analysis mean over the latest cycles. `seed` and `streams` are the seed words and random states
    of each experiment, `model` a copy of a stateful model, or the error of copying it.
    """

    cycle: int
    ensembles: Array
    resting: Array
    left: NDArray[np.int64]
    recent: Array
    seed: list[list[int]]
    streams: list[dict[str, Any]]
    model: ForecastModel | ModelError | None

    __repr__ = brief


@dataclass(frozen=True, slots=True, eq=False)
class Cycled:
    """The cycles of a batch of experiments after the spin-up; NaN from the cycle on in which an experiment diverged.

    Parameters
    ----------
    time : (cycle,) array
        MTU since the start, at the end of each window.
    truth : (experiment, cycle, K) array
        The true X.
    background_mean, background_spread, analysis_mean, analysis_spread : (experiment, cycle, K) array
        Ensemble mean and standard deviation (divided by m - 1) of X, after inflation.
    coefficient_mean, coefficient_spread : (experiment, cycle, coefficient) array
        The same of the analysis, for the components of the state that belong to no grid point.
    points : (experiment, cycle, p) array of int
        Observed points.
    innovations, residuals : (experiment, cycle, p) array
        Observations minus the background mean and the analysis mean; NaN where there was none.
    observation_std : (experiment, cycle, p) array
        Standard deviations of the observation errors, as the filter assumes them.
    missing : (experiment,) array of int
        Number of observations that were due and missing.
    ranks : (experiment, cycle, K) array of int
        Number of background members below the truth; -1 after a divergence.
    n_members : int
        Ensemble size.
    diverged : (experiment,) array
        MTU since the start at which an experiment diverged, infinity for none.
    limit : float
        The RMSE that counts as divergence.
    state : CycleState
        For resuming the cycle.
    background_ensembles, analysis_ensembles : (experiment, cycle, member, n) array, optional
        All members, if they were stored.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> truth = l96bench.simulate("wilks-f20", 2.0, spin_up=5.0).X
    >>> run = da.cycle(truth, da.ResolvedModel("wilks-f20"), da.ETKF(), da.Network(8, 0.05, 1.0), inflation=1.5)
    >>> run.background_mean.shape, run.diverged
    ((1, 39, 8), array([inf]))
    """

    time: Array
    truth: Array
    background_mean: Array
    background_spread: Array
    analysis_mean: Array
    analysis_spread: Array
    coefficient_mean: Array
    coefficient_spread: Array
    points: NDArray[np.int64]
    innovations: Array
    residuals: Array
    observation_std: Array
    missing: NDArray[np.int64]
    ranks: NDArray[np.int64]
    n_members: int
    diverged: Array
    limit: float
    state: CycleState
    background_ensembles: Array | None = None
    analysis_ensembles: Array | None = None

    def __repr__(self) -> str:
        experiments, cycles, K = self.truth.shape
        parts = f"{experiments} experiments, {cycles} cycles, K={K}, {self.n_members} members"
        return f"Cycled({parts}, {self.n_diverged} diverged)"

    def to_xarray(self) -> xarray.Dataset:
        """Return all arrays as an xarray dataset with named dimensions, times in MTU; `limit` is an attribute."""
        import xarray

        data = {
            name: (("experiment", "time", *_dimensions(name)), array)
            for name in (*_BY_CYCLE, "background_ensembles", "analysis_ensembles")
            if (array := getattr(self, name)) is not None
        }
        each = {"missing": ("experiment", self.missing), "diverged": ("experiment", self.diverged, {"units": "MTU"})}
        attributes = {"n_members": self.n_members, "limit": self.limit}
        return xarray.Dataset(data | each, coords={"time": ("time", self.time, {"units": "MTU"})}, attrs=attributes)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw RMSE and spread of background and analysis over time, pooled over experiments; return the axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes if not given.
        """
        ax = axes_for(ax)
        for name, color in (("background", "C0"), ("analysis", "C1")):
            spread_of = getattr(self, f"{name}_spread")
            there = np.isfinite(spread_of)
            squares = np.where(there, np.square(spread_of), 0.0).sum(axis=(0, 2))
            error = np.sqrt(np.square(getattr(self, f"{name}_rmse")).mean(axis=0))
            ax.plot(self.time, error, color=color, label=f"{name} RMSE")
            pooled = np.sqrt(squares / np.maximum(1, there.sum(axis=(0, 2))))
            ax.plot(self.time, pooled, color=color, ls="--", label=f"{name} spread")
        ax.set(xlabel="time (MTU)", ylabel="X")
        ax.legend()
        return ax

    @property
    def increments(self) -> Array:
        """Analysis mean minus background mean, (experiment, cycle, K)."""
        return self.analysis_mean - self.background_mean

    @property
    def n_diverged(self) -> int:
        """Number of diverged experiments."""
        return int(np.isfinite(self.diverged).sum())

    @property
    def background_rmse(self) -> Array:
        """RMSE of the background mean over the points, (experiment, cycle); `limit` after a divergence."""
        return self._rmse(self.background_mean)

    @property
    def analysis_rmse(self) -> Array:
        """RMSE of the analysis mean over the points, (experiment, cycle); `limit` after a divergence."""
        return self._rmse(self.analysis_mean)

    def _rmse(self, mean: Array) -> Array:
        rmse = np.sqrt(np.square(mean - self.truth).mean(axis=2))
        return np.where(np.isnan(rmse), self.limit, rmse)

    @property
    def pooled_rmse(self) -> Array:
        """RMSE of the background mean pooled over cycles and points, (experiment,)."""
        return np.asarray(np.sqrt(np.square(self.background_rmse).mean(axis=1)), dtype=np.float64)


_BY_CYCLE = (
    *("truth", "background_mean", "background_spread", "analysis_mean", "analysis_spread", "coefficient_mean"),
    *("coefficient_spread", "points", "innovations", "residuals", "observation_std", "ranks"),
)


def _dimensions(name: str) -> tuple[str, ...]:
    """Return the dimensions of an array of a `Cycled` after experiment and time."""
    if name.endswith("ensembles"):
        return ("member", "component")
    if name.startswith("coefficient"):
        return ("coefficient",)
    return ("observation",) if name in ("points", "innovations", "residuals", "observation_std") else ("k",)


def joined(*runs: Cycled) -> Cycled:
    """Join the results of a cycle that was stopped and resumed, in order; `L96BenchError` if there are none."""
    if not runs:
        raise L96BenchError("expected at least one result to join, got none")
    parts: dict[str, Any] = {name: np.concatenate([getattr(run, name) for run in runs], axis=1) for name in _BY_CYCLE}
    for name in ("background_ensembles", "analysis_ensembles"):
        stored = [getattr(run, name) for run in runs]
        parts[name] = None if any(array is None for array in stored) else np.concatenate(stored, axis=1)
    parts["time"] = np.concatenate([run.time for run in runs])
    parts["missing"] = np.sum([run.missing for run in runs], axis=0)
    return replace(runs[-1], **parts)


class Recorder:
    """The arrays of a `Cycled` while they are filled."""

    def __init__(
        self,
        truth: Array,
        observations: Observations,
        layout: Layout,
        n_members: int,
        first: int,
        n_cycles: int,
        store_ensembles: bool,
    ) -> None:
        E, K, p, C = len(truth), layout.K, observations.values.shape[2], n_cycles
        last = first + n_cycles
        self.first, self.n_members, self.K, self.window = first, n_members, K, observations.window
        self.coefficients = layout.coefficients
        d = self.coefficients.size
        shapes = {"innovations": (E, C, p), "residuals": (E, C, p), "observation_std": (E, C, p)}
        shapes |= {name: (E, C, K) for name in _BY_CYCLE if name.split("_")[0] in ("background", "analysis")}
        shapes |= {"coefficient_mean": (E, C, d), "coefficient_spread": (E, C, d)}
        self.arrays: dict[str, Any] = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
        self.arrays["ranks"] = np.full((E, C, K), -1)
        self.arrays["truth"] = truth[:, first + 1 : last + 1]
        self.arrays["points"] = observations.points[:, first:last]
        self.missing = observations.missing[:, first:last].sum(axis=(1, 2))
        self.stored: tuple[Array, Array] | None = None
        if store_ensembles:
            self.stored = np.full((E, C, n_members, layout.n), np.nan), np.full((E, C, n_members, layout.n), np.nan)

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, cycle: int, background: Array, analysis: Array, observed: Observed | None) -> None:
        """Store one cycle of all experiments."""
        i, K, out = cycle - self.first, self.K, self.arrays
        mean = background[:, :, :K].mean(axis=1)
        out["background_mean"][:, i], out["background_spread"][:, i] = mean, spread(background[:, :, :K])
        out["ranks"][:, i] = (background[:, :, :K] < out["truth"][:, i, None]).sum(axis=1)
        after = analysis[:, :, :K].mean(axis=1)
        out["analysis_mean"][:, i], out["analysis_spread"][:, i] = after, spread(analysis[:, :, :K])
        if self.coefficients.size:
            coefficients = analysis[:, :, self.coefficients]
            out["coefficient_mean"][:, i] = coefficients.mean(axis=1)
            out["coefficient_spread"][:, i] = spread(coefficients)
        if observed is not None:
            out["innovations"][:, i] = observed.values - np.take_along_axis(mean, observed.points, axis=1)
            out["residuals"][:, i] = observed.values - np.take_along_axis(after, observed.points, axis=1)
            out["observation_std"][:, i] = observed.std
        if self.stored is not None:
            self.stored[0][:, i], self.stored[1][:, i] = background, analysis

    def finished(self, left: NDArray[np.int64], limit: float, state: CycleState) -> Cycled:
        """Return the result, without anything after a divergence."""
        n_cycles = len(self.arrays["ranks"][0])
        for e in np.flatnonzero(left >= 0):
            gone = slice(max(left[e] - self.first, 0), None)
            for name, array in self.arrays.items():
                if name not in ("truth", "points", "ranks"):
                    array[e, gone] = np.nan
            self.arrays["ranks"][e, gone] = -1
            for array in self.stored or ():
                array[e, gone] = np.nan
        time = np.asarray((self.first + 1 + np.arange(n_cycles)) * self.window, dtype=np.float64)
        diverged = np.where(left >= 0, (left + 1) * self.window, np.inf)
        before, after = self.stored or (None, None)
        about: dict[str, Any] = {"n_members": self.n_members, "diverged": diverged, "limit": limit, "state": state}
        stored: dict[str, Any] = {"background_ensembles": before, "analysis_ensembles": after}
        return Cycled(time=time, missing=self.missing, **about, **stored, **self.arrays)
