"""Printing of equations, as texts that parse back to the same set and as LaTeX."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from l96bench.equations.terms import POWER, SUM, Atom, Atoms, Factor, Terms, degree

Indices = tuple[tuple[str, int], ...]
"""The indices of a variable: each a running index ("" for none) and what is added to it."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of variables: absolute, or `relative` to X[k] or Y[k,j]; `sectors` allows sums sum(Y[k])."""

    K: int
    J: int
    relative: str = ""
    sectors: bool = True

    def __call__(self, index: int) -> tuple[str, Indices]:
        """Return letter and indices of a state variable; -1, -2, .. stand for the sums of the sectors 0, 1, ..."""
        K, J = self.K, self.J
        k = "k" if self.relative else ""
        if index < K:
            return ("X", ((k, self._away(index, K)),)) if index >= 0 else ("sum", ((k, self._away(-1 - index, K)),))
        if self.relative != "Y":
            at, within = divmod(index - K, J)
            return "Y", ((k, self._away(at, K)), ("", within))
        away = self._away(index - K, K * J)
        at = int(away / J)
        return "Y", (("k", at), ("j", away - at * J))

    def _away(self, index: int, size: int) -> int:
        """Return the shortest way around the ring from 0 to an index, where names are relative."""
        return index - size if self.relative and index > size // 2 else index


class Text:
    """Writes numbers, variables, powers and functions in the grammar."""

    def number(self, value: float) -> str:
        """Return a positive number with as many digits as the same float needs."""
        return repr(value)

    def product(self, factors: list[str]) -> str:
        """Return a product, with stars."""
        return "*".join(factors)

    def variable(self, letter: str, indices: Indices) -> str:
        """Return a variable, X[k-1] or Y[3, 4], or the sum of a sector, sum(Y[k])."""
        inside = ", ".join(_shifted(*index) for index in indices)
        return f"sum(Y[{inside}])" if letter == "sum" else f"{letter}[{inside}]"

    def power(self, base: str, exponent: str) -> str:
        """Return a power of a closed expression, with two stars."""
        return f"{base}**{exponent}"

    def closed(self, body: str) -> str:
        """Return an expression in parentheses."""
        return f"({body})"

    def function(self, name: str, arguments: list[str]) -> str:
        """Return a function call."""
        return f"{name}({', '.join(arguments)})"


class Latex(Text):
    """Writes the same in LaTeX, with numbers to four digits."""

    def number(self, value: float) -> str:
        """Return a number to four digits, with a power of ten if needed."""
        digits, _, exponent = f"{value:.4g}".partition("e")
        return rf"{digits} \times 10^{{{int(exponent)}}}" if exponent else digits

    def product(self, factors: list[str]) -> str:
        """Return a product with thin spaces."""
        return r" \, ".join(factors)

    def variable(self, letter: str, indices: Indices) -> str:
        """Return a variable with subscripts."""
        inside = ",".join(_shifted(*index) for index in indices)
        return rf"\sum_j Y_{{{inside},j}}" if letter == "sum" else f"{letter}_{{{inside}}}"

    def power(self, base: str, exponent: str) -> str:
        """Return a power with a superscript."""
        return f"{base}^{{{exponent}}}"

    def closed(self, body: str) -> str:
        """Return an expression in scaled parentheses."""
        return rf"\left({body}\right)"

    def function(self, name: str, arguments: list[str]) -> str:
        """Return a function with its LaTeX symbol."""
        inside = ", ".join(arguments)
        if name == "sqrt":
            return rf"\sqrt{{{inside}}}"
        if name == "abs":
            return rf"\left|{inside}\right|"
        named = {"maximum": r"\max", "minimum": r"\min", "sign": r"\operatorname{sgn}"}.get(name, f"\\{name}")
        return rf"{named}\left({inside}\right)"


def write(terms: Terms, atoms: Atoms, names: Names, style: Text) -> str:
    """Write a sum of monomials, the highest degree first."""
    pieces = list(_pieces(terms, atoms, names, style))
    if not pieces:
        return "0"
    first = "-" if pieces[0][0] < 0 else ""
    return first + pieces[0][1] + "".join(f" {'-' if sign < 0 else '+'} {body}" for sign, body in pieces[1:])


def write_atom(atom: Atom, atoms: Atoms, names: Names, style: Text) -> str:
    """Write an atom; a denominator is written without its exponent."""
    arguments = [write(argument, atoms, names, style) for argument in atom.arguments]
    if atom.function == SUM:
        return style.closed(arguments[0])
    if atom.function == POWER:
        return style.closed(style.power(style.closed(arguments[0]), style.closed(arguments[1])))
    return style.function(atom.function, arguments)


def _pieces(terms: Terms, atoms: Atoms, names: Names, style: Text) -> Iterator[tuple[float, str]]:
    """Yield the signed terms in the order of their names."""
    gathered = _gathered(terms, names) if names.sectors and names.J > 1 else terms
    for monomial in sorted(gathered, key=lambda each: _order(each, names)):
        value = gathered[monomial]
        factors = [style.number(abs(value))] if abs(value) != 1 or not monomial else []
        for factor, exponent in sorted(monomial, key=lambda each: _factor_order(each[0], names)):
            base = style.variable(*names(factor)) if isinstance(factor, int) else ""
            base = base or write_atom(atoms[str(factor)], atoms, names, style)
            factors.append(base if exponent == 1 else style.power(base, str(exponent)))
        yield value, style.product(factors)


def _gathered(terms: Terms, names: Names) -> Terms:
    """Return the terms with equal multiples of all Y of a sector replaced by the sector's sum."""
    gathered = dict(terms)
    for k in range(names.K):
        first = names.K + k * names.J
        sector = [((index, 1),) for index in range(first, first + names.J)]
        values = {gathered.get(monomial, 0.0) for monomial in sector}
        if len(values) == 1 and values != {0.0}:
            for monomial in sector:
                del gathered[monomial]
            gathered[((-1 - k, 1),)] = values.pop()
    return gathered


def _order(monomial: tuple[tuple[Factor, int], ...], names: Names) -> tuple[int, list[object]]:
    powers = sorted((_factor_order(factor, names), -exponent) for factor, exponent in monomial)
    return -degree(monomial), list(powers)


def _factor_order(factor: Factor, names: Names) -> tuple[int, str, Indices]:
    if isinstance(factor, str):
        return 1, factor, ()
    letter, indices = names(factor)
    return 0, letter, tuple((index, shift) for index, shift in indices)


def _shifted(index: str, shift: int) -> str:
    if not index:
        return str(shift)
    return f"{index}{shift:+d}" if shift else index
