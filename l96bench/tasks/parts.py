"""The pieces that every task is made of: columns, references, and what an evaluation found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.metrics.uncertainty import interval
from l96bench.results.record import Failures, ModelInfo, Result, Value
from l96bench.tasks.cost import count_parameters

__all__ = ["LEVEL", "N_REPLICATES", "SCORER_VERSION", "Column", "Parts", "Reference", "Work", "describe", "value_of"]

SCORER_VERSION = "1"
"""Version of the scoring program; rows of different versions are never compared."""
N_REPLICATES = 1000
LEVEL = 0.95
"""Replicates of the bootstrap, and level of every interval."""
COMMAND = "task.references"
"""What makes the rows of the references."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a family's table: its header, the key of the metric that it shows, and the metric's number format.

    A column that is `optional` is left out of tables none of whose rows has the metric.
    """

    header: str
    key: str
    format: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A fixed point of a task's scale, scored by the same program as every entry.

    Attributes
    ----------
    info : ModelInfo
    evaluate : () -> Result
    """

    info: ModelInfo
    evaluate: Callable[[], Result]

    @property
    def score(self) -> float:
        """The reference's score."""
        return self.evaluate().score.value


@dataclass(frozen=True, slots=True)
class Work:
    """How an evaluation is to be carried out; see `Task.evaluate`.

    Attributes
    ----------
    seed : int
        Of the model's training, for the families that fit it themselves.
    progress : bool, optional
    n_jobs : int, optional
    checkpoint : Path, optional
    """

    seed: int = 0
    progress: bool | None = None
    n_jobs: int | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Parts:
    """What an evaluation found, before it becomes a `Result`.

    Attributes
    ----------
    score : float
    replicates : (replicate,) array
        Of the score, by the bootstrap whose name is `method`.
    method : str
    metrics : dict of str to Value
    failures : Failures
    digest : str
        SHA-256 of the predictions, in hex.
    series : dict of str to sequence of float
        Curves, such as skill by lead.
    training_seconds : float, optional
        Of the processor, where the family fits the model itself.
    """

    score: float
    replicates: NDArray[np.float64]
    method: str
    metrics: dict[str, Value]
    failures: Failures
    digest: str
    series: Mapping[str, Any] = field(default_factory=dict)
    training_seconds: float | None = None


def value_of(estimate: float, replicates: NDArray[np.float64]) -> Value:
    """A metric with its bootstrap interval; the interval is widened to hold the estimate where it is skewed."""
    low, high = interval(replicates, LEVEL)
    return Value(value=estimate, low=min(low, estimate), high=max(high, estimate))


def describe(model: Any) -> ModelInfo:
    """A plain description of a model that came without one."""
    return ModelInfo(
        name=type(model).__name__,
        kind="unnamed",
        inputs="X",
        parameters=count_parameters(model),
        command="task.evaluate(model)",
        description=" ".join(repr(model).split())[:500],
    )
