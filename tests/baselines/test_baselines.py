"""The baselines: short scripts that use the public API only, and what each of them scores."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import l96bench
from l96bench.entries.entry import Entry
from l96bench.entries.lookup import baselines_folder, find_entry
from l96bench.results.record import Result
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.registry import list_tasks, make_task

FOLDER = Path(__file__).resolve().parents[2] / "baselines"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
QUICK = {
    "climatological mean",
    "no closure",
    "linear",
    "fitted quartic",
    "Wilks 2005",
    "Arnold et al. 2013",
    "fitted quartic + AR(1)",
    "quadratic stencil regression",
    "stencil network",
    "random forest",
}
QUICK_ASSIMILATION = {
    "mean increment",
    "linear increment",
    "quartic increment",
    "increment network",
    "increment forest",
    "fitted quartic",
    "augmented state, linear closure",
    "augmented state, quartic closure",
    "hybrid covariance",
}


POLICIES = [name for name in SCRIPTS if name.startswith("rl_") and name != "rl_ppo_memory"]
RECOVERY = [name for name in SCRIPTS if name.startswith("er_")]


# This one looks at its training data when it is made.
@pytest.fixture(
    params=[each if each != "da_hybrid" else pytest.param(each, marks=pytest.mark.real_data) for each in SCRIPTS]
)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def tree(name: str) -> ast.Module:
    return ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def test_the_quick_baselines_are_there_under_different_names() -> None:
    assert baselines_folder().resolve() == FOLDER
    entries = [find_entry(name)[0] for name in SCRIPTS]
    names = [(family, entry.name) for entry in entries for family in entry.families]
    assert len(names) == len(set(names))
    assert {name for family, name in names if family == "subgrid-forcing"} >= QUICK
    assert {name for family, name in names if family == "da-increment"} >= QUICK_ASSIMILATION


def test_scripts_use_public_attributes_only(name: str) -> None:
    """Their imports are checked with those of all documents, in tests/test_structure.py."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "l96bench":
            assert node.attr in l96bench.__all__, f"l96bench.{node.attr} is not public"
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), node.attr


