"""The trials behind docs/search.md: closures trained on some data and validated, each kept in the cache folder."""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

import l96bench
from l96bench.estimators import (
    HeteroscedasticRegressor,
    InvertedPolynomial,
    MarkovChainRegressor,
    MemoryPolynomialRegressor,
    OnlineStochasticRegressor,
    ProbabilisticRecurrentRegressor,
    RecurrentRegressor,
    RingNetwork,
    SparseGaussianProcess,
    StochasticRegressor,
    TunedPolynomial,
)
from l96bench.metrics import DistanceGrid, crps, member_cdfs, rmse_by_lead, spread_by_lead

BUDGETS = (10.0, 100.0, 500.0, 2000.0)
LAGS = (0, 1, 2, 5, 10)
CASES = l96bench.Cases(per_trajectory=95, n_trajectories=1, spacing=2.0, lead=2.0)
"""Forecasts from the validation trajectory, five in each block of 10 MTU."""
BLOCK = 200
"""Rows in a block of 10 MTU; the first block is not scored, so that every memory is full."""
BLOCKS = 19


@dataclass(frozen=True)
class Data:
    """Training and validation trajectories of a regime, and how validation forecasts and climates are scored."""

    X: NDArray[np.float64]
    U: NDArray[np.float64]
    X_valid: NDArray[np.float64]
    U_valid: NDArray[np.float64]
    grid: DistanceGrid
    cdfs: NDArray[np.float64]


Row = tuple[str, Any, float, bool]
"""A label, an estimator, MTU of training data, and whether it is run online."""


@lru_cache(maxsize=1)
def data(regime: str) -> Data:
    """The trajectories of a regime."""
    task = l96bench.make_task(f"subgrid-forcing/{regime}-v1")
    X, U, X_valid, U_valid = (
        np.array(array).reshape(-1, task.regime.K) for array in (task.train.X, task.train.U, task.valid.X, task.valid.U)
    )
    grid = DistanceGrid.from_truth(X[:, None], 0.05)
    return Data(X, U, X_valid, U_valid, grid, member_cdfs(X[:, None], 0.05, grid)[0])


def distance(regime: str, X: NDArray[np.float64]) -> float:
    """The climate distance of a run (time, member, K) to the training trajectory."""
    known = data(regime)
    apart = np.abs(member_cdfs(X, 0.05, known.grid).mean(axis=0) - known.cdfs).sum(axis=-1)
    return float(np.mean(known.grid.width * apart / np.asarray(known.grid.std)))


def tried(regime: str, model: Any, budget: float, online: bool) -> tuple[Any, ...]:
    """Train a model on the first `budget` MTU and validate it: sums over blocks, plain values to be kept."""
    known, n = data(regime), round(budget / 0.05)
    began = time.process_time()
    model = clone(model).fit(known.X[:n], known.U[:n])
    seconds = time.process_time() - began
    squares = [(model.predict(known.X_valid) - known.U_valid) ** 2, (known.U_valid - known.U.mean()) ** 2]
    sse, sst = (each[BLOCK:].reshape(-1, BLOCK * known.X.shape[1]).sum(axis=1) for each in squares)
    if not online:
        return sse, sst, seconds
    closure = l96bench.as_closure(model)
    members = 1 if closure.deterministic else CASES.members
    starts, past = CASES.initial(known.X_valid[None]), CASES.history(known.X_valid[None])
    many = l96bench.rollout(
        model,
        np.repeat(starts, members, axis=0),
        CASES.lead + CASES.interval,
        regime=regime,
        history=np.repeat(past, members, axis=1),
        rng=np.random.default_rng(1),
        progress=False,
    ).X[1:]
    X = many.reshape(len(CASES.leads), len(CASES), members, -1)
    truth = CASES.truth(known.X_valid[None])
    blocks = crps(truth, X).mean(axis=0).reshape(BLOCKS, 5).mean(axis=1)
    one = round(1.0 / CASES.interval) - 1
    spread = spread_by_lead(X)[one] / rmse_by_lead(truth, X)[one]
    free = l96bench.rollout(
        *(model, starts[::2], 100.0),
        regime=regime,
        spin_up=60.0,
        history=past[:, ::2],
        rng=np.random.default_rng(2),
        progress=False,
    )
    apart = distance(regime, free.X) if free.survived.all() else np.inf
    return sse, sst, seconds, blocks, apart, float(spread)


def ceiling(regime: str) -> tuple[NDArray[np.float64], float]:
    """CRPS by block of perfect physics from the validation starts, and the distance of a second sample of the truth."""

    def seed_of(regime: l96bench.Regime, stream: str) -> tuple[int, ...]:
        return l96bench.split_seed(regime, "valid" if stream == "climate" else stream)

    task = l96bench.make_task(f"online-rollout/{regime}-v2")
    X = l96bench.perfect_forecast(task.regime, CASES, progress=False, threads=1, seed_of=seed_of)
    blocks = crps(CASES.truth(data(regime).X_valid[None]), X).mean(axis=0).reshape(BLOCKS, 5).mean(axis=1)
    return blocks, distance(regime, task.truth_climates[""][1].X[:2000])


def network(radius: int = 2, lags: int = 0) -> Any:
    """The stencil network 64-64, with whitened lags of 0.05 MTU each if there are any."""
    past = tuple(round(0.05 * (i + 1), 2) for i in range(lags))
    return l96bench.LocalRegressor(l96bench.TorchRegressor(whiten=lags > 0), radius=radius, lags=past)


