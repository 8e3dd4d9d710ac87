"""Forecast skill by lead, beside the floor and the ceiling."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from l96bench.diagnostics.closure.leads import LEADS, Curve, interval_text, nearest_lead, skill_by_lead
from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import LOOKS, Array, band, figure, legend_above
from l96bench.diagnostics.registry import Results, Section, register_diagnostic


@register_diagnostic("skill", "Forecast skill by lead", kind="closure", order=30)
def skill(subject: ClosureSubject, results: Results) -> Section:
    """Show error and correlation by lead, beside no closure and perfect physics."""
    task, (mean, std) = subject.online, subject.climatology
    runs = {"model": subject.forecasts, "no closure": task.without_closure[0], "perfect physics": task.perfect}
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
        "past X tells). Bands: 95 % intervals of the bootstrap over blocks of 5 consecutive cases. CRPS of one "
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
            band(ax, leads, own[key].parts, color=color, label=name, dashes=dashes, scale=scale)
        ax.set(xlabel="lead (MTU)", ylabel=label, xlim=(0, leads[-1]))
        ax.set_ylim(*((-0.12, 1.03) if key == "anomaly_correlation" else (0.0, None)))
        ax.grid(True)
    legend_above(made, ax, 3)
    return made
