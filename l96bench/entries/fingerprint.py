"""Compute the cache key of a result: a digest of everything that its score depends on."""

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
    """Return the SHA-256 of everything that a result depends on: entry code, task, data digests and training seed.

    Of the task it covers the parameters, the regime count, and the code of the package that defines its class.
    """
    regime = repr(get_regime(task.regime_id)) if task.regime_id in list_regimes() else ""
    libraries = {name: version for name, version in installed().items() if name != "l96bench"}
    packages = {name: code_digest(root) for name, root in sorted(_packages(task))}
    parts = [code, packages, libraries, task.id, repr(task), regime, SCORER_VERSION, data, seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _packages(task: Task) -> set[tuple[str, Path]]:
    """Return the packages, or single files, that define the class of a task, this package among them."""
    found = set()
    for name in {each.__module__.partition(".")[0] for each in type(task).__mro__} - sys.stdlib_module_names:
        module = sys.modules.get(name)
        places = list(getattr(module, "__path__", ())) or [getattr(module, "__file__", None)]
        found |= {(name, Path(place)) for place in places if place}
    return found


@lru_cache(maxsize=8)
def code_digest(root: Path) -> str:
    """Return the SHA-256 of the syntax of all modules in a folder or file, without comments and docstrings.

    The syntax digest of each file is kept in the cache under the digest of its bytes.
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
"""The number of files, newest first, whose digest is kept."""


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
