"""Descriptions of submissions: what they hold, what their faults are called, which data overlap."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from l96bench.errors import SubmissionError
from l96bench.submissions.submission import Submission, json_schema
from l96bench.tasks.described import FILTERS, Described
from l96bench.tasks.registry import make_task

CYCLES, SPARSE = "da-increment/dense-v1", "da-increment/sparse-v1"
OFFLINE, ONLINE, OTHER = (
    "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2", "online-rollout/arnold-c4-v2"
)  # fmt: skip


def fields(**changed: Any) -> dict[str, Any]:
    return {
        "schema": "l96bench/submission/1",
        "name": "Net (5-64-64), AR(1)",
        "authors": ["Ada Ünal"],
        "kind": "network",
        "inputs": "X_{k-2..k+2}",
        "description": "Two hidden layers; if a < b, the smaller one.",
        "tasks": [OFFLINE, ONLINE, OTHER],
        "artifacts": {"default": "closure.onnx"},
        "training": [{"regime": "wilks-f20", "split": "train", "mtu": 100}],
    } | changed


def test_every_task_finds_its_artifact_by_id_regime_family_or_default() -> None:
    artifacts = {OFFLINE: "a.json", "arnold-c4": "b.onnx", "online-rollout": "c.yaml"}
    made = Submission.of(fields(artifacts=artifacts))
    found = [made.artifact(make_task(id)) for id in (OFFLINE, ONLINE, OTHER)]
    assert found == ["a.json", "c.yaml", "b.onnx"]
    assert made.files == ["a.json", "b.onnx", "c.yaml"]
    assert Submission.of(fields(artifacts="c.onnx")).artifacts == {"default": "c.onnx"}
    assert Submission.of(fields(artifacts="python:my.module:model")).files == []


@pytest.mark.parametrize("artifacts", ["p.npz", {OFFLINE: "p.npz"}, {"default": "c.onnx", "online-rollout": "p.npz"}])
def test_files_of_predictions_are_no_submissions(artifacts: object) -> None:
    with pytest.raises(SubmissionError, match=r"expected a model, got a file of predictions.*l96bench score FILE"):
        Submission.of(fields(artifacts=artifacts))


def test_training_data_that_are_tested_on_are_found() -> None:
    training = [
        {"regime": "wilks-f20", "split": "train"},
        {"regime": "wilks-f20", "split": "test", "mtu": 20.5},
        {"regime": "wilks-f20", "split": "climate"},
        {"regime": "arnold-c4", "split": "own", "seeds": [1, 2]},
    ]
    made = Submission.of(fields(training=training))
    assert made.overlaps(make_task(OFFLINE)) == ["wilks-f20 test, 20.5 MTU"]
    assert made.overlaps(make_task(ONLINE)) == ["wilks-f20 climate"]
    assert made.overlaps(make_task(OTHER)) == []
    assert "arnold-c4 own, seeds 1, 2" in str(made.model_info(make_task(OFFLINE)).trained_on)


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(SubmissionError) as caught:
        Submission.of(fields(name="<b>", kind=3, tasks=["subgrid-forcing/wilks-f20"], artifacts="../a", more=1))
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["name", "kind", "tasks.0", "artifacts.default", "more"]
    assert "Did you mean 'subgrid-forcing/wilks-f20-v1'" in lines[2]
    assert "known are schema, name" in lines[4]


NEW: dict[str, Any] = {
    "lifecycle": {"status": "superseded", "superseded_by": "better-net"},
    "training_cost": {"hardware": "one H200", "hours": 2},
    "links": {"paper": "https://doi.org/10.1000/182", "code": "https://example.org/a_b/~c?d=1&e=%28f%29#g"},
    "assimilation": {"role": "closure", "filter": {"name": "LETKF", "radius": 3}},
}
"""The fields of schema 2."""


def second(**changed: Any) -> dict[str, Any]:
    return fields(schema="l96bench/submission/2", tasks=[CYCLES, SPARSE, ONLINE]) | changed


def test_schema_2_says_more_and_schema_1_says_so() -> None:
    made = Submission.of(second(**NEW))
    info = made.info(make_task(CYCLES), None, "verified")
    assert (info.superseded_by, info.training_cost, info.links) == ("better-net", "2 hours on one H200", NEW["links"])
    assert info.run_as == "closure of the resolved model in LETKF (radius 3)"
    assert Submission.of(second(lifecycle={"status": "active"})).info(make_task(CYCLES), None, "verified") == (
        Submission.of(second()).info(make_task(CYCLES), None, "verified")
    )
    for field, value in NEW.items():
        with pytest.raises(SubmissionError, match=f"{field}: expected schema: l96bench/submission/2, which has"):
            Submission.of(second(**{"schema": "l96bench/submission/1", field: value}))
    assert Submission.of(second(schema="l96bench/submission/1")).described(make_task(CYCLES)) == Described()


def test_assimilation_is_said_for_all_tasks_or_by_task_and_heeded_where_it_matters() -> None:
    closure, increment = {"role": "closure"}, {"filter": {"name": "ETKF"}}
    made = Submission.of(second(assimilation={"dense": closure, "da-increment": increment}))
    said = [str(made.described(make_task(id))) for id in (CYCLES, SPARSE, ONLINE)]
    assert said == ["closure of the resolved model", "model of increments in ETKF", ""]
    assert Submission.of(second(assimilation={CYCLES: closure})).described(make_task(SPARSE)) == Described()
    one = Submission.of(second(assimilation=closure))
    assert [str(one.described(make_task(id))) for id in (CYCLES, ONLINE)] == ["closure of the resolved model", ""]
    for assimilation, reason in (
        ({"wilks-f20": closure}, r"no task that heeds it uses \['wilks-f20'\]"),
        ({"default": closure, "dense": closure, "sparse": closure}, r"no task that heeds it uses \['default'\]"),
        ({"rol": "closure"}, "assimilation.default.rol: unknown key; known are role, filter. Did you mean 'role'"),
        ({"dense": {"rol": "closure"}}, "assimilation.dense.rol: unknown key"),
    ):
        with pytest.raises(SubmissionError, match=reason):
            Submission.of(second(assimilation=assimilation))
    with pytest.raises(SubmissionError, match="expected a file for da-increment/dense-v1, got code"):
        Submission.of(second(assimilation=closure, artifacts="python:a:b"))


def test_only_the_authors_of_rows_say_what_is_not_scored() -> None:
    """What may be said later is no part of what was scored, and a row without it is written as before."""
    info = Submission.of(second(**NEW)).info(make_task(CYCLES), "0" * 64, "verified")
    plain = Submission.of(second(assimilation=NEW["assimilation"])).info(make_task(CYCLES), "0" * 64, "verified")
    assert info != info.scored == plain
    first = Submission.of(second(schema="l96bench/submission/1")).info(make_task(CYCLES), "0" * 64, "verified")
    assert list(first.model_dump()) == ["status", "authors", "artifact", "artifact_sha256", "license", "overlaps"]
    assert type(info).model_validate_json(info.model_dump_json(), strict=True) == info


@pytest.mark.slow
def test_the_committed_schema_is_what_the_command_prints() -> None:
    """In a process of its own, where nobody has registered a regime."""
    committed = Path(__file__).parents[2] / "leaderboard" / "submission.schema.json"
    command = [sys.executable, "-m", "l96bench", "submission-schema"]
    assert committed.read_text(encoding="utf-8") == subprocess.run(command, capture_output=True, text=True).stdout
    schema = json.loads(json_schema())
    assert schema["additionalProperties"] is False
    assert OFFLINE in schema["properties"]["tasks"]["items"]["enum"]
    assert set(NEW) <= schema["properties"].keys()
    assert set(FILTERS) <= schema["$defs"].keys()
