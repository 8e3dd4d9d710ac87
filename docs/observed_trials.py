"""What limits a closure that is learned from observations: runs for docs/headroom.md, made by docs/headroom.py."""

from typing import Any

import joblib
import numpy as np

import l96bench
from l96bench.assimilation import OBSERVED_TRACKS, ExpectationMaximization, Network, ObservedSeries
from l96bench.tasks import Work

BASE: dict[str, float] = {"std": 1.0, "window": 0.05, "points": 8, "duration": 1000.0}
"""How `wilks-f20-dense` is observed."""
VARIED: dict[str, tuple[float, ...]] = {
    "std": (0.25, 0.5, 2.0),
    "window": (0.1, 0.2, 0.4),
    "points": (6, 4),
    "duration": (60.0, 250.0),
}
"""What is varied, one at a time."""
FIRST_ROUNDS = 15


def observations(std: float, window: float, points: float, duration: float) -> ObservedSeries:
    """Observations of a trajectory of `wilks-f20` of its own."""
    rng = np.random.default_rng(1)
    run = l96bench.simulate("wilks-f20", duration, seed=(20,), store_fast=False, progress=False)
    X = run.X[:: round(window / 0.05)]
    values = X + std * rng.standard_normal(X.shape)
    n = int(points)
    if n < X.shape[1]:
        values[rng.random(X.shape).argsort(axis=1) >= n] = np.nan
    network = Network(X.shape[1], window, std, n_random=n if n < X.shape[1] else None)
    return ObservedSeries(values, network, l96bench.get_regime("wilks-f20").F)


def score(regime: str, model: Any) -> float:
    """The score on the test of a regime, as in `observed-closure`."""
    task = l96bench.make_task(f"observed-closure/{regime}-dense-v1").online
    return float(task.assess(task.as_run(model), Work(progress=False)).score)


def varied(**changes: float) -> float:
    """The score of a quartic by expectation-maximization, observed in another way."""
    return score("wilks-f20", ExpectationMaximization(first_rounds=FIRST_ROUNDS).fit(observations(**BASE | changes)))


def oracle(track: str) -> dict[str, float]:
    """The scores of a quartic that is given U, and of expectation-maximization that begins with it."""
    task = l96bench.make_task(f"observed-closure/{track}-v1")
    truth = task.online.train
    given = ExpectationMaximization().given_U(truth.X, truth.U)
    from_it = ExpectationMaximization(start=given.model_).fit(task.train)
    regime = task.regime.id
    return {"given U": score(regime, given), "from it": score(regime, from_it)}


def measure() -> dict[str, Any]:
    """All runs, by what is varied and by track."""
    changes = [{}, *({name: value} for name, values in VARIED.items() for value in values)]
    run = joblib.Parallel(n_jobs=-1)
    scores = run(joblib.delayed(varied)(**change) for change in changes)
    oracles = run(joblib.delayed(oracle)(track) for track in OBSERVED_TRACKS)
    rows = [[*next(iter(change.items()), ("base", 0.0)), found] for change, found in zip(changes, scores, strict=True)]
    return {"varied": rows, "oracles": dict(zip(OBSERVED_TRACKS, oracles, strict=True))}
