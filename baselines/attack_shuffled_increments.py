"""An attack: the analysis increments of the training set, in a random order."""

from typing import Self

import numpy as np

import l96bench


class ShuffledIncrements:
    """Corrects every background by an increment of the training set, whatever the background is."""

    deterministic = False

    def fit(self, X: np.ndarray, U: np.ndarray) -> Self:
        """Keep the increments."""
        self.increments = np.reshape(U, (-1, np.shape(U)[-1]))
        return self

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Begin a run."""
        self.rng = rng

    def step(self, X: np.ndarray) -> np.ndarray:
        """Return an increment of the training set for every row."""
        return self.increments[self.rng.integers(len(self.increments), size=len(X))]


entry = l96bench.Entry(
    name="attack: shuffled increments",
    kind="attack",
    inputs="none",
    make=lambda task, seed: ShuffledIncrements(),
    families=("da-increment",),
    description="The training increments themselves, drawn at random: the right climate of corrections, and no skill.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
