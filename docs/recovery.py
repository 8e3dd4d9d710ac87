"""How well equations are recovered, as docs/recovery.md and its picture. Run by `make figures`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from measured import measured
from numpy.typing import NDArray

import l96bench

ROOT = Path(__file__).resolve().parents[1]
TRACKS = [f"{base}{suffix}" for base in ("single", "two-scale", "hidden") for suffix in ("", "-coarse")]
STYLES = {
    "multiple shooting": ("#882255", "o-", 2.4),
    "symmetric weak SINDy": ("#009E73", "o-", 2.4),
    "symmetric SINDy": ("#009E73", "s--", 1.8),
    "weak SINDy": ("#0072B2", "o-", 1.2),
    "SINDy (STLSQ)": ("#0072B2", "s--", 1.2),
    "ensemble SINDy": ("#56B4E9", "^-", 1.2),
    "SR3": ("#56B4E9", "v--", 1.2),
    "ARD regression": ("#CC79A7", "D-", 1.2),
    "Lasso": ("#CC79A7", "x--", 1.2),
    "genetic programming (pyoperon)": ("#D55E00", "o-", 1.2),
    "genetic programming (gplearn)": ("#D55E00", "s--", 1.2),
    "least squares": ("#E69F00", "x-", 1.2),
    "textbook equation": ("#666666", "-", 1.2),
    "true equations": ("#000000", ":", 1.2),
}
"""The colour, mark and width of each entry's line; others are thin and black."""
METRICS = {"f1": "F1", "operator_residual": "operator residual"}
FLOOR = 1e-5
"""Residuals below this are drawn here."""


def grid(result: l96bench.Result, metric: str, noises: Iterable[float]) -> NDArray[np.float64]:
    """A metric (noise, budget), the mean over instances."""
    return np.array([result.series[f"{metric}_noise_{round(100 * noise):02d}"] for noise in noises])


def panel(ax: plt.Axes, results: Iterable[l96bench.Result], metric: str, axis: int) -> None:
    """A metric of every entry of a track against the noise (axis 1 averaged) or the budget (axis 0)."""
    track = None
    for result in results:
        track = l96bench.make_task(result.task).track
        values = grid(result, metric, track.noises).mean(axis=axis)
        colour, mark, width = STYLES.get(result.model.name, ("black", "-", 0.8))
        values = np.maximum(values, FLOOR) if metric == "operator_residual" else values
        ax.plot(values, mark, color=colour, lw=width, ms=4, label=result.model.name)
    if track is None:
        ax.axis("off")
        return
    labels = [f"{100 * noise:g}" for noise in track.noises] if axis == 1 else [f"{each:g}" for each in track.budgets]
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlabel("noise (% of std)" if axis == 1 else "budget (MTU)")
    if metric == "f1":
        ax.set_ylim(-0.03, 1.03)
    else:
        ax.set_yscale("log")
        ax.set_ylim(FLOOR * 0.7, 10.0)
    ax.grid(alpha=0.25, lw=0.5)


