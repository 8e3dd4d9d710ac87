"""`subgrid-forcing`: predict the subgrid forcing U from the resolved state X (offline, a priori)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.data.store import array_digest
from l96bench.dynamics.closures import as_closure, checked_forcing, checked_start, checked_step
from l96bench.errors import ModelError, user_error
from l96bench.graphs.models import as_submitted
from l96bench.metrics import conservation, ensemble, pointwise
from l96bench.progress import progress as show_progress
from l96bench.regimes import seed_word
from l96bench.results.record import Failures, ModelInfo, Result, Value
from l96bench.tasks.base import COMMAND, LITERATURE, Parts, Reference, Samples, Task, value_of

__all__ = ["SubgridForcing", "SubgridForcingMemory"]

_CHUNK = 4000
_MEMBERS = 20
REACH = 10.0
"""Predictions further from the climatological mean than so many standard deviations are cut off there, and counted."""
_METHOD = "block bootstrap over 200 blocks of 10 MTU of the test trajectories, percentile interval"


@dataclass(frozen=True)
class _Prediction:
    """Predicted U in the layout of a split, how many values were unusable, and members of a stochastic model."""

    mean: NDArray[np.float64]
    members: NDArray[np.float64] | None = None
    non_finite: int = 0
    too_far: int = 0


@dataclass(frozen=True)
class SubgridForcing(Task):
    """Offline skill: 100 R² of the predicted U, pooled over times and points, about the training mean.

    A model is an estimator with ``predict``: X ``(n, K)`` -> U ``(n, K)``, a function of that kind, or a closure. The
    rows come in a fixed random order, so that only the instantaneous state can be used. A value that is not finite is
    counted, and scored as the climatological mean; one that is more than 10 climatological standard deviations from the
    mean is counted, and cut off there.
    """

    family: ClassVar[str] = "subgrid-forcing"
    env_id: ClassVar[str | None] = "l96bench/SubgridForcing-v1"
    splits: ClassVar[tuple[str, ...]] = ("train", "test", "shift")
    block: ClassVar[float] = 10.0
    warm_up: ClassVar[float] = 0.0

    @cached_property
    def mean_U(self) -> float:
        """Mean of the training U over times and points: the climatological forecast."""
        return float(np.mean(self.train.U))

    @cached_property
    def std_U(self) -> float:
        """Standard deviation of the training U over times and points."""
        return float(np.std(self.train.U))

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
        """Score a fitted model on the test trajectories; see `Task.evaluate`."""
        runs = as_submitted(model, self.regime.K)
        with show_progress("predicting", 2 if self.has_shift else 1, progress) as report:
            prediction = self._predict(runs, self.test)
            report(1)
            shifted = self._predict(runs, self.shift) if self.has_shift else None
            report(1)
        parts = self._parts(prediction)
        if budgets:
            parts.metrics.update(self._learning_curve(model))
        if shifted is not None:
            parts.metrics.update(self._pooled(self.shift, shifted, "_shift"))
        return self.result(model, info, parts, training_seconds)

    def evaluate_predictions(
        self, U: ArrayLike, U_shift: ArrayLike | None = None, info: ModelInfo | None = None
    ) -> Result:
        """Score predicted U themselves, without a model.

        Parameters
        ----------
        U, U_shift : arrays of the shape of ``task.test.U`` and ``task.shift.U``
            The second is optional; without it there are no shifted metrics.
        info : ModelInfo, optional

        Raises
        ------
        ModelError
            If a shape or dtype is wrong.
        """
        parts = self._parts(self._finished(checked_forcing(U, self.test.U.shape, "predictions of test"), None))
        if U_shift is not None:
            shifted = self._finished(checked_forcing(U_shift, self.shift.U.shape, "predictions of shift"), None)
            parts.metrics.update(self._pooled(self.shift, shifted, "_shift"))
        return self.result(None, info or _PREDICTIONS, parts, None)

    def _parts(self, prediction: _Prediction) -> Parts:
        truth, mean = self._scored(self.test.U), self._scored(prediction.mean)
        sse, sst = self._blocks(truth, mean)
        weights = self.weights(len(sse), "offline")
        replicates = 100.0 * pointwise.r2_replicates(weights, sse, sst)
        metrics = self._pooled(self.test, prediction, "")
        X = self._scored(self.test.X)
        bins = pointwise.block_sums_by_quantile(truth, mean, X, self.mean_U, self._block)
        for name, sums in bins.items():
            key = "r2_quantile_" + "_".join(f"{int(end):02d}" for end in name.rstrip("%").split("-"))
            estimate = 1.0 - float(sums[0].sum() / sums[1].sum())
            metrics[key] = value_of(estimate, pointwise.r2_replicates(weights, *sums))
        failures = Failures(
            non_finite=prediction.non_finite,
            diverged=prediction.too_far,
            of=prediction.mean.size,
            note="values; diverged: more than 10 climatological standard deviations from the mean",
        )
        digest = array_digest(prediction.mean)
        return Parts(100.0 * metrics["r2"].value, replicates, _METHOD, metrics, failures, digest)

    def _pooled(self, samples: Samples, prediction: _Prediction, suffix: str) -> dict[str, Value]:
        """R², RMSE, bias and, for stochastic models, CRPS and spread over skill, with intervals."""
        truth, mean = self._scored(samples.U), self._scored(prediction.mean)
        sse, sst = self._blocks(truth, mean)
        weights = self.weights(len(sse), "offline")
        n_values = truth.size / len(sse)
        errors = (mean - truth).reshape(len(sse), -1).mean(axis=1)
        drawn = weights.sum(axis=1)
        metrics = {
            "r2": value_of(pointwise.r2(truth, mean, self.mean_U), pointwise.r2_replicates(weights, sse, sst)),
            "rmse": value_of(pointwise.rmse(truth, mean), np.sqrt(weights @ sse / (drawn * n_values))),
            "bias": value_of(pointwise.bias(truth, mean), weights @ errors / drawn),
        }
        if prediction.members is not None:
            members = np.moveaxis(prediction.members, 0, 2)[:, self._skipped :]
            crps = ensemble.crps(truth, members)
            blocks = crps.reshape(len(sse), -1).mean(axis=1)
            metrics["crps"] = value_of(float(crps.mean()), weights @ blocks / drawn)
            variance = (_MEMBERS + 1) / _MEMBERS * members.var(axis=2, ddof=1).reshape(len(sse), -1).mean(axis=1)
            error = np.square(members.mean(axis=2) - truth).reshape(len(sse), -1).mean(axis=1)
            ratio = float(np.sqrt(variance.mean() / error.mean()))
            metrics["spread_skill"] = value_of(ratio, np.sqrt((weights @ variance) / (weights @ error)))
        if self.regime.coupling == "flux":
            metrics["conservation_error"] = self._conservation_error(prediction, weights)
        return {name + suffix: value for name, value in metrics.items()}

    def _conservation_error(self, prediction: _Prediction, weights: NDArray[np.float64]) -> Value:
        """Root mean square of mean_k U_k, of the members where there are some, over the standard deviation of U."""
        drawn = prediction.mean[None] if prediction.members is None else prediction.members
        squares = np.square(conservation.momentum_source(drawn[:, :, self._skipped :])).mean(axis=0)
        sums = squares.reshape(weights.shape[1], -1).sum(axis=1) / self.std_U**2
        counts = np.full(len(sums), squares.size / len(sums))
        return value_of(conservation.root_mean_square(sums, counts), conservation.rms_replicates(weights, sums, counts))

    def _learning_curve(self, model: Any) -> dict[str, Value]:
        """R² of clones of the model fitted to less data; nothing for a model that cannot be cloned and fitted."""
        from sklearn.base import BaseEstimator, clone

        if not isinstance(model, BaseEstimator) or not callable(getattr(model, "fit", None)):
            return {}
        curve = {}
        for budget in self.training_budgets:
            smaller = clone(model)
            self.fit(smaller, budget)
            curve[f"r2_budget_{budget:g}"] = self._pooled(self.test, self._predict(smaller, self.test), "")["r2"]
        return curve

    @property
    def _skipped(self) -> int:
        """Samples at the start of every trajectory that are not scored."""
        return round(self.warm_up / self.test.interval)

    def _scored(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values)[:, self._skipped :]

    def _blocks(self, truth: NDArray[np.float64], mean: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
        return pointwise.block_sums(truth, mean, self.mean_U, self._block)

    @property
    def _block(self) -> int:
        """Samples in a block of the bootstrap."""
        return round(self.block / self.test.interval)

    def _predict(self, model: Any, samples: Samples) -> _Prediction:
        """Predictions for every sample of a split, asked for in a fixed random order."""
        rows = samples.X.reshape(-1, self.regime.K)
        order = np.random.default_rng([self.regime.word, self.version, seed_word("order")]).permutation(len(rows))
        mean = np.empty(rows.shape)
        members = None
        rng = np.random.default_rng([self.regime.word, self.version, seed_word("members")])
        for start in range(0, len(rows), _CHUNK):
            chosen = order[start : start + _CHUNK]
            mean[chosen], drawn = predict(model, rows[chosen], rng)
            if drawn is not None:
                members = np.empty((_MEMBERS, *rows.shape)) if members is None else members
                members[:, chosen] = drawn
        return self._finished(mean.reshape(samples.X.shape), members)

    def _finished(self, mean: NDArray[np.float64], members: NDArray[np.float64] | None) -> _Prediction:
        """Count the values whose mean or members are unusable, and put usable ones in their place."""
        reach = REACH * self.std_U
        mean, wrong, far = within_reach(mean, self.mean_U, reach)
        if members is not None:
            members = members.reshape(len(members), *mean.shape)
            members, wrong_member, far_member = within_reach(members, self.mean_U, reach)
            wrong, far = wrong | wrong_member.any(axis=0), far | far_member.any(axis=0)
        return _Prediction(mean, members, int(wrong.sum()), int(far.sum()))

    @property
    def references(self) -> Mapping[str, Reference]:
        """The climatological mean (0), U itself (100) and a fitted quartic, the literature's closure."""
        return MappingProxyType(
            {
                "floor": Reference(_FLOOR, self._evaluate_floor),
                "literature": Reference(LITERATURE, self._evaluate_literature),
                "ceiling": Reference(_CEILING, self._evaluate_ceiling),
            }
        )

    def _evaluate_floor(self) -> Result:
        return self.evaluate(lambda X: np.full_like(X, self.mean_U), _FLOOR)

    def _evaluate_ceiling(self) -> Result:
        parts = self._parts(_Prediction(np.array(self.test.U)))
        if self.has_shift:
            parts.metrics.update(self._pooled(self.shift, _Prediction(np.array(self.shift.U)), "_shift"))
        return self.result(None, _CEILING, parts, None)


