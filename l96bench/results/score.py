"""Scores and metrics of a result, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from l96bench.metrics.comparison import PairedComparison, compare_independent, compare_paired
from l96bench.metrics.uncertainty import Draws, estimate_interval


def _check_order(low: float | None, high: float | None) -> None:
    if (low is None) != (high is None):
        raise ValueError(f"expected both ends of the interval or none, got low={low}, high={high}")
    if low is not None and high is not None and low > high:
        raise ValueError(f"expected low <= high, got low={low}, high={high}")


def _six_digits(values: list[float], info: ValidationInfo) -> list[float]:
    # Rounded when the record is made, not when it is written: a record equals what is read back from its file.
    return values if info.mode == "json" else [float(f"{value:.6g}") for value in values]


Curve = Annotated[list[float], AfterValidator(_six_digits)]


class FrozenRecord(BaseModel):
    """Frozen; unknown keys, NaN and infinity are errors that name their field."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True)


SCALE = (0.0, 100.0)
"""Scores of the floor and the ceiling of a task."""
STRETCHED = "interval stretched by Student's t"
"""The words in the method of a score whose replicates are made of few draws."""


class Value(FrozenRecord):
    """One metric: its estimate and, where there is one, its confidence interval."""

    value: float
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        _check_order(self.low, self.high)
        return self

    def __str__(self) -> str:
        return f"{self.value:.6g}" + ("" if self.low is None else f" [{self.low:.6g}, {self.high:.6g}]")


class SeedScore(FrozenRecord):
    """The score that one training seed reached."""

    seed: int
    value: float


class Score(FrozenRecord):
    """The score of a task (100 is the ceiling), its interval, and the bootstrap replicates behind the interval.

    All entries of a task are resampled with the same indices, so that the element-wise difference of two entries'
    ``replicates`` is the paired bootstrap of their difference.  ``seeds`` is empty for what is not trained.  ``blocks``
    is the number of blocks that are resampled where they are few, and absent otherwise.
    """

    value: float
    low: float
    high: float
    level: float = Field(default=0.95, gt=0, lt=1)
    method: str
    replicates: Curve = Field(min_length=1, repr=False)
    seeds: list[SeedScore] = []
    blocks: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        _check_order(self.low, self.high)
        return self

    @classmethod
    def of(
        cls,
        value: float,
        replicates: NDArray[np.float64],
        *,
        level: float,
        method: str,
        seeds: Sequence[SeedScore] = (),
        blocks: int | None = None,
    ) -> Self:
        """Return a score with the interval that follows from the replicates and the draws behind them."""
        own = cls(
            value=value,
            low=value,
            high=value,
            level=level,
            method=method,
            replicates=replicates.tolist(),
            seeds=list(seeds),
            blocks=blocks,
        )
        low, high = own.interval_of(replicates)
        return own.model_copy(update={"low": low, "high": high})

    @property
    def draws(self) -> Draws:
        """The few draws, blocks and training seeds, of which the replicates are made."""
        seeds = tuple(seed.value for seed in self.seeds)
        return Draws(self.blocks, (seeds,) if len(seeds) > 1 else ())

    def interval_of(self, replicates: ArrayLike) -> tuple[float, float]:
        """Return the interval of the score with these replicates."""
        return estimate_interval(self.value, replicates, self.level, self.draws, SCALE)

    def compare(self, other: Score) -> PairedComparison:
        """Return the difference from another score on the same task, by the paired bootstrap."""
        draws = self.draws.beside(other.draws)
        return compare_paired(self.replicates, self.value, other.replicates, other.value, self.level, draws)

    def compare_independent(self, other: Score, level: float | None = None) -> PairedComparison:
        """Return the difference from a score on other test data, at a level, by default that of this score."""
        draws = self.draws.beside(other.draws)
        a, b = self.replicates, other.replicates
        return compare_independent(a, self.value, b, other.value, level or self.level, draws)
