"""What limits the families with headroom, as docs/headroom.md and docs/headroom.png. Run by `make figures`."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import joblib
import matplotlib.pyplot as plt
import numpy as np
import observed_trials
import pandas
from measured import measured

import l96bench
from l96bench.estimators import ProbabilisticRecurrentRegressor, SimilarityPolynomial
from l96bench.tasks import UnseenPhysics, Work

PAGE = Path(__file__).with_suffix(".md")
PICTURE = Path(__file__).with_suffix(".png")
SYSTEM_TRACKS = UnseenPhysics.regime_ids()
COUNTS = (2, 4, 8, 16)
"""Numbers of training systems."""
COLOURS = {"interpolate": "#0072B2", "extrapolate": "#D55E00"}


def score_on(track: str, index: int, made: Sequence[Any] | None) -> list[float]:
    """The scores on a test system of models that are told its h and c; of its own training, without any."""
    task = l96bench.make_task(f"unseen-physics/{track}-v1")
    test = task.tests[index]
    if made is not None:
        closures = [model.closure(0.01, test.system) for model in made]
    else:
        run = l96bench.simulate(test.system, task.duration, seed=(index,), store_fast=False, progress=False)
        closures = [ProbabilisticRecurrentRegressor(units=16, radius=2, min_steps=3000).fit(run.X, run.U)]
    return [test.assess(test.as_run(closure), Work(progress=False)).score for closure in closures]


def outside(system: l96bench.Regime) -> str:
    """Which parameters lie outside of the training box, and where."""
    found = []
    for name, (low, high) in UnseenPhysics.box.items():
        value = getattr(system, name)
        if not low <= value <= high:
            found.append(f"{name} = {value:g}, box {low:g} to {high:g}")
    return "; ".join(found) or "none"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def competing(frame: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of entries, without references and attacks, the best first."""
    return frame[~frame.origin.isin(["reference", "attack"])].sort_values("score", ascending=False)


def ranked(track: str) -> list[str]:
    """The table of the entries of a track."""
    frame = l96bench.load_results(f"unseen-physics/{track}-v1")
    rows = [
        [
            row.entry,
            "h and c" if row.informed else "its past" if "past" in row.inputs else "nothing",
            f"{row.score:.2f}",
            f"{row.new_systems_score:.2f}",
            f"{row.worst_system:.2f}",
            f"{row.forecast_part:.3f}",
            f"{row.climate_part:.3f}",
        ]
        for row in competing(frame).itertuples()
    ]
    head = ("entry", "knows of the system", "score", "new systems", "worst system", "forecast part", "climate part")
    return table(head, rows)


def observed() -> list[str]:
    """The table of the best entry of each track of `observed-closure`, beside what it reaches when it is given U."""
    frame = l96bench.load_results("observed-closure")
    frame = competing(frame)
    rows = [
        [row.regime, row.entry, f"{row.score:.2f}", f"{row.fresh_score:.2f}", f"{row.share:.3f}"]
        for row in frame.groupby("regime").head(1).sort_values("regime").itertuples()
    ]
    return table(("track", "best entry", "score", "observations anew", "share of given U"), rows)


@cache
def trials() -> dict[str, Any]:
    """The runs of `observed_trials`."""
    return measured("headroom-observed", observed_trials.measure)


def oracles() -> list[str]:
    """The table of what a quartic with red noise reaches with more and more knowledge."""
    frame = l96bench.load_results("observed-closure")
    frame = frame[frame.entry == "expectation-maximization, quartic + AR(1)"].set_index("regime")
    rows = [
        [track, *(f"{value:.2f}" for value in (frame.score[track], each["from it"], each["given U"]))]
        for track, each in trials()["oracles"].items()
    ]
    return table(("track", "from observations", "begun with the closure that is given U", "given U"), rows)


def observing() -> list[str]:
    """The table of the score against how the system is observed."""
    titles = {"std": "error", "window": "window, MTU", "points": "points observed", "duration": "length, MTU"}
    (base,) = (score for name, _, score in trials()["varied"] if name == "base")
    rows = []
    for name, title in titles.items():
        found = {value: score for each, value, score in trials()["varied"] if each == name}
        found[observed_trials.BASE[name]] = base
        ordered = sorted(found.items())
        rows.append([title, ", ".join(f"{value:g}: {score:.1f}" for value, score in ordered)])
    return table(("what is varied", "value: score"), rows)


