"""Pictures of the fields themselves: a forecast beside the truth, and U against X with the closure over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.diagnostics.figures import BLACK, BLUE, DIVERGING, GREEN, VERMILION, bin_edges, figure, plain
from l96bench.dynamics.resolved import rollout
from l96bench.regimes import Regime

__all__ = ["Conditional", "Hovmoeller", "conditional", "draw_density", "draw_hovmoeller", "hovmoeller"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hovmoeller:
    """A true trajectory and one free run of the model from its first state, each (time, K); time in MTU."""

    time: Array
    truth: Array
    model: Array

    @property
    def rms(self) -> Array:
        """Root-mean-square difference over the ring, (time,); NaN once the model has left."""
        return np.asarray(np.sqrt(np.square(self.model - self.truth).mean(axis=1)), dtype=np.float64)


def hovmoeller(
    model: Any,
    truth: Array,
    *,
    regime: str | Regime,
    interval: float,
    history: Array | None = None,
    limits: tuple[float, float] | None = None,
    rng: np.random.Generator | None = None,
) -> Hovmoeller:
    """One member of the model, run from the first state of a true trajectory for as long as that is.

    Parameters
    ----------
    model : object
        Anything that `as_closure` takes.
    truth : (time, K) array
        Samples `interval` MTU apart.
    regime : str or Regime
    interval : float
    history : (past, K) array, optional
        True states before, 0.05 MTU apart, for closures with memory.
    limits : (low, high), optional
        Where a run counts as having left.
    rng : numpy Generator, optional
        For stochastic closures.
    """
    run = rollout(
        model,
        truth[0],
        len(truth) * interval,
        regime=regime,
        interval=interval,
        limits=limits,
        history=None if history is None else history[:, None],
        rng=rng,
        progress=False,
    )
    return Hovmoeller(run.time, np.array(truth), run.X[:, 0])


def draw_hovmoeller(fields: Hovmoeller, name: str) -> Figure:
    """Truth, model and their difference: point along the ring against time, one colour scale for all."""
    made = figure(10, 4.6)
    K = fields.truth.shape[1]
    reach = float(np.ceil(np.percentile(np.abs(fields.truth), 99.5)))
    extent = (0.5, K + 0.5, 0.0, float(fields.time[-1] + fields.time[1] - fields.time[0]))
    axes = made.subplots(1, 4, width_ratios=(1, 1, 1, 0.8), sharey=True)
    panels = ((fields.truth, "truth"), (fields.model, name), (fields.model - fields.truth, "model - truth"))
    for ax, (field, title) in zip(axes, panels, strict=False):
        ax.set_facecolor("0.75")
        image = ax.imshow(
            field,
            origin="lower",
            aspect="auto",
            cmap=DIVERGING,
            vmin=-reach,
            vmax=reach,
            interpolation="nearest",
            extent=extent,
        )
        ax.set(title=plain(title, 26), xlabel="point k")
        ax.set_xticks([int(k) for k in np.unique(np.linspace(1, K, 4).astype(int))])
    axes[0].set_ylabel("time (MTU)")
    axes[3].plot(fields.rms, fields.time, color=BLUE)
    axes[3].set(title="difference over k", xlabel="RMS (units of X)", xlim=(0, None))
    axes[3].grid(True)
    made.colorbar(image, ax=list(axes[:3]), label="X, and difference of X", pad=0.01, extend="both")
    return made


@dataclass(frozen=True, slots=True)
class Conditional:
    """What is known of U given X_k, in bins of X_k.

    Attributes
    ----------
    X : (bin,) array
        Mean X_k of each bin.
    mean, low, high : (bin,) array
        Mean, and 10th and 90th percentile, of U.
    """

    X: Array
    mean: Array
    low: Array
    high: Array


def conditional(X: Array, U: Array, n_bins: int = 40) -> Conditional:
    """Mean and 80 % range of U in bins of X_k between its 0.1 and 99.9 percentiles; X and U of one shape."""
    x, u = X.ravel(), U.ravel()
    edges = bin_edges(x, (0.1, 99.9), n_bins)
    places = np.digitize(x, edges) - 1
    rows = []
    for i in range(n_bins):
        inside = places == i
        if inside.sum() >= 5:
            rows.append((x[inside].mean(), u[inside].mean(), *np.percentile(u[inside], (10, 90))))
    columns = np.array(rows).reshape(-1, 4).T
    return Conditional(*columns)


def draw_density(X: Array, U: Array, predicted: Array, name: str, others: Mapping[str, tuple[Array, Array]]) -> Figure:
    """The density of the truth in the plane of X_k and U_k with the closure over it, and the errors that are left.

    Parameters
    ----------
    X, U, predicted : arrays of one shape
        States, true tendency, and the model's mean of it.
    name : str
        Of the model.
    others : mapping of name to (x, u)
        Curves of closures that see X_k alone.
    """
    made = figure(11, 4.2)
    left, middle, right = made.subplots(1, 3)
    own, true = conditional(X, predicted), conditional(X, U)
    left.hexbin(X.ravel(), U.ravel(), gridsize=60, cmap="Greys", bins="log", mincnt=1, linewidths=0, alpha=0.7)
    left.plot(true.X, true.mean, color=BLACK, lw=1.6, ls=":", label="mean of the truth")
    left.fill_between(own.X, own.low, own.high, color=BLUE, alpha=0.35, lw=0)
    left.plot(own.X, own.mean, color=BLUE, label=f"{plain(name, 26)} (80 %)")
    for (label, (x, u)), color in zip(others.items(), (VERMILION, GREEN), strict=False):
        left.plot(x, u, color=color, ls="--", lw=1.5, label=label)
    left.set(xlabel="X$_k$", ylabel="U$_k$", title="U given X$_k$", ylim=tuple(np.percentile(U, (0.01, 99.99))))
    left.legend(loc="lower left", fontsize=8)
    ends = tuple(np.percentile(U, (0.02, 99.98)))
    middle.hexbin(
        U.ravel(),
        predicted.ravel(),
        gridsize=60,
        cmap="Greys",
        bins="log",
        mincnt=1,
        linewidths=0,
        alpha=0.7,
        extent=(*ends, *ends),
    )
    middle.plot(ends, ends, color=VERMILION, lw=1.2)
    middle.set(xlabel="true U$_k$", ylabel="predicted U$_k$", title="predicted and true", xlim=ends, ylim=ends)
    left_over = conditional(X, predicted - U)
    right.axhline(0.0, color=BLACK, lw=1.0)
    right.fill_between(left_over.X, left_over.low, left_over.high, color=BLUE, alpha=0.3, lw=0, label="80 % range")
    right.plot(left_over.X, left_over.mean, color=BLUE, label="mean")
    right.set(xlabel="X$_k$", ylabel="predicted - true U$_k$", title="error given X$_k$")
    right.legend(loc="upper left")
    right.grid(True)
    return made
