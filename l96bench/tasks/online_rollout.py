"""`online-rollout`: couple the closure to the resolved model and ask for its forecasts, its climate, its stability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l96bench.data.splits import CASES, Cases
from l96bench.data.store import array_digest
from l96bench.dynamics.closures import as_closure
from l96bench.dynamics.polynomial import NoClosure
from l96bench.dynamics.resolved import rollout
from l96bench.metrics import climate, ensemble
from l96bench.metrics.uncertainty import recentre, wilson
from l96bench.regimes import seed_word
from l96bench.tasks.base import COMMAND, LEVEL, LITERATURE, Parts, Reference, Task, value_of
from l96bench.tasks.result import Failures, ModelInfo, Result, Value

__all__ = ["ClimateRun", "Forecasts", "OnlineRollout"]

_INTERVAL = 0.05
_SCORED_LEAD = 2.0
_BLOCK = 5
"""Consecutive cases in a block: 19.5 MTU of one test trajectory."""
_CLIMATES = (("", "climate"), ("_shift", "climate-shift"))
_METHOD = (
    "paired bootstrap: forecasts over 100 blocks of 5 consecutive cases, climate and survival over 50 members of model "
    "and truth; parts recentred on their estimates; percentile interval"
)


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of all cases, and their CRPS.

    Attributes
    ----------
    X : (lead, case, member, K) array
    crps : (lead, case) array
    diverged : int
        Members that left the attractor and were continued by the forecast without closure.
    """

    X: NDArray[np.float64]
    crps: NDArray[np.float64]
    diverged: int = 0


@dataclass(frozen=True)
class ClimateRun:
    """A long free run and its distributions.

    Attributes
    ----------
    X : (time, member, K) array
    cdfs : (member, 3, cells) array
        Distribution functions of the three quantities (`l96bench.metrics.climate`).
    survived : (member,) array of bool
    """

    X: NDArray[np.float64]
    cdfs: NDArray[np.float64]
    survived: NDArray[np.bool_]


