"""Results: validation, the file, and one row from several training seeds."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import t as student

from l96bench.errors import ResultError
from l96bench.files import write_atomic
from l96bench.results.combine import combine_seeds
from l96bench.results.record import Cost, Environment, Failures, ModelInfo, Result
from l96bench.results.score import Score, Value


def make_result(**changes: Any) -> Result:
    fields: dict[str, Any] = {
        "task": "online-rollout/wilks-f20-v2",
        "task_version": 1,
        "data_digests": {"test": "ab" * 32, "shift": "cd" * 32},
        "scorer_version": "1.0",
        "split": "test",
        "model": ModelInfo(name="Stencil network", kind="network", inputs="X, radius 2", seeds=[0], command="run it"),
        "score": Score(
            value=60.0, low=58.0, high=62.0, method="bootstrap", replicates=[58.0, 59.0, 59.5, 60.0, 60.5, 61.0, 62.0]
        ),
        "metrics": {"survival": Value(value=1.0, low=0.93, high=1.0), "crps_1": Value(value=0.1234567890123)},
        "series": {"crps": [0.1, 0.2, 1 / 3]},
        "failures": Failures(diverged=1, of=50, note="one run left"),
        "cost": Cost(training_seconds=5.0, microseconds_per_call=2.0, kernel_steps_per_call=2.2),
        "environment": Environment(python="3.11.7", numpy="2.4", numba="0.68", cpu="generic", platform="Linux x86_64"),
        "predictions_digest": "ef" * 32,
    }
    return Result(**(fields | changes))


def with_seed(seed: int, value: float, replicates: list[float], **changes: Any) -> Result:
    model = make_result().model.model_copy(update={"seeds": [seed]})
    score = Score(value=value, low=min(replicates), high=max(replicates), method="bootstrap", replicates=replicates)
    return make_result(model=model, score=score, predictions_digest=f"{seed:064x}", **changes)


def altered(path: Path, *place: str | int, value: Any) -> Path:
    """A valid result file in which one field is something else."""
    make_result().write(path)
    fields = json.loads(path.read_text())
    inner = fields
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(fields))
    return path


def test_a_file_gives_back_the_result_and_the_same_bytes(tmp_path: Path) -> None:
    result = make_result()
    result.write(tmp_path / "a.json")
    again = Result.read(tmp_path / "a.json")
    assert again == result
    again.write(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_what_is_printed_is_short_and_has_no_curves() -> None:
    result = make_result()
    assert str(result).splitlines() == [
        "60.00 [58.00, 62.00]  online-rollout/wilks-f20-v2  Stencil network",
        "  survival: 1 [0.93, 1]",
        "  crps_1: 0.123457",
    ]
    for curve in ("59.5", "0.333"):
        assert curve in result.to_json()
        assert curve not in repr(result)


def test_bytes_do_not_depend_on_the_order_of_keys() -> None:
    result = make_result()
    turned = make_result(metrics=dict(reversed(result.metrics.items())))
    assert turned.to_json() == result.to_json()


def test_the_file_is_json_with_lists_of_numbers_on_one_line() -> None:
    text = make_result(
        score=Score(value=1, low=0, high=2, method="[\n1,\n2]", replicates=[1e-7, -2.0, 1 / 3])
    ).to_json()
    assert json.loads(text)["schema"] == "l96bench/result/1"
    assert json.loads(text)["score"]["method"] == "[\n1,\n2]"
    assert '    "replicates": [1e-07, -2.0, 0.333333],\n' in text
    assert '    "crps": [0.1, 0.2, 0.333333]\n' in text
    assert text.startswith('{\n  "schema"')
    assert text.endswith("}\n")


def test_metrics_keep_all_digits() -> None:
    assert json.loads(make_result().to_json())["metrics"]["crps_1"]["value"] == 0.1234567890123


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "place",
    [
        ("score", "value"),
        ("score", "replicates", 3),
        ("metrics", "crps_1", "low"),
        ("series", "crps", 1),
        ("cost", "training_seconds"),
    ],
)
def test_numbers_that_are_not_finite_are_errors_with_file_and_field(
    tmp_path: Path, place: tuple[str | int, ...], value: float
) -> None:
    path = altered(tmp_path / "bad.json", *place, value=value)
    with pytest.raises(ResultError, match=re.escape(".".join(map(str, place)))) as caught:
        Result.read(path)
    assert str(path) in str(caught.value)


def test_making_a_result_with_nan_names_the_field() -> None:
    with pytest.raises(ValidationError, match=r"metrics\.rmse\.value"):
        make_result(metrics={"rmse": {"value": float("nan")}})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema",), "l96bench/result/2"),
        (("task",), "../../etc/passwd"),
        (("task_version",), "1"),
        (("surprise",), 1),
        (("model", "surprise"), 1),
        (("model", "name"), ""),
        (("score", "replicates"), []),
        (("score", "low"), "58"),
        (("metrics", "R2 <b>"), {"value": 1.0}),
        (("failures", "of"), -1),
    ],
)
def test_malformed_fields_are_named(tmp_path: Path, place: tuple[str, ...], value: Any) -> None:
    path = altered(tmp_path / "bad.json", *place, value=value)
    with pytest.raises(ResultError, match=re.escape(".".join(place))):
        Result.read(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("score", "low"), 63.0, "low <= high"),
        (("metrics", "survival", "low"), None, "both ends"),
        (("failures", "of"), 0, "at most of=0"),
    ],
)
def test_contradictions_are_errors(tmp_path: Path, place: tuple[str, ...], value: Any, message: str) -> None:
    with pytest.raises(ResultError, match=message):
        Result.read(altered(tmp_path / "bad.json", *place, value=value))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff", '{"task": 1}'])
def test_other_files_are_errors_that_name_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ResultError, match=re.escape(str(path))):
        Result.read(path)


def test_a_missing_file_or_schema_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"absent\.json"):
        Result.read(tmp_path / "absent.json")
    path = tmp_path / "bare.json"
    path.write_text(make_result().to_json().replace('  "schema": "l96bench/result/1",\n', ""))
    with pytest.raises(ResultError, match="schema"):
        Result.read(path)


def test_results_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_result().split = "train"  # type: ignore[misc]


def test_names_from_the_task_and_the_model() -> None:
    result = make_result()
    assert (result.family, result.regime, result.slug) == ("online-rollout", "wilks-f20", "stencil-network")


@pytest.mark.parametrize("name", ["../../x", "a/b\\c", "Élan vital №1", "  . ", "日本", "a\0b", "x" * 100])
def test_slugs_are_safe_file_names(name: str) -> None:
    slug = make_result(model=make_result().model.model_copy(update={"name": name})).slug
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    make_result().write(path)
    before = path.read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "half of it \ud800")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        make_result(split="valid").write(path)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["a.json"]


def test_the_current_environment_is_known() -> None:
    environment = Environment.current()
    assert environment.numpy == np.__version__
    assert all(environment.model_dump().values())


def test_two_seeds_against_a_hand_computation() -> None:
    # One seed is drawn for each replicate, so every replicate is that of either seed.
    first = with_seed(0, 50.0, [49.0, 50.0, 51.0], metrics={"rmse": Value(value=1.0, low=0.7, high=1.4)})
    second = with_seed(
        1,
        60.0,
        [59.0, 60.0, 61.0],
        metrics={"rmse": Value(value=3.0, low=2.5, high=3.8), "bias": Value(value=0.0)},
        cost=Cost(training_seconds=7.0),
        failures=Failures(non_finite=2, of=50),
        series={"crps": [0.3, 0.4, 1.0]},
    )
    row = combine_seeds([first, second])
    assert row.score.value == 55.0
    assert [(seed.seed, seed.value) for seed in row.score.seeds] == [(0, 50.0), (1, 60.0)]
    assert row.model.seeds == [0, 1]
    for replicate, either in zip(row.score.replicates, [(49, 59), (50, 60), (51, 61)], strict=True):
        assert replicate in either
    # between: 1.959964 * sqrt(2) / sqrt(2); within: mean of .3 and .5 below, of .4 and .8 above
    assert set(row.metrics) == {"rmse"}
    assert row.metrics["rmse"].value == 2.0
    assert row.metrics["rmse"].low == pytest.approx(2 - (0.4**2 + 1.959964**2) ** 0.5, abs=1e-6)
    assert row.metrics["rmse"].high == pytest.approx(2 + (0.6**2 + 1.959964**2) ** 0.5, abs=1e-6)
    assert (row.failures.non_finite, row.failures.diverged, row.failures.of) == (2, 1, 100)
    assert row.failures.note == "one run left"
    assert row.cost == Cost(training_seconds=6.0)
    assert row.series["crps"] == [0.2, 0.3, 0.666667]
    assert row.predictions_digest == hashlib.sha256(f"{0:064x}\n{1:064x}".encode()).hexdigest()


def test_the_interval_over_seeds_has_the_variance_of_a_mean() -> None:
    # The variance of the mean of n independent values is s^2 / n with the unbiased s^2.
    values = [50.0, 53.0, 54.0, 58.0, 60.0]
    row = combine_seeds([with_seed(seed, value, [value] * 20_000) for seed, value in enumerate(values)])
    assert np.mean(row.score.replicates) == pytest.approx(np.mean(values), abs=0.05)
    assert np.var(row.score.replicates) == pytest.approx(np.var(values, ddof=1) / 5, rel=0.03)
    # Seeds that make all of the variance: the interval of Student's t with four degrees of freedom, but for the end of
    # the bootstrap, which can do no better than four times the best seed.
    half = student.ppf(0.975, 4) * np.std(values, ddof=1) / np.sqrt(5)
    assert row.score.low == pytest.approx(55.0 - half, abs=0.1 * half)
    assert row.score.high == pytest.approx(55.0 + half, abs=0.1 * half)


def test_equal_seeds_add_no_variance() -> None:
    replicates = [58.0, 59.5, 62.0]
    row = combine_seeds([with_seed(seed, 60.0, replicates) for seed in range(5)])
    assert row.score.replicates == replicates
    assert row.metrics["survival"].low == pytest.approx(0.93)
    assert row.metrics["survival"].high == 1.0


def test_combining_is_reproducible_and_says_how() -> None:
    results = [with_seed(seed, 50.0 + seed, [50.0 + seed, 51.0 + seed]) for seed in range(5)]
    assert combine_seeds(results) == combine_seeds(results)
    assert "5 training seeds" in combine_seeds(results).score.method


def test_few_blocks_are_kept_and_stretch_the_interval() -> None:
    score = Score.of(60.0, np.linspace(50.0, 70.0, 1001), level=0.95, method="m", blocks=10)
    factor = np.sqrt(10 / 9) * student.ppf(0.975, 9) / student.ppf(0.975, np.inf)
    assert score.high - 60.0 == pytest.approx(9.5 * factor)
    result = with_seed(0, 60.0, [60.0]).model_copy(update={"score": score})
    assert Result.model_validate_json(result.to_json(), strict=True).score.blocks == 10
    assert "blocks" not in json.loads(with_seed(0, 60.0, [60.0]).to_json())["score"]
    other = with_seed(1, 60.0, [60.0]).model_copy(update={"score": score})
    with pytest.raises(ResultError, match="blocks"):
        combine_seeds([with_seed(0, 60.0, [60.0] * 1001), other])


def test_one_seed_stays_as_it_is() -> None:
    single = with_seed(3, 50.0, [49.0, 51.0])
    row = combine_seeds([single])
    assert row.score.replicates == single.score.replicates
    assert row.metrics == single.metrics
    assert [seed.seed for seed in row.score.seeds] == [3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "online-rollout/arnold-c4-v2"}, "differ in task "),
        ({"data_digests": {"test": "00"}}, "differ in data_digests"),
        ({"scorer_version": "2.0"}, "differ in scorer_version"),
        ({"model": make_result().model.model_copy(update={"name": "other", "seeds": [1]})}, "model.name"),
        ({"model": make_result().model}, "one seed"),
        ({"score": Score(value=1, low=0, high=2, method="m", replicates=[1.0])}, "number of replicates"),
    ],
)
def test_results_of_different_entries_are_not_combined(changes: dict[str, Any], message: str) -> None:
    second = make_result(model=make_result().model.model_copy(update={"seeds": [1]}))
    second = make_result(**({"model": second.model} | changes))
    with pytest.raises(ResultError, match=message):
        combine_seeds([make_result(), second])


def test_nothing_cannot_be_combined() -> None:
    with pytest.raises(ResultError, match="at least one"):
        combine_seeds([])
