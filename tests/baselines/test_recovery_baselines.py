"""The baselines of equation recovery on problems of the real tracks."""

from __future__ import annotations

import pytest

import l96bench
from l96bench.entries.lookup import find_entry
from l96bench.tasks.registry import make_task

pytestmark = pytest.mark.real_data

EXPECTED = {
    "er_textbook": (1.0, 1.0),
    "er_least_squares": (0.1, 0.2),
    "er_lasso": (0.3, 0.8),
    "er_ard": (0.8, 1.0),
    "er_stlsq": (0.95, 1.0),
    "er_sr3": (0.95, 1.0),
    "er_ensemble_sindy": (0.95, 1.0),
    "er_weak_sindy": (0.95, 1.0),
    "er_symmetric_sindy": (1.0, 1.0),
    "er_symmetric_weak": (1.0, 1.0),
    "er_multiple_shooting": (1.0, 1.0),
    "er_gplearn": (0.3, 0.9),
    "er_pyoperon": (0.5, 1.0),
}
"""F1 of the terms on the first instance of `single`, 1 % noise, 20 MTU."""


@pytest.mark.parametrize("track", ["single", "two-scale"])
@pytest.mark.parametrize("name", EXPECTED)
def test_what_recovers_how_well(name: str, track: str) -> None:
    entry, _ = find_entry(name)
    task = make_task(f"equation-recovery/{track}-v1")
    problem = next(each for each in task.problems if (each.noise, each.budget) == (0.01, 20.0))
    texts = entry.make(task, 0).fit(*problem.observed()).equations()
    found = l96bench.EquationSet.parse(texts, problem.K, problem.J)
    true = l96bench.EquationSet.parse(problem.instance.texts, problem.K, problem.J)
    f1 = 2 * len(found.support & true.support) / (len(found.support) + len(true.support))
    low, high = EXPECTED[name]
    assert low <= f1 <= high if track == "single" else f1 > 0


def test_symmetry_recovers_every_single_scale_from_noise() -> None:
    task = make_task("equation-recovery/single-v1")
    model = find_entry("er_symmetric_weak")[0].make(task, 0)
    for problem in (each for each in task.problems if each.noise in (0.0, 0.05) and each.budget == 20.0):
        found = l96bench.EquationSet.parse(model.fit(*problem.observed()).equations(), problem.K)
        true = l96bench.EquationSet.parse(problem.instance.texts, problem.K)
        assert found.support == true.support
        for target in range(problem.K):
            own = found.monomials(target)
            for term, value in true.monomials(target).items():
                assert own[term] == pytest.approx(value, rel=0.1 if problem.noise else 1e-3)
