"""What equations say: a small grammar, its canonical expansion into monomials, and fast evaluation."""

from l96bench.equations.closure import EquationClosure
from l96bench.equations.equation_set import EquationSet
from l96bench.equations.terms import Monomial

__all__ = ["EquationClosure", "EquationSet", "Monomial"]
