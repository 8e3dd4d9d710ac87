"""Every public class and function has an example in its docstring, which runs, and prints what it says."""

from __future__ import annotations

import ast
import doctest
import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.documented import DOORS, documented

PUBLIC = documented()
WITHOUT: frozenset[str] = frozenset()
"""The public objects of which no example makes sense: none so far."""
SLOW = {
    "l96bench.DAIncrement",
    "l96bench.assimilation.ExpectationMaximization",
    "l96bench.assimilation.NetworkMaximization",
    "l96bench.assimilation.VariationalNetwork",
    "l96bench.diagnostics.check_diagnostic",
    "l96bench.diagnostics.example_subjects",
    "l96bench.diagnostics.make_report",
    "l96bench.envs.LearningCurveCallback",
    "l96bench.envs.ObservedClosureEnv",
    "l96bench.envs.ObservedClosureVectorEnv",
    "l96bench.envs.train",
    "l96bench.estimators.GaussianProcessClosure",
    "l96bench.estimators.InContextRegressor",
    "l96bench.estimators.PastLikelihoodClosure",
    "l96bench.estimators.PastLikelihoodRegressor",
    "l96bench.estimators.SampledGaussianProcess",
    "l96bench.estimators.SparseGaussianProcess",
    "l96bench.tasks.OnlineRollout",
}
"""What takes longer than half a second, also where others have compiled and imported what it needs."""
SKIPPED = {
    "l96bench.assimilation.load_archive",
    "l96bench.envs.DAIncrementEnv",
    "l96bench.envs.DAIncrementVectorEnv",
    "l96bench.sweep",
}
"""Examples that skip lines: those that make data sets, or train, in their registered size."""


def examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(recurse=False)
    for name, thing in PUBLIC.items():
        for test in finder.find(thing, name, globs={}):
            if test.examples:
                yield test


NAMES = {name for door in DOORS for name in importlib.import_module(f"l96bench{door}").__all__}
EXAMPLES = {test.name: test for test in examples()}


class Runner(doctest.DocTestRunner):
    """Skips an example, as soon as it needs a library that is missing."""

    def report_unexpected_exception(self, out: Any, test: Any, example: Any, exc_info: Any) -> None:
        if issubclass(exc_info[0], ModuleNotFoundError):
            pytest.skip(str(exc_info[1]))
        super().report_unexpected_exception(out, test, example, exc_info)


def libraries(source: str) -> set[str]:
    """The libraries that a program imports."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.fixture(autouse=True)
def _no_diagnostic_outlives_its_example(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = sys.modules.get("l96bench.diagnostics.registry")
    if registry is not None:
        monkeypatch.setattr(registry._DIAGNOSTICS, "_own", {**registry._all()._own})


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in EXAMPLES])
def test_an_example_prints_what_it_says(name: str) -> None:
    test = EXAMPLES[name]
    for library in sorted(libraries("".join(each.source for each in test.examples))):
        pytest.importorskip(library)
    report: list[str] = []
    Runner().run(test, out=report.append)
    assert not report, "".join(report)


def test_every_public_object_has_an_example() -> None:
    assert set(PUBLIC) - set(EXAMPLES) == WITHOUT


def test_examples_are_short_and_hardly_skip_anything() -> None:
    """Twelve lines at most; what is slow or skipped is there."""
    long = {name for name, test in EXAMPLES.items() if sum(each.source.count("\n") for each in test.examples) > 12}
    assert long == set()
    skipped = {name for name, test in EXAMPLES.items() if any(doctest.SKIP in each.options for each in test.examples)}
    assert skipped <= SKIPPED
    assert {name for name in SLOW | SKIPPED if name.rpartition(".")[2] not in NAMES} == set()
