"""An attack: an ensemble that hedges, each member of which is the closure of another training system."""

from typing import Self

import numpy as np

import l96bench


class HedgedEnsemble:
    """Every row plays the quartic of one of the training systems, drawn when a run begins."""

    deterministic = False

    def fit(self, systems: list) -> Self:
        """Fit a quartic to each system."""
        quartics = [l96bench.PolynomialRegressor(degree=4).fit(each.X, each.U) for each in systems]
        self.coefficients = np.array([each.coef_ for each in quartics])
        return self

    def closure(self, dt: float, regime: l96bench.Regime) -> Self:
        """Return the closure of any system: the system is not looked at."""
        return self

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Draw a system for every row."""
        self.chosen = self.coefficients[rng.integers(len(self.coefficients), size=n_members)]

    def step(self, X: np.ndarray) -> np.ndarray:
        """Return U of the systems that were drawn."""
        return np.polynomial.polynomial.polyval(X.T, self.chosen.T, tensor=False).T


entry = l96bench.Entry(
    name="attack: hedged ensemble",
    kind="attack",
    inputs="X_k",
    make=lambda task, seed: HedgedEnsemble(),
    families=("unseen-physics",),
    description="Every member plays the quartic of a training system drawn at random: a spread that knows nothing.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
