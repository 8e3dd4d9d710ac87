"""The key of a kept result: a digest of everything that a score depends on, so that a change is never overlooked."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from l96bench.data.store import cache_folder
from l96bench.files import write_atomic
from l96bench.parallel import installed
from l96bench.regimes import get_regime, list_regimes
from l96bench.tasks.base import Task
from l96bench.tasks.parts import SCORER_VERSION

__all__ = ["code_digest", "fingerprint"]


def fingerprint(code: str, task: Task, data: dict[str, str], seed: int) -> str:
    """Return the SHA-256 of what a result depends on.

    Parameters
    ----------
    code : str
        Digest of the entry's code.
    task : Task
        Its parameters and regime count, and the code of the package that defines its class, if that is another one.
    data : dict of str to str
        Digests of the arrays that it reads.
    seed : int
        Training seed.
    """
    regime = repr(get_regime(task.regime_id)) if task.regime_id in list_regimes() else ""
    libraries = {name: version for name, version in installed().items() if name != "l96bench"}
    packages = {name: code_digest(root) for name, root in sorted(_packages(task))}
    parts = [code, packages, libraries, task.id, repr(task), regime, SCORER_VERSION, data, seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _packages(task: Task) -> set[tuple[str, Path]]:
    """The packages, or the single files, that define the class of a task, this package among them."""
    found = set()
    for name in {each.__module__.partition(".")[0] for each in type(task).__mro__} - sys.stdlib_module_names:
        module = sys.modules.get(name)
        places = list(getattr(module, "__path__", ())) or [getattr(module, "__file__", None)]
        found |= {(name, Path(place)) for place in places if place}
    return found


@lru_cache(maxsize=8)
def code_digest(root: Path) -> str:
    """Return the SHA-256 of the code in a folder or file: of the syntax of every module, without its docstrings.

    Comments and docstrings change no score, so that models need not be trained again for them. The syntax of a file
    is parsed once: its digest is kept in the cache under that of its bytes.
    """
    kept, known = cache_folder() / "code.json", {}
    with suppress(OSError, ValueError, TypeError):  # there is none yet, or it is damaged
        known = dict(json.loads(kept.read_text(encoding="utf-8")))
    parts, fresh = [], {}
    for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        content = path.read_bytes()
        key = hashlib.sha256(content).hexdigest()
        if key not in known:
            fresh[key] = hashlib.sha256(_syntax(content).encode()).hexdigest()
        parts.append((path.relative_to(root).as_posix(), known.get(key) or fresh[key]))
    if fresh:
        with suppress(OSError):  # it only saves time
            write_atomic(kept, json.dumps(dict([*known.items(), *fresh.items()][-_KEPT:])))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


_KEPT = 2000
"""Files whose digest is remembered, the newest."""


def _syntax(content: bytes) -> str:
    """Return the syntax tree of a module as text, without docstrings."""
    tree = ast.parse(content)
    for node in _documented(tree):
        node.body = node.body[1:]
    return ast.dump(tree)


def _documented(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            yield node
