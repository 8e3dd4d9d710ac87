"""Sets of equations as data: parsed from texts, expanded to canonical monomials, evaluated, printed."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.equations.printing import Latex, Names, Text, write
from l96bench.equations.terms import Atoms, Monomial, Terms, in_order
from l96bench.errors import EquationError

if TYPE_CHECKING:
    from l96bench.equations.evaluation import Program

MAX_PAIRS = 250_000
"""Largest number of coefficients of a set (all quadratics in 72 variables for 72 targets are 194,472)."""
MAX_INNER = 1_000
"""Largest number of terms that one monomial counts as."""


@dataclass(frozen=True)
class EquationSet:
    """The tendencies of a system's variables, each a canonical sum of monomials.

    States and targets are in flat order: X[0], .., X[K-1], then Y[0,0], Y[0,1], .., Y[K-1,J-1]. Equivalent sets are
    equal, however they were written: decimal numbers are exact, products and whole powers multiplied out, and terms
    that cancel removed. A function, a power that is not whole and a denominator count as one factor each.

    Parameters
    ----------
    K, J : int
        Points, and fast variables per point (0 for none).
    equations : tuple of ((Monomial, float), ..)
        The sorted terms of every target.
    atoms : mapping of str to Atom
        The factors that are not variables, by their names.

    Examples
    --------
    >>> import l96bench
    >>> found = l96bench.EquationSet.parse(["dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8"], K=5)
    >>> found == l96bench.EquationSet.parse(["8 - X[k] - X[k-2]*X[k-1] + X[k+1]*X[k-1]"], K=5)
    True
    """

    K: int
    J: int
    equations: tuple[tuple[tuple[Monomial, float], ...], ...] = field(repr=False)
    atoms: Atoms = field(compare=False, repr=False)

    @classmethod
    def parse(cls, texts: Sequence[str], K: int, J: int = 0, *, left: str = "dX/dt") -> EquationSet:
        """Parse texts into a set of equations; a target without an equation has tendency 0.

        Parameters
        ----------
        texts : list of str
            Equations such as ``"dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8"`` (for all k), ``"dX[3]/dt = .."`` or
            ``"dY[k,j]/dt = .."``; or right-hand sides alone: one for X[k] (and one for Y[k,j]), or one for every
            target. `EquationError` for those outside `l96bench.equations.grammar` or its bounds.
        K, J : int
            As for the class.
        left : {"dX/dt", "U"}
            The left-hand side that texts may name; ``"U"`` for closures, ``"U[k] = .."``.
        """
        from l96bench.equations.expansion import Expander

        expander = Expander(K, J)
        return cls._of(dict(expander.read(texts, left)), expander.ledger.atoms, K, J)

    @classmethod
    def from_coefficients(
        cls, monomials: Sequence[Monomial | str], coefficients: ArrayLike, K: int, J: int = 0
    ) -> EquationSet:
        """Return the set with coefficients (n_targets, n_monomials) of a library of monomials.

        Monomials are factors with exponents, ``((0, 1), (7, 2))``, or texts, ``"X[0]*X[7]**2"``, ``"sin(X[0])"``.
        Raises `EquationError` for a wrong shape, a coefficient that is not finite, or a monomial outside the grammar.
        """
        from l96bench.equations.expansion import Expander

        values = np.asarray(coefficients, dtype=np.float64)
        n_targets = K + K * J
        if values.shape != (n_targets, len(monomials)) or not np.isfinite(values).all():
            raise EquationError(
                f"expected finite coefficients of shape {(n_targets, len(monomials))}, one row per target and one "
                f"column per monomial, got shape {values.shape} with {np.count_nonzero(~np.isfinite(values))} that "
                "are not finite."
            )
        expander = Expander(K, J)
        library, atoms = [expander.entry(each) for each in monomials], expander.ledger.atoms
        equations: dict[int, Terms] = {}
        for target, row in enumerate(values):
            terms: Terms = {}
            for column in np.flatnonzero(row):
                for key, value in library[column].items():
                    terms[key] = terms.get(key, 0.0) + float(row[column]) * value
            if not all(map(math.isfinite, terms.values())):
                raise EquationError(f"the coefficients of {_left(Names(K, J), target, 'dX/dt')} are too large.")
            equations[target] = terms
        return cls._of(equations, atoms, K, J)

    @classmethod
    def _of(cls, equations: dict[int, Terms], atoms: Atoms, K: int, J: int) -> EquationSet:
        """Return the set of these terms by target, sorted and without zeros."""
        n_terms = sum(map(len, equations.values()))
        if n_terms > MAX_PAIRS:
            raise EquationError(f"expected at most {MAX_PAIRS} terms in all equations together, got {n_terms}.")
        rows = []
        for target in range(K + K * J):
            terms = in_order(equations.get(target, {}))
            rows.append(tuple((key, value) for key, value in terms.items() if value))
        return cls(K, J, tuple(rows), dict(atoms))

    @property
    def n_targets(self) -> int:
        """Number of variables with a tendency: K + K J."""
        return self.K + self.K * self.J

    @property
    def n_terms(self) -> int:
        """Number of (target, monomial) pairs, and of the `inner_terms` beside them."""
        return sum(map(len, self.equations)) + len(self.inner_terms)

    @functools.cached_property
    def inner_terms(self) -> frozenset[tuple[int, tuple[Monomial, int]]]:
        """The terms that a monomial with functions, powers or denominators of sums stands for beside itself, by target.

        A function counts as its arguments' monomials, constant arguments left out, so that a sum gains nothing by
        being one; a product of such factors counts as if it were multiplied out, and a monomial at most `MAX_INNER`.
        """
        return frozenset(
            (target, (key, i))
            for target, terms in enumerate(self.equations)
            for key, _ in terms
            for i in range(1, _size(key, self._sizes))
        )

    @functools.cached_property
    def _sizes(self) -> dict[str, int]:
        """How many terms each atom counts as, by name; the atoms within an atom have shorter names."""
        sizes: dict[str, int] = {}
        for name in sorted(self.atoms, key=len):
            vary = [each for each in self.atoms[name].arguments if each.keys() - {()}]
            sizes[name] = min(MAX_INNER, max(1, sum(_size(key, sizes) for each in vary for key in each)))
        return sizes

    @functools.cached_property
    def support(self) -> frozenset[tuple[int, Monomial]]:
        """The (target, monomial) pairs."""
        return frozenset((target, key) for target, terms in enumerate(self.equations) for key, _ in terms)

    def monomials(self, target: int) -> Terms:
        """Return the coefficients of the monomials in the tendency of a target."""
        return dict(self.equations[target])

    @functools.cached_property
    def _program(self) -> Program:
        from l96bench.equations.evaluation import compiled

        return compiled(map(dict, self.equations), self.atoms, self.n_targets)

    def tendency(self, states: ArrayLike) -> NDArray[np.float64]:
        """Return the tendencies (n, n_targets) of states (n, n_targets), in flat order; `ValueError` for other shapes.

        Undefined or overflowing tendencies, such as logarithms of negative numbers, are NaN or infinite.
        """
        from l96bench.equations.evaluation import run

        array = np.ascontiguousarray(states, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.n_targets:
            raise ValueError(f"expected states of shape (n, {self.n_targets}), got {array.shape}.")
        return run(self._program, array)

    def texts(self, left: str = "dX/dt") -> list[str]:
        """Return equations that `parse` reads as the same set: one for all k if possible, else one for every target."""
        return [f"{_left(names, target, left)} = {body}" for names, target, body in self._written(Text())]

    def latex(self, left: str = "dX/dt") -> list[str]:
        """Return the equations of `texts` in LaTeX, with coefficients to four digits."""
        lines = []
        for names, target, body in self._written(Latex()):
            letter, indices = names(target)
            variable = Latex().variable("U" if left == "U" else letter, indices)
            tendency = variable if left == "U" else rf"\frac{{d{variable}}}{{dt}}"
            lines.append(f"{tendency} = {body}")
        return lines

    @property
    def n_equations(self) -> int:
        """Number of equations needed to write the set: 1 (2 with Y) if they are the same at every point."""
        return len(self._layout)

    @functools.cached_property
    def _layout(self) -> list[tuple[Names, int]]:
        """The naming of every equation, and the target whose terms it has."""
        layout: list[tuple[Names, int]] = []
        for letter, targets in (("X", range(self.K)), ("Y", range(self.K, self.n_targets))):
            if targets:
                names = self._symmetric(letter, targets)
                absolute = [(Names(self.K, self.J), target) for target in targets]
                layout += absolute if names is None else [(names, targets[0])]
        return layout

    def _symmetric(self, letter: str, targets: range) -> Names | None:
        """Return the relative names by which one equation expresses all of these, if it can."""
        if not self.atoms and len({tuple(sorted(v for _, v in self.equations[target])) for target in targets}) > 1:
            return None
        for sectors in (True, False) if self.J else (True,):
            names = Names(self.K, self.J, letter, sectors)
            text = f"{_left(names, targets[0], 'dX/dt')} = {self._body(targets[0], names, Text())}"
            try:
                said = EquationSet.parse([text], self.K, self.J)
            except EquationError:
                continue
            if all(said.equations[target] == self.equations[target] for target in targets):
                return names
        return None

    def _written(self, style: Text) -> list[tuple[Names, int, str]]:
        return [(names, target, self._body(target, names, style)) for names, target in self._layout]

    def _body(self, target: int, names: Names, style: Text) -> str:
        return write(dict(self.equations[target]), self.atoms, names, style)


def _size(key: Monomial, sizes: Mapping[str, int]) -> int:
    """Return how many terms a monomial counts as, whose atoms count as `sizes`."""
    size = 1
    for factor, exponent in key:
        if isinstance(factor, str):
            size = min(MAX_INNER, size * sizes[factor] ** min(abs(exponent), MAX_INNER))
    return size


def _left(names: Names, target: int, left: str) -> str:
    """Return the left-hand side of a target."""
    letter, indices = names(target)
    return Text().variable("U", indices) if left == "U" else f"d{Text().variable(letter, indices)}/dt"
