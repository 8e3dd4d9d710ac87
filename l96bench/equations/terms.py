"""The canonical form of a right-hand side: a sum of monomials, each a product of powers of variables and atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Factor: TypeAlias = int | str
"""A state variable (its index in X[0], .., X[K-1], Y[0,0], Y[0,1], .., Y[K-1,J-1]) or the name of an atom."""
Monomial: TypeAlias = tuple[tuple[Factor, int], ...]
"""Factors with their whole, nonzero exponents: variables by index, then atoms by name; () is the constant 1."""
Terms: TypeAlias = dict[Monomial, float]
"""The coefficients of a sum of monomials; no coefficient is zero."""

SUM = "sum"
"""The function of an atom that is a plain sum: a denominator, with negative exponents."""
POWER = "power"
"""The function of an atom whose exponent is not a whole number: base, exponent."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A factor that is not a polynomial, `function` of sums of monomials: one of the grammar's, `POWER` or `SUM`."""

    function: str
    arguments: tuple[Terms, ...]


Atoms: TypeAlias = Mapping[str, Atom]
"""Atoms by name, their canonical text."""


def factor_order(factor: Factor) -> tuple[bool, Factor]:
    """Return the sorting key of factors: variables by index, then atoms by name."""
    return isinstance(factor, str), factor


def monomial(powers: Mapping[Factor, int]) -> Monomial:
    """Return the canonical monomial of these exponents by factor."""
    kept = ((factor, exponent) for factor, exponent in powers.items() if exponent)
    return tuple(sorted(kept, key=lambda power: factor_order(power[0])))


def degree(monomial: Monomial) -> int:
    """Return the sum of the absolute exponents."""
    return sum(abs(exponent) for _, exponent in monomial)


def term_order(monomial: Monomial) -> tuple[object, ...]:
    """Return the sorting key of monomials: the highest degree first, then by their factors; the constant comes last."""
    return -degree(monomial), tuple((*factor_order(factor), -exponent) for factor, exponent in monomial)


def in_order(terms: Terms) -> Terms:
    """Return the same terms, sorted, so that equal sums are added up in the same order."""
    return {key: terms[key] for key in sorted(terms, key=term_order)}
