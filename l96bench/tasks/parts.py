"""Building blocks of every task: table columns, references, options and results of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.metrics.uncertainty import Draws, estimate_interval
from l96bench.results.record import Failures, ModelInfo, Result
from l96bench.results.score import Value
from l96bench.tasks.cost import count_parameters

__all__ = [
    "LEVEL",
    "N_REPLICATES",
    "SCORER_VERSION",
    "Aligned",
    "Column",
    "Parts",
    "Reference",
    "Work",
    "describe",
    "seed_spread",
    "value_of",
]

SCORER_VERSION = "1"
"""Version of the scoring program; rows of different versions are not comparable."""
N_REPLICATES = 1000
LEVEL = 0.95
"""Number of bootstrap replicates, and level of every interval."""
COMMAND = "task.references"
"""The command that makes the rows of the references."""


@dataclass(frozen=True, slots=True)
class Column:
    """A table column.

    Parameters
    ----------
    header : str
        The head of the column.
    key : str
        Key of the metric.
    format : str
        Format of the number, such as ``".3f"``.
    optional : bool
        Whether it is left out if no row has the metric.

    Examples
    --------
    >>> from l96bench import tasks
    >>> [column.key for column in tasks.SubgridForcing.columns][:2]
    ['r2_shift', 'r2_budget_10']
    """

    header: str
    key: str
    format: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference model of a task's scale.

    Parameters
    ----------
    info : ModelInfo
        What its rows say of it.
    evaluate : () -> Result
        Scores it by the same program as every entry.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> reference = next(iter(task.references.values()))
    >>> round(reference.score, 9)
    0.0
    """

    info: ModelInfo
    evaluate: Callable[[], Result]

    @property
    def score(self) -> float:
        """The reference's score."""
        return self.evaluate().score.value


@dataclass(frozen=True, slots=True)
class Work:
    """Options of an evaluation, as in `Task.evaluate`.

    Parameters
    ----------
    seed : int
        Training seed, for families that fit models.
    progress : bool, optional
        Show progress; by default when standard error is a terminal.
    n_jobs : int, optional
        Processes, for families that work in parallel themselves.
    checkpoint : path, optional
        File from which an evaluation that was ended goes on.

    Examples
    --------
    >>> from l96bench import tasks
    >>> tasks.Work(seed=1, progress=False).seed
    1
    """

    seed: int = 0
    progress: bool | None = None
    n_jobs: int | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Parts:
    """The outcome of an evaluation, from which a `Result` is made.

    Parameters
    ----------
    score : float
        Not above 100.
    replicates : (replicate,) array
        Of the score.
    method : str
        Name of the bootstrap.
    metrics : dict of str to Value
        With intervals.
    failures : Failures
        What was clipped or left out.
    digest : str
        SHA-256 of the predictions, in hex.
    series : dict of str to sequence of float
        Curves, such as skill by lead.
    training_seconds : float, optional
        CPU time, where the family fits the model itself.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> from l96bench import tasks
    >>> parts = tasks.Parts(50.0, np.full(1000, 50.0), "none", {}, l96bench.Failures(of=1), "0" * 64)
    >>> parts.series
    {}
    """

    score: float
    replicates: NDArray[np.float64]
    method: str
    metrics: dict[str, Value]
    failures: Failures
    digest: str
    series: Mapping[str, Any] = field(default_factory=dict)
    training_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Aligned:
    """Two numbers of a row that lie on one line for all rows of its task; `x` may be too small, by at most `slack`."""

    name: str
    x: float
    y: float
    slack: float = 0.0


def seed_spread(mean: Value, n_seeds: int) -> float:
    """Return the largest standard deviation over training seeds that the interval of their mean allows.

    Each half-width of the interval is at least ``z s / sqrt(n)``; see `l96bench.results.combine`.
    """
    if n_seeds < 2:
        return 0.0
    if mean.low is None or mean.high is None:
        return inf
    half = min(mean.value - mean.low, mean.high - mean.value)
    return max(0.0, half) * sqrt(n_seeds - 1) / NormalDist().inv_cdf((1 + LEVEL) / 2)


def value_of(
    estimate: float,
    replicates: NDArray[np.float64],
    blocks: int | None = None,
    bounds: tuple[float, float] = (-inf, inf),
) -> Value:
    """Return a metric with its interval.

    Parameters
    ----------
    estimate : float
        The metric.
    replicates : (replicate,) array
        The metric of resampled data.
    blocks : int, optional
        Number of the blocks that are resampled, where they are few, as in `Task.blocks`.
    bounds : (low, high)
        What the metric lies between, whatever the data.

    Returns
    -------
    Value
        With `value`, `low` and `high`.

    Examples
    --------
    >>> import numpy as np
    >>> from l96bench import tasks
    >>> value = tasks.value_of(0.5, np.linspace(0.0, 1.0, 1001))
    >>> value.value, round(value.low, 3), round(value.high, 3)
    (0.5, 0.025, 0.975)
    """
    low, high = estimate_interval(estimate, replicates, LEVEL, Draws(blocks), bounds)
    return Value(value=estimate, low=low, high=high)


def describe(model: Any) -> ModelInfo:
    """Return a default description of a model."""
    return ModelInfo(
        name=type(model).__name__,
        kind="unnamed",
        inputs="X",
        parameters=count_parameters(model),
        command="task.evaluate(model)",
        description=" ".join(repr(model).split())[:500],
    )
