"""The sections that are made of runs: fields, forecasts, climate, and where errors come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from l96bench.diagnostics import attribution, climate, fields, skill
from l96bench.diagnostics.figures import bin_edges
from l96bench.diagnostics.section import LEADS, Section, interval_text, nearest_lead
from l96bench.diagnostics.subject import LeftOutError, Subject
from l96bench.dynamics.polynomial import PUBLISHED
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.metrics import climate as climate_metrics
from l96bench.metrics import pointwise
from l96bench.results.record import Result
from l96bench.tasks.online_scores import INTERVAL

__all__ = [
    "attribution_section",
    "climate_section",
    "density_section",
    "hovmoeller_section",
    "regimes_section",
    "skill_section",
    "spread_section",
]


def hovmoeller_section(subject: Subject, results: Sequence[Result]) -> Section:
    """One forecast beside the truth in space and time."""
    test, cases = subject.online.test, subject.online.cases
    start, length = int(cases.starts[0]), round(8.0 / test.interval)
    past = round(cases.memory / test.interval)
    found = fields.hovmoeller(
        subject.model,
        test.X[0, start : start + length],
        regime=subject.regime,
        interval=test.interval,
        history=test.X[0, start - past : start],
        limits=subject.limits,
        rng=subject.rng("diagnostics hovmoeller"),
    )
    std = subject.climatology[1]
    places = [round(time / test.interval) for time in (0.5, 1.0, 2.0, 4.0)]
    kind = "the run of the model" if subject.deterministic else "one member of the model"
    caption = (
        f"The first forecast case of {subject.online.id}: the truth, {kind} from the same state, and their "
        "difference on the same scale, point against time. At the right, the difference over the ring. A "
        "difference that begins at one point and spreads is local error growth; grey is a run that has left the "
        "attractor."
    )
    table = [(f"{found.time[i]:g}", f"{found.rms[i]:.2f}", f"{found.rms[i] / std:.2f}") for i in places]
    header = ("time (MTU)", "RMS difference (units of X)", "over the climatological std")
    return Section("hovmoeller", caption, header, table, fields.draw_hovmoeller(found, subject.entry.name))


def density_section(subject: Subject, results: Sequence[Result]) -> Section:
    """U against X_k with the closure over it."""
    X, U, predicted = subject.sample
    train = subject.offline.train
    x = bin_edges(X, (0.05, 99.95), 200)
    quartic = PolynomialRegressor().fit(np.array(train.X), np.array(train.U)).closure()
    is_quartic = isinstance(subject.model, PolynomialRegressor) and subject.model.degree == 4
    others = {} if is_quartic else {"fitted quartic": (x, quartic.predict(x))}
    for key, published in PUBLISHED.items():
        if key == f"wilks2005_{subject.regime.id.removeprefix('wilks-')}":
            others["Wilks 2005"] = (x, published.polynomial.predict(x))
    table = []
    tails = np.percentile(X, (5, 95))
    parts = (
        ("all", np.ones_like(X, dtype=bool)),
        ("lowest 5 %", tails[0] > X),
        ("middle 90 %", (tails[0] <= X) & (tails[1] >= X)),
    )
    for label, inside in (*parts, ("highest 5 %", tails[1] < X)):
        true, own = U[inside], predicted[inside]
        r2 = pointwise.r2(true, own, subject.offline.mean_U)
        table.append((label, f"{r2:.3f}", f"{pointwise.rmse(true, own):.3f}", f"{pointwise.bias(true, own):+.3f}"))
    caption = (
        "Left: where the truth lies in the plane of X_k and its subgrid tendency U_k (grey, logarithmic), with "
        "the mean of the closure given X_k and its 80 % range, which is a line for a closure that sees X_k "
        f"alone. Middle: predicted against true U_k. Right: the error that is left, given X_k. {len(X)} test "
        f"trajectories of {subject.offline.id}, {X.size:,} values; R² about the training mean."
    )
    picture = fields.draw_density(X, U, predicted, subject.entry.name, others)
    return Section("density", caption, ("X_k", "R²", "RMSE of U", "bias of U"), table, picture)


def skill_section(subject: Subject, results: Sequence[Result]) -> Section:
    """Forecast skill by lead beside the floor and the ceiling."""
    task, (mean, std) = subject.online, subject.climatology
    runs = {"model": subject.forecasts, "no closure": task.without_closure[0], "perfect physics": task.perfect}
    curves = {
        name: skill.skill_by_lead(task.forecast_truth, run, mean, subject.case_weights) for name, run in runs.items()
    }
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
    return Section("skill", caption, header, table, skill.draw_skill(task.cases.leads, curves, std))


def spread_section(subject: Subject, results: Sequence[Result]) -> Section:
    """Spread against error and rank histograms; left out for deterministic closures."""
    if subject.forecasts.X.shape[2] == 1:
        raise LeftOutError("the closure is deterministic, so that a forecast is one member and has no spread")
    task, mean = subject.online, subject.climatology[0]
    truth, leads = task.forecast_truth, task.cases.leads
    own, perfect = (
        skill.skill_by_lead(truth, run, mean, subject.case_weights) for run in (subject.forecasts, task.perfect)
    )
    rng = subject.rng("diagnostics ranks")
    ranks, table = {}, []
    for lead in LEADS:
        i = nearest_lead(leads, lead)
        found = skill.rank_histogram(truth[i : i + 1], subject.forecasts.X[i : i + 1], rng)
        if lead != LEADS[1]:
            ranks[float(leads[i])] = found
        ratio = own["spread"].value[i] / own["rmse"].value[i]
        spread, error = (interval_text(own[key], i) for key in ("spread", "rmse"))
        table.append((f"{leads[i]:g}", spread, error, f"{ratio:.2f}", f"{found.outside} of {len(found.counts)}"))
    caption = (
        "Left: spread of the ensemble (with the factor of Fortin et al. 2014) and error of its mean; a reliable "
        "ensemble has both alike. Right: how often the truth takes each rank among the members, over what is "
        "expected. The band holds a reliable ensemble at all ranks at once with probability 95 %: in each of "
        "1,000 replicates a random member of each case plays the truth, so that the dependence of points is in "
        "it. A U shape is too little spread."
    )
    header = ("lead (MTU)", "spread", "error", "spread / error", "ranks outside the band")
    return Section("spread", caption, header, table, skill.draw_spread(leads, own, perfect, ranks))


def climate_section(subject: Subject, results: Sequence[Result]) -> Section:
    """Density, tails, autocorrelation and spectrum of the free run."""
    task = subject.online
    truth, twin = task.truth_climates[""]
    runs = {"truth": truth, "second sample of the truth": twin, "model": subject.climate}
    mean, std = subject.climatology
    edges = np.linspace(mean - 4.5 * std, mean + 5.5 * std, 101)
    curves = {name: climate.climate_curves(run.X, INTERVAL, edges) for name, run in runs.items()}
    table = []
    for name, run in runs.items():
        own = climate_metrics.moments(run.X)
        pooled = (run.cdfs.mean(axis=0), truth.cdfs.mean(axis=0))
        distances = climate_metrics.wasserstein(*pooled, task.grids[""])
        cells = [f"{value:.2f}" for value in (own.mean, own.std, own.percentile_0_1, own.percentile_99_9)]
        table.append((name, *cells, *(f"{distance:.3f}" for distance in distances)))
    survived = subject.climate.survived
    caption = (
        f"A free run of {task.n_members} members, {task.spin_up:g} MTU of spin-up and {task.duration:g} MTU each, "
        f"of which {int(survived.sum())} stayed on the attractor, beside two independent samples of the truth of "
        "the same size; where the samples differ, nothing can be said. Distances are 1-Wasserstein over the "
        "standard deviation, of X_k, of its change over 0.2 MTU, and of X_{k+1} - X_k. Spectrum: Welch, "
        "segments of 20 MTU."
    )
    header = ("run", "mean", "std", "0.1 %", "99.9 %", "distance: value", "change", "difference")
    return Section("climate", caption, header, table, climate.draw_climate(curves))


def regimes_section(subject: Subject, results: Sequence[Result]) -> Section:
    """Joint densities of neighbours and of the leading waves."""
    task, mean = subject.online, subject.climatology[0]
    truth, twin = (run.X for run in task.truth_climates[""])
    model = subject.climate.X
    amplitudes = [climate.wave_amplitudes(X, mean) for X in (truth, twin, model)]
    waves = climate.leading_waves(amplitudes[0])
    neighbours = climate.joint_density((truth, np.roll(truth, -1, axis=-1)), (model, np.roll(model, -1, axis=-1)))
    pairs = [(own[..., waves[0] - 1], own[..., waves[1] - 1]) for own in amplitudes]
    joint, floor = (climate.joint_density(pairs[0], pairs[i]) for i in (2, 1))
    table = []
    for name, own, density in zip(("truth", "second sample", "model"), amplitudes, (None, floor, joint), strict=True):
        found = climate.wave_regimes(own, waves, INTERVAL)
        shares = [f"{100 * share:.1f} %" for share in found.occupation]
        lengths = [f"{length:.2f}" for length in found.persistence]
        table.append((name, *shares, *lengths, "1" if density is None else f"{density.overlap:.3f}"))
    first, second = waves
    caption = (
        "Above: joint density of neighbours X_k and X_{k+1}. Below: joint density of the amplitudes of the two "
        f"waves around the ring that carry most variance, wavenumbers {first} and {second}. On a ring whose "
        "points are alike they are the two leading pairs of empirical orthogonal functions, on which "
        "Christensen, Moroz and Palmer (2015) show the regimes of this system. A regime is occupied while its "
        "wave is the larger one; its persistence is the mean length of a visit. Overlap: the probability that "
        "two densities of amplitudes have in common."
    )
    header = (
        *("run", f"wave {first} dominates", f"wave {second} dominates"),
        *(f"persistence {first} (MTU)", f"persistence {second} (MTU)", "overlap with the truth"),
    )
    return Section("regimes", caption, header, table, climate.draw_regimes(neighbours, joint, waves))


def attribution_section(subject: Subject, results: Sequence[Result]) -> Section:
    """What each source of error does to forecasts."""
    task, leads = subject.online, subject.online.cases.leads
    runs = attribution.Runs(task.cases, subject.regime, subject.climatology)
    X0, history = task.cases.initial(task.test.X), task.cases.history(task.test.X)
    exact = attribution.attribute(
        attribution.ExactForcing(attribution.true_forcing(task)),
        X0,
        runs,
        subject.rng("diagnostics exact"),
        others={
            "missing physics": task.without_closure[0].X.mean(axis=2),
            "closure": subject.forecasts.X.mean(axis=2),
        },
    )
    members = 1 if subject.deterministic else 5
    own = attribution.attribute(
        subject.model, X0, runs, subject.rng("diagnostics own"), history=history, members=members
    )
    std, weights = subject.climatology[1], subject.case_weights
    truth = task.forecast_truth[:, :, None]
    panels = {}
    for title, found in (("resolved model with exact U", exact), ("resolved model with the closure", own)):
        curves = found.curves(weights)
        panels[title] = (curves, skill.rmse_curve(truth[:, :, 0], found.control[:, :, None], weights))
    places = [nearest_lead(leads, lead) for lead in LEADS]
    table = [
        (title, name, *(interval_text(curve, i, std) for i in places))
        for title, (curves, control) in panels.items()
        for name, curve in (*curves.items(), ("unchanged, against the truth", control))
    ]
    changes = attribution.Changes()
    noise = f" Means of members, of {members} at the right, whose sampling noise is in the differences."
    sampling = "" if subject.deterministic else noise
    caption = (
        "Left: forecasts by the resolved model that is told the exact U of the truth at the start of each step, "
        "and what one change at a time does to them: U = 0 (missing physics), U from the closure, F + "
        f"{changes.forcing:g}, a time step {changes.time_step} times as long with U held as long, and initial "
        f"errors of {changes.initial:g} climatological standard deviations. Exact U does not react to the state, "
        "which lets errors grow faster than in the coupled system. Right: the same changes to the resolved model "
        "under the closure, whose U reacts. Shown is the root-mean-square difference from the unchanged "
        "forecast, with 95 % intervals; the dotted line is the error of the unchanged forecast itself."
        f"{sampling}"
    )
    header = ("model", "change", *(f"RMS / std at {leads[i]:g} MTU" for i in places))
    picture = attribution.draw_attribution(leads, panels, std)
    return Section("attribution", caption, header, table, picture)
