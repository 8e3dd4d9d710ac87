"""Scripts behave under ``l96bench run`` as under Python: what they define, import, pickle and read."""

from __future__ import annotations

import importlib.metadata
import inspect
import pickle
import shutil
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from l96bench.entries import scripts
from l96bench.entries.entry import Entry
from l96bench.entries.lookup import find_code, find_entry
from l96bench.errors import ModelError
from l96bench.parallel import in_parallel
from l96bench.tasks.registry import make_task

TASK = make_task("subgrid-forcing/wilks-f20-v1")
SCRIPT = """
from __future__ import annotations
import multiprocessing
import pickle
from dataclasses import dataclass
from pathlib import Path

import l96bench
import {helper}
from {helper}_package.inside import FACTOR

DATA = Path(__file__).with_name("data.txt").read_text()


@dataclass
class Model:
    degree: int = 1

    def predict(self, X):
        return self.degree * FACTOR * {helper}.sign() * X

    def fit(self, X, t):
        pickle.loads(pickle.dumps(self))

    def equations(self):
        return ["0"] * 8


def degree(_=None):
    return {degree}


def make(task, seed):
    import {helper}_late
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(degree, [None])[0] if seed else degree()
    return pickle.loads(pickle.dumps(Model(found)))


entry = l96bench.Entry(f"script {{DATA}}", "line", "X_k", make)

if __name__ == "__main__":
    raise SystemExit("this is no program here")
"""


def write(folder: Path, name: str = "scripted.py", degree: int = 2, sign: int = 1, helper: str = "helper") -> Path:
    """A script, the files beside it that it imports, and one that it reads."""
    (folder / f"{helper}_package").mkdir(parents=True)
    (folder / name).write_text(SCRIPT.format(degree=degree, helper=helper))
    (folder / f"{helper}.py").write_text(f"def sign():\n    return {sign}\n")
    (folder / f"{helper}_late.py").write_text("")
    (folder / f"{helper}_package" / "__init__.py").write_text("")
    (folder / f"{helper}_package" / "inside.py").write_text("FACTOR = 10\n")
    (folder / "data.txt").write_text(folder.name)
    return folder / name


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """No folder of a script stays on the path of the other tests."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition("_")[0] in {"helper", "scripted", "l96bench-entry"}:
            del sys.modules[name]
    scripts.forget()


@pytest.mark.parametrize("name", ["scripted.py", "copy.py", "my script.v2.py"])
def test_a_script_is_run_as_python_runs_it(tmp_path: Path, name: str) -> None:
    code = find_code(str(write(tmp_path / "one", name)))
    assert {each for each, _ in code.beside} == {
        *("helper.py", "helper_late.py", "helper_package/__init__.py", "helper_package/inside.py"),
    }
    entry = code.load()
    assert entry.name == "script one"
    model = entry.model(TASK, 0)
    assert model.predict(1.0) == 20.0
    assert pickle.loads(pickle.dumps(model)) == model
    assert typing.get_type_hints(type(model)) == {"degree": int}
    assert "class Model" in inspect.getsource(type(model))
    assert code.load() is entry  # what has not changed is run once: else objects of it could not be pickled


@pytest.mark.slow
def test_its_functions_go_to_spawned_processes(tmp_path: Path) -> None:
    assert find_entry(str(write(tmp_path / "one")))[0].model(TASK, 1).degree == 2


@pytest.mark.slow
def test_scripts_of_one_name_have_their_own_neighbours(tmp_path: Path) -> None:
    one, two = (
        write(tmp_path / name, degree=degree, sign=sign) for name, degree, sign in (("one", 2, 1), ("two", 3, -1))
    )
    for _ in range(2):
        for script, value in ((one, 20.0), (two, -30.0)):
            model = find_entry(str(script))[0].model(TASK, 0)
            assert model.predict(1.0) == value
            assert pickle.loads(pickle.dumps(model)) == model
    assert find_code(str(one)).digest != find_code(str(two)).digest


def test_others_may_take_a_folder_off_the_path(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert find_entry(str(write(tmp_path / name)))[0].model(TASK, 0).predict(1.0) == 20.0
        sys.path.remove(str(tmp_path / name))


def test_what_is_beside_a_script_counts(tmp_path: Path) -> None:
    script = write(tmp_path / "one")
    before = find_code(str(script)).digest
    (script.parent / "helper_package" / "inside.py").write_text("FACTOR = 11\n")
    assert find_code(str(script)).digest != before


def test_what_a_script_imports_from_elsewhere_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of a package of one's own, on Python's path or in an editable clone, and what that imports."""
    library, package = tmp_path / "library", tmp_path / "library" / "scripted_package"
    package.mkdir(parents=True)
    (library / "scripted_indirect.py").write_text("SIGN = 1\n")
    (package / "__init__.py").write_text("")
    (package / "inside.py").write_text("from scripted_indirect import SIGN\n")
    (package / "models.py").write_text("from .inside import SIGN\nmodel = lambda X: SIGN * X\n")
    monkeypatch.syspath_prepend(library)
    script = tmp_path / "script.py"
    script.write_text("import numpy\nfrom scripted_package.models import model\n")
    names = str(script), "scripted_package.models:model"
    before = [find_code(name).digest for name in names]
    assert dict(find_code(names[0]).elsewhere)["numpy"] == importlib.metadata.version("numpy")
    for file in (package / "inside.py", library / "scripted_indirect.py"):
        file.write_text(file.read_text() + "SIGN = -1\n")
        after = [find_code(name).digest for name in names]
        assert not set(before) & set(after), file
        before = after


def _made(code: object) -> float:
    entry: Entry = code.load()  # type: ignore[attr-defined]
    return float(entry.model(TASK, 0).predict(1.0))


@pytest.mark.slow
@pytest.mark.parametrize("missing", [False, True])
def test_the_code_goes_to_other_processes_and_machines(tmp_path: Path, missing: bool) -> None:
    script = write(tmp_path / "one")
    text = script.read_text().replace('with_name("data.txt").read_text()', "name")
    script.write_text(text)
    codes = [find_code(str(script))] * 2
    if missing:
        shutil.rmtree(script.parent)
    assert [outcome.value or outcome.fault for outcome in in_parallel(_made, codes, n_jobs=2)] == [20.0, 20.0]


@pytest.mark.slow
def test_a_method_that_pickles_itself_is_run_in_its_process(tmp_path: Path, single: typing.Any) -> None:
    model = find_entry(str(write(tmp_path / "one")))[0].model(TASK, 0)
    result = single.evaluate(model)
    assert result.failures.non_finite == 0, result.failures.note


def test_an_error_at_its_top_has_its_line(tmp_path: Path) -> None:
    script = tmp_path / "unlucky_top.py"
    for text, what in (
        ("\n[].unlucky\n", "AttributeError"),
        ("\nx = (\n", "SyntaxError"),
        ("\nexit()\n", "SystemExit"),
    ):
        script.write_text(text)
        with pytest.raises(ModelError, match=rf"unlucky_top\.py raised {what}.*unlucky_top\.py, line 2\]$"):
            find_entry(str(script))