@cache
def runs() -> dict[str, Any]:
    """The scores on the test systems of a track: of an oracle, and of a closure for each number of training systems."""

    def measure() -> dict[str, Any]:
        task = l96bench.make_task("unseen-physics/interpolate-v1")
        made = [SimilarityPolynomial().fit(task.train[:n]) for n in COUNTS]
        places = [(track, i) for track in SYSTEM_TRACKS for i in range(task.n_test)]
        for track in SYSTEM_TRACKS:
            l96bench.make_task(f"unseen-physics/{track}-v1").prepare()
        jobs = [(*place, models) for models in (made, None) for place in places]
        found = joblib.Parallel(n_jobs=-1)(joblib.delayed(score_on)(*job) for job in jobs)
        by_kind = {"counted": found[: len(places)], "oracle": found[len(places) :]}
        n = task.n_test
        return {
            kind: {track: own[i * n : (i + 1) * n] for i, track in enumerate(SYSTEM_TRACKS)}
            for kind, own in by_kind.items()
        }

    return measured("headroom", measure)


def picture() -> None:
    """Draw the mean score over test systems against the number of training systems."""
    _, ax = plt.subplots(figsize=(5.0, 3.4), layout="constrained")
    for track in SYSTEM_TRACKS:
        ax.plot(COUNTS, np.mean(runs()["counted"][track], axis=0), "o-", color=COLOURS[track], label=track)
    ax.set(xlabel="training systems", ylabel="score", xscale="log", xticks=COUNTS, ylim=(0, 100))
    ax.set_xticks(COUNTS, [str(n) for n in COUNTS])
    ax.minorticks_off()
    ax.legend(title="similarity quartic + AR(1)")
    plt.savefig(PICTURE, dpi=120)


def page() -> str:
    """The page as Markdown."""
    counted, own = runs()["counted"], runs()["oracle"]
    means = {track: np.mean(counted[track], axis=0) for track in SYSTEM_TRACKS}
    best = {track: _scores(f"unseen-physics/{track}-v1", "similarity probabilistic RNN") for track in SYSTEM_TRACKS}
    systems = [
        [
            system.id,
            outside(system),
            *(f"{each:.2f}" for each in (own[track][i][0], best[track][i], counted[track][i][-1])),
        ]
        for track in SYSTEM_TRACKS
        for i, system in enumerate(l96bench.make_task(f"unseen-physics/{track}-v1").systems)
    ]
    counts = [[str(n), *(f"{means[track][i]:.2f}" for track in SYSTEM_TRACKS)] for i, n in enumerate(COUNTS)]
    lines = [
        "# What limits the families with headroom",
        "",
        "Made by `docs/headroom.py` from the committed rows and its own runs.",
        "",
    ]
    for track in SYSTEM_TRACKS:
        lines += [f"## `unseen-physics/{track}`: what an entry knows", "", *ranked(track), ""]
    lines += ["## Each test system, and an oracle", ""]
    lines += ["The oracle is a probabilistic RNN that is trained on as many MTU of the test system itself as each training", "system has. The others have never seen it; they are told its h and c.", ""]  # fmt: skip # noqa: E501
    head = ("system", "outside of the training box", "oracle", "similarity RNN", "similarity quartic + AR(1)")
    lines += [*table(head, systems), "", "## The number of training systems", ""]
    lines += [f"![Score against the number of training systems.]({PICTURE.name})", ""]
    lines += [*table(("training systems", *SYSTEM_TRACKS), counts), "", "## `observed-closure`", "", *observed(), ""]
    lines += ["## What limits expectation-maximization", ""]
    lines += ["A quartic with red noise, from the track's observations; begun with the quartic that is given U; and that", "itself. Where all or half of the points are seen, what is given U is reached or passed, from either start: the quartic", "is the limit, and a network has more. Where two points are seen, the rounds lead away from what they begin with, since", "members say too little: there the start from the climate of the observations is what counts.", ""]  # fmt: skip # noqa: E501
    lines += [*oracles(), ""]
    lines += ["How the system is observed, on `wilks-f20`: all points, every 0.05 MTU, with an error of 1, for 1,000 MTU, but", "for one of these (half the first rounds, one trajectory of its own). Neither the error, nor the share of points, nor", "the length of the observations limits a quartic here; a window of 0.4 MTU begins to.", ""]  # fmt: skip # noqa: E501
    lines += [*observing(), ""]
    return "\n".join(lines)


def _scores(task: str, entry: str) -> Sequence[float]:
    """The score of an entry on each system of a task."""
    (row,) = (
        each
        for each in l96bench.read_results(PAGE.parents[1] / "leaderboard" / "results")
        if (each.task, each.model.name) == (task, entry)
    )
    return row.series["system_score"]


if __name__ == "__main__":
    picture()
    PAGE.write_text(page(), encoding="utf-8")
