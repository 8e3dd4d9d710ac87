"""An entry of `equation-recovery` with what it finds for one instance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, cast

from l96bench.data.instances import Instance
from l96bench.diagnostics.subject import Subject
from l96bench.equations import EquationSet
from l96bench.equations.discoverers import as_discoverer
from l96bench.tasks.discovery import Discovery, discover_all
from l96bench.tasks.equation_recovery import Problem
from l96bench.tasks.recovery_scores import InstanceScorer, Scores


@dataclass(frozen=True, eq=False)
class RecoverySubject(Subject):
    """A method that finds equations, and what it finds for one instance.

    Parameters
    ----------
    entry : Entry
        The method.
    model : model
        With ``fit(X, t)`` and ``equations()``.
    task : EquationRecovery
        The task with the instance.
    seed : int
        Seed of the discovery.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import diagnostics
    >>> model = l96bench.KnownEquations(["dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8"])
    >>> entry = l96bench.Entry("known", "none", "X", lambda task, seed: model, families=("equation-recovery",))
    >>> task = l96bench.make_task("equation-recovery/single-v1").miniature()
    >>> diagnostics.RecoverySubject(entry, model, task).kind
    'equations'
    """

    kind: ClassVar[str] = "equations"
    needs: ClassVar[tuple[str, ...]] = ("instances", "problems", "track", "time_limit")

    @property
    def instance(self) -> Instance:
        """The instance whose equations are shown: the first."""
        return cast(Instance, self.task.instances[0])

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of the instance: every noise with every budget."""
        return tuple(problem for problem in self.task.problems if problem.instance == self.instance)

    @cached_property
    def found(self) -> list[Discovery]:
        """Discoveries of copies of the model for each problem, with the seeds of `EquationRecovery.evaluate`."""
        model = as_discoverer(self.model, self.instance.observed_J)
        return discover_all(model, self.problems, seed=self.seed, limit=self.task.time_limit, progress=False)

    @cached_property
    def scorer(self) -> InstanceScorer:
        """The scorer of equations of the instance."""
        return InstanceScorer(self.instance)

    @cached_property
    def scores(self) -> list[Scores]:
        """The scores of what was found; where nothing was, those of no equation with the reason."""
        return [
            Scores(fault=each.fault, message=each.message) if each.texts is None else self.scorer.score(each.texts)[0]
            for each in self.found
        ]

    @property
    def true(self) -> EquationSet:
        """The true equations; where Y is hidden, with the coefficients that fit the tendency of X best."""
        return self.scorer.best(self.scorer.true) if self.instance.hidden else self.scorer.true

    @property
    def equations(self) -> list[EquationSet | None]:
        """The equations found for each problem; None where there are none that can be used."""
        K, J = self.instance.K, self.instance.observed_J
        return [
            None if scores.fault or each.texts is None else EquationSet.parse(list(each.texts), K, J)
            for each, scores in zip(self.found, self.scores, strict=True)
        ]
