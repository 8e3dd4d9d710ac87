"""Show the climate of a long free run: density, tails, memory in time, spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import BLACK, BLUE, GREY, Array, figure, legend_above
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.metrics import climate as metrics
from l96bench.metrics import time_series
from l96bench.tasks.online_runs import INTERVAL


@dataclass(frozen=True, slots=True)
class ClimateCurves:
    """Density (bin,), autocorrelation (lag,) in MTU, and spectrum (frequency,) in X² MTU by cycles per MTU."""

    X: Array
    density: Array
    lag: Array
    autocorrelation: Array
    frequency: Array
    spectrum: Array


def climate_curves(
    X: Array, interval: float, edges: Array, max_lag: float = 5.0, segment: float = 20.0
) -> ClimateCurves:
    """Return density, autocorrelation and spectrum of a run X (time, member, K), sampled every `interval` MTU."""
    counts, _ = np.histogram(X, edges)
    lag, correlation = time_series.autocorrelation(X, interval, max_lag)
    frequency, power = time_series.spectrum(X, interval, segment)
    centres = 0.5 * (edges[1:] + edges[:-1])
    return ClimateCurves(centres, counts / (X.size * np.diff(edges)), lag, correlation, frequency, power)


@register_diagnostic("climate", "Climate", kind="closure", order=50)
def climate(subject: ClosureSubject, results: Results) -> Section:
    """Show density, tails, autocorrelation and spectrum of the free run."""
    task = subject.online
    truth, twin = task.truth_climates[""]
    runs = {"truth": truth, "second sample of the truth": twin, "model": subject.climate}
    mean, std = subject.climatology
    edges = np.linspace(mean - 4.5 * std, mean + 5.5 * std, 101)
    curves = {name: climate_curves(run.X, INTERVAL, edges) for name, run in runs.items()}
    table = []
    for name, run in runs.items():
        own = time_series.moments(run.X)
        pooled = (run.cdfs.mean(axis=0), truth.cdfs.mean(axis=0))
        distances = metrics.wasserstein(*pooled, task.grids[""])
        cells = [f"{value:.2f}" for value in (own.mean, own.std, own.percentile_0_1, own.percentile_99_9)]
        table.append((name, *cells, *(f"{distance:.3f}" for distance in distances)))
    caption = (
        f"A free run of {task.n_members} members, {task.spin_up:g} MTU of spin-up and {task.duration:g} MTU each, "
        f"of which {int(subject.climate.survived.sum())} stayed on the attractor, beside two independent samples of "
        "the truth of the same size; where the samples differ, nothing can be said. Distances are 1-Wasserstein over "
        "the standard deviation, of X_k, of its change over 0.2 MTU, and of X_{k+1} - X_k. Spectrum: Welch, "
        "segments of 20 MTU."
    )
    header = ("run", "mean", "std", "0.1 %", "99.9 %", "distance: value", "change", "difference")
    return Section(caption, header, table, draw(curves))


def draw(curves: Mapping[str, ClimateCurves]) -> Figure:
    """Draw density, tails, autocorrelation and spectrum of the truth, a second sample of it, and the model."""
    made = figure(11, 6.4)
    (density, tails), (memory, spectrum) = made.subplots(2, 2)
    looks = ((BLACK, "-", 2.4), (GREY, ":", 1.8), (BLUE, "-", 1.6))
    for (name, own), (color, dashes, width) in zip(curves.items(), looks, strict=True):
        line = {"color": color, "ls": dashes, "lw": width, "label": name}
        density.plot(own.X, own.density, **line)
        tails.plot(own.X, np.where(own.density > 0, own.density, np.nan), **line)
        memory.plot(own.lag, own.autocorrelation, **line)
        kept = own.frequency > 0
        spectrum.plot(own.frequency[kept], own.spectrum[kept], **line)
    seen = np.any([each.density > 0 for each in curves.values()], axis=0)
    density.set(xlabel="X$_k$", ylabel="probability density", title="density", ylim=(0, None))
    density.set_xlim(own.X[seen][[0, -1]])
    tails.set(xlabel="X$_k$", ylabel="probability density", title="tails", yscale="log")
    memory.axhline(0.0, color=BLACK, lw=0.8)
    memory.set(xlabel="lag (MTU)", ylabel="autocorrelation", title="memory", xlim=(0, own.lag[-1]))
    spectrum.set(xlabel="frequency (cycles per MTU)", ylabel="power (X$^2$ MTU)", title="spectrum")
    spectrum.set(xscale="log", yscale="log")
    for ax in (density, tails, memory, spectrum):
        ax.grid(True)
    legend_above(made, density, 3)
    return made
