"""The examples in the docstrings of public objects run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re

import pytest

import l96bench

DOORS = ("", ".assimilation", ".diagnostics", ".envs", ".equations", ".estimators", ".metrics", ".tasks")
FIRST_USED = (
    "LocalRegressor",
    "Polynomial",
    "PolynomialRegressor",
    "Regime",
    "compare",
    "get_regime",
    "glossary",
    "list_regimes",
    "list_tasks",
    "load_results",
    "make_task",
    "rollout",
    "simulate",
)
"""What a newcomer meets on the start page, in the README and in the first tutorial."""


def examples() -> dict[str, doctest.DocTest]:
    """The examples of public objects, by the place where the object is found first."""
    found: dict[int, doctest.DocTest] = {}
    finder = doctest.DocTestFinder(recurse=False)
    for door in DOORS:
        module = importlib.import_module(f"l96bench{door}")
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                for test in finder.find(thing, f"{module.__name__}.{name}", globs={}):
                    if test.examples:
                        found.setdefault(id(thing), test)
    return {test.name: test for test in found.values()}


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_says(name: str) -> None:
    test = EXAMPLES[name]
    source = "".join(each.source for each in test.examples)
    for libraries in re.findall(r"(?m)^(?:from|import) ([\w, ]+)", source):
        for library in libraries.partition(" import ")[0].split(", "):
            pytest.importorskip(library)
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append)
    assert not report, "".join(report)


def test_what_is_used_first_has_an_example() -> None:
    assert {f"l96bench.{name}" for name in FIRST_USED} <= set(EXAMPLES)
    assert set(FIRST_USED) <= set(l96bench.__all__)
