"""The measurements behind the definitions, as docs/measurements.md. Run by `make measurements`.

`PYTHONPATH=. python docs/measurements.py "Coverage of the intervals"` remakes one section and keeps the others.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from interval_coverage import coverage
from kernel_speed import kernel_speed
from scipy.stats import wasserstein_distance

import l96bench
from l96bench.metrics import (
    QUANTITIES,
    DistanceGrid,
    block_sums,
    bootstrap_indices,
    interval,
    member_cdfs,
    quantity,
    r2_replicates,
    resampling_weights,
    wasserstein,
)

PAGE = Path(__file__).with_suffix(".md")


def third_scale() -> str:
    """What Z does in the three-scale regime, and what is left without it."""
    regime = l96bench.get_regime("three-scale")
    full = l96bench.simulate(regime, 500.0, interval=0.5)
    without = l96bench.simulate(replace(regime, I=0), 500.0, interval=0.5)
    Y, Z = full.Y, full.Z
    assert Y is not None
    assert Z is not None
    follow = np.corrcoef(Z.mean(axis=-1).ravel(), Y.ravel())[0, 1]
    slope = (Z.mean(axis=-1) * Y).mean() / (Y * Y).mean()
    rows = []
    for name, run in (("with Z", full), ("without", without)):
        assert run.Y is not None
        numbers = (f"{run.X.std():.2f}", f"{run.Y.std():.3f}", f"{run.U.mean():.2f}", f"{run.U.std():.2f}")
        rows.append((name, *numbers))
    damping = 1.0 + regime.h * regime.e / regime.d * regime.I * slope / regime.c
    caption = (
        f"`three-scale`, 500 MTU. The mean of the Z in a sector has a correlation of {follow:.4f} with its Y and is "
        f"{slope:.5f} Y on average: Z is slaved to Y, and acts as if the damping c of Y were {damping:.4f} c."
    )
    return f"{caption}\n\n" + l96bench.markdown_table(("", "std of X", "std of Y", "mean of U", "std of U"), rows)


def two_targets() -> str:
    """The exact coupling and the forward difference, which the classic papers fitted."""
    h = 0.005
    rows = []
    for name, published in (("wilks-f20", "arnold2013_c10"), ("arnold-c4", "arnold2013_c4")):
        regime = l96bench.get_regime(name)
        run = l96bench.simulate(regime, 500.0, interval=h, store_fast=False)
        X, step = run.X[:-1], np.diff(run.X, axis=0) / h
        resolved = np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + regime.F
        for target, U in (("exact coupling", run.U[:-1]), ("forward difference", step - resolved)):
            coefficients = l96bench.PolynomialRegressor(degree=3).fit(X, U).coef_
            rows.append((name, target, *(f"{value:.5f}" for value in -coefficients)))
        printed = -l96bench.PUBLISHED[published].polynomial.coefficients
        rows.append((name, "Arnold et al. 2013, as published", *(f"{value:g}" for value in printed)))
    return (
        f"Cubics in X, fitted to 500 MTU every {h} MTU, with the papers' sign (to be subtracted). The published "
        "numbers are those of the forward difference, in both regimes.\n\n"
        + l96bench.markdown_table(("regime", "target", "b0", "b1", "b2", "b3"), rows)
    )


@cache
def quartic() -> tuple[l96bench.Task, l96bench.PolynomialRegressor]:
    """The offline task of `wilks-f20` and the quartic that is fitted to its training data."""
    task = l96bench.make_task("subgrid-forcing/wilks-f20-v1")
    return task, l96bench.PolynomialRegressor().fit(task.train.X, task.train.U)


def blocks(task: l96bench.Task, model: l96bench.PolynomialRegressor) -> str:
    """Width of the interval of an offline score against the length of the blocks."""
    mean = float(np.mean(task.train.U))
    truth, prediction = np.array(task.test.U), model.predict(task.test.X.reshape(-1, 8)).reshape(task.test.U.shape)
    rows = []
    for length in (0.05, 0.5, 1.0, 5.0, 10.0, 20.0, 50.0):
        sse, sst = block_sums(truth, prediction, mean, round(length / task.test.interval))
        weights = resampling_weights(bootstrap_indices(len(sse)), len(sse))
        low, high = interval(100.0 * r2_replicates(weights, sse, sst))
        rows.append((length, len(sse), f"{high - low:.3f}"))
    return (
        "Fitted quartic, `subgrid-forcing/wilks-f20-v1`: the interval stops growing below blocks of 10 MTU.\n\n"
        + l96bench.markdown_table(("block (MTU)", "blocks", "width of the 95 % interval (points)"), rows)
    )


def grid(task: l96bench.Task, model: l96bench.PolynomialRegressor) -> str:
    """Distances on the grid against SciPy's exact ones."""
    truth = l96bench.simulate(task.regime, 200.0, n_trajectories=20, seed=1, store_fast=False).X.swapaxes(0, 1)
    run = l96bench.rollout(model, truth[0], 200.0, regime=task.regime).X
    cells = DistanceGrid.from_truth(truth, 0.05)
    on_grid = wasserstein(
        member_cdfs(run, 0.05, cells).mean(axis=0), member_cdfs(truth, 0.05, cells).mean(axis=0), cells
    )
    rows = []
    for i, name in enumerate(QUANTITIES):
        a, b = (quantity(name, X, 0.05).ravel() for X in (run, truth))
        exact = wasserstein_distance(a, b) / cells.std[i]
        rows.append((name, f"{on_grid[i]:.6f}", f"{exact:.6f}", f"{abs(on_grid[i] - exact):.1e}"))
    return "Fitted quartic against the truth, `wilks-f20`, 20 members of 200 MTU.\n\n" + l96bench.markdown_table(
        ("quantity", "on the grid", "scipy.stats.wasserstein_distance", "difference"), rows
    )


