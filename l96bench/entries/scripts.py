"""Run scripts as importable modules that can import the files beside them, as Python would run them."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import ModuleType

from l96bench.errors import L96BenchError, is_users_file, user_error

__all__ = ["code_elsewhere", "enter", "files_beside", "forget", "run_script_file"]

_folders: dict[str, dict[str, ModuleType]] = {}
"""The folders of scripts, and their modules that were replaced by others of the same names."""
_OWN = "l96bench_entry_"
"""The prefix of module names for scripts that cannot use the name of their file."""
_added: set[str] = set()
"""The folders that were not on the path before."""
_loaded: dict[tuple[str, bytes], ModuleType] = {}
"""Script modules by path and text; an unchanged script is run once."""


def run_script_file(path: str, text: bytes) -> ModuleType:
    """Run the text of a script, which lies at an absolute path, as a module, and return the module.

    It is in ``sys.modules`` under the name of its file, and its folder first on ``sys.path``, so that its objects can
    be pickled and other processes can import it. Its ``__name__`` is not ``"__main__"``. Raises ModelError, with the
    line, if the script raises.
    """
    enter(os.path.dirname(path))
    if (path, text) in _loaded:
        module = _loaded[path, text]
        sys.modules[module.__name__] = module
        return module
    name = _name_of(path)
    import cloudpickle

    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        exec(compile(text, path, "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise error if isinstance(error, L96BenchError) else user_error(path, error) from error
    _loaded[path, text] = module
    if name.startswith(_OWN):  # no other process can import it
        cloudpickle.register_pickle_by_value(module)
    return module


def enter(folder: str) -> None:
    """Put a folder first on ``sys.path``, replacing that of another script and its modules of the same names."""
    if folder in sys.path and next(reversed(_folders), None) == folder:
        return  # nothing has come between
    for other in _folders.keys() - {folder}:
        if other in _added:
            _added.remove(other)
            with suppress(ValueError):  # others change the path too
                sys.path.remove(other)
        for name in _modules_in(other):
            first = Path(folder) / name.partition(".")[0]
            if first.with_suffix(".py").exists() or first.is_dir():
                _folders[other][name] = sys.modules.pop(name)
    if folder not in sys.path:
        sys.path.insert(0, folder)
        _added.add(folder)
    _folders[folder] = _folders.pop(folder, {})  # the last one is the present one
    sys.modules.update(_folders[folder])


def files_beside(path: str, text: bytes) -> dict[str, bytes]:
    """Return the files beside a script that it imports, directly or indirectly, by relative path."""
    folder, found, todo = Path(path).parent, dict[str, bytes](), [text]
    while todo:
        for name in sorted(_imported(todo.pop()) - {"l96bench"}):
            files = [folder / f"{name}.py"]
            if (folder / name / "__init__.py").is_file():
                files = sorted((folder / name).rglob("*.py"))
            for file in files:
                key = file.relative_to(folder).as_posix()
                if file.is_file() and key not in found and file != Path(path):
                    found[key] = file.read_bytes()
                    todo.append(found[key])
    return found


def code_elsewhere(texts: Sequence[bytes], names: Iterable[str] = ()) -> dict[str, str]:
    """Return what code imports from other places than the files beside it, besides this package, by module or path.

    Of the user's own modules, and of all that these import, it is the SHA-256 of every file of the package, and of
    installed packages the version. `names` are further modules that it belongs to.
    """
    found, todo = dict[str, str](), {*names}.union(*map(_imported, texts))
    seen = {"l96bench", *sys.stdlib_module_names}
    while todo - seen:
        name = min(todo - seen)
        seen.add(name)
        for dist in _distributions(name):
            found[name] = version(dist)
        for root in _places(name):
            for file in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
                if is_users_file(str(file)):
                    content = file.read_bytes()
                    found[f"{name}/{file.relative_to(root).as_posix()}"] = hashlib.sha256(content).hexdigest()
                    todo |= _imported(content)
    return found


def _distributions(name: str) -> list[str]:
    """Return the installed distributions of a top-level module: that of its name, or else those that have it."""
    try:
        version(name)
    except PackageNotFoundError:
        return _installed().get(name, [])
    return [name]


@functools.cache
def _installed() -> dict[str, list[str]]:
    """Return the distributions of every installed module; it takes a third of a second to ask all of them."""
    return dict(packages_distributions())


def _places(name: str) -> list[Path]:
    """Return the folders of a top-level package, or the file of a module; none of what is not there or no Python."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    return [Path(place) for place in places if Path(place).is_dir() or place.endswith(".py")]


def _imported(text: bytes) -> set[str]:
    """Return the top-level names of everything that a file imports."""
    names: list[str] = []
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return {name.partition(".")[0] for name in names}


def _name_of(path: str) -> str:
    """Return the module name of a script: that of the file, or a longer one if it is taken."""
    stem, folder = Path(path).stem, os.path.dirname(path)
    taken = stem in sys.stdlib_module_names or "." in stem
    if not taken and (stem not in sys.modules or stem in _modules_in(folder)):
        return stem
    return f"{_OWN}{stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}".replace(".", "_")


def _modules_in(folder: str) -> dict[str, ModuleType]:
    """Return the loaded modules whose files lie in a folder, or in a package there."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and file.startswith(folder + os.sep):
            inside = Path(file).relative_to(folder).parts
            first = name.partition(".")[0]
            if first != "l96bench" and (len(inside) == 1 or inside[0] == first):
                found[name] = module
    return found


def forget() -> None:
    """Forget all scripts, so that each is run again next time."""
    _folders.clear()
    _loaded.clear()
    _added.clear()
