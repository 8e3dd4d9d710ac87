"""`equation-recovery`: find the governing equations, or the resolved ones with a closure, from trajectories."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.data.instances import RECOVERY_TRACKS, Instance, RecoveryTrack, instances
from l96bench.data.recovery import arrays_of, load_instance, observe, pairs
from l96bench.data.store import array_digest, digests
from l96bench.errors import L96BenchError, ModelError
from l96bench.metrics.uncertainty import bootstrap_indices, resampling_weights
from l96bench.progress import progress as show_progress
from l96bench.regimes import Regime, seed_word
from l96bench.results.record import ModelInfo, Result
from l96bench.tasks.base import COMMAND, N_REPLICATES, Reference, Samples, Task, describe
from l96bench.tasks.discovery import Discovery, discover_all
from l96bench.tasks.recovery_problems import Problem
from l96bench.tasks.recovery_scores import UNPARSEABLE, InstanceScorer, Scores
from l96bench.tasks.recovery_summary import summarize

if TYPE_CHECKING:
    import xarray

__all__ = ["EquationRecovery", "Problem"]

Array = NDArray[np.float64]
Equations = Sequence[str] | Sequence[Sequence[str]] | Mapping[str, Sequence[str]] | Callable[[Problem], Sequence[str]]


@dataclass(frozen=True)
class EquationRecovery(Task):
    """Recovery of equations whose coefficients are drawn: ``100 (F1 + max(0, 1 - operator residual)) / 2``.

    A model has ``fit(X, t)``, with X ``(time, n)`` and t ``(time,)``, and ``equations()``, which gives a list of
    strings (see `l96bench.EquationSet.parse`); pysindy's models and linear regressors of scikit-learn are adapted. A
    fresh copy is fitted for every problem: 10 instances x 4 levels of noise x 3 budgets. Its equations are scored by
    their terms, and by their right-hand side on unseen states of the same attractor. A problem for which there are no
    equations, or none that are finite, scores 0 and is counted.

    ``regime_id`` is the track.

    Parameters
    ----------
    seed : int, optional
        None for the registered instances; any other number draws a set of its own.
    """

    seed: int | None = None

    family: ClassVar[str] = "equation-recovery"
    env_id: ClassVar[str | None] = "l96bench/EquationRecovery-v1"
    env_option: ClassVar[str] = "track"
    regime_ids: ClassVar[tuple[str, ...]] = tuple(RECOVERY_TRACKS)
    splits: ClassVar[tuple[str, ...]] = ()
    training_set: ClassVar[str] = "each problem's observations"
    time_limit: ClassVar[float | None] = 10.0
    """Seconds that the fit for one problem may take."""

    @property
    def regime(self) -> Regime:
        """There is none: every instance has coefficients of its own."""
        raise L96BenchError(f"{self.id} has no regime but instances: see task.instances")

    @property
    def has_shift(self) -> bool:
        """There is no shifted climate in this family."""
        return False

    def _samples(self, name: str) -> Samples:
        raise L96BenchError(f"{self.id} has no split {name!r} but problems: see task.problems and problem.observed()")

    @property
    def track(self) -> RecoveryTrack:
        """What is observed, how often, with which noise, for how long."""
        return RECOVERY_TRACKS[self.regime_id]

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """The systems whose equations are to be found."""
        return instances(self.track, self.seed)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """Every instance with every level of noise and every budget, in this order."""
        track = self.track
        return tuple(
            Problem(track, instance, noise, budget)
            for instance in self.instances
            for noise in track.noises
            for budget in track.budgets
        )

    def fresh(self, seed: int) -> EquationRecovery:
        """The same task on instances that nobody has seen, drawn from a seed."""
        return replace(self, seed=seed)

    def to_xarray(self) -> xarray.DataTree:
        """The trajectories as an xarray tree, one dataset an instance, without noise and at the track's interval."""
        import xarray

        parts = {}
        for instance in self.instances:
            data, (states, time) = load_instance(instance), observe(instance, self.track)
            arrays = {"train": (("time", "variable"), states), "test": (("case", "lead", "variable"), data.test)}
            if data.test_U is not None:
                U = pairs(instance, self.track)[1]
                arrays |= {"train_U": (("time", "k"), U), "test_U": (("case", "lead", "k"), data.test_U)}
            leads = data.test_interval * np.arange(data.test.shape[1])
            parts[f"instance-{instance.index}"] = xarray.Dataset(
                {name: (dims, array, {"units": "1"}) for name, (dims, array) in arrays.items()},
                coords={"time": ("time", time, {"units": "MTU"}), "lead": ("lead", leads, {"units": "MTU"})},
                attrs={"task": self.id, "K": instance.K, "J": instance.J} | asdict(instance.coefficients),
            )
        return xarray.DataTree.from_dict(parts)

    @property
    def data_digests(self) -> dict[str, str]:
        """SHA-256 of the arrays of all instances; those of fresh ones are computed, and named by their seed."""
        base = self.track.base
        if self.seed is None:
            names = tuple(f"{base}/instance-{instance.index}/" for instance in self.instances)
            return {key: value for key, value in digests().items() if key.startswith(names)}
        return {
            f"{base}/seed-{self.seed}-instance-{instance.index}/{name}": array_digest(getattr(data, name))
            for instance in self.instances
            for data in (load_instance(instance),)
            for name in arrays_of(base)
        }

    def weights(self, n_blocks: int, purpose: str) -> Array:
        """How often each bootstrap replicate holds each block: the same for all entries of the task."""
        seed = (seed_word(self.regime_id), self.version, seed_word(f"bootstrap {purpose}"))
        return resampling_weights(bootstrap_indices(n_blocks, N_REPLICATES, seed), n_blocks)

    def fit(self, model: Any, budget: float | None = None) -> float:
        """Nothing: `evaluate` fits a fresh copy of the model to every problem."""
        return 0.0

    def prepare(self, progress: bool | None = None) -> None:
        """Make the trajectories of the instances, where the cache does not hold them."""
        with show_progress(f"simulating ({self.track.id})", len(self.instances), progress) as report:
            for instance in self.instances:
                load_instance(instance)
                report(1)

    def evaluate(
        self,
        model: Any,
        info: ModelInfo | None = None,
        *,
        budgets: bool = False,
        training_seconds: float | None = None,
        progress: bool | None = None,
        n_jobs: int | None = None,
        checkpoint: Path | None = None,
    ) -> Result:
        """Discover the equations of every problem with copies of a model, and score them.

        Parameters
        ----------
        model, info, progress
            As in `Task.evaluate`; the seed in `info` is that of the discovery.
        budgets, training_seconds
            Of no use here: there is a problem for each budget, and what fitting took is added up.
        n_jobs : int, optional
            Processes, as in joblib: None is 1 unless a ``joblib.parallel_config`` says otherwise, -1 all processors.
        checkpoint : Path, optional
            A folder for what is found, from which an interrupted evaluation of the same model carries on.

        Raises
        ------
        ModelError
            If the object is no such model, or cannot be loaded in another process. What goes wrong for a problem is no
            error: it is counted.
        """
        info = describe(model) if info is None else info
        found = self.discover(
            model, seed=(info.seeds or [0])[0], progress=progress, n_jobs=n_jobs, checkpoint=checkpoint
        )
        return self._result(found, info, sum(each.seconds for each in found))

    def discover(
        self,
        model: Any,
        *,
        seed: int = 0,
        n_jobs: int | None = None,
        checkpoint: Path | None = None,
        progress: bool | None = None,
    ) -> list[Discovery]:
        """What copies of a model find for every problem, not scored; see `evaluate`."""
        from l96bench.equations.discoverers import as_discoverer

        discoverer = as_discoverer(model, self.problems[0].J)
        self.prepare(progress)
        return discover_all(
            discoverer,
            self.problems,
            seed=seed,
            limit=self.time_limit,
            n_jobs=n_jobs,
            checkpoint=checkpoint,
            progress=progress,
        )

    def evaluate_equations(self, equations: Equations, info: ModelInfo | None = None) -> Result:
        """Score ready equations, without a model.

        Parameters
        ----------
        equations : list of str, list of lists, mapping, or function
            The same equations for all problems; or those of each problem in the order of `problems`, by the problem's
            id, or as a function of the problem.
        info : ModelInfo, optional

        Raises
        ------
        ModelError
            If there are not as many as there are problems.
        """
        found = [
            Discovery(tuple(each), 0.0)
            if _are_texts(each)
            else Discovery(None, 0.0, UNPARSEABLE, f"expected a list of strings, got {each!r:.100}")
            for each in self._given(equations)
        ]
        return self._result(found, info or _EQUATIONS, None)

    def _given(self, equations: Equations) -> list[Any]:
        """The equations of every problem, whatever they are."""
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

    # Scoring.

    @cached_property
    def _scorers(self) -> dict[str, InstanceScorer]:
        return {str(instance.index): InstanceScorer(instance) for instance in self.instances}

    def _result(self, found: Sequence[Discovery], info: ModelInfo, seconds: float | None) -> Result:
        scores, texts = [], []
        for problem, discovery in zip(self.problems, found, strict=True):
            own, text = Scores(fault=discovery.fault, message=discovery.message), ""
            if discovery.texts is not None:
                own, text = self._scorers[problem.group].score(discovery.texts)
            scores.append(own)
            texts.append(text)
        digest = hashlib.sha256("\n\n".join(texts).encode()).hexdigest()
        return self.result(None, info, summarize(scores, self.track, self.instances, self.weights, digest), seconds)

    @property
    def references(self) -> Mapping[str, Reference]:
        """Empty equations (0), the true ones (100; with an effective closure where Y is hidden), the textbook's."""
        return MappingProxyType(
            {
                "floor": Reference(_FLOOR, lambda: self.evaluate_equations(["0"], _FLOOR)),
                "literature": Reference(_TEXTBOOK, lambda: self.evaluate_equations(_textbook, _TEXTBOOK)),
                "ceiling": Reference(_CEILING, self._evaluate_ceiling),
            }
        )

    def _evaluate_ceiling(self) -> Result:
        return self.evaluate_equations(lambda problem: self._exact[problem.group], _CEILING)

    @cached_property
    def _exact(self) -> dict[str, list[str]]:
        """The true equations of each instance; where Y is hidden, with the best coefficients."""
        return {
            group: (scorer.best(scorer.true) if scorer.instance.hidden else scorer.true).texts()
            for group, scorer in self._scorers.items()
        }


def _are_texts(given: Any) -> bool:
    """Whether this is a list of strings."""
    return isinstance(given, list | tuple) and all(isinstance(text, str) for text in given)


def _textbook(problem: Problem) -> Sequence[str]:
    return problem.instance.textbook_texts


_EQUATIONS = ModelInfo(name="equations", kind="equations", inputs="unknown", command="task.evaluate_equations")
_FLOOR = ModelInfo(name="empty equation (reference)", kind="reference", inputs="none", parameters=0, command=COMMAND)
_TEXTBOOK = ModelInfo(
    name="textbook equation (reference)",
    kind="reference",
    inputs="none",
    parameters=0,
    command=COMMAND,
    source="Lorenz 1996",
    description="The right terms with the textbook's coefficients: what can be recalled.",
)
_CEILING = ModelInfo(
    name="true equations",
    kind="reference",
    inputs="the instance",
    command=COMMAND,
    description="Where Y is hidden: the resolved terms with the coefficients that fit the full tendency best.",
)
