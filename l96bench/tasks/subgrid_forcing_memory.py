"""The family `subgrid-forcing-memory`: U from the resolved state and its past."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from l96bench.dynamics.predictions import (
    FreshCopy,
    check_causal,
    check_same,
    mean_alone,
    predict,
    predict_along,
)
from l96bench.dynamics.steps import SteppedClosure
from l96bench.tasks.closure_task import Samples
from l96bench.tasks.subgrid_forcing import Prediction, SubgridForcing

if TYPE_CHECKING:
    import gymnasium

__all__ = ["SubgridForcingMemory"]


@dataclass(frozen=True)
class SubgridForcingMemory(SubgridForcing):
    """Offline skill as in `SubgridForcing`, for models that also see the past: lags of 0.05 MTU and more.

    ``predict`` of an estimator that has ``closure(dt)`` gets one whole trajectory ``(time, K)`` in time order and may
    use every row up to its own, as its closure does, which is given one state after another. All other models have no
    memory, and get single states in random order. The first 10 MTU of a trajectory are not scored.

    Parameters
    ----------
    regime_id : str
        The regime whose data are used.
    version : int
        Raised by every change that moves a score.
    training_budgets : tuple of float
        As for `SubgridForcing`.
    source : Source, optional
        Where the data come from; the registered data sets by default.

    Examples
    --------
    >>> import onnx
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing-memory/wilks-f20-v1").miniature()
    >>> lagged = l96bench.LocalRegressor(lags=(0.05,)).fit(task.train.X, task.train.U)
    >>> 0.0 < task.score(lagged) < 100.0
    True
    """

    family: ClassVar[str] = "subgrid-forcing-memory"
    title: ClassVar[str] = "Subgrid forcing with memory"
    question: ClassVar[str] = (
        "Predict the subgrid forcing U from the resolved state X and its past. "
        "0 points: the climatological mean of U. 100 points: U exactly."
    )
    miniature_budgets: ClassVar[tuple[float, ...]] = (10.0,)
    warm_up: ClassVar[float] = 10.0

    def make_env(self, num_envs: int | None = None, **options: Any) -> gymnasium.Env | gymnasium.vector.VectorEnv:
        """Return the environment of `subgrid-forcing` that shows the past 0.5 MTU, by default; see `Task.make_env`."""
        return super().make_env(num_envs, **{"past": 10, **options})

    def _predict(self, model: Any, samples: Samples, copy: FreshCopy | None = None) -> Prediction:
        if isinstance(model, SteppedClosure) and model.form.has_memory:
            return self._finished(*predict_along(model, samples.X, self._members_rng()))
        if not callable(getattr(model, "closure", None)) or not callable(getattr(model, "predict", None)):
            return super()._predict(model, samples, copy)
        rng = self._members_rng()
        pairs = [predict(model, np.array(X), rng) for X in samples.X]
        mean = np.stack([each for each, _ in pairs])
        if copy is not None and samples is self.test:
            check_same(copy.name, mean[-1], copy.ask(mean_alone, np.array(samples.X[-1])))
            ask = partial(check_causal, truth=np.array(samples.U), mean=mean, skipped=self._skipped)
            copy.ask(partial(ask, interval=samples.interval), np.array(samples.X))
        drawn = [members for _, members in pairs if members is not None]
        members = np.concatenate(drawn, axis=1) if drawn else None
        return self._finished(mean, members)
