"""Skill against the horizon of online training, as docs/horizons.md and docs/horizons.png. Run by `make figures`."""

import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import matplotlib
import numpy as np
from measured import measured

import l96bench
from l96bench.estimators import OnlineNetworkRegressor, OnlineStochasticRegressor

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PAGE = Path(__file__).with_suffix(".md")
PICTURE = Path(__file__).with_suffix(".png")
REGIMES = ("wilks-f20", "arnold-c4")
HORIZONS = (0.05, 0.1, 0.2, 0.5, 1.0)
KINDS = {
    "one forecast, squared error": (OnlineNetworkRegressor, {"batch_size": 128}),
    "two members, CRPS": (OnlineStochasticRegressor, {"batch_size": 64}),
}
STEPS = 500
"""Steps of the optimizer, whatever the horizon: longer ones cost more."""


@dataclass(frozen=True)
class Point:
    """One trained closure and its scores."""

    regime: str
    kind: str
    horizon: float
    seconds: float
    r2: float
    score: float
    low: float
    high: float
    forecast: float
    climate: float
    spread: float


def point(regime: str, kind: str, horizon: float, start: Any) -> Point:
    """Train one closure from the network `start`, and score it; horizon 0 is the network as it is."""
    task = l96bench.make_task(f"online-rollout/{regime}-v2")
    offline = l96bench.make_task(f"subgrid-forcing/{regime}-v1")
    X, U = np.array(task.train.X), np.array(task.train.U)
    make, options = KINDS[kind]
    began = time.process_time()
    model = make(task.regime.F, start=start, horizon=horizon or 0.05, steps=STEPS * (horizon > 0), **options).fit(X, U)  # type: ignore[arg-type]
    seconds = time.process_time() - began
    result = task.evaluate(model, progress=False)
    valid = offline.valid
    r2 = 1.0 - np.mean((model.predict(np.array(valid.X)) - valid.U) ** 2) / np.mean((valid.U - U.mean()) ** 2)
    score, metrics = result.score, {name: value.value for name, value in result.metrics.items()}
    spread = metrics["spread_1"] / metrics["rmse_1"]
    parts = (metrics["forecast_part"], metrics["climate_part"], spread)
    print(f"{regime} {kind} {horizon}: {score.value:.2f}, {seconds:.0f} s", flush=True)
    return Point(regime, kind, horizon, seconds, float(r2), score.value, score.low, score.high, *parts)


def points(regime: str) -> list[Point]:
    """All horizons and kinds on one regime, from one network fitted to U."""
    task = l96bench.make_task(f"subgrid-forcing/{regime}-v1")
    fitted = l96bench.LocalRegressor(l96bench.TorchRegressor(random_state=0), radius=2)
    task.fit(fitted)
    start = fitted.estimator_.state_dict()
    return [point(regime, kind, horizon, start) for kind in KINDS for horizon in (0.0, *HORIZONS)]


def rows(found: list[Point]) -> str:
    """The points of one regime and kind as a table."""
    cells = [
        (
            "none" if not each.horizon else f"{each.horizon:g} MTU",
            f"{each.seconds:.0f}",
            f"{each.score:.1f} [{each.low:.1f}, {each.high:.1f}]",
            f"{each.forecast:.3f}",
            f"{each.climate:.3f}",
            f"{each.spread:.2f}",
            f"{each.r2:.3f}",
        )
        for each in found
    ]
    header = ("horizon", "training s", "online score", "forecast", "climate", "spread / error", "R² of U")
    return l96bench.markdown_table(header, cells, left=header[:1])


def picture(found: list[Point]) -> None:
    """Draw score and R² against the horizon; what was not trained online is the dotted line."""
    figure, axes = plt.subplots(2, len(REGIMES), figsize=(9, 6), sharex=True, squeeze=False, layout="constrained")
    for column, regime in zip(axes.T, REGIMES, strict=True):
        for kind, color, marker in zip(KINDS, ("#0072B2", "#D55E00"), "os", strict=True):
            mine = [each for each in found if (each.regime, each.kind) == (regime, kind)]
            trained, before = mine[1:], mine[0]
            horizon = [each.horizon for each in trained]
            score = np.array([each.score for each in trained])
            ends = [score - [each.low for each in trained], np.array([each.high for each in trained]) - score]
            column[0].errorbar(horizon, score, yerr=ends, color=color, marker=marker, capsize=3, label=kind)
            column[0].axhline(before.score, color=color, linestyle=":")
            column[1].plot(horizon, [each.r2 for each in trained], color=color, marker=marker)
            column[1].axhline(before.r2, color=color, linestyle=":")
        column[0].set(title=regime, ylabel="online score")
        column[1].set(xlabel="horizon of training (MTU)", ylabel="R² of U", xscale="log")
        column[1].set_xticks(HORIZONS, [f"{each:g}" for each in HORIZONS])
        column[1].minorticks_off()
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, title="trained on (dotted: before)")
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})
    plt.close(figure)


INTRODUCTION = """# The horizon of online training

A stencil network 5-64-64-1 is fitted to U, and then trained through the resolved model: gradients of the error of X
along forecasts flow back through every step of the differentiable twin (`l96bench.differentiable_rollout`) into the
weights. The horizon is the length of these forecasts. Every horizon gets the same 500 steps of
the optimizer, so that long ones cost more; one seed, one processor thread, the training split of 2,000 MTU.

One forecast is trained on its squared error. Two members, with the spread and the memory of a red noise trained along
with the mean, are trained on their fair CRPS. In the row *none* nothing was trained online: for one forecast it is the
fitted network, for two members the same network with the size and the memory of its residual.

Any horizon makes the fit to U worse, and longer ones more. One forecast that is trained on its squared error far beyond
the memory of the fast variables learns the mean of what may happen, and its climate suffers at 1 MTU. The CRPS of two
members does not reward that: their forecasts gain with the horizon, and what else they gain is within the intervals.
"""


@cache
def found() -> list[Point]:
    """The points of all regimes."""

    def measure() -> list[dict[str, Any]]:
        parallel = joblib.Parallel(len(REGIMES))(map(joblib.delayed(points), REGIMES))
        return [asdict(each) for own in parallel for each in own]

    return [Point(**each) for each in measured("horizons", measure)]


def page() -> str:
    """The page as Markdown."""
    made = "\nMade by `make figures` (`docs/horizons.py`)."
    parts = [INTRODUCTION + made, f"![Skill and horizon]({PICTURE.name})"]
    for regime in REGIMES:
        for kind in KINDS:
            mine = [each for each in found() if (each.regime, each.kind) == (regime, kind)]
            parts.append(f"## {kind[0].upper()}{kind[1:]}, {regime}\n\n{rows(mine)}")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write docs/horizons.md and its picture."""
    picture(found())
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
