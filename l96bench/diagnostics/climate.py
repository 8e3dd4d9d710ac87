"""The climate of a long free run beside that of the truth: densities, tails, memory in time, regimes of the ring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.diagnostics.figures import BLACK, BLUE, DIVERGING, GREY, SEQUENTIAL, bin_edges, figure
from l96bench.metrics import climate

__all__ = [
    "ClimateCurves",
    "JointDensity",
    "Regimes",
    "climate_curves",
    "draw_climate",
    "draw_regimes",
    "joint_density",
    "leading_waves",
    "wave_amplitudes",
    "wave_regimes",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClimateCurves:
    """Density, autocorrelation and spectrum of a run.

    Attributes
    ----------
    X, density : (bin,) array
        Centres of the bins, and probability per unit of X.
    lag, autocorrelation : (lag,) array
        Lag in MTU.
    frequency, spectrum : (frequency,) array
        Cycles per MTU, and power in units of X² MTU.
    """

    X: Array
    density: Array
    lag: Array
    autocorrelation: Array
    frequency: Array
    spectrum: Array


def climate_curves(
    X: Array, interval: float, edges: Array, max_lag: float = 5.0, segment: float = 20.0
) -> ClimateCurves:
    """The curves of a run X (time, member, K), sampled every `interval` MTU; bins between `edges`.

    Autocorrelation and spectrum are those of `l96bench.metrics.climate`. Values outside of the edges count in no bin.
    """
    counts, _ = np.histogram(X, edges)
    lag, correlation = climate.autocorrelation(X, interval, max_lag)
    frequency, power = climate.spectrum(X, interval, segment)
    centres = 0.5 * (edges[1:] + edges[:-1])
    return ClimateCurves(centres, counts / (X.size * np.diff(edges)), lag, correlation, frequency, power)


def wave_amplitudes(X: Array, mean: float) -> Array:
    """Amplitudes of the waves around the ring, (time, member, K // 2), wavenumbers 1 .. K // 2, in units of X.

    The amplitude a of a pure wave ``mean + a cos(2 pi m k / K + phase)`` (of the alternating wave m = K / 2, the value
    at its crests). On a ring whose points are all alike the covariance depends on the distance alone, so the empirical
    orthogonal functions are Fourier modes, in pairs of one wavenumber; the amplitude is the length of such a pair.
    """
    K = X.shape[-1]
    waves = np.abs(np.fft.rfft(X - mean, axis=-1))[..., 1:] * (2.0 / K)
    if K % 2 == 0:
        waves[..., -1] *= 0.5
    return np.asarray(waves, dtype=np.float64)


def leading_waves(amplitudes: Array) -> tuple[int, int]:
    """The two wavenumbers that carry most variance, the stronger first, of amplitudes (..., wave)."""
    power = np.square(amplitudes).reshape(-1, amplitudes.shape[-1]).mean(axis=0)
    first, second = np.argsort(-power, kind="stable")[:2] + 1
    return int(first), int(second)


@dataclass(frozen=True, slots=True)
class Regimes:
    """How often each of two waves dominates, and for how long in a row.

    Attributes
    ----------
    waves : (int, int)
        Their wavenumbers.
    occupation : (float, float)
        Shares of the time; they add to 1.
    persistence : (float, float)
        Mean length of a visit in MTU; 0 for one that never dominates.
    """

    waves: tuple[int, int]
    occupation: tuple[float, float]
    persistence: tuple[float, float]


def wave_regimes(amplitudes: Array, waves: tuple[int, int], interval: float) -> Regimes:
    """Two regimes of the ring, according to which of two waves is the larger one.

    The standard regime has two waves around the ring of 8 points, the rarer one has one wave: Lorenz (2006), J. Atmos.
    Sci. 63, 2056, doi:10.1175/JAS3727.1; Christensen, Moroz and Palmer (2015), Clim. Dyn. 44, 2195,
    doi:10.1007/s00382-014-2239-9, who project on the two leading pairs of empirical orthogonal functions.

    Parameters
    ----------
    amplitudes : (time, member, wave) array
        From `wave_amplitudes`.
    waves : (int, int)
        Wavenumbers.
    interval : float
        MTU between samples.
    """
    second = amplitudes[..., waves[1] - 1] > amplitudes[..., waves[0] - 1]
    changes = int((second[1:] != second[:-1]).sum())
    starts = changes + second.shape[1]
    began_second = int((second[1:] & ~second[:-1]).sum() + second[0].sum())
    visits = (starts - began_second, began_second)
    samples = (int((~second).sum()), int(second.sum()))
    share = (samples[0] / second.size, samples[1] / second.size)
    first, other = (n * interval / max(count, 1) for n, count in zip(samples, visits, strict=True))
    return Regimes(waves, share, (first, other))


@dataclass(frozen=True, slots=True)
class JointDensity:
    """Probability densities of a pair of numbers in the truth and in a model, (x bin, y bin), and the bins' edges."""

    truth: Array
    model: Array
    x: Array
    y: Array

    @property
    def overlap(self) -> float:
        """The probability that the two have in common: 1 for equal densities, 0 for densities that never meet."""
        cell = np.diff(self.x)[:, None] * np.diff(self.y)
        return float((np.minimum(self.truth, self.model) * cell).sum())


def joint_density(truth: tuple[Array, Array], model: tuple[Array, Array], n_bins: int = 40) -> JointDensity:
    """Densities of pairs (x, y), in bins that the truth sets: between its 0.05 and 99.95 percentiles."""
    edges = [bin_edges(part, (0.05, 99.95), n_bins) for part in truth]
    densities = []
    for x, y in (truth, model):
        counts, _, _ = np.histogram2d(x.ravel(), y.ravel(), bins=edges)
        densities.append(counts / (x.size * np.diff(edges[0])[:, None] * np.diff(edges[1])))
    return JointDensity(densities[0], densities[1], edges[0], edges[1])


def draw_climate(curves: Mapping[str, ClimateCurves]) -> Figure:
    """Four panels: density, the same on a logarithmic axis for the tails, autocorrelation, spectrum.

    Parameters
    ----------
    curves : mapping of name to ClimateCurves
        The truth, a second sample of the truth, and the model.
    """
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
    handles, labels = density.get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper center", ncols=3)
    return made


def draw_regimes(neighbours: JointDensity, waves: JointDensity, numbers: tuple[int, int]) -> Figure:
    """Two rows of truth, model and difference: neighbours X_k and X_{k+1}; amplitudes of the two leading waves."""
    made = figure(11, 7.0)
    rows = (
        (neighbours, "X$_k$", "X$_{k+1}$"),
        (waves, f"amplitude of wave {numbers[0]}", f"amplitude of wave {numbers[1]}"),
    )
    axes = made.subplots(2, 3)
    for row, (density, x, y) in zip(axes, rows, strict=True):
        top = float(max(density.truth.max(), density.model.max()))
        change = density.model - density.truth
        # Differences smaller than a quarter of the peak would look alarming on a scale of their own.
        reach = max(float(np.abs(change).max()), 0.25 * top)
        for ax, field, title in zip(row, (density.truth, density.model, change), _TITLES, strict=True):
            is_change = title == _TITLES[2]
            mesh = ax.pcolormesh(
                density.x,
                density.y,
                field.T,
                cmap=DIVERGING if is_change else SEQUENTIAL,
                vmin=-reach if is_change else 0.0,
                vmax=reach if is_change else top,
                rasterized=True,
            )
            ax.set(xlabel=x, ylabel=y, title=title)
            made.colorbar(mesh, ax=ax, pad=0.02, label="difference" if is_change else "density")
    return made


_TITLES = ("truth", "model", "model - truth")
