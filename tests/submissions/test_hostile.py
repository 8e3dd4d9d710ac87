"""Hostile inputs: every file of the corpus is refused with its reason, or contained; nothing is executed or written."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from l96bench.dynamics.steps import SteppedClosure
from l96bench.equations.equation_set import EquationSet
from l96bench.errors import L96BenchError, SubmissionError
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.graphs.onnx_step import read_closure
from l96bench.graphs.step_checks import check_step
from l96bench.results.record import ModelInfo, Result
from l96bench.submissions.artifacts import Artifact, Expected, read_equations, read_file, read_predictions
from l96bench.submissions.contained import Limits, run_contained
from l96bench.submissions.submission import Submission

HERE = Path(__file__).parent
INFO = ModelInfo(name="a", kind="b", inputs="X", command="c")
STATES = np.random.default_rng(0).normal(2.5, 3.5, (64, 8))
LIMITS = Limits(seconds=5.0, memory=2**30)


@functools.cache
def maker() -> ModuleType:
    """The script that writes the corpus."""
    spec = importlib.util.spec_from_file_location("make_corpus", HERE / "make_corpus.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MANIFEST: dict[str, str] = json.loads((HERE / "corpus" / "manifest.json").read_text(encoding="utf-8"))
LOOKED_THROUGH = sorted(name for name in MANIFEST if not name.startswith("run/"))
RUN = sorted(name for name in MANIFEST if name.startswith("run/"))


@pytest.fixture(autouse=True)
def _nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    yield
    assert sorted(path.name for path in tmp_path.rglob("*") if path.name != "inside") == []


def accept(name: str, data: bytes) -> Any:
    """What the parser of this kind of file makes of it."""
    kind, _, file = name.partition("/")
    artifact = Artifact(file, data)
    if kind == "description":
        return Submission.parse(data)
    if kind == "onnx":
        return OnnxClosure(data, 8)
    if kind == "step":
        closure = read_closure(data, 8)
        assert isinstance(closure, SteppedClosure)
        return check_step(closure.step_function, STATES)  # type: ignore[arg-type]
    if kind == "predictions":
        return read_predictions(artifact, Expected(maker().SHAPES, maker().DIGEST))
    if kind == "result":
        return Result.read(HERE / "corpus" / name)
    texts = read_equations(artifact)
    assert isinstance(texts, list)
    U = EquationSet.parse(texts, 8, left="U").tendency(np.ones((2, 8)))
    if not np.isfinite(U).all():
        raise SubmissionError("not finite")
    return U


def test_the_corpus_is_large_and_what_its_script_writes() -> None:
    entries = maker().corpus()
    contents = {(name.partition("/")[0], data) for name, (data, _) in entries.items()}
    assert len(contents) >= len(entries) - 1 >= 480  # an empty file is no list in YAML and none in JSON
    assert {name: reason for name, (_, reason) in entries.items()} == MANIFEST
    committed = {path.relative_to(HERE / "corpus").as_posix() for path in (HERE / "corpus").rglob("*.*")}
    assert committed == {*MANIFEST, "manifest.json"}
    differing = [name for name, (data, _) in entries.items() if (HERE / "corpus" / name).read_bytes() != data]
    assert differing == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted({name.partition("/")[0] for name in LOOKED_THROUGH}))
def test_every_file_is_refused_with_its_reason(kind: str) -> None:
    wrong = []
    for name in LOOKED_THROUGH:
        if not name.startswith(f"{kind}/"):
            continue
        try:
            wrong.append(f"{name}: accepted as {accept(name, (HERE / 'corpus' / name).read_bytes())!r:.60}")
        except L96BenchError as error:
            reason = MANIFEST[name] if kind == "step" else re.escape(MANIFEST[name])
            if not re.search(reason, str(error)):
                wrong.append(f"{name}: expected {MANIFEST[name]!r}, got {str(error)[:200]!r}")
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(maker().large()))
def test_what_is_too_large_is_refused(name: str) -> None:
    data, reason = maker().large()[name]
    with pytest.raises(L96BenchError) as caught:
        accept(name, data)
    assert reason in str(caught.value)


def read(name: str) -> bytes:
    return (HERE / "corpus" / name).read_bytes()


@pytest.mark.slow
def test_what_is_only_seen_when_it_runs_is_contained() -> None:
    from l96bench.dynamics.polynomial import Polynomial
    from l96bench.graphs.models import exported
    from l96bench.submissions.evaluation import Item
    from l96bench.tasks.registry import make_task

    task = make_task("online-rollout/wilks-f20-v2")
    good = exported(Polynomial([0.1, -0.5]), 8).data
    work = [
        ("inspect", Item(task, Artifact("closure.onnx", data), INFO)) for data in [*(read(name) for name in RUN), good]
    ]
    *outcomes, last = run_contained("l96bench.submissions.evaluation:examine", work, LIMITS)
    wrong = [
        f"{name}: expected {MANIFEST[name]!r}, got {outcome.fault[:200]!r}"
        for name, outcome in zip(RUN, outcomes, strict=True)
        if not (outcome.fault and re.search(MANIFEST[name], outcome.fault))
    ]
    assert wrong == []
    assert last.fault == ""  # the rest of the run is unharmed


@pytest.mark.parametrize("place", ["link", "pipe", "folder", "missing"])
def test_files_that_are_no_plain_files_are_refused(place: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("submission")
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.yaml"
    secret.write_text("secret")
    file = folder / "closure.onnx"
    match place:
        case "link":
            file.symlink_to(secret)
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
    expected = {"link": "symbolic links", "pipe": "plain file", "folder": "plain file", "missing": "cannot be read"}
    with pytest.raises(SubmissionError, match=expected[place]):
        read_file(folder, "closure.onnx", 100)


@pytest.mark.parametrize("name", ["../secret.yaml", "/etc/passwd", "a/b", "..", ".", "", "a\0b"])
def test_names_do_not_lead_out_of_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="expected the name of a file in the folder"):
        read_file(tmp_path, name, 100)


def test_a_file_that_is_too_large_is_not_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("submission")
    with open(folder / "sparse.npz", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(SubmissionError, match="expected at most 100 bytes"):
        read_file(folder, "sparse.npz", 100)
