"""Diagnostics of discovered equations, against equations whose terms and scores are known by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l96bench.diagnostics import RecoverySubject, diagnose, make_report, write_report
from l96bench.diagnostics.recovery.coefficients import coefficients, readable, spurious
from l96bench.diagnostics.recovery.recovery import METRICS, grids_of
from l96bench.diagnostics.standing import summary
from l96bench.entries.entry import Entry
from l96bench.equations import EquationSet
from l96bench.equations.discoverers import KnownEquations
from l96bench.metrics.glossary import find_metric
from l96bench.results.record import Result
from l96bench.results.score import Value
from l96bench.tasks.discovery import RAISED, Discovery
from l96bench.tasks.equation_recovery import EquationRecovery

TWO_SCALE = [
    "dX[k]/dt = 1.1*X[k-1]*X[k+1] - 0.9*X[k-1]*X[k-2] - X[k] + 9 - 0.5*sum(Y[k])",
    "dY[k,j]/dt = -80*Y[k,j+1]*Y[k,j+2] + 90*Y[k,j+1]*Y[k,j-1] - 7*Y[k,j] + 0.8*X[k]",
]


def subject_of(task: EquationRecovery, texts: list[str] | None) -> RecoverySubject:
    """An entry that gives these equations, or fails, in every problem; nothing is run."""
    entry = Entry("known", "recall", "X", lambda task, seed: KnownEquations(texts or []), families=(task.family,))
    subject = RecoverySubject(entry, entry.make(task, 0), task)
    found = Discovery(None, 0.5, RAISED, "ValueError: no") if texts is None else Discovery(tuple(texts), 0.5)
    vars(subject)["found"] = [found] * len(subject.problems)
    return subject


def test_coefficients_by_term_are_those_of_the_text() -> None:
    found = coefficients(EquationSet.parse(TWO_SCALE, 6, 4))
    named = {(term.letter, term.text(6, 4)): values for term, values in found.items()}
    assert all(np.ptp(values) == 0 for values in named.values())
    assert {key: values[0] for key, values in named.items()} == {
        ("X", "X[k+1]*X[k-1]"): 1.1,
        ("X", "X[k-2]*X[k-1]"): -0.9,
        ("X", "X[k]"): -1.0,
        ("X", "1"): 9.0,
        ("X", "sum(Y[k])"): -0.5,
        ("Y", "Y[k, j+1]*Y[k, j+2]"): -80.0,
        ("Y", "Y[k, j+1]*Y[k, j-1]"): 90.0,
        ("Y", "Y[k, j]"): -7.0,
        ("Y", "X[k]"): 0.8,
    }
    assert {letter: len(values) for (letter, _), values in named.items()} == {"X": 6, "Y": 24}


def test_coefficients_that_differ_around_the_ring_stay_at_their_points() -> None:
    """The tendency, from coefficients by point and states turned by `np.roll`, is that of the equations."""
    texts = [
        f"dX[{k}]/dt = {k + 1}*X[{(k + 1) % 5}]*X[{(k - 1) % 5}]" + (" - 2*X[3]" if k == 2 else "") for k in range(5)
    ]
    equations = EquationSet.parse(texts, 5)
    X = np.random.default_rng(0).standard_normal((7, 5))
    named = {term.text(5, 0): values for term, values in coefficients(equations).items()}
    assert set(named) == {"X[k+1]*X[k-1]", "X[k+1]"}
    ahead, behind = np.roll(X, -1, axis=1), np.roll(X, 1, axis=1)
    own = named["X[k+1]*X[k-1]"] * ahead * behind + named["X[k+1]"] * ahead
    np.testing.assert_allclose(own, equations.tendency(X), rtol=1e-14)


def test_functions_are_the_same_term_all_around() -> None:
    texts = ["dX[k]/dt = 2*sin(X[k+1]) + X[k]/(1 + X[k-1]**2)", "dY[k,j]/dt = exp(-Y[k,j+1]) + tanh(sum(Y[k]))"]
    found = coefficients(EquationSet.parse(texts, 4, 3))
    named = {term.text(4, 3): values for term, values in found.items()}
    assert {name: (len(values), set(values)) for name, values in named.items()} == {
        "sin(X[k+1])": (4, {2.0}),
        "X[k]*(X[k-1]**2 + 1.0)**-1": (4, {1.0}),
        "exp(-Y[k, j+1])": (12, {1.0}),
        "tanh(sum(Y[k]))": (12, {1.0}),
    }


def test_terms_that_are_not_true_are_counted_in_an_equation() -> None:
    true = coefficients(EquationSet.parse(["dX[k]/dt = -X[k] + 8"], 4))
    texts = ["dX[0]/dt = -X[0] + 0.5*X[1] - 3*X[2]**2", *(f"dX[{k}]/dt = -X[{k}]" for k in (1, 2, 3))]
    found = coefficients(EquationSet.parse(texts, 4))
    assert spurious(found, true, "X") == (0.5, 3.0)
    assert spurious(true, true, "X") == (0.0, 0.0)


def test_an_equation_is_readable() -> None:
    found = coefficients(EquationSet.parse(["dX[k]/dt = X[k-1]*X[k+1] - 0.98765432*X[k] + 8"], 6))
    text = readable(found, "X", 6, 0)
    assert text == r"$\dot{X}_k = 1\,X_{k+1} \, X_{k-1} - 0.9877\,X_{k} + 8$"
    assert readable(found, "X", 6, 0, n_terms=1).endswith("$ + 2 terms")


@pytest.mark.slow
def test_an_equation_without_damping_scores_as_by_hand(single: EquationRecovery) -> None:
    """Three of four terms: precision 1, recall 3 / 4, F1 6 / 7, and a coefficient error of d over all coefficients."""
    o = single.instances[0].coefficients
    texts = [f"dX[k]/dt = {o.a1!r}*X[k-1]*X[k+1] - {o.a2!r}*X[k-1]*X[k-2] + {o.F!r}"]
    subject = subject_of(single, texts)
    equations, terms = diagnose("equations", subject), diagnose("terms", subject)
    by_term = {row[1]: row[2:] for row in equations.rows}
    assert by_term["X[k]"] == (f"{-o.d:.5g}", "not found", "not found")
    assert by_term["1"] == (f"{o.F:.5g}",) * 3
    assert by_term["others in an equation"] == ("0", "0", "0")
    error = o.d / np.sqrt(o.a1**2 + o.a2**2 + o.d**2 + o.F**2)
    for row in terms.rows:
        assert [row[2], row[3], row[4], row[6]] == ["1", "0.75", f"{6 / 7:.3g}", f"{error:.3g}"]
    assert len(terms.rows) == len(subject.problems) == 4
    assert {row[1] for row in terms.rows} == {"5", "20"}


@pytest.mark.slow
def test_the_best_equations_of_a_hidden_instance_are_the_truth(hidden: EquationRecovery) -> None:
    subject = subject_of(hidden, hidden._exact[hidden.instances[0]])
    rows = [row for row in diagnose("equations", subject).rows if row[1] != "others in an equation"]
    assert all(row[2] == row[3] == row[4] for row in rows)
    assert float(rows[-1][2]) != pytest.approx(hidden.instances[0].coefficients.F, rel=1e-3)


def test_failures_are_shown_where_there_are_no_equations(single: EquationRecovery) -> None:
    subject = subject_of(single, None)
    assert {row[-1] for row in diagnose("terms", subject).rows} == {"raised: ValueError: no"}
    assert diagnose("equations", subject).rows[0][3:] == ("none", "none")
    caption = diagnose("recovery", subject).caption
    assert "Without equations: 4 of 4 (4 raised)" in caption
    assert "Instance 0 alone" in caption


def test_curves_are_those_of_the_row(single: EquationRecovery, make_result: Callable[..., Result]) -> None:
    series = {
        f"{name}_noise_{noise}": [10.0 * i + j for j in (1, 2)]
        for name in METRICS
        for i, noise in enumerate(("00", "05"))
    }
    row = make_result("known", single.id, 70.0).model_copy(update={"series": series})
    section = diagnose("recovery", subject_of(single, single.instances[0].texts), [row])
    assert section.caption.startswith("The row of known")
    assert [row[:3] for row in section.rows] == [
        ("0 %", "5", "1"),
        ("0 %", "20", "2"),
        ("5 %", "5", "11"),
        ("5 %", "20", "12"),
    ]
    assert section.figure is not None
    low, high = (line.get_ydata() for line in section.figure.axes[0].lines)
    np.testing.assert_array_equal([low, high], [[1.0, 11.0], [2.0, 12.0]])
    lacking = row.model_copy(update={"series": {}})
    assert grids_of(lacking, single.track.noises, single.track.budgets) is None


def test_a_row_stands_among_the_others(single: EquationRecovery, make_result: Callable[..., Result]) -> None:
    results = [
        make_result(name, single.id, score) for name, score in (("worse", 20.0), ("known", 70.0), ("best", 90.0))
    ]
    results[1] = results[1].model_copy(update={"metrics": {"failed": Value(value=0.25), "unknown": Value(value=1.0)}})
    section = diagnose("standing", subject_of(single, single.instances[0].texts), results)
    assert section.rows[0][:5] == ("score", "70", "[69, 72]", "points", "higher is better")
    assert section.rows[1][:5] == (find_metric(single.glossary, "failed").title, "0.25", "", "1", "lower is better")
    assert section.rows[2] == ("unknown", "1", "", "", "", "")
    assert section.figure is not None
    labels = section.figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["best", "known", "worse"]
    assert [label.get_weight() for label in labels] == ["normal", "bold", "normal"]


def test_a_summary_says_score_distance_from_the_best_and_cost(
    single: EquationRecovery, make_result: Callable[..., Result]
) -> None:
    subject = subject_of(single, single.instances[0].texts)
    (missing,) = summary(subject, []).rows
    assert missing[:2] == (single.id, "no row yet")
    elsewhere = replace(subject, entry=replace(subject.entry, families=("da-increment",)))
    assert summary(elsewhere, []).rows == []
    known, best = make_result("known", single.id, 70.0), make_result("best", single.id, 90.0)
    ceiling = make_result("true equations", single.id, 100.0)
    ceiling = ceiling.model_copy(update={"model": ceiling.model.model_copy(update={"kind": "reference"})})
    (row,) = summary(subject, [known, best, ceiling]).rows
    gap = best.score.compare(known.score)
    assert row[1] == f"70.00 [{known.score.low:.2f}, {known.score.high:.2f}]"
    assert row[3].startswith(f"20.00 [{gap.low:.2f}, {gap.high:.2f}]")
    assert row[3].endswith(": best")
    assert ("not told apart" in row[3]) is (gap.low <= 0.0)
    otherwise = best.model_copy(update={"score": best.score.model_copy(update={"replicates": [90.0, 90.0]})})
    (apart,) = summary(subject, [known, otherwise]).rows
    assert apart[3] == "cannot be compared, scored otherwise: best"
    (alone,) = summary(subject, [known, ceiling]).rows
    assert alone[3] == "is the best"


@pytest.mark.slow
def test_the_page_has_its_own_sections(single: EquationRecovery, tmp_path: Path) -> None:
    subject = subject_of(single, single.instances[0].texts)
    path, sections = write_report(replace(subject), tmp_path)
    assert [each.name for each in sections] == ["equations", "terms", "recovery", "standing"]
    assert [row[-1] for row in sections[1].rows] == ["scored"] * 4
    assert {row[4] for row in sections[1].rows} == {"1"}
    text = path.read_text(encoding="utf-8")
    assert "known on single" in text
    assert text.count("<details>") == sum(len(each.rows) > 10 for each in sections)


@pytest.mark.slow
def test_an_entry_is_looked_at_by_its_name(miniature_registry: Path, tmp_path: Path) -> None:
    _, (section,) = make_report("er_textbook", output=tmp_path, only=["terms"])
    assert [row[3] for row in section.rows] == ["1"] * 4  # all terms are right
