"""Attribute forecast errors to U, the forcing, the time step and the initial state by degrading one at a time.

After https://m2lines.github.io/L96_demo/notebooks/gcm-parameterization-problem.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from l96bench.checks import whole_multiple
from l96bench.data.splits import split_seed
from l96bench.diagnostics.closure.skill import LEADS, Curve, interval_text, nearest_lead, rmse_curve
from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import BLACK, PALETTE, Array, band, figure, legend_above
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.dynamics.resolved import MODEL_DT, rollout
from l96bench.dynamics.truth import simulate
from l96bench.errors import DataError, ModelError
from l96bench.metrics.bounds import bounds
from l96bench.tasks.online_rollout import OnlineRollout


class ExactForcing:
    """A model whose closure plays a sequence of U (step, member, K), at every `MODEL_DT`, whatever the state is."""

    def __init__(self, U: Array) -> None:
        self.U = U

    def closure(self, dt: float = MODEL_DT) -> _Prescribed:
        """Return the closure of a resolved model that steps by `dt`, a whole multiple of `MODEL_DT`."""
        return _Prescribed(self.U[:: whole_multiple(dt, MODEL_DT)])


class _Prescribed:
    """A closure that plays a sequence of U (step, member, K) from its start."""

    deterministic = True

    def __init__(self, U: Array) -> None:
        self.U = U
        self._next = 0

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self._next = 0

    def step(self, X: Array) -> Array:
        self._next += 1
        return np.asarray(self.U[self._next - 1], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Changes:
    """Amount added to F, factor of the model's time step, and relative standard deviation of initial errors."""

    forcing: float = 1.0
    time_step: int = 5
    initial: float = 0.05


@dataclass(frozen=True, slots=True)
class Attribution:
    """The forecast without any change, and each with one change minus that; (lead, case, K) arrays."""

    sources: dict[str, Array]
    control: Array

    def curves(self, weights: Array) -> dict[str, Curve]:
        """Return the root-mean-square effect of each source by lead, with intervals over cases."""
        zero = np.zeros_like(self.control)
        return {name: rmse_curve(zero, effect[:, :, None], weights) for name, effect in self.sources.items()}


def true_forcing(task: OnlineRollout) -> Array:
    """Return the exact U (step, case, K) of the climate's trajectories, simulated again; `DataError` if they differ."""
    cases = task.cases
    fine = whole_multiple(cases.interval, MODEL_DT)
    first = cases.starts * fine
    n_steps = whole_multiple(cases.lead, MODEL_DT)
    duration = (int(first[-1]) + n_steps) * MODEL_DT
    run = simulate(
        task.regime,
        round(duration / MODEL_DT) * MODEL_DT,
        interval=MODEL_DT,
        seed=split_seed(task.regime, "climate"),
        n_trajectories=cases.n_trajectories,
        store_fast=False,
        progress=False,
    )
    X, U = (array.reshape(cases.n_trajectories, -1, task.regime.K) for array in (run.X, run.U))
    if not np.array_equal(X[:, first].reshape(-1, task.regime.K), task.starts().X):
        raise DataError(
            f"{task.id}: expected the climate's trajectories from their seeds, got others; is the cache stale?"
        )
    windows = U[:, first[:, None] + np.arange(n_steps)]
    return np.ascontiguousarray(windows.reshape(len(cases), n_steps, -1).swapaxes(0, 1))


def forecast(
    task: OnlineRollout, model: Any, X0: Array, F: float, dt: float, members: int, history: Array | None, seed: int
) -> Array:
    """Return ensemble-mean forecasts (lead, case, K) from X0 (case, K); members that blow up become the climatology."""
    run = rollout(
        model,
        np.repeat(X0, members, axis=0),
        task.cases.lead + task.cases.interval,
        regime=task.regime,
        F=F,
        dt=dt,
        interval=task.cases.interval,
        limits=bounds(*task.climatology),
        history=None if history is None else np.repeat(history, members, axis=1),
        rng=np.random.default_rng(seed),
        progress=False,
    )
    X = np.nan_to_num(run.X[1:], nan=task.climatology[0])
    return np.asarray(X.reshape(len(X), len(X0), members, -1).mean(axis=2), dtype=np.float64)


