"""Sums, products, quotients and functions of polynomials, by SymPy's sparse polynomials over the rational numbers.

What is not a polynomial is one more generator of the ring: a function of canonical sums, a power that is not whole, or
one over a denominator q, with the rule q * (1/q) = 1, by which numerators are divided as far as they go: (X**2 - 1) /
(X + 1) is X - 1. Every operation is bounded before it is done, since the texts are not trusted.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn, TypeAlias

import numpy as np
from sympy import QQ
from sympy.polys.rings import PolyElement, PolyRing

from l96bench.equations.grammar import FUNCTIONS
from l96bench.equations.printing import Names, Text, write_atom
from l96bench.equations.terms import POWER, SUM, Atom, Factor, Terms, factor_order, in_order, monomial, term_order

MAX_DEGREE = 20
"""Largest sum of the exponents of a monomial, and largest exponent of an expression."""
MAX_TERMS = 3_000
"""Largest number of monomials of an expression (a quadratic in 72 variables has 2,701)."""
MAX_PRODUCTS = 100_000
"""Largest number of products of two monomials in one multiplication."""
MAX_WORK = 400_000
"""Bound on products of monomials, characters of atoms and four times the nodes visited, for all equations of a set."""
MAX_BITS = 4_096
"""Largest number of bits of the numerator and the denominator of a coefficient."""
MAX_FRACTIONS = 4
"""Largest number of fractions in a denominator that are cleared."""
MAX_ATOMS = 64
"""Largest number of different atoms and denominators of one tendency."""
MAX_ATOM = 10_000
"""Largest number of characters of an atom's canonical text."""

Powers: TypeAlias = tuple[int, ...]
"""The exponents of all generators in a monomial."""

_CONSTANTS: dict[str, Callable[..., Any]] = {**{name: getattr(np, name) for name in FUNCTIONS}, POWER: np.power}
_ring = functools.lru_cache(maxsize=64)(lambda n: PolyRing([f"g{i}" for i in range(n)], QQ))


class FullError(Exception):
    """Raised when the ring has no generator left for another atom."""


@dataclass(frozen=True, slots=True)
class Generator:
    """The meaning of a generator: a factor, or one over `inverse`, which the factor names."""

    factor: Factor
    inverse: Any = None


@dataclass(slots=True)
class Ledger:
    """State shared by the expansions of one set: `names` of variables within atoms, all `atoms`, and the work done."""

    names: Names
    atoms: dict[str, Atom]
    work: int = 0


