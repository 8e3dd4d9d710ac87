# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Data assimilation
#
# The book: [DA_demo_L96](https://github.com/m2lines/L96_demo/blob/main/notebooks/DA_demo_L96.ipynb) and [Learning-DA-increments](https://github.com/m2lines/L96_demo/blob/main/notebooks/Learning-DA-increments.ipynb). An
# ensemble filter holds the GCM without a closure near the truth; what the filter has to add at each analysis, divided by
# the window, is a picture of what the model lacks, and a network of one point learns it. The book looks at this picture,
# for observations of every X each 0.05 MTU with errors of 0.1, over 20 MTU. Here the learned correction is put into the
# model, which then assimilates and forecasts truths that it was not trained on; and the observations get errors of 1 too.

# %%
from typing import Any

import numpy as np
from common import Array, Chapter, Claim, World, blocked, committed, score, versus_of, world
from matplotlib.figure import Figure

import l96bench
from l96bench.assimilation import ETKF, Cycled, Network, ResolvedModel, cycle
from l96bench.diagnostics import BLACK, BLUE, GREEN, VERMILION, bin_edges

WINDOW = 0.05
INFLATIONS = np.array([1.0, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 1.8, 2.2, 3.0])
SIGMAS = (0.1, 1.0)
"""Observation errors: the book's, and one of the size that its comments offer to try."""

# %% tags=["parameters"]
scale = 1.0  # of the samples; the tests take fewer

# %%
made = Chapter()
system = world("wilks-f18", max(60.0, 200.0 * scale), max(6, round(16 * scale)), max(4, round(8 * scale)))
valid = l96bench.simulate("wilks-f18", 25.0, seed=[1, 2], store_fast=False, progress=False).X

# %% [markdown]
# ## What increments hold


# %%
def assimilate(truth: Array, closure: Any, sigma: float, inflation: Any, seed: int = 1) -> Cycled:
    """Cycles of the resolved model, all points observed, after 100 cycles of spin-up; truth (experiment, time, K)."""
    return cycle(
        truth,
        ResolvedModel("wilks-f18", closure),
        ETKF(),
        Network(8, WINDOW, sigma),
        n_members=20,
        seed=[seed] * len(truth) if np.ndim(inflation) else seed,
        spin_up_cycles=100,
        inflation=inflation,
        limit=20.0,
        progress=False,
    )


# %%
def best_inflation(valid: Array, closure: Any, sigma: float) -> float:
    """The inflation with the smallest background error on a validation truth (time, K)."""
    cycles = assimilate(np.repeat(valid[None], len(INFLATIONS), axis=0), closure, sigma, INFLATIONS)
    return float(INFLATIONS[cycles.pooled_rmse.argmin()])


# %%
def learn(train: Array, valid: Array, sigma: float, rounds: int) -> list[l96bench.Polynomial]:
    """Closures from increments: each round adds what the model of the one before still needs."""
    closures = [l96bench.NoClosure()]
    for _ in range(rounds):
        model = closures[-1]
        cycles = assimilate(train[None], model, sigma, best_inflation(valid, model, sigma))
        increment = l96bench.PolynomialRegressor(degree=4).fit(cycles.background_mean[0], cycles.increments[0])
        added = np.pad(model.coefficients, (0, 5 - len(model.coefficients))) + increment.coef_ / WINDOW
        closures.append(l96bench.Polynomial(added))
    return closures


# %%
def share(closure: l96bench.Polynomial, exact: l96bench.Polynomial, X: Array) -> tuple[float, float]:
    """Slope of a closure against that fitted to the true U, over all X, and its correlation with it."""
    ours, theirs = (model.predict(X).ravel() - model.predict(X).mean() for model in (closure, exact))
    return float(ours @ theirs / (theirs @ theirs)), float(np.corrcoef(ours, theirs)[0, 1])


