"""The online test of one system of `unseen-physics`, the closures of models for it, and means over the systems."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import MODEL_DT, Closure, name_of
from l96bench.dynamics.truth import put_out_of_reach
from l96bench.errors import ModelError, user_error
from l96bench.graphs.onnx_file import given_parameters
from l96bench.metrics import climate
from l96bench.metrics.uncertainty import recentre
from l96bench.regimes import Regime
from l96bench.results.record import Failures
from l96bench.results.score import Value
from l96bench.tasks.artifacts import ONNX, Content
from l96bench.tasks.closure_task import Samples
from l96bench.tasks.online_rollout import CLIMATES, OnlineRollout
from l96bench.tasks.online_runs import INTERVAL, Runner, Starts
from l96bench.tasks.parts import Parts, Work

__all__ = ["PAST", "PAST_ERROR", "SystemClosures", "SystemRollout", "for_system", "mean_over_systems"]

Arrays = dict[str, NDArray[np.float64]]
PAST, PAST_ERROR = 10.0, 1.0
"""MTU of the past observations that a closure is given, and the standard deviation of their errors."""


@dataclass(frozen=True)
class SystemRollout(OnlineRollout):
    """`OnlineRollout` of one system that no model was trained on: a closure is given observations of the past.

    Parameters
    ----------
    system : Regime
    read : function
        From the name of a split to the system's arrays; for ``"train"``, X and U (time, K) of all training systems.
    """

    system: Regime = field(default=None)  # type: ignore[assignment]
    read: Callable[[str], Arrays] = field(default=None, compare=False)  # type: ignore[assignment]

    @property
    def regime(self) -> Regime:
        """The system."""
        return self.system

    @cached_property
    def _held(self) -> dict[str, Arrays]:
        return {}

    def arrays(self, split: str, progress: bool | None = None) -> Arrays:
        """Return the system's arrays of a split, which are then held."""
        if split not in self._held:
            self._held[split] = self.read(split)
        return self._held[split]

    def hold(self) -> None:
        """Read all data, and make the references, so that no truth is needed any more."""
        for name in self.splits:
            self.arrays(name)
        _ = self.forecast_truth, self.perfect, self.without_closure, self.truth_climates, self.waves, self.recall

    @cached_property
    def train(self) -> Samples:
        """X and U (time, K) of all training systems, one after the other."""
        arrays = self.arrays("train")
        return Samples(arrays["X"], arrays["U"], INTERVAL)

    @cached_property
    def climatology(self) -> tuple[float, float]:
        """Mean and standard deviation of the system's X over times and points."""
        X = self.arrays("climate-twin")["X"]
        return float(np.mean(X)), float(np.std(X))

    @cached_property
    def recall(self) -> climate.Recall:
        """The training data of all systems, and the truth's distance from them."""
        return climate.Recall(self.train.X, self.truth_climates[""][1].X)

    def runner(self, progress: bool | None = None) -> Runner:
        """Return what runs the batches, and gives every past with errors."""
        return Runner(self.regime, progress, PAST_ERROR)

    def starts(self, key: str = "") -> Starts:
        """Return the states, observed pasts, forcing and limits of all cases of a climate."""
        found = super().starts(key)
        cases = replace(self.cases, memory=min(PAST, self.cases.first))
        past = self.runner().observed(cases.history(self.arrays(CLIMATES[key])["X"]), len(key))
        return replace(found, past=past)


def mean_over_systems(parts: Sequence[Parts], weights: NDArray[np.float64]) -> Parts:
    """Return the mean of the results of systems; `weights` (replicate, system) are how often each draws a system."""
    n = len(parts)
    score = math.fsum(each.score for each in parts) / n
    drawn = np.einsum("bi,ib->b", weights, [each.replicates for each in parts]) / n
    keys = [key for key in parts[0].metrics if all(key in each.metrics for each in parts)]
    metrics = {key: _mean([each.metrics[key] for each in parts], key == "restart") for key in keys}
    curves = [name for name in parts[0].series if name == "lead" or name.endswith("_by_lead")]
    series = {name: np.mean([each.series[name] for each in parts], axis=0) for name in curves}
    series["system"] = np.arange(1.0, n + 1.0)
    series["system_score"] = np.array([each.score for each in parts])
    for name in ("forecast_part", "climate_part", "climate_part_shift"):
        series[f"system_{name}"] = np.array([each.metrics[name].value for each in parts])
    failures = Failures(
        diverged=sum(each.failures.diverged for each in parts),
        of=sum(each.failures.of for each in parts),
        note=parts[0].failures.note,
    )
    digest = hashlib.sha256("\n".join(each.digest for each in parts).encode()).hexdigest()
    method = f"{parts[0].method}; mean over systems, which are resampled, too"
    return Parts(score, np.clip(recentre(drawn, score), 0.0, 100.0), method, metrics, failures, digest, series)


def _mean(values: Sequence[Value], largest: bool) -> Value:
    """Return the mean of values of independent systems, or the largest of them."""
    if largest:
        return max(values, key=lambda each: each.value)
    n, mean = len(values), math.fsum(each.value for each in values) / len(values)
    gaps = [(v.value - v.low, v.high - v.value) for v in values if v.low is not None and v.high is not None]
    if len(gaps) < n:
        return Value(value=mean)
    below, above = (math.hypot(*each) / n for each in zip(*gaps, strict=True))
    return Value(value=mean, low=mean - below, high=mean + above)


@dataclass(frozen=True, slots=True, eq=False)
class SystemClosures:
    """A model as the maker of a closure for each system: an informed one is told the system's h and c.

    `is_file` are those in files, whose code is not the user's.
    """

    model: Any
    is_file: bool = False

    @property
    def informed(self) -> bool:
        """Whether the model is told h and c: ``closure`` takes a regime."""
        make = getattr(self.model, "closure", None)
        try:
            return callable(make) and "regime" in inspect.signature(make).parameters
        except ValueError:  # written in another language
            return False

    def closure(self, system: Regime) -> Any:
        """Return the model or closure for a system, whose id an informed model is not told."""
        if not self.informed:
            return self.model
        try:
            return self.model.closure(MODEL_DT, regime=replace(system, id="unseen"))
        except ModelError:
            raise
        except Exception as error:
            raise user_error(f"{name_of(self.model)}.closure(dt, regime)", error) from error


def for_system(content: Content, system: Regime) -> Content:
    """Return the content of a file with the system's h and c in the place of an input ``parameters``."""
    if content.kind != ONNX:
        return content
    data = given_parameters(content.value, (system.h, system.c), content.name)
    return content if data is content.value else replace(content, value=data)


@dataclass(frozen=True, slots=True, eq=False)
class FileModel:
    """The informed model in a file: `test` reads the closure of each system."""

    content: Content
    test: SystemRollout

    def closure(self, dt: float, regime: Regime) -> Closure:
        """Return the closure of a system."""
        return self.test.read_closure(for_system(self.content, regime))


def assess_each(model: SystemClosures, tests: Sequence[SystemRollout]) -> list[Parts]:
    """Return the results of a model's closures on systems."""
    return [test.assess(test.as_run(model.closure(test.system)), Work(progress=False)) for test in tests]


def assess_out_of_reach(work: tuple[SystemClosures, Sequence[SystemRollout]]) -> list[Parts] | Exception:
    """Score a model on systems, where the truth is out of reach once all data are there; return an error."""
    model, tests = work
    for test in tests:
        test.hold()
    put_out_of_reach()
    try:
        return assess_each(model, tests)
    except ModelError as error:
        return error
