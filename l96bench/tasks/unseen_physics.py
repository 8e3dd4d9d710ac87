"""The family `unseen-physics`: one closure for systems that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from l96bench.data.generate import generate
from l96bench.data.splits import DATA_VERSION, SPLITS, Cases
from l96bench.data.systems import BOX, N_TEST, N_TRAINING, SYSTEM_TRACKS, TRAINING, draw_systems, system_words
from l96bench.dynamics.polynomial import Polynomial, fitted_coefficients
from l96bench.dynamics.truth import available_processors
from l96bench.errors import L96BenchError
from l96bench.metrics.glossary import Metric
from l96bench.regimes import Regime, seed_word
from l96bench.results.record import Cost, ModelInfo, Result
from l96bench.results.score import Value
from l96bench.tasks.artifacts import Content, Example
from l96bench.tasks.base import Task, shared
from l96bench.tasks.closure_task import LITERATURE
from l96bench.tasks.cost import measure_cost
from l96bench.tasks.definitions import ONLINE, UNSEEN
from l96bench.tasks.isolation import fit_out_of_reach
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.parts import LEVEL, Column, Parts, Reference, Work
from l96bench.tasks.reference_models import BARE, PERFECT_PHYSICS
from l96bench.tasks.sources import TRAINING_SPLITS, fewer
from l96bench.tasks.system_rollout import (
    PAST,
    FileModel,
    SystemClosures,
    SystemRollout,
    assess_each,
    assess_out_of_reach,
    for_system,
    mean_over_systems,
)
from l96bench.workers import in_processes

if TYPE_CHECKING:
    import xarray

__all__ = ["SystemSamples", "UnseenPhysics"]

Arrays = dict[str, NDArray[np.float64]]
_SCORER = OnlineRollout("unseen", cases=Cases(5, 20, first=PAST, members=10), n_members=20, n_shifted=10)
_KEPT = 1e-4
"""The largest difference between a score and its six digits."""
_DRAW_DIGITS = 12
"""Hexadecimal digits of the digest of a model's predictions that are the seed of its new systems."""


@dataclass(frozen=True, slots=True, eq=False)
class SystemSamples:
    """X and U of one training system.

    Parameters
    ----------
    regime : Regime
        The system, with its F, h and c.
    X, U : (time, K) array
        Resolved state, and the tendency that the fast variables add to it.
    interval : float
        MTU between samples.

    Examples
    --------
    >>> import l96bench
    >>> run = l96bench.simulate("wilks-f20", 1.0, spin_up=1.0)
    >>> l96bench.SystemSamples(l96bench.get_regime("wilks-f20"), run.X, run.U).X.shape
    (20, 8)
    """

    regime: Regime
    X: NDArray[np.float64]
    U: NDArray[np.float64]
    interval: float = 0.05