def attribute(
    model: Any,
    X0: Array,
    task: OnlineRollout,
    rng: np.random.Generator,
    *,
    history: Array | None = None,
    members: int = 1,
    changes: Changes | None = None,
    others: Mapping[str, Array] | None = None,
) -> Attribution:
    """Return how forecasts from X0 (case, K) change with forcing, time step and initial state, one at a time."""
    changes = Changes() if changes is None else changes
    F, std = task.regime.F, task.climatology[1]
    errors, seed = changes.initial * std * rng.standard_normal(X0.shape), int(rng.integers(2**32))

    def run(start: Array, F: float, dt: float = MODEL_DT) -> Array:
        return forecast(task, model, start, F, dt, members, history, seed)

    control = run(X0, F)
    forecasts = dict(others or {})
    forecasts[f"forcing + {changes.forcing:g}"] = run(X0, F + changes.forcing)
    with suppress(ModelError):
        forecasts[f"time step x {changes.time_step}"] = run(X0, F, MODEL_DT * changes.time_step)
    forecasts[f"initial error {changes.initial:g} std"] = run(X0 + errors, F)
    return Attribution({name: each - control for name, each in forecasts.items()}, control)


@register_diagnostic("attribution", "Where forecast errors come from", kind="closure", order=70)
def attribution(subject: ClosureSubject, results: Results) -> Section:
    """Show what each source of error does to forecasts."""
    task, leads = subject.online, subject.online.cases.leads
    X0, history = task.starts().X, task.starts().past
    exact = attribute(
        ExactForcing(true_forcing(task)),
        X0,
        task,
        subject.rng("diagnostics exact"),
        others={
            "missing physics": task.without_closure.forecasts.X.mean(axis=2),
            "closure": subject.forecasts.X.mean(axis=2),
        },
    )
    members, changes = 1 if subject.deterministic else 5, Changes()
    own = attribute(subject.model, X0, task, subject.rng("diagnostics own"), history=history, members=members)
    std, weights = subject.climatology[1], subject.case_weights
    panels = {
        title: (found.curves(weights), rmse_curve(task.forecast_truth, found.control[:, :, None], weights))
        for title, found in (("resolved model with exact U", exact), ("resolved model with the closure", own))
    }
    places = [nearest_lead(leads, lead) for lead in LEADS]
    table = [
        (title, name, *(interval_text(curve, i, std) for i in places))
        for title, (curves, control) in panels.items()
        for name, curve in (*curves.items(), ("unchanged, against the truth", control))
    ]
    sampling = f" Means of members, of {members} at the right, whose sampling noise is in the differences."
    caption = (
        "Left: forecasts by the resolved model that is told the exact U of the truth at the start of each step, "
        "and what one change at a time does to them: U = 0 (missing physics), U from the closure, F + "
        f"{changes.forcing:g}, a time step {changes.time_step} times as long with U held as long, and initial "
        f"errors of {changes.initial:g} climatological standard deviations. Exact U does not react to the state, "
        "which lets errors grow faster than in the coupled system. Right: the same changes to the resolved model "
        "under the closure, whose U reacts. Shown is the root-mean-square difference from the unchanged "
        "forecast, with 95 % intervals; the dotted line is the error of the unchanged forecast itself."
        f"{'' if subject.deterministic else sampling}"
    )
    header = ("model", "change", *(f"RMS / std at {leads[i]:g} MTU" for i in places))
    return Section(caption, header, table, draw(leads, panels, std))


def draw(leads: Array, panels: Mapping[str, tuple[Mapping[str, Curve], Curve]], std: float) -> Figure:
    """Draw the effects of the changes against lead, with the error of the unchanged forecast, over the std of X."""
    made = figure(11, 4.6)
    colors: dict[str, str] = {}
    axes = made.subplots(1, len(panels), sharey=True)
    for ax, (title, (curves, control)) in zip(axes, panels.items(), strict=True):
        for name, curve in curves.items():
            color = colors.setdefault(name, PALETTE[len(colors) % len(PALETTE)])
            band(ax, leads, curve, color=color, label=name, scale=std)
        ax.plot(leads, control.value / std, color=BLACK, ls=":", label="unchanged forecast, against the truth")
        ax.set(xlabel="lead (MTU)", title=title, xlim=(0, leads[-1]))
        ax.set_ylim(bottom=0)
        ax.grid(True)
    axes[0].set_ylabel("RMS effect / climatological std")
    legend_above(made, axes[0], 3)
    return made
