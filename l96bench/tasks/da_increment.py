"""The family `da-increment`: learn the analysis increments of a biased model to improve its data assimilation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.archive import PARTS, SPIN_UP, TRACKS, Track, get_track, run_cycle
from l96bench.assimilation.corrections import corrected
from l96bench.assimilation.filters import Filter
from l96bench.assimilation.models import ResolvedModel, TruthModel
from l96bench.data.store import array_digest
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.predictions import check_repeatable, predict, within_reach
from l96bench.errors import L96BenchError, SubmissionError
from l96bench.graphs.models import as_submitted
from l96bench.metrics import pointwise
from l96bench.metrics.bounds import BOUND
from l96bench.metrics.glossary import Metric
from l96bench.metrics.uncertainty import correlated_weights, recentre, resampled_means
from l96bench.progress import progress as show_progress
from l96bench.regimes import Regime
from l96bench.results.record import Cost, Failures, Result
from l96bench.results.score import STRETCHED, Value
from l96bench.tasks.artifacts import Content, Example
from l96bench.tasks.assimilation_system import AssimilationSystem, Cycles, parts_in_file
from l96bench.tasks.closure_task import ClosureTask, Samples, example_quartic, quartic_example
from l96bench.tasks.definitions import ASSIMILATION
from l96bench.tasks.described import Described
from l96bench.tasks.free_runs import FreeRuns
from l96bench.tasks.parts import Aligned, Column, Parts, Reference, Work, value_of
from l96bench.tasks.reference_models import TRUTH, UNCORRECTED
from l96bench.tasks.sources import CLIMATE

if TYPE_CHECKING:
    import xarray

__all__ = ["DAIncrement"]

_BLOCK = 40
"""Cycles per bootstrap block."""
_CORRELATION = 0.07
"""Correlation of consecutive blocks, the mean over rows (docs/measurements.md)."""
_TUNING_CYCLES = 300
"""Cycles of the validation segment, after the spin-up, on which the inflation is chosen."""
_METHOD = f"paired bootstrap over 100 correlated blocks of 40 cycles of the test segments; recentred; {STRETCHED}"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class DAIncrement(ClosureTask):
    """Assimilation skill: ``100 (E_none - E) / (E_none - E_perfect)``, E the background RMSE of the cycle.

    A model maps the background mean X ``(n, K)`` to the analysis increment ``(n, K)``: an estimator with ``predict``, a
    function, or a closure; ``task.train.X`` and ``task.train.U`` are backgrounds and increments. Its prediction becomes
    a tendency of the forecast model over the window, and the test segments are assimilated again. An
    `AssimilationSystem` brings its own forecast model instead. The inflation is chosen for every entry alike, from the
    track's grid, on the validation segment. A segment whose filter diverged scores 0 and is counted.

    Parameters
    ----------
    regime_id, version : str, int
        The track, ``"dense"`` or ``"sparse"``, and a number that is raised by every change that moves a score.
    n_members, inflations : int, tuple of float, optional
        Of the ensemble, and the grid from which every entry's inflation is chosen; the track's by default.
    spin_up, duration : float
        Spin-up and sampled length of the climate run, in MTU.
    source : Source, optional
        Where the data come from; the registered data sets by default.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("da-increment/dense-v1").miniature()
    >>> task.score(l96bench.NoClosure())
    0.0
    """

    n_members: int | None = None
    inflations: tuple[float, ...] | None = None
    spin_up: float = 100.0
    duration: float = 200.0

    family: ClassVar[str] = "da-increment"
    kind: ClassVar[str] = "increment"
    title: ClassVar[str] = "Data assimilation"
    question: ClassVar[str] = (
        "Learn the increments of a biased model, or bring a better model or filter: does it assimilate better? "
        "0 points: the model without correction. 100 points: the two-scale model."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("background RMSE", "background_rmse", ".3f"),
        Column("analysis RMSE", "analysis_rmse", ".3f"),
        Column("spread over error", "spread_over_error", ".2f"),
        Column("inflation", "inflation", ".2f"),
        Column("R² of increments", "r2_increment", ".3f"),
        Column("R² of true errors", "r2_error", ".3f"),
        Column("free RMSE at 1 MTU", "free_rmse_1", ".2f"),
        Column("climate distance", "climate_distance", ".3f"),
    )
    glossary: ClassVar[tuple[Metric, ...]] = ASSIMILATION
    default_regimes: ClassVar[tuple[str, ...]] = tuple(TRACKS)
    env_id: ClassVar[str | None] = "l96bench/DAIncrement-v2"
    env_option: ClassVar[str] = "track"
    splits: ClassVar[tuple[str, ...]] = tuple(PARTS)
    redrawn: ClassVar[bool] = True
    heeds: ClassVar[tuple[str, ...]] = ("assimilation", "step")
    training_set: ClassVar[str] = "train, 6000 cycles"

    @property
    def track(self) -> Track:
        """The observations and the filter of the task."""
        given: dict[str, Any] = {"n_members": self.n_members, "inflations": self.inflations}
        return replace(get_track(self.regime_id), **{key: value for key, value in given.items() if value is not None})

    @property
    def regime(self) -> Regime:
        """The system behind the track."""
        return self.track.regime

    @property
    def has_shift(self) -> bool:
        """False: this family has no warmer climate."""
        return False

    @classmethod
    def regime_ids(cls) -> tuple[str, ...]:
        """Return the tracks."""
        return tuple(TRACKS)

    def make(self, split: str, progress: bool | None = None) -> dict[str, Array]:
        """Generate a part of the track's archive by cycling the filter."""
        return self.source.archived(self.track, split, progress)

    def recipe(self, split: str) -> str:
        """Return the track."""
        return repr((self.track, split))

    @property
    def blocks(self) -> int:
        """The number of blocks of cycles of the test segments."""
        part = self.source.part(self.track, "test")
        return part.n_segments * part.n_cycles // _BLOCK

    def weights(self, n_blocks: int, purpose: str) -> NDArray[np.float64]:
        """Return how often each replicate draws each block; for blocks of cycles, see `correlated_weights`."""
        drawn = super().weights(n_blocks, purpose)
        return correlated_weights(drawn, _CORRELATION) if purpose == "cycles" else drawn

    def samples(self, name: str) -> Samples:
        """Return a part of the archive as samples with backgrounds as X and increments as U."""
        arrays = self.arrays(name)
        X, U = (arrays[key][0] if PARTS[name].n_segments == 1 else arrays[key] for key in ("background", "increment"))
        return Samples(X, U, self.track.window)

    def in_miniature(self) -> Self:
        """Return a copy on a small archive, with just enough members that the uncorrected model does not diverge."""
        return replace(
            super().in_miniature(), n_members=10, inflations=(1.05, 1.2, 1.6), spin_up=5.0, duration=CLIMATE[1]
        )

    def to_xarray(self) -> xarray.DataTree:
        """Return the archive as an xarray tree, one dataset per part; the truth is at analysis times."""
        import xarray

        dims = ("segment", "time", "k")
        parts = {}
        for name in self.splits:
            arrays = dict(self.arrays(name))
            arrays["truth"] = arrays["truth"][:, 1 + SPIN_UP :]
            time = self.track.window * np.arange(1, 1 + arrays["truth"].shape[1])
            parts[name] = xarray.Dataset(
                {key: (dims, array, {"units": "1"}) for key, array in arrays.items()},
                coords={"time": ("time", time, {"units": "MTU"})},
                attrs={"task": self.id, "split": name, "regime": self.regime.id, "F": self.regime.F},
            )
        return xarray.DataTree.from_dict(parts)

    def as_run(self, model: Any) -> AssimilationSystem:
        """Return the assimilation system of a model."""
        return self.system(model)

    def assess(self, model: AssimilationSystem, work: Work) -> Parts:
        """Cycle the system over the test segments; also compare predicted with actual increments."""
        if isinstance(model.model, ResolvedModel):
            check_repeatable(model.model.closure, np.random.default_rng(0).normal(2.5, 3.5, (64, self.regime.K)))
        parts = self._parts(self.cycles(model, work.progress), model)
        if model.increments is not None:
            parts.metrics.update(self._offline(model.increments))
        return parts

    def cost(self, model: AssimilationSystem | None, training_seconds: float | None) -> Cost:
        """Return the cost of training and of calling the model of increments."""
        return super().cost(None if model is None else model.increments, training_seconds)

    def system(self, model: Any) -> AssimilationSystem:
        """Return the resolved model corrected by a model of increments, or an `AssimilationSystem` as it is."""
        K = self.regime.K
        if isinstance(model, AssimilationSystem):
            if model.increments is not None:  # made here, perhaps with another filter since
                return model
            forecast = model.model
            if type(forecast) is ResolvedModel:
                closure = as_submitted(forecast.closure, K)
                forecast = ResolvedModel(forecast.regime, closure, F=forecast.F, dt=forecast.dt)
            return replace(
                model, model=forecast, closure=None if model.closure is None else as_submitted(model.closure, K)
            )
        increments = as_submitted(model, K)
        closure = corrected(increments, self.track.window)
        return AssimilationSystem(ResolvedModel(self.regime, closure), None, closure, increments)

    def cycles(self, system: AssimilationSystem, progress: bool | None = False) -> Cycles:
        """Choose the inflation on the validation segment, then cycle the system over the test segments."""
        track, filter, part = self.track, system.filter, self.source.part
        with show_progress(f"assimilating ({track.id})", 2, progress) as report:
            truth = self.arrays("valid")["truth"][:, : 1 + SPIN_UP + _TUNING_CYCLES]
            tuning = run_cycle(track, part(track, "valid"), truth, system.model, filter, track.inflations)
            inflation = track.inflations[int(np.argmin(tuning.pooled_rmse))]
            report(1)
            run = run_cycle(
                track, part(track, "test"), self.arrays("test")["truth"], system.model, filter, (inflation,)
            )
            report(1)
        return Cycles(run, inflation, np.square(run.background_rmse))

    def train_again(self, model: Any, progress: bool | None = False) -> Samples:
        """Return backgrounds and total increments of the training segment, cycled again under a corrected model.

        The observations are the same. The total increment is the new analysis increment plus the model's own increment
        at the background, so that training can be iterated on the model's own analyses.

        Parameters
        ----------
        model : fitted model of increments
        """
        system, track = self.system(model), self.track
        inflation = self.cycles(system, progress).inflation
        truth = self.arrays("train")["truth"]
        run = run_cycle(track, PARTS["train"], truth, system.model, system.filter, (inflation,), progress)
        background = run.background_mean[0]
        return Samples(
            background, run.increments[0] + predict(model, background, np.random.default_rng(0))[0], track.window
        )

    @cached_property
    def without_correction(self) -> Cycles:
        """Cycles of the resolved model without closure, which scores 0."""
        return self.cycles(AssimilationSystem(ResolvedModel(self.regime)))

    @cached_property
    def perfect(self) -> Cycles:
        """Cycles of the two-scale model, which scores 100."""
        return self.cycles(AssimilationSystem(TruthModel(self.regime)))

    def in_role(self, closure: Any, content: Content) -> Any:
        """Return the assimilation system that a description makes of a file; without one, its model of increments."""
        said = content.described.assimilation
        if said is None:
            return closure
        filter = self._filter(content, self.train.X)
        if said.role == "closure":
            return AssimilationSystem(ResolvedModel(self.regime, closure), filter, closure)
        return replace(self.system(closure), filter=filter)

    def _filter(self, content: Content, states: Array | None = None) -> Filter | None:
        said = content.described.assimilation
        try:
            return None if said is None or said.filter is None else said.filter.made(self.regime.K, states)
        except L96BenchError as error:
            raise SubmissionError(f"{content.name}: assimilation.filter: {error}") from error

    def check_content(self, content: Content) -> None:
        """Raise unless the file's closure can be called, as for other families, and its filter fits the track."""
        super().check_content(content)
        self._filter(content)

    def check_trial(self, model: Any, result: Result) -> None:
        """Raise `SubmissionError` if the filter diverged or increments of negative skill have the wrong sign."""
        failures, score = result.failures, result.score.value
        model = self.read_model(model) if isinstance(model, Content) else model
        increments = model.increments if isinstance(model, AssimilationSystem) else model
        if failures.diverged:
            expected = f"increments of the size of the analyses', over one window of {self.track.window:g} MTU"
            expected += "; if it is a tendency U, say `assimilation: {role: closure}`"
            expected = "U, which is added to dX/dt" if increments is None else expected
            how_often = f"{failures.diverged} of {failures.of} segments"
            raise SubmissionError(f"the filter diverged in {how_often} of cycles; expected finite {expected}")
        if score >= 0.0 or increments is None:
            return
        predicted = predict(increments, self.train.X, np.random.default_rng(0))[0]
        correlation = float(np.corrcoef(predicted.ravel(), self.train.U.ravel())[0, 1])
        if correlation < 0.0:
            raise SubmissionError(
                f"worse than no correction (score {score:.1f}), and its increments have a correlation of "
                f"{correlation:.2f} with those of the analyses; expected analysis minus background: is the sign wrong?"
            )

    def export(self, model: Any) -> Content:
        """Return a model as a file, and how it is to be run where that is not as a model of increments."""
        system = model if isinstance(model, AssimilationSystem) else self.system(model)
        closure, said = parts_in_file(system, self.regime)
        return replace(super().export(closure), described=Described(assimilation=said))

    @classmethod
    def example(cls) -> Example:
        """Return a quartic closure fitted to 40 MTU of training data, times the window."""
        task = cls(cls.default_regimes[0])
        model = Polynomial(task.track.window * example_quartic().coefficients)
        return quartic_example(task, ClosureTask.export(task, model), ", times the window")

    def _parts(self, own: Cycles, system: AssimilationSystem) -> Parts:
        none, perfect = self.without_correction, self.perfect
        diverged = np.isfinite(own.run.diverged)
        squared = np.where(diverged[:, None], none.squared, own.squared)
        blocks = [_over_blocks(each) for each in (none.squared, squared, perfect.squared)]
        weights = self.weights(len(blocks[0]), "cycles")
        weights = weights / weights.sum(axis=1, keepdims=True)
        estimates = [float(np.sqrt(block.mean())) for block in blocks]
        replicates = [np.sqrt(resampled_means(weights, block)) for block in blocks]
        score = 100.0 * (estimates[0] - estimates[1]) / (estimates[0] - estimates[2])
        score_replicates = 100.0 * (replicates[0] - replicates[1]) / (replicates[0] - replicates[2])
        run = own.run
        errors = np.square(np.nan_to_num(run.analysis_mean - run.truth, nan=run.limit))
        analysis = _over_blocks(errors.mean(axis=2))
        # As for forecasts: with this factor a reliable ensemble's spread is the error of its mean.
        variance = (run.n_members + 1) / run.n_members * np.square(np.nan_to_num(run.background_spread))
        spread = _over_blocks(variance.mean(axis=2))
        metrics = {
            "background_rmse": value_of(estimates[1], replicates[1]),
            "analysis_rmse": value_of(float(np.sqrt(analysis.mean())), np.sqrt(resampled_means(weights, analysis))),
            "spread_over_error": value_of(
                float(np.sqrt(spread.mean()) / estimates[1]), np.sqrt(resampled_means(weights, spread)) / replicates[1]
            ),
            "inflation": Value(value=own.inflation),
        }
        if system.closure is not None:
            metrics |= self.free_runs.metrics(system.closure)
        failures = Failures(diverged=int(diverged.sum()), of=len(diverged), note="test segments")
        series = {"background_rmse_by_segment": np.sqrt(squared.mean(axis=1))}
        digest = array_digest(np.nan_to_num(run.background_mean, nan=run.limit))
        return Parts(score, recentre(score_replicates, score), _METHOD, metrics, failures, digest, series)

    def _offline(self, model: Any) -> dict[str, Value]:
        """Return R² of predicted increments (finite, bounded) against actual increments and background errors."""
        arrays, train = self.arrays("test"), self.arrays("train")
        background = np.array(arrays["background"])
        rows = background.reshape(-1, self.regime.K)
        order = np.random.default_rng(0).permutation(len(rows))
        predicted = np.empty_like(rows)
        predicted[order] = predict(model, rows[order], np.random.default_rng(0))[0]
        usable = within_reach(predicted, 0.0, BOUND * float(train["truth"].std()))[0].reshape(background.shape)
        targets = {
            "r2_increment": (arrays["increment"], train["increment"]),
            "r2_error": (
                arrays["truth"][:, 1 + SPIN_UP :] - background,
                train["truth"][:, 1 + SPIN_UP :] - train["background"],
            ),
        }
        metrics = {}
        for name, (target, training) in targets.items():
            mean = float(np.mean(training))
            sse, sst = pointwise.block_sums(target, usable, mean, _BLOCK)
            weights = self.weights(len(sse), "cycles")
            metrics[name] = value_of(pointwise.r2(target, usable, mean), pointwise.r2_replicates(weights, sse, sst))
        return metrics

    def aligned(self, row: Result) -> Sequence[Aligned]:
        """Return the background RMSE and the score, which is linear in it."""
        return (Aligned("score", row.metrics["background_rmse"].value, row.score.value),)

    @cached_property
    def free_runs(self) -> FreeRuns:
        """Free forecasts and climate runs of the resolved model that start from the truth of the test segments."""
        truth, long = self.arrays("test")["truth"], self.arrays("train")["truth"].swapaxes(0, 1)
        return FreeRuns(self.regime, self.track.window, truth, long, self.spin_up, self.duration, self.weights)

    @property
    def references(self) -> Mapping[str, Reference]:
        """Reference models: no correction (0) and the two-scale model as forecast model (100)."""
        return MappingProxyType(
            {"floor": Reference(UNCORRECTED, self._evaluate_floor), "ceiling": Reference(TRUTH, self._evaluate_ceiling)}
        )

    def _evaluate_floor(self) -> Result:
        system = AssimilationSystem(ResolvedModel(self.regime), None, ResolvedModel(self.regime).closure)
        return self.result(UNCORRECTED, self._parts(self.without_correction, system))

    def _evaluate_ceiling(self) -> Result:
        return self.result(TRUTH, self._parts(self.perfect, AssimilationSystem(TruthModel(self.regime))))


def _over_blocks(squared: Array) -> Array:
    return np.asarray(squared.reshape(-1, _BLOCK).mean(axis=1))
