"""Free forecasts and climate runs of a model corrected by learned increments, without assimilation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.archive import SPIN_UP
from l96bench.dynamics.closures import as_closure
from l96bench.dynamics.polynomial import NoClosure
from l96bench.dynamics.resolved import rollout
from l96bench.metrics import climate
from l96bench.metrics.bounds import bounds
from l96bench.metrics.uncertainty import recentre
from l96bench.regimes import Regime
from l96bench.results.score import Value
from l96bench.tasks.parts import value_of

__all__ = ["FreeRuns"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FreeRuns:
    """Free forecasts over 1 MTU and a climate run of the resolved model under a closure, compared with the truth.

    Forecasts start from `truth` (segment, time, K), sampled every `window` MTU; the climate is sampled for `duration`
    MTU after `spin_up` and compared with `climate_truth` (time, 1, K).
    """

    regime: Regime
    window: float
    truth: Array
    climate_truth: Array
    spin_up: float
    duration: float
    weights: Callable[[int, str], Array]

    def metrics(self, closure: Any) -> dict[str, Value]:
        """Return the RMSE after 1 MTU and the climate distance, with intervals."""
        ends = self.truth[:, SPIN_UP + self._steps :: 20].reshape(-1, self.regime.K)
        forecast, run = self._runs(closure)
        if np.isnan(forecast).any() or np.isnan(run).any():
            # As in `online-rollout`, what leaves the attractor goes on as the run without closure.
            none = self._without_closure
            forecast, run = np.where(np.isnan(forecast), none[0], forecast), np.where(np.isnan(run), none[1], run)
        error = np.square(forecast - ends).mean(axis=1)
        weights = self.weights(len(error), "forecasts") / len(error)
        reference = climate.member_cdfs(self.climate_truth, self.window, self._grid).mean(axis=0)
        cdfs = climate.member_cdfs(run, self.window, self._grid)
        distance = float(climate.climate_distance(cdfs.mean(axis=0), reference, self._grid))
        members = self.weights(len(cdfs), "members") / len(cdfs)
        pooled = (members @ cdfs.reshape(len(cdfs), -1)).reshape(-1, *cdfs.shape[1:])
        distances = climate.climate_distance(pooled, reference, self._grid)
        return {
            "free_rmse_1": value_of(float(np.sqrt(error.mean())), np.sqrt(weights @ error)),
            "climate_distance": value_of(distance, recentre(distances, distance)),
        }

    def _runs(self, closure: Any) -> tuple[Array, Array]:
        """Return X after 1 MTU from true states (case, K), and a climate run (time, member, K)."""
        starts = self.truth[:, SPIN_UP : -self._steps : 20].reshape(-1, self.regime.K)
        options: dict[str, Any] = {"regime": self.regime, "interval": self.window, "progress": False}
        options["limits"] = bounds(self._grid.mean[0], self._grid.std[0])
        closure = as_closure(closure)
        forecast = rollout(closure, starts, (self._steps + 1) * self.window, **options).X[-1]
        members = self.truth[:, SPIN_UP::200][:, :2].reshape(-1, self.regime.K)
        return forecast, rollout(closure, members, self.duration, spin_up=self.spin_up, **options).X

    @cached_property
    def _without_closure(self) -> tuple[Array, Array]:
        """Return `_runs` without closure, replaced by the climatological mean where even that diverges."""
        forecast, run = (np.nan_to_num(X, nan=self._grid.mean[0]) for X in self._runs(NoClosure()))
        return forecast, run

    @property
    def _steps(self) -> int:
        return round(1.0 / self.window)

    @cached_property
    def _grid(self) -> climate.DistanceGrid:
        return climate.DistanceGrid.from_truth(self.climate_truth, self.window)
