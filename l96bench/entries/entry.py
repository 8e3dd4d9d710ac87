"""Define entries, which baseline scripts make."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from l96bench.checks import seed_words
from l96bench.errors import ArgumentError, L96BenchError, user_error
from l96bench.parallel import one_thread
from l96bench.results.record import ModelInfo
from l96bench.tasks.base import Task
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.registry import list_tasks, make_task

__all__ = ["Entry"]

QUICK_REGIMES = ("wilks-f20", "arnold-c4")
"""The regimes of the quick board."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A competitor: how its models are made, and how its rows are described.

    Parameters
    ----------
    name, kind : str
        Title of the rows, and kind of the method: polynomial, network, trees, ...
    inputs : str
        What it sees, such as ``"X_k"`` or ``"X_{k-2..k+2}"``.
    make : (Task, int) -> model
        Makes a new model for a task and a training seed. A model with ``fit`` is fitted to ``task.train``, unless
        `trained_on` says that `make` has done it.
    seeds : sequence of int
        Training seeds: one if training is deterministic, five if it is random.
    families : sequence of str
        Families of tasks that it enters.
    regimes : sequence of str, optional
        The regimes (or tracks) that it enters; all if not given.
    source, description : str
        A citation, and one line.
    trained_on : str, optional
        What `make` itself trains on, if not the task's training set.
    quick : bool
        Whether it is one of the quick baselines, run by default and also fitted to less data for learning curves.
    slow : bool
        Whether a seed trains for minutes: it then starts first, and only if it is named or all entries are requested.
    declared : bool
        Whether somebody wrote the entry; False for one made from a model, which may already be fitted.

    Raises
    ------
    ArgumentError
        If there is no name or seed, seeds are equal or no whole numbers from 0 on, or families or regimes are a string.

    Examples
    --------
    >>> import l96bench
    >>> entry = l96bench.Entry("slope", "polynomial", "X_k", lambda task, seed: l96bench.PolynomialRegressor(degree=1))
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> model, seconds = entry.train(task, 0)
    >>> model.coef_.shape
    (2,)
    """

    name: str
    kind: str
    inputs: str
    make: Callable[[Any, int], Any]
    seeds: Sequence[int] = (0,)
    families: Sequence[str] = ("subgrid-forcing", "online-rollout")
    regimes: Sequence[str] | None = None
    source: str = ""
    description: str = ""
    trained_on: str | None = None
    quick: bool = True
    slow: bool = False
    declared: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ArgumentError(f"expected the name of an entry, got {self.name!r}")
        seeds = tuple(seed_words(self.seeds, "seeds"))
        if not seeds or len(set(seeds)) < len(seeds):
            raise ArgumentError(f"{self.name!r}: expected seeds, all different, got {self.seeds!r}; try seeds=(0,)")
        object.__setattr__(self, "seeds", seeds)
        for name in ("families", "regimes"):
            if isinstance(given := getattr(self, name), str):
                raise ArgumentError(f"{self.name!r}: expected a sequence of {name}, got {given!r}; try ({given!r},)")

    def tasks(self, regimes: Sequence[str] | None = None) -> list[Task]:
        """Return the entry's tasks on these regimes and tracks, by default those of its families' quick board.

        Where it has no task on the quick board of a family, the default is all of its tasks of that family.
        """
        found: list[Task] = []
        for family in self.families:
            entered = [task for task in map(make_task, list_tasks(family)) if self.accepts(task)]
            wanted = [
                each for each in entered if each.regime_id in (each.default_regimes if regimes is None else regimes)
            ]
            found += wanted or (entered if regimes is None else [])
        return found

    def model(self, task: Task, seed: int) -> Any:
        """Make a new, unfitted model.

        Raises
        ------
        ModelError
            If `make` raises; the message has the line.
        """
        try:
            return self.make(task, seed)
        except L96BenchError:
            raise
        except Exception as error:
            raise user_error(f"make of {self.name!r}", error) from error

    def train(self, task: Task, seed: int) -> tuple[Any, float | None]:
        """Make a model, train it on a task's data, and return it with the processor seconds (None without training).

        It trains on one thread, so that the model is the same wherever it is trained.
        """
        start = time.process_time()
        with one_thread():
            model = self.model(task, seed)
            seconds = time.process_time() - start
            if self.trained_on is None:
                seconds += task.fit(model)
        return model, seconds if self.is_trained(model) else None

    def is_trained(self, model: Any) -> bool:
        """Return whether the model was trained: `make` did it, or the model has ``fit``."""
        return self.trained_on is not None or callable(getattr(model, "fit", None))

    def accepts(self, task: Task) -> bool:
        """Return whether the entry enters this task."""
        return task.family in self.families and (self.regimes is None or task.regime_id in self.regimes)

    def info(self, task: Task, model: Any, seed: int, command: str) -> ModelInfo:
        """Return the description of the row of one training seed."""
        return ModelInfo(
            name=self.name,
            kind=self.kind,
            inputs=self.inputs,
            parameters=count_parameters(model),
            trained_on=(self.trained_on or task.training_set) if self.is_trained(model) else None,
            seeds=[seed],
            command=command,
            source=self.source,
            description=self.description,
        )
