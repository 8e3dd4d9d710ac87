"""Coefficients of equations by term, each named relative to the variable whose equation it is in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from l96bench.diagnostics.figures import Array
from l96bench.equations import EquationSet, Monomial
from l96bench.equations.printing import Latex, Names, Text

_VARIABLE = re.compile(r"X\[(\d+)\]|Y\[(\d+), (\d+)\]|sum\(Y\[(\d+)\]\)")
"""A variable, or the sum of a sector, in the name of a factor that is a function."""


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """A monomial in the equation of X[k] or Y[k,j], its factors relative to the target at X[0] or Y[0,0]."""

    letter: str
    factors: Monomial

    @property
    def left(self) -> str:
        """The left side of its equation."""
        return "dX[k]/dt" if self.letter == "X" else "dY[k,j]/dt"

    def text(self, K: int, J: int, style: Text | None = None) -> str:
        """Return the term without its coefficient, such as ``X[k-1]*X[k+1]``; ``1`` for the constant."""
        style, names = style or Text(), Names(K, J, self.letter)
        parts = []
        for factor, exponent in self.factors:
            base = style.variable(*names(factor)) if isinstance(factor, int) else factor
            parts.append(base if exponent == 1 else style.power(base, str(exponent)))
        return style.product(parts) or "1"


def coefficients(equations: EquationSet) -> dict[Term, Array]:
    """Return the coefficients of every term in every equation of X (K,) or Y (K J,), 0 where it is absent."""
    K, J = equations.K, equations.J
    found: dict[Term, Array] = {}
    for target in range(equations.n_targets):
        letter, place, size = ("X", target, K) if target < K else ("Y", target - K, K * J)
        for monomial, value in equations.monomials(target).items():
            factors, share = _turned(monomial, letter, place, K, J)
            values = found.setdefault(Term(letter, factors), np.zeros(size))
            values[place] += share * value
    return found


def _turned(monomial: Monomial, letter: str, place: int, K: int, J: int) -> tuple[Monomial, float]:
    """Return a monomial seen from its target, and the share of its coefficient that counts."""
    sector = place if letter == "X" else place // J
    if letter == "X" and len(monomial) == 1 and monomial[0][1] == 1:
        factor = monomial[0][0]
        if isinstance(factor, int) and factor >= K:
            return ((-1 - ((factor - K) // J - sector) % K, 1),), 1.0 / J
    turn = sector * J if letter == "X" else place

    def seen(factor: int | str) -> int | str:
        if isinstance(factor, str):
            return _VARIABLE.sub(named, factor)
        return (factor - sector) % K if factor < K else K + (factor - K - turn) % (K * J)

    def named(match: re.Match[str]) -> str:
        k, at, j, whole = (None if each is None else int(each) for each in match.groups())
        if whole is not None:
            return Text().variable(*names(-1 - (whole - sector) % K))
        index = seen(k if k is not None else K + int(at or 0) * J + int(j or 0))
        return Text().variable(*names(int(index)))

    names = Names(K, J, letter)
    turned = [(seen(factor), exponent) for factor, exponent in monomial]
    return tuple(sorted(turned, key=lambda power: (isinstance(power[0], str), power[0]))), 1.0


def spurious(found: Mapping[Term, Array], true: Mapping[Term, Array], letter: str) -> tuple[float, float]:
    """Return how many false terms an equation of `letter` has on average, and the largest of their sizes."""
    others = [values for term, values in found.items() if term.letter == letter and term not in true]
    if not others:
        return 0.0, 0.0
    return float(np.sum([(values != 0).mean() for values in others])), float(max(np.abs(each).max() for each in others))


def readable(found: Mapping[Term, Array], letter: str, K: int, J: int, n_terms: int = 6) -> str:
    """Return one equation of X[k] or Y[k,j] in LaTeX, with coefficients averaged over the ring."""
    own = {term: values for term, values in found.items() if term.letter == letter}
    kept = sorted(own, key=lambda term: (-(own[term] != 0).mean(), -np.abs(own[term]).mean(), term.factors))[:n_terms]
    pieces = []
    for term in sorted(kept, key=lambda term: (-sum(abs(power) for _, power in term.factors), str(term.factors))):
        value = float(own[term].mean())
        factors = [] if not term.factors else [in_latex(term, K, J)]
        body = r"\,".join([Latex().number(abs(value)), *factors])
        pieces.append(f"{'-' if value < 0 else '+'} {body}")
    more = f" + {len(own) - len(kept)} terms" if len(own) > len(kept) else ""
    left = r"\dot{X}_k" if letter == "X" else r"\dot{Y}_{k,j}"
    right = " ".join(pieces).removeprefix("+ ") or "0"
    return f"${left} = {right}${more}"


def in_latex(term: Term, K: int, J: int) -> str:
    """Return a term in LaTeX that fits a line; functions, whose names are code, as a plain f."""
    factors = tuple((factor, power) if isinstance(factor, int) else ("f(..)", power) for factor, power in term.factors)
    return Term(term.letter, factors).text(K, J, Latex()).replace(r"\sum_j", r"\Sigma_j")
