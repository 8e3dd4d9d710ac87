"""The canonical form, against SymPy's own expansion, and against Python's own arithmetic."""

from __future__ import annotations

import random
import re

import pytest
import sympy

from l96bench.equations import EquationSet
from l96bench.equations.algebra import MAX_TERMS

K = 5


def polynomial(rng: random.Random, depth: int) -> str:
    """A random polynomial expression."""
    kind = rng.random()
    if depth == 0 or kind < 0.15:
        return rng.choice(
            ["X[k]", "X[k+1]", "X[k-2]", "X[3]", f"{rng.uniform(0, 9):.3f}", str(rng.randint(0, 9)), "2.5e-1"]
        )
    left, right = polynomial(rng, depth - 1), polynomial(rng, depth - 1)
    if kind < 0.3:
        return f"({left})**{rng.randint(0, 3)}"
    if kind < 0.4:
        return f"({left})/{rng.choice(['0.7', '(1 + 2)', '-4', '2**3'])}"
    return f"({left} {rng.choice('+-*')} -{right})" if kind < 0.5 else f"({left}) {rng.choice('+-*')} ({right})"


def sympy_terms(text: str, k: int) -> dict[tuple[tuple[int, int], ...], float]:
    """The terms of a polynomial text at point k, as SymPy parses and expands it."""
    symbols = sympy.symbols(f"x0:{K}")

    def name(match: re.Match[str]) -> str:
        return f"x{eval(match[1], {'k': k}) % K}"

    numbers = re.sub(r"X\[([^\]]*)\]", name, text)
    expanded = sympy.Poly(sympy.sympify(numbers, rational=True), *symbols)
    return {
        tuple((i, e) for i, e in enumerate(powers) if e): float(coefficient)
        for powers, coefficient in expanded.terms()
        if coefficient
    }


@pytest.mark.parametrize("seed", range(60))
def test_polynomials_expand_as_sympy_does(seed: int) -> None:
    rng = random.Random(seed)
    text = polynomial(rng, 4)
    equations = EquationSet.parse([text], K)
    k = rng.randrange(K)
    assert equations.monomials(k) == sympy_terms(text, k)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(X[k] + 1)**2 - 1 - 2*X[k]", "X[k]**2"),
        ("2*X[k]*0.5", "X[k]"),
        ("0.1*X[k] + 0.2*X[k] - 0.3*X[k]", "0"),
        ("X[k]/3 + X[k]/3 + X[k]/3", "X[k]"),
        ("X[k-1]*(X[k+1] - X[k-2])", "-X[k-2]*X[k-1] + X[k+1]*X[k-1]"),
        ("X[k]**2/X[k]", "X[k]"),
        ("(X[k]**2 - 1)/(X[k] + 1)", "X[k] - 1"),
        ("(3*X[k] + 1)/(3*X[k] + 1)", "1"),
        ("(X[k]*X[k+1] + X[k])/(2*X[k+1] + 2)", "0.5*X[k]"),
        ("X[k]/(1 + X[k]) + 1/(1 + X[k])", "1"),
        ("X[k]/(1 + X[k])", "1 - 1/(1 + X[k])"),
        ("5*X[k] + 1/(1 + X[k])", "(5*X[k] + 5*X[k]**2 + 1)/(1 + X[k])"),
        ("1/(1/X[k])", "X[k]"),
        ("1/(X[k]*X[k+1])", "X[k]**-1/X[k+1]"),
        ("1/(1 + 1/X[k])", "X[k]/(X[k] + 1)"),
        ("1/(1 + X[k])/(1 + X[k])", "(1 + X[k])**-2"),
        ("1/((1 + X[k])**2*(2 + X[k]))", "(2 + X[k])**-1*(1 + X[k])**-1/(X[k] + 1)"),
        ("sin(X[k] + X[k])", "sin(2*X[k])"),
        ("sin(X[k])*sin(X[k]*1.0)", "sin(X[k])**2"),
        ("exp((X[k] + 1)**2)", "exp(X[k]**2 + 2*X[k] + 1)"),
        ("(sin(X[k]) + 1)**2", "sin(X[k])**2 + 2*sin(X[k]) + 1"),
        ("maximum(X[k], 2*X[k+1])", "maximum(X[k+1] + X[k+1], X[k])"),
        ("X[k]**0.5", "sqrt(X[k])"),
        ("X[k]**-0.5", "1/sqrt(X[k])"),
        ("X[k]**(X[k]*2)", "X[k]**(X[k] + X[k])"),
        ("X[k]**(1 + 1)", "X[k]*X[k]"),
        ("tan(0.0)*X[k] + cos(0)", "1"),
        ("2**-2*X[k]", "X[k]*0.25"),
        ("abs(-3)*X[k] + sign(-2)", "3*X[k] - 1"),
        ("--X[k] - +1", "X[k] - 1"),
        ("X[k]^2", "X[k]**2"),
        ("-X[k]**2", "-(X[k]**2)"),
        ("1e-3*X[k] + .5 + 2.", "0.001*X[k] + 2.5"),
        ("1e-400*X[k]", "0"),
    ],
)
def test_equal_equations_are_equal_however_they_are_written(one: str, other: str) -> None:
    one_set, other_set = EquationSet.parse([one], K), EquationSet.parse([other], K)
    assert one_set == other_set
    assert hash(one_set) == hash(other_set)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("X[k]", "X[k+1]"),
        ("X[k]", "1.0000000000000002*X[k]"),
        ("sin(X[k])", "sin(X[k+1])"),
        ("sqrt(X[k])**2", "X[k]"),
        ("abs(X[k])", "X[k]"),
        ("1/(X[k] + 1)", "1/(X[k] + 2)"),
        ("X[k]**1.5", "X[k]**2.5"),
    ],
)
def test_different_equations_are_different(one: str, other: str) -> None:
    assert EquationSet.parse([one], K) != EquationSet.parse([other], K)


def test_monomials_are_canonical() -> None:
    equations = EquationSet.parse(["3*X[k+1]*X[k]**2 - sin(X[k]/2)**2*X[k] + 4/X[k] + 5"], K)
    assert equations.monomials(4) == {
        ((0, 1), (4, 2)): 3.0,
        ((4, 1), ("sin(0.5*X[4])", 2)): -1.0,
        ((4, -1),): 4.0,
        (): 5.0,
    }
    assert equations.n_terms == 4 * K
    assert (4, ((4, -1),)) in equations.support
    fraction = EquationSet.parse(["1/(2*X[k] + 4*X[k+1])"], K)
    assert fraction.monomials(0) == {(("(X[0] + 2.0*X[1])", -1),): 0.5}


def test_coefficients_are_the_nearest_floats() -> None:
    equations = EquationSet.parse(["X[k]/3 + 0.1*0.1*X[k+1] + 1e22*X[k+2]"], K)
    assert equations.monomials(0) == {((0, 1),): 1 / 3, ((1, 1),): 0.01, ((2, 1),): 1e22}


@pytest.mark.slow
def test_a_whole_quadratic_in_72_variables_still_fits() -> None:
    names = [f"X[{k}]" for k in range(8)] + [f"Y[{k},{j}]" for k in range(8) for j in range(8)]
    products = [f"{a}*{b}" for i, a in enumerate(names) for b in names[i:]]
    text = " + ".join(["1", *names, *products])
    equations = EquationSet.parse([f"dX[0]/dt = {text}"], 8, 8)
    assert equations.n_terms == 1 + 72 + 72 * 73 // 2 < MAX_TERMS
    assert EquationSet.parse(equations.texts()[:1], 8, 8) == equations
