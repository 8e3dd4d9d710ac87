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
from l96bench.tasks.registry import make_task

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


@pytest.mark.slow
def test_the_committed_schema_is_what_the_command_prints() -> None:
    """In a process of its own, where nobody has registered a regime."""
    committed = Path(__file__).parents[2] / "leaderboard" / "submission.schema.json"
    command = [sys.executable, "-m", "l96bench", "submission-schema"]
    assert committed.read_text(encoding="utf-8") == subprocess.run(command, capture_output=True, text=True).stdout
    schema = json.loads(json_schema())
    assert schema["additionalProperties"] is False
    assert OFFLINE in schema["properties"]["tasks"]["items"]["enum"]