@dataclass(frozen=True)
class UnseenPhysics(Task):
    """Online skill of one closure on systems with other F, h and c than those that it was trained on.

    A model has ``fit(systems)``, which takes a list of `SystemSamples`, the training systems. Afterwards it is
    *informed*, if it has ``closure(dt, regime)``, which is asked for the closure of each test system and is told h and
    c; or it is *blind*: one closure for all, as in `online-rollout`, which may have ``remember(past)`` and find out the
    system from 10 MTU of past observations, (past, member, K), 0.05 MTU apart, all points with errors of 1.0.

    The score is the mean over the test systems of the score of `online-rollout`, with fewer cases and members. Test
    systems are public, so a model that was trained here is scored on systems drawn anew as well; where it is worse
    there beyond the interval, it has no rank. Neither ``fit`` nor a closure can reach the truth.

    Parameters
    ----------
    regime_id : str
        The track, ``"interpolate"`` or ``"extrapolate"``.
    version : int
        Raised by every change that moves a score.
    n_training, n_test : int
        Systems to train on, and of the test.
    duration : float
        MTU of each training system.
    scorer : OnlineRollout
        The sizes of the test of a system: five cases of forecasts, of 10 members, in each of 20 trajectories of the
        truth, and climate runs of 20 members and, at F + 4, 10.
    source : Source, optional
        Where the data come from; the registered systems by default.

    Attributes
    ----------
    box : mapping of str to (float, float)
        The ranges of F, h and c of the training systems.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("unseen-physics/interpolate-v1").miniature()
    >>> isinstance(task, l96bench.UnseenPhysics), sorted(task.box)
    (True, ['F', 'c', 'h'])
    """

    n_training: int = N_TRAINING
    n_test: int = N_TEST
    duration: float = 125.0
    scorer: OnlineRollout = _SCORER

    family: ClassVar[str] = "unseen-physics"
    title: ClassVar[str] = "Unseen physics"
    question: ClassVar[str] = (
        "One closure for systems with other parameters than those it was trained on: is the coupled model good? "
        "0 points: no closure. 100 points: perfect physics."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("told h and c", "informed", ".0f"),
        Column("members", "members", ".0f"),
        Column("new systems", "new_systems_score", ".2f", optional=True),
        Column("worst system", "worst_system", ".2f"),
        Column("forecast part", "forecast_part", ".3f"),
        Column("climate part", "climate_part", ".3f"),
        Column("climate shift", "climate_part_shift", ".3f"),
        Column("survival", "survival", ".2f"),
    )
    glossary: ClassVar[tuple[Metric, ...]] = (*UNSEEN, *ONLINE)
    default_regimes: ClassVar[tuple[str, ...]] = SYSTEM_TRACKS
    training_set: ClassVar[str] = "16 systems, 125 MTU each"
    splits: ClassVar[tuple[str, ...]] = ("train", *(name for name in OnlineRollout.splits if name != "train"))
    seconds: ClassVar[float] = 120.0
    env_id: ClassVar[str | None] = "l96bench/UnseenPhysics-v1"
    env_option: ClassVar[str] = "track"
    redrawn: ClassVar[bool] = True
    box: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(BOX)
    heeds: ClassVar[tuple[str, ...]] = ("step",)

    @classmethod
    def regime_ids(cls) -> tuple[str, ...]:
        """Return the tracks."""
        return SYSTEM_TRACKS

    @property
    def training_systems(self) -> tuple[Regime, ...]:
        """The systems that models are trained on, the same for both tracks."""
        return draw_systems(TRAINING, self.n_training)

    @property
    def systems(self) -> tuple[Regime, ...]:
        """The test systems."""
        return draw_systems(self.regime_id, self.n_test, self.source.instance_seed(self.regime_id))

    @cached_property
    def train(self) -> list[SystemSamples]:
        """X and U of every training system."""
        arrays = self.arrays("train")
        return [SystemSamples(*each) for each in zip(self.training_systems, arrays["X"], arrays["U"], strict=True)]

    @cached_property
    def tests(self) -> tuple[SystemRollout, ...]:
        """The online test of each system."""
        fields = {
            name: getattr(self.scorer, name) for name in ("cases", "n_members", "n_shifted", "spin_up", "duration")
        }
        return tuple(
            SystemRollout(system.id, system=system, read=partial(self._read, i), source=self.source, **fields)
            for i, system in enumerate(self.systems)
        )

    def _read(self, index: int, split: str) -> Arrays:
        """Return the arrays of a test system, or those of all training systems one after the other."""
        if split in TRAINING_SPLITS:
            return {name: array.reshape(-1, array.shape[-1]) for name, array in self.arrays(split).items()}
        if self.source.instance_seed(self.regime_id) is None:
            return {name: array[index] for name, array in self.arrays(split).items()}
        return self._simulated(split, index, False)

    def make(self, split: str, progress: bool | None = None) -> Arrays:
        """Simulate a split: the training systems or the test systems, stacked."""
        n = self.n_training if split in TRAINING_SPLITS else self.n_test
        made = [self._simulated(split, i, progress) for i in range(n)]
        return {name: np.stack([each[name] for each in made]) for name in made[0]}

    def _simulated(self, split: str, index: int, progress: bool | None) -> Arrays:
        """Simulate a split of one system."""
        training = split in TRAINING_SPLITS
        kind, seed = (TRAINING, None) if training else (self.regime_id, self.source.instance_seed(self.regime_id))
        system = (self.training_systems if training else self.systems)[index]
        words = *system_words(kind, seed), index
        given = next(each for each in SPLITS if each.name == split)
        if training:
            sized = replace(given, n_trajectories=1, duration=self.duration)
        else:
            sized = replace(given, n_trajectories=self.scorer.cases.n_trajectories, duration=self.scorer.duration)
        arrays = generate(
            system, sized, progress, cases=self.scorer.cases, seed_of=lambda _, stream: (*words, seed_word(stream))
        )
        return {name: array[0] if training else array for name, array in arrays.items()}

    def key(self, split: str) -> str:
        """Return ``unseen-training/split`` for the training systems, which both tracks share, and ``track/split``."""
        return f"{'unseen-training' if split in TRAINING_SPLITS else self.regime_id}/{split}"

    def recipe(self, split: str) -> str:
        """Return the systems and the sizes."""
        return repr((DATA_VERSION, self.regime_id, self.n_training, self.n_test, self.duration, self.scorer, split))

    def in_miniature(self) -> Self:
        """Return a copy with few systems, which are short, and the sizes of the miniature."""
        cases = Cases(2, 5, first=3.0, spacing=6.0, members=4)
        scorer = replace(self.scorer, cases=cases, n_members=6, n_shifted=3, spin_up=5.0, duration=20.0)
        return replace(super().in_miniature(), n_training=3, n_test=2, duration=30.0, scorer=scorer)

    def fresh(self, seed: int) -> Self:
        """Return the same question about systems drawn from a seed, with a fifth of the trajectories of the truth."""
        cases = replace(self.scorer.cases, n_trajectories=fewer(self.scorer.cases.n_trajectories))
        return shared(replace(super().fresh(seed), scorer=replace(self.scorer, cases=cases)))

    @property
    def blocks(self) -> int:
        """The number of systems."""
        return self.n_test

    def fit(self, model: Any, budget: float | None = None) -> float:
        """Fit a model in place to the training systems, or the first `budget` of them, and return the CPU seconds.

        This happens in a process of its own, in which neither the simulator of the truth nor any data set can be used.
        A model without ``fit`` is left as it is. Raises `ModelError` if the model's own code raises.
        """
        return fit_out_of_reach(model, self.train if budget is None else self.train[: int(budget)])

    def as_run(self, model: Any) -> SystemClosures:
        """Return the model as the maker of a closure for each system."""
        return model if isinstance(model, SystemClosures) else SystemClosures(model)

    def assess(self, model: SystemClosures, work: Work) -> Parts:
        """Score the closures of all systems, and those of systems drawn anew."""
        from scipy import stats

        parts = self._over_systems(model)
        if self.source.instance_seed(self.regime_id) is None and not model.is_file:
            again = self.fresh(int(parts.digest[:_DRAW_DIGITS], 16))._over_systems(model)
            gap = parts.score - again.score
            spread = math.sqrt(
                sum(np.var(each.series["system_score"], ddof=1) / self.n_test for each in (parts, again))
            )
            reach = float(stats.t.ppf((1 + LEVEL) / 2, 2 * self.n_test - 2)) * spread
            parts.metrics["new_systems_score"] = Value(value=again.score)
            parts.metrics["new_systems_difference"] = Value(value=gap, low=gap - reach, high=gap + reach)
        return parts

    def _over_systems(self, model: SystemClosures) -> Parts:
        """Return the mean of the online results of all systems, each in a process without the truth, but for files."""
        if model.is_file:
            found = assess_each(model, self.tests)
        else:
            n_jobs = min(available_processors(), self.n_test)
            works = [(model, self.tests[i::n_jobs]) for i in range(n_jobs)]
            own: dict[int, Parts] = {}
            for i, scored, fault in in_processes(assess_out_of_reach, works, n_jobs, owner=id):
                if fault or isinstance(scored, Exception):
                    raise scored if isinstance(scored, Exception) else L96BenchError(f"{model}: {fault}")
                own.update(zip(range(i, self.n_test, n_jobs), scored, strict=True))
            found = [own[i] for i in range(self.n_test)]
        parts = mean_over_systems(found, self.weights(self.n_test, "systems"))
        parts.metrics["informed"] = Value(value=float(model.informed))
        parts.metrics["worst_system"] = Value(value=min(each.score for each in found))
        return parts

    def possible_scores(self, row: Result) -> tuple[float, float]:
        """Return the mean of the scores of the systems."""
        scores = row.series["system_score"]
        if len(scores) != self.n_test or not all(0.0 <= each <= 100.0 for each in scores):
            raise ValueError(f"system_score: expected {self.n_test} numbers from 0 to 100, got {scores}")
        mean = math.fsum(scores) / self.n_test
        return mean - _KEPT, mean + _KEPT

    def cost(self, model: SystemClosures | None, training_seconds: float | None) -> Cost:
        """Return the cost of training and of calling the closure of the first system."""
        if model is None:
            return Cost(training_seconds=training_seconds)
        return measure_cost(self.systems[0], model.closure(self.systems[0]), training_seconds)

    @property
    def references(self) -> Mapping[str, Reference]:
        """Reference closures: none (0), a quartic fitted to all training systems, and perfect physics (100)."""
        return MappingProxyType(
            {
                "floor": Reference(BARE, lambda: self._reference(BARE, "floor")),
                "literature": Reference(LITERATURE, self._literature),
                "ceiling": Reference(PERFECT_PHYSICS, lambda: self._reference(PERFECT_PHYSICS, "ceiling")),
            }
        )

    def _reference(self, info: ModelInfo, name: str) -> Result:
        """Return the mean over systems of a reference of `online-rollout`."""
        parts = [test.reference_parts(name) for test in self.tests]
        return self.result(info, mean_over_systems(parts, self.weights(self.n_test, "systems")))

    def _literature(self) -> Result:
        """Score a quartic fitted to all training systems together."""
        all_systems = self.tests[0].train
        quartic = Polynomial(fitted_coefficients(all_systems.X, all_systems.U, 4))
        return self.evaluate(SystemClosures(quartic, is_file=True), LITERATURE)

    @property
    def form(self) -> str:
        """The number of points, which a file's closure must fit."""
        return str(self.systems[0].K)

    def read_model(self, content: Content) -> SystemClosures:
        """Return the closures of a file, one for all systems, or one for each if it has an input ``parameters``."""
        first = self.tests[0]
        own = for_system(content, first.system)
        closure = first.read_closure(own)
        return SystemClosures(closure if own is content else FileModel(content, first), is_file=True)

    def check_content(self, content: Content) -> None:
        """Raise `SubmissionError` unless the file's closure gives finite U, each state's computed on its own."""
        for system in self.training_systems[:2]:
            self.tests[0].check_content(for_system(content, system))

    def evaluate_content(self, content: Content, info: ModelInfo) -> Result:
        """Score the closures of a file, after checking that of a training system along the training trajectories."""
        first = self.tests[0].checked_closure(for_system(content, self.training_systems[0]))
        info = info.model_copy(update={"parameters": first.n_parameters})
        return self.evaluate(self.read_model(content), info, progress=False)

    def check_trial(self, model: Any, result: Result) -> None:
        """Raise `SubmissionError` if the negative of a closure is far closer to the true U than the closure."""
        made = self.read_model(model) if isinstance(model, Content) else self.as_run(model)
        self.tests[0].check_trial(made.closure(self.training_systems[0]), result)

    def export(self, model: Any) -> Content:
        """Return a blind closure of equations as equations, any other as an ONNX graph; ModelError if none is known."""
        return self.tests[0].export(model)

    @classmethod
    def example(cls) -> Example:
        """Return a quartic closure as a submission."""
        return replace(OnlineRollout.example(), task=cls(cls.default_regimes[0]).id)

    def to_xarray(self) -> xarray.DataTree:
        """Return X and U of the training systems as an xarray tree, with the parameters of each as coordinates."""
        import xarray

        coords: dict[str, Any] = {"time": ("time", 0.05 * np.arange(len(self.train[0].X)), {"units": "MTU"})}
        for name in "Fhc":
            coords[name] = ("system", [getattr(each.regime, name) for each in self.train], {"units": "1"})
        arrays = {key: (("system", "time", "k"), self.arrays("train")[key], {"units": "1"}) for key in "XU"}
        return xarray.DataTree.from_dict({"train": xarray.Dataset(arrays, coords, {"task": self.id, "split": "train"})})