def test_scripts_are_short_and_say_what_they_are(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert ast.get_docstring(tree(name))
    entry, _ = find_entry(name)
    assert isinstance(entry, Entry)
    assert entry.description
    assert entry.kind
    assert entry.inputs


def test_trained_randomly_means_five_seeds(name: str) -> None:
    entry, _ = find_entry(name)
    assert len(set(entry.seeds)) == len(entry.seeds)
    assert len(entry.seeds) in (1, 5)
    if entry.trained_on is not None:
        text = (FOLDER / f"{name}.py").read_text()
        assert (len(entry.seeds) == 5) == any(way in text for way in ("random_state=seed", "seed=seed", "1000 * seed"))
        return
    if name in RECOVERY:  # each of the 120 problems has a seed of its own
        assert len(entry.seeds) == 1
        return
    task = next(make_task(id) for id in list_tasks() if entry.accepts(make_task(id)))
    model = entry.make(task, 1)
    parameters = model.get_params(deep=True) if hasattr(model, "get_params") else {}
    random = [key for key in parameters if key.endswith("random_state")]
    assert len(entry.seeds) == (5 if random else 1)
    assert all(parameters[key] == 1 for key in random)


@pytest.mark.slow
def test_models_are_made_for_every_task_that_the_entry_enters(name: str) -> None:
    entry, _ = find_entry(name)
    tasks = [make_task(id) for id in list_tasks() if entry.accepts(make_task(id))]
    assert tasks
    for task in tasks:
        assert entry.trained_on is not None or entry.make(task, 0) is not None
    # It keeps out of none of its families' tasks but those of other regimes than it names.
    for task in (each for each in map(make_task, list_tasks()) if each.family in entry.families):
        assert task in tasks or (entry.regimes is not None and task.regime_id not in entry.regimes)


@pytest.mark.training
@pytest.mark.usefixtures("miniature_registry")
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_trains_into_a_closure(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, _ = find_entry(name)
    monkeypatch.setitem(entry.make.__globals__, "STEPS", 30_000)
    task = make_task("subgrid-forcing/wilks-f20-v1")
    model = entry.make(task, 0)
    info = entry.info(task, model, 0, f"l96bench run {name}")
    assert info.trained_on == f"train, 2000 MTU, in {'SubgridForcing' if name == 'rl_ppo_forcing' else 'OnlineRollout'}"
    units = 64 if name == "rl_td3" else 32
    assert f"5-{units}-{units}-1" in info.description
    assert info.parameters == 5 * units + units + units * units + units + units + 1
    curve = model.learning_curve
    assert curve["steps"][0] == 0
    assert curve["steps"][-1] >= 30_000
    assert len(curve["r2"]) == len(curve["seconds"]) == len(curve["reward"]) + 1
    assert curve["seconds"] == sorted(curve["seconds"])
    assert np.isfinite([*curve["r2"], *curve["error"], *curve["reward"]]).all()
    assert task.evaluate(model, info).failures.non_finite == 0
    again = entry.make(task, 0)
    assert (again.predict(task.test.X[0]) == model.predict(task.test.X[0])).all()


@pytest.mark.training
@pytest.mark.usefixtures("miniature_registry")
def test_a_policy_with_memory_trains_into_a_stochastic_closure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small part of its training gives most of what it learns."""
    entry, _ = find_entry("rl_ppo_memory")
    monkeypatch.setitem(entry.make.__globals__, "STEPS", 500_000)
    task = make_task("subgrid-forcing-memory/wilks-f20-v1")
    model = entry.make(task, 0)
    info = entry.info(task, model, 0, "l96bench run rl_ppo_memory")
    assert info.parameters == 56 * 64 + 64 + 64 * 64 + 64 + 64 + 1
    assert not model.deterministic
    assert model.learning_curve["steps"][-1] >= 500_000
    assert np.isfinite([*model.learning_curve["r2"], *model.learning_curve["error"]]).all()
    assert 80.0 < task.evaluate(model, info).score.value < 100.0


EXPECTED_RECOVERY = {
    "er_textbook": (88, 96),
    "er_least_squares": (42, 55),
    "er_lasso": (55, 70),
    "er_ard": (80, 93),
    "er_stlsq": (85, 96),
    "er_sr3": (80, 93),
    "er_ensemble_sindy": (78, 92),
    "er_weak_sindy": (90, 99),
    "er_symmetric_sindy": (99.5, 100),
    "er_symmetric_weak": (99.5, 100),
    "er_multiple_shooting": (99.5, 100),
    "er_gplearn": (35, 80),
    "er_pyoperon": (85, 100),
    "er_ppo": (60, 90),
}
"""Where the scores lie on a miniature of `single`; of the policy after a quarter of its training."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RECOVERY)
def test_every_method_finds_equations(name: str, single: EquationRecovery, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, _ = find_entry(name)
    monkeypatch.setitem(entry.make.__globals__, "STEPS", 400_000)
    model = entry.make(single, 0)
    result = single.evaluate(model, entry.info(single, model, 0, f"l96bench run {name}"))
    assert result.failures.non_finite == 0, result.failures.note
    low, high = EXPECTED_RECOVERY[name]
    assert low <= result.score.value <= high
    assert entry.is_trained(model)


EXPECTED_ASSIMILATION = {
    "da_mean": (5, 20),
    "da_hybrid": (-10, 15),
    "da_linear": (45, 60),
    "da_quartic": (45, 60),
    "da_iterated_linear": (60, 80),
    "da_augmented_linear": (65, 85),
    "da_augmented_quartic": (70, 90),
    "da_quartic_closure": (80, 92),
}
"""Where the scores lie on the real `dense`, for the baselines that take a second."""


@pytest.mark.real_data
@pytest.mark.parametrize("name", EXPECTED_ASSIMILATION)
def test_what_assimilates_how_well(name: str) -> None:
    entry, _ = find_entry(name)
    task = make_task("da-increment/dense-v1")
    model = entry.make(task, 0)
    if entry.trained_on is None:
        task.fit(model)
    result = task.evaluate(model, entry.info(task, model, 0, f"l96bench run {name}"))
    low, high = EXPECTED_ASSIMILATION[name]
    assert low < result.score.value < high
    assert result.failures.diverged == 0
    assert entry.is_trained(model) == (result.model.trained_on is not None)


@pytest.mark.slow
def test_a_script_runs_by_itself(
    miniature_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = "subgrid-forcing/wilks-f20-v1"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["linear.py", "--task", task, "--output", "out", "--jobs", "1"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(FOLDER / "linear.py"), run_name="__main__")
    assert caught.value.code == 0
    result = Result.read(tmp_path / "out" / task / "linear.json")
    assert result.model.command == f"l96bench run linear --task {task}"
    assert f"{task}  linear" in capsys.readouterr().out