class Algebra:
    """The ring of one expansion, with a fixed number of generators; `fail` raises errors about the current equation."""

    def __init__(self, ledger: Ledger, n_variables: int, n_atoms: int, fail: Callable[[str], NoReturn]) -> None:
        self.ledger, self.fail = ledger, fail
        self.ring = _ring(n_variables + n_atoms)
        self.generators: list[Generator] = []
        self.slots: dict[tuple[Factor, bool], int] = {}

    def number(self, text: str) -> Any:
        """Return a decimal number as an exact rational, 0 if it is too small for a float."""
        value = float(text)
        if not np.isfinite(value):
            self.fail(f"the number {text} is too large.")
        return _rational(text) if value else QQ(0)

    def term(self, coefficient: Any, slots: list[int]) -> PolyElement:
        """Return the product of a number and generators."""
        if not coefficient:
            return self.ring.zero
        powers = [0] * self.ring.ngens
        for slot in slots:
            powers[slot] += 1
        return self.ring.dtype({tuple(powers): coefficient})

    def slot(self, factor: Factor, inverse: PolyElement | None = None) -> int:
        """Return the place of a generator in the ring."""
        key = factor, inverse is not None
        if key not in self.slots:
            if len(self.generators) == self.ring.ngens:
                raise FullError
            self.slots[key] = len(self.generators)
            self.generators.append(Generator(factor, inverse))
        return self.slots[key]

    def add(self, total: PolyElement, term: PolyElement, sign: int = 1) -> None:
        """Add a term to `total` in place, or subtract it."""
        for powers, value in term.items():
            new = total.get(powers, 0) + (value if sign > 0 else -value)
            if not new:
                del total[powers]
            elif new.denominator.bit_length() > MAX_BITS:
                self.fail(f"a coefficient is a fraction of more than {MAX_BITS} bits.")
            else:
                total[powers] = new
        self._check_length(total)

    def product(self, left: PolyElement, right: PolyElement) -> PolyElement:
        """Return the product of two polynomials."""
        n = len(left) * len(right)
        if n > MAX_PRODUCTS:
            self.fail(f"a product of {len(left)} and {len(right)} terms is too long to expand.")
        self.charge(n)
        if _bits(left) + _bits(right) > MAX_BITS:
            self.fail(f"a coefficient is a fraction of more than {MAX_BITS} bits.")
        product = left * right
        self._check_length(product)
        return product

    def power(self, base: PolyElement, exponent: int) -> PolyElement:
        """Return a polynomial to a whole power, at least 0."""
        if base.is_ground:
            if exponent * _bits(base) > MAX_BITS:
                self.fail(f"a number to the power {exponent:.4g} is too large.")
            return self.ring.ground_new(base.coeff(1) ** exponent)
        degree = exponent * max(map(sum, base))
        if degree > MAX_DEGREE:
            self.fail(f"a power is of degree {degree:.4g}; expected at most {MAX_DEGREE}.")
        product = self.ring.one
        for _ in range(exponent):
            product = self.product(product, base)
        return product

    def charge(self, work: int) -> None:
        """Count work, and fail when it exceeds its bound."""
        self.ledger.work += work
        if self.ledger.work > MAX_WORK:
            self.fail(f"the set takes more than {MAX_WORK} operations to expand.")

    def function(self, name: str, arguments: list[PolyElement]) -> PolyElement:
        """Return a function's value: a number for constant arguments, else an atom."""
        arguments = [self.reduced(argument) for argument in arguments]
        if not all(argument.is_ground for argument in arguments):
            return self.term(QQ(1), [self.slot(self._atom(name, arguments))])
        with np.errstate(all="ignore"):
            value = float(_CONSTANTS[name](*(self._float(argument.coeff(1)) for argument in arguments)))
        if not np.isfinite(value):
            self.fail(f"{name} of these constants is {value}.")
        return self.ring.ground_new(self.number(repr(abs(value))) * (-1 if value < 0 else 1))

    def inverse(self, q: PolyElement) -> PolyElement:
        """Return 1/q: a number, inverses of single factors, and the inverse of what remains, with leading term 1."""
        result = self.ring.one
        fractions = self._fractions(q)
        if 0 < sum(fractions.values()) <= MAX_FRACTIONS:
            for slot, exponent in fractions.items():
                result = self.product(result, self.power(self.generators[slot].inverse, exponent))
            q = self.product(q, result)
        q = self.reduced(q)
        if not q:
            self.fail("divides by zero.")
        lead = max(q, key=self._order())
        result = result.mul_ground(1 / q[lead])
        common = functools.reduce(self.ring.monomial_gcd, q)
        rest = self.ring.dtype({self.ring.monomial_ldiv(powers, common): c / q[lead] for powers, c in q.items()})
        for slot, exponent in enumerate(common):
            if exponent:
                over = self.slot(self.generators[slot].factor, self.term(QQ(1), [slot]))
                result = self.product(result, self.term(QQ(1), [over] * exponent))
        if len(rest) > 1:
            result = self.product(result, self.term(QQ(1), [self.slot(self._atom(SUM, [rest]), rest)]))
        return result

    def reduced(self, p: PolyElement) -> PolyElement:
        """Return p with every numerator divided by its denominators."""
        if not self._fractions(p):
            return p
        order = self._order()
        rules = []
        for slot, generator in enumerate(self.generators):
            if generator.inverse is not None:
                zero = self.term(QQ(1), [slot]) * generator.inverse - 1
                rules.append((slot, max(zero, key=order), zero))
        done, todo = self.ring.zero, self.ring.zero
        for powers, value in p.items():
            (todo if any(powers[slot] for slot, _, _ in rules) else done)[powers] = value
        while todo:
            self.charge(len(todo))
            powers = max(todo, key=order)
            for slot, lead, zero in rules:
                quotient = self.ring.monomial_div(powers, lead) if powers[slot] else None
                if quotient is not None:
                    self.add(todo, zero.mul_term((quotient, todo[powers] / zero[lead])), -1)
                    break
            else:
                self.add(done, self.ring.dtype({powers: todo.pop(powers)}))
        return done

    def canonical(self, p: PolyElement) -> Terms:
        """Return the terms of a polynomial with nonzero coefficients as floats."""
        terms: Terms = {}
        for powers, coefficient in self.reduced(p).items():
            if sum(powers) > MAX_DEGREE:
                self.fail(f"expands to a term of degree {sum(powers)}; expected at most {MAX_DEGREE}.")
            value = self._float(coefficient)
            if value:
                used = [(self.generators[slot], exponent) for slot, exponent in enumerate(powers) if exponent]
                key = monomial({each.factor: -e if each.inverse is not None else e for each, e in used})
                terms[key] = value
        return terms

    def _atom(self, name: str, arguments: list[PolyElement]) -> str:
        """Return the name of an atom of reduced arguments, and keep the atom in the ledger."""
        terms = [in_order(self.canonical(argument)) for argument in arguments]
        if name in ("maximum", "minimum"):
            terms.sort(key=lambda each: (not each, [(term_order(key), value) for key, value in each.items()]))
        lengths = (25 + sum(len(f) if isinstance(f, str) else 10 for f, _ in key) for each in terms for key in each)
        length = sum(lengths)
        if length > MAX_ATOM:
            self.fail(f"a function, power or denominator is of about {length} characters; expected {MAX_ATOM}.")
        self.charge(length)
        atom = Atom(name, tuple(terms))
        text = write_atom(atom, self.ledger.atoms, self.ledger.names, Text())
        self.ledger.atoms.setdefault(text, atom)
        return text

    def _fractions(self, p: PolyElement) -> dict[int, int]:
        """Return the generators of a polynomial that are inverses, with their largest exponents."""
        slots = [slot for slot, generator in enumerate(self.generators) if generator.inverse is not None]
        exponents = {slot: max((powers[slot] for powers in p), default=0) for slot in slots}
        return {slot: exponent for slot, exponent in exponents.items() if exponent}

    def _order(self) -> Callable[[Powers], tuple[int, Any]]:
        """Return the key of the graded order of monomials, which does not depend on how an equation is written."""
        keys = [(each.inverse is not None, factor_order(each.factor)) for each in self.generators]
        ranked = sorted(range(len(keys)), key=keys.__getitem__)
        pick = operator.itemgetter(*ranked) if ranked else lambda powers: powers
        return lambda powers: (sum(powers), pick(powers))

    def _check_length(self, p: PolyElement) -> None:
        if len(p) > MAX_TERMS:
            self.fail(f"expands to more than {MAX_TERMS} terms.")

    def _float(self, value: Any) -> float:
        try:
            return float(value)
        except OverflowError:
            self.fail("a coefficient is too large.")


def _bits(p: PolyElement) -> int:
    """Return the size in bits of the largest coefficient."""
    return max([c.numerator.bit_length() + c.denominator.bit_length() for c in p.values()], default=0)


@functools.lru_cache(maxsize=4096)
def _rational(text: str) -> Any:
    """Return a decimal number as an exact rational."""
    fraction = Fraction(text)
    return QQ(fraction.numerator, fraction.denominator)
