"""Hostile ONNX files that are refused before anything runs."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

Entry = tuple[str, bytes, str]


def value(name: str, shape: Any = ("n", 8), kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: list[Any],
    constants: dict[str, Any] | None = None,
    inputs: list[Any] | None = None,
    outputs: list[Any] | None = None,
    opsets: dict[str, int] | None = None,
    ir: int = 8,
    change: Callable[[Any], None] = lambda made: None,
) -> bytes:
    tensors = [
        each if isinstance(each, TensorProto) else numpy_helper.from_array(np.asarray(each), name)
        for name, each in (constants or {}).items()
    ]
    graph = helper.make_graph(
        nodes, "g", [value("X")] if inputs is None else inputs, [value("U")] if outputs is None else outputs, tensors
    )
    imports = [helper.make_opsetid(domain, version) for domain, version in (opsets or {"": 17}).items()]
    made = helper.make_model(graph, opset_imports=imports, ir_version=ir)
    change(made)
    return bytes(made.SerializeToString(deterministic=True))


def node(op: str, inputs: str = "X", output: str = "U", **options: Any) -> Any:
    return helper.make_node(op, inputs.split(), [output], **options)


IDENTITY = [node("Identity")]


def subgraph(*outputs: str) -> Any:
    nodes = [
        helper.make_node("Constant", [], [name], value=helper.make_tensor(name, 1, [1], [1.0])) for name in outputs
    ]
    return helper.make_graph(nodes, "inner", [], [value(name, [1]) for name in outputs])


def tensor(dims: list[int], data: bytes = b"", kind: int = TensorProto.FLOAT) -> Any:
    made = TensorProto()
    made.data_type = kind
    made.dims.extend(dims)
    made.raw_data = data
    made.name = "c"
    return made


def external(path: str) -> Any:
    made = tensor([8])
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, text in (("location", path), ("offset", "0"), ("length", "32")):
        pair = made.external_data.add()
        pair.key, pair.value = key, text
    return made


def with_function(made: Any) -> None:
    made.functions.append(
        helper.make_function(
            "own", "F", ["a"], ["b"], [helper.make_node("F", ["a"], ["b"], domain="own")], [helper.make_opsetid("", 17)]
        )
    )


def with_training(made: Any) -> None:
    made.training_info.add()


def with_sparse(made: Any) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [10**9]))


def entries() -> Iterator[Entry]:
    good = model(IDENTITY)
    files: dict[str, tuple[bytes, str]] = {
        "empty": (b"", "expected an opset"),
        "text": (b"this is a network, honestly", "not an ONNX file"),
        "pickle": (pickle.dumps(np.ones), "not an ONNX file"),
        "zip": (b"PK\x05\x06" + bytes(18), "not an ONNX file"),
        "cut": (good[:-5], "not an ONNX file"),
        "zeros": (bytes(100), "not an ONNX file"),
        "length-bomb": (b"\x3a\xff\xff\xff\xff\x7f" + b"a", "not an ONNX file"),
        "deep-protobuf": (deep_protobuf(), "not an ONNX file"),
        "no-nodes": (model([]), "expected 1 to 5,000 nodes"),
        "no-opset": (model(IDENTITY, change=lambda made: made.ClearField("opset_import")), "expected an opset"),
        "opset-old": (model(IDENTITY, opsets={"": 7}), "expected opset 13 to 28"),
        "opset-future": (model(IDENTITY, opsets={"": 999}), "expected opset 13 to 28"),
        "opset-negative": (model(IDENTITY, opsets={"": -1}), "expected opset 13 to 28"),
        "opset-ml": (model(IDENTITY, opsets={"": 17, "ai.onnx.ml": 99}), "of ai.onnx.ml, got 99"),
        "opset-twice": (model(IDENTITY, opsets={"": 17, "ai.onnx": 13}), "expected each domain of operators once"),
        "ir-future": (model(IDENTITY, ir=9999), "not a valid ONNX model"),
        "function": (model(IDENTITY, change=with_function), "functions in the file are not allowed"),
        "training": (model(IDENTITY, change=with_training), "training information is not allowed"),
        "sparse": (model(IDENTITY, change=with_sparse), "sparse tensors are not allowed"),
        "if": (
            model([node("If", "X", then_branch=subgraph("a"), else_branch=subgraph("b"))]),
            "graphs inside of nodes",
        ),
        "loop": (model([node("Loop", "X", body=subgraph("a"))]), "'Loop' is not allowed"),
        "scan": (model([node("Scan", "X", body=subgraph("a"), num_scan_inputs=1)]), "'Scan' is not allowed"),
        "hidden-graph": (model([node("Identity", body=subgraph("a"))]), "graphs inside of nodes"),
        "no-input": (model(IDENTITY, inputs=[]), "expected one input X, got 0"),
        "no-output": (model(IDENTITY, outputs=[]), "expected one output U, got 0"),
        "two-inputs": (model(IDENTITY, inputs=[value("X"), value("Y")]), "expected one input X, got 2"),
        "two-outputs": (
            model([*IDENTITY, node("Identity", "X", "V")], outputs=[value("U"), value("V")]),
            "one output U",
        ),
        "int-input": (model(IDENTITY, inputs=[value("X", kind=7)], outputs=[value("U", kind=7)]), "float32 or float64"),
        "text-input": (
            model(IDENTITY, inputs=[value("X", kind=8)], outputs=[value("U", kind=8)]),
            "float32 or float64",
        ),
        "half-input": (model(IDENTITY, inputs=[value("X", kind=10)], outputs=[value("U", kind=10)]), "float32 or"),
        "sequence-input": (
            model(IDENTITY, inputs=[helper.make_tensor_sequence_value_info("X", 1, ["n", 8])]),
            "float32 or float64",
        ),
        "fixed-rows": (model(IDENTITY, inputs=[value("X", [4, 8])]), "n free"),
        "other-K": (model(IDENTITY, inputs=[value("X", ["n", 9])]), "of shape (n, 8)"),
        "output-K": (model(IDENTITY, outputs=[value("U", ["n", 1])]), "output U of shape (n, 8)"),
        "one-axis": (model(IDENTITY, inputs=[value("X", ["n"])]), "of shape (n, 8)"),
        "three-axes": (model(IDENTITY, inputs=[value("X", ["n", 8, 1])]), "of shape (n, 8)"),
        "no-shape": (model(IDENTITY, inputs=[value("X", None)]), "of shape (n, 8)"),
        "missing-name": (model([node("Identity", "Z")]), "not a valid ONNX model"),
        "cycle": (model([node("Add", "X V"), node("Identity", "U", "V")]), "not a valid ONNX model"),
        "name-twice": (model([node("Identity"), node("Neg")]), "not a valid ONNX model"),
        "wrong-arity": (model([node("Add", "X")]), "not a valid ONNX model"),
        "bad-attribute": (model([node("Relu", body=3)]), "not a valid ONNX model"),
        "nan-weight": (model([node("Add", "X c")], {"c": np.float32([np.nan])}), "holds NaN"),
        "nan-attribute": (model([node("LeakyRelu", alpha=float("nan"))]), "is NaN"),
        "text-weight": (model([*IDENTITY], {"c": helper.make_tensor("c", 8, [1], [b"a"])}), "holds texts"),
        "huge-dims": (model([node("Add", "X c")], {"c": tensor([2**40])}), "is said to be of shape"),
        "huge-dims-2": (model([node("Add", "X c")], {"c": tensor([2**31, 2**31, 2**31])}), "is said to be of shape"),
        "million-dims": (model([node("Add", "X c")], {"c": tensor([1000, 1000])}), "but holds"),
        "negative-dims": (model([node("Add", "X c")], {"c": tensor([-8], bytes(32))}), "is said to be of shape"),
        "short-data": (model([node("Add", "X c")], {"c": tensor([8], bytes(8))}), "cannot be read"),
        "long-data": (model([node("Add", "X c")], {"c": tensor([1], bytes(80))}), "cannot be read"),
        "odd-type": (model([node("Add", "X c")], {"c": tensor([8], bytes(32), 99)}), "cannot be read"),
        "weight-as-input": (
            model([node("Add", "X c")], {"c": np.ones(8, np.float32), "X": np.ones((1, 8), np.float32)}),
            "expected",
        ),
        "reference": (model([reference()]), "references to attributes"),
        "text-attribute": (model([node("Identity", names=["a", "b"])]), "texts are not allowed"),
    }
    for i, path in enumerate(
        [
            "weights.bin",
            "/etc/passwd",
            "../../secret",
            "/dev/zero",
            "/dev/stdin",
            "http://a/b",
            "",
            "a\0b",
            "~/.ssh/id_rsa",
        ]
    ):
        files[f"external-{i}"] = (model([node("Add", "X c")], {"c": external(path)}), "lies in another file")
    constant = helper.make_node("Constant", [], ["c"], value=external("/etc/passwd"))
    files["external-node"] = (model([constant, node("Add", "X c")]), "lies in another file")
    domains = [
        "com.microsoft",
        "ai.onnx.training",
        "ai.onnx.preview.training",
        "custom",
        "org.pytorch.aten",
        "l96bench",
        "AI.ONNX",
        "ai.onnx.ml.evil",
        "com.nvidia",
        "\u202eml",
    ]
    for i, domain in enumerate(domains):
        files[f"domain-{i}"] = (
            model([helper.make_node("Gelu", ["X"], ["U"], domain=domain)], opsets={"": 17, domain: 1}),
            "of the domain",
        )
    operators = [
        "RandomNormal",
        "RandomUniformLike",
        "RandomNormalLike",
        "Bernoulli",
        "Multinomial",
        "Dropout",
        "SequenceEmpty",
        "SequenceMap",
        "StringNormalizer",
        "TfIdfVectorizer",
        "RegexFullMatch",
        "StringConcat",
        "StringSplit",
        "ImageDecoder",
        "NonZero",
        "NonMaxSuppression",
        "Unique",
        "LpPool",
        "Det",
        "MaxRoiPool",
        "Optional",
        "OptionalHasElement",
        "Resize",
        "Upsample",
        "GridSample",
        "DFT",
        "STFT",
        "QuantizeLinear",
        "DynamicQuantizeLinear",
        "Compress",
        "OneHot",
        "EyeLike",
        "BlackmanWindow",
        "Hardmax",
        "Exec",
        "os.system",
        "<script>",
        "Attention",
    ]
    for i, operator in enumerate(operators):
        files[f"operator-{i:02d}"] = (model([node(operator)]), "is not allowed")
    trees = helper.make_node("TreeEnsembleClassifier", ["X"], ["U"], domain="ai.onnx.ml")
    files["operator-ml"] = (model([trees], opsets={"": 17, "ai.onnx.ml": 3}), "is not allowed")
    for key, (data, reason) in files.items():
        yield f"onnx/{key}.onnx", data, reason


def reference() -> Any:
    made = node("LeakyRelu", alpha=1.0)
    made.attribute[0].ref_attr_name = "alpha"
    return made


def deep_protobuf() -> bytes:
    """Subgraphs inside of each other, deeper than protobuf reads."""
    data = b""
    for _ in range(200):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
            data = tag + varint(len(data)) + data
    return b"\x3a" + varint(len(data)) + data


def varint(number: int) -> bytes:
    out = bytearray()
    while True:
        number, low = number >> 7, number & 127
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def ints(*values: int) -> Any:
    return np.array(values, dtype=np.int64)
