"""The picture of the README: a forecast, the closures, and offline against online scores. Run by `make figures`."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas

import l96bench

ROOT = Path(__file__).resolve().parents[1]
REGIME = "wilks-f20"
BLUE, ORANGE, GREEN, PINK, SKY, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#666666"
MARKS = {
    "polynomial": ("o", BLUE),
    "stochastic": ("D", ORANGE),
    "network": ("s", GREEN),
    "trees": ("^", PINK),
    "other kinds": ("v", SKY),
}
"""The mark and the color of a kind of closure; a reader who sees no colors has the marks."""
MEMORY = f"subgrid-forcing-memory/{REGIME}-v1"
"""Where closures that see the past have their offline score."""


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


def both_scores() -> pandas.DataFrame:
    """Entries with an offline and an online score: those trained here, without constants, the best online first."""
    board = l96bench.load_results()
    rows = board[board.script.notna() & (board.score > 50.0)]
    online = rows[rows.task == f"online-rollout/{REGIME}-v2"].set_index("entry")
    offline = rows[rows.task.isin([f"subgrid-forcing/{REGIME}-v1", MEMORY])].set_index("entry")
    columns = ["score", "score_low", "score_high"]
    coupled = online[[*columns, "rank"]].rename(columns={name: f"{name}_online" for name in columns})
    return offline[[*columns, "kind"]].join(coupled, how="inner").sort_values("score_online", ascending=False)


def named(shown: pandas.DataFrame) -> list[str]:
    """The winners online, the entries that none beats in both scores, and the quick baselines."""
    entries = [l96bench.find_entry(name)[0] for name in l96bench.baseline_names()]
    quick = {entry.name for entry in entries if entry.quick}
    ahead = shown.score > shown.score.cummax().shift(fill_value=0.0)
    return list(shown.index[ahead | (shown["rank"] == 1) | shown.index.isin(quick)])


def scores(ax: plt.Axes) -> None:
    """Offline against online score, by kind of closure."""
    shown = both_scores()
    for _, row in shown.iterrows():
        mark, color = MARKS.get(row.kind, MARKS["other kinds"])
        x, y = row.score, row.score_online
        bars = [[x - row.score_low], [row.score_high - x]], [[y - row.score_low_online], [row.score_high_online - y]]
        ax.errorbar(x, y, xerr=bars[0], yerr=bars[1], fmt=mark, color=color, ecolor=GREY, ms=6, lw=1)
    numbered = list(enumerate(named(shown), 1))
    for number, name in numbered:
        at = (shown.score[name], shown.score_online[name])
        ax.annotate(str(number), at, xytext=(5, 4), textcoords="offset points", fontsize=8)
    names = "\n".join(f"{number:2d} {name}" for number, name in numbered)
    ax.text(1.03, 1.0, names, transform=ax.transAxes, fontsize=8, va="top", linespacing=1.5)
    for kind, (mark, color) in MARKS.items():
        ax.plot([], [], mark, color=color, label=kind)
    ax.legend(loc="lower left", bbox_to_anchor=(1.0, -0.02), frameon=False, fontsize=8, handletextpad=0.2)
    ax.margins(x=0.08, y=0.08)
    ax.set(title=f"{REGIME}: who wins", xlabel="score of U (offline)", ylabel="score of the coupled model (online)")


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
