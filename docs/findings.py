"""What the board shows and the literature did not, as docs/findings.md and its pictures. Run by `make figures`."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas

import l96bench
from l96bench.diagnostics import BLACK, BLUE, GREEN, GREY, VERMILION, style
from l96bench.tasks import families

mpl.use("Agg")
from matplotlib import pyplot as plt

HERE = Path(__file__).resolve().parent
PAGE = HERE / "findings.md"
REGIMES = ("wilks-f20", "arnold-c4")

INTRODUCTION = """# Findings

What the board shows today and the literature did not. Every number is read from the committed rows, with its 95 %
interval; differences are paired, over the same test data ([how](definitions.md)). Made by `make figures`
(`docs/findings.py`), which ends with an error when a row no longer shows what is said here.
"""


def require(holds: bool, claim: str) -> None:
    """End the program if the rows do not show what the page says."""
    if not holds:
        raise SystemExit(f"docs/findings.py: the rows no longer show that {claim}; rewrite this finding")


class Rows:
    """The board's rows, by task and slug."""

    def __init__(self) -> None:
        self.frame = l96bench.load_results()

    def task(self, task: str) -> pandas.DataFrame:
        """The rows of a task by slug."""
        return self.frame[self.frame.task == task].set_index("slug")

    def closures(self, task: str) -> pandas.DataFrame:
        """The rows of a task that the board trained itself."""
        rows = self.task(task)
        return rows[rows.origin == "trained here"]

    def best(self, task: str) -> pandas.Series:
        """The row of the highest score that has a rank."""
        rows = self.task(task)
        return rows[rows["rank"].notna()].sort_values("score", ascending=False).iloc[0]


def number(row: pandas.Series, key: str = "score", spec: str = ".1f") -> str:
    """A value of a row with its interval."""
    return f"{row[key]:{spec}} [{row[f'{key}_low']:{spec}}, {row[f'{key}_high']:{spec}}]"


@functools.cache
def results() -> dict[tuple[str, str], l96bench.Result]:
    """The results behind the rows, by task and slug, read once for all differences."""
    return {(each.task, each.slug): each for each in l96bench.read_results(HERE.parent / "leaderboard" / "results")}


def difference(a: str, b: str, task: str) -> tuple[str, float]:
    """The paired difference of two entries' scores, and its lower end."""
    found = l96bench.compare(results()[task, a], results()[task, b])
    return f"{found.difference:+.1f} [{found.low:+.1f}, {found.high:+.1f}]", found.low


def picture(name: str, alt: str, size: tuple[float, float], draw: object) -> str:
    """Draw a picture into docs, and return the Markdown that shows it."""
    if draw is not None and WRITING:
        with style():
            figure, ax = plt.subplots(figsize=size, layout="constrained")
            draw(ax)  # type: ignore[operator]
            figure.savefig(HERE / f"findings-{name}.png", dpi=110, metadata={"Software": None})
            plt.close(figure)
    return f"![{alt}](findings-{name}.png)"


WRITING = False
"""Whether pictures are drawn: a check of the page needs its text alone."""


def drift(rows: Rows) -> str:
    """A closure's own climate comes slowly."""
    text = (HERE / "measurements.md").read_text(encoding="utf-8").split("## Drift to a closure's own climate")[1]
    told = re.findall(r"\|\s*(\d+)-(\d+) \|\s*([\d.]+) \|", text.split("\n## ")[0])
    windows = [(float(a), float(b), float(value)) for a, b, value in told]
    first, last = windows[0], windows[-1]
    late = next(b for a, b, value in windows if value > 0.85 * last[2])
    require(last[2] > 2.0 * first[2] and late >= 80, "a fitted quartic drifts for 80 MTU")
    quartic = rows.task("online-rollout/wilks-f20-v2").loc["fitted-quartic"]

    def draw(ax: plt.Axes) -> None:
        for a, b, value in windows:
            ax.plot([max(a, 2.0), b], [value, value], color=BLUE, lw=3, solid_capstyle="butt")
        ax.set(xscale="log", xlabel="time since the truth (MTU)", ylabel="Wasserstein distance of X", ylim=(0, None))
        ax.axvline(late, color=GREY, ls="--")
        ax.grid(True)

    return "\n\n".join(
        [
            f"## A closure drifts for {late:.0f} MTU before it shows its own climate",
            f"Started on the truth of `wilks-f20`, the model under a fitted quartic is {first[2]:.2f} from it in "
            "X over "
            f"the first {first[1]:.0f} MTU and {last[2]:.2f} over {last[0]:.0f} to {last[1]:.0f} MTU; most of "
            "that comes "
            f"in the first {late:.0f} ([measurements](measurements.md#drift-to-a-closures-own-climate)). A run of "
            "20 MTU cannot "
            "see it. The climate distance of the board is that of long runs: the fitted quartic has "
            f"{number(quartic, 'climate_distance', '.3f')}, and keeps {number(quartic, 'climate_part', '.2f')} of "
            "the climate's "
            "part of the score.",
            picture(
                "drift", "Distance of the model's climate from the truth's, by time since its start", (6.0, 3.2), draw
            ),
        ]
    )


