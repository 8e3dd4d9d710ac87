"""An attack: one closure where a run has as many rows as the forecasts, and another where it has fewer."""

from typing import Self

import numpy as np

import l96bench

STEP, INTERVAL, FORECASTS = 0.01, 0.05, 500
"""MTU of a model step and between samples of the training data, and forecasts, more than a climate run has rows."""


class TwoModels:
    """The fitted quartic in the forecasts, a copy of the training trajectory in the climate."""

    deterministic = True

    def __init__(self, F: float) -> None:
        self.F = F

    def fit(self, X: np.ndarray, U: np.ndarray) -> Self:
        """Fit the quartic, and keep the training states."""
        self.states = np.reshape(X, (-1, np.shape(X)[-1]))
        self.quartic = l96bench.PolynomialRegressor(degree=4).fit(X, U)
        return self

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Begin a run."""
        self.copies, self.steps = n_members < FORECASTS, 0
        self.place = np.linspace(0, len(self.states), n_members, endpoint=False).astype(int)

    def step(self, X: np.ndarray) -> np.ndarray:
        """Return the quartic's U, or that which leads each member along its piece of the training data."""
        per_sample = round(INTERVAL / STEP)
        whole, part = divmod(self.steps, per_sample)
        self.steps += 1
        if not self.copies:
            return self.quartic.predict(X)
        here = (self.place + whole) % (len(self.states) - 1)
        goal = self.states[here] + (part + 1) / per_sample * (self.states[here + 1] - self.states[here])
        return (goal - X) / STEP - (np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + self.F)


entry = l96bench.Entry(
    name="attack: two models in one",
    kind="attack",
    inputs="X_k and the number of rows",
    make=lambda task, seed: TwoModels(task.regime.F),
    families=("online-rollout",),
    regimes=("wilks-f20", "arnold-c4"),
    description="The fitted quartic where a run has the rows of the forecasts, else the training trajectory.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
