"""Parsers of strangers' files: random input of every size raises our errors, or nothing."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from pydantic import ValidationError

from l96bench.board.change import Change, change_faults, submissions_of
from l96bench.board.contribution import review_change
from l96bench.board.repository import File
from l96bench.errors import L96BenchError
from l96bench.files import read_json
from l96bench.graphs.onnx_file import onnx_faults
from l96bench.graphs.onnx_step import read_closure
from l96bench.graphs.step_map import rewritten
from l96bench.results.record import Result
from l96bench.submissions.artifacts import Artifact, Expected, read_equations, read_predictions
from l96bench.submissions.consistency import out_of_line, row_faults
from l96bench.submissions.plain_yaml import read_yaml
from l96bench.submissions.reserved import name_faults, skeleton
from l96bench.submissions.submission import Submission
from l96bench.tasks.described import FILTERS
from l96bench.tasks.registry import list_tasks, make_task

HERE = Path(__file__).parent
CORPUS = HERE.parent / "submissions" / "corpus"
ROW = HERE.parents[1] / "leaderboard" / "results" / list_tasks("subgrid-forcing")[0] / "fitted-quartic.json"
CHANGED = ("predictions/transposed.npz", "onnx/other-K.onnx")
KEYS = (
    *("schema", "name", "authors", "kind", "inputs", "description", "tasks", "artifacts", "training", "x"),
    *("lifecycle", "training_cost", "links", "assimilation", "role", "filter", "covariance", "radius", "paper"),
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=6),
    max_leaves=20,
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@pytest.mark.slow
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
    with contextlib.suppress(ValueError):
        read_json(data)


@pytest.mark.slow
@quick
@given(
    st.binary(max_size=60), st.integers(0, 400), st.sampled_from(["predictions/transposed.npz", "onnx/other-K.onnx"])
)
def test_any_change_of_a_file_is_read_or_refused(new: bytes, place: int, name: str) -> None:
    """What is read after a change in a predictions file is what NumPy reads as well."""
    data = (CORPUS / name).read_bytes()
    changed = data[:place] + new + data[place + len(new) :]
    assert isinstance(onnx_faults(changed), list)
    with contextlib.suppress(L96BenchError):
        found = read_predictions(Artifact("p.npz", changed), Expected({"test": (8, 5, 2)}, "ab" * 32))
        np.testing.assert_array_equal(found["test"], np.load(io.BytesIO(changed))["test"])


@pytest.mark.slow
@quick
@given(PLAIN)
def test_any_fields_are_a_submission_or_refused(fields: Any) -> None:
    with contextlib.suppress(L96BenchError):
        Submission.of(fields)


SECOND: dict[str, Any] = {
    "schema": "l96bench/submission/2",
    "name": "mine",
    "authors": ["me"],
    "kind": "network",
    "inputs": "X",
    "description": "A network.",
    "tasks": ["da-increment/dense-v1"],
    "artifacts": "closure.onnx",
    "training": [],
    "lifecycle": {"status": "superseded", "superseded_by": "other"},
    "training_cost": {"hardware": "a GPU", "hours": 1.5},
    "links": {"paper": "https://example.org/paper?a=1"},
    "assimilation": {"role": "closure", "filter": {"name": "HybridEnKF", "covariance": [1.0, 0.5, 0.5], "weight": 0.5}},
}
"""A description with all fields of schema 2."""
OPTIONS = sorted({name for kind in FILTERS.values() for name in inspect.signature(kind).parameters})
SMALL = st.none() | st.booleans() | st.integers(-3, 10) | st.floats() | st.text(max_size=5)
VALUES = SMALL | st.lists(SMALL | st.lists(SMALL, max_size=4), max_size=9) | st.dictionaries(st.text(max_size=5), SMALL)
ROLES = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["closure", "increment", "x"]),
        "filter": st.dictionaries(st.sampled_from(OPTIONS), VALUES, max_size=4).flatmap(
            lambda options: st.sampled_from(sorted(FILTERS)).map(lambda name: options | {"name": name})
        ),
    },
)


@pytest.mark.slow
@quick
@given(st.dictionaries(st.sampled_from(["lifecycle", "training_cost", "links", "assimilation"]), VALUES | PLAIN), ROLES)
def test_any_fields_of_schema_2_are_described_or_refused(changed: dict[str, Any], roles: dict[str, Any]) -> None:
    """What is accepted makes a filter, or says why it does not fit the track, and comes back from what is written."""
    for fields in (SECOND | changed, SECOND | {"assimilation": roles}):
        with contextlib.suppress(L96BenchError):
            made = Submission.of(fields)
            task = make_task(made.tasks[0])
            info, described = made.info(task, None, "verified"), made.described(task)
            assert type(info).model_validate_json(info.model_dump_json()) == info
            again = yaml.safe_dump(SECOND | {"assimilation": None} | described.said)
            assert (
                Submission.parse(again.encode()).described(task) == described == pickle.loads(pickle.dumps(described))
            )
            if described.assimilation is not None and described.assimilation.filter is not None:
                described.assimilation.filter.made(8)


NAMES = st.sampled_from(["x", "h", "z", "u", "g", "w", "X", "state", ""])
AXES = st.dictionaries(
    st.sampled_from(["axis", "points", "start", "x"]), SMALL | st.lists(SMALL, max_size=9), max_size=2
)
PORTS = NAMES | st.builds(lambda name, more: more | {"name": name}, NAMES, AXES)
STATES = st.builds(lambda input, output, more: more | {"input": input, "output": output}, NAMES, NAMES, AXES)
STEPS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("X", "U", "mean"), PORTS | VALUES),
        **dict.fromkeys(("noise", "uniform"), PORTS | st.lists(PORTS | VALUES, max_size=3)),
        "state": STATES | st.lists(STATES | VALUES, max_size=3),
        "interval": st.sampled_from([0.05, 0.01]) | SMALL,
        "past": st.booleans() | SMALL,
    },
)
SIZES = st.lists(st.sampled_from(["n", "m", 1, 2, 8]) | st.integers(-(2**40), 2**40), max_size=4)
RIGHT = {"X": "x", "U": "u", "state": {"input": "h", "output": "g"}, "noise": "z"}
PLACES = ("x", "h", "z", "u", "g")


def step_file(shapes: Mapping[str, Sequence[Any]]) -> bytes:
    """A file with the inputs x, h and z and the outputs u and g, of shapes that may be impossible."""
    kinds = dict.fromkeys(PLACES, TensorProto.DOUBLE) | {"w": TensorProto.INT64}
    ends = [helper.make_tensor_value_info(name, kinds[name], shapes.get(name, ["n", 8])) for name in PLACES]
    nodes = [helper.make_node("Add", ["x", "z"], ["u"]), helper.make_node("Mul", ["h", "x"], ["g"])]
    made = helper.make_model(helper.make_graph(nodes, "g", ends[:3], ends[3:]), ir_version=8)
    made.opset_import[0].version = 17
    return bytes(made.SerializeToString())


@pytest.mark.slow
@quick
@given(
    STEPS, st.booleans(), st.dictionaries(st.sampled_from(PLACES), SIZES, max_size=2), st.none() | st.integers(-1, 9)
)
def test_any_step_is_rewritten_or_refused(
    said: dict[str, Any], right: bool, shapes: dict[str, list[Any]], K: int | None
) -> None:
    """What is accepted is a file that runs, or has faults that are told, and comes back from what is written."""
    fields = SECOND | {"assimilation": None, "step": (RIGHT | said) if right else said}
    with contextlib.suppress(L96BenchError):
        step = Submission.of(fields).step
        assert Submission.parse(yaml.safe_dump(fields).encode()).step == step
        for each in step.values() if isinstance(step, dict) else [step]:
            closure = read_closure(rewritten(step_file(shapes), each, K), K)
            closure.start(2, np.random.default_rng(0))
            closure.step(np.ones((2, closure.K)))


def read_or_fault(data: bytes) -> tuple[Any, str]:
    try:
        return read_yaml(data, "f"), ""
    except L96BenchError as error:
        return None, str(error)


@pytest.mark.slow
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


CHANGES = (
    "+100644 leaderboard/submissions/mine/submission.yaml",
    "+100644 leaderboard/submissions/mine/submission.yaml\n+100644 leaderboard/results/a/b-v1/mine.json",
    "~100644 leaderboard/submissions/theirs/submission.yaml\n-100644 leaderboard/results/a/b-v1/theirs.json",
    "+120000 leaderboard/submissions/mine/closure.onnx",
    "-100644 leaderboard/results/subgrid-forcing/wilks-f20-v1/fitted-quartic.json",
    "+100644 Leaderboard/results/x.json",
)
"""Changes as `fuzz_parsers.look_at_change` reads them."""
PARTS = st.sampled_from(
    ["leaderboard", "Leaderboard", "submissions", "results", "mine", "theirs", "a", "b-v1", "mine.json", "theirs.json",
     "submission.yaml", "closure.onnx", "Closure.onnx", "..", ".git", "README.md", "mi\u200bne", "x/y", ""]
) | st.text(max_size=6)  # fmt: skip
PATHS = st.lists(PARTS, min_size=1, max_size=6).map("/".join)
FILES = st.builds(
    File, st.sampled_from(["100644", "100644", "100755", "120000", "160000"]), st.sampled_from("ab"), st.integers(0, 9)
)
TREES = st.dictionaries(PATHS, FILES, max_size=8)


@pytest.mark.slow
@settings(quick, max_examples=80)
@given(TREES, TREES)
def test_any_change_leaves_what_is_not_ones_own_or_is_refused(before: dict[str, File], change: dict[str, File]) -> None:
    judged = Change(before, before | change)
    if change_faults(judged):
        return
    assert {
        path.split("/")[2] if path.split("/")[1] == "submissions" else Path(path).stem for path in judged.paths
    } <= set(submissions_of(judged))
    for path in judged.paths:
        assert path.startswith(("leaderboard/submissions/", "leaderboard/results/"))
        assert judged.after[path].mode == "100644"


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-10, 10)


@pytest.mark.slow
@quick
@given(st.data())
def test_a_row_with_any_numbers_is_judged_or_refused(data: st.DataObject) -> None:
    """An honest row in which some values are replaced: by numbers, texts or nothing."""
    fields = json.loads(ROW.read_text(encoding="utf-8"))
    for _ in range(data.draw(st.integers(1, 4))):
        place = fields
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
                place = place[key]
                continue
            place[key] = data.draw(
                NUMBERS | st.none() | st.text(max_size=5) | st.just([]) | st.lists(NUMBERS, max_size=3)
            )
            break
    try:
        row = Result.model_validate(fields)
        task = make_task(row.task)
    except (ValidationError, L96BenchError):
        return
    faults = row_faults(row, task)
    assert isinstance(faults, list)
    assert isinstance(out_of_line([row] * 5, task), dict)
    told = json.loads(ROW.read_text(encoding="utf-8"))
    if fields["score"]["value"] != told["score"]["value"]:
        assert faults


@pytest.mark.slow
@quick
@given(st.text(min_size=1, max_size=30))
def test_any_name_is_free_or_refused(name: str) -> None:
    assert isinstance(name_faults(name, name), list)
    assert skeleton(skeleton(name)) == skeleton(name)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(["100644", "100755", "120000"]), st.text(min_size=1, max_size=8)), max_size=6)
)
def test_any_tree_of_git_is_judged_or_refused(names: list[tuple[str, str]]) -> None:
    """Trees with any names, as no checkout could have made them, below `leaderboard`."""

    def git(*arguments: str, stdin: bytes = b"") -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", "-C", place, *who, *arguments], input=stdin, capture_output=True, check=True)
        return done.stdout.decode().strip()

    with tempfile.TemporaryDirectory() as place:
        git("init", "-q")
        blob = git("hash-object", "-w", "--stdin", stdin=b"text")
        once = {name.replace("/", "-").replace("\0", "-"): mode for mode, name in names}
        lines = b"".join(f"{mode} blob {blob}\t{name}\0".encode() for name, mode in once.items())
        inner = git("mktree", "-z", stdin=lines)
        empty, outer = git("mktree", stdin=b""), git("mktree", stdin=f"040000 tree {inner}\tleaderboard\n".encode())
        base = git("commit-tree", empty, "-m", "base")
        head = git("commit-tree", outer, "-p", base, "-m", "head")
        found = review_change(Path(place), base, Path(place), head=head)
        assert found.passed == (not once), found.text()


@pytest.mark.slow
def test_seconds_of_coverage_guided_fuzzing(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    kinds = {"description": "sy", "predictions": "p", "equations": "je", "onnx": "xm", "result": "r"}
    for path in sorted(path for name in kinds for path in (CORPUS / name).iterdir()):
        for kind in kinds[path.parent.name]:
            (tmp_path / f"{kind}-{path.name}").write_bytes(kind.encode() + path.read_bytes()[:4000])
    row = min((HERE.parents[1] / "leaderboard" / "results").rglob("*.json"), key=lambda path: path.stat().st_size)
    (tmp_path / "r-row.json").write_bytes(b"r" + row.read_bytes())
    for number, line in enumerate(CHANGES):
        (tmp_path / f"c-{number}").write_text(f"c{line}\n")
    for number, name in enumerate(("stencil network", "ｓtеncil\u200b NETWORK", "(reference)", "con")):
        (tmp_path / f"n-{number}").write_text(f"n{name}", encoding="utf-8")
    (tmp_path / "o-owner").write_text("oname: mine\nauthors: [me]\n")
    # A process inherits the largest memory of the one that starts it, so what is limited is an allocation.
    limits = ("-runs=2500", "-max_total_time=3", "-seed=1", "-timeout=60", "-rss_limit_mb=0", "-malloc_limit_mb=2048")
    command = [sys.executable, str(HERE / "fuzz_parsers.py"), *limits, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