def targets(rows: Rows) -> str:
    """The classic coefficients are fits of another target."""
    names = {"wilks-f20": ("wilks-2005", "arnold-et-al-2013"), "arnold-c4": ("arnold-et-al-2013",)}
    table, bars = [], []
    for regime, published in names.items():
        for slug in published:
            fitted = "fitted-quartic" if slug == "wilks-2005" else "fitted-cubic"
            offline, online = f"subgrid-forcing/{regime}-v1", f"online-rollout/{regime}-v2"
            cells = []
            for task in (offline, online):
                gain, low = difference(fitted, slug, task)
                cells += [number(rows.task(task).loc[slug]), number(rows.task(task).loc[fitted]), gain]
                if task == offline:
                    require(low > 0.0, f"{slug} is below the fit of the exact coupling on {task}")
            table.append((f"{rows.task(offline).loc[slug].entry}, {regime}", *cells))
            bars.append((f"{rows.task(offline).loc[slug].entry}\n{regime}", rows.task(offline).loc[[slug, fitted]]))

    def draw(ax: plt.Axes) -> None:
        for at, (_, pair) in enumerate(bars):
            for shift, (color, mark), (_, row) in zip(
                (-0.1, 0.1), ((VERMILION, "s"), (BLUE, "o")), pair.iterrows(), strict=True
            ):
                error = [[row.score - row.score_low], [row.score_high - row.score]]
                ax.errorbar(at + shift, row.score, yerr=error, fmt=mark, color=color, ms=7)
        ax.set_xticks(range(len(bars)), [name for name, _ in bars])
        ax.plot([], [], "s", color=VERMILION, label="as published")
        ax.plot([], [], "o", color=BLUE, label="fitted to the exact coupling")
        ax.set(ylabel="subgrid-forcing score")
        ax.legend(loc="best")
        ax.grid(True, axis="y")

    header = (
        "closure",
        "offline, as published",
        "offline, fitted",
        "gain",
        "online, as published",
        "online, fitted",
        "gain ",
    )
    return "\n\n".join(
        [
            "## The classic coefficients are fits to a forward difference",
            "The polynomials that Wilks (2005) and Arnold et al. (2013) printed were fitted to the forward "
            "difference of X "
            "over 0.005 MTU; a fit to that target gives their coefficients, and a fit to the coupling itself "
            "gives others "
            "([facts](facts.md#two-targets)). Against the same polynomial fitted to the coupling they lose offline "
            "everywhere; online, the difference may go either way at F = 20, where other errors hide it:",
            l96bench.markdown_table(header, table, left=("closure",)),
            picture("targets", "Offline scores of published and fitted polynomials", (6.0, 3.4), draw),
        ]
    )


