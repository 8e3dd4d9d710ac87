"""Show increments that a model predicts, beside those of the analysis and the true error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.diagnostics.assimilation.subject import AssimilationSubject
from l96bench.diagnostics.figures import BLACK, BLUE, GREEN, HEXBIN, VERMILION, Array, conditional, figure
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic
from l96bench.dynamics.predictions import predict, within_reach
from l96bench.metrics import pointwise
from l96bench.metrics.bounds import BOUND
from l96bench.tasks.assimilation_system import AssimilationSystem


@dataclass(frozen=True, slots=True, eq=False)
class Increments:
    """Background mean, predicted and actual increments (segment, cycle, K), and R² about the training means."""

    background: Array
    predicted: Array
    actual: Array
    error: Array
    observed: NDArray[np.bool_]
    mean_actual: float
    mean_error: float

    def parts(self) -> dict[str, NDArray[np.bool_]]:
        """Return masks of all points, and of the observed and the others where there are both."""
        parts = {"all points": np.ones_like(self.observed)}
        if not self.observed.all() and self.observed.any():
            parts |= {"observed": self.observed, "not observed": ~self.observed}
        return parts


def predicted_increments(subject: AssimilationSubject) -> Increments:
    """Return the predictions for the test archive, limited as in the score; left out for other systems."""
    if isinstance(subject.model, AssimilationSystem):
        raise LeftOutError("the entry brings a forecast model of its own, and predicts no increments")
    archive = subject.task.to_xarray()
    test, train = (
        {str(key): array.to_numpy() for key, array in archive[name].to_dataset().items()} for name in ("test", "train")
    )
    background = test["background"]
    predicted = predict(subject.model, background.reshape(-1, background.shape[-1]), np.random.default_rng(0))[0]
    usable = within_reach(predicted, 0.0, BOUND * float(train["truth"].std()))[0]
    observed = np.zeros(background.shape, dtype=bool)
    np.put_along_axis(observed, subject.runs["model"].points, True, axis=2)
    return Increments(
        background,
        usable.reshape(background.shape),
        test["increment"],
        test["truth"] - background,
        observed,
        float(np.mean(train["increment"])),
        float(np.mean(train["truth"] - train["background"])),
    )


@register_diagnostic("increments", "Increments, predicted and actual", kind="increment", order=40)
def increments(subject: AssimilationSubject, results: Results) -> Section:
    """Show predicted increments against those of the archive and against the true error; left out for other systems."""
    found = predicted_increments(subject)
    table, r2 = [], {}
    for part, inside in found.parts().items():
        predicted, actual, error = found.predicted[inside], found.actual[inside], found.error[inside]
        r2[part] = (
            pointwise.r2(actual, predicted, found.mean_actual),
            pointwise.r2(error, predicted, found.mean_error),
        )
        sizes = [f"{np.sqrt(np.mean(np.square(values))):.3f}" for values in (predicted, actual, error)]
        left = pointwise.rmse(error, predicted)
        table.append((part, *(f"{value:.3f}" for value in r2[part]), *sizes, f"{left:.3f}"))
    caption = (
        "The test archive: backgrounds of the model without closure and the increments of its analyses. Left: the "
        "increment given the background at the point (grey, logarithmic), the mean of what the analysis did, of the "
        "true error (truth minus background), and of the entry's prediction with its 80 % range. Middle: predicted "
        "against actual increments, with the mean of the prediction. Right: R² about the training mean. Increments "
        "hold the noise of the observations and move observed points most; the model's error, which the correction is "
        "to be, is everywhere."
    )
    header = ("part", "R² of the increment", "R² of the true error", "RMS predicted", "RMS increment", "RMS error")
    picture = draw(found, r2)
    return Section(caption, (*header, "RMSE left"), table, picture)


def draw(found: Increments, r2: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw increments given the background, predicted against actual ones, and R² of both kinds by part."""
    made = figure(11, 4.3)
    left, middle, right = made.subplots(1, 3, width_ratios=(1.2, 1.0, 0.9))
    ends = tuple(np.percentile(found.actual, (0.1, 99.9)))
    reach = max(abs(float(end)) for end in ends)
    grey = HEXBIN | {"gridsize": 55}
    span = tuple(np.percentile(found.background, (0.01, 99.99)))
    left.hexbin(found.background.ravel(), found.actual.ravel(), extent=(*span, -reach, reach), **grey)
    lines = (("analysis", found.actual, BLACK, ":"), ("true error", found.error, GREEN, "--"))
    for label, values, color, dashes in (*lines, ("predicted", found.predicted, BLUE, "-")):
        mean = conditional(found.background, values)
        left.plot(mean.X, mean.mean, color=color, ls=dashes, label=label)
        if color == BLUE:
            left.fill_between(mean.X, mean.low, mean.high, color=BLUE, alpha=0.3, lw=0)
    left.set(xlabel="background X$_k$", ylabel="increment (units of X)", title="increments given the background")
    left.set_ylim(-reach, reach)
    left.legend(loc="lower left", title="mean", title_fontsize=9)
    middle.hexbin(found.actual.ravel(), found.predicted.ravel(), extent=(-reach, reach, -reach, reach), **grey)
    middle.plot((-reach, reach), (-reach, reach), color=VERMILION, lw=1.2, label="equal")
    mean = conditional(found.actual, found.predicted)
    middle.plot(mean.X, mean.mean, color=BLUE, label="mean")
    middle.set(xlabel="increment of the analysis (units of X)", ylabel="predicted increment (units of X)")
    middle.set(title="predicted and actual", xlim=(-reach, reach), ylim=(-reach, reach))
    middle.legend(loc="upper left")
    _draw_shares(right, r2)
    return made


def _draw_shares(ax: Axes, r2: Mapping[str, tuple[float, float]]) -> None:
    """Draw R² as bars, two for each part."""
    places = np.arange(len(r2))
    for i, (label, color) in enumerate((("of the increment", BLUE), ("of the true error", GREEN))):
        values = [pair[i] for pair in r2.values()]
        bars = ax.bar(places + 0.4 * (i - 0.5), values, width=0.36, color=color, label=label)
        ax.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
    ax.axhline(0.0, color=BLACK, lw=1.0)
    ax.set_xticks(places, [part.replace("not ", "not\n") for part in r2])
    values = [value for pair in r2.values() for value in pair]
    ax.set(ylabel="R$^2$", title="R$^2$ by point", xlim=(-0.6, len(r2) - 0.4))
    low, high = min(0.0, *values), max(0.1, *values)
    ax.set_ylim(low - 0.1 * (high - low) * (low < 0.0), high + 0.35 * (high - low))
    ax.legend(loc="upper center")
