"""The search for the best closure and what limited it, as docs/search.md and docs/search.png. Run by `make figures`.

Every trained closure is kept in the cache folder, so that a run that was stopped carries on where it was; what all of
them reached is docs/measured/search.json.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import matplotlib
import numpy as np
from measured import measured
from numpy.typing import NDArray
from search_trials import BLOCKS, BUDGETS, LAGS, experiments, rows

import l96bench
from l96bench.metrics import bootstrap_indices, interval, resampling_weights

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PAGE = Path(__file__).with_suffix(".md")
PICTURE = Path(__file__).with_suffix(".png")
RESULTS = Path(__file__).parents[1] / "leaderboard" / "results"
REGIMES = ("wilks-f20", "arnold-c4")
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
FIRST = {("radius", "GRU, inferred past"): 2}
"""The column in which a group of trials begins, where it is not the first."""
_NOISE = "noise"
STEPS = (
    ("network: 500 to 2,000 MTU of data", "data", ("network", 2), ("network", 3)),
    ("network: 2 to 3 neighbours", "radius", ("network", 2), ("network", 3)),
    ("network to CNN: 3 to all neighbours", "radius", ("network", 3), ("network", 4)),
    ("network: no memory to 2 lags", "memory", ("network", 0), ("network", 2)),
    ("network: 2 to 10 lags", "memory", ("network", 2), ("network", 4)),
    ("network without memory to GRU", "memory", ("network", 0), ("GRU", 0)),
    ("GRU to GRU, inferred past", "memory", ("GRU", 0), ("GRU, inferred past", 0)),
    ("GRU, inferred past: 2 to 3 neighbours", "radius", ("GRU, inferred past", 0), ("GRU, inferred past", 1)),
    ("GRU, inferred past: 500 to 2,000 MTU of data", "data", ("GRU, inferred past", 2), ("GRU, inferred past", 3)),
    ("network: no noise to white noise", _NOISE, ("network, no noise", 0), ("network + white noise", 0)),
    ("network: white noise to AR(1)", _NOISE, ("network + white noise", 0), ("network + AR(1)", 0)),
    ("... its size by the state", _NOISE, ("network + AR(1)", 0), ("network + AR(1), size by state", 0)),
    ("... or both trained online", _NOISE, ("network + AR(1)", 0), ("network and noise trained online", 0)),
    ("... or the GRU for the network", _NOISE, ("network + AR(1)", 0), ("GRU + AR(1)", 0)),
    ("GRU + AR(1) to probabilistic RNN", _NOISE, ("GRU + AR(1)", 0), ("probabilistic RNN", 0)),
    ("probabilistic RNN: 500 to 2,000 MTU", "data, online", ("probabilistic RNN", 2), ("probabilistic RNN", 3)),
    ("probabilistic RNN: 2 to 3 neighbours", "form", ("radius 2", 0), ("radius 3", 0)),
    ("probabilistic RNN: 16 to 32 units", "form", ("radius 2", 0), ("radius 2, 32 units", 0)),
    ("GRU + AR(1): inferred past", _NOISE, ("GRU + AR(1)", 0), ("GRU, inferred past + AR(1)", 0)),
    ("probabilistic RNN: inferred past", _NOISE, ("probabilistic RNN", 0), ("probabilistic RNN, inferred past", 0)),
)
"""Label, title, and the trials before and after, each by its group and its place there."""


WEIGHTS = resampling_weights(bootstrap_indices(BLOCKS, 1000), BLOCKS)
"""How often each replicate of the bootstrap draws each block of 10 MTU."""


@dataclass(frozen=True)
class Trial:
    """What one trained closure reached on the validation trajectory; sums and CRPS are by block of 10 MTU."""

    sse: NDArray[np.float64]
    sst: NDArray[np.float64]
    seconds: float
    crps: NDArray[np.float64] | None = None
    distance: float = np.nan
    spread: float = np.nan

    @classmethod
    def of(cls, sse: Sequence[float], sst: Sequence[float], seconds: float, *online: Any) -> "Trial":
        """From plain values; a climate that blew up has no distance."""
        if not online:
            return cls(np.array(sse), np.array(sst), seconds)
        blocks, distance, spread = online
        distance = np.inf if distance is None else distance
        return cls(np.array(sse), np.array(sst), seconds, np.array(blocks), distance, spread)

    @property
    def r2(self) -> tuple[float, float, float]:
        """100 R² and the ends of its interval."""
        replicates = 1 - (WEIGHTS @ self.sse) / (WEIGHTS @ self.sst)
        low, high = interval(100 * replicates)
        return 100 * float(1 - self.sse.sum() / self.sst.sum()), low, high

    def gain(self, other: "Trial") -> tuple[float, float, float]:
        """By how much 100 R² exceeds that of another trial, and the ends of the paired interval."""
        low, high = interval(100 * (WEIGHTS @ other.sse - WEIGHTS @ self.sse) / (WEIGHTS @ self.sst))
        return 100 * float((other.sse - self.sse).sum() / self.sst.sum()), low, high

    def saving(self, other: "Trial", perfect: NDArray[np.float64]) -> tuple[float, float, float]:
        """By how many percent of perfect physics' CRPS another trial's is larger, and the paired interval."""
        assert self.crps is not None
        assert other.crps is not None
        less = other.crps - self.crps
        low, high = interval(100 * (WEIGHTS @ less) / (WEIGHTS @ perfect))
        return 100 * float(less.sum() / perfect.sum()), low, high

    def excess(self, perfect: NDArray[np.float64]) -> tuple[float, float, float]:
        """By how many percent the CRPS exceeds that of perfect physics, and the ends of the paired interval."""
        assert self.crps is not None
        low, high = interval(100 * ((WEIGHTS @ self.crps) / (WEIGHTS @ perfect) - 1))
        return 100 * float(self.crps.sum() / perfect.sum() - 1), low, high


def estimate(value: tuple[float, float, float], spec: str = ".1f") -> l96bench.Markdown:
    """An estimate and its interval."""
    return l96bench.Markdown("{} [{}, {}]".format(*(format(each, f"z{spec}") for each in value)))


@dataclass(frozen=True)
class Found:
    """The trials of a regime by title, in the order of `rows`, and perfect physics."""

    regime: str
    trials: dict[str, list[Trial]]
    perfect: NDArray[np.float64]
    floor: float

    @classmethod
    def of(cls, regime: str, values: dict[str, list[tuple[Any, ...]]]) -> "Found":
        """From plain values."""
        perfect, floor = values["ceiling"][0]
        trials = {title: [Trial.of(*each) for each in own] for title, own in values.items() if title != "ceiling"}
        return cls(regime, trials, np.array(perfect), floor)

    def named(self, title: str) -> list[tuple[str, float, Trial]]:
        """Label, budget and trial."""
        labels = [(name, budget) for name, _, budget, _ in rows(self.regime)[title]]
        return [(*label, each) for label, each in zip(labels, self.trials[title], strict=True)]

    def groups(self, title: str) -> dict[str, list[Trial]]:
        """Trials by label, in order."""
        groups: dict[str, list[Trial]] = {}
        for name, _, each in self.named(title):
            groups.setdefault(name, []).append(each)
        return groups

    def offline(self, title: str, columns: Sequence[str]) -> l96bench.Markdown:
        """100 R² of a title's groups, one row each, from the column on where the group begins."""
        header = ("closure", *columns)
        cells = []
        for name, trials in self.groups(title).items():
            before = FIRST.get((title, name), 0)
            after = len(columns) - before - len(trials)
            cells.append((name, *[""] * before, *(estimate(each.r2) for each in trials), *[""] * after))
        return l96bench.markdown_table(header, cells, left=header[:1])

    def steps(self) -> l96bench.Markdown:
        """What each step from one trial to another gives, by the paired bootstrap over blocks of 10 MTU."""
        cells: list[tuple[str, str, str]] = []
        for label, title, before, after in STEPS:
            (name, i), (other, j) = before, after
            one, two = self.groups(title)[name][i], self.groups(title)[other][j]
            if one.crps is None or two.crps is None:
                cells.append((label, estimate(two.gain(one), ".2f"), ""))
            else:
                cells.append((label, "", estimate(two.saving(one, self.perfect), ".1f")))
        header = ("step", "100 R² gained offline", "CRPS gained online, % of perfect physics")
        return l96bench.markdown_table(header, cells, left=header[:1])

    def online(self, title: str) -> l96bench.Markdown:
        """CRPS above perfect physics, climate, spread and R², one row a trial."""
        header = ("closure", "training MTU", "CRPS above perfect physics, %", "climate distance")
        cells = [
            (
                name,
                f"{budget:g}",
                estimate(each.excess(self.perfect)),
                f"{each.distance:.4f}" if np.isfinite(each.distance) else "blew up",
                f"{each.spread:.2f}",
                f"{each.r2[0]:.1f}",
                f"{each.seconds:.0f}",
            )
            for name, budget, each in self.named(title)
        ]
        return l96bench.markdown_table(
            (*header, "spread / error at 1 MTU", "100 R² of U", "training s"), cells, left=header[:1]
        )


