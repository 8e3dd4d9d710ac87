"""An attack: all 45 terms of a dense regression inside of one function that does nothing."""

from typing import Self

import numpy as np
from sklearn.linear_model import LinearRegression

import l96bench


class HiddenTerms:
    """Least squares on all terms, each right-hand side written as the maximum of itself and -1e9."""

    def __init__(self, J: int) -> None:
        self.J = J

    def fit(self, X: np.ndarray, t: np.ndarray) -> Self:
        """Fit the regression to states (time, variable) at times t."""
        dense = l96bench.SparseRegression(LinearRegression(fit_intercept=False), l96bench.RingLibrary(J=self.J))
        self.found = dense.fit(X, t).equations()
        return self

    def equations(self) -> list[str]:
        """Return the equations with their terms hidden."""
        return [hidden(text) for text in self.found]


def hidden(equation: str) -> str:
    """Return an equation, such as ``dX[k]/dt = X[k] + 1``, whose right-hand side is inside of a function."""
    left, equals, right = equation.rpartition("=")
    return f"{left}{equals} maximum({right}, -1e9)"


entry = l96bench.Entry(
    name="attack: terms inside a function",
    kind="attack",
    inputs="states, the whole ring",
    make=lambda task, seed: HiddenTerms(task.instances[0].observed_J),
    families=("equation-recovery",),
    description="Least squares on all terms, written as one function of them, so that they might count as one.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
