"""The single problems of `equation-recovery`, one data set each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from l96bench.data.instances import Instance, RecoveryTrack
from l96bench.data.recovery import observe, pairs
from l96bench.regimes import seed_word

__all__ = ["Problem", "equations_for", "percent", "problem_id"]

Array = NDArray[np.float64]
T = TypeVar("T")
SEASON = "season "
"""The beginning of the labels of seasons, which no id of a problem has."""


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
        return problem_id(self.instance.index, self.noise, self.budget)

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


def problem_id(index: int, noise: float, budget: float) -> str:
    """Return the id of the problem of instance `index` with this noise and budget."""
    return f"{index}/noise-{percent(noise)}/budget-{budget:g}"


def equations_for(source: str, given: Mapping[str, T]) -> dict[str, T]:
    """Return the equations by problem id in a file that are for this source of data, which has this label.

    Those for a season have its label before the id, ``season NAME/3/noise-05/budget-20``; a season without any gets
    the others.
    """
    others = {id: texts for id, texts in given.items() if not id.startswith(SEASON)}
    own = {id.removeprefix(f"{source}/"): texts for id, texts in given.items() if id.startswith(f"{source}/")}
    return own or others


def percent(fraction: float) -> str:
    """Return a fraction as a two-digit percentage for names, such as "05"."""
    return f"{round(100 * fraction):02d}"
