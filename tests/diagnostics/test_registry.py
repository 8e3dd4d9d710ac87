"""Every diagnostic passes the check that is public, and others can add theirs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from l96bench.diagnostics import (
    ClosureSubject,
    Diagnostic,
    LeftOutError,
    Section,
    Subject,
    check_diagnostic,
    diagnose,
    figure,
    find_diagnostic,
    list_diagnostics,
    make_report,
    register_diagnostic,
)
from l96bench.entries.entry import Entry
from l96bench.errors import L96BenchError
from l96bench.results.record import Result

BIAS = """
from l96bench.diagnostics import Section, figure, register_diagnostic

@register_diagnostic("bias", "Bias by point", kind="closure")
def bias(subject, results):
    X, U, predicted = subject.sample
    found = (predicted - U).mean(axis=(0, 1))
    made = figure(6, 3)
    made.subplots().plot(found)
    rows = [(str(k), f"{bias:.3f}") for k, bias in enumerate(found)]
    return Section("The mean error of U at each point.", ("point", "bias"), rows, made)
"""


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that offers a diagnostic, and one that cannot be imported."""
    (tmp_path / "bias_of_others.py").write_text(BIAS)
    info = tmp_path / "bias_of_others-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bias-of-others\nVersion: 2.0\n")
    lines = "bias = bias_of_others:bias\nbroken = no_such_module:broken\n"
    (info / "entry_points.txt").write_text(f"[l96bench.diagnostics]\n{lines}")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", list_diagnostics())
def test_our_diagnostics_pass(name: str, request: pytest.FixtureRequest, make_result: Callable[..., Result]) -> None:
    kind = find_diagnostic(name).kind
    fixture = {"increment": "assimilation_subject", "equations": "recovery_subject"}.get(kind or "", "network_subject")
    subject = request.getfixturevalue("stochastic_subject" if name == "spread" else fixture)
    rows = [
        make_result(who, task.id, 70.0 + i, 1.0 + i)
        for task in subject.tasks
        for i, who in enumerate(("quartic", subject.entry.name))
    ]
    check_diagnostic(name, [subject], rows)


def test_the_order_of_the_page_is_that_of_the_registrations(stochastic_subject: ClosureSubject) -> None:
    names = list_diagnostics(stochastic_subject)
    assert (names[0], names[-1]) == ("hovmoeller", "standing")
    assert set(list_diagnostics()) > set(names)


@pytest.mark.slow
@pytest.mark.usefixtures("offered")
def test_a_diagnostic_of_another_package_stands_on_the_page(stochastic_subject: ClosureSubject) -> None:
    with pytest.warns(UserWarning, match=r"'broken' of bias-of-others 2\.0 .* cannot be loaded: ModuleNotFoundError"):
        names = list_diagnostics(stochastic_subject)
    assert "bias" in names
    assert "broken" not in names
    check_diagnostic("bias", [stochastic_subject], [])
    section = diagnose("bias", stochastic_subject)
    assert (section.name, section.title, len(section.rows)) == ("bias", "Bias by point", 8)
    with pytest.raises(L96BenchError, match="cannot be loaded") as failure:
        diagnose("broken", stochastic_subject)
    assert isinstance(failure.value.__cause__, ModuleNotFoundError)
    del sys.modules["bias_of_others"]


@pytest.mark.usefixtures("miniature_registry")
def test_a_diagnostic_need_not_be_registered(tmp_path: Path) -> None:
    def make(subject: Any, results: Sequence[Result]) -> Section:
        return Section(f"Rows of the board: {len(results)}.", ("rows",), [(str(len(results)),)], figure(2, 2))

    entry = Entry("nothing", "constant", "X_k", lambda task, seed: lambda X: 0.0 * X)
    path, (section,) = make_report(entry, "wilks-f20", tmp_path, only=[Diagnostic("board-rows", "Rows", make)])
    assert section.rows == [("0",)]
    assert (path.name, (tmp_path / "board-rows.png").is_file()) == ("board-rows.html", True)


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(L96BenchError, match=r"'skill' of tests.* is refused: l96bench\.diagnostics\.closure\.skill"):

        @register_diagnostic("skill", "Another one")
        def skill(subject: Any, results: Sequence[Result]) -> Section:
            return Section("")

    with pytest.raises(L96BenchError, match="small letters"):
        Diagnostic("../skill", "A path", lambda subject, results: Section(""))


class _Unlike:
    """A task of a family that no diagnostic knows."""

    family, regime_id, id, version, glossary = "mine", "here", "mine/here-v1", 1, ()


def test_an_entry_of_an_unknown_family_gets_the_diagnostics_for_any(make_result: Callable[..., Result]) -> None:
    subject = Subject(Entry("own", "custom", "X", lambda task, seed: None, families=("mine",)), None, _Unlike())
    assert list_diagnostics(subject) == ["standing"]
    assert diagnose("standing", subject, [make_result("own", "mine/here-v1", 50.0)]).figure is not None
    mine = Diagnostic("mine", "Mine", lambda subject, results: Section("It is."), kind="mine")
    assert mine(subject).caption == "It is."


def _left_out(subject: Any, results: Sequence[Result]) -> Section:
    raise LeftOutError("there is nothing to see")


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda subject, results: Section("Bad", ("a",), [("1",)], figure(1, 1)), "expected a caption of sentences"),
        (lambda subject, results: Section("It has no figure."), "expected a figure, got none"),
        (lambda subject, results: Section("It has cells.", ("a",), [("1", "2")], figure(1, 1)), "expected 1 cells"),
        (lambda subject, results: Section("It has numbers.", ("a",), [(1,)], figure(1, 1)), "whose cells are texts"),
        (lambda subject, results: Section(f"It is {object()}.", ("a",), [("1",)], figure(1, 1)), "expected the same"),
        (_left_out, "expected a picture for at least one of the examples"),
        (lambda subject, results: None, "expected it to return a Section"),
    ],
)
def test_the_check_says_what_is_wrong(make: Any, fault: str, stochastic_subject: ClosureSubject) -> None:
    with pytest.raises(L96BenchError, match=fault):
        check_diagnostic(Diagnostic("wrong", "Wrong", make), [stochastic_subject], [])
