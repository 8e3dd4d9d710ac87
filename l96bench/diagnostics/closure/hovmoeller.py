"""Show one forecast beside the truth, in space and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import BLUE, DIVERGING, Array, figure, plain
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.dynamics.resolved import rollout
from l96bench.regimes import Regime


@dataclass(frozen=True, slots=True)
class Hovmoeller:
    """A true trajectory and one free run of the model from its first state, each (time, K); time in MTU."""

    time: Array
    truth: Array
    model: Array

    @property
    def rms(self) -> Array:
        """Root-mean-square difference over the ring, (time,); NaN once the model has left the attractor."""
        return np.asarray(np.sqrt(np.square(self.model - self.truth).mean(axis=1)), dtype=np.float64)


def run_beside(
    model: Any,
    truth: Array,
    *,
    regime: str | Regime,
    interval: float,
    history: Array | None = None,
    limits: tuple[float, float] | None = None,
    rng: np.random.Generator | None = None,
) -> Hovmoeller:
    """Run one member of a model from the first state of a true trajectory (time, K), for the same duration."""
    run = rollout(
        model,
        truth[0],
        len(truth) * interval,
        regime=regime,
        interval=interval,
        limits=limits,
        history=None if history is None else history[:, None],
        rng=rng,
        progress=False,
    )
    return Hovmoeller(run.time, np.array(truth), run.X[:, 0])


@register_diagnostic("hovmoeller", "Truth and model in space and time", kind="closure", order=10)
def hovmoeller(subject: ClosureSubject, results: Results) -> Section:
    """Show one forecast beside the truth, point against time."""
    X, cases = subject.online.arrays("climate")["X"][0], subject.online.cases
    start, length = int(cases.starts[0]), round(8.0 / cases.interval)
    past = round(cases.memory / cases.interval)
    found = run_beside(
        subject.model,
        X[start : start + length],
        regime=subject.regime,
        interval=cases.interval,
        history=X[start - past : start],
        limits=subject.limits,
        rng=subject.rng("diagnostics hovmoeller"),
    )
    places, std = [round(time / cases.interval) for time in (0.5, 1.0, 2.0, 4.0)], subject.climatology[1]
    kind = "the run of the model" if subject.deterministic else "one member of the model"
    caption = (
        f"The first forecast case of {subject.online.id}: the truth, {kind} from the same state, and their "
        "difference on the same scale, point against time. At the right, the difference over the ring. A "
        "difference that begins at one point and spreads is local error growth; grey is a run that has left the "
        "attractor."
    )
    table = [(f"{found.time[i]:g}", f"{found.rms[i]:.2f}", f"{found.rms[i] / std:.2f}") for i in places]
    header = ("time (MTU)", "RMS difference (units of X)", "over the climatological std")
    return Section(caption, header, table, draw(found, subject.entry.name))


def draw(fields: Hovmoeller, name: str) -> Figure:
    """Draw truth, model and their difference: point along the ring against time, one colour scale for all."""
    made = figure(10, 4.6)
    K = fields.truth.shape[1]
    reach = float(np.ceil(np.percentile(np.abs(fields.truth), 99.5)))
    extent = (0.5, K + 0.5, 0.0, float(fields.time[-1] + fields.time[1] - fields.time[0]))
    look: dict[str, Any] = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    axes = made.subplots(1, 4, width_ratios=(1, 1, 1, 0.8), sharey=True)
    panels = ((fields.truth, "truth"), (fields.model, name), (fields.model - fields.truth, "model - truth"))
    for ax, (field, title) in zip(axes, panels, strict=False):
        ax.set_facecolor("0.75")
        image = ax.imshow(field, cmap=DIVERGING, vmin=-reach, vmax=reach, extent=extent, **look)
        ax.set(title=plain(title, 26), xlabel="point k")
        ax.set_xticks([int(k) for k in np.unique(np.linspace(1, K, 4).astype(int))])
    axes[0].set_ylabel("time (MTU)")
    axes[3].plot(fields.rms, fields.time, color=BLUE)
    axes[3].set(title="difference over k", xlabel="RMS (units of X)", xlim=(0, None))
    axes[3].grid(True)
    made.colorbar(image, ax=list(axes[:3]), label="X, and difference of X", pad=0.01, extend="both")
    return made
