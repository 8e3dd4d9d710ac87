"""Scripts run as Python runs them: their module is known by its name, and the files beside them can be imported."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from l96bench.errors import L96BenchError, user_error

__all__ = ["enter", "files_beside", "forget", "run_script_file"]

_folders: dict[str, dict[str, ModuleType]] = {}
"""The folders of scripts, and their modules that had to make room for others of the same names."""
_OWN = "l96bench_entry_"
"""How the names of modules begin that cannot have the name of their file."""
_added: set[str] = set()
"""Those that were not on the path before."""
_loaded: dict[tuple[str, bytes], ModuleType] = {}
"""The modules of scripts by path and text: one that has not changed is run once."""


def run_script_file(path: str, text: bytes) -> ModuleType:
    """Run a script as a module, and return the module.

    It is in ``sys.modules`` under the name of its file, and its folder first on ``sys.path``, so that what it defines
    can be pickled, and other processes import it themselves. Its ``__name__`` is not ``"__main__"``.

    Parameters
    ----------
    path : str
        Absolute path of the file.
    text : bytes
        What the file holds.

    Raises
    ------
    ModelError
        If the script raises; the message has the line.
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
    """Make a folder the first on ``sys.path``, in place of that of another script.

    Modules of other scripts' folders leave ``sys.modules`` when this folder has one of the same name.
    """
    for other in _folders.keys() - {folder}:
        if other in _added:
            sys.path.remove(other)
            _added.remove(other)
        for name in _modules_in(other):
            first = Path(folder) / name.partition(".")[0]
            if first.with_suffix(".py").exists() or first.is_dir():
                _folders[other][name] = sys.modules.pop(name)
    if folder not in sys.path:
        sys.path.insert(0, folder)
        _added.add(folder)
    sys.modules.update(_folders.setdefault(folder, {}))


def files_beside(path: str, text: bytes) -> dict[str, bytes]:
    """The files beside a script that it imports, directly or through each other, by their paths from its folder."""
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


def _imported(text: bytes) -> set[str]:
    """The first names of everything that a file imports, wherever in it."""
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
    """The name of a script's module: that of the file, or a longer one where another module has this name."""
    stem, folder = Path(path).stem, os.path.dirname(path)
    taken = stem in sys.stdlib_module_names or "." in stem
    if not taken and (stem not in sys.modules or stem in _modules_in(folder)):
        return stem
    return f"{_OWN}{stem}_{hashlib.sha256(path.encode()).hexdigest()[:8]}".replace(".", "_")


def _modules_in(folder: str) -> dict[str, ModuleType]:
    """The loaded modules whose files lie in a folder, or in a package there."""
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
    """Forget all scripts: the next time, each is run again."""
    _folders.clear()
    _loaded.clear()
    _added.clear()
