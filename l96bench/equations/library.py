"""Libraries of candidate terms for equations on a ring: monomials of nearby variables, the same at every point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from l96bench.errors import ModelError

__all__ = ["Candidates", "RingLibrary"]

Array = NDArray[np.float64]
Factor = tuple[str, int]
"""A variable relative to the equation's own: ("X", -1) is X_{k-1}, ("Y", 1) the next in the fast ring, ("y", j) the
j-th fast variable of the sector, ("S", 0) their sum.
"""
Term = tuple[Factor, ...]
"""A product of variables; the empty one is the constant."""
FAST_RADIUS = 2
"""Stencil radius in the fast ring."""


@dataclass(frozen=True, slots=True)
class RingLibrary:
    """Candidate monomials up to a degree in the variables around a point, with linear coupling between the scales.

    The equation of X_k may hold all monomials of X_{k-r} .. X_{k+r} and, if there are fast variables, those of its own
    sector, linearly. The equation of Y_m may hold all monomials of Y_{m-2} .. Y_{m+2}, and X_k linearly.

    Parameters
    ----------
    degree : int
        Degree of the monomials.
    radius : int, optional
        Radius r of the stencil of X; None is the whole ring, which assumes no locality.
    J : int
        Observed fast variables per point: states are X[0] .. X[K-1], Y[0,0], Y[0,1] .. Y[K-1,J-1].
    pooled : bool
        Whether the fast variables of a sector act on X as one candidate, their sum, and not as J candidates.

    Examples
    --------
    >>> import l96bench
    >>> from sklearn.linear_model import LinearRegression
    >>> run = l96bench.simulate("lorenz96-k40", 1.0, interval=0.01, spin_up=5.0)
    >>> library = l96bench.RingLibrary(degree=1, radius=1)
    >>> model = l96bench.SparseRegression(LinearRegression(), library, symmetric=True).fit(run.X, run.time)
    >>> model.coefficients_[0].shape  # 1, X[k-1], X[k], X[k+1]
    (4,)
    """

    degree: int = 2
    radius: int | None = None
    J: int = 0
    pooled: bool = False

    def points(self, n_state: int) -> int:
        """Return the number K of points of a state; `ModelError` if no ring fits, or it is smaller than the stencil."""
        K, rest = divmod(n_state, 1 + self.J)
        if rest or K < 1:
            raise ModelError(
                f"expected states of K (1 + J) variables with J = {self.J}, got {n_state}; give RingLibrary its J"
            )
        if self.radius is not None and 2 * self.radius + 1 > K:
            raise ModelError(f"a stencil of radius {self.radius} needs {2 * self.radius + 1} points, there are {K}")
        return K

    def candidates(self, n_state: int) -> tuple[Candidates, ...]:
        """Return the candidates of X, and of Y if there are fast variables, for states of `n_state` variables."""
        K, J = self.points(n_state), self.J
        offsets = range(-((K - 1) // 2), K // 2 + 1) if self.radius is None else range(-self.radius, self.radius + 1)
        terms = self._monomials("X", offsets)
        if not J:
            return (Candidates("X", K, 0, terms),)
        couplings: tuple[Term, ...] = ((("S", 0),),) if self.pooled else tuple(((("y", j),)) for j in range(J))
        fast = (*self._monomials("Y", range(-FAST_RADIUS, FAST_RADIUS + 1)), (("X", 0),))
        return Candidates("X", K, J, terms + couplings), Candidates("Y", K, J, fast)

    def _monomials(self, name: str, offsets: Sequence[int]) -> tuple[Term, ...]:
        stencil = [(name, offset) for offset in offsets]
        return tuple(
            term for degree in range(self.degree + 1) for term in combinations_with_replacement(stencil, degree)
        )


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate terms, the same at every point, for the equations of one kind of variable, "X" or "Y"."""

    kind: str
    K: int
    J: int
    terms: tuple[Term, ...]

    @property
    def n_targets(self) -> int:
        """Number of variables of this kind."""
        return self.K if self.kind == "X" else self.K * self.J

    def features(self, X: Array, Y: Array, project: Callable[[Array], Array] = np.asarray) -> Array:
        """Return the candidates (row, target, term) of states X (time, K) and Y (time, K J), each projected to rows."""
        values: dict[Factor, Array] = {}
        columns = []
        for term in self.terms:
            column = np.ones((len(X), self.n_targets))
            for factor in term:
                if factor not in values:
                    values[factor] = self._variable(factor, X, Y)
                column = column * values[factor]
            columns.append(project(column))
        return np.stack(columns, axis=-1)

    def _variable(self, factor: Factor, X: Array, Y: Array) -> Array:
        """Return a variable (time, target) relative to each equation."""
        name, offset = factor
        if name == "y":
            return Y[:, offset :: self.J]
        if name == "S":
            return Y.reshape(len(Y), self.K, self.J).sum(axis=2)
        if name == "X" and self.kind == "Y":
            return np.repeat(X, self.J, axis=1)
        return np.roll(X if name == "X" else Y, -offset, axis=1)

    @property
    def left(self) -> str:
        """The name of any variable of this kind."""
        return "X[k]" if self.kind == "X" else "Y[k,j]"

    def symbols(self) -> list[str]:
        """The candidates as texts of an equation for all points."""
        return ["*".join(map(_symbol, term)) or "1" for term in self.terms]

    def shared_text(self, coefficients: Array) -> str:
        """Return one equation for all variables of this kind, given coefficients (term,)."""
        return f"d{self.left}/dt = {_sum(self.terms, coefficients, _symbol)}"

    def texts(self, coefficients: Array) -> list[str]:
        """Return the equations of each variable, given coefficients (target, term)."""
        lines = []
        for target, row in enumerate(coefficients):
            left = f"X[{target}]" if self.kind == "X" else _fast(target, self.J)
            lines.append(f"d{left}/dt = {_sum(self.terms, row, partial(self._name, target))}")
        return lines

    def _name(self, target: int, factor: Factor) -> str:
        """Return the name of a variable in the equation of variable number `target`."""
        name, offset = factor
        if name == "Y":
            return _fast((target + offset) % (self.K * self.J), self.J)
        k = target if self.kind == "X" else target // self.J
        return {"X": f"X[{(k + offset) % self.K}]", "y": f"Y[{k},{offset}]", "S": f"sum(Y[{k}])"}[name]


def _fast(m: int, J: int) -> str:
    return f"Y[{m // J},{m % J}]"


def _symbol(factor: Factor) -> str:
    """Return the name of a variable in an equation for all points."""
    name, offset = factor
    shift = f"{offset:+d}" if offset else ""
    return {"X": f"X[k{shift}]", "Y": f"Y[k,j{shift}]", "y": f"Y[k,{offset}]", "S": "sum(Y[k])"}[name]


def _sum(terms: Sequence[Term], coefficients: Array, name: Callable[[Factor], str]) -> str:
    """Return the terms with nonzero coefficients as text with 10 significant digits."""
    pairs = zip(terms, coefficients.tolist(), strict=True)
    parts = ["*".join([f"{value:.10g}", *map(name, term)]) for term, value in pairs if value]
    return " + ".join(parts).replace("+ -", "- ") if parts else "0"
