"""The family `equation-recovery`: find the governing equations of a system from its trajectories."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import checked_seed
from l96bench.data.instances import RECOVERY_TRACKS, Instance, RecoveryTrack, draw_instance
from l96bench.data.recovery import arrays_of, load_instance, observe, pairs
from l96bench.data.store import array_digest, digests
from l96bench.errors import ModelError, SubmissionError
from l96bench.metrics.glossary import Metric
from l96bench.progress import progress as show_progress
from l96bench.results.record import ModelInfo, Result
from l96bench.tasks.artifacts import EQUATIONS, Content, Example
from l96bench.tasks.base import Task
from l96bench.tasks.definitions import RECOVERY
from l96bench.tasks.discovery import Discovery, discover_all
from l96bench.tasks.parts import Column, Parts, Reference, Work
from l96bench.tasks.recovery_problems import Problem, equations_for, problem_id
from l96bench.tasks.recovery_scores import UNPARSEABLE, InstanceScorer, Scores, require_readable, warn_of_unusable
from l96bench.tasks.recovery_summary import summarize
from l96bench.tasks.reference_models import EMPTY_EQUATION, TEXTBOOK, TRUE_EQUATIONS

if TYPE_CHECKING:
    import xarray

__all__ = ["EquationRecovery", "Problem"]

Array = NDArray[np.float64]
Equations = Sequence[str] | Sequence[Sequence[str]] | Mapping[str, Sequence[str]] | Callable[[Problem], Sequence[str]]


@dataclass(frozen=True)
class EquationRecovery(Task):
    """Recovery of equations whose coefficients are drawn: ``100 (F1 + max(0, 1 - operator residual)) / 2``.

    A model has ``fit(X, t)``, with X ``(time, n)`` and t ``(time,)``, and ``equations()``, which returns a list of
    strings (see `l96bench.EquationSet.parse`); pysindy's models and linear regressors of scikit-learn are adapted. A
    ``prepare()``, such as to compile, takes no time of a problem. A fresh copy is fitted to every problem: 10 instances
    x 4 levels of noise x 3 budgets. Its equations are scored by their terms, and by their right-hand side on unseen
    states of the same attractor. A problem without equations, or with any that are not finite, scores 0 and is counted.
    Where Y is hidden, the equations are the resolved ones with a closure.

    Parameters
    ----------
    regime_id, version : str, int
        The track, such as ``"single"``, and a number that is raised by every change that moves a score.
    seed : int, optional
        None for the registered instances; any other number draws a new set.
    noises, budgets : tuple of float, optional
        Levels of the observation noise, and lengths of the training data in MTU; the track's by default.
    indices : tuple of int, optional
        Selects some instances.
    source : Source, optional
        Where the data come from; the registered instances by default.

    Examples
    --------
    >>> import l96bench
    >>> l96bench.make_task("equation-recovery/single-v1").miniature().track.id
    'single'
    """

    seed: int | None = None
    noises: tuple[float, ...] | None = None
    budgets: tuple[float, ...] | None = None
    indices: tuple[int, ...] | None = None

    family: ClassVar[str] = "equation-recovery"
    kind: ClassVar[str] = "equations"
    title: ClassVar[str] = "Equation recovery"
    question: ClassVar[str] = (
        "Recover the governing equations, or the resolved ones with a closure, from noisy trajectories. "
        "0 points: the empty equation. 100 points: the exact equation."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("F1", "f1", ".3f"),
        Column("precision", "precision", ".3f"),
        Column("recall", "recall", ".3f"),
        Column("coefficient error", "coefficient_error", ".3f"),
        Column("operator residual", "operator_residual", ".3f"),
        Column("valid time", "valid_prediction_time", ".2f"),
        Column("terms", "n_terms", ".0f"),
        Column("failed", "failed", ".2f"),
        Column("score, no noise", "score_noise_00", ".1f"),
        Column("score, 10 % noise", "score_noise_10", ".1f", optional=True),
    )
    glossary: ClassVar[tuple[Metric, ...]] = RECOVERY
    default_regimes: ClassVar[tuple[str, ...]] = ("single", "two-scale", "hidden")
    artifact_kinds: ClassVar[tuple[str, ...]] = (EQUATIONS,)
    seconds: ClassVar[float] = 60.0
    redrawn: ClassVar[bool] = True
    env_id: ClassVar[str | None] = "l96bench/EquationRecovery-v2"
    env_option: ClassVar[str] = "track"
    training_set: ClassVar[str] = "each problem's observations"
    time_limit: ClassVar[float | None] = 10.0
    """Time limit of the fit to one problem, in seconds."""

    @classmethod
    def regime_ids(cls) -> tuple[str, ...]:
        """Return the tracks."""
        return tuple(RECOVERY_TRACKS)

    @property
    def track(self) -> RecoveryTrack:
        """The observed variables, sampling interval, noise levels and budgets."""
        n_instances = None if self.indices is None else len(self.indices)
        given: dict[str, Any] = {"noises": self.noises, "budgets": self.budgets, "n_instances": n_instances}
        track = RECOVERY_TRACKS[self.regime_id]
        return replace(track, **{key: value for key, value in given.items() if value is not None})

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """The systems whose equations are to be found; in a season every problem has its own."""
        return tuple(dict.fromkeys(problem.instance for problem in self.problems))

    @property
    def blocks(self) -> int:
        """The number of instances, each of which the bootstrap draws with all its problems."""
        return self.track.n_instances

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """Every instance with every level of noise and every budget, in this order of loops."""
        track = self.track
        return tuple(
            Problem(track, self._instance(index, noise, budget), noise, budget)
            for index in (range(track.n_instances) if self.indices is None else self.indices)
            for noise in track.noises
            for budget in track.budgets
        )

    def _instance(self, index: int, noise: float, budget: float) -> Instance:
        seed = self.source.instance_seed(self.track.base, problem_id(index, noise, budget))
        if seed is None and self.seed is not None:
            seed = checked_seed(self.seed)
        return draw_instance(self.track.base, index, seed)

    def fresh(self, seed: int) -> Self:
        """Return the same task on a new set of instances drawn from a seed, a whole number from 0 on."""
        return replace(self, seed=checked_seed(seed))

    def answers_anew(self, content: Content) -> bool:
        """Return whether the equations are the same for all problems, and not those of the registered ones."""
        return isinstance(content.value, list)

    def to_xarray(self) -> xarray.DataTree:
        """Return the trajectories as an xarray tree, one dataset per instance, noise-free, at the track's interval."""
        import xarray

        parts = {}
        for instance, name in self._names.items():
            data, (states, time) = load_instance(instance), observe(instance, self.track)
            arrays = {"train": (("time", "variable"), states), "test": (("case", "lead", "variable"), data.test)}
            if data.test_U is not None:
                U = pairs(instance, self.track)[1]
                arrays |= {"train_U": (("time", "k"), U), "test_U": (("case", "lead", "k"), data.test_U)}
            leads = data.test_interval * np.arange(data.test.shape[1])
            parts[name] = xarray.Dataset(
                {key: (dims, array, {"units": "1"}) for key, (dims, array) in arrays.items()},
                coords={"time": ("time", time, {"units": "MTU"}), "lead": ("lead", leads, {"units": "MTU"})},
                attrs={"task": self.id, "K": instance.K, "J": instance.J} | asdict(instance.coefficients),
            )
        return xarray.DataTree.from_dict(parts)

    @property
    def data_digests(self) -> dict[str, str]:
        """Return the SHA-256 of the arrays of all instances; those of fresh ones are computed and keyed by seed."""
        base = self.track.base
        registered = self.source.instance_seed(base) is None
        if self.seed is None and registered:
            names = tuple(f"{base}/instance-{instance.index}/" for instance in self.instances)
            return {key: value for key, value in digests().items() if key.startswith(names)}
        place = f"seed-{self.seed}-" if registered else f"{self.source.label}/"
        made = {
            f"{base}/{place}{name}/{array}": array_digest(getattr(data, array))
            for instance, name in self._names.items()
            for data in (load_instance(instance),)
            for array in arrays_of(base)
        }
        return made | {f"{base}/{place}{id}/observed": array_digest(states) for id, states in self.handout().items()}

    @cached_property
    def _names(self) -> dict[Instance, str]:
        """Every system with a name: its number, or the id of the only problem that it is for."""
        return {each.instance: each.id if self._handed_out else f"instance-{each.group}" for each in self.problems}

    @property
    def _handed_out(self) -> bool:
        """Whether every problem has a system of its own."""
        return len(self.instances) == len(self.problems) > self.track.n_instances

    def handout(self) -> dict[str, Array]:
        """Return the noisy states (time, n) of every problem by its id; empty where problems share a system."""
        return {problem.id: problem.observed()[0] for problem in self.problems} if self._handed_out else {}

    def prepare(self, progress: bool | None = None) -> None:
        """Make the trajectories that the cache does not hold yet."""
        with show_progress(f"simulating ({self.track.id})", len(self.instances), progress) as report:
            for instance in self.instances:
                load_instance(instance)
                report(1)

    def as_run(self, model: Any) -> Any:
        """Return the model as a method with ``fit(X, t)`` and ``equations()``."""
        from l96bench.equations.discoverers import as_discoverer

        return as_discoverer(model, self.problems[0].J)

    def assess(self, model: Any, work: Work) -> Parts:
        """Fit copies of the model to every problem and score their equations, counting failures and adding up times."""
        found = self.discover(
            model, seed=work.seed, progress=work.progress, n_jobs=work.n_jobs, checkpoint=work.checkpoint
        )
        return replace(self._parts(found), training_seconds=sum(each.seconds for each in found))

    def discover(
        self,
        model: Any,
        *,
        seed: int = 0,
        n_jobs: int | None = None,
        checkpoint: Path | None = None,
        progress: bool | None = None,
    ) -> list[Discovery]:
        """Return the equations that copies of a model find for every problem, unscored; parameters as in `evaluate`."""
        self.prepare(progress)
        return discover_all(
            self.as_run(model),
            self.problems,
            seed=seed,
            limit=self.time_limit,
            n_jobs=n_jobs,
            checkpoint=checkpoint,
            progress=progress,
        )

    def evaluate_equations(self, equations: Equations, info: ModelInfo | None = None) -> Result:
        """Score given equations, without a model.

        Raises `ModelError` if their number is not that of the problems, and `EquationError` if one list for all
        problems cannot be read; of others, those that cannot be read score 0, and a warning says why.

        Parameters
        ----------
        equations : list of str, list of lists, mapping, or function
            The same equations for all problems; or those of each problem in the order of `problems`, by the problem's
            id, or as a function of the problem.
        info : ModelInfo, optional
        """
        if isinstance(equations, list | tuple) and _are_texts(equations):
            require_readable([str(text) for text in equations], self.problems[0].K, self.problems[0].J)
        found = [
            Discovery(tuple(each), 0.0)
            if _are_texts(each)
            else Discovery(None, 0.0, UNPARSEABLE, f"expected a list of strings, got {each!r:.100}")
            for each in self._given(equations)
        ]
        return self.result(info or _EQUATIONS, self._parts(found))

    def _given(self, equations: Equations) -> list[Any]:
        """Return the equations given for each problem, unchecked."""
        if callable(equations):
            return [equations(problem) for problem in self.problems]
        if isinstance(equations, Mapping):
            ids = {problem.id for problem in self.problems}
            if ids != set(equations):
                raise ModelError(
                    f"expected equations for {len(ids)} problems, such as {self.problems[0].id!r}; "
                    f"missing: {sorted(ids - set(equations))[:3]}, unknown: {sorted(set(equations) - ids, key=str)[:3]}"
                )
            return [equations[problem.id] for problem in self.problems]
        if _are_texts(equations):
            return [equations] * len(self.problems)
        if not isinstance(equations, list | tuple) or len(equations) != len(self.problems):
            n = len(self.problems)
            raise ModelError(f"expected a list of strings for all problems, or {n} such lists, got {equations!r:.100}")
        return list(equations)

    def possible_scores(self, row: Result) -> tuple[float, float]:
        """Return the mean over levels of noise and that over budgets, both the score, within what F1 allows."""
        means = [
            fmean(value.value for key, value in row.metrics.items() if key.startswith(f"score_{by}_"))
            for by in ("noise", "budget")
        ]
        f1, residual = row.metrics["f1"].value, row.metrics["operator_residual"].value
        # The mean of max(0, 1 - R) is at least that of the mean R.
        return max(*means, 50.0 * (f1 + max(0.0, 1.0 - residual))), min(*means, 50.0 * (f1 + 1.0))

    def in_miniature(self) -> Self:
        """Return a copy with two unregistered instances and four problems for each."""
        # One instance of each strength of coupling, where the track has two.
        return replace(super().in_miniature(), seed=11, noises=(0.0, 0.05), budgets=(5.0, 20.0), indices=(0, 5))

    def check_content(self, content: Content) -> None:
        """Raise unless the file has readable equations for every problem."""
        given, first = self._texts(content), self.problems[0]
        if isinstance(given, list):
            require_readable(given, first.K, first.J)
            return
        for texts in content.value.values():  # those for seasons too
            require_readable(texts, first.K, first.J)
        problems = {problem.id for problem in self.problems}
        missing, unknown = sorted(problems - given.keys())[:3], sorted(given.keys() - problems)[:3]
        if missing or unknown:
            raise SubmissionError(
                f"{content.name}: expected equations for {len(problems)} problems of {self.id}; "
                f"missing: {missing}, unknown: {unknown}"
            )

    def evaluate_content(self, content: Content, info: ModelInfo) -> Result:
        """Score the equations in a file; raise `SubmissionError` or `EquationError` as `check_content`."""
        self.check_content(content)
        return self.evaluate_equations(self._texts(content), info)

    def _texts(self, content: Content) -> list[str] | dict[str, list[str]]:
        if content.kind != EQUATIONS:
            raise SubmissionError(f"{content.name}: {self.id} scores equations (.yaml or .json), not {content.kind}")
        texts: list[str] | dict[str, list[str]] = content.value
        return equations_for(self.source.label, texts) if isinstance(texts, dict) else texts

    def export(self, model: Any) -> Content:
        """Fit copies of the model to every problem and return their equations, "0" where none was found."""
        found = self.discover(model)
        texts = {problem.id: list(each.texts or ["0"]) for problem, each in zip(self.problems, found, strict=True)}
        return Content("equations", EQUATIONS, texts)

    @classmethod
    def example(cls) -> Example:
        """Return the textbook's equation."""
        content = Content("equations", EQUATIONS, ["dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8"])
        description = "The textbook's equation with the textbook's coefficients."
        return Example("example equation", "equations", "none", description, cls("single").id, content)

    @cached_property
    def _scorers(self) -> dict[Instance, InstanceScorer]:
        return {instance: InstanceScorer(instance) for instance in self.instances}

    def _parts(self, found: Sequence[Discovery]) -> Parts:
        scores, texts = [], []
        for problem, discovery in zip(self.problems, found, strict=True):
            own, text = Scores(fault=discovery.fault, message=discovery.message), ""
            if discovery.texts is not None:
                own, text = self._scorers[problem.instance].score(discovery.texts)
            scores.append(own)
            texts.append(text)
        warn_of_unusable(scores)
        digest = hashlib.sha256("\n\n".join(texts).encode()).hexdigest()
        first = self.problems[:: len(self.problems) // self.track.n_instances]
        return summarize(scores, self.track, [problem.instance for problem in first], self.weights, digest)

    @property
    def references(self) -> Mapping[str, Reference]:
        """Reference equations: empty (0), true (100; with the best closure where Y is hidden), and the textbook's."""
        return MappingProxyType(
            {
                "floor": Reference(EMPTY_EQUATION, lambda: self.evaluate_equations(["0"], EMPTY_EQUATION)),
                "literature": Reference(TEXTBOOK, lambda: self.evaluate_equations(_textbook, TEXTBOOK)),
                "ceiling": Reference(
                    TRUE_EQUATIONS,
                    lambda: self.evaluate_equations(lambda each: self._exact[each.instance], TRUE_EQUATIONS),
                ),
            }
        )

    @cached_property
    def _exact(self) -> dict[Instance, list[str]]:
        """The true equations of each instance, with best-fit closure coefficients where Y is hidden."""
        return {
            instance: (scorer.best(scorer.true) if instance.hidden else scorer.true).texts()
            for instance, scorer in self._scorers.items()
        }


def _are_texts(given: Any) -> bool:
    """Return whether this is a list of strings."""
    return isinstance(given, list | tuple) and all(isinstance(text, str) for text in given)


def _textbook(problem: Problem) -> Sequence[str]:
    return problem.instance.textbook_texts


_EQUATIONS = ModelInfo(name="equations", kind="equations", inputs="unknown", command="task.evaluate_equations")