def drift(task: l96bench.Task, model: l96bench.PolynomialRegressor) -> str:
    """How long a closure that starts on the truth needs to reach its own climate."""
    reference = l96bench.simulate(task.regime, 200.0, n_trajectories=50, seed=2, store_fast=False).X.swapaxes(0, 1)
    run = l96bench.rollout(model, reference[-1], 320.0, regime=task.regime).X
    rows = []
    for start, end in ((0, 5), (10, 20), (20, 40), (40, 80), (80, 160), (160, 320)):
        window = run[round(start / 0.05) : round(end / 0.05)]
        rows.append((f"{start}-{end}", f"{wasserstein_distance(window.ravel(), reference.ravel()):.3f}"))
    return (
        "Fitted quartic started on the truth of `wilks-f20`, 50 members: 1-Wasserstein distance of X from it.\n\n"
        + l96bench.markdown_table(("window (MTU)", "distance"), rows)
    )


def step(task: l96bench.Task, model: l96bench.PolynomialRegressor) -> str:
    """Whether the step of the resolved model, over which U is held, matters."""
    X = np.array(task.test.X)
    starts = X[:, 40:3900:78].reshape(-1, 8)
    truth = X[:, 60:3920:78].reshape(-1, 8)
    rows = []
    for dt in (0.05, 0.01, 0.005, 0.0025):
        after = l96bench.rollout(model, starts, 1.05, regime=task.regime, dt=dt).X[20]
        climate_run = l96bench.rollout(model, starts[::5], 200.0, regime=task.regime, dt=dt, spin_up=100.0).X
        distance = wasserstein_distance(climate_run.ravel(), X.ravel())
        rows.append((dt, f"{np.sqrt(np.mean((after - truth) ** 2)):.3f}", f"{distance:.3f}"))
    caption = (
        f"Fitted quartic, `wilks-f20`: RMSE of {len(starts)} forecasts after 1 MTU, and 1-Wasserstein distance of X "
        f"from the test data in {len(starts[::5])} runs of 200 MTU after 100. Held over 0.05 MTU, U alters the "
    )
    return f"{caption}\n\n" + l96bench.markdown_table(("dt (MTU)", "RMSE", "distance"), rows)


def equal_closures() -> str:
    """How far apart the scores of closures are that differ in the ninth digit: what is left of chance in one row."""
    task, fitted = l96bench.make_task("online-rollout/wilks-f20-v2"), quartic()[1].closure()
    same = [l96bench.Polynomial(np.array(fitted.coefficients) * (1.0 + 1e-10 * i)) for i in range(5)]
    scores = [task.evaluate(closure).score for closure in same]
    values = np.array([score.value for score in scores])
    half = (scores[0].high - scores[0].low) / 2
    return (
        f"Five quartics on `{task.id}` whose coefficients are equal to nine digits score "
        f"{', '.join(f'{value:.2f}' for value in values)}: chaos makes another sample of the climate of each. Their "
        f"standard deviation is {values.std(ddof=1):.2f}; half the 95 % interval of the first is {half:.2f}."
    )


def modelled() -> str:
    """What honest closures do in the tests of restarts and of the distance from the training data."""
    rows = []
    for task in l96bench.list_tasks("online-rollout"):
        results = l96bench.read_results(PAGE.parents[1] / "leaderboard" / "results" / task)
        metrics = [each.metrics for each in results if each.competes]
        ends = []
        for name in ("restart", "training_distance"):
            values = [each[name].value for each in metrics if name in each]
            ends += [f"{min(values):.2f}", f"{max(values):.2f}"]
        rows.append((task, len(metrics), *ends))
    caption = (
        "The committed rows of `online-rollout` but the references. A row above 2 in `restart`, beyond its interval, "
        "or below 0.5 in `training_distance` has no rank."
    )
    header = ("task", "rows", "restart, smallest", "largest", "training_distance, smallest", "largest")
    return f"{caption}\n\n" + l96bench.markdown_table(header, rows)


