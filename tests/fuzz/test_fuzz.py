"""Parsers of strangers' files: random input of every size raises our errors, or nothing."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l96bench.errors import L96BenchError
from l96bench.graphs.onnx_closure import onnx_faults
from l96bench.submissions.artifacts import Artifact, Expected, read_equations, read_predictions
from l96bench.submissions.plain_yaml import read_yaml
from l96bench.submissions.submission import Submission

HERE = Path(__file__).parent
CORPUS = HERE.parent / "submissions" / "corpus"
KEYS = ("schema", "name", "authors", "kind", "inputs", "description", "tasks", "artifacts", "training", "x")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=6),
    max_leaves=20,
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@quick
@given(st.binary(max_size=300) | st.text(alphabet="[]{}:,-?&*!|>'\"%@`# \n\tab1.~<", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (
        lambda: read_yaml(data, "f"),
        lambda: Submission.parse(data),
        lambda: read_equations(Artifact("e.json", data)),
        lambda: read_equations(Artifact("e.yaml", data)),
        lambda: read_predictions(Artifact("p.npz", data), Expected({"test": (1, 2, 3)}, "")),
    ):
        with contextlib.suppress(L96BenchError):
            read()
    assert isinstance(onnx_faults(data), list)


@quick
@given(PLAIN)
def test_any_fields_are_a_submission_or_refused(fields: Any) -> None:
    with contextlib.suppress(L96BenchError):
        Submission.of(fields)


def read_or_fault(data: bytes) -> tuple[Any, str]:
    try:
        return read_yaml(data, "f"), ""
    except L96BenchError as error:
        return None, str(error)


@quick
@given(PLAIN.filter(lambda value: "nan" not in repr(value) and "inf" not in repr(value)))
def test_plain_data_that_json_writes_come_back(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=True)
    read, fault = read_or_fault(text.encode())
    if fault:  # what JSON may hold and this may not: keys that say the same, merges, halves of characters
        assert any(word in fault for word in ("merges", "surrogate", "twice", "not valid YAML", "inside each other"))
        return
    if len(text) < 500 and not any(len(each) > 18 and each.lstrip("-").isdigit() for each in text.split()):
        assert json.dumps(read) == text or read == yaml.safe_load(text) or read == value


@pytest.mark.slow
def test_seconds_of_coverage_guided_fuzzing(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    kinds = {"description": "sy", "predictions": "p", "equations": "je"}
    for path in sorted(path for name in kinds for path in (CORPUS / name).iterdir()):
        for kind in kinds[path.parent.name]:
            (tmp_path / f"{kind}-{path.name}").write_bytes(kind.encode() + path.read_bytes()[:4000])
    limits = ("-runs=1500", "-max_total_time=3", "-seed=1", "-timeout=60")
    command = [sys.executable, str(HERE / "fuzz_parsers.py"), *limits, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
