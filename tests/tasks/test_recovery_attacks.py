"""Equations that must not score well: each stays below honest regression, by the margin that stands beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from l96bench.metrics.comparison import compare_paired
from l96bench.results.record import Result
from l96bench.tasks.equation_recovery import EquationRecovery, Problem

Array = NDArray[np.float64]
STENCIL = ("X[k-2]", "X[k-1]", "X[k]", "X[k+1]", "X[k+2]")
LIBRARY = ("1", *STENCIL, *(f"{a}*{b}" for a, b in combinations_with_replacement(STENCIL, 2)))


def regress(problem: Problem, threshold: float) -> list[str]:
    """Sequentially thresholded least squares on the library (Brunton et al. 2016), one equation for the whole ring."""
    X, t = problem.observed()
    window = 31 if problem.noise else 7
    smooth, slope = (savgol_filter(X, window, 4, deriv, t[1] - t[0], axis=0)[20:-20] for deriv in (0, 1))
    around = {f"X[k{shift:+d}]" if shift else "X[k]": np.roll(smooth, -shift, axis=1).ravel() for shift in range(-2, 3)}
    columns = [
        np.prod([around.get(name, np.ones(smooth.size)) for name in term.split("*")], axis=0) for term in LIBRARY
    ]
    features = np.stack(columns, axis=1)
    scale = np.sqrt((features**2).mean(axis=0)) / np.sqrt((slope**2).mean())
    triangle = np.linalg.qr(np.column_stack([features, slope.ravel()]), mode="r")
    kept = np.full(len(LIBRARY), True)
    for _ in range(10):
        values = np.zeros(len(LIBRARY))
        values[kept] = np.linalg.lstsq(triangle[:, :-1][:, kept], triangle[:, -1], rcond=None)[0]
        kept = np.abs(values) * scale > threshold
    return [weighted(values)]


def weighted(values: Array | list[float]) -> str:
    return " + ".join(f"({float(value)!r})*{term}" for value, term in zip(values, LIBRARY, strict=True) if value) or "0"


@pytest.fixture(scope="module")
def honest(single: EquationRecovery) -> Result:
    """What an honest user of a textbook method reaches, with and without noise."""
    return single.evaluate_equations(lambda problem: regress(problem, 0.05))


@pytest.mark.slow
def test_honest_regression_is_near_the_top(single: EquationRecovery) -> None:
    """Of ten instances, as the real task has: the interval of two is wide."""
    honest = replace(single, indices=tuple(range(10))).evaluate_equations(lambda problem: regress(problem, 0.05))
    assert honest.metrics["f1_noise_00"].value == 1.0
    assert honest.score.low > 95.0


def linear(
    problem: Problem, constant: str = "{F}", damping: str = "- {d}*X[k]", advection: str = "{a1}*X[k+1] - {a2}*X[k-2]"
) -> list[str]:
    """The true equation with parts of it replaced."""
    o = problem.instance.coefficients
    numbers = {"F": o.F, "d": o.d, "a1": o.a1, "a2": o.a2, "minus_d": -o.d}
    return [f"X[k-1]*({advection}) {damping} + {constant}".format(**numbers)]


def signs(problem: Problem) -> list[str]:
    return [f"-({linear(problem)[0]})"]


def textbook(problem: Problem) -> list[str]:
    return problem.instance.textbook_texts


def everything(value: float) -> Callable[[Problem], list[str]]:
    """The whole library beside the true equation, with a coefficient that changes it much or not at all."""
    return lambda problem: [f"{linear(problem)[0]} + {weighted([value] * len(LIBRARY))}"]


ATTACKS: dict[str, tuple[Callable[[Problem], list[str]], float]] = {
    # name: (equations, points that they must stay below honest regression)
    "nothing": (lambda problem: ["0"], 95),
    "no text": (lambda problem: [], 95),
    "the whole library, fitted": (lambda problem: regress(problem, 0.0), 30),
    "the whole library, all ones": (lambda problem: [weighted([1.0] * len(LIBRARY))], 80),
    "the whole library, invisibly": (everything(1e-12), 30),
    "the whole library, every cubic": (lambda problem: ["(1 + " + " + ".join(STENCIL) + ")^3"], 85),
    "one giant coefficient": (lambda problem: linear(problem, damping="- 1e6*X[k]"), 45),
    "one giant false term": (lambda problem: linear(problem, constant="{F} + 1e200*X[k]^2"), 50),
    "the signs reversed": (signs, 45),
    "one sign reversed": (lambda problem: linear(problem, advection="{a1}*X[k+1] + {a2}*X[k-2]"), 30),
    "no damping, no forcing": (lambda problem: linear(problem, "0", ""), 20),
    "climatological tendency": (lambda problem: ["0.01"], 70),
    "right on the attractor only": (lambda problem: linear(problem, damping="+ {d}*(abs(X[k] - 1000) - 1000)"), 10),
    "right where X is small": (lambda problem: linear(problem, damping="- {d}*maximum(X[k], -1000)"), 10),
    "a constant in disguise": (lambda problem: linear(problem, constant="{F}*sign(X[k] + 1000)"), 10),
    "a damping in disguise": (lambda problem: linear(problem, damping="- 1e9*{d}*sin(1e-9*X[k])"), 10),
    "what can be recalled": (textbook, 5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_lose_to_honest_regression(name: str, single: EquationRecovery, honest: Result) -> None:
    equations, margin = ATTACKS[name]
    result = single.evaluate_equations(equations)
    difference = compare_paired(
        honest.score.replicates, honest.score.value, result.score.replicates, result.score.value
    )
    print(f"{name}: {result.score.value:.1f}, {difference.difference:.1f} below honest regression")
    assert result.failures.non_finite == 0
    assert difference.low > margin


UNUSABLE: dict[str, tuple[Callable[[Problem], list[str]], str]] = {
    "NaN on the attractor": (lambda problem: linear(problem, constant="{F} + 0.001*log(X[k])"), "not finite"),
    "NaN at few states": (lambda problem: linear(problem, constant="{F} + 0.001*sqrt(X[k] + 5)"), "not finite"),
    "infinity": (lambda problem: linear(problem, constant="{F} + exp(exp(X[k]^2))"), "not finite"),
    "infinity as a number": (lambda problem: linear(problem, constant="1e999"), "unparseable"),
    "the word nan": (lambda problem: linear(problem, constant="nan"), "unparseable"),
    "division by zero": (lambda problem: linear(problem, constant="{F}/(X[k] - X[k])"), "unparseable"),
    "a text of a million characters": (lambda problem: ["+".join(["X[k]"] * 250_000)], "unparseable"),
    "a tower": (lambda problem: ["9**9**9**9"], "unparseable"),
    "a power that explodes": (lambda problem: ["(" + "+".join(STENCIL) + ")^400"], "unparseable"),
    "brackets": (lambda problem: ["(" * 10_000 + "X[k]" + ")" * 10_000], "unparseable"),
    "code": (lambda problem: ["__import__('os').system('true')"], "unparseable"),
    "code in an index": (lambda problem: ["X[exit()]"], "unparseable"),
    "an attribute": (lambda problem: ["X.__class__"], "unparseable"),
    "a variable that does not exist": (lambda problem: ["X[k] + Y[k, j]"], "unparseable"),
    "more equations than variables": (lambda problem: ["X[k]"] * 9, "unparseable"),
    "two equations for one variable": (lambda problem: ["dX[k]/dt = X[k]", "dX[3]/dt = 1"], "unparseable"),
    "no string": (lambda problem: [3.0], "unparseable"),  # type: ignore[list-item]
    "a string": (lambda problem: "X[k]", "unparseable"),  # type: ignore[return-value]
    "none": (lambda problem: None, "unparseable"),  # type: ignore[return-value]
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_unusable_scores_zero_and_is_counted(name: str, single: EquationRecovery) -> None:
    equations, kind = UNUSABLE[name]
    result = single.evaluate_equations(equations)
    assert (result.score.value, result.score.low, result.score.high) == (0.0, 0.0, 0.0)
    assert result.failures.non_finite == result.failures.of == 8
    assert f"8 {kind} (first: " in result.failures.note
    assert len(result.failures.note) < 400


def at(k: int, text: str) -> str:
    """An equation for all k as that of one point."""
    return re.sub(r"\[k([+-]\d)?\]", lambda match: f"[{(k + int(match[1] or 0)) % 8}]", text)


SAME: dict[str, Callable[[Problem], list[str]]] = {
    "factored": linear,
    "expanded": lambda problem: problem.instance.texts,
    "one by one": lambda problem: [at(k, linear(problem)[0]) for k in range(8)],
    "named and out of order": lambda problem: [
        f"dX[{k}]/dt = {at(k, linear(problem)[0])}" for k in (3, 1, 0, 2, 7, 5, 6, 4)
    ],
    "around the ring": lambda problem: linear(problem, advection="{a1}*X[k-7] - {a2}*X[k+6]"),
    "with what cancels": lambda problem: linear(problem, constant="{F} + (X[k] + 1)^2 - X[k]^2 - 2*X[k] - 1"),
    "with zeros": lambda problem: linear(problem, constant="{F} + 0*X[k]^3 + 0*sin(X[k])"),
    "halves": lambda problem: linear(problem, damping="- (0.5*{d} + 0.5*{d})*X[k]"),
    "a denominator": lambda problem: linear(problem, damping="- {d}*X[k]/2*2"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_what_says_the_same_scores_the_same(name: str, single: EquationRecovery) -> None:
    one, other = (single.evaluate_equations(SAME[each]) for each in ("factored", name))
    assert one.predictions_digest == other.predictions_digest
    assert one.score == other.score
    assert one.metrics == other.metrics
    assert one.score.value == 100.0


@pytest.mark.slow
def test_what_says_the_same_wrongly_scores_the_same(single: EquationRecovery) -> None:
    one = single.evaluate_equations(["X[k-1]*(X[k+1] - X[k-2]) - 0.3*(X[k] - 4)^2"])
    other = single.evaluate_equations(["X[k-1]*X[k+1] - X[k-2]*X[k-1] - 0.3*X[k]^2 + 2.4*X[k] - 4.8"])
    assert one.metrics == other.metrics
    assert one.score == other.score
    assert 0 < one.score.value < 80


@pytest.fixture(scope="module")
def honest_closure(hidden: EquationRecovery) -> Result:
    """The same method where Y is hidden."""
    return hidden.evaluate_equations(lambda problem: regress(problem, 0.05))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nothing", "the whole library, fitted", "what can be recalled", "the signs reversed"])
def test_attacks_on_a_closure_lose_to_honest_regression(
    name: str, hidden: EquationRecovery, honest_closure: Result
) -> None:
    one, other = honest_closure.score, hidden.evaluate_equations(ATTACKS[name][0]).score
    assert compare_paired(one.replicates, one.value, other.replicates, other.value).low > 2.0


@pytest.mark.slow
def test_an_equation_for_one_scale_only_is_half_of_everything(two_scale: EquationRecovery) -> None:
    """The many Y cannot carry a score without the few X."""
    fast = two_scale.evaluate_equations(lambda problem: [problem.instance.texts[1]])
    both = two_scale.evaluate_equations(lambda problem: problem.instance.texts)
    assert fast.score.value == 50.0
    assert both.score.value == 100.0
