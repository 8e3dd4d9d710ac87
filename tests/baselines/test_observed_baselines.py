"""Every baseline of `observed-closure`: it learns from observations alone, and its file has its score."""

from __future__ import annotations

from pathlib import Path

import pytest

from l96bench.entries.lookup import find_entry
from l96bench.tasks.registry import make_task

FOLDER = Path(__file__).resolve().parents[2] / "baselines"
NAMES = sorted(path.stem for path in FOLDER.glob("ob_*.py"))
LEAST = {
    "ob_increments_iterated": 40.0,
    "ob_augmented_linear": 40.0,
    "ob_increments_network": 40.0,
    "ob_increments_network_iterated": 40.0,
    "ob_increments_linear": 40.0,
    "ob_increments_quartic": 40.0,
    "ob_augmented_quartic": 40.0,
    "ob_climate_quartic": 60.0,
    "ob_em_quartic": 75.0,
    "ob_em_memory": 70.0,
    "ob_em_network": 60.0,
    "ob_ppo": -10.0,
    "ob_variational": 30.0,
    "ob_variational_ar1": 30.0,
    "ob_weak_sindy": 40.0,
}
"""The least score after 60 MTU of observations of all points; policies are trained for some steps only."""

FEWER = {"steps": 2000, "first_rounds": 3, "rounds": 1, "last_rounds": 1, "iterations": 4}
"""Shorter trainings than those of the rows, of the models that have such an option."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_baseline_learns_from_observations_alone(name: str) -> None:
    entry, _ = find_entry(name)
    task = make_task("observed-closure/wilks-f20-dense-v1").miniature()
    model = entry.make(task.training_task, 0)
    vars(model).update({option: value for option, value in FEWER.items() if hasattr(model, option)})
    assert task.training_task.fit(model) > 0.0
    info = entry.info(task.training_task, model, 0, f"l96bench run {name}")
    assert info.trained_on == "observations, 1000 MTU"
    result = task.online.evaluate(task.online.as_run(model), info)
    filed = task.online.evaluate_content(task.export(model), info)
    assert LEAST[name] < result.score.value <= 100.0
    assert (filed.predictions_digest, filed.score) == (result.predictions_digest, result.score)
