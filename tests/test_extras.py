"""Without the libraries of an extra, everything that needs them names the extra, and everything else works."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor

from l96bench.errors import MissingExtraError
from l96bench.extras import EXTRAS, pip_line, watch_imports
from l96bench.graphs.models import as_submitted, exported

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = {name: each for name, each in PROJECT["optional-dependencies"].items() if name not in ("dev", "docs", "all")}
RAISED = re.compile(r"(\w+) is not installed; try pip install \"l96bench\[(\w+)\]\"")

WITHOUT = """
import importlib, inspect, json, pkgutil, sys, warnings
from importlib.machinery import PathFinder

blocked, found = set(sys.argv[1].split(",")), PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name in blocked else found(name, *rest)

import numpy as np
import l96bench
from l96bench.errors import L96BenchError, MissingExtraError

warnings.simplefilter("ignore")
raised, broken = {}, {}

def tried(place, use):
    try:
        return use()
    except MissingExtraError as error:
        raised[place] = str(error)
    except L96BenchError as error:
        if "No module named" in str(error):
            broken[place] = repr(error)
    except ImportError as error:
        broken[place] = repr(error)
    except Exception:
        pass  # what these arguments do is not what is tested

def used(thing):
    is_text = inspect.isclass(thing) and issubclass(thing, (str, Exception))
    if is_text or not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return
    if any(each.default is each.empty for each in inspect.signature(thing).parameters.values()):
        return
    made = thing()
    for name, given in {"fit": (X, X), "predict": (X,), "start": (2, np.random.default_rng(0)), "step": (X,)}.items():
        if callable(getattr(made, name, None)):
            getattr(made, name)(*given)

X = np.random.default_rng(0).normal(size=(40, 8))
for room in ("", *sorted(l96bench._ROOMS)):
    face = importlib.import_module(f"l96bench.{room}".rstrip("."))
    for name in set(face.__all__) - {"run_script"}:
        place = f"{face.__name__}.{name}"
        thing = tried(place, lambda: getattr(face, name))
        if sys.argv[2] == "use":
            tried(place, lambda: used(thing))
for module in pkgutil.walk_packages(l96bench.__path__, "l96bench."):
    if module.name not in ("l96bench.__main__",):
        tried(module.name, lambda: importlib.import_module(module.name))
print(json.dumps([raised, broken]))
"""


def without(*libraries: str, use: bool = False) -> dict[str, str]:
    """The errors of public names and modules in a process that cannot find these libraries; also of their `use`."""
    command = [sys.executable, "-c", WITHOUT, ",".join(libraries), "use" if use else ""]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    raised, broken = json.loads(done.stdout.splitlines()[-1])
    assert broken == {}
    return raised


def declared(extra: str) -> set[str]:
    """The libraries that an extra installs by itself."""
    return {re.split(r"[^A-Za-z0-9-]", each)[0] for each in OPTIONAL[extra]} - {"l96bench"}


def test_the_table_is_what_the_project_declares() -> None:
    distributions = {
        name: own[0].lower().replace("_", "-") for name, own in importlib.metadata.packages_distributions().items()
    }
    found: dict[str, set[str]] = {}
    for library, extra in EXTRAS.items():
        found.setdefault(extra, set()).add(distributions[library])
    assert found == {extra: declared(extra) for extra in OPTIONAL}


def test_all_is_every_extra() -> None:
    (everything,) = PROJECT["optional-dependencies"]["all"]
    direct = set(re.findall(r"[a-z]+", everything.partition("[")[2]))
    implied = {
        name
        for extra in direct
        for each in OPTIONAL[extra]
        if each.startswith("l96bench[")
        for name in re.findall(r"[a-z]+", each.partition("[")[2])
    }
    assert direct | implied == set(OPTIONAL)


def test_every_library_that_is_imported_belongs_to_the_core_or_to_an_extra() -> None:
    core = {re.split(r"[^A-Za-z0-9-]", each)[0] for each in PROJECT["dependencies"]} | {"llvmlite"}
    distributions = importlib.metadata.packages_distributions()
    for path in [*ROOT.glob("l96bench/**/*.py"), *ROOT.glob("baselines/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) and not node.level and node.module else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in {each.partition(".")[0] for each in modules} - set(sys.stdlib_module_names) - {"l96bench"}:
                own = {each.lower().replace("_", "-") for each in distributions.get(name, [name])}
                assert name in EXTRAS or own & core or (path.parent / f"{name}.py").exists(), f"{name} in {path}"


@pytest.mark.slow
def test_without_any_extra_public_names_work_or_name_one() -> None:
    raised = without(*EXTRAS, use=True)
    for place, message in raised.items():
        (came,) = RAISED.finditer(message)
        assert EXTRAS[came[1]] == came[2], place
    assert "l96bench.PolynomialRegressor" not in raised
    assert "l96bench.estimators.LocalRegressor" not in raised
    assert raised["l96bench.TorchRegressor"] == f"torch is not installed; try {pip_line('torch')}"


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["equations", "report", "rl", "torch"])  # what modules import when they are loaded
def test_without_one_extra_public_names_work_or_name_it(extra: str) -> None:
    libraries = [library for library, own in EXTRAS.items() if own == extra]
    expected = {f"{library} is not installed; try {pip_line(extra)}" for library in libraries}
    assert set(without(*libraries).values()) <= expected


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have nobody find some libraries, loaded or not."""
    find = PathFinder.find_spec
    for name in [each for each in sys.modules if each.partition(".")[0] in names]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(PathFinder, "find_spec", lambda name, *rest: None if name in names else find(name, *rest))


def test_imports_of_others_fail_as_always(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "captum")
    watch_imports()
    assert importlib.util.find_spec("captum") is None
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("captum")
    assert not isinstance(caught.value, MissingExtraError)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("library", "extra"), [("skl2onnx", "export"), ("onnx", "submit"), ("onnxruntime", "submit")])
def test_without_onnx_a_model_runs_as_it_is_and_a_warning_says_so(
    monkeypatch: pytest.MonkeyPatch, library: str, extra: str
) -> None:
    X = np.random.default_rng(0).normal(size=(100, 8))
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0).fit(X, X)
    hide(monkeypatch, library)
    with pytest.warns(
        UserWarning,
        match=re.escape(f"MLPRegressor runs without its graph, and scores may differ from its file's: {library} is"),
    ):
        assert as_submitted(model, 8) is model
    with pytest.raises(MissingExtraError, match=re.escape(pip_line(extra))):
        exported(model, 8)


def test_a_plan_leaves_out_what_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from l96bench.entries import run
    from l96bench.entries.lookup import EntryCode

    load = EntryCode.load

    def missing(code: EntryCode) -> Any:
        if code.name == "quartic":
            raise MissingExtraError("torch is not installed")
        return load(code)

    monkeypatch.setattr(EntryCode, "load", missing)
    lines: list[str] = []
    jobs = run.plan(None, ["online-rollout/wilks-f20-v2"], report=lines.append)
    assert lines == ["left out (torch is not installed): quartic"]
    assert jobs
    assert all(job.entry != "quartic" for job in jobs)
    with pytest.raises(MissingExtraError):
        run.plan(["quartic"])