# %% tags=["hide-input"]
def skills(chapter: Chapter, world: World, valid: Array, rounds: int) -> dict[float, list[l96bench.Polynomial]]:
    """Background errors and forecasts of corrected models, and what share of U the increments hold."""
    linear, exact = (l96bench.PolynomialRegressor(degree).fit(world.train.X, world.train.U) for degree in (1, 4))
    learned, rows, numbers = {}, [], {}
    for sigma in SIGMAS:
        learned[sigma] = learn(world.train.X, valid, sigma, rounds)
        models = {"no closure": learned[sigma][0], "increments": learned[sigma][1]}
        models |= {f"increments, {rounds} rounds": learned[sigma][-1], "linear fitted to U": linear.closure()}
        models["quartic fitted to U"] = exact.closure()
        errors = {}
        for name, model in models.items():
            cycles = assimilate(world.test.X, model, sigma, best_inflation(valid, model, sigma))
            errors[name] = blocked(cycles.background_rmse**2, np.sqrt)
            slope, correlation = share(model, exact.closure(), world.test.X) if name != "no closure" else (0.0, 0.0)
            forecast = world.rmse(model, 1.0)
            numbers[sigma, name] = {
                "background": errors[name],
                "share": slope,
                "correlation": correlation,
                "forecast": forecast,
            }
            shown = ("", "") if name == "no closure" else (f"{slope:.2f}", f"{correlation:.3f}")
            rows.append((f"{sigma:g}", name, *shown, errors[name].text(".3f"), forecast.text()))
    header = (
        "observation error",
        "closure",
        "slope against U's",
        "correlation",
        "background RMSE",
        "RMSE / std at 1 MTU",
    )
    chapter.add(
        "Quartics in X from the increments divided by the window, against the quartic fitted to the true U, over the "
        "X of the test trajectories: slope 1 is all of U. Then what the models do: the background error of the filter, "
        "its inflation chosen for each model on a validation truth, and free forecasts.",
        l96bench.markdown_table(header, rows, left=header[1:2]),
    )
    chapter.numbers |= {"rounds": rounds, "skills": numbers}
    return learned


# %%
learned = skills(made, system, valid, rounds=4)


# %% tags=["hide-input"]
def claims(chapter: Chapter) -> None:
    """What survives."""
    found, last = chapter.numbers["skills"], f"increments, {chapter.numbers['rounds']} rounds"

    def get(sigma: float, name: str, key: str) -> Any:
        return found[sigma, name][key]

    gain = {s: get(s, "no closure", "background") - get(s, "increments", "background") for s in SIGMAS}
    left = {s: get(s, "increments", "background") - get(s, "quartic fitted to U", "background") for s in SIGMAS}
    again = get(1.0, "increments", "background") - get(1.0, last, "background")
    ahead = get(0.1, "increments", "forecast") - get(0.1, "quartic fitted to U", "forecast")
    chapter.numbers |= {"gain": gain, "left": left, "again": again, "ahead": ahead}
    shares = [f"{get(s, 'increments', 'share'):.2f} at error {s:g}" for s in SIGMAS]
    chapter.claims += [
        Claim(
            "DA_demo_L96",
            "a filter holds a model with missing physics near the truth",
            "background RMSE "
            + ", ".join(f"{get(s, 'no closure', 'background').text()} for observation errors of {s:g}" for s in SIGMAS),
            all(get(s, "no closure", "background").high < 1.5 for s in SIGMAS),
        ),
        Claim(
            "Learning-DA-increments",
            "increments with accurate observations have the structure of the closure",
            f"slope against the closure {shares[0]}",
            abs(get(0.1, "increments", "share") - 1.0) < 0.1,
        ),
        Claim(
            "Learning-DA-increments",
            "it can be tried with less certain observations as well",
            f"slope {shares[1]}, correlation {get(1.0, 'increments', 'correlation'):.3f} (at 0.1 "
            f"{get(0.1, 'increments', 'correlation'):.3f}); free forecasts {get(1.0, 'increments', 'forecast').text()} "
            f"std at 1 MTU, a linear closure fitted to U {get(1.0, 'linear fitted to U', 'forecast').text()}",
            abs(get(1.0, "increments", "share") - 1.0) < 0.1,
        ),
        Claim(
            "Learning-DA-increments",
            "the learned correction makes the GCM better (not tried in the book)",
            "background RMSE falls by "
            + ", ".join(f"{gain[s].text('.3f')} at {s:g}" for s in SIGMAS)
            + f"; without closure, free forecasts at 1 MTU {get(0.1, 'no closure', 'forecast').text()} std, with it "
            f"{get(0.1, 'increments', 'forecast').text()}",
            all(gain[s].low > 0 for s in SIGMAS),
        ),
        Claim(
            "Learning-DA-increments",
            "as well as a closure that was fitted to U would (not tried in the book)",
            "what a closure fitted to U is still better by in the cycle: "
            + ", ".join(f"{left[s].text('.3f')} at {s:g}" for s in SIGMAS)
            + f"; more rounds gain {again.text('.3f')} at 1",
            left[1.0].low <= 0,
        ),
    ]


