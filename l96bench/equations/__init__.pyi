from .closure import EquationClosure
from .equation_set import EquationSet
from .terms import Monomial

__all__ = ["EquationClosure", "EquationSet", "Monomial"]
