"""Aggregation of the scores of all problems of `equation-recovery` into a score, metrics and curves with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from l96bench.data.instances import Instance, RecoveryTrack
from l96bench.results.record import Failures
from l96bench.results.score import STRETCHED, Value
from l96bench.tasks.parts import Parts, value_of
from l96bench.tasks.recovery_problems import percent
from l96bench.tasks.recovery_scores import CAP, METRICS, Scores

__all__ = ["bounds", "summarize"]

Array = NDArray[np.float64]
_BY_COUPLING = ("score", "f1", "operator_residual", "effective_residual")
"""Metrics also reported by strength of a hidden coupling."""
_CURVES: dict[str, Callable[..., Array]] = {
    "f1": np.mean,
    "operator_residual": np.mean,
    "coefficient_error": np.median,
    "valid_prediction_time": np.mean,
}
"""Metrics also reported as curves over budgets, for each noise."""
_LARGEST = {
    "score": 100.0,
    **dict.fromkeys(("precision", "recall", "f1", "failed"), 1.0),
    **dict.fromkeys(("coefficient_error", "operator_residual", "effective_residual"), CAP),
}


def bounds(name: str) -> tuple[float, float]:
    """Return the smallest and the largest value that a metric can have."""
    return 0.0, _LARGEST.get(name, inf)


def summarize(
    scores: Sequence[Scores],
    track: RecoveryTrack,
    instances: Sequence[Instance],
    weights: Callable[[int, str], Array],
    digest: str,
) -> Parts:
    """Return the parts of a result from the scores of every instance, noise and budget, in this order of loops.

    The instances are the blocks of the bootstrap; `weights(n_blocks, purpose)` is (replicate, block).
    """
    shape = (len(instances), len(track.noises), len(track.budgets))
    grids = {name: np.array([getattr(each, name) for each in scores]).reshape(shape) for name in ("score", *METRICS)}
    drawn = weights(len(instances), "instances")
    metrics = {name: _mean(name, grids[name], drawn) for name in METRICS}
    metrics["coefficient_error"] = _median(grids["coefficient_error"], drawn)
    for i, noise in enumerate(track.noises):
        for name in ("score", "f1"):
            metrics[f"{name}_noise_{percent(noise)}"] = _mean(name, grids[name][:, i], drawn)
    for i, budget in enumerate(track.budgets):
        metrics[f"score_budget_{budget:g}"] = _mean("score", grids["score"][:, :, i], drawn)
    if track.hidden:
        strengths = np.array([instance.textbook.hx for instance in instances])
        for h in np.unique(strengths):
            key, own = f"h_{h:g}".replace(".", "_"), strengths == h
            drawn_own = weights(int(own.sum()), f"instances {key}")
            metrics |= {f"{name}_{key}": _mean(name, grids[name][own], drawn_own) for name in _BY_COUPLING}
    else:
        del metrics["effective_residual"]
    series = {
        f"{name}_noise_{percent(noise)}": summary(grids[name][:, i], axis=0)
        for name, summary in _CURVES.items()
        for i, noise in enumerate(track.noises)
    }
    series["score_by_instance"] = grids["score"].mean(axis=(1, 2))
    return Parts(
        float(grids["score"].mean()),
        _mean_replicates(grids["score"], drawn),
        f"bootstrap over {len(instances)} instances, {STRETCHED}",
        metrics,
        _failures(scores),
        digest,
        series,
    )


def _mean_replicates(values: Array, drawn: Array) -> Array:
    return np.asarray(drawn @ values.reshape(len(values), -1).mean(axis=1) / len(values), dtype=np.float64)


def _mean(name: str, values: Array, drawn: Array) -> Value:
    """Return the mean of values (instance, ...) of a metric with its interval."""
    return value_of(float(values.mean()), _mean_replicates(values, drawn), len(values), bounds(name))


def _median(values: Array, drawn: Array) -> Value:
    """Return the median of values (instance, ...), which is robust to outliers, with its interval."""
    rows = values.reshape(len(values), -1)
    replicates = [np.median(np.repeat(rows, counts.astype(int), axis=0)) for counts in drawn]
    return value_of(float(np.median(rows)), np.array(replicates), len(values), bounds("coefficient_error"))


def _failures(scores: Sequence[Scores]) -> Failures:
    """Count the problems without usable equations by reason, with the first message of each."""
    faults = [each for each in scores if each.fault]
    first = {each.fault: each.message for each in reversed(faults)}
    counts = Counter(each.fault for each in faults)
    notes = [f"{n} {fault} (first: {' '.join(first[fault].split())[:200]})" for fault, n in sorted(counts.items())]
    return Failures(non_finite=len(faults), of=len(scores), note="; ".join(["problems without equations", *notes]))