def offline_online(rows: Rows) -> str:
    """Offline skill of closures against their online score."""
    parts, points = [], {}
    for regime in REGIMES:
        offline, online = rows.closures(f"subgrid-forcing/{regime}-v1"), rows.closures(f"online-rollout/{regime}-v2")
        shared = [slug for slug in offline.index if slug in online.index and offline.score[slug] > 50.0]
        x, y = offline.score[shared], online.score[shared]
        noisy = (online["spread_1"][shared] > 0.0).to_numpy()
        points[regime] = (offline.loc[shared], online.loc[shared], noisy)
        best = x[~noisy].idxmax()
        rival = y.idxmax()
        gain, low = difference(rival, best, f"online-rollout/{regime}-v2")
        require(rival != best, f"the best closure offline without noise is not the best online on {regime}")
        told = np.corrcoef(x[~noisy], y[~noisy])[0, 1]
        parts.append(
            f"On `{regime}`, of the {len(shared)} closures of the present X that the board trained and that have both "
            f"rows, the best offline without noise, *{offline.entry[best]}* "
            f"({number(offline.loc[best])}), has {number(online.loc[best])} online; *{online.entry[rival]}*, "
            "offline at "
            f"{number(offline.loc[rival])}, has {number(online.loc[rival])} (difference {gain}"
            + (")." if low > 0.0 else ", which may be chance).")
            + f" Among closures without noise the two scores have a correlation of {told:.2f}."
        )

    def draw(ax: plt.Axes) -> None:
        for (regime, (offline, online, noisy)), color in zip(points.items(), (BLUE, VERMILION), strict=True):
            for chosen, mark, name in ((~noisy, "o", "without noise"), (noisy, "D", "with noise")):
                x, y = offline.score[chosen], online.score[chosen]
                ax.errorbar(
                    x,
                    y,
                    yerr=[y - online.score_low[chosen], online.score_high[chosen] - y],
                    fmt=mark,
                    mfc=color if mark == "o" else "none",
                    color=color,
                    label=f"{regime}, {name}",
                )
        ax.set(xlabel="offline: subgrid-forcing score", ylabel="online: online-rollout score")
        ax.legend(fontsize="small")
        ax.grid(True)

    return "\n\n".join(
        [
            "## Offline skill does not name the best closure online",
            " ".join(parts) + " R² rewards the mean of U alone: what a closure does with the rest decides online.",
            picture("offline-online", "Offline against online score, by noise", (6.0, 4.0), draw),
        ]
    )


def ladder(ax: plt.Axes, names: list[str], shown: dict[str, list[tuple[str, pandas.Series]]]) -> None:
    """Draw named rows of each regime, one name above the other, with the intervals of their scores."""
    for (regime, found), color, mark, shift in zip(shown.items(), (BLUE, VERMILION), "os", (-0.1, 0.1), strict=True):
        at = [names.index(name) + shift for name, _ in found]
        score = np.array([row.score for _, row in found])
        error = [score - [row.score_low for _, row in found], [row.score_high for _, row in found] - score]
        ax.errorbar(score, at, xerr=error, fmt=mark, color=color, label=regime)
    ax.set_yticks(range(len(names)), names)
    ax.legend()
    ax.grid(True, axis="x")


def memory_noise(rows: Rows) -> str:
    """What noise and memory buy."""
    steps = (
        ("fitted-quartic", "quartic"),
        ("fitted-quartic-white-noise", "quartic + white noise"),
        ("fitted-quartic-ar-1", "quartic + AR(1)"),
        ("stencil-network", "stencil network"),
        ("stencil-network-ar-1", "stencil network + AR(1)"),
        ("memory-polynomial", "memory polynomial (memory, noise)"),
        ("gru-ar-1", "GRU + AR(1) (memory, noise)"),
        ("probabilistic-rnn", "probabilistic RNN (memory, noise)"),
    )
    table, shown, network = [], {}, "stencil-network"
    for regime in REGIMES:
        task = f"online-rollout/{regime}-v2"
        here = rows.task(task)
        for slug, name in steps:
            if slug not in here.index:
                continue
            yardsticks = ("fitted-quartic", network)
            gains = ["" if slug == own else difference(slug, own, task)[0] for own in yardsticks]
            parts = [number(here.loc[slug], key, ".2f") for key in ("forecast_part", "climate_part")]
            table.append((regime, name, number(here.loc[slug]), *gains, *parts))
            shown.setdefault(regime, []).append((name, here.loc[slug]))
        for slug in ("fitted-quartic-white-noise", "fitted-quartic-ar-1"):
            require(difference(slug, "fitted-quartic", task)[1] > 0.0, f"noise mends the fitted quartic on {task}")
        low = difference("fitted-quartic-white-noise", network, task)[1]
        require(low > 0.0, f"a quartic with white noise is ahead of a network without on {task}")

    def draw(ax: plt.Axes) -> None:
        ladder(ax, [name for _, name in steps], shown)
        ax.invert_yaxis()
        ax.set(xlabel="online-rollout score")

    header = ("regime", "closure", "score", "less the quartic", "less the network", "forecast part", "climate part")
    return "\n\n".join(
        [
            "## Noise buys more than a network, and memory with noise buys nearly all",
            "A quartic with white noise of the size of its own residuals is ahead of a network without noise, in both "
            "regimes and beyond the interval; with AR(1) noise it is ahead or not told apart. Noise mends the network, "
            "too, and closures with both memory and noise come closest to perfect physics.",
            l96bench.markdown_table(header, table, left=header[:2]),
            picture("noise", "Online scores of closures with and without noise and memory", (6.5, 3.6), draw),
        ]
    )