@dataclass(frozen=True)
class OnlineRollout(Task):
    """Online skill: ``100 * survival * (forecast + climate) / 2``, both parts capped at 1 and floored at 0.

    A model is whatever `l96bench.as_closure` takes. *Forecast*: 500 cases, leads to 3 MTU, one member for deterministic
    closures and 20 for others; the part is ``(C_none - C) / (C_none - C_perfect)``, C being the CRPS averaged over
    leads up to 2 MTU. *Climate*: 50 members, 100 MTU of spin-up, then 200 MTU; the part is
    ``(D_none - D) / (D_none - D_truth)``, D being the mean of three 1-Wasserstein distances. *Survival*: the fraction
    of those members that stay finite and within 10 climatological standard deviations of the mean. A member that leaves
    is continued by the run without closure.

    Attributes
    ----------
    cases : Cases
        The initial conditions of the forecasts.
    n_members : int
        Members of a climate run.
    spin_up, duration : float
        MTU of a climate run before it is sampled, and sampled.
    """

    family: ClassVar[str] = "online-rollout"
    splits: ClassVar[tuple[str, ...]] = (
        *("train", "test", "shift", "perfect"),
        *("climate", "climate-twin", "climate-shift", "climate-shift-twin"),
    )
    cases: ClassVar[Cases] = CASES
    n_members: ClassVar[int] = 50
    spin_up: ClassVar[float] = 100.0
    duration: ClassVar[float] = 200.0

    def evaluate(
        self,
        model: Any,
        info: ModelInfo | None = None,
        *,
        budgets: bool = False,
        training_seconds: float | None = None,
        progress: bool | None = None,
    ) -> Result:
        """Score a fitted model online; see `Task.evaluate`."""
        parts = self._parts(self._forecasts(model, progress), self._climates(model, progress))
        return self.result(model, info, parts, training_seconds)

    # The truth, and what stands at 0 and 100.

    @cached_property
    def climatology(self) -> tuple[float, float]:
        """Mean and standard deviation of the training X over times and points."""
        return float(np.mean(self.train.X)), float(np.std(self.train.X))

    @cached_property
    def forecast_truth(self) -> NDArray[np.float64]:
        """What came after each case, (lead, case, K)."""
        return self.cases.truth(self.test.X)

    @cached_property
    def perfect(self) -> Forecasts:
        """Forecasts of the truth model with fast variables that only the past X explains: the ceiling."""
        X = self._arrays("perfect")["X"]
        return Forecasts(X, ensemble.crps(self.forecast_truth, X))

    @cached_property
    def without_closure(self) -> tuple[Forecasts, dict[str, ClimateRun]]:
        """Forecasts and climates of the resolved model without a closure: the floor."""
        return self._forecasts(NoClosure(), False), self._climates(NoClosure(), False)

    @cached_property
    def grids(self) -> dict[str, climate.DistanceGrid]:
        """The cells on which distributions are compared, by climate: "" and, where there is one, "_shift"."""
        return {key: climate.DistanceGrid.from_truth(self._truth_run(name), _INTERVAL) for key, name in self._names}

    @cached_property
    def truth_climates(self) -> dict[str, tuple[ClimateRun, ClimateRun]]:
        """Two independent samples of the truth for each climate; the distance between them is the ceiling's."""
        pairs = {}
        for key, name in self._names:
            runs = [self._truth_run(split) for split in (name, f"{name}-twin")]
            alive = np.ones(self.n_members, dtype=bool)
            first, second = (ClimateRun(X, climate.member_cdfs(X, _INTERVAL, self.grids[key]), alive) for X in runs)
            pairs[key] = (first, second)
        return pairs

    @property
    def _names(self) -> tuple[tuple[str, str], ...]:
        return _CLIMATES if self.has_shift else _CLIMATES[:1]

    def _truth_run(self, name: str) -> NDArray[np.float64]:
        return self._arrays(name)["X"].swapaxes(0, 1)

    # Running a model.

    def _limits(self, key: str) -> tuple[float, float]:
        mean, std = self.grids[key].mean[0], self.grids[key].std[0]
        return mean - 10.0 * std, mean + 10.0 * std

    def _rng(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([self.regime.word, self.version, seed_word(f"closure {purpose}")])

    def _forecasts(self, model: Any, progress: bool | None) -> Forecasts:
        closure = as_closure(model)
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

    def _climates(self, model: Any, progress: bool | None) -> dict[str, ClimateRun]:
        """The model's climate and its warmer climate, in one batch."""
        splits = {"": self.test, "_shift": self.shift} if self.has_shift else {"": self.test}
        every = len(self.cases) // self.n_members
        X0 = np.concatenate([self.cases.initial(samples.X)[::every] for samples in splits.values()])
        history = np.concatenate([self.cases.history(samples.X)[:, ::every] for samples in splits.values()], axis=1)
        forcing = [self.regime.F] + ([self.regime.shifted().F] if self.has_shift else [])
        limits = np.repeat(np.array([self._limits(key) for key in splits]).T, self.n_members, axis=1)
        run = rollout(
            model,
            X0,
            self.duration,
            regime=self.regime,
            F=np.repeat(forcing, self.n_members),
            interval=_INTERVAL,
            spin_up=self.spin_up,
            limits=(limits[0], limits[1]),
            history=history,
            rng=self._rng("climate"),
            progress=progress,
        )
        climates = {}
        for i, key in enumerate(splits):
            part = slice(i * self.n_members, (i + 1) * self.n_members)
            X = self._continued(run.X[:, part], key, isinstance(model, NoClosure))
            cdfs = climate.member_cdfs(X, _INTERVAL, self.grids[key])
            climates[key] = ClimateRun(X, cdfs, run.survived[part])
        return climates

    def _continued(self, X: NDArray[np.float64], key: str, is_floor: bool) -> NDArray[np.float64]:
        """X with every member that left continued by the same member without closure."""
        lost = np.isnan(X)
        if not lost.any():
            return X
        fallback = self.climatology[0] if is_floor else self.without_closure[1][key].X
        return np.where(lost, fallback, X)

    # Scoring.

    def _parts(self, forecasts: Forecasts, climates: dict[str, ClimateRun]) -> Parts:
        forecast, forecast_replicates = self._forecast_part(forecasts)
        metrics = {"forecast_part": value_of(forecast, forecast_replicates)}
        part, part_replicates = 0.0, np.zeros(1)
        for key, run in reversed(climates.items()):
            part, part_replicates, distances = self._climate_part(run, key)
            metrics |= {f"{name}{key}": value for name, value in distances.items()}
            metrics |= {f"{name}{key}": value for name, value in self._climate_metrics(run, key).items()}
        survived = climates[""].survived
        survival = float(survived.mean())
        weights = self.weights(self.n_members, "members")
        survival_replicates = weights @ survived / weights.sum(axis=1)
        replicates = 50.0 * survival_replicates * (_capped(forecast_replicates) + _capped(part_replicates))
        score = 50.0 * survival * float(_capped(forecast) + _capped(part))
        skill, curves = self._forecast_metrics(forecasts)
        left = sum(int((~run.survived).sum()) for run in climates.values())
        n_runs = forecasts.X.shape[1] * forecasts.X.shape[2] + self.n_members * len(climates)
        failures = Failures(diverged=forecasts.diverged + left, of=n_runs, note="forecast and climate members")
        digest = array_digest(np.concatenate([forecasts.X.ravel(), climates[""].X.ravel()]))
        series = curves | self._climate_series(climates[""])
        replicates = np.clip(recentre(replicates, score), 0.0, 100.0)
        return Parts(score, replicates, _METHOD, metrics | skill, failures, digest, series)

    def _forecast_part(self, forecasts: Forecasts) -> tuple[float, NDArray[np.float64]]:
        """``(C_none - C) / (C_none - C_perfect)`` and its replicates."""
        leads = self.cases.leads <= _SCORED_LEAD + 1e-9
        weights = self.weights(len(self.cases) // _BLOCK, "cases")
        none = self.without_closure[0]
        blocks = [
            each.crps[leads].mean(axis=0).reshape(-1, _BLOCK).mean(axis=1) for each in (none, forecasts, self.perfect)
        ]
        part = _fraction(*(block.mean() for block in blocks))
        replicates = _fraction(*(weights @ block / weights.sum(axis=1) for block in blocks))
        return float(part), recentre(replicates, float(part))

    def _climate_part(self, run: ClimateRun, key: str) -> tuple[float, NDArray[np.float64], dict[str, Value]]:
        """``(D_none - D) / (D_none - D_truth)`` with its replicates, and the distances behind it."""
        grid = self.grids[key]
        truth, twin = self.truth_climates[key]
        none = self.without_closure[1][key]
        member_weights, truth_weights, twin_weights = (
            self.weights(self.n_members, purpose) / self.n_members for purpose in ("members", "truth", "twin")
        )
        resampled_truth = _pooled(truth_weights, truth.cdfs)
        estimates, replicates = [], []
        for each, weights in ((none, member_weights), (run, member_weights), (twin, twin_weights)):
            distances = climate.wasserstein(each.cdfs.mean(axis=0), truth.cdfs.mean(axis=0), grid)
            resampled = climate.wasserstein(_pooled(weights, each.cdfs), resampled_truth, grid)
            estimates.append(distances)
            replicates.append(resampled)
        part = float(_fraction(*(distances.mean() for distances in estimates)))
        part_replicates = recentre(_fraction(*(each.mean(axis=1) for each in replicates)), part)
        own, own_replicates = estimates[1], replicates[1]
        metrics = {"climate_part": value_of(part, part_replicates)}
        distance = float(own.mean())
        metrics["climate_distance"] = value_of(distance, recentre(own_replicates.mean(axis=1), distance))
        for i, name in enumerate(climate.QUANTITIES):
            metrics[f"distance_{name}"] = value_of(float(own[i]), recentre(own_replicates[:, i], float(own[i])))
        return part, part_replicates, metrics

    def _climate_metrics(self, run: ClimateRun, key: str) -> dict[str, Value]:
        """Survival with Wilson's interval, moments, extremes, and the error of the autocorrelation."""
        n = int(run.survived.sum())
        low, high = wilson(n, self.n_members, LEVEL)
        moments = climate.moments(run.X)
        lag = self._autocorrelation(run.X) - self._autocorrelation(self.truth_climates[key][0].X)
        return {
            "survival": Value(value=n / self.n_members, low=low, high=high),
            "mean": Value(value=moments.mean),
            "std": Value(value=moments.std),
            "p001": Value(value=moments.percentile_0_1),
            "p999": Value(value=moments.percentile_99_9),
            "autocorrelation_error": Value(value=float(np.sqrt(np.mean(lag**2)))),
        }

    @staticmethod
    def _autocorrelation(X: NDArray[np.float64]) -> NDArray[np.float64]:
        return climate.autocorrelation(X, _INTERVAL)[1]

    def _climate_series(self, run: ClimateRun) -> dict[str, NDArray[np.float64]]:
        """Autocorrelation every 0.5 MTU and the spectrum up to 2 cycles per MTU."""
        frequency, power = climate.spectrum(run.X, _INTERVAL, segment=10.0)
        kept = frequency <= 2.0
        return {
            "autocorrelation": self._autocorrelation(run.X)[::10],
            "spectrum_frequency": frequency[kept],
            "spectrum": power[kept],
        }

    def _forecast_metrics(self, forecasts: Forecasts) -> tuple[dict[str, Value], dict[str, NDArray[np.float64]]]:
        """Skill at 1 MTU and valid prediction time with intervals, and curves by lead."""
        mean, std = self.climatology
        weights = self.weights(len(self.cases) // _BLOCK, "cases")
        weights = weights / weights.sum(axis=1, keepdims=True)
        truth = self.forecast_truth
        squared = np.square(forecasts.X.mean(axis=2) - truth).mean(axis=2)
        rmse_replicates = np.sqrt(squared.reshape(len(squared), -1, _BLOCK).mean(axis=2) @ weights.T)
        crps_blocks = forecasts.crps.reshape(len(squared), -1, _BLOCK).mean(axis=2)
        rmse = ensemble.rmse_by_lead(truth, forecasts.X)
        crps = forecasts.crps.mean(axis=1)
        spread = ensemble.spread_by_lead(forecasts.X)
        correlation = ensemble.anomaly_correlation_by_lead(truth, forecasts.X, mean)
        one = int(np.argmin(np.abs(self.cases.leads - 1.0)))
        scored = self.cases.leads <= _SCORED_LEAD + 1e-9
        valid = ensemble.valid_prediction_time(rmse, self.cases.leads, std)
        valid_replicates = np.array(
            [ensemble.valid_prediction_time(curve, self.cases.leads, std) for curve in rmse_replicates.T]
        )
        metrics = {
            "crps_mean": value_of(float(crps[scored].mean()), weights @ crps_blocks[scored].mean(axis=0)),
            "crps_1": value_of(float(crps[one]), weights @ crps_blocks[one]),
            "rmse_1": value_of(float(rmse[one]), rmse_replicates[one]),
            "rmse_over_std_1": value_of(float(rmse[one]) / std, rmse_replicates[one] / std),
            "spread_1": Value(value=float(spread[one])),
            "anomaly_correlation_1": Value(value=float(correlation[one])),
            "valid_prediction_time": value_of(valid, valid_replicates),
        }
        curves = {
            "lead": self.cases.leads,
            "crps_by_lead": crps,
            "rmse_by_lead": rmse,
            "spread_by_lead": spread,
            "anomaly_correlation_by_lead": correlation,
        }
        return metrics, curves

    @property
    def references(self) -> Mapping[str, Reference]:
        """No closure (0), perfect physics (100) and a fitted quartic, the literature's closure."""
        return MappingProxyType(
            {
                "floor": Reference(_FLOOR, self._evaluate_floor),
                "literature": Reference(LITERATURE, self._evaluate_literature),
                "ceiling": Reference(_CEILING, self._evaluate_ceiling),
            }
        )

    def _evaluate_floor(self) -> Result:
        return self.result(NoClosure(), _FLOOR, self._parts(*self.without_closure), None)

    def _evaluate_ceiling(self) -> Result:
        twins = {key: pair[1] for key, pair in self.truth_climates.items()}
        return self.result(None, _CEILING, self._parts(self.perfect, twins), None)


def _fraction(none: Any, own: Any, best: Any) -> Any:
    """How much of the way from the floor to the ceiling."""
    return (none - own) / (none - best)


def _capped(part: Any) -> Any:
    return np.clip(part, 0.0, 1.0)


def _pooled(weights: NDArray[np.float64], cdfs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means over members: (replicate, member) and (member, 3, cells) -> (replicate, 3, cells)."""
    return (weights @ cdfs.reshape(len(cdfs), -1)).reshape(len(weights), *cdfs.shape[1:])


_FLOOR = ModelInfo(name="no closure (reference)", kind="reference", inputs="none", parameters=0, command=COMMAND)
_CEILING = ModelInfo(
    name="perfect physics",
    kind="reference",
    inputs="X and its past",
    command=COMMAND,
    description="The truth model started from the exact X and from fast variables that only the past X explains; its "
    "climate is a second sample of the truth.",
)