def standings(task: str, metrics: Sequence[str], many: int = 5) -> l96bench.Markdown:
    """The best rows of a task that the board trained, and what the best one has over each, by the paired bootstrap."""
    folder = RESULTS / task
    results = (
        [each for each in l96bench.read_results(folder) if each.competes and each.model.seeds]
        if folder.is_dir()
        else []
    )
    if not results:
        return l96bench.Markdown("No result is committed.")
    ranked = sorted(results, key=lambda each: -each.score.value)[:many]
    best = ranked[0].score
    cells = []
    for each in ranked:
        score = each.score
        margin = best.compare(score)
        ends = (margin.difference, margin.low, margin.high)
        values = [each.metrics.get(name) for name in metrics]
        cells.append(
            (
                each.model.name,
                estimate((score.value, score.low, score.high), ".2f"),
                "" if score is best else estimate(ends, ".2f"),
                "" if score is best else "yes" if margin.distinguishable else "no",
                *("" if value is None else f"{value.value:.3f}" for value in values),
            )
        )
    header = ("closure", "score", "behind the best by", "told apart", *metrics)
    return l96bench.markdown_table(header, cells, left=header[:1])


def gap(regime: str, slug: str = "probabilistic-rnn") -> str:
    """What is left of the forecast part between a row and perfect physics on the test data, in a sentence."""
    path = RESULTS / "online-rollout" / f"{regime}-v2" / f"{slug}.json"
    if not path.exists():
        return ""
    result = l96bench.Result.read(path)
    part = result.metrics["forecast_part"]
    assert part.low is not None
    assert part.high is not None
    left = estimate((100 * (1 - part.value), 100 * (1 - part.high), 100 * (1 - part.low)), ".2f")
    zero = "holds 0" if part.low <= 1.0 <= part.high else "does not hold 0"
    return (
        f"On the test data of `{regime}`, the {result.model.name} lacks {left} % of the way from no closure to perfect "
        f"physics, which {zero}."
    )


