"""The family `online-rollout`: couple a closure to the resolved model, and score forecasts, climate and stability."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from l96bench.data.splits import CASES, Cases
from l96bench.data.store import array_digest
from l96bench.dynamics.closures import Closure, as_closure
from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.dynamics.predictions import check_repeatable
from l96bench.dynamics.resolved import MODEL_DT
from l96bench.dynamics.steps import SteppedClosure
from l96bench.metrics import climate, ensemble
from l96bench.metrics.bounds import BOUND, bounds
from l96bench.metrics.glossary import Metric
from l96bench.regimes import seed_word
from l96bench.results.record import Cost, Failures, ModelInfo, Result
from l96bench.results.score import Value
from l96bench.tasks.artifacts import EQUATIONS, Content, Example
from l96bench.tasks.climate_scores import (
    ClimateRun,
    ClimateScale,
    Estimate,
    climate_part,
    climate_series,
    extremes,
    member_weights,
    momentum_metrics,
    response,
    scales_of,
)
from l96bench.tasks.closure_task import LITERATURE, ClosureTask, example_quartic, quartic_example
from l96bench.tasks.definitions import LEARNING, ONLINE
from l96bench.tasks.online_runs import (
    AGAIN,
    INTERVAL,
    Batches,
    RecordedClosure,
    Runner,
    Starts,
    check_company,
    copies,
    restarted,
)
from l96bench.tasks.online_scores import (
    LIKE_TRUTH,
    METHOD,
    Forecasts,
    Runs,
    check_numbers,
    forecast_metrics,
    forecast_part,
    possible_scores,
    restart_of,
    score_of,
)
from l96bench.tasks.parts import Aligned, Column, Parts, Reference, Work, value_of
from l96bench.tasks.reference_models import BARE, PERFECT_PHYSICS
from l96bench.tasks.sources import CLIMATE, fewer

__all__ = ["ClimateRun", "Forecasts", "OnlineRollout"]

WATCHED = 3
"""Times, besides the middle, at which a closure is started again from its own free run."""
CLIMATES = {"": "climate", "_shift": "climate-shift"}
"""The splits of the truth of each climate, by the suffix of its metrics."""


@dataclass(frozen=True)
class OnlineRollout(ClosureTask):
    """Online skill: ``100 * survival * (forecast + climate) / 2``, all parts capped at 1 and floored at 0.

    A model is whatever `l96bench.as_closure` takes. *Forecast*: 300 cases, leads to 3 MTU, one member for deterministic
    closures and 20 for others; the part is ``(C_none - C) / (C_none - C_perfect)``, C being the CRPS averaged over
    leads up to 2 MTU. *Climate*: the mean of the parts at the regime's forcing (120 members) and at F + 4 (60 members),
    after 100 MTU of spin-up, over 150 MTU; a part is ``(D_none - D) / (D_none - D_truth)``, D being the mean of three
    1-Wasserstein distances. *Survival*: the fraction of the 120 members that stay finite and within 10 climatological
    standard deviations of the mean. Diverged members are continued without closure.

    Every run has the same number of rows, in an order that tells nothing, of both forcings: a batch of forecasts, of
    which the first goes on to the climates. All begin from a fresh copy of the closure.

    Parameters
    ----------
    regime_id, version : str, int
        The regime whose data are used, and a number that is raised by every change that moves a score.
    cases, gives_past : Cases, bool
        The forecasts' initial conditions, and whether a closure is given their true past; if not, the state, repeated.
    n_members, n_shifted : int
        Members of a climate run at the regime's forcing and at a shifted one, which are the rows of every batch.
    spin_up, duration : float
        Spin-up and sampled length of a climate run, in MTU.
    source : Source, optional
        Where the data come from; the registered data sets by default.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("online-rollout/wilks-f20-v2").miniature()
    >>> 0.0 < task.score(l96bench.PUBLISHED["wilks2005_f20"].polynomial) < 100.0
    True
    """

    version: int = 2
    cases: Cases = CASES  # type: ignore[misc]
    n_members: int = 120
    n_shifted: int = 60
    spin_up: float = 100.0
    duration: float = 150.0
    gives_past: bool = True

    family: ClassVar[str] = "online-rollout"
    title: ClassVar[str] = "Online rollout"
    question: ClassVar[str] = (
        "Couple the closure to the resolved model: is the forecast good, the climate right, the run stable? "
        "0 points: no closure. 100 points: perfect physics."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("members", "members", ".0f"),
        Column("survival", "survival", ".2f"),
        Column("forecast part", "forecast_part", ".3f"),
        Column("climate part", "climate_part", ".3f"),
        Column("CRPS at 1 MTU", "crps_1", ".3f"),
        Column("valid time", "valid_prediction_time", ".2f"),
        Column("climate shift", "climate_part_shift", ".3f"),
        Column("conservation error", "conservation_error", ".2g", optional=True),
    )
    glossary: ClassVar[tuple[Metric, ...]] = (*ONLINE, *LEARNING)
    redrawn: ClassVar[bool] = True
    env_id: ClassVar[str | None] = "l96bench/OnlineRollout-v2"
    splits: ClassVar[tuple[str, ...]] = (
        *("train", "perfect"),
        *("climate", "climate-twin", "climate-shift", "climate-shift-twin"),
    )

    def in_miniature(self) -> Self:
        """Return a copy with the data, the cases and the climate runs of the miniature."""
        n_members, duration = CLIMATE
        cases = Cases(per_trajectory=3, n_trajectories=n_members, spacing=6.0, members=4)
        return replace(
            super().in_miniature(), cases=cases, n_members=2 * n_members, n_shifted=n_members, spin_up=5.0,
            duration=duration,
        )  # fmt: skip

    @property
    def available_splits(self) -> tuple[str, ...]:
        """All splits: every regime has a climate of a shifted forcing."""
        return self.splits

    def fresh(self, seed: int) -> Self:
        """Return the task on a fresh draw, with as many members and trajectories of cases as that has."""
        cases = replace(self.cases, n_trajectories=fewer(self.cases.n_trajectories))
        n_members, n_shifted = fewer(self.n_members), fewer(self.n_shifted)
        return replace(super().fresh(seed), cases=cases, n_members=n_members, n_shifted=n_shifted)

    def as_run(self, model: Any) -> Closure:
        """Return the closure that is run, which may be an ONNX graph of the model."""
        return as_closure(super().as_run(model))

    def assess(self, model: Any, work: Work) -> Parts:
        """Run the closure's forecasts and climates."""
        return self._parts(self.runs(model, work.progress))

    @classmethod
    def example(cls) -> Example:
        """Return a quartic closure fitted to 40 MTU of training data, as equations."""
        content = Content("equations", EQUATIONS, [example_quartic().equation])
        return quartic_example(cls(cls.default_regimes[0]), content)

    @cached_property
    def climatology(self) -> tuple[float, float]:
        """Mean and standard deviation of the training X over times and points."""
        return float(np.mean(self.train.X)), float(np.std(self.train.X))

    @cached_property
    def forecast_truth(self) -> NDArray[np.float64]:
        """True states at each lead of each case, (lead, case, K)."""
        return self.cases.truth(self.arrays("climate")["X"])

    @cached_property
    def perfect(self) -> Forecasts:
        """Forecasts of the two-scale model with fast variables estimated from the past X: the ceiling."""
        X = self.arrays("perfect")["X"]
        return Forecasts(X, ensemble.crps(self.forecast_truth, X))

    @cached_property
    def without_closure(self) -> Runs:
        """Forecasts and climates of the resolved model without a closure: the floor."""
        return self.runs(NoClosure(), False)

    @cached_property
    def grids(self) -> dict[str, climate.DistanceGrid]:
        """Grids on which distributions are compared, by climate: "" and, of the shifted forcing, "_shift"."""
        return {key: climate.DistanceGrid.from_truth(self._truth_run(name), INTERVAL) for key, name in CLIMATES.items()}

    @cached_property
    def truth_climates(self) -> dict[str, tuple[ClimateRun, ClimateRun]]:
        """Two independent samples of the truth for each climate; their distance defines the ceiling."""
        pairs = {}
        for key, name in CLIMATES.items():
            runs = [self._truth_run(split) for split in (name, f"{name}-twin")]
            first, second = (
                ClimateRun(X, climate.member_cdfs(X, INTERVAL, self.grids[key]), np.ones(X.shape[1], dtype=bool))
                for X in runs
            )
            pairs[key] = (first, second)
        return pairs

    @cached_property
    def climate_scales(self) -> dict[str, ClimateScale]:
        """The yardsticks of the climates of models, by the suffix of their metrics."""
        return scales_of(self.truth_climates, self.without_closure.climates, self.grids, self.weights)

    @cached_property
    def waves(self) -> dict[str, tuple[int, int]]:
        """The two waves around the ring that carry most variance in the truth, by climate, the stronger first."""
        return {
            key: climate.leading_waves(climate.wave_amplitudes(pair[0].X, self.grids[key].mean[0]))
            for key, pair in self.truth_climates.items()
        }

    @cached_property
    def recall(self) -> climate.Recall:
        """The training data, and the truth's distance from them."""
        return climate.Recall(self.train.X, self.truth_climates[""][1].X)

    def _truth_run(self, name: str) -> NDArray[np.float64]:
        return self.arrays(name)["X"].swapaxes(0, 1)

    def _rng(self, purpose: str, *number: int) -> np.random.Generator:
        return np.random.default_rng([self.regime.word, self.version, seed_word(f"closure {purpose}"), *number])

    def starts(self, key: str = "") -> Starts:
        """Return the states, pasts, forcing and limits of all cases of a climate."""
        X, forcing = self.arrays(CLIMATES[key])["X"], (self.regime.shifted() if key else self.regime).F
        X0 = self.cases.initial(X)
        limits = np.array(bounds(self.grids[key].mean[0], self.grids[key].std[0]))
        past = self.cases.history(X)
        past = past if self.gives_past else np.broadcast_to(X0, past.shape)
        return Starts(X0, past, np.full(len(X0), forcing), np.repeat(limits[:, None], len(X0), axis=1))

    def runner(self, progress: bool | None = None) -> Runner:
        """Return what runs the batches."""
        return Runner(self.regime, progress)

    def runs(self, model: Any, progress: bool | None = None) -> Runs:
        """Return the model's forecasts of all cases, its climates and its restart.

        Diverged members are continued without closure.
        """
        closure, is_floor = self.as_run(model), isinstance(model, NoClosure)
        members = 1 if closure.deterministic else self.cases.members
        batches = Batches.of(len(self.cases), members, self.n_members, self.n_shifted, self._rng("order"))
        cases, shifted = self.starts(), self.starts("_shift")[: self.n_shifted]
        fresh, run = copies(closure), self.runner(progress)
        check_repeatable(fresh(), cases.X[:64], cases.past[:, :64])
        X = np.empty((len(self.cases.leads), len(self.cases), members, self.regime.K))
        lost = np.zeros((len(self.cases), members), dtype=bool)
        recorded = None
        if self.regime.coupling == "flux" and not isinstance(closure, Polynomial):
            recorded = RecordedClosure(fresh())
        for i, (case, member, order) in enumerate(zip(batches.cases, batches.members, batches.order, strict=True)):
            goes_on = i == 0
            duration = self.spin_up + self.duration if goes_on else self.cases.lead + self.cases.interval
            own = recorded if goes_on and recorded is not None else fresh()
            each = run(own, cases[case] + shifted, order, duration, self._rng("run", i))
            X[:, case, member] = each.X[1 : len(X) + 1, : self.n_members]
            lost[case, member] = each.left[: self.n_members] <= self.cases.lead
            if goes_on:
                free = each
        again = self._restarts(run, closure, fresh, free.X, cases[batches.cases[0]] + shifted, len(batches.order))
        if np.isnan(X).any():
            X = np.where(np.isnan(X), self.climatology[0] if is_floor else self.without_closure.forecasts.X, X)
        forecasts = Forecasts(X, ensemble.crps(self.forecast_truth, X), int(lost.sum()))
        sampled = free.X[round(self.spin_up / INTERVAL) :]
        sources = self._sources(sampled, closure, recorded, batches.order[0])
        climates = {}
        for key, part in (("", slice(self.n_members)), ("_shift", slice(self.n_members, None))):
            whole = self._continued(sampled[:, part], key, is_floor)
            cdfs = climate.member_cdfs(whole, INTERVAL, self.grids[key])
            climates[key] = ClimateRun(whole, cdfs, free.survived[part], None if sources is None else sources[:, part])
        return Runs(forecasts, climates, again)

    def _restarts(
        self,
        run: Runner,
        closure: Closure,
        fresh: Callable[[], Closure],
        X: NDArray[np.float64],
        starts: Starts,
        n_batches: int,
    ) -> tuple[NDArray[np.float64], ...]:
        """Start `fresh` copies in the middle of the free run and at times that follow from it (`restarted`).

        Members must not depend on each other there (`check_company`).
        """
        std = self.climatology[1]
        drawn = np.random.default_rng(int(array_digest(X), 16))
        sampled = round(self.spin_up / INTERVAL), len(X) - round(AGAIN / INTERVAL)
        times = np.maximum(drawn.integers(*sampled, size=WATCHED), len(starts.past))
        if type(closure) not in (Polynomial, SteppedClosure):  # these compute every row by itself
            rng = drawn if closure.deterministic else np.random.default_rng(int(array_digest(X)[:16], 16))
            check_company(run, fresh, X, int(times[0]), starts, rng)
        found = [restarted(run, fresh, X, len(X) // 2, starts, std, [self._rng("restart", i) for i in (0, 1)])]
        for i, at in enumerate(times, 1):
            # The noise is that of a batch of forecasts, so that no closure knows a restart by its generator.
            rngs = [self._rng("restart", 2 * i + j) for j in (0, 1)]
            noise = [self._rng("run", int(batch)) for batch in drawn.permutation(max(n_batches, 2))[:2]]
            found.append(restarted(run, fresh, X, int(at), starts, std, rngs, noise))
        return tuple(each for each in found if each is not None)

    def _sources(
        self, X: NDArray[np.float64], closure: Any, recorded: RecordedClosure | None, order: NDArray[np.int64]
    ) -> NDArray[np.float64] | None:
        """Return mean U over the ring / std of U (time, member), at most 10, NaN once diverged, for flux couplings."""
        if self.regime.coupling != "flux":
            return None
        if recorded is None:
            sources = closure.predict(X).mean(axis=-1)
        else:
            # The run's last sample is where it ends: the closure is not asked there.
            sources = recorded.means(order, round(self.spin_up / MODEL_DT), round(INTERVAL / MODEL_DT))
            X = X[: len(sources)]
        scaled = np.clip(np.nan_to_num(sources / float(np.std(self.train.U)), nan=BOUND), -BOUND, BOUND)
        return np.where(np.isnan(X[..., 0]), np.nan, scaled)

    def _continued(self, X: NDArray[np.float64], key: str, is_floor: bool) -> NDArray[np.float64]:
        """Return X with every diverged member continued by the same member of the run without closure."""
        if not (lost := np.isnan(X)).any():
            return X
        return np.where(lost, self.climatology[0] if is_floor else self.without_closure.climates[key].X, X)

    def _parts(self, runs: Runs) -> Parts:
        none, forecasts = self.without_closure, runs.forecasts
        cases = self.weights(len(self.cases), "cases")
        forecast = forecast_part(none.forecasts, forecasts, self.perfect, self.cases.leads, cases)
        metrics, series = forecast_metrics(self.forecast_truth, forecasts, self.cases.leads, self.climatology, cases)
        metrics["forecast_part"] = value_of(*forecast)
        parts: list[Estimate] = []
        drawn: dict[str, NDArray[np.float64]] = {}
        for key, run in runs.climates.items():
            own = drawn[key] = member_weights(run, f"members{key}", self.weights)
            part, replicates, found = climate_part(run, own, self.climate_scales[key])
            parts.append((part, replicates))
            found |= extremes(run, own, self.grids[key].mean[0], self.waves[key])
            found |= momentum_metrics(run, own)
            metrics |= {f"{name}{key}": value for name, value in found.items()}
            series |= {f"{name}{key}": values for name, values in climate_series(run).items()}
        metrics |= response(runs.climates, drawn)
        metrics["training_distance"] = Value(value=self.recall.of(runs.climates[""].X))
        if runs.restart:
            weights = self.weights(runs.restart[0].shape[1], "restart")
            metrics["restart"] = restart_of(runs.restart, weights, max(part for part, _ in parts) > LIKE_TRUTH)
        survived = runs.climates[""].survived
        score, replicates = score_of(forecast, parts, (float(survived.mean()), drawn[""] @ survived))
        left = sum(int((~run.survived).sum()) for run in runs.climates.values())
        n_runs = forecasts.X.shape[1] * forecasts.X.shape[2] + sum(len(run.survived) for run in runs.climates.values())
        failures = Failures(diverged=forecasts.diverged + left, of=n_runs, note="forecast and climate members")
        digest = array_digest(np.concatenate([forecasts.X.ravel(), *(run.X.ravel() for run in runs.climates.values())]))
        return Parts(score, replicates, METHOD, metrics, failures, digest, series)

    def possible_scores(self, row: Result) -> tuple[float, float]:
        """Return the ends of the scores that the parts and the survival of a row allow; see `check_numbers`, too."""
        if row.model.kind != "reference":
            check_numbers(row.metrics, row.series, self.cases.members)
        return possible_scores(row.metrics, len(row.model.seeds))

    def aligned(self, row: Result) -> Sequence[Aligned]:
        """Return the CRPS and the forecast part, and the distances and the climate parts, which are linear in them."""
        pairs = [("crps_mean", "forecast_part")]
        pairs += [(f"climate_distance{key}", f"climate_part{key}") for key in CLIMATES]
        return [Aligned(part.replace("_", " "), row.metrics[x].value, row.metrics[part].value) for x, part in pairs]

    @property
    def references(self) -> Mapping[str, Reference]:
        """Reference closures: none (0), perfect physics (100) and a fitted quartic, as in the literature."""
        return MappingProxyType(
            {
                "floor": Reference(BARE, lambda: self._reference(BARE, "floor", self.cost(NoClosure(), None))),
                "literature": Reference(LITERATURE, self.evaluate_literature),
                "ceiling": Reference(PERFECT_PHYSICS, lambda: self._reference(PERFECT_PHYSICS, "ceiling")),
            }
        )

    def _reference(self, info: ModelInfo, name: str, cost: Cost | None = None) -> Result:
        return self.result(info, self.reference_parts(name), cost)

    def reference_parts(self, name: str) -> Parts:
        """Return the results of the ``"floor"`` or the ``"ceiling"``."""
        if name == "floor":
            return self._parts(self.without_closure)
        return self._parts(Runs(self.perfect, {key: pair[1] for key, pair in self.truth_climates.items()}))
