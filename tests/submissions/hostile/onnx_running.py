"""ONNX files that look harmless, and are refused or contained when they run: memory, other rows, NaN."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Entry = tuple[str, bytes, str]
BUILDER = runpy.run_path(str(Path(__file__).with_name("onnx_files.py")))
model, node, value = (BUILDER[name] for name in ("model", "node", "value"))


def ints(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def entries() -> Iterator[Entry]:
    """Models that pass every look and must be stopped, or refused, when they run: too much memory, other rows, NaN."""
    big = [2**16, 2**16, 8]
    row = {"axes": [0], "keepdims": 1}
    files: dict[str, tuple[bytes, str]] = {
        "expand": (
            model(
                [node("Expand", "X s", "a"), node("ReduceSum", "a z", "b", keepdims=0), node("Add", "X b")],
                {"s": ints(2**14, 2**14, 1, 8), "z": ints(0, 1, 2, 3)},
            ),
            "memory|fails|died",
        ),
        "constant-of-shape": (
            model(
                [node("ConstantOfShape", "s", "a"), node("ReduceSum", "a z", "b", keepdims=0), node("Add", "X b")],
                {"s": ints(*big), "z": ints(0, 1, 2)},
            ),
            "memory|fails|died|cannot load",
        ),
        "tile": (
            model(
                [node("Tile", "X s", "a"), node("ReduceSum", "a z", "b", keepdims=0), node("Add", "X b")],
                {"s": ints(2**20, 2**12), "z": ints(0, 1)},
            ),
            "memory|fails|died",
        ),
        "pad": (
            model(
                [node("Pad", "X p", "a"), node("ReduceSum", "a z", "b", keepdims=0), node("Add", "X b")],
                {"p": ints(0, 0, 0, 2**33), "z": ints(0, 1)},
            ),
            "memory|fails|died",
        ),
        "range": (
            model(
                [node("Range", "o l d", "a"), node("ReduceSum", "a z", "b", keepdims=0), node("Add", "X b")],
                {"o": np.float32(0), "l": np.float32(1e12), "d": np.float32(1), "z": ints(0)},
            ),
            "memory|fails|died|cannot load",
        ),
        "outer-product": (
            model(
                [
                    node("Reshape", "X c", "a"),
                    node("Expand", "a s", "b"),
                    node("Transpose", "b", "t"),
                    node("MatMul", "b t", "m"),
                    node("ReduceSum", "m z", "r", keepdims=0),
                    node("Add", "X r"),
                ],
                {"c": ints(-1, 1), "s": ints(1, 2**21), "z": ints(0, 1)},
            ),
            "memory|fails|died|stopped",
        ),
        "rows-mean": (model([node("ReduceMean", "X", "m", **row), node("Sub", "X m")]), "depends on the other rows"),
        "rows-first": (
            model([node("Gather", "X i", "a", axis=0), node("Add", "X a")], {"i": ints(0)}),
            "depends on the other",
        ),
        "rows-shifted": (
            model(
                [node("Slice", "X o e z", "a"), node("Slice", "X e l z", "b"), node("Concat", "b a", axis=0)],
                {"o": ints(0), "e": ints(1), "l": ints(10**9), "z": ints(0)},
            ),
            "depends on the other rows",
        ),
        "rows-sorted": (
            model([node("CumSum", "X z")], {"z": np.array(0, dtype=np.int64)}),
            "depends on the other rows",
        ),
        "always-nan": (model([node("Sub", "X X", "z"), node("Div", "z z")]), "expected finite U"),
        "infinite": (model([node("Mul", "X c", "a"), node("Exp", "a")], {"c": np.float32(1e30)}), "expected finite U"),
        "out-of-range": (model([node("Gather", "X i", axis=1)], {"i": ints(*range(93, 101))}), "fails|cannot load"),
        "wrong-width": (
            model([node("Concat", "X X", axis=1)], outputs=[value("U", ["n", "k"])]),
            "expected U of shape",
        ),
        "wrong-rows": (model([node("Concat", "X X", axis=0)], outputs=[value("U", ["m", 8])]), "expected U of shape"),
        "no-rows": (
            model([node("ReduceSum", "X z")], {"z": ints(0)}, outputs=[value("U", ["m", 8])]),
            "expected U of shape",
        ),
    }
    for key, (data, reason) in files.items():
        yield f"run/{key}.onnx", data, reason
