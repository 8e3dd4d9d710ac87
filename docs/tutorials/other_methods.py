# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Other methods
#
# The book: [random_forest_parameterization](https://github.com/m2lines/L96_demo/blob/main/notebooks/random_forest_parameterization.ipynb) and
# [GP_lorenz96](https://github.com/m2lines/L96_demo/blob/main/notebooks/GP_lorenz96.ipynb). Trees, forests and boosting learn U of a point from X of the ring, also with an
# earlier state, and a tree's size is to be chosen by random search; a Gaussian process gives U with an uncertainty, which
# is sampled to make a stochastic closure. The book fits to one trajectory of 200 MTU every 0.01, compares runs from one
# state by eye, and splits the rows at random for the search. Rows 0.01 MTU apart are nearly copies of each other; here
# every model is tested on other trajectories.

# %%
import warnings

import numpy as np
from common import Array, Chapter, Claim, World, blocked, committed, r2, score, versus_of, world
from matplotlib.figure import Figure
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits

import l96bench
from l96bench.diagnostics import BLACK, PALETTE
from l96bench.estimators import SparseGaussianProcess

# %% tags=["parameters"]
scale = 1.0  # of the samples; the tests take fewer

# %%
made = Chapter()
system = world("wilks-f18", max(80.0, 200.0 * scale), max(6, round(16 * scale)), max(4, round(8 * scale)), lead=1.0)

# %% [markdown]
# ## How large a tree


# %%
def sizes(world: World, duration: float, leaves: Array) -> dict[str, list[float]]:
    """R² of trees of U_0 from all X, by their number of leaves: on four kinds of rows."""
    run = l96bench.simulate("wilks-f18", duration, interval=0.01, seed=[1, 0], store_fast=False, progress=False)
    test, truth = world.test.X.reshape(-1, 8), world.test.U.reshape(-1, 8)[:, 0]
    found: dict[str, list[float]] = {
        "training rows": [],
        "shuffled rows": [],
        "the end of the run": [],
        "elsewhere": [],
    }
    for shuffle, name in ((True, "shuffled rows"), (False, "the end of the run")):
        X, held, y, held_y = train_test_split(
            run.X, run.U[:, 0], test_size=0.33, shuffle=shuffle, random_state=0 if shuffle else None
        )
        for n in leaves:
            tree = DecisionTreeRegressor(max_leaf_nodes=int(n), random_state=0).fit(X, y)
            found[name].append(r2_score(held_y, tree.predict(held)))
            if not shuffle:
                found["training rows"].append(tree.score(X, y))
                found["elsewhere"].append(r2_score(truth, tree.predict(test)))
    return found


# %% tags=["hide-input"]
def trees(chapter: Chapter, world: World, scale: float) -> None:
    """How many leaves, and how good the tree then is."""
    leaves = np.unique(np.geomspace(8, 8000 if scale >= 0.5 else 2000, 13 if scale >= 0.5 else 7).astype(int))
    found = sizes(world, max(60.0, 200.0 * scale), leaves)
    choice = {name: int(np.argmax(found[name])) for name in ("shuffled rows", "the end of the run", "elsewhere")}
    chapter.numbers |= {
        "leaves": leaves,
        "sizes": found,
        "choice": {name: int(leaves[i]) for name, i in choice.items()},
    }
    rows = [
        (name, f"{leaves[i]}", f"{found[name][i]:.3f}", f"{found['elsewhere'][i]:.3f}") for name, i in choice.items()
    ]
    header = ("leaves chosen on", "leaves", "R² there", "R² on other trajectories")
    chapter.add(l96bench.markdown_table(header, rows, left=header[:1]))

    def draw(made: Figure) -> None:
        ax = made.subplots()
        for (name, values), color, dashes in zip(
            found.items(), (BLACK, *PALETTE), (":", "--", "-.", "-"), strict=False
        ):
            label = "other trajectories" if name == "elsewhere" else name
            ax.plot(leaves, values, color=color, ls=dashes, marker="o", ms=3, label=label)
        ax.set(xscale="log", xlabel="leaves of the tree", ylabel="R² of U", ylim=(0.7, 1.01))
        ax.grid(True)
        ax.legend(loc="lower left", ncols=2)

    chapter.picture("leaves", "R² of a tree by its number of leaves, on four kinds of rows", (6.5, 3.8), draw)
    fair, leaky = found["elsewhere"], choice["shuffled rows"]
    last = found["training rows"][-1] - fair[-1]
    chapter.claims += [
        Claim(
            "random_forest_parameterization",
            "a tree with too many leaves overfits",
            f"with {leaves[-1]} leaves R² {found['training rows'][-1]:.3f} in training, {fair[-1]:.3f} elsewhere, "
            f"best {max(fair):.3f} with {leaves[choice['elsewhere']]}",
            last > 0.05 and fair[-1] < max(fair) - 0.005,
        ),
        Claim(
            "random_forest_parameterization",
            "choose its size by validation (on rows split at random)",
            f"that chooses {leaves[leaky]} leaves and promises {found['shuffled rows'][leaky]:.3f}; elsewhere this "
            f"tree has {fair[leaky]:.3f}",
            found["shuffled rows"][leaky] - fair[leaky] < 0.01,
        ),
    ]


# %%
trees(made, system, scale)

# %% [markdown]
# ## The past


