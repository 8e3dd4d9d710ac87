"""Hostile steps: forms that say what is not so, and states and random numbers that are misused."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

Entry = tuple[str, bytes, str]
BUILDER = runpy.run_path(str(Path(__file__).with_name("onnx_files.py")))
model, node, value = (BUILDER[name] for name in ("model", "node", "value"))
STATE: dict[str, Any] = {"size": 8, "interval": 0.05, "start": 0.0}
NOISE: dict[str, Any] = {"size": 8, "interval": 0.05}
AR1 = [
    node("Mul", "state h", "kept"),
    node("Add", "kept noise", "state_out"),
    node("Sub", "state_out X"),
]
HALF = {"h": np.float32(0.5)}
DOUBLE = TensorProto.DOUBLE


def step(
    nodes: list[Any] = AR1,
    form: Any = None,
    inputs: tuple[str, ...] = ("X", "state", "noise"),
    outputs: tuple[str, ...] = ("U", "state_out"),
    constants: dict[str, Any] | None = None,
    **values: Any,
) -> bytes:
    """A step whose metadata say `form` (a text as it is); `values` replace inputs and outputs by name."""
    said = {"format": 1, "state": [STATE], "noise": [NOISE]} if form is None else form

    def change(made: Any) -> None:
        for text in said if isinstance(said, tuple) else (said,):
            pair = made.metadata_props.add()
            pair.key, pair.value = "l96bench.step", text if isinstance(text, str) else json.dumps(text)

    ends = [[values.get(name, value(name)) for name in names] for names in (inputs, outputs)]
    return bytes(model(nodes, {**HALF, **(constants or {})}, *ends, change=change))


def of(**fields: Any) -> dict[str, Any]:
    """A form in which some fields are others."""
    return {"format": 1, "state": [STATE], "noise": [NOISE], **fields}


def recurrent(operator: str, gates: int, *, length: str = "X1", lengths: str = "", layout: int = 0) -> bytes:
    """A recurrent operator of four units on an input called `length`, with its state."""
    weights = {
        "W": np.full((1, gates * 4, 8), 0.1, dtype=np.float32),
        "R": np.full((1, gates * 4, 4), 0.1, dtype=np.float32),
        "O": np.full((4, 8), 0.1, dtype=np.float32),
        "one": np.array([1, -1, 8], dtype=np.int64),
        "back": np.array([-1, 4], dtype=np.int64),
        "hidden": np.array([1, -1, 4], dtype=np.int64),
        "free": np.array([2, -1, 8], dtype=np.int64),
        "counts": np.array([1, 1], dtype=np.int32),
    }
    nodes = [
        node("Reshape", "X one", "X1"),
        *([helper.make_node("Concat", ["X1", "X1"], ["X2"], axis=0)] if length == "X2" else []),
        *([node("Reshape", "X free", "Xn")] if length == "Xn" else []),
        node("Reshape", "state hidden", "h0"),
        helper.make_node(
            operator,
            [length, "W", "R", "", lengths, "h0"],
            ["Y", "h1"],
            hidden_size=4,
            **({"layout": 1} if layout else {}),
        ),
        node("Reshape", "h1 back", "state_out"),
        node("MatMul", "state_out O"),
    ]
    form = {"format": 1, "state": [{**STATE, "size": 4}]}
    four = {name: value(name, ["n", 4]) for name in ("state", "state_out")}
    return step(nodes, form, ("X", "state"), constants=weights, **four)


def forms() -> dict[str, tuple[bytes, str]]:
    """Metadata that no step can have, or that say another form than the file has."""
    many = [{**STATE, "size": 1}] * 101
    mixed = [{**STATE, "size": 4, "interval": 0.01}, {**STATE, "size": 4}]
    said: dict[str, tuple[Any, str]] = {
        "no-json": ("{", "not valid JSON"),
        "a-list": ([], "expected a mapping"),
        "no-format": ({"state": [STATE], "noise": [NOISE]}, "with format 1"),
        "format-2": (of(format=2), "with format 1"),
        "unknown-key": (of(age=1), "expected a mapping"),
        "twice": ((of(), of()), "once"),
        "a-key-twice": ('{"format": 1, "format": 1, "state": []}', "not valid JSON"),
        "past-in-words": (of(past="yes"), "expected past to be true or false"),
        "past-as-number": (of(past=1), "expected past to be true or false"),
        "no-list": (of(state=STATE), "expected a list"),
        "many-blocks": (of(state=many), "at most 100 blocks"),
        "a-text-as-block": (of(state=["state"]), "expected blocks of state"),
        "no-size": (of(state=[{"interval": 0.05}]), "expected blocks of state"),
        "unknown-part": (of(state=[{**STATE, "clip": 1}]), "expected blocks of state"),
        "start-of-noise": (of(noise=[{**NOISE, "start": 1.0}]), "expected blocks of noise"),
        "size-true": (of(state=[{**STATE, "size": True}]), "a whole size"),
        "size-real": (of(state=[{**STATE, "size": 8.0}]), "a whole size"),
        "size-0": (of(state=[{**STATE, "size": 0}]), "at least one column"),
        "size-negative": (of(state=[{**STATE, "size": -8}]), "at least one column"),
        "size-huge": (of(state=[{**STATE, "size": 10**9}]), "at most 20,000 columns"),
        "noise-huge": (of(noise=[{**NOISE, "size": 4001}]), "at most 4,000 columns"),
        "interval-between": (of(state=[{**STATE, "interval": 0.02}]), "expected an interval of 0.05"),
        "interval-0": (of(state=[{**STATE, "interval": 0.0}]), "expected an interval of 0.05"),
        "interval-negative": (of(noise=[{**NOISE, "interval": -0.05}]), "expected an interval of 0.05"),
        "interval-in-words": (of(state=[{**STATE, "interval": "model"}]), "an interval in MTU"),
        "start-in-words": (of(state=[{**STATE, "start": "random"}]), "numbers, normal or uniform"),
        "start-of-texts": (of(state=[{**STATE, "start": ["1"] * 8}]), "numbers, normal or uniform"),
        "start-nan": ('{"format": 1, "state": [{"size": 8, "start": NaN}], "noise": [{"size": 8}]}', "not valid JSON"),
        "start-infinite": ('{"format": 1, "state": [{"size": 8, "start": 1e999}], "noise": [{"size": 8}]}', ""),
        "start-short": (of(state=[{**STATE, "start": [0.0] * 7}]), "expected a start of 8 numbers"),
        "order": (of(state=mixed), "before the others"),
        "other-size": (of(state=[{**STATE, "size": 7}]), r"expected the input state of shape"),
        "no-noise": (of(noise=[]), "expected the inputs"),
        "uniform-too": (of(uniform=[NOISE]), "expected the inputs"),
        "nothing": ({"format": 1}, "expected the inputs"),
    }
    return {name: (step(form=form), reason) for name, (form, reason) in said.items()}


def ends() -> dict[str, tuple[bytes, str]]:
    """Inputs and outputs that are not those of a step."""
    ids = [node("Identity", "state", "state_out"), node("Sub", "X noise")]
    cast = [node("Cast", "noise", "z", to=1), AR1[0], node("Add", "kept z", "state_out"), AR1[2]]
    return {
        "x-small": (
            step([*AR1[:2], node("Sub", "state_out x")], inputs=("x", "state", "noise")), "expected the inputs"
        ),
        "one-more-input": (step(inputs=("X", "state", "noise", "time")), "expected the inputs"),
        "one-more-output": (step(outputs=("U", "state_out", "kept")), "expected the outputs"),
        "no-next-state": (step(outputs=("U",)), "expected the outputs"),
        "no-U": (step(outputs=("state_out",)), "expected the outputs"),
        "fixed-n": (step(state=value("state", [4, 8])), "expected the input state of shape"),
        "three-axes": (step(state=value("state", [1, "n", 8])), "expected the input state of shape"),
        "whole-numbers": (step(ids, state=value("state", kind=TensorProto.INT64)), "to be float32 or float64"),
        "half-precision": (step(noise=value("noise", kind=TensorProto.FLOAT16)), "to be float32 or float64"),
        "two-types": (
            step(cast, noise=value("noise", kind=DOUBLE)),
            "of one type",
        ),
        "own-numbers": (step([node("RandomNormalLike", "X", "r"), *AR1]), "RandomNormalLike"),
        "undeclared-form": (
            bytes(model(AR1, HALF, [value(name) for name in ("X", "state", "noise")],
                        [value("U"), value("state_out")])), "expected one input X, got 3",
        ),
        "two-steps": (recurrent("GRU", 3, length="X2"), "GRU: expected one time step, .* got 2"),
        "two-steps-of-lstm": (recurrent("LSTM", 4, length="X2"), "LSTM: expected one time step, .* got 2"),
        "two-steps-of-rnn": (recurrent("RNN", 1, length="X2"), "RNN: expected one time step, .* got 2"),
        "pairs-of-rows": (recurrent("GRU", 3, length="Xn"), "GRU: expected one time step, .* got 2"),
        "lengths": (recurrent("GRU", 3, lengths="counts"), "no lengths of sequences"),
        "layout": (recurrent("GRU", 3, layout=1), "the runtime has no other|expected one time step|not a valid"),
    }  # fmt: skip


def running() -> dict[str, tuple[bytes, str]]:
    """Steps that look harmless."""
    one = {"one": np.float32(1.0), "two": np.float32(2.0), "z": np.array([0], dtype=np.int64), "huge": np.float32(1e30)}
    minus = node("Sub", "state_out X")
    noisy = node("Add", "minus noise")
    rows: dict[str, tuple[list[Any], str]] = {
        "counter": ([node("Add", "state one", "state_out"), node("Sub", "noise X")], "stays bounded"),
        "hidden-counter": (
            [node("Add", "state one", "state_out"), node("Mul", "state zero", "nothing"), node("Sub", "noise X", "b"),
             node("Add", "b nothing")], "stays bounded",
        ),
        "adds-X": ([node("Add", "state X", "state_out"), node("Sub", "noise X")], "stays bounded"),
        "adds-noise": ([node("Add", "state noise", "state_out"), minus], "stays bounded"),
        "doubles": (
            [node("Mul", "state two", "d"), node("Add", "d noise", "state_out"), minus], "finite|bounded",
        ),
        "explodes": (
            [node("Mul", "state huge", "d"), node("Add", "d noise", "state_out"), minus], "finite|bounded|noise",
        ),
        "nan-state": ([node("Div", "state state", "state_out"), node("Sub", "noise X")], "expected finite U and state"),
        "nan-U": ([*AR1[:2], node("Log", "state_out")], "expected finite U and state"),
        "noise-ignored": (
            [node("Mul", "state h", "state_out"), node("Mul", "noise zero", "n"), node("Sub", "n X")],
            "neither U nor the state depends on noise",
        ),
        "mean-of-rows": (
            [*AR1[:2], node("ReduceMean", "X", "m", axes=[0], keepdims=1), node("Sub", "state_out m")],
            "depends on the other rows",
        ),
        "state-of-others": (
            [node("ReduceMean", "state", "m", axes=[0], keepdims=1), node("Sub", "state m", "d"),
             node("Add", "d noise", "state_out"), minus], "depends on the other rows",
        ),
        "noise-of-others": (
            [node("CumSum", "noise zi", "c"), AR1[0], node("Add", "kept c", "state_out"), minus],
            "depends on the other rows",
        ),
        "place-in-the-batch": (
            [*AR1[:2], node("CumSum", "ones zi", "p"), node("Add", "state_out p")], "depends on the other rows",
        ),
        "fewer-rows": ([AR1[0], node("ReduceSum", "kept z", "state_out"), noisy], "expected state_out"),
        "wide-state": ([node("Concat", "state state", "state_out", axis=1), noisy], "expected state_out|not a valid"),
    }  # fmt: skip
    found = {}
    for name, (nodes, reason) in rows.items():
        more: dict[str, Any] = {**one, "zero": np.float32(0.0), "zi": np.array(0, dtype=np.int64)}
        first = [node("Neg", "X", "minus")] if any("minus" in each.input for each in nodes) else []
        if name == "place-in-the-batch":
            first = [node("Sub", "X X", "zeros"), node("Add", "zeros one", "ones")]
        free = {"state_out": value("state_out", ["m", "k"])} if name in ("fewer-rows", "wide-state") else {}
        found[name] = step([*first, *nodes], constants=more, **free), reason
    return found


def watchful() -> dict[str, tuple[bytes, str]]:
    """Steps that tell their age or their batch, begin where no counter is expected, or fail rarely."""
    minus = [node("Neg", "X", "minus"), node("Add", "minus noise", "V")]
    numbers = {"one": 1.0, "zero": 0.0, "nine": 9.0, "four": 4.0, "many": 100.0, "grown": 1.0015, "shrunk": 0.9999}
    more: dict[str, Any] = {name: np.float32(number) for name, number in numbers.items()}
    late = [node("Less", "state zero", "l"), node("Cast", "l", "late", to=1), node("Mul", "late nine", "w")]
    kept = node("Mul", "state h", "state_out")
    big = [node("Shape", "X", "s"), node("Gather", "s i0", "n", axis=0), node("Cast", "n", "nf", to=1),
           node("Greater", "nf many", "b"), node("Cast", "b", "big", to=1)]  # fmt: skip
    pooled = [node("ReduceMean", "X", "m", axes=[0], keepdims=1), node("Mul", "m big", "w"), node("Add", "V w")]
    of_rows = node("ReduceMean", "X", "mean0", axes=[0], keepdims=1)
    rows: dict[str, tuple[list[Any], Any, str]] = {
        "counts-down": ([node("Sub", "state one", "state_out"), *late, node("Add", "V w")], 3000.0, "age of a run"),
        "counts-down-at-0.01": (
            [node("Sub", "state one", "state_out"), *late, node("Add", "V w")], (9000.0, 0.01), "age of a run",
        ),
        "forgets-slowly": ([node("Mul", "state shrunk", "state_out"), node("Add", "V state")], 9.0, "age of a run"),
        "counts-from-afar": ([node("Add", "state one", "state_out"), node("Add", "V zero")], 10.0, "stays bounded"),
        "grows-slowly": ([node("Mul", "state grown", "state_out"), node("Add", "V zero")], 1.0, "bounded|finite"),
        "size-of-the-batch": ([kept, *big, node("Add", "V big")], 0.0, "on their number"),
        "pools-large-batches": ([kept, *big, *pooled], 0.0, "on their number"),
        "mean-of-others": ([kept, node("Add", "V zero"), of_rows, node("Sub", "mean0 zero", "m0"),
                            node("Sub", "X X", "x0"), node("Add", "x0 m0", "mean")], 0.0, "depends on the other rows"),
        "mean-nan": ([kept, node("Add", "V zero"), node("Sub", "X X", "x0"), node("Div", "x0 x0", "mean")], 0.0,
                     "expected finite U and state, and mean"),
        "rarely-nan": ([kept, node("Sub", "four noise", "d"), node("Log", "d", "g"), node("Mul", "g zero", "w"),
                        node("Add", "V w")], 0.0, "numbers up to 6"),
    }  # fmt: skip
    found = {}
    for name, (nodes, start, reason) in rows.items():
        number, interval = start if isinstance(start, tuple) else (start, 0.05)
        form = of(state=[{"size": 8, "interval": interval, "start": number}], noise=[NOISE])
        outputs = ("U", "state_out", "mean") if name.startswith("mean") else ("U", "state_out")
        constants = {**more, "i0": np.array(0, dtype=np.int64)}
        found[name] = step([*minus, *nodes], form, outputs=outputs, constants=constants), reason
    learns = helper.make_node("BatchNormalization", ["V", "S", "O", "M", "W"], ["U", "M2", "W2"], training_mode=1)
    eight = dict.fromkeys("SOMW", np.ones(8, dtype=np.float32))
    found["learns"] = step([kept, *minus, learns], constants=eight), "BatchNormalization in training mode"
    return found


def entries() -> Iterator[Entry]:
    """Steps that are refused: for what their metadata say, for their inputs and outputs, for what they do."""
    for key, (data, reason) in (forms() | ends() | running() | watchful()).items():
        yield f"step/{key}.onnx", data, reason
