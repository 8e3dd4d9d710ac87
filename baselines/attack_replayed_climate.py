"""An attack: a quartic while forecasts are scored, then a copy of the training trajectory as a climate."""

from typing import Self

import numpy as np
from scipy.spatial import cKDTree

import l96bench

STEP, INTERVAL, FORECAST, LONGEST = 0.01, 0.05, 3.1, 400.0
"""MTU of a model step, between samples of the training data, after which a run is no forecast, and of a climate run."""


class ReplayedClimate:
    """The fitted quartic for 3.1 MTU; then every member is dragged along the training states nearest to it."""

    deterministic = True

    def __init__(self, F: float) -> None:
        self.F = F

    def fit(self, X: np.ndarray, U: np.ndarray) -> Self:
        """Fit the quartic, and keep the training states."""
        self.states = np.reshape(X, (-1, np.shape(X)[-1]))
        last = min(round(LONGEST / INTERVAL), len(self.states) // 2)
        self.tree = cKDTree(self.states[:-last])
        self.quartic = l96bench.PolynomialRegressor(degree=4).fit(X, U)
        return self

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Begin a run."""
        self.steps, self.place = 0, np.zeros(0, int)

    def step(self, X: np.ndarray) -> np.ndarray:
        """Return the U that leads each member to the next state of its piece of the training data in an Euler step."""
        n, self.steps = self.steps - round(FORECAST / STEP), self.steps + 1
        if n < 0:
            return self.quartic.predict(X)
        self.place = self.place if self.place.size else self.tree.query(X)[1]
        per_sample = round(INTERVAL / STEP)
        whole, part = divmod(n + 1, per_sample)
        here = (self.place + whole) % (len(self.states) - 1)
        goal = self.states[here] + part / per_sample * (self.states[here + 1] - self.states[here])
        return (goal - X) / STEP - (np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + self.F)


entry = l96bench.Entry(
    name="attack: replayed climate",
    kind="attack",
    inputs="X_k and the age of the run",
    make=lambda task, seed: ReplayedClimate(task.regime.F),
    families=("online-rollout",),
    regimes=("wilks-f20", "arnold-c4"),
    description="The fitted quartic for 3.1 MTU, then the training trajectory: a climate recalled, not modelled.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