# %%
def boosted(train: l96bench.Trajectory, lags: tuple[float, ...], iterations: int) -> l96bench.LocalRegressor:
    """Gradient boosting of the stencil, now and at lags."""
    trees = HistGradientBoostingRegressor(max_iter=iterations, early_stopping=False, random_state=0)
    return l96bench.LocalRegressor(trees, radius=2, lags=lags).fit(train.X, train.U)


# %% tags=["hide-input"]
def memory(chapter: Chapter, world: World, scale: float) -> None:
    """What the past is worth, offline and online."""
    iterations = max(40, round(120 * scale))
    polynomial = l96bench.PolynomialRegressor(degree=4).fit(world.train.X, world.train.U)
    with threadpool_limits(1, "openmp"):  # with so few rows, threads wait for each other longer than they work
        models = {
            "now": boosted(world.train, (), iterations),
            "now and 0.05 MTU ago": boosted(world.train, (0.05,), iterations),
            "quartic in X now": polynomial,
        }
        offline = {name: world.r2(model) for name, model in models.items()}
        online = {name: world.rmse(model, 1.0) for name, model in models.items()}
    rows = [(name, offline[name].text(".3f"), online[name].text(".3f")) for name in models]
    header = ("boosting sees X of five points", "R² of U", "RMSE / std at 1 MTU")
    chapter.add(l96bench.markdown_table(header, rows, left=header[:1]))
    now, past, quartic = models
    better, ahead, trees = offline[past] - offline[now], online[now] - online[past], online[quartic] - online[now]
    chapter.numbers |= {"memory_r2": better, "memory_forecast": ahead, "trees_forecast": trees}
    chapter.claims += [
        Claim(
            "random_forest_parameterization",
            "the past state is a useful feature",
            f"R² rises by {better.text('.3f')}",
            better.low > 0,
        ),
        Claim(
            "random_forest_parameterization",
            "online too (the book runs it once, from one state)",
            f"RMSE at 1 MTU falls by {ahead.text('.3f')} std",
            ahead.low > 0,
        ),
    ]


# %%
memory(made, system, scale)

# %% [markdown]
# ## The uncertainty of a Gaussian process


# %% tags=["hide-input"]
def gaussian_process(chapter: Chapter, world: World, scale: float) -> None:
    """What the uncertainty of a Gaussian process is, and what its samples are."""
    part = slice(None, None, 4)
    X, U = (array[part].reshape(-1, 1) for array in (world.train.X, world.train.U))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound is no concern in one dimension
        process = SparseGaussianProcess(n_inducing=50, random_state=0).fit(X, U.ravel())
    states, truth = world.test.X[:, ::4], world.test.U[:, ::4]
    mean, total = (values.reshape(states.shape) for values in process.predict(states.reshape(-1, 1), return_std=True))
    function = np.sqrt(np.maximum(total**2 - process.noise_, 0.0))
    inside = {
        "function": blocked((np.abs(truth - mean) < 3.0 * function).mean(axis=(1, 2))[:, None]),
        "function and noise": blocked((np.abs(truth - mean) < 3.0 * total).mean(axis=(1, 2))[:, None]),
    }
    quality = r2(truth, mean, float(world.train.U.mean()))
    ratio = float(function.mean() / np.sqrt(((truth - mean) ** 2).mean()))
    chapter.numbers |= {"inside": inside, "gp_ratio": ratio, "gp_r2": quality}
    chapter.add(
        f"A sparse process of X_k alone, 50 inducing points: R² {quality.text('.3f')}. What the notebook draws as "
        "three standard deviations, and samples for its stochastic closure, is the uncertainty of the *function*, "
        f"without the noise of the data: {ratio:.1%} of the error that the closure makes. It shrinks with more data; "
        "the error does not.",
        l96bench.markdown_table(
            ("three standard deviations of", "hold U in % of all cases"),
            [(name, (100.0 * each).text(".1f")) for name, each in inside.items()],
            left=("three standard deviations of",),
        ),
    )
    chapter.claims.append(
        Claim(
            "GP_lorenz96",
            "sampling the process makes a stochastic closure",
            f"its samples are apart by {ratio:.1%} of the error of the mean, and three of its standard deviations hold "
            f"{(100.0 * inside['function']).text('.0f')} % of U instead of 99.7; with the noise "
            f"{(100.0 * inside['function and noise']).text('.1f')} %",
            inside["function"].high > 0.9,
        )
    )


# %%
gaussian_process(made, system, scale)

# %% [markdown]
# ## On the leaderboard


# %% tags=["hide-input"]
def board(chapter: Chapter) -> None:
    """The same methods on the leaderboard."""
    rows = []
    names = (
        "decision tree",
        "random forest",
        "gradient boosting",
        "gradient boosting, lags",
        "sparse Gaussian process",
    )
    for regime in ("wilks-f20", "arnold-c4"):
        offline, online = (committed(task.format(regime)) for task in ("subgrid-forcing/{}-v1", "online-rollout/{}-v2"))
        for name in (*names, "fitted quartic", "stencil network"):
            if name in online:
                first = score(offline[name]) if name in offline else ""
                rows.append((regime, name, first, score(online[name])))
        versus = versus_of(online["stencil network"], online["random forest"])
        chapter.numbers[f"network_over_forest_{regime}"] = versus
    chapter.add(
        "`subgrid-forcing` (offline) and `online-rollout` (online), F = 20:",
        l96bench.markdown_table(("regime", "entry", "offline", "online"), rows, left=("regime", "entry")),
    )


# %%
board(made)

# %% [markdown]
# ## What survives

# %%
made.show_claims()
