"""Weak SINDy as a closure: the equation of noisy observations, less what the resolved model knows (sindy extra)."""

from typing import Any

import numpy as np

import l96bench
from l96bench.assimilation import ObservedSeries


def search(derivative: Any = None) -> l96bench.SparseRegression:
    """The 56 monomials of degree 3 in five points; the threshold is chosen from the data."""
    from pysindy import STLSQ

    selection = l96bench.ThresholdSelection(STLSQ(alpha=1e-8, unbias=False))
    library = l96bench.RingLibrary(degree=3, radius=2)
    return l96bench.SparseRegression(selection, library, derivative, symmetric=True, max_rows=160_000)


class WeakClosure:
    """U_k = g(X) - (X_{k-1} (X_{k+1} - X_{k-2}) - X_k + F), dX_k/dt = g(X) being recovered from observations."""

    def fit(self, observations: ObservedSeries) -> None:
        """Recover the equation of all points from averages over windows."""
        times = observations.window * np.arange(len(observations.values))
        (found,) = search(l96bench.WeakForm()).fit(observations.values, times).equations()
        known = f"X[k-1]*X[k+1] - X[k-2]*X[k-1] - X[k] + {observations.F}"
        self.found = l96bench.EquationClosure([f"U[k] = {found.split('=')[1]} - ({known})"], observations.K)

    def given_U(self, X: Any, U: Any) -> l96bench.EquationRegressor:
        """The same search for U itself."""
        return l96bench.EquationRegressor(search()).fit(X, U)

    def closure(self, dt: float) -> l96bench.EquationClosure:
        """Return the closure."""
        return self.found


entry = l96bench.Entry(
    name="weak SINDy of observations",
    kind="equations",
    inputs="X_{k-2..k+1}",
    make=lambda task, seed: WeakClosure(),
    families=("observed-closure",),
    regimes=("wilks-f20-dense", "arnold-c4-dense"),  # averages over windows need a whole ring at all times
    source="Messenger and Bortz 2021, Multiscale Model. Simul. 19, 1474-1497; pysindy",
    description="The equation of observed X, found by SINDy in the weak form, less the resolved model's own terms.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