def figure(results: list[l96bench.Result]) -> plt.Figure:
    """A column for each track; F1 and residual, each against noise and budget."""
    order = list(STYLES)
    results = sorted(results, key=lambda each: order.index(each.model.name) if each.model.name in order else len(order))
    fig, axes = plt.subplots(4, len(TRACKS), figsize=(16, 11.5), sharey="row", layout="constrained")
    for column, track in zip(axes.T, TRACKS, strict=True):
        own = [each for each in results if each.task == f"equation-recovery/{track}-v1"]
        panels = [(metric, axis) for metric in METRICS for axis in (1, 0)]
        for ax, (metric, axis) in zip(column, panels, strict=True):
            panel(ax, own, metric, axis)
        column[0].set_title(track)
    for row, metric in zip(axes, [metric for metric in METRICS for _ in range(2)], strict=True):
        row[0].set_ylabel(METRICS[metric])
    shown = {label: line for ax in axes.flat for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    names = sorted(shown, key=lambda name: order.index(name) if name in order else len(order))
    fig.legend([shown[name] for name in names], names, loc="outside lower center", ncol=5, frameon=False)
    return fig


INTRODUCTION = """# Equation recovery

Made by `make figures` (`docs/recovery.py`) from the committed results. What is scored is in
[definitions.md](definitions.md), and why hidden variables give *effective* equations in
[measurements.md](measurements.md#effective-equations).

![F1 and operator residual of every baseline on every track](recovery.png)

## What the ring's symmetry is worth

The same method, with one equation fitted on all points instead of one for each point: score, and the paired difference
with its interval. Symmetry gives K times the data for a K-th of the coefficients, which counts most where there are few
data. F1 is that of the shortest budget, 5 MTU, averaged over the levels of noise.
"""
RECALL = """## What can be recalled

The textbook's terms with the textbook's coefficients score high, because all terms are right: F1 is half of the score,
and the other half is one minus the operator residual. A method that scores below would do better not to look at the
data. *Known terms, fitted* uses both: the coefficients of the X equation by least squares on its integral over two
samples, those of the Y equation, where Y is seen, from the textbook.
"""
PAIRS = {
    "symmetric SINDy": "SINDy (STLSQ)",
    "symmetric weak SINDy": "weak SINDy",
}
"""Methods with the ring's symmetry, and the same without it."""


def methods(results: list[l96bench.Result], track: str) -> dict[str, l96bench.Result]:
    """The rows of a track by name, without references and attacks."""
    return {each.model.name: each for each in results if each.task == f"equation-recovery/{track}-v1" and each.competes}


def symmetry(results: list[l96bench.Result]) -> str:
    """What each symmetric method scores beside the one without symmetry."""
    rows = []
    for track in TRACKS:
        own = methods(results, track)
        for name, other in PAIRS.items():
            with_symmetry, without = own[name], own[other]
            versus = with_symmetry.score.compare(without.score)
            noises = l96bench.make_task(f"equation-recovery/{track}-v1").track.noises
            short = [grid(each, "f1", noises)[:, 0].mean() for each in (with_symmetry, without)]
            rows.append(
                (
                    *(track, name),
                    *(f"{each.score.value:.1f}" for each in (with_symmetry, without)),
                    f"{with_symmetry.score.value - without.score.value:+.1f} [{versus.low:+.1f}, {versus.high:+.1f}]",
                    *(f"{value:.3f}" for value in short),
                )
            )
    header = ("track", "method", "score", "without symmetry", "difference", "F1 at 5 MTU", "without")
    return l96bench.markdown_table(header, rows, left=header[:2])


def known_terms(problem: Any) -> list[str]:
    """The textbook's equations, with the coefficients of X fitted to the observations by Simpson's rule."""
    states, time = problem.observed()
    X, step = states[:, : problem.K], time[1] - time[0]
    left, right, far = np.roll(X, 1, axis=1), np.roll(X, -1, axis=1), np.roll(X, 2, axis=1)
    terms = {"X[k-1]*X[k+1]": left * right, "X[k-1]*X[k-2]": left * far, "X[k]": X, "1": np.ones_like(X)}
    if problem.J:
        terms["sum(Y[k])"] = states[:, problem.K :].reshape(-1, problem.K, problem.J).sum(axis=2)
    integrals = [(each[:-2] + 4 * each[1:-1] + each[2:]).ravel() * step / 3 for each in terms.values()]
    found = np.linalg.lstsq(np.stack(integrals, axis=1), (X[2:] - X[:-2]).ravel(), rcond=None)[0]
    fitted = "dX[k]/dt = " + " + ".join(f"({value:.6g})*{term}" for term, value in zip(terms, found, strict=True))
    return [fitted, *problem.instance.textbook_texts[1:]]


def known() -> dict[str, float]:
    """The score of `known_terms` on every track."""
    tasks = {track: l96bench.make_task(f"equation-recovery/{track}-v1") for track in TRACKS}
    return {track: task.evaluate_equations(known_terms).score.value for track, task in tasks.items()}


def recall(results: list[l96bench.Result]) -> str:
    """The textbook's score on every track, how many methods are above it beyond doubt, and what knows the terms."""
    rows, behind, ahead = [], [], []
    fitted = measured("recovery", known)
    for track in TRACKS:
        own = methods(results, track)
        textbook = own.pop("textbook equation")
        against = [each.score.compare(textbook.score) for each in own.values()]
        best = max(own.values(), key=lambda each: each.score.value)
        (ahead if any(each.low > 0 for each in against) else behind).append(track)
        rows.append(
            (
                track,
                f"{textbook.score.value:.1f}",
                f"{sum(each.low > 0 for each in against)} of {len(own)}",
                f"{sum(each.high < 0 for each in against)} of {len(own)}",
                f"{best.model.name} ({best.score.value:.1f})",
                f"{fitted[track]:.1f}",
            )
        )
    header = ("track", "textbook equation", "methods above", "methods below", "best", "known terms, fitted")
    table = l96bench.markdown_table(header, rows, left=(header[0], "best"))
    found = [f"The best methods are above the textbook equation on {', '.join(ahead)}."] if ahead else []
    found += [f"None is on {', '.join(behind)}, though the data tell more: see the last column."] if behind else []
    return f"{table}\n\n{' '.join(found)}"


def committed() -> list[l96bench.Result]:
    """The committed rows of the family."""
    rows = l96bench.read_results(ROOT / "leaderboard" / "results")
    return [each for each in rows if each.family == "equation-recovery"]


def page() -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION, symmetry(committed()), RECALL, recall(committed())]
    return "\n\n".join(map(str.strip, parts)) + "\n"


def main() -> None:
    """Write docs/recovery.md and its picture."""
    figure(committed()).savefig(ROOT / "docs" / "recovery.png", dpi=85, metadata={"Software": None})
    (ROOT / "docs" / "recovery.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
