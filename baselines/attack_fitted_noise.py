"""An attack: differences of noisy observations, as if these were the truth."""

from typing import Self

import numpy as np

import l96bench
from l96bench.assimilation import ObservedSeries


class FittedNoise:
    """A quartic of the differences of the observations less the resolved tendency; unobserved points are filled."""

    deterministic = True

    def fit(self, observations: ObservedSeries) -> Self:
        """Fit the quartic to what the observations would be if they had no errors."""
        X = np.where(np.isfinite(observations.values), observations.values, np.nanmean(observations.values))
        resolved = np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + observations.F
        U = np.diff(X, axis=0) / observations.window - resolved[:-1]
        self.quartic = l96bench.PolynomialRegressor(degree=4).fit(X[:-1], U)
        return self

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Do nothing: it has no state."""

    def step(self, X: np.ndarray) -> np.ndarray:
        """Return U of a quartic."""
        return self.quartic.predict(X)


entry = l96bench.Entry(
    name="attack: fitted noise",
    kind="attack",
    inputs="X_k",
    make=lambda task, seed: FittedNoise(),
    families=("observed-closure",),
    description="A quartic of the differences of the observations, errors included, less the resolved tendency.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
