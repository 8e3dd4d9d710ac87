"""Every baseline of `unseen-physics`: it learns from the training systems alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from l96bench.entries.lookup import find_entry
from l96bench.estimators import SimilarityRecurrentRegressor
from l96bench.tasks.parts import Work
from l96bench.tasks.registry import make_task

FOLDER = Path(__file__).resolve().parents[2] / "baselines"
NAMES = sorted(path.stem for path in FOLDER.glob("up_*.py"))
LEAST = {
    "up_in_context": 30.0,
    "up_nearest": 30.0,
    "up_network": 20.0,
    "up_past_likelihood": 30.0,
    "up_past_likelihood_quartic": 30.0,
    "up_ppo": 20.0,
    "up_probabilistic_rnn": 20.0,
    "up_quartic": 20.0,
    "up_quartic_ar1": 20.0,
    "up_similarity_network": 40.0,
    "up_similarity_network_ar1": 50.0,
    "up_similarity_quartic": 40.0,
    "up_similarity_quartic_ar1": 50.0,
    "up_similarity_rnn": 50.0,
}
"""The least score after three systems of 30 MTU; there are few steps of training."""
BLIND = {
    *("up_in_context", "up_past_likelihood", "up_past_likelihood_quartic"),
    *("up_network", "up_probabilistic_rnn", "up_quartic", "up_quartic_ar1"),
}


SHORT = {
    "up_in_context": {"n_systems": 100, "steps": 150, "closure_model": SimilarityRecurrentRegressor(min_steps=300)},
    "up_past_likelihood": {"closure_model": SimilarityRecurrentRegressor(min_steps=300)},
    "up_ppo": {"steps": 200_000},
    "up_similarity_rnn": {"min_steps": 300},
}
"""Shorter trainings than those of the rows."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_baseline_learns_from_the_training_systems_alone(name: str) -> None:
    entry, _ = find_entry(name)
    task = make_task("unseen-physics/interpolate-v1").miniature()
    model = entry.make(task.training_task, 0).set_params(**SHORT.get(name, {}))
    task.training_task.fit(model)
    info = entry.info(task.training_task, model, 0, f"l96bench run {name}")
    assert info.trained_on == "16 systems, 125 MTU each"
    made, test = task.as_run(model), task.tests[0]
    assert made.informed == (name not in BLIND)
    score = test.assess(test.as_run(made.closure(test.system)), Work(progress=False)).score
    assert LEAST[name] < score <= 100.0
