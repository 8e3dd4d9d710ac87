"""Show forecast skill by lead, and compute curves against the lead with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import LOOKS, Array, band, figure, legend_above
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.metrics import ensemble
from l96bench.metrics.uncertainty import interval
from l96bench.tasks.online_scores import Forecasts

LEADS = (0.5, 1.0, 2.0)
"""The leads of tables, in MTU."""


class Curve(NamedTuple):
    """An estimate at each lead and its 95 % interval, each (lead,)."""

    value: Array
    low: Array
    high: Array


def interval_text(curve: Curve, i: int, scale: float = 1.0) -> str:
    """Return a curve at one lead over a scale, such as ``1.996 [1.876, 2.108]``."""
    value, low, high = (float(part[i]) / scale for part in curve)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def nearest_lead(leads: NDArray[np.float64], lead: float) -> int:
    """Return the index of the lead that is closest to one in MTU."""
    return int(np.argmin(np.abs(leads - lead)))


def _curve(value: Array, replicates: Array) -> Curve:
    """Return a curve with the interval of each lead from replicates (replicate, lead), widened to hold the estimate."""
    ends = np.array([interval(column) for column in replicates.T])
    return Curve(value, np.minimum(ends[:, 0], value), np.maximum(ends[:, 1], value))


def _resampled(per_case: Array, weights: Array) -> Array:
    """Return means over resampled cases, (replicate, lead), of values (lead, case)."""
    return np.asarray(weights @ per_case.T / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def rmse_curve(truth: Array, forecast: Array, weights: Array) -> Curve:
    """Return the RMSE of the ensemble mean by lead with its interval; see `skill_by_lead`."""
    error = np.square(forecast.mean(axis=2) - truth).mean(axis=2)
    return _curve(ensemble.rmse_by_lead(truth, forecast), np.sqrt(_resampled(error, weights)))


def skill_by_lead(truth: Array, forecasts: Forecasts, mean: float, weights: Array) -> dict[str, Curve]:
    """Return RMSE, CRPS, anomaly correlation and spread by lead, with bootstrap intervals, for (lead, case, K)."""
    X = forecasts.X
    members = X.shape[2]
    own, observed = X.mean(axis=2) - mean, truth - mean
    cross, power, true_power = (
        _resampled(product.mean(axis=2), weights) for product in (own * observed, own**2, observed**2)
    )
    norm = np.sqrt(power * true_power)
    correlation = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    variance = np.zeros(X.shape[:2]) if members == 1 else X.var(axis=2, ddof=1).mean(axis=2)
    return {
        "rmse": rmse_curve(truth, X, weights),
        "crps": _curve(forecasts.crps.mean(axis=1), _resampled(forecasts.crps, weights)),
        "anomaly_correlation": _curve(ensemble.anomaly_correlation_by_lead(truth, X, mean), correlation),
        "spread": _curve(ensemble.spread_by_lead(X), np.sqrt((members + 1) / members * _resampled(variance, weights))),
    }


@register_diagnostic("skill", "Forecast skill by lead", kind="closure", order=30)
def skill(subject: ClosureSubject, results: Results) -> Section:
    """Show error and correlation by lead, beside no closure and perfect physics."""
    task, (mean, std) = subject.online, subject.climatology
    runs = {"model": subject.forecasts, "no closure": task.without_closure.forecasts, "perfect physics": task.perfect}
    curves = {name: skill_by_lead(task.forecast_truth, run, mean, subject.case_weights) for name, run in runs.items()}
    table = []
    for lead in LEADS:
        i = nearest_lead(task.cases.leads, lead)
        for name, own in curves.items():
            cells = [interval_text(own[key], i) for key in ("rmse", "crps", "anomaly_correlation")]
            table.append((f"{task.cases.leads[i]:g}", name, *cells))
    members = subject.forecasts.X.shape[2]
    caption = (
        f"Forecasts of {len(task.cases)} cases with {members} member{'s' * (members > 1)}, beside the resolved "
        "model without closure and perfect physics (the truth model, its fast variables known only as far as the "
        "past X tells). Bands: 95 % intervals of the bootstrap over cases. CRPS of one "
        "member is its absolute error."
    )
    header = ("lead (MTU)", "forecast", "RMSE", "CRPS", "anomaly correlation")
    return Section(caption, header, table, draw(task.cases.leads, curves, std))


def draw(leads: Array, curves: Mapping[str, Mapping[str, Curve]], std: float) -> Figure:
    """Draw three panels against lead, the model first: RMSE over the climatological std, CRPS, anomaly correlation."""
    made = figure(11, 3.7)
    panels = (
        ("rmse", "RMSE / climatological std", std),
        ("crps", "CRPS (units of X)", 1.0),
        ("anomaly_correlation", "anomaly correlation", 1.0),
    )
    for ax, (key, label, scale) in zip(made.subplots(1, 3), panels, strict=True):
        for (name, own), (color, dashes) in zip(curves.items(), LOOKS, strict=False):
            band(ax, leads, own[key], color=color, label=name, dashes=dashes, scale=scale)
        ax.set(xlabel="lead (MTU)", ylabel=label, xlim=(0, leads[-1]))
        ax.set_ylim(*((-0.12, 1.03) if key == "anomaly_correlation" else (0.0, None)))
        ax.grid(True)
    legend_above(made, ax, 3)
    return made
