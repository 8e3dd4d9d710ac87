"""An entry of `da-increment` with its cycles over the test segments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from l96bench.assimilation.record import Cycled
from l96bench.diagnostics.subject import Subject
from l96bench.tasks.assimilation_system import Cycles


@dataclass(frozen=True, eq=False)
class AssimilationSubject(Subject):
    """A trained model of increments, or an `AssimilationSystem`, and the filter that is cycled with it.

    Parameters
    ----------
    entry : Entry
        What was trained.
    model : model
        Of increments, or an `AssimilationSystem`.
    task : DAIncrement
        What it was trained for.
    seed : int
        Training seed.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import diagnostics
    >>> entry = l96bench.Entry("none", "none", "", lambda task, seed: l96bench.NoClosure(), families=("da-increment",))
    >>> task = l96bench.make_task("da-increment/dense-v1").miniature()
    >>> diagnostics.AssimilationSubject(entry, entry.model(task, 0), task).kind
    'increment'
    """

    kind: ClassVar[str] = "increment"
    needs: ClassVar[tuple[str, ...]] = ("cycles", "system", "without_correction", "perfect", "track")

    @cached_property
    def cycles(self) -> dict[str, Cycles]:
        """The cycles of the model, of no correction and of the perfect model, by these names."""
        own = self.task.cycles(self.task.system(self.model))
        return {"model": own, "no correction": self.task.without_correction, "perfect model": self.task.perfect}

    @property
    def runs(self) -> dict[str, Cycled]:
        """The records of the filters, by the same names."""
        return {name: cycles.run for name, cycles in self.cycles.items()}
