"""How the package is put together: rooms, front doors, and who may import what."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import l96bench

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "l96bench"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
DOORS = ("tasks", "estimators", "assimilation", "envs", "metrics", "diagnostics")
"""Rooms that people import from; with the package itself these are all that scripts and documents may use."""
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
FACES = [name for name, path in MODULES.items() if path.with_suffix(".pyi").exists()]


def imports(tree: ast.AST, *, types: bool = True) -> Iterator[tuple[str, str]]:
    """The (module, name) of every import in a tree, name being "" for whole modules; those for types only if asked."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not types:
            continue
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        yield from imports(node, types=types)


def public_definitions(path: Path) -> list[ast.ClassDef | ast.FunctionDef]:
    """The public classes and functions of a module."""
    kinds = (ast.ClassDef, ast.FunctionDef)
    return [
        node for node in ast.parse(path.read_text()).body if isinstance(node, kinds) and not node.name.startswith("_")
    ]


def test_rooms_are_one_list() -> None:
    """The import contract, the list in CONTRIBUTING, and what there is."""
    (contract,) = PROJECT["importlinter"]["contracts"]
    layers = [layer.strip("()") for layer in contract["layers"]]
    (text,) = re.findall(r"Imports point down: ((?:`\w+`[,\s]*)+)", (ROOT / "CONTRIBUTING.md").read_text())
    assert re.findall(r"`(\w+)`", text) == layers
    there = {name.split(".")[1] for name in MODULES if name != "l96bench"} | {"baselines"}
    assert set(layers) == there


def test_every_folder_is_packaged() -> None:
    """Also what is not Python in them, such as the stubs that the front doors read."""
    folders = {name for name, path in MODULES.items() if path.name == "__init__.py"} | {"l96bench.baselines"}
    assert set(PROJECT["setuptools"]["packages"]) == folders
    shipped = {path for pattern in PROJECT["setuptools"]["package-data"]["l96bench"] for path in PACKAGE.glob(pattern)}
    others = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in others if path.suffix != ".py"} <= shipped


@pytest.mark.parametrize("door", DOORS)
def test_doors_give_documented_names(door: str) -> None:
    room = importlib.import_module(f"l96bench.{door}")
    assert room.__all__
    for name in room.__all__:
        if door == "envs" and name in ("Actor", "LearningCurveCallback", "PolicyClosure", "SB3VecEnv", "train"):
            pytest.importorskip("stable_baselines3")
        if name == "ParallelPointsEnv":
            pytest.importorskip("pettingzoo")
        thing = getattr(room, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert (inspect.getdoc(thing) or "").splitlines()[0].endswith("."), name


@pytest.mark.parametrize("face", FACES)
def test_no_module_has_the_name_of_a_public_name_of_its_room(face: str) -> None:
    """A lazy face would give the module, or the name, as it comes."""
    names = set(importlib.import_module(face).__all__)
    own = {name.removeprefix(f"{face}.") for name in MODULES if name.startswith(f"{face}.")}
    assert not own & names


INSIDE = {"benchmarks/test_page.py", "docs/extensions/reference.py"}
"""What measures the board's page and describes the command line, which have no front door."""


def documents() -> list[Path]:
    """Whatever people read and copy: baselines, documents, benchmarks."""
    patterns = ("*.md", "baselines/*.py", "benchmarks/*.py", "docs/**/*.py", "docs/**/*.md")
    found = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    built = {"_build", "generated"}
    return [path for path in found if str(path.relative_to(ROOT)) not in INSIDE and not built & set(path.parts)]


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_use_the_front_doors(path: Path) -> None:
    text = path.read_text()
    blocks = [text] if path.suffix == ".py" else re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    doors = {"l96bench", *(f"l96bench.{door}" for door in DOORS)}
    for module, name in (each for block in blocks for each in imports(ast.parse(block))):
        if module.partition(".")[0] == "l96bench":
            assert module in doors, f"{module}.{name}"
            assert not name or name in importlib.import_module(module).__all__, f"{module}.{name}"


@pytest.mark.parametrize("name", MODULES)
def test_private_names_stay_in_their_module(name: str) -> None:
    for module, imported in imports(ast.parse(MODULES[name].read_text())):
        if module.partition(".")[0] == "l96bench":
            private = [part for part in (*module.split("."), imported) if part.startswith("_")]
            assert not private or private == ["__version__"], f"{module}.{imported}"


@pytest.mark.slow
def test_no_two_public_classes_have_one_name() -> None:
    where = defaultdict(list)
    for module, path in MODULES.items():
        for node in public_definitions(path):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(module)
    assert {name: modules for name, modules in where.items() if len(modules) > 1} == {}


@pytest.mark.slow
def test_no_modules_import_each_other() -> None:
    """No circle of files, also not within a room, and not by imports inside of functions."""
    graph = {}
    for module, path in MODULES.items():
        named = {
            full if (full := f"{source}.{name}") in MODULES else source
            for source, name in imports(ast.parse(path.read_text()), types=False)
        }
        graph[module] = named & MODULES.keys() - {module, "l96bench"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_environments_are_called_so() -> None:
    for path in (PACKAGE / "envs").glob("*.py"):
        for node in public_definitions(path):
            if any("Env" in ast.unparse(base) for base in getattr(node, "bases", ())):
                assert node.name.endswith("Env"), node.name


def test_the_package_gives_what_its_rooms_give() -> None:
    """A name that stands at two doors is one object."""
    for door in DOORS:
        room = importlib.import_module(f"l96bench.{door}")
        for name in set(room.__all__) & set(l96bench.__all__):
            assert getattr(room, name) is getattr(l96bench, name)
