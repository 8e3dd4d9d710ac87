"""The picture of the README: a forecast, the closures, and offline against online scores. Run by `make figures`."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import l96bench

ROOT = Path(__file__).resolve().parents[1]
REGIME = "wilks-f20"
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
MARKS = {"constant": "x", "polynomial": "o", "stochastic": "D", "network": "s", "trees": "^"}


def hovmoller(axes: list[plt.Axes], quartic: l96bench.PolynomialRegressor) -> None:
    """Truth and forecast from one test state, side by side."""
    test = l96bench.make_task(f"online-rollout/{REGIME}-v2").test
    start, length = 100, 100
    truth = test.X[0, start : start + length]
    model = l96bench.rollout(quartic, truth[0], length * test.interval, regime=REGIME).X[:, 0]
    for ax, X, title in zip(axes, (truth, model), ("truth", "fitted quartic"), strict=True):
        image = ax.imshow(
            X,
            origin="lower",
            aspect="auto",
            cmap="RdBu_r",
            vmin=-15,
            vmax=15,
            interpolation="nearest",
            extent=(0.5, 8.5, 0, length * test.interval),
        )
        ax.set(title=title, xlabel="k", xticks=(1, 4, 8))
    axes[0].set_ylabel("time (MTU)")
    axes[1].set_yticklabels([])
    axes[1].figure.colorbar(image, ax=axes[1], label="X", pad=0.04)


def closures(ax: plt.Axes, quartic: l96bench.PolynomialRegressor) -> None:
    """The density of (X, U) in the test data, with closures that see X_k alone."""
    task = l96bench.make_task(f"subgrid-forcing/{REGIME}-v1")
    X, U = np.array(task.test.X).ravel(), np.array(task.test.U).ravel()
    ax.hexbin(X, U, gridsize=70, cmap="Greys", bins="log", mincnt=1, linewidths=0)
    x = np.linspace(np.percentile(X, 0.05), np.percentile(X, 99.95), 200)
    ax.plot(x, quartic.closure().predict(x), color=BLUE, lw=2, label="fitted quartic")
    ax.plot(
        x, l96bench.PUBLISHED["wilks2005_f20"].polynomial.predict(x), color=ORANGE, lw=2, ls="--", label="Wilks 2005"
    )
    ax.set(title="subgrid forcing", xlabel="X$_k$", ylabel="U$_k$")
    ax.legend(frameon=False, loc="lower left")


def scores(ax: plt.Axes) -> None:
    """Offline against online score of every row of the board; those that no row beats in both, and the quick, named."""
    results = l96bench.read_results(ROOT / "leaderboard" / "results")
    by_task = {
        task: {r.model.name: r for r in results if r.task == task and r.model.kind != "reference"}
        for task in (f"subgrid-forcing/{REGIME}-v1", f"online-rollout/{REGIME}-v2")
    }
    offline, online = by_task.values()
    shown = [name for name in offline.keys() & online.keys() if offline[name].score.value > 50.0]  # no constants
    shown.sort(key=lambda name: -online[name].score.value)
    entries = [l96bench.find_entry(name)[0] for name in l96bench.baseline_names()]
    quick = {entry.name for entry in entries if entry.quick}
    named, best = [], 0.0
    for name in shown:
        if offline[name].score.value > best or name in quick:
            named.append(name)
        best = max(best, offline[name].score.value)
    for name in shown:
        x, y = offline[name].score, online[name].score
        bars = ([[x.value - x.low], [x.high - x.value]], [[y.value - y.low], [y.high - y.value]])
        mark = MARKS.get(offline[name].model.kind, "v")
        ax.errorbar(x.value, y.value, xerr=bars[0], yerr=bars[1], fmt=mark, color=GREEN, ecolor=GREY, ms=6, lw=1)
        if name in named:
            number = str(named.index(name) + 1)
            ax.annotate(number, (x.value, y.value), xytext=(5, 4), textcoords="offset points", fontsize=8)
    names = "\n".join(f"{number:2d} {name}" for number, name in enumerate(named, 1))
    ax.text(1.03, 1.0, names, transform=ax.transAxes, fontsize=8, va="top", linespacing=1.5)
    ax.margins(x=0.08, y=0.08)
    ax.set(title=f"{REGIME}: offline and online", xlabel="subgrid-forcing score", ylabel="online-rollout score")


def main() -> None:
    """Draw docs/picture.png."""
    task = l96bench.make_task(f"subgrid-forcing/{REGIME}-v1")
    quartic = l96bench.PolynomialRegressor().fit(task.train.X, task.train.U)
    figure = plt.figure(figsize=(13, 4.2), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=(1.0, 0.95, 1.55))
    hovmoller(list(left.subplots(1, 2)), quartic)
    closures(middle.subplots(), quartic)
    scores(right.subplots())
    figure.savefig(ROOT / "docs" / "picture.png", dpi=110)


if __name__ == "__main__":
    main()