# %%
claims(made)


# %% tags=["hide-input"]
def pictures(chapter: Chapter, world: World, learned: dict[float, list[l96bench.Polynomial]]) -> None:
    """The closures that increments give, over U."""

    def draw(made: Figure) -> None:
        x = bin_edges(world.test.X, (0.2, 99.8), 100)
        axes = made.subplots(1, 2, sharey=True)
        exact = l96bench.PolynomialRegressor(degree=4).fit(world.train.X, world.train.U)
        for ax, sigma in zip(axes, SIGMAS, strict=True):
            ax.hexbin(
                *(world.train.X.ravel(), world.train.U.ravel()),
                gridsize=45,
                cmap="Greys",
                bins="log",
                mincnt=1,
                linewidths=0,
                alpha=0.6,
            )
            _, first, *_, last = learned[sigma]
            ax.plot(x, exact.closure().predict(x), color=BLACK, label="fitted to U")
            ax.plot(x, first.predict(x), color=VERMILION, label="increments / window")
            ax.plot(x, last.predict(x), color=BLUE, ls="--", label=f"{chapter.numbers['rounds']} rounds of them")
            ax.set(xlabel="X$_k$", title=f"observation error {sigma:g}", ylim=(-17, 11))
        axes[0].plot(
            x, l96bench.PUBLISHED["wilks2005_f18"].polynomial.predict(x), color=GREEN, ls=":", label="Wilks 2005"
        )
        axes[0].set_ylabel("U$_k$")
        axes[0].legend(loc="lower left")

    chapter.picture("increments", "Closures from increments over the true U", (8.5, 3.8), draw)


# %%
pictures(made, system, learned)

# %% [markdown]
# ## On the leaderboard


# %% tags=["hide-input"]
def board(chapter: Chapter) -> None:
    """The same on the leaderboard's tracks."""
    rows = []
    for track in ("dense", "sparse"):
        results = committed(f"da-increment/{track}-v1")
        names = [
            n
            for n in ("linear increment", "linear increment, iterated", "increment network", "fitted quartic")
            if n in results
        ]
        rows += [(track, name, results[name].model.kind, score(results[name])) for name in names]
        if "fitted quartic" in results:
            best = max((results[n] for n in names if n != "fitted quartic"), key=lambda each: each.score.value)
            chapter.numbers[f"board_{track}"] = versus_of(results["fitted quartic"], best)
    chapter.add(
        "`da-increment` asks the same at F = 20 with all points observed with errors of 1 (dense) and for 20 random "
        "points of 40 (sparse): 0 is the model without a closure, 100 the perfect model. Only the quartic saw U.",
        l96bench.markdown_table(("track", "entry", "kind", "score"), rows, left=("track", "entry", "kind")),
    )


# %%
board(made)

# %% [markdown]
# ## What survives

# %%
made.show_claims()