_FLOOR = ModelInfo(name="climatological mean of U", kind="reference", inputs="none", parameters=1, command=COMMAND)
_CEILING = ModelInfo(name="U exactly", kind="reference", inputs="U", command=COMMAND)
_PREDICTIONS = ModelInfo(name="predictions", kind="predictions", inputs="unknown", command="l96bench score")


@dataclass(frozen=True)
class SubgridForcingMemory(SubgridForcing):
    """As `SubgridForcing`, for models that also see the past: lags of 0.05 MTU and more.

    ``predict`` gets one whole trajectory ``(time, K)`` in time order and may use every row up to its own; that it uses
    no later one is checked. A closure's ``step`` gets single states in random order, as there. The first 10 MTU of a
    trajectory are not scored.
    """

    family: ClassVar[str] = "subgrid-forcing-memory"
    env_id: ClassVar[str | None] = None
    warm_up: ClassVar[float] = 10.0

    def _predict(self, model: Any, samples: Samples) -> _Prediction:
        if callable(getattr(model, "step", None)) and not callable(getattr(model, "predict", None)):
            return super()._predict(model, samples)
        rng = np.random.default_rng([self.regime.word, self.version, seed_word("members")])
        pairs = [predict(model, np.array(X), rng) for X in samples.X]
        self._check_causal(model, np.array(samples.X[0]), pairs[0][0])
        drawn = [members for _, members in pairs if members is not None]
        members = np.concatenate(drawn, axis=1) if drawn else None
        return self._finished(np.stack([mean for mean, _ in pairs]), members)

    def _check_causal(self, model: Any, X: NDArray[np.float64], mean: NDArray[np.float64]) -> None:
        """Raise if predictions change when the future is taken away."""
        for n in (len(X) // 3, len(X) // 2 + 1):
            again = predict(model, X[:n].copy(), np.random.default_rng(0))[0]
            if not np.allclose(again, mean[:n], rtol=1e-4, atol=1e-4, equal_nan=True):
                change = np.nanmax(np.abs(again - mean[:n]))
                raise ModelError(
                    f"{type(model).__name__}.predict uses the future: expected the first {n} predictions "
                    f"of a trajectory to stay when its rest is taken away, but they changed by up to {change:.3g}"
                )


def within_reach(
    values: NDArray[np.float64], mean: float, reach: float
) -> tuple[NDArray[np.float64], NDArray, NDArray]:
    """Predictions with the mean for what is not finite, and cut off where they are too far from it; and where."""
    wrong = ~np.isfinite(values)
    usable = np.where(wrong, mean, values)
    return np.clip(usable, mean - reach, mean + reach), wrong, np.abs(usable - mean) > reach


def predict(
    model: Any, X: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """A model's U (n, K) for the states X (n, K), and 20 draws (member, n, K) when it is stochastic.

    Raises
    ------
    ModelError
        If the model cannot be used (see `l96bench.dynamics.closures`).
    """
    name = type(model).__name__
    closure = as_closure(model)
    if not callable(getattr(model, "predict", None)):
        draws = []
        for _ in range(1 if closure.deterministic else _MEMBERS):
            checked_start(closure, len(X), rng)
            draws.append(checked_step(closure, X))
        return np.mean(draws, axis=0), None if len(draws) == 1 else np.stack(draws)
    try:
        mean = checked_forcing(model.predict(X.copy()), X.shape, f"{name}.predict")
        sampler = getattr(model, "sample", None)
        drawn = sampler(X.copy(), _MEMBERS, rng) if callable(sampler) else None
    except ModelError:
        raise
    except Exception as error:
        raise user_error(f"{name}.predict", error, f" for X of shape {X.shape}") from error
    return mean, None if drawn is None else checked_forcing(drawn, (_MEMBERS, *X.shape), f"{name}.sample")