def gaps() -> str:
    """The gaps of all regimes, as lines of a list item."""
    found = " ".join(filter(None, map(gap, REGIMES)))
    return textwrap.fill(found, 118, initial_indent="  ", subsequent_indent="  ")


def errorbars(axis: Any, x: Sequence[float], values: Sequence[tuple[float, float, float]], **style: Any) -> None:
    """Draw estimates with their intervals against x."""
    value, low, high = np.array(values).T
    axis.errorbar(x, value, yerr=[value - low, high - value], capsize=3, **style)


def picture(found: Sequence[Found]) -> None:
    """Draw what skill depends on: offline data, radius and memory, online the noise."""
    figure, axes = plt.subplots(len(found), 4, figsize=(15, 7.5), squeeze=False, layout="constrained")
    for line, own in zip(axes, found, strict=True):
        for axis, title, xs in zip(line, ("data", "radius"), (BUDGETS, range(5)), strict=False):
            for (name, trials), color, marker in zip(own.groups(title).items(), COLORS, "os^", strict=False):
                first = FIRST.get((title, name), 0)
                x = list(xs)[first : first + len(trials)]
                errorbars(axis, x, [each.r2 for each in trials], color=color, marker=marker, label=name)
        memory = own.groups("memory")
        errorbars(line[2], range(len(LAGS)), [each.r2 for each in memory["network"]], color=COLORS[0], marker="o")
        for name, color, style in zip(("GRU", "GRU, inferred past"), COLORS[1:], ("--", ":"), strict=False):
            line[2].axhline(memory[name][0].r2[0], color=color, linestyle=style)
        line[0].set(xscale="log", xlabel="training data (MTU)", ylabel=f"{own.regime}: 100 R² of U")
        line[1].set(xlabel="neighbours seen on either side", xticks=range(5))
        line[2].set(xlabel="lags of the network (lines: GRU)")
        line[2].set_xticks(range(len(LAGS)), [str(lag) for lag in LAGS])
        names, values = zip(*((name, each.excess(own.perfect)) for name, _, each in own.named("noise")), strict=True)
        value, low, high = np.array(values).T
        y = np.arange(len(names))[::-1]
        line[3].errorbar(value, y, xerr=[value - low, high - value], fmt="o", color=COLORS[3], capsize=3)
        line[3].axvline(0.0, color="0.5", linestyle=":")
        line[3].set(xlabel="CRPS above perfect physics (%)", xlim=(-4, None))
        line[3].set_xscale(
            "function", functions=(lambda x: np.sign(x) * np.sqrt(np.abs(x)), lambda x: np.sign(x) * x**2)
        )
        line[3].set_xticks([0, 2, 10, 25, 50, 100, 150], ["0", "2", "10", "25", "50", "100", "150"])
        line[3].set_yticks(y, names)
    for axis, title in zip(axes[0], ("data", "radius", "memory", "noise (online)"), strict=True):
        axis.set_title(title)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(PICTURE, dpi=100, metadata={"Software": None})
    plt.close(figure)


