"""The public objects that have docstrings of their own, by the place where each is found first."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

__all__ = ["DOORS", "documented"]

DOORS = ("", ".assimilation", ".diagnostics", ".envs", ".equations", ".estimators", ".metrics", ".tasks")


def documented() -> dict[str, Any]:
    """Every public class and function; those whose library is not installed are left out."""
    found: dict[int, tuple[str, Any]] = {}
    for door in DOORS:
        module = importlib.import_module(f"l96bench{door}")
        for name in module.__all__:
            try:
                thing = getattr(module, name)
            except ModuleNotFoundError:
                continue
            if inspect.isclass(thing) or inspect.isroutine(thing):
                found.setdefault(id(thing), (f"{module.__name__}.{name}", thing))
    return dict(found.values())
