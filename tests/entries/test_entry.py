"""Finding entries: baselines by name, scripts by path, objects of modules."""

from __future__ import annotations

import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from l96bench.dynamics.polynomial import NoClosure
from l96bench.entries.entry import QUICK_REGIMES, Entry
from l96bench.entries.lookup import baseline_names, baselines_folder, find_code, find_entry
from l96bench.errors import ArgumentError, L96BenchError, UnknownIdError
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.tasks.base import Task
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing

TASK = make_task("subgrid-forcing/wilks-f20-v1")
X = np.random.default_rng(0).normal(2.5, 4.0, (100, 8))

MODULE = """
import numpy as np
import l96bench
from sklearn.linear_model import LinearRegression

X = np.random.default_rng(0).normal(2.5, 4.0, (100, 8))
entry = l96bench.Entry("named", "constant", "none", lambda task, seed: l96bench.NoClosure())
unfitted = l96bench.PolynomialRegressor(degree=1)
fitted = l96bench.PolynomialRegressor(degree=1).fit(X, -2.0 * X)
closure = l96bench.Polynomial([0.0, -1.0])
Regressor = LinearRegression

def function(X):
    return -X

def maker():
    return l96bench.PolynomialRegressor(degree=2)

def seeded(seed):
    return l96bench.Polynomial([float(seed)])
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module of the user's in the current folder, which is not on the path."""
    name = "module_of_the_users"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


def make(name: str, seed: int = 0) -> object:
    entry, _ = find_entry(name)
    return entry.make(TASK, seed)


# Baselines and scripts.


def test_baselines_are_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = baseline_names()
    monkeypatch.chdir(tmp_path)
    assert baseline_names() == here
    assert {"quartic", "no_closure", "stencil_network", "random_forest"} <= set(here)
    assert find_entry("quartic")[0].name == "fitted quartic"


def test_a_folder_of_somebody_elses_does_not_shadow_the_baselines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "quartic.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    assert find_entry("quartic")[0].name == "fitted quartic"
    assert find_code("baselines/quartic.py").name == "baselines/quartic.py"  # and its rows do not say that it is ours


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("probabilistic_rnn", "probabilistic_rnn"),
        ("probabilistic RNN", "probabilistic_rnn"),
        ("Probabilistic-Rnn", "probabilistic_rnn"),
        ("fitted quartic", "quartic"),
        ("SINDy (STLSQ)", "er_stlsq"),
        (str(baselines_folder() / "gru.py"), "gru"),
    ],
)
def test_a_baseline_has_a_key_and_a_title(name: str, key: str) -> None:
    assert find_code(name).name == key


@pytest.mark.slow
def test_a_script_is_found_by_its_path(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    shutil.copy(baselines_folder() / "linear.py", script)
    entry, digest = find_entry(str(script))
    assert entry.name == "linear"
    assert digest == find_entry("linear")[1]
    script.write_text(script.read_text() + "\n")
    assert find_entry(str(script))[1] != digest


@pytest.mark.slow
def test_code_is_enough_where_the_file_is_missing(module: str, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(MODULE)
    for name in (str(script), f"{module}:fitted"):
        code = pickle.loads(pickle.dumps(find_code(name)))
        assert code.digest == find_entry(name)[1]
        (tmp_path / f"{module}.py").rename(tmp_path / "elsewhere") if ":" in name else script.unlink()
        sys.modules.pop(module, None)
        assert code.load().name == ("fitted" if ":" in name else "named")
    assert isinstance(code.load().make(TASK, 0), PolynomialRegressor)


@pytest.mark.slow
def test_a_module_that_has_changed_is_run_as_it_was(module: str, tmp_path: Path) -> None:
    code = find_code(f"{module}:maker")
    (tmp_path / f"{module}.py").write_text(MODULE.replace("degree=2", "degree=3"))
    assert code.load().make(TASK, 0).degree == 2


# Objects of modules.


def test_an_entry_of_a_module_is_taken_as_it_is(module: str) -> None:
    entry, _ = find_entry(f"{module}:entry")
    assert (entry.name, entry.kind) == ("named", "constant")
    assert isinstance(make(f"{module}:entry"), NoClosure)


def test_other_objects_become_entries_of_their_name(module: str) -> None:
    entry, _ = find_entry(f"{module}:function")
    assert (entry.name, entry.kind, tuple(entry.seeds)) == ("function", "custom", (0,))
    assert entry.accepts(TASK)


@pytest.mark.slow
def test_classes_and_makers_are_called_and_functions_are_models(module: str) -> None:
    assert type(make(f"{module}:Regressor")).__name__ == "LinearRegression"
    made = make(f"{module}:maker")
    assert isinstance(made, PolynomialRegressor)
    assert made.degree == 2
    assert make(f"{module}:maker") is not made
    assert make(f"{module}:seeded", seed=3).coefficients.tolist() == [3.0]  # type: ignore[attr-defined]
    function = make(f"{module}:function")
    assert_array_equal(function(X), -X)  # type: ignore[operator]
    assert make(f"{module}:closure") is sys.modules[module].closure


def test_estimators_are_copied_so_that_training_leaves_the_module_alone(module: str) -> None:
    copy = make(f"{module}:unfitted")
    assert isinstance(copy, PolynomialRegressor)
    copy.fit(X, X)
    assert not hasattr(sys.modules[module].unfitted, "coef_")
    ready = make(f"{module}:fitted")
    assert isinstance(ready, PolynomialRegressor)
    np.testing.assert_allclose(ready.coef_, [0.0, -2.0], atol=1e-12)
    ready.fit(X, X)
    np.testing.assert_allclose(sys.modules[module].fitted.coef_, [0.0, -2.0], atol=1e-12)


def test_the_digest_knows_the_object(module: str) -> None:
    digests = {find_entry(f"{module}:{name}")[1] for name in ("fitted", "unfitted", "closure")}
    assert len(digests) == 3


# Errors.


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("quartik", r"no entry 'quartik': expected the key or title of a baseline .*Did you mean 'quartic'"),
        ("fitted quartik", r"no entry 'fitted quartik': .*looked in .*baselines.*Did you mean 'fitted quartic'"),
        ("nowhere/mine.py", r"no script 'nowhere/mine\.py': looked for /.*/nowhere/mine\.py"),
        ("no_such_module:model", r"no module 'no_such_module' .*is its folder the current one"),
        ("l96bench.dynamics.polynomial:NoClosur", r"has no object 'NoClosur'\. Did you mean 'NoClosure'"),
    ],
)
def test_an_unknown_name_says_what_was_expected(name: str, message: str) -> None:
    with pytest.raises(UnknownIdError, match=message):
        find_entry(name)