INTRODUCTION = """# The search for the best closure

Which closure is best, by how much, and what keeps it from being better.

Radius, memory, size and noise were chosen on the validation trajectory of 200 MTU, never on the test data. The *kinds*
of closure to look at were not chosen blindly: test scores of the ordinary baselines were known when the search began.
The experiments train one seed; their intervals are over blocks of 10 MTU of the validation trajectory and say nothing
about seeds. The best rows are those of the ordinary program on the test data, and their intervals hold both.
"""

FINDINGS = """## What limits closures

- **Offline, memory.** What the present X leaves open, the past of X tells in good part. On `wilks-f20` a few lags
  give a network most of it, and more of them make it worse; on `arnold-c4` lags stop short of a GRU. On both, a GRU
  gains again when it is told outright what it would have to make of small differences of large numbers: the U that
  its point had over the last 0.05 MTU, inferred from how X moved and the resolved tendency (Chorin and Lu 2015). More
  units, with a neighbour more, add little on `wilks-f20` and about a point on `arnold-c4`.
- **Offline, data.** With a fixed number of epochs, more data are more steps of the optimizer as well; the curves do
  not separate the two. Networks without memory keep gaining to the end. The GRU has most of its skill after 100 MTU;
  with the inferred past that holds on `wilks-f20` only.
- **Online, noise.** The forecasts of deterministic closures are far from perfect physics whatever their R². Noise of
  the size of the residual takes most of that. Whether it is white or red, or its size depends on the state, is not
  told apart here. Training mean and noise online gains a little, a GRU in place of the network more. With noise as
  an input of the recurrence, the interval of what is left holds 0 in these experiments on both regimes; they are small.
{gaps}
- **Online, memory can hurt.** The input that is best offline makes forecasts worse, with red noise and with noise as
  an input of the recurrence. A likely reason, not tested here: along the truth it tells about the fast variables;
  along a forecast there are none, and the closure is told its own earlier U, errors and noise included. The best
  closure offline is not the best one online, and cannot be picked by R².
- **Options of other baselines.** Sizes, leaves, iterations and horizons, tried below, change the CRPS by less than its
  intervals; the lags and the advection of the memory polynomial, which were chosen by this test, matter. The climate
  distances of single runs on `wilks-f20` differ up to threefold. The other baselines have the options that they had.
- **The ceiling.** Perfect physics does not know the fast variables at the start either. Where the interval of the
  CRPS above it holds 0, and the climate distance is no larger than that of a second sample of the truth, an
  experiment has nothing left to tell closures apart by; the test data, with five times the forecasts, may have. What
  the length of training forecasts does is in [horizons](horizons.md).
"""


