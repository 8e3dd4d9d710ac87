"""The family `observed-closure`: learn a closure from noisy observations of X alone, and run it online."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.observed import (
    OBSERVED_PARTS,
    OBSERVED_TRACKS,
    ObservedSeries,
    ObservedTrack,
    observe,
    series_of,
)
from l96bench.dynamics.closures import Closure
from l96bench.errors import L96BenchError
from l96bench.metrics.glossary import Metric
from l96bench.regimes import Regime
from l96bench.results.record import Cost, ModelInfo, Result
from l96bench.results.score import Value
from l96bench.tasks.artifacts import Content, Example
from l96bench.tasks.base import Task, shared
from l96bench.tasks.definitions import OBSERVED, ONLINE
from l96bench.tasks.isolation import fit_out_of_reach
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.parts import Column, Parts, Reference, Work, value_of

if TYPE_CHECKING:
    import xarray

__all__ = ["ObservedClosure"]

_DRAW_DIGITS = 12
"""Hexadecimal digits of the digest of a model's predictions that are the seed of its observations drawn anew."""


@dataclass(frozen=True)
class ObservedClosure(Task):
    """Online skill of a closure that was learned from noisy observations of X alone: neither U nor the true X is known.

    A model has ``fit(observations)``, which takes an `ObservedSeries`, and is then a closure, as in `online-rollout`,
    whose test, score, floor and ceiling these are; but a closure with memory is given the initial state, repeated, for
    the past of a case, since the true past of all cases would tell U. Anybody can make U with a simulator, so only what
    the board trains itself has a rank: `evaluate` also fits a copy of the model to observations drawn anew, and shows
    that score (``fresh_score``). A model with ``given_U(X, U)``, which returns the same kind of closure fitted to the
    true X and U, also shows the share of that closure's score which it reaches.

    Parameters
    ----------
    regime_id : str
        The track, such as ``"wilks-f20-dense"``.
    version : int
        Raised by every change that moves a score.
    draw : int, optional
        A seed of observations that are drawn anew, instead of the registered ones.
    scorer : OnlineRollout, optional
        The test; by default that of the track's regime.
    duration, validation : float
        MTU of the observations.
    alone : bool
        Whether there is nothing but the observations, as for entries.
    source : Source, optional
        Where the data come from; the registered data sets by default.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("observed-closure/wilks-f20-dense-v1").miniature()
    >>> isinstance(task, l96bench.ObservedClosure), type(task.train).__name__
    (True, 'ObservedSeries')
    """

    draw: int | None = None
    scorer: OnlineRollout | None = None
    duration: float = OBSERVED_PARTS["observations"]
    validation: float = OBSERVED_PARTS["observations-valid"]
    alone: bool = False

    family: ClassVar[str] = "observed-closure"
    title: ClassVar[str] = "Closures from observations"
    question: ClassVar[str] = (
        "Learn the closure from noisy observations of X alone, without U or the true X: is the coupled model good? "
        "0 points: no closure. 100 points: perfect physics."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("members", "members", ".0f"),
        Column("observations anew", "fresh_score", ".2f", optional=True),
        Column("share of given U", "share", ".3f", optional=True),
        Column("forecast part", "forecast_part", ".3f"),
        Column("climate part", "climate_part", ".3f"),
        Column("climate shift", "climate_part_shift", ".3f"),
        Column("survival", "survival", ".2f"),
    )
    glossary: ClassVar[tuple[Metric, ...]] = (*OBSERVED, *ONLINE)
    default_regimes: ClassVar[tuple[str, ...]] = tuple(OBSERVED_TRACKS)
    training_set: ClassVar[str] = "observations, 1000 MTU"
    splits: ClassVar[tuple[str, ...]] = (*OBSERVED_PARTS, *OnlineRollout.splits)
    seconds: ClassVar[float] = 40.0
    env_id: ClassVar[str | None] = "l96bench/ObservedClosure-v2"
    env_option: ClassVar[str] = "track"
    has_seasons: ClassVar[bool] = True
    heeds: ClassVar[tuple[str, ...]] = ("step",)

    @classmethod
    def regime_ids(cls) -> tuple[str, ...]:
        """Return the tracks."""
        return tuple(OBSERVED_TRACKS)

    @property
    def track(self) -> ObservedTrack:
        """The system and the network."""
        track = ObservedTrack.get(self.regime_id)
        system = self.source.hidden().regime(track.regime_id)
        return track if system == track.regime else replace(track, system=system)

    @property
    def regime(self) -> Regime:
        """The system behind the track."""
        return self.track.regime

    @property
    def online(self) -> OnlineRollout:
        """The test; `L96BenchError` for an entry's task."""
        if self.alone:
            raise L96BenchError(f"{self.id}: a model is fitted to the observations alone; expected no use of the test")
        scorer = OnlineRollout(self.track.regime_id) if self.scorer is None else self.scorer
        return shared(replace(scorer, source=self.source.hidden(), gives_past=False))

    @cached_property
    def train(self) -> ObservedSeries:
        """Observations of 1,000 MTU to train on."""
        return series_of(self.track, self.arrays("observations"))

    @cached_property
    def valid(self) -> ObservedSeries:
        """Observations of 200 MTU of another trajectory, by which options are chosen."""
        return series_of(self.track, self.arrays("observations-valid"))

    def make(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        """Simulate and observe a trajectory, or make a split of the test."""
        if split not in OBSERVED_PARTS:
            return self.online.make(split, progress)
        duration = self.duration if split == "observations" else self.validation
        if self.draw is not None:
            return observe(self.track, split, duration, self.draw, progress)
        return self.source.observed(self.track, split, duration, progress)

    def handout(self) -> dict[str, NDArray[np.float64]]:
        """Return the observations of a season, by split and array, and the forcing F that the resolved model knows."""
        if self.track.system is None:
            return {}
        arrays = {f"{split}/{name}": each for split in OBSERVED_PARTS for name, each in self.arrays(split).items()}
        return arrays | {"F": np.array(self.regime.F)}

    def key(self, split: str) -> str:
        """Return ``track/split``, and ``regime/split`` for those of the test."""
        return f"{self.regime_id if split in OBSERVED_PARTS else self.track.regime_id}/{split}"

    def recipe(self, split: str) -> str:
        """Return the track and the draw."""
        return repr((self.track, self.draw, split))

    def arrays(self, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
        """Return the arrays of a split by name; an entry's task has the observations only."""
        if split not in OBSERVED_PARTS:
            return self.online.arrays(split, progress)
        if self.draw is not None:
            return _anew(self, split)
        return super().arrays(split, progress)

    def in_miniature(self) -> Self:
        """Return a copy with few observations and the test of the miniature."""
        return replace(super().in_miniature(), scorer=self.online.in_miniature(), duration=60.0, validation=10.0)

    @property
    def available_splits(self) -> tuple[str, ...]:
        """The observations and the splits of the test; an entry's task has the observations only."""
        return tuple(OBSERVED_PARTS) if self.alone else self.splits

    @property
    def training_task(self) -> Self:
        """The task that entries get: the observations, and nothing else."""
        return shared(replace(self, alone=True, scorer=None))

    def fit(self, model: Any, budget: float | None = None) -> float:
        """Fit a model in place to the observations, or the first `budget` MTU of them, and return the CPU seconds.

        This happens in a process of its own, in which neither the simulator of the truth nor any data set can be used.
        A model without ``fit`` is left as it is. Raises `ModelError` if the model's own code raises.
        """
        return fit_out_of_reach(model, self.train if budget is None else self.train.prefix(budget))

    def as_run(self, model: Any) -> Any:
        """Return the model beside the closure that is run."""
        return _Learned(model, self.online.as_run(model))

    def assess(self, model: _Learned, work: Work) -> Parts:
        """Score the closure, and another one of the same kind that learns from observations drawn anew."""
        online = self.online
        parts = online.assess(model.closure, work)
        original = model.model
        if callable(getattr(original, "fit", None)):
            draw = int(parts.digest[:_DRAW_DIGITS], 16)
            again = copy.deepcopy(original)
            replace(self.training_task, draw=draw).fit(again)
            other = online.assess(online.as_run(again), work)
            differences = parts.replicates - other.replicates
            parts.metrics["fresh_score"] = value_of(other.score, other.replicates)
            parts.metrics["fresh_difference"] = value_of(parts.score - other.score, differences)
        if callable(getattr(original, "given_U", None)) and self.track.system is None:  # whose U nobody is given
            given = original.given_U(np.array(online.train.X), np.array(online.train.U))
            best = online.assess(online.as_run(given), work)
            parts.metrics["share"] = Value(value=parts.score / best.score if best.score > 0.0 else 0.0)
        return parts

    def cost(self, model: _Learned | None, training_seconds: float | None) -> Cost:
        """Return the cost of training and of calling the closure."""
        return self.online.cost(None if model is None else model.closure, training_seconds)

    def remark(self, model: _Learned, parts: Parts) -> str:
        """Return that the sign is wrong, if the negative of a model is far closer to the true U."""
        return self.online.remark(model.closure, parts)

    def possible_scores(self, row: Result) -> tuple[float, float]:
        """Return the ends of the scores that the parts and the survival of a row allow."""
        return self.online.possible_scores(row)

    def aligned(self, row: Result) -> Any:
        """Return the CRPS and the forecast part, and the distances and the climate parts, which are linear in them."""
        return self.online.aligned(row)

    @property
    def references(self) -> Mapping[str, Reference]:
        """Reference closures, those of the test: none (0), a quartic that is given U, perfect physics (100)."""
        return MappingProxyType({name: self._own(each) for name, each in self.online.references.items()})

    def _own(self, reference: Reference) -> Reference:
        """Return a reference of the test as one of this task."""

        def evaluate() -> Result:
            found = reference.evaluate()
            return found.model_copy(
                update={
                    "task": self.id,
                    "task_version": self.version,
                    "data_digests": self.data_digests,
                    "split": self.source.label,
                }
            )

        info: ModelInfo = reference.info
        return Reference(info, evaluate)

    @property
    def form(self) -> str:
        """The number of points, which a file's closure must fit."""
        return str(self.regime.K)

    def read_model(self, content: Content) -> Closure:
        """Return the closure in a file."""
        found: Closure = self.online.read_model(content)
        return found

    def check_content(self, content: Content) -> None:
        """Raise `SubmissionError` unless the file's closure gives finite U, each state's computed on its own."""
        self.online.check_content(content)

    def evaluate_content(self, content: Content, info: ModelInfo) -> Result:
        """Score the closure in a file, after checking it along the training trajectory of `online-rollout`."""
        closure = self.online.checked_closure(content)
        return self.evaluate(closure, info.model_copy(update={"parameters": closure.n_parameters}), progress=False)

    def check_trial(self, model: Any, result: Result) -> None:
        """Raise `SubmissionError` if the negative of a closure is far closer to the true U than the closure."""
        self.online.check_trial(model, result)

    def export(self, model: Any) -> Content:
        """Return a closure of equations as equations, any other closure as an ONNX graph."""
        return self.online.export(model)

    @classmethod
    def example(cls) -> Example:
        """Return a quartic closure as a submission."""
        return replace(OnlineRollout.example(), task=cls(cls.default_regimes[0]).id)

    def to_xarray(self) -> xarray.DataTree:
        """Return the observations as an xarray tree, one dataset per split; NaN where nothing was observed."""
        import xarray

        parts = {}
        for name, series in (("train", self.train), ("valid", self.valid)):
            parts[name] = xarray.Dataset(
                {"values": (("time", "k"), series.values, {"units": "1"})},
                coords={"time": ("time", series.time, {"units": "MTU"})},
                attrs={"task": self.id, "split": name, "regime": self.regime.id, "F": series.F, "std": series.std},
            )
        return xarray.DataTree.from_dict(parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Learned:
    """A model, and the closure that is run."""

    model: Any
    closure: Closure


@functools.lru_cache(maxsize=8)
def _anew(task: ObservedClosure, split: str) -> dict[str, NDArray[np.float64]]:
    arrays = task.make(split, False)
    for array in arrays.values():
        array.flags.writeable = False
    return arrays