@pytest.mark.slow
def test_a_script_without_an_entry_says_so(tmp_path: Path) -> None:
    script = tmp_path / "empty.py"
    script.write_text("entry = 3\n")
    with pytest.raises(L96BenchError, match=re.escape(f"{script}: expected a script that defines `entry = ")):
        find_entry(str(script))


# What an entry says.


def _entry(**changes: object) -> Entry:
    fields: dict = {"name": "mine", "kind": "line", "inputs": "X_k", "make": lambda task, seed: PolynomialRegressor()}
    return Entry(**(fields | changes))


def test_an_entry_enters_its_families_on_its_regimes() -> None:
    ids = [task.id for task in _entry().tasks()]
    assert ids == [
        task.format(regime) for task in ("subgrid-forcing/{}-v1", "online-rollout/{}-v2") for regime in QUICK_REGIMES
    ]
    one = _entry(families=("online-rollout",), regimes=("arnold-c4", "wide-k36"))
    assert [task.id for task in one.tasks(("wide-k36", "wilks-f20"))] == ["online-rollout/wide-k36-v2"]
    assert one.accepts(make_task("online-rollout/arnold-c4-v2"))
    assert not one.accepts(make_task("online-rollout/wilks-f20-v2"))
    assert not one.accepts(make_task("subgrid-forcing/arnold-c4-v1"))


def test_a_rows_description_is_the_entrys(offline: SubgridForcing) -> None:
    entry = _entry(source="somebody", description="a line")
    model = PolynomialRegressor(degree=4).fit(X, X)
    info = entry.info(offline, model, seed=2, command="l96bench run mine")
    assert (info.name, info.kind, info.inputs, info.source, info.description) == (
        *("mine", "line", "X_k", "somebody", "a line"),
    )
    assert (info.parameters, info.seeds, info.command) == (5, [2], "l96bench run mine")
    assert info.trained_on == "train, 2000 MTU"
    assert entry.info(offline, NoClosure(), 0, "").trained_on is None


def test_make_is_asked_for_a_task_and_a_seed() -> None:
    asked: list[tuple[Task, int]] = []
    make: Callable[[Task, int], object] = lambda task, seed: asked.append((task, seed))  # noqa: E731
    _entry(make=make).make(TASK, 4)
    assert asked == [(TASK, 4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": " "}, "expected the name of an entry, got ' '"),
        ({"seeds": ()}, "expected seeds, all different"),
        ({"seeds": (1, 1)}, r"expected seeds, all different, got \(1, 1\)"),
        ({"seeds": (0, -1)}, "expected every word of seeds as a whole number from 0 on, got -1"),
        ({"seeds": None}, "expected seeds as a whole number from 0 on, got None"),
        ({"families": "online-rollout"}, r"expected a sequence of families, got 'online-rollout'; try \('online-ro"),
        ({"regimes": "wilks-f20"}, "expected a sequence of regimes"),
    ],
)
def test_entries_are_checked(options: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"name": "mine", "kind": "none", "inputs": "none", "make": lambda task, seed: NoClosure()}
    with pytest.raises(ArgumentError, match=message):
        Entry(**fields | options)
    assert Entry(**fields, seeds=3).seeds == (3,)


def test_no_family_is_left_out_of_a_run() -> None:
    """Of a family on whose quick board it is not, an entry has all tasks."""
    regimes = ("wilks-f20", "conservative-f12", "single-coarse")
    families = ("subgrid-forcing", "equation-recovery")
    entry = Entry("a", "b", "X", lambda task, seed: NoClosure(), families=families, regimes=regimes)
    assert [task.id for task in entry.tasks()] == ["subgrid-forcing/wilks-f20-v1", "equation-recovery/single-coarse-v1"]
    assert [task.id for task in entry.tasks(["wide-k36", "single-coarse"])] == ["equation-recovery/single-coarse-v1"]