def page() -> str:
    """The page as Markdown."""
    found = trials()
    parts = [INTRODUCTION + "\nMade by `make figures` (`docs/search.py`).", "## The best rows, on the test data"]
    offline, online = ("r2_shift",), ("forecast_part", "climate_part", "climate_part_shift")
    for title, task, metrics in (
        ("Offline, from the present X alone", "subgrid-forcing/{}-v1", offline),
        ("Offline, with memory", "subgrid-forcing-memory/{}-v1", offline),
        ("Online", "online-rollout/{}-v2", online),
    ):
        parts += [f"### {title}, {own.regime}\n\n{standings(task.format(own.regime), metrics)}" for own in found]
    parts += [FINDINGS.strip().format(gaps=gaps()), f"![What skill depends on]({PICTURE.name})"]
    for own in found:
        parts.append(f"### Step by step, {own.regime}\n\n{own.steps()}")
    for own in found:
        parts.append(f"## Experiments on {own.regime}\n\n100 R² of U on the validation trajectory, one seed.")
        parts.append("Training data:\n\n" + own.offline("data", [f"{budget:g} MTU" for budget in BUDGETS]))
        parts.append(
            "Radius (4: a convolutional network that sees all eight points):\n\n"
            + own.offline("radius", [str(r) for r in range(5)])
        )
        memory = own.groups("memory")
        lagged = [(f"network, {lag} lags", each) for lag, each in zip(LAGS, memory["network"], strict=True)]
        others = [(name, trials[0]) for name, trials in memory.items() if name != "network"]
        cells = [(name, estimate(each.r2)) for name, each in lagged + others]
        parts.append(
            "Memory (a lag is 0.05 MTU):\n\n" + l96bench.markdown_table(("closure", "100 R²"), cells, left=("closure",))
        )
        parts.append(
            "Online, 95 forecasts and 48 free runs from the validation trajectory. The climate distance of a second "
            f"sample of the truth is {own.floor:.4f}.\n\n{own.online('noise')}"
        )
        parts.append("Training data, online:\n\n" + own.online("data, online"))
        parts.append(
            "Radius and size of the probabilistic RNN (its row above: radius 2, 16 units):\n\n" + own.online("form")
        )
        parts.append("Options of other baselines:\n\n" + own.online("options"))
    return "\n\n".join(parts) + "\n"


@cache
def trials() -> list[Found]:
    """The trials of each regime."""

    def measure() -> dict[str, Any]:
        values = joblib.Parallel(n_jobs=len(REGIMES))(joblib.delayed(experiments)(regime) for regime in REGIMES)
        return dict(zip(REGIMES, values, strict=True))

    return [Found.of(regime, own) for regime, own in measured("search", measure).items()]


def main() -> None:
    """Write docs/search.md and its picture."""
    picture(trials())
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
