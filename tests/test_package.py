"""The package as a whole: a light import, a public interface that is all there, and documented."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import l96bench

HEAVY = (
    "numba",
    "torch",
    "sklearn",
    "scipy",
    "pandas",
    "matplotlib",
    "xarray",
    "pydantic",
    "typer",
)
ROOT = Path(l96bench.__file__).parent


def loaded_after(*statements: str) -> set[str]:
    """The top-level modules that a new process has loaded after these statements."""
    program = "; ".join([*statements, "import sys, json", "print(json.dumps(sorted(sys.modules)))"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_importing_is_light() -> None:
    assert not loaded_after("import l96bench") & set(HEAVY)


@pytest.mark.slow
def test_listing_needs_neither_learning_nor_plotting_libraries() -> None:
    loaded = loaded_after("import l96bench", "l96bench.list_tasks()", "l96bench.list_regimes()", "dir(l96bench)")
    assert not loaded & {"torch", "sklearn", "matplotlib", "xarray", "pandas"}


@pytest.mark.slow
def test_simulating_needs_neither_learning_nor_plotting_libraries() -> None:
    loaded = loaded_after("import l96bench", "l96bench.simulate('lorenz96-k40', 1.0, spin_up=0.0)")
    assert "numba" in loaded
    assert not loaded & {"torch", "sklearn", "matplotlib", "xarray", "pandas", "pydantic"}


def test_every_public_name_is_there() -> None:
    names = l96bench.__all__
    assert len(names) == len(set(names))
    assert set(names) <= set(dir(l96bench))
    for name in names:
        assert getattr(l96bench, name) is not None


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchThing"):
        _ = l96bench.NoSuchThing


def test_the_version_is_that_of_the_distribution() -> None:
    assert l96bench.__version__ == importlib.metadata.version("l96bench")


def test_a_release_has_one_version() -> None:
    citation = (ROOT.parent / "CITATION.cff").read_text()
    changes = (ROOT.parent / "CHANGELOG.md").read_text()
    assert re.findall(r"^version: (.+)$", citation, flags=re.MULTILINE) == [l96bench.__version__]
    version, date = re.findall(r"^## \[(.+?)\](?: - (.+))?", changes, flags=re.MULTILINE)[0]
    assert version in (l96bench.__version__, "Unreleased")
    if version == l96bench.__version__:  # once it is released, both say when
        released = re.findall(r"^date-released: (.+)$", citation, flags=re.MULTILINE)
        assert released == [each for each in [date] if each != "unreleased"]


def test_the_addresses_are_those_of_the_distribution() -> None:
    citation = (ROOT.parent / "CITATION.cff").read_text()
    addresses = dict(each.split(", ", 1) for each in importlib.metadata.metadata("l96bench").get_all("Project-URL", []))
    for name in ("url", "repository-code"):
        assert re.findall(rf"^{name}: (.+)$", citation, flags=re.MULTILINE) == [addresses["Repository"]]


def test_types_are_shipped() -> None:
    assert (ROOT / "py.typed").exists()
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    imported = {alias.name for node in imports if node.module for alias in node.names}
    assert imported == set(l96bench.__all__)


@pytest.mark.slow
def test_front_doors_come_with_the_package() -> None:
    doors = ["assimilation", "diagnostics", "envs", "equations", "estimators", "metrics", "tasks"]
    names = [f"assert l96bench.{door}.{importlib.import_module(f'l96bench.{door}').__all__[0]}" for door in doors]
    loaded_after("import l96bench", *names)


@pytest.mark.parametrize("name", [name for name in l96bench.__all__ if name != "PUBLISHED"])
def test_every_public_object_is_documented(name: str) -> None:
    thing = getattr(l96bench, name)
    documentation = inspect.getdoc(thing)
    assert documentation
    assert documentation.splitlines()[0].endswith((".", ":")), documentation.splitlines()[0]
    if not inspect.isclass(thing):
        return
    for attribute, value in vars(thing).items():
        if attribute.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property)):
            continue
        assert inspect.getdoc(getattr(thing, attribute)), f"{name}.{attribute}"


def modules() -> list[str]:
    return [info.name for info in pkgutil.walk_packages(l96bench.__path__, "l96bench.")]


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_is_and_stays_readable(name: str) -> None:
    """CONTRIBUTING.md, "Rules that hold everywhere": files of at most 400 lines, functions that fit a screen."""
    path = Path(inspect.getsourcefile(importlib.import_module(name)) or "")
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(path.read_text().splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]
            assert (node.end_lineno or 0) - first.lineno < 60, f"{name}.{node.name}"
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_") and node in tree.body:
            assert ast.get_docstring(node), f"{name}.{node.name}"
