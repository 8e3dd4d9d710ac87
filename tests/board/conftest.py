"""Synthetic results for the board."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from l96bench.results.record import Cost, Environment, Failures, ModelInfo, Result
from l96bench.results.score import Score, SeedScore, Value


def _make_result(
    name: str, value: float, task: str = "subgrid-forcing/wilks-f20-v1", noise: float = 0.1, **changes: Any
) -> Result:
    # Another stream of noise for each entry, so that two entries are as uncertain against each other as alone.
    generator = np.random.default_rng([ord(letter) for letter in name])
    replicates = value + noise * generator.standard_normal(500)
    low, high = np.quantile(replicates, [0.025, 0.975])
    model: dict[str, Any] = {
        "name": name,
        "kind": "network",
        "inputs": "X, radius 2",
        "parameters": 4353,
        "command": f"run {name}",
    }
    fields: dict[str, Any] = {
        "task": task,
        "task_version": 1,
        "data_digests": {"test": "ab" * 32},
        "scorer_version": "1.0",
        "split": "test",
        "score": Score(
            value=value,
            low=low,
            high=high,
            method="bootstrap",
            replicates=replicates.tolist(),
            seeds=[SeedScore(seed=0, value=value)],
        ),
        "metrics": {"r2": Value(value=value / 100), "rmse": Value(value=1.5, low=1.4, high=1.6)},
        "failures": Failures(of=50),
        "cost": Cost(training_seconds=5.0, microseconds_per_call=2.0, kernel_steps_per_call=2.2),
        "environment": Environment(
            python="3.11.7", numpy="2.4.6", numba="0.68.1", cpu="znver9", platform="secret-host"
        ),
        "predictions_digest": "ef" * 32,
    }
    return Result(model=ModelInfo(**(model | changes.pop("model", {}))), **(fields | changes))


@pytest.fixture
def make_result() -> Callable[..., Result]:
    return _make_result


@pytest.fixture
def results() -> list[Result]:
    """Two families, two regimes, ties, and references."""
    online = "online-rollout/wilks-f20-v2"
    floor = {"kind": "reference", "command": ""}
    return [
        _make_result("Wilks (2005)", 70.0),
        _make_result("Stencil network", 91.3),
        _make_result("Forest", 91.32),
        _make_result("Mean", 0.0, model=floor),
        _make_result("Perfect", 100.0, model=floor),
        _make_result("Stencil network", 80.0, task="subgrid-forcing/arnold-c4-v1"),
        _make_result("Stencil network", 60.0, task=online, metrics={"survival": Value(value=1.0, low=0.93, high=1.0)}),
        _make_result("Wilks (2005)", 65.0, task=online),
    ]
