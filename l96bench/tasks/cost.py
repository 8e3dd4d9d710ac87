"""The size of a model and the time of a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from l96bench.dynamics.closures import as_closure, checked_start, checked_step
from l96bench.dynamics.truth import TRUTH_DT, advance, random_state
from l96bench.errors import ModelError
from l96bench.regimes import Regime
from l96bench.results.record import Cost

__all__ = ["count_parameters", "measure_cost"]


def count_parameters(model: Any) -> int | None:
    """Return the number of fitted parameters of a model (weights, coefficients, thresholds and leaves), if known."""
    try:
        return _count_parameters(model)
    except Exception:  # a user's model may mean anything by these names
        return None


def _count_parameters(model: Any) -> int | None:
    if hasattr(model, "estimators_"):
        parts = model.estimators_.ravel() if isinstance(model.estimators_, np.ndarray) else model.estimators_
        counts = [_count_parameters(part) for part in parts]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None
    for inner in ("estimator_", "best_estimator_"):
        if hasattr(model, inner):
            return _count_parameters(getattr(model, inner))
    if hasattr(model, "n_parameters"):
        return int(model.n_parameters)
    if hasattr(model, "coefficients") and not callable(model.coefficients):
        return int(np.size(model.coefficients))
    if hasattr(model, "named_steps"):
        return _count_parameters(model[-1])
    if hasattr(model, "coef_"):
        return int(np.size(model.coef_) + np.size(getattr(model, "intercept_", ())))
    if hasattr(model, "tree_"):
        # A tree's inner node holds a point and a threshold, a leaf a value.
        return int(2 * model.tree_.node_count - model.tree_.n_leaves)
    if hasattr(model, "_predictors"):  # gradient boosting by histograms
        trees = [tree.nodes for (tree,) in model._predictors]
        return sum(int(2 * len(nodes) - nodes["is_leaf"].sum()) for nodes in trees)
    return None


def measure_cost(regime: Regime, model: Any, training_seconds: float | None, n_members: int = 100) -> Cost:
    """Measure a closure call in microseconds per member, and relative to one step of the two-scale model."""
    rng = np.random.default_rng(0)
    try:
        closure = as_closure(model)
        X = rng.normal(2.5, 3.0, (n_members, regime.K))
        checked_start(closure, n_members, rng)
        call = min(_seconds(lambda: checked_step(closure, X)) for _ in range(20)) / n_members
    except ModelError:
        return Cost(training_seconds=training_seconds)
    state = random_state(regime, [0])
    n_steps = 1000
    advance(regime, state, n_steps)
    step = min(_seconds(lambda: advance(regime, state, n_steps, TRUTH_DT)) for _ in range(5)) / n_steps
    return Cost(training_seconds=training_seconds, microseconds_per_call=1e6 * call, kernel_steps_per_call=call / step)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
