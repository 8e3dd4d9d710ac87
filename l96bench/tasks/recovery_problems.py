"""The single problems of `equation-recovery`, one data set each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l96bench.data.instances import Instance, RecoveryTrack
from l96bench.data.recovery import observe, pairs
from l96bench.regimes import seed_word

__all__ = ["Problem", "percent"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """One problem: an instance with relative noise (in standard deviations of each variable) and a budget in MTU."""

    track: RecoveryTrack
    instance: Instance
    noise: float
    budget: float

    @property
    def id(self) -> str:
        """Name within the task, such as ``3/noise-05/budget-20``."""
        return f"{self.group}/noise-{percent(self.noise)}/budget-{self.budget:g}"

    @property
    def group(self) -> str:
        """The number of its instance."""
        return str(self.instance.index)

    @property
    def words(self) -> tuple[int, ...]:
        """Seed words."""
        return seed_word(self.track.id), *self.instance.words, seed_word(self.id)

    @property
    def K(self) -> int:
        """Number of slow variables."""
        return self.instance.K

    @property
    def J(self) -> int:
        """Number of observed fast variables per sector."""
        return self.instance.observed_J

    def observed(self) -> tuple[Array, Array]:
        """Return the noisy states (time, n) and their times (time,) in MTU."""
        return observe(self.instance, self.track, self.noise, self.budget)

    def pairs(self) -> tuple[Array, Array]:
        """Return, for hidden instances, noise-free X (time, K) and the tendency U (time, K) of Y."""
        return pairs(self.instance, self.track, self.budget)


def percent(fraction: float) -> str:
    """Return a fraction as a two-digit percentage for names, such as "05"."""
    return f"{round(100 * fraction):02d}"