def options(regime: str) -> list[Row]:
    """Baselines that are not networks beside themselves with other options: sizes, memory, horizon."""
    quartic = {"degree": 4, "regime": regime}

    def stencil(estimator: Any) -> Any:
        return l96bench.LocalRegressor(estimator, radius=2)

    tried = {
        **{
            f"quartic, Powell, {horizon:g} MTU": TunedPolynomial(**quartic, objective="trajectories", horizon=horizon)
            for horizon in (0.1, 0.2, 0.5, 1.0)
        },
        **{f"quartic, inversion, {n} iterations": InvertedPolynomial(**quartic, n_iterations=n) for n in (6, 12)},
        **{
            f"memory polynomial, {n} lags{', advection' if advection else ''}": MemoryPolynomialRegressor(
                x_lags=n, u_lags=n, advection=advection
            )
            for n in (1, 2)
            for advection in (False, True)
        },
        **{f"Markov chain, {n} states": MarkovChainRegressor(n_states=n) for n in (4, 8, 16)},
        **{
            f"decision tree, {n} a leaf": stencil(DecisionTreeRegressor(min_samples_leaf=n, random_state=0))
            for n in (50, 200, 800)
        },
        **{
            f"random forest, {n} a leaf": stencil(
                RandomForestRegressor(10, min_samples_leaf=n, max_samples=0.25, random_state=0)
            )
            for n in (10, 30, 100)
        },
        **{
            f"gradient boosting, {n} trees": stencil(
                HistGradientBoostingRegressor(max_iter=n, learning_rate=10.0 / n, max_depth=5, random_state=0)
            )
            for n in (20, 40, 80)
        },
        **{
            f"sparse Gaussian process, {n} points": stencil(SparseGaussianProcess(n, random_state=0))
            for n in (50, 100, 200)
        },
    }
    return [(name, model, BUDGETS[-1], True) for name, model in tried.items()]


def rows(regime: str) -> dict[str, list[Row]]:
    """All experiments on a regime, by title."""
    small, full = l96bench.TorchRegressor(hidden=(16, 16), epochs=4), BUDGETS[-1]
    informed, ar1 = RecurrentRegressor(radius=3, infer_past=True), l96bench.AR1Regressor
    online = OnlineStochasticRegressor(l96bench.get_regime(regime).F, horizon=0.5, steps=500)
    kinds = {"network": network(3), "GRU": RecurrentRegressor(radius=3), "GRU, inferred past": informed}
    noises = {
        "network, no noise": network(),
        "network + white noise": StochasticRegressor(network(), white=True),
        "network + AR(1)": ar1(network()),
        "network + AR(1), size by state": HeteroscedasticRegressor(network(), l96bench.LocalRegressor(small, radius=2)),
        "network and noise trained online": online,
        "GRU, no noise": RecurrentRegressor(),
        "GRU + AR(1)": ar1(RecurrentRegressor()),
        "probabilistic RNN": ProbabilisticRecurrentRegressor(),
        "GRU, inferred past, no noise": informed,
        "GRU, inferred past + AR(1)": ar1(informed),
        "probabilistic RNN, inferred past": ProbabilisticRecurrentRegressor(infer_past=True),
    }
    return {
        "data": [(name, model, budget, False) for name, model in kinds.items() for budget in BUDGETS],
        "radius": [
            *(("network", network(r), full, False) for r in range(4)),
            ("network", RingNetwork((24, 24, 24, 24)), full, False),
            *(("GRU", RecurrentRegressor(radius=r), full, False) for r in range(4)),
            *(("GRU, inferred past", RecurrentRegressor(radius=r, infer_past=True), full, False) for r in (2, 3)),
        ],
        "memory": [
            *(("network", network(2, lags), full, False) for lags in LAGS),
            ("GRU", RecurrentRegressor(), full, False),
            ("GRU, inferred past", RecurrentRegressor(infer_past=True), full, False),
            ("GRU, inferred past, 64 units", RecurrentRegressor(units=64, radius=3, infer_past=True), full, False),
        ],
        "noise": [(name, model, full, True) for name, model in noises.items()],
        "data, online": [
            (name, noises[name], budget, True)
            for name in ("network + AR(1)", "probabilistic RNN")
            for budget in BUDGETS
        ],
        "form": [
            *((f"radius {r}", ProbabilisticRecurrentRegressor(radius=r), full, True) for r in range(4)),
            *(
                (f"radius 2, {units} units", ProbabilisticRecurrentRegressor(units=units), full, True)
                for units in (8, 32)
            ),
        ],
        "options": options(regime),
    }


def plain(values: tuple[Any, ...]) -> list[Any]:
    """The values of a trial as JSON has them: lists, and none for the climate distance of a closure that blew up."""
    numbers = [np.asarray(value, dtype=float).tolist() for value in values]
    return [None if each == np.inf else each for each in numbers]


def experiments(regime: str) -> dict[str, list[list[Any]]]:
    """The values of all trials of a regime, by title, and of perfect physics."""
    keep = joblib.Memory(l96bench.cache_folder() / "search", verbose=0)
    run, found = keep.cache(tried), {"ceiling": [plain(keep.cache(ceiling)(regime))]}
    for title, trials in rows(regime).items():
        found[title] = []
        for name, model, budget, online in trials:
            found[title].append(plain(run(regime, model, budget, online)))
            print(f"{regime}, {title}: {name}, {budget:g} MTU", flush=True)
    return found
