"""Show regimes of the ring: which of its two leading waves dominates, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import DIVERGING, SEQUENTIAL, Array, bin_edges, figure
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.metrics.climate import leading_waves, wave_amplitudes
from l96bench.tasks.online_runs import INTERVAL


@dataclass(frozen=True, slots=True)
class Regimes:
    """Wavenumbers of two waves, the share of time in which each dominates, and the mean length of a visit in MTU."""

    waves: tuple[int, int]
    occupation: tuple[float, float]
    persistence: tuple[float, float]


def wave_regimes(amplitudes: Array, waves: tuple[int, int], interval: float) -> Regimes:
    """Return two regimes by which of two waves has the larger amplitude (time, member, wave), `interval` MTU apart.

    References
    ----------
    Lorenz (2006), doi:10.1175/JAS3727.1; Christensen, Moroz and Palmer (2015), doi:10.1007/s00382-014-2239-9.
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
    """Return the densities of pairs (x, y), in bins that the truth sets: between its 0.05 and 99.95 percentiles."""
    edges = [bin_edges(part, (0.05, 99.95), n_bins) for part in truth]
    counts = [np.histogram2d(x.ravel(), y.ravel(), bins=edges)[0] for x, y in (truth, model)]
    cells = [pair[0].size * np.diff(edges[0])[:, None] * np.diff(edges[1]) for pair in (truth, model)]
    return JointDensity(counts[0] / cells[0], counts[1] / cells[1], *edges)


@register_diagnostic("regimes", "Regimes", kind="closure", order=60)
def regimes(subject: ClosureSubject, results: Results) -> Section:
    """Show joint densities of neighbours and of the leading waves."""
    task, mean = subject.online, subject.climatology[0]
    truth, twin = (run.X for run in task.truth_climates[""])
    model = subject.climate.X
    amplitudes = [wave_amplitudes(X, mean) for X in (truth, twin, model)]
    waves = leading_waves(amplitudes[0])
    neighbours = joint_density((truth, np.roll(truth, -1, axis=-1)), (model, np.roll(model, -1, axis=-1)))
    pairs = [(own[..., waves[0] - 1], own[..., waves[1] - 1]) for own in amplitudes]
    joint, floor = (joint_density(pairs[0], pairs[i]) for i in (2, 1))
    table = []
    for name, own, density in zip(("truth", "second sample", "model"), amplitudes, (None, floor, joint), strict=True):
        found = wave_regimes(own, waves, INTERVAL)
        shares = [f"{100 * share:.1f} %" for share in found.occupation]
        lengths = [f"{length:.2f}" for length in found.persistence]
        table.append((name, *shares, *lengths, "1" if density is None else f"{density.overlap:.3f}"))
    first, second = waves
    caption = (
        "Above: joint density of neighbours X_k and X_{k+1}. Below: joint density of the amplitudes of the two "
        f"waves around the ring that carry most variance, wavenumbers {first} and {second}. On a ring whose "
        "points are alike they are the two leading pairs of empirical orthogonal functions, on which "
        "Christensen, Moroz and Palmer (2015) show the regimes of this system. A regime is occupied while its "
        "wave is the larger one; its persistence is the mean length of a visit. Overlap: the probability that "
        "two densities of amplitudes have in common."
    )
    header = (
        *("run", f"wave {first} dominates", f"wave {second} dominates"),
        *(f"persistence {first} (MTU)", f"persistence {second} (MTU)", "overlap with the truth"),
    )
    return Section(caption, header, table, draw(neighbours, joint, waves))


def draw(neighbours: JointDensity, waves: JointDensity, numbers: tuple[int, int]) -> Figure:
    """Draw two rows of truth, model and difference: neighbours X_k and X_{k+1}; amplitudes of the two leading waves."""
    made = figure(11, 7.0)
    rows = (
        (neighbours, "X$_k$", "X$_{k+1}$"),
        (waves, f"amplitude of wave {numbers[0]}", f"amplitude of wave {numbers[1]}"),
    )
    axes, titles = made.subplots(2, 3), ("truth", "model", "model - truth")
    for row, (density, x, y) in zip(axes, rows, strict=True):
        top = float(max(density.truth.max(), density.model.max()))
        change = density.model - density.truth
        # Differences smaller than a quarter of the peak would look alarming on a scale of their own.
        reach = max(float(np.abs(change).max()), 0.25 * top)
        looks = (*2 * ((SEQUENTIAL, 0.0, top, "density"),), (DIVERGING, -reach, reach, "difference"))
        fields = (density.truth, density.model, change)
        for ax, field, title, (cmap, low, high, label) in zip(row, fields, titles, looks, strict=True):
            mesh = ax.pcolormesh(density.x, density.y, field.T, cmap=cmap, vmin=low, vmax=high, rasterized=True)
            ax.set(xlabel=x, ylabel=y, title=title)
            made.colorbar(mesh, ax=ax, pad=0.02, label=label)
    return made
