"""Expansion of syntax trees into canonical sums of monomials, with exact decimal numbers until the end."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from sympy import QQ
from sympy.polys.rings import PolyElement

from l96bench.equations.algebra import MAX_ATOMS, MAX_DEGREE, Algebra, FullError, Ledger
from l96bench.equations.grammar import ALLOWED, Part, call, index, read, right_side
from l96bench.equations.printing import Names
from l96bench.equations.terms import POWER, Factor, Monomial, Terms, degree, monomial
from l96bench.errors import EquationError


class Expander:
    """Expands the equations of one set, which share bounds on work and the atoms in `ledger`."""

    def __init__(self, K: int, J: int) -> None:
        self.K, self.J = K, J
        self.ledger = Ledger(Names(K, J), {})

    def read(self, texts: Sequence[str], left: str) -> Iterator[tuple[int, Terms]]:
        """Yield the targets that the texts name, with the terms of their tendencies."""
        for equation in read(texts, self.K, self.J, left):
            n_variables = self._variables(equation.parts)
            for target, k, j in equation.targets:
                yield target, self._expand(equation.parts, n_variables, k, j)

    def entry(self, entry: Monomial | str) -> Terms:
        """Return the terms of a library's entry: a monomial, or a text without running indices."""
        if isinstance(entry, str):
            parts = right_side(entry, f"the library's {entry!r:.80}")
            return self._expand(parts, self._variables(parts))
        powers = dict(entry)
        if len(powers) < len(entry) or degree(entry) > MAX_DEGREE or not all(map(self._is_known, powers.items())):
            raise EquationError(
                f"the library has the monomial {entry!r:.120}. Expected different factors, each the index of a "
                f"variable or the name of a function, to powers that are not 0 and together at most {MAX_DEGREE}."
            )
        return {monomial(powers): 1.0}

    def _is_known(self, power: tuple[Factor, int]) -> bool:
        """Return whether a factor to a power is valid, after parsing it if it is a text."""
        factor, exponent = power
        if isinstance(factor, str):
            self.entry(factor if exponent > 0 else f"{factor}**-1")
            return factor in self.ledger.atoms and exponent != 0
        return 0 <= factor < self.K * (1 + self.J) and exponent != 0

    def _variables(self, parts: list[Part]) -> int:
        """Bound the number of variables in a right-hand side, in steps of 4, so that rings can be shared."""
        texts = {name for part in parts for name in re.findall(r"[XY]\[[^\]]*\]", part.text)}
        sums = sum(part.text.count("sum") for part in parts)
        return -4 * (-min(len(texts) + sums * self.J + 1, self.K * (1 + self.J)) // 4)

    def _expand(self, parts: list[Part], n_variables: int, k: int | None = None, j: int | None = None) -> Terms:
        """Return the terms of a right-hand side for these values of the running indices."""
        for n_atoms in (0, MAX_ATOMS // 8, MAX_ATOMS):
            try:
                return _Expansion(self, n_variables, n_atoms, k, j).terms(parts)
            except FullError:
                continue
        parts[0].fail(f"more than {MAX_ATOMS} different functions, powers and denominators in one tendency.")


class _Expansion:
    """The expansion of one right-hand side."""

    def __init__(self, owner: Expander, n_variables: int, n_atoms: int, k: int | None, j: int | None) -> None:
        self.K, self.J, self.k, self.j = owner.K, owner.J, k, j
        self.algebra = Algebra(owner.ledger, n_variables, n_atoms, self._fail)
        self.part: Part

    def terms(self, parts: list[Part]) -> Terms:
        """Return the canonical terms of the sum of all parts."""
        total = self.algebra.ring.zero
        for self.part in parts:
            self._accumulate(total, self.part.tree)
        return self.algebra.canonical(total)

    def _fail(self, what: str) -> NoReturn:
        self.part.fail(what)

    def _visit(self, node: ast.expr) -> PolyElement:
        """Return the polynomial of a node."""
        self.algebra.charge(4)
        match node:
            case ast.BinOp(op=ast.Mult()) | ast.Constant() | ast.Subscript():
                return self._product(node)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                total = self.algebra.ring.zero
                self._accumulate(total, node)
                return total
            case ast.BinOp(op=ast.Pow()):
                return self._power(node, 1)
            case ast.BinOp(op=ast.Div()):
                return self.algebra.product(self._visit(node.left), self._reciprocal(node.right))
            case ast.UnaryOp(op=ast.USub()):
                return -self._visit(node.operand)
            case ast.UnaryOp(op=ast.UAdd()):
                return self._visit(node.operand)
            case ast.Call(func=ast.Name(id="sum")):
                return self._sector(node)
            case ast.Call():
                return self.algebra.function(call(self.part, node), [self._visit(each) for each in node.args])
        self.part.fail(f"{self.part.show(node)!r} has no meaning here. {ALLOWED}")

    def _accumulate(self, total: PolyElement, node: ast.expr) -> None:
        """Add the terms of a sum, from the last one, as its tree is nested to the left."""
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            self.algebra.add(total, self._visit(node.right), 1 if isinstance(node.op, ast.Add) else -1)
            node = node.left
        self.algebra.add(total, self._visit(node))

    def _product(self, node: ast.expr) -> PolyElement:
        """Return a product: first its numbers and variables, then its other factors."""
        coefficient, slots, others = QQ(1), [], []
        stack = [node]
        while stack:
            match stack.pop():
                case ast.BinOp(op=ast.Mult()) as inner:
                    stack += [inner.left, inner.right]
                case ast.Constant() as number if type(number.value) in (int, float):
                    coefficient *= self.algebra.number(self.part.text[number.col_offset : number.end_col_offset])
                case ast.Subscript(value=ast.Name(id="X" | "Y")) as variable:
                    slots.append(self.algebra.slot(self._variable(variable)))
                case ast.Constant() | ast.Subscript() as strange:
                    self.part.fail(f"{self.part.show(strange)!r} has no meaning here. {ALLOWED}")
                case other:
                    others.append(self._visit(other))
        self.algebra.charge(len(slots))
        product = self.algebra.term(coefficient, slots)
        for other in others:
            product = self.algebra.product(product, other)
        return product

    def _variable(self, node: ast.Subscript) -> int:
        """Return the flat index of X[k-1] or Y[k,j+1]."""
        indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        is_fast = isinstance(node.value, ast.Name) and node.value.id == "Y"
        if is_fast and not self.J:
            self.part.fail(f"{self.part.show(node)!r}: this system has no fast variables Y.")
        if len(indices) != 1 + is_fast:
            self.part.fail(f"{self.part.show(node)!r} has {len(indices)} indices, not {1 + is_fast}. {ALLOWED}")
        k = index(self.part, indices[0], "k", self.k, self.K)
        if not is_fast:
            return k % self.K
        return self.K + (k * self.J + index(self.part, indices[1], "j", self.j, self.J)) % (self.K * self.J)

    def _sector(self, node: ast.Call) -> PolyElement:
        """Return sum(Y[k]), the sum of a sector's fast variables."""
        match node:
            case ast.Call(args=[ast.Subscript(value=ast.Name(id="Y"), slice=at)], keywords=[]) if self.J:
                first = self.K + index(self.part, at, "k", self.k, self.K) % self.K * self.J
            case _:
                self.part.fail(f"{self.part.show(node)!r}: only sums of a sector, sum(Y[k]), where there are Y.")
        total = self.algebra.ring.zero
        for i in range(first, first + self.J):
            self.algebra.add(total, self.algebra.term(QQ(1), [self.algebra.slot(i)]))
        return total

    def _power(self, node: ast.BinOp, sign: int) -> PolyElement:
        """Return a power, or its inverse for sign -1."""
        exponent = self._visit(node.right)
        value = sign * exponent.coeff(1)
        if exponent.is_ground and value.denominator == 1:
            base = self._visit(node.left) if value >= 0 else self._reciprocal(node.left)
            return self.algebra.power(base, abs(int(value)))
        base = self._visit(node.left)
        if exponent.is_ground:
            exponent = self.algebra.ring.ground_new(abs(value))
            sign = 1 if value > 0 else -1
        is_root = exponent == QQ(1, 2)
        power = self.algebra.function("sqrt", [base]) if is_root else self.algebra.function(POWER, [base, exponent])
        return power if sign > 0 else self.algebra.inverse(power)

    def _reciprocal(self, node: ast.expr) -> PolyElement:
        """Return one over a node, dividing by factors one by one, so that (1 + X)**2 is treated as 1 + X twice."""
        match node:
            case ast.BinOp(op=ast.Mult()):
                return self.algebra.product(self._reciprocal(node.left), self._reciprocal(node.right))
            case ast.BinOp(op=ast.Pow()):
                return self._power(node, -1)
        return self.algebra.inverse(self._visit(node))