def iterations() -> str:
    """What limits learning from increments, and what learning again on one's own analyses brings."""
    task = l96bench.make_task("da-increment/dense-v1")
    assert isinstance(task, l96bench.DAIncrement)
    samples, rows = task.train, []
    for passes in range(1, 5):
        model = l96bench.PolynomialRegressor(degree=1).fit(samples.X, samples.U)
        result = task.evaluate(model)
        mean, (intercept, slope) = samples.U.mean() / task.track.window, model.coef_ / task.track.window
        rmse = result.metrics["background_rmse"].value
        numbers = (f"{mean:.2f}", f"{intercept:.2f}", f"{slope:.2f}", f"{rmse:.3f}", f"{result.score.value:.1f}")
        rows.append((passes, *numbers))
        samples = task.train_again(model)
    run = l96bench.simulate(task.regime, 500.0, seed=1, store_fast=False)
    intercept, slope = l96bench.PolynomialRegressor(degree=1).fit(run.X, run.U).coef_
    caption = (
        f"Linear correction on `dense`, all per MTU. U has a mean of {run.U.mean():.2f}, and its fit is "
        f"{intercept:.2f} {slope:+.2f} X. Increments show less than half of the mean: an analysis moves only part of "
        "the way from the background to the truth. Learning again from the corrected model's own analyses adds, pass "
        "by pass, what was left."
    )
    header = ("passes", "mean of the total increments", "intercept", "slope", "background RMSE", "score")
    return f"{caption}\n\n" + l96bench.markdown_table(header, rows)


def effective() -> str:
    """The equation of X that data show where Y is hidden, beside the one that is there."""
    rows: list[tuple[str, ...]] = []
    task = l96bench.make_task("equation-recovery/hidden-v1")
    for name in ("weak-h01", "wilks-f18"):
        instance = l96bench.textbook_instance(name)
        true = instance.coefficients
        advection = (f"{true.a1:.3f}", f"{-true.a2:.3f}")
        rows.append((name, "true, without U", f"{-true.d:.2f}", f"{true.F:.2f}", *advection, ""))
        problem = replace(task.problems[0], instance=instance, budget=100.0)
        X, U = problem.pairs()
        slope, intercept = np.polyfit(X.ravel(), U.ravel(), 1)
        linear = (f"{slope - true.d:.2f}", f"{intercept + true.F:.2f}")
        rows.append((name, "and U linear in X, fitted to U itself", *linear, *advection, ""))
        model = l96bench.find_entry("er_symmetric_weak")[0].make(task, 0)
        for noise in (0.0, 0.05):
            texts = model.fit(*replace(problem, noise=noise).observed()).equations()
            found = l96bench.EquationSet.parse(texts, instance.K)
            terms = found.monomials(2)
            numbers = [terms.get(term, 0.0) for term in (((2, 1),), (), ((1, 1), (3, 1)), ((0, 1), (1, 1)))]
            places = [f"{value:.{digits}f}" for value, digits in zip(numbers, (2, 2, 3, 3), strict=True)]
            support = l96bench.EquationSet.parse(instance.texts, instance.K).support
            wrong = f"{len(found.support - support)} false, {len(support - found.support)} missed"
            rows.append((name, f"found, noise {100 * noise:g} %", *places, wrong))
    caption = (
        "100 MTU of X every 0.01 MTU, Y hidden; `symmetric weak SINDy`. What is found are not the coefficients of the "
        "resolved equation but *effective* ones. U follows X, and what of it is linear in X looks like damping and "
        "forcing to whoever sees X alone: fitted to U itself, it explains what was found. With weak coupling the two "
        "nearly agree."
    )
    header = ("regime", "equation", "damping", "forcing", "X_{k-1} X_{k+1}", "X_{k-1} X_{k-2}", "of 32 terms")
    return f"{caption}\n\n" + l96bench.markdown_table(header, rows, left=header[:2])


def kept() -> dict[str, str]:
    """Return the sections of the page as it is, by title."""
    parts = PAGE.read_text(encoding="utf-8").split("\n\n## ")[1:] if PAGE.is_file() else []
    return {title: text.strip() for title, text in (part.split("\n\n", 1) for part in parts)}


def main() -> None:
    """Write docs/measurements.md: all sections, or those that the command line names and the others as they are."""
    sections: dict[str, Callable[[], str]] = {
        "The third scale": third_scale,
        "Two targets": two_targets,
        "Length of bootstrap blocks": lambda: blocks(*quartic()),
        "Coverage of the intervals": coverage,
        "Distances on a grid": lambda: grid(*quartic()),
        "Drift to a closure's own climate": lambda: drift(*quartic()),
        "Step of the resolved model": lambda: step(*quartic()),
        "Equal closures": equal_closures,
        "Modelled, not recalled": modelled,
        "Learning from increments": iterations,
        "Effective equations": effective,
        "Speed of the truth": kernel_speed,
    }
    parser = argparse.ArgumentParser(description="Remake docs/measurements.md.")
    parser.add_argument("titles", nargs="*", metavar="TITLE", help="sections to remake")
    named, old = parser.parse_args().titles or list(sections), kept()
    if unknown := set(named) - set(sections):
        parser.error(f"expected titles among {list(sections)}, got {sorted(unknown)}")
    texts = {title: make() if title in named else old[title] for title, make in sections.items()}
    parts = ["# Measurements", "Made by `make measurements` (`docs/measurements.py`)."]
    parts += [f"## {title}\n\n{text}" for title, text in texts.items()]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
