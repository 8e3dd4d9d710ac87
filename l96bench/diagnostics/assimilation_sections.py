"""The sections of an entry of `da-increment`: its cycles, their consistency, and the increments that it learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l96bench.assimilation.statistics import innovation_statistics, spread_error_ratio
from l96bench.diagnostics import assimilation
from l96bench.diagnostics.section import Section
from l96bench.diagnostics.subject import AssimilationSubject, LeftOutError
from l96bench.metrics import pointwise
from l96bench.results.record import Result
from l96bench.tasks.da_increment import AssimilationSystem
from l96bench.tasks.subgrid_forcing import REACH, predict, within_reach

__all__ = ["cycles_section", "increments_section", "innovations_section", "reliability_section"]


def cycles_section(subject: AssimilationSubject, results: Sequence[Result]) -> Section:
    """Errors of background and analysis against time, beside no correction and the perfect model."""
    table = []
    for name, cycles in subject.cycles.items():
        run = cycles.run
        errors = [np.sqrt(np.mean(np.square(rmse))) for rmse in (run.background_rmse, run.analysis_rmse)]
        ratio = spread_error_ratio(run)
        diverged = f"{run.n_diverged} of {len(run.diverged)}"
        table.append((name, *(f"{each:.3f}" for each in errors), f"{ratio:.2f}", f"{cycles.inflation:g}", diverged))
    track = subject.task.track
    segments, n_cycles, _ = subject.runs["model"].truth.shape
    caption = (
        f"The filter cycled over {segments} test segments of {n_cycles} windows of {track.window:g} MTU, with the "
        "entry, without correction (0 points) and with the two-scale model (100 points), each with the inflation that "
        "is best on the validation segment. Left: errors of the ensemble mean, pooled over segments and 10 windows. "
        "Right: the same by segment. From a divergence on the error is the climatological standard deviation. Spread / "
        "error is that of the background, 1 for a reliable ensemble."
    )
    header = ("run", "background RMSE", "analysis RMSE", "spread / error", "inflation", "diverged segments")
    return Section("cycles", caption, header, table, assimilation.draw_cycles(subject.runs))


def reliability_section(subject: AssimilationSubject, results: Sequence[Result]) -> Section:
    """Spread against error, and the rank histogram, of the cycled ensemble."""
    runs = subject.runs
    n_blocks = runs["model"].truth.shape[0] * runs["model"].truth.shape[1] // assimilation.BLOCK
    weights = subject.task.weights(n_blocks, "cycles")
    table, own = [], None
    for name, run in runs.items():
        found = assimilation.ranks(run, weights)
        own = found if own is None else own
        spread, error = assimilation.binned_spread(run)
        slope = float(np.polyfit(spread, error, 1)[0])
        ends = f"{found.share[0]:.2f}, {found.share[-1]:.2f}"
        ratio = f"{spread_error_ratio(run):.2f}"
        table.append((name, ratio, f"{slope:.2f}", ends, f"{found.away} of {len(found.share)}"))
    assert own is not None
    caption = (
        "Left: error of the background mean in ten bins of the ensemble's spread that hold equally many points and "
        "cycles; a reliable ensemble lies on the diagonal, and one that knows when it is sure has a slope. The spread "
        "has the factor of Fortin et al. (2014). Right: how often the truth takes each rank among the members, over "
        f"what is expected, with 95 % intervals of the bootstrap over blocks of {assimilation.BLOCK} cycles. A U shape "
        "is too little spread, a dome too much, a slope a bias."
    )
    header = ("run", "spread / error", "slope", "outermost ranks", "ranks away from 1")
    picture = assimilation.draw_reliability(runs, own, "model")
    return Section("reliability", caption, header, table, picture)


def innovations_section(subject: AssimilationSubject, results: Sequence[Result]) -> Section:
    """What the observations say of the filter, without the truth."""
    table = []
    for name, run in subject.runs.items():
        found = innovation_statistics(run)
        correlation = assimilation.innovation_correlation(run)[1]
        ratio, diagnosed = f"{found.ratio:.3f}", (found.background_variance, found.observation_variance)
        bias, variances = f"{found.bias:+.4f}", (found.variance, found.expected, *diagnosed)
        table.append((name, bias, *(f"{each:.4f}" for each in variances), ratio, f"{correlation:+.3f}"))
    noise = np.unique(np.square(subject.task.track.network.std))
    assumed = ", ".join(f"{each:g}" for each in noise)
    caption = (
        "What can be seen without the truth. Left: observation minus background mean over the standard deviation that "
        "the filter expects of it. Middle: variances that the filter assumes (bars) and those that innovations and "
        f"residuals diagnose (Desroziers et al. 2005); that of the observations is {assumed}. Right: correlation of "
        "innovations at a point between cycles; those of an optimal filter are white (Kailath 1968), and what is left "
        "is error that a better model would have removed."
    )
    header = ("run", "bias", "variance", "expected", "background", "observation", "ratio", "correlation, lag 1")
    return Section("innovations", caption, header, table, assimilation.draw_innovations(subject.runs))


def increments_section(subject: AssimilationSubject, results: Sequence[Result]) -> Section:
    """Predicted increments against those of the archive and against the true error; left out for other systems."""
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
    picture = assimilation.draw_increments(found, r2)
    return Section("increments", caption, (*header, "RMSE left"), table, picture)


def predicted_increments(subject: AssimilationSubject) -> assimilation.Increments:
    """What the model predicts for the test archive, made usable as in the score.

    Raises
    ------
    LeftOutError
        If the entry is no model of increments.
    """
    if isinstance(subject.model, AssimilationSystem):
        raise LeftOutError("the entry brings a forecast model of its own, and predicts no increments")
    archive = subject.task.to_xarray()
    test, train = (
        {str(key): array.to_numpy() for key, array in archive[name].to_dataset().items()} for name in ("test", "train")
    )
    background = test["background"]
    rows = background.reshape(-1, background.shape[-1])
    predicted = predict(subject.model, rows, np.random.default_rng(0))[0]
    usable = within_reach(predicted, 0.0, REACH * float(train["truth"].std()))[0]
    run = subject.runs["model"]
    observed = np.zeros(background.shape, dtype=bool)
    np.put_along_axis(observed, run.points, True, axis=2)
    return assimilation.Increments(
        background,
        usable.reshape(background.shape),
        test["increment"],
        test["truth"] - background,
        observed,
        float(np.mean(train["increment"])),
        float(np.mean(train["truth"] - train["background"])),
    )
