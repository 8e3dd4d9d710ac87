"""The page about ONNX files: its examples run, and its limits are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from l96bench.graphs.onnx_file import MAX_NODES, MAX_ONNX_BYTES, OPERATORS, OPSETS
from l96bench.graphs.step_form import MAX_COLUMNS
from l96bench.graphs.step_map import StateMap, StepMap
from l96bench.submissions.folder import check_folder
from tests.examples import describe

PAGE = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text(encoding="utf-8")
TASK = "online-rollout/wilks-f20-v2"
NAMES = ("recurrent", "pipeline", "cubic")


def examples() -> dict[str, tuple[str, str]]:
    """The code and the description of each example, by the name of its file."""
    parts = PAGE.split("\n### ")[1:]
    found = {}
    for part in parts:
        [code] = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
        said = re.findall(r"```yaml\n(.*?)```", part, re.DOTALL)
        [name] = re.findall(r'"(\w+)\.onnx"', code)
        found[name] = code, "".join(said)
    return found


def test_every_example_is_tried() -> None:
    assert tuple(examples()) == NAMES


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_an_example_passes_the_check(
    name: str, tmp_path: Path, miniature_registry: Path, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in {"recurrent": ("torch",), "pipeline": ("skl2onnx",)}.get(name, ()):
        pytest.importorskip(library)
    code, said = examples()[name]
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    exec(compile(code, f"{name}.py", "exec"), {"__name__": "__main__"})
    describe(folder / f"{name}.onnx", TASK, **(yaml.safe_load(said) or {}))
    found = check_folder(folder)
    assert (found.faults, found.notes) == ([], [])
    assert found.scores[TASK] is not None
    assert found.scores[TASK] > 60.0


def test_the_limits_are_those_of_the_code() -> None:
    told = dict(re.findall(r"(?m)^\| (\w+) \| (.*) \|$", PAGE))
    ranges = [f"{each[0]} to {each[-1]} of `{domain or 'ai.onnx'}`" for domain, each in OPSETS.items()]
    assert told["opsets"] == ", ".join(ranges)
    sizes = ", ".join(
        [
            f"{MAX_COLUMNS['state']:,} columns of `state`",
            *(f"{MAX_COLUMNS[kind]:,} of `{kind}`" for kind in ("noise", "uniform")),
        ]
    )
    assert told["size"] == f"{MAX_ONNX_BYTES:,} bytes, {MAX_NODES:,} nodes; {sizes}"
    assert {"GRU", "LSTM", "RNN"} < OPERATORS[""]
    assert not OPERATORS[""] & {"RandomNormal", "RandomNormalLike", "RandomUniform", "Loop", "If", "Scan", "Dropout"}


def test_the_keys_are_those_of_the_schema() -> None:
    section = PAGE.split("## A step")[1].split("## Examples")[0]
    told = {name for line in re.findall(r"(?m)^\| (`.*?`) \|", section) for name in re.findall(r"`(\w+)`", line)}
    assert told == set(StepMap.model_fields)
    for name in set(StateMap.model_fields):
        assert f"`{name}`" in section
