"""Combination of the results of several training seeds into one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from l96bench.errors import ResultError
from l96bench.metrics.comparison import PairedComparison
from l96bench.metrics.uncertainty import drawn_seeds
from l96bench.results.record import Cost, Result
from l96bench.results.score import STRETCHED, Score, SeedScore, Value

__all__ = ["combine_seeds", "paired", "require_comparable", "require_paired"]


def require_comparable(results: Sequence[Result]) -> None:
    """Raise `ResultError` unless all results have one task, version, split, scorer version and data digests."""
    for field in ("task", "task_version", "split", "scorer_version", "data_digests"):
        rows: dict[str, list[str]] = {}
        for result in results:
            value = getattr(result, field)
            text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
            rows.setdefault(text, []).append(repr(result.model.name))
        if len(rows) > 1:
            raise ResultError(
                f"{results[0].task}: these rows differ in {field} and cannot be compared:\n"
                + "".join(f"  {value}: {', '.join(names)}\n" for value, names in rows.items())
                + "Score the rows that are out of date again (`l96bench run`), or remove them."
            )


def require_paired(results: Sequence[Result]) -> None:
    """Raise `ResultError` unless all results have intervals of one level and equally many replicates."""
    resampling = [(result.model.name, result.score.level, len(result.score.replicates)) for result in results]
    if len({own[1:] for own in resampling}) > 1:
        raise ResultError(
            f"{results[0].task}: rows differ in the level or the number of replicates: {resampling}; "
            "score them again with one setting"
        )


def paired(a: Result, b: Result) -> PairedComparison:
    """Return the difference of two results of one task, a less b; `ResultError` if they cannot be compared."""
    require_comparable([a, b])
    require_paired([a, b])
    return a.score.compare(b.score)


def combine_seeds(results: Sequence[Result]) -> Result:
    """Combine the results of one entry on one task, trained with several seeds.

    Parameters
    ----------
    results : sequence of Result
        One for each of ``n`` training seeds, with exactly one seed in ``model.seeds``.

    Returns
    -------
    Result
        *Score*: the mean over seeds. Replicate ``b`` is the mean of the ``b``-th replicates of ``n - 1`` seeds drawn
        with replacement, so that the interval includes the variance of training. ``n - 1`` draws, not ``n``, make the
        between-seed variance unbiased (Rao and Wu 1988, Resampling inference with complex survey data, J. Am. Stat.
        Assoc. 83, 231-241). The draws come from PCG64, seeded by the entry's name, so that those of different entries
        are independent. The interval is stretched, because few seeds tell their variance badly: see
        `l96bench.metrics.Draws`.

        *Metrics*: the mean over seeds; each half-width is ``sqrt(w**2 + (z s)**2 / n)``, with ``w`` the seeds' mean
        half-width on that side (all share the test data, so it does not shrink), ``s`` their standard deviation and
        ``z`` the normal quantile of the level. Intervals, metrics and series that some result lacks are left out.

        Failures are summed; costs, series and numbers of parameters averaged. The digest is the SHA-256 of the results'
        digests, one a line. Everything else is that of the first result.

    Raises
    ------
    ResultError
        If the results are not of one entry on one task, or a seed is missing or repeated.

    Examples
    --------
    >>> import l96bench
    >>> task = l96bench.make_task("subgrid-forcing/wilks-f20-v1").miniature()
    >>> def row(seed):
    ...     info = l96bench.ModelInfo(name="slope", kind="polynomial", inputs="X_k", command="none", seeds=[seed])
    ...     return task.evaluate(l96bench.Polynomial([0.0, -0.5 - 0.1 * seed]), info, progress=False)
    ...
    >>> both = l96bench.combine_seeds([row(0), row(1)])
    >>> both.model.seeds, abs(both.score.value - (row(0).score.value + row(1).score.value) / 2) < 1e-9
    ([0, 1], True)
    """
    _require_one_entry(results)
    first = results[0]
    models, failures, costs = zip(*((result.model, result.failures, result.cost) for result in results), strict=True)
    size = _mean([model.parameters for model in models])
    digests = "\n".join(result.predictions_digest for result in results).encode()
    combined = {
        "model": models[0].model_copy(
            update={"seeds": [model.seeds[0] for model in models], "parameters": None if size is None else round(size)}
        ),
        "score": _combine_scores(results),
        "metrics": {
            key: _combine_values([result.metrics[key] for result in results], first.score.level)
            for key in first.metrics
            if all(key in result.metrics for result in results)
        },
        "series": _combine_series([result.series for result in results]),
        "failures": {field: sum(getattr(own, field) for own in failures) for field in ("non_finite", "diverged", "of")}
        | {"note": "; ".join(dict.fromkeys(own.note for own in failures if own.note))},
        "cost": {field: _mean([getattr(own, field) for own in costs]) for field in Cost.model_fields},
        "predictions_digest": hashlib.sha256(digests).hexdigest(),
    }
    return Result.model_validate(dict(first) | combined, by_name=True)


def _require_one_entry(results: Sequence[Result]) -> None:
    if not results:
        raise ResultError("combine_seeds expected at least one result, got none")
    require_comparable(results)
    for field in ("name", "kind", "inputs", "trained_on"):
        values = {getattr(result.model, field) for result in results}
        if len(values) > 1:
            raise ResultError(f"combine_seeds expected results of one entry, got different model.{field}: {values}")
    drawn = {(result.score.level, len(result.score.replicates), result.score.blocks) for result in results}
    if len(drawn) > 1:
        raise ResultError(f"combine_seeds expected one level and number of replicates and blocks, got {drawn}")
    seeds = [result.model.seeds for result in results]
    if any(len(own) != 1 for own in seeds) or len({own[0] for own in seeds}) < len(seeds):
        raise ResultError(f"combine_seeds expected one seed a result, each another one, got {seeds}")


def _combine_scores(results: Sequence[Result]) -> Score:
    first, n = results[0], len(results)
    values = {result.model.seeds[0]: result.score.value for result in results}
    replicates = np.array([result.score.replicates for result in results])
    method = first.score.method
    if n > 1:
        entropy, drawn = drawn_seeds(first.model.name, n, replicates.shape[1])
        replicates = np.take_along_axis(replicates, drawn, axis=0)
        method += f"; bootstrap of {n} training seeds, {n - 1} drawn a replicate (PCG64, seed {entropy})"
        method += "" if STRETCHED in method else f", {STRETCHED}"
    return Score.of(
        float(np.mean(list(values.values()))),
        replicates.mean(axis=0),
        level=first.score.level,
        method=method,
        seeds=[SeedScore(seed=seed, value=value) for seed, value in values.items()],
        blocks=first.score.blocks,
    )


def _combine_values(values: Sequence[Value], level: float) -> Value:
    estimates = np.array([value.value for value in values])
    mean = float(estimates.mean())
    intervals = [(value.low, value.high) for value in values if value.low is not None and value.high is not None]
    if len(intervals) < len(values):
        return Value(value=mean)
    n = len(values)
    between = NormalDist().inv_cdf((1 + level) / 2) * estimates.std(ddof=1) / np.sqrt(n) if n > 1 else 0.0
    below, above = np.abs(np.array(intervals) - estimates[:, None]).mean(axis=0)
    return Value(value=mean, low=mean - float(np.hypot(below, between)), high=mean + float(np.hypot(above, between)))


def _combine_series(series: Sequence[dict[str, list[float]]]) -> dict[str, list[float]]:
    shared = [key for key in series[0] if all(len(other.get(key, ())) == len(series[0][key]) for other in series)]
    return {key: np.mean([other[key] for other in series], axis=0).tolist() for key in shared}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
