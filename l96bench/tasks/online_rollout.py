"""The family `online-rollout`: couple a closure to the resolved model, and score forecasts, climate and stability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from l96bench.data.splits import CASES, Cases
from l96bench.data.store import array_digest
from l96bench.dynamics.closures import Closure, as_closure, checked_start, checked_step
from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.dynamics.resolved import MODEL_DT, rollout
from l96bench.metrics import climate, ensemble
from l96bench.metrics.bounds import BOUND, bounds
from l96bench.metrics.glossary import Metric
from l96bench.regimes import seed_word
from l96bench.results.record import Failures, ModelInfo, Result
from l96bench.tasks.artifacts import EQUATIONS, Content, Example
from l96bench.tasks.closure_task import LITERATURE, ClosureTask, example_quartic, quartic_example
from l96bench.tasks.definitions import LEARNING, ONLINE
from l96bench.tasks.online_scores import (
    BLOCK,
    INTERVAL,
    METHOD,
    ClimateRun,
    Estimate,
    Forecasts,
    climate_metrics,
    climate_part,
    climate_series,
    forecast_metrics,
    forecast_part,
    momentum_metrics,
    possible_scores,
    score_of,
)
from l96bench.tasks.parts import COMMAND, Aligned, Column, Parts, Reference, Work, value_of
from l96bench.tasks.sources import CLIMATE, fewer

__all__ = ["ClimateRun", "Forecasts", "OnlineRollout"]

_CLIMATES = (("", "climate"), ("_shift", "climate-shift"))


@dataclass(frozen=True)
class OnlineRollout(ClosureTask):
    """Online skill: ``100 * survival * (forecast + climate) / 2``, both parts capped at 1 and floored at 0.

    A model is whatever `l96bench.as_closure` takes. *Forecast*: 500 cases, leads to 3 MTU, one member for deterministic
    closures and 20 for others; the part is ``(C_none - C) / (C_none - C_perfect)``, C being the CRPS averaged over
    leads up to 2 MTU. *Climate*: 50 members, 100 MTU of spin-up, then 200 MTU; the part is ``(D_none - D) / (D_none -
    D_truth)``, D being the mean of three 1-Wasserstein distances. *Survival*: the fraction of those members that stay
    finite and within 10 climatological standard deviations of the mean. Diverged members are continued without closure.

    Parameters
    ----------
    cases : Cases
        The initial conditions of the forecasts.
    n_members : int
        Members of a climate run.
    spin_up, duration : float
        Spin-up and sampled length of a climate run, in MTU.
    """

    cases: Cases = CASES  # type: ignore[misc]
    n_members: int = 50
    spin_up: float = 100.0
    duration: float = 200.0

    family: ClassVar[str] = "online-rollout"
    title: ClassVar[str] = "Online rollout"
    question: ClassVar[str] = (
        "Couple the closure to the resolved model: is the forecast good, the climate right, the run stable? "
        "0 points: no closure. 100 points: perfect physics."
    )
    columns: ClassVar[tuple[Column, ...]] = (
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
    env_id: ClassVar[str | None] = "l96bench/OnlineRollout-v1"
    splits: ClassVar[tuple[str, ...]] = (
        *("train", "test", "shift", "perfect"),
        *("climate", "climate-twin", "climate-shift", "climate-shift-twin"),
    )

    def in_miniature(self) -> Self:
        """Return a copy with the data, the cases and the climate runs of the miniature."""
        n_members, duration = CLIMATE
        cases = Cases(per_trajectory=10, n_trajectories=2, spacing=2.0, members=4)
        return replace(super().in_miniature(), cases=cases, n_members=n_members, spin_up=5.0, duration=duration)

    def fresh(self, seed: int) -> Self:
        """Return the task on a fresh draw, with as many members and trajectories of cases as that has."""
        cases = replace(self.cases, n_trajectories=fewer(self.cases.n_trajectories))
        return replace(super().fresh(seed), cases=cases, n_members=fewer(self.n_members))

    def as_run(self, model: Any) -> Closure:
        """Return the closure that is run, which may be an ONNX graph of the model."""
        return as_closure(super().as_run(model))

    def assess(self, model: Any, work: Work) -> Parts:
        """Run the closure's forecasts and climates."""
        return self._parts(self.forecasts(model, work.progress), self.climates(model, work.progress))

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
        return self.cases.truth(self.test.X)

    @cached_property
    def perfect(self) -> Forecasts:
        """Forecasts of the two-scale model with fast variables estimated from the past X: the ceiling."""
        X = self.arrays("perfect")["X"]
        return Forecasts(X, ensemble.crps(self.forecast_truth, X))

    @cached_property
    def without_closure(self) -> tuple[Forecasts, dict[str, ClimateRun]]:
        """Forecasts and climates of the resolved model without a closure: the floor."""
        return self.forecasts(NoClosure(), False), self.climates(NoClosure(), False)

    @cached_property
    def grids(self) -> dict[str, climate.DistanceGrid]:
        """Grids on which distributions are compared, by climate: "" and, where there is one, "_shift"."""
        return {key: climate.DistanceGrid.from_truth(self._truth_run(name), INTERVAL) for key, name in self._names}

    @cached_property
    def truth_climates(self) -> dict[str, tuple[ClimateRun, ClimateRun]]:
        """Two independent samples of the truth for each climate; their distance defines the ceiling."""
        pairs = {}
        for key, name in self._names:
            runs = [self._truth_run(split) for split in (name, f"{name}-twin")]
            alive = np.ones(self.n_members, dtype=bool)
            first, second = (ClimateRun(X, climate.member_cdfs(X, INTERVAL, self.grids[key]), alive) for X in runs)
            pairs[key] = (first, second)
        return pairs

    @property
    def _names(self) -> tuple[tuple[str, str], ...]:
        return _CLIMATES if self.has_shift else _CLIMATES[:1]

    def _truth_run(self, name: str) -> NDArray[np.float64]:
        return self.arrays(name)["X"].swapaxes(0, 1)

    def _limits(self, key: str) -> tuple[float, float]:
        mean, std = self.grids[key].mean[0], self.grids[key].std[0]
        return bounds(mean, std)

    def _rng(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([self.regime.word, self.version, seed_word(f"closure {purpose}")])

    def forecasts(self, model: Any, progress: bool | None = None) -> Forecasts:
        """Return the model's forecasts of all cases; diverged members are continued without closure."""
        closure = self.as_run(model)
        members = 1 if closure.deterministic else self.cases.members
        X0 = np.repeat(self.cases.initial(self.test.X), members, axis=0)
        history = np.repeat(self.cases.history(self.test.X), members, axis=1) if hasattr(closure, "remember") else None
        run = rollout(
            closure,
            X0,
            self.cases.lead + self.cases.interval,
            regime=self.regime,
            interval=self.cases.interval,
            limits=self._limits(""),
            history=history,
            rng=self._rng("forecast"),
            progress=progress,
        )
        X = run.X[1:].reshape(len(self.cases.leads), len(self.cases), members, self.regime.K)
        lost = np.isnan(X)
        if lost.any():
            fallback = self.climatology[0] if isinstance(model, NoClosure) else self.without_closure[0].X
            X = np.where(lost, fallback, X)
        return Forecasts(X, ensemble.crps(self.forecast_truth, X), int((~run.survived).sum()))

    def climates(self, model: Any, progress: bool | None = None) -> dict[str, ClimateRun]:
        """Return the model's climate ("") and, where there is one, its warmer climate ("_shift"), run in one batch."""
        splits = {"": self.test, "_shift": self.shift} if self.has_shift else {"": self.test}
        every = len(self.cases) // self.n_members
        X0 = np.concatenate([self.cases.initial(samples.X)[::every] for samples in splits.values()])
        history = np.concatenate([self.cases.history(samples.X)[:, ::every] for samples in splits.values()], axis=1)
        forcing = [self.regime.F] + ([self.regime.shifted().F] if self.has_shift else [])
        limits = np.repeat(np.array([self._limits(key) for key in splits]).T, self.n_members, axis=1)
        closure = self.as_run(model)
        ledger = _Ledger(closure) if self.regime.coupling == "flux" and not isinstance(closure, Polynomial) else None
        run = rollout(
            ledger or closure,
            X0,
            self.duration,
            regime=self.regime,
            F=np.repeat(forcing, self.n_members),
            interval=INTERVAL,
            spin_up=self.spin_up,
            limits=(limits[0], limits[1]),
            history=history,
            rng=self._rng("climate"),
            progress=progress,
        )
        sources = self._sources(run.X, closure if ledger is None else ledger)
        climates = {}
        for i, key in enumerate(splits):
            part = slice(i * self.n_members, (i + 1) * self.n_members)
            X = self._continued(run.X[:, part], key, isinstance(model, NoClosure))
            cdfs = climate.member_cdfs(X, INTERVAL, self.grids[key])
            own = None if sources is None else sources[:, part]
            climates[key] = ClimateRun(X, cdfs, run.survived[part], own)
        return climates

    def _sources(self, X: NDArray[np.float64], closure: Any) -> NDArray[np.float64] | None:
        """Return mean U over the ring / std of U (time, member), at most 10, NaN once diverged, for flux couplings."""
        if self.regime.coupling != "flux":
            return None
        if isinstance(closure, _Ledger):
            # The run's last sample is where it ends: the closure is not asked there.
            every, first = round(INTERVAL / MODEL_DT), round(self.spin_up / MODEL_DT)
            sources = np.array(closure.sources[first::every])
            X = X[: len(sources)]
        else:
            sources = closure.predict(X).mean(axis=-1)
        scaled = np.clip(np.nan_to_num(sources / float(np.std(self.train.U)), nan=BOUND), -BOUND, BOUND)
        return np.where(np.isnan(X[..., 0]), np.nan, scaled)

    def _continued(self, X: NDArray[np.float64], key: str, is_floor: bool) -> NDArray[np.float64]:
        """Return X with every diverged member continued by the same member of the run without closure."""
        lost = np.isnan(X)
        if not lost.any():
            return X
        fallback = self.climatology[0] if is_floor else self.without_closure[1][key].X
        return np.where(lost, fallback, X)

    def _parts(self, forecasts: Forecasts, climates: dict[str, ClimateRun]) -> Parts:
        none, none_climates = self.without_closure
        cases = self.weights(len(self.cases) // BLOCK, "cases")
        forecast = forecast_part(none, forecasts, self.perfect, self.cases.leads, cases)
        metrics, series = forecast_metrics(self.forecast_truth, forecasts, self.cases.leads, self.climatology, cases)
        metrics["forecast_part"] = value_of(*forecast)
        members, truth_weights, twin_weights = (
            self.weights(self.n_members, purpose) / self.n_members for purpose in ("members", "truth", "twin")
        )
        parts: dict[str, Estimate] = {}
        for key, run in climates.items():
            truth, twin = self.truth_climates[key]
            pairs = ((none_climates[key], members), (run, members), (twin, twin_weights))
            part, replicates, found = climate_part(pairs, (truth, truth_weights), self.grids[key])
            parts[key] = (part, replicates)
            found |= climate_metrics(run, members, (truth, truth_weights), self.grids[key])
            found |= momentum_metrics(run, members)
            metrics |= {f"{name}{key}": value for name, value in found.items()}
            series |= {f"{name}{key}": values for name, values in climate_series(run).items()}
        survived = climates[""].survived
        score, replicates = score_of(forecast, parts[""], (float(survived.mean()), members @ survived))
        left = sum(int((~run.survived).sum()) for run in climates.values())
        n_runs = forecasts.X.shape[1] * forecasts.X.shape[2] + self.n_members * len(climates)
        failures = Failures(diverged=forecasts.diverged + left, of=n_runs, note="forecast and climate members")
        digest = array_digest(np.concatenate([forecasts.X.ravel(), climates[""].X.ravel()]))
        return Parts(score, replicates, METHOD, metrics, failures, digest, series)

    def possible_scores(self, row: Result) -> tuple[float, float]:
        """Return the ends of the scores that the parts and the survival of a row allow."""
        return possible_scores(row.metrics, len(row.model.seeds))

    def aligned(self, row: Result) -> Sequence[Aligned]:
        """Return the CRPS and the forecast part, and the distances and the climate parts, which are linear in them."""
        pairs = [("crps_mean", "forecast_part")]
        pairs += [(f"climate_distance{key}", f"climate_part{key}") for key, _ in self._names]
        return [Aligned(part.replace("_", " "), row.metrics[x].value, row.metrics[part].value) for x, part in pairs]

    @property
    def references(self) -> Mapping[str, Reference]:
        """Reference closures: none (0), perfect physics (100) and a fitted quartic, as in the literature."""
        return MappingProxyType(
            {
                "floor": Reference(_FLOOR, self._evaluate_floor),
                "literature": Reference(LITERATURE, self.evaluate_literature),
                "ceiling": Reference(_CEILING, self._evaluate_ceiling),
            }
        )

    def _evaluate_floor(self) -> Result:
        return self.result(_FLOOR, self._parts(*self.without_closure), self.cost(NoClosure(), None))

    def _evaluate_ceiling(self) -> Result:
        twins = {key: pair[1] for key, pair in self.truth_climates.items()}
        return self.result(_CEILING, self._parts(self.perfect, twins))


class _Ledger:
    """A closure wrapper that records the mean over the ring of every U."""

    def __init__(self, closure: Closure) -> None:
        self.closure, self.deterministic = closure, closure.deterministic
        self.sources: list[NDArray[np.float64]] = []
        if hasattr(closure, "remember"):
            self.remember = closure.remember

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        checked_start(self.closure, n_members, rng)

    def step(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        U = checked_step(self.closure, X)
        with np.errstate(over="ignore", invalid="ignore"):
            self.sources.append(U.mean(axis=1))
        return U


_FLOOR = ModelInfo(name="no closure (reference)", kind="reference", inputs="none", parameters=0, command=COMMAND)
_CEILING = ModelInfo(
    name="perfect physics",
    kind="reference",
    inputs="X and its past",
    command=COMMAND,
    description="The truth model started from the exact X and from fast variables that only the past X explains; its "
    "climate is a second sample of the truth.",
)