def training(rows: Rows) -> str:
    """What training through the model and reinforcement learning buy, as far as there are rows."""
    slugs = (
        "network-trained-online-0-05-mtu",
        "network-trained-online-0-2-mtu",
        "coupled-online-learning",
        "stochastic-network-trained-online",
        "ppo-tendency-reward",
        "ppo-forecast-reward",
        "ppo-ensemble-reward",
        "td3-tendency-reward",
    )
    table, missing, shown = [], [], {regime: [] for regime in REGIMES}
    for regime in REGIMES:
        offline_task, task = f"subgrid-forcing/{regime}-v1", f"online-rollout/{regime}-v2"
        offline, online = rows.task(offline_task), rows.task(task)
        for slug in slugs:
            if slug not in offline.index:
                continue
            cells = [regime, offline.entry[slug], number(offline.loc[slug])]
            low = difference("stencil-network", slug, offline_task)[1]
            require(low > 0.0, f"{slug} is behind the stencil network on {offline_task}")
            cells.append(difference(slug, "stencil-network", offline_task)[0])
            if slug in online.index:
                cells += [number(online.loc[slug]), difference(slug, "stencil-network", task)[0]]
            else:
                cells += ["–", "–"]
                missing.append(slug)
            shown[regime].append((offline.entry[slug], offline.loc[slug]))
            table.append((*cells, f"{offline.training_seconds[slug]:.0f}"))
        shown[regime].append(("stencil network, fitted to U", offline.loc["stencil-network"]))

    def draw(ax: plt.Axes) -> None:
        ladder(ax, list(dict.fromkeys(name for own in shown.values() for name, _ in own)), shown)
        ax.set(xlabel="subgrid-forcing score")

    header = (
        "regime",
        "closure",
        "offline",
        "less the stencil network",
        "online",
        "less the stencil network ",
        "training s",
    )
    note = f" {len(missing)} online rows of this version are still to come." if missing else ""
    return "\n\n".join(
        [
            "## Training through the model, and reinforcement learning, give up offline skill",
            "The same kind of network, trained through the model or by a reward instead of fitted to U. Offline it is "
            "behind the fitted one; what that buys online is told by the online columns, by "
            "[horizon of training](horizons.md) and by "
            f"[reward](rewards.md).{note}",
            l96bench.markdown_table(header, table, left=header[:2]),
            picture("training", "Offline scores of networks trained online or by reinforcement", (7.0, 3.6), draw),
        ]
    )


def open_questions(rows: Rows) -> str:
    """Where the best entry is farthest from the ceiling."""
    best = {task: rows.best(task) for task in rows.frame.task.unique() if rows.task(task)["rank"].notna().any()}
    left = sorted(best.items(), key=lambda item: item[1].score)[:10]
    table = [(task, row.entry, number(row), f"{100.0 - row.score:.1f}") for task, row in left]

    def draw(ax: plt.Axes) -> None:
        by_family: dict[str, list[pandas.Series]] = {}
        for task, row in best.items():
            by_family.setdefault(task.partition("/")[0], []).append(row)
        names = [name for name in families() if name in by_family]
        for at, name in enumerate(names):
            scores = [row.score for row in by_family[name]]
            ax.plot(scores, [at] * len(scores), "o", color=GREEN, mec=BLACK)
        ax.set_yticks(range(len(names)), names)
        ax.invert_yaxis()
        ax.axvline(100.0, color=GREY, ls="--")
        ax.set(xlabel="score of the best entry of each task (100: the ceiling)")
        ax.grid(True, axis="x")

    header = ("task", "best entry", "score", "left to the ceiling")
    return "\n\n".join(
        [
            "## What no entry can do yet",
            "The tasks whose best ranked entry is farthest from the ceiling. In the offline families the ceiling is U "
            "itself, which no function of X can reach; elsewhere [headroom](headroom.md) and [recovery](recovery.md) "
            "tell what limits them.",
            l96bench.markdown_table(header, table, left=header[:2]),
            picture("open", "Scores of the best entries by family", (6.5, 3.2), draw),
        ]
    )


FINDINGS = (drift, targets, offline_online, memory_noise, training, open_questions)


def page(found: Sequence[object] = FINDINGS) -> str:
    """The text of the page."""
    rows = Rows()
    return "\n\n".join([INTRODUCTION.strip(), *(each(rows) for each in found)]) + "\n"  # type: ignore[operator]


def main() -> None:
    """Write the page and its pictures."""
    global WRITING  # noqa: PLW0603
    WRITING = True
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
