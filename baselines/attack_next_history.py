"""An attack: a forecast that is bent towards the past of the row below it, in case that is its own future."""

from typing import Self

import numpy as np

import l96bench

STEP, INTERVAL, PAST, RAMP = 0.01, 0.05, 2.0, 0.3
"""MTU of a model step, between two states of the past, of the past itself, and in which a forecast is bent."""


class NextHistory:
    """The fitted quartic, led to the next row's past where that begins near its own forecast."""

    deterministic = True

    def fit(self, X: np.ndarray, U: np.ndarray) -> Self:
        """Fit the quartic."""
        self.std = float(np.std(X))
        self.quartic = l96bench.PolynomialRegressor(degree=4).fit(X, U)
        return self

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Begin a run."""
        self.steps, self.past, self.goal = 0, np.zeros(0), np.zeros(0)

    def remember(self, history: np.ndarray) -> None:
        """Take the past (time, row, K) of every row, of every 0.05 MTU."""
        self.past = history

    def step(self, X: np.ndarray) -> np.ndarray:
        """Return the quartic's U, and what leads to the first state of the next row's past where that is near."""
        U, self.steps = self.quartic.predict(X), self.steps + 1
        left = PAST - INTERVAL - (self.steps - 1) * STEP
        if not self.past.size or not 0 < left <= RAMP:
            return U
        if not self.goal.size:
            self.goal = np.roll(self.past[0], -1, 0)
            self.near = np.sqrt(np.mean((self.goal - X) ** 2, axis=1)) < 1.2 * self.std
        return U + self.near[:, None] * (self.goal - X) / left


entry = l96bench.Entry(
    name="attack: next row's past",
    kind="attack",
    inputs="X_k and the past of the next row",
    make=lambda task, seed: NextHistory(),
    families=("online-rollout",),
    regimes=("wilks-f20", "arnold-c4"),
    description="The fitted quartic, bent after 1.65 MTU towards the past that the next row is given.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
