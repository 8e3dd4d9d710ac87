"""Check untrusted ONNX files node by node before a runtime loads them.

`OPERATORS` lists what a file may contain. A graph can still be slow or need much memory: see `contained`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from l96bench.dynamics.steps import StepForm
from l96bench.errors import SubmissionError, shortened
from l96bench.graphs.onnx_remedies import EXTERNAL_DATA, INLINED, OTHER_DOMAIN, OTHER_OPSET, STEP, shape_remedy
from l96bench.graphs.step_form import INPUTS, KINDS, OUTPUTS, read_form

__all__ = [
    "MAX_NODES",
    "MAX_ONNX_BYTES",
    "OPERATORS",
    "OPSETS",
    "PARAMETERS",
    "bare_model",
    "checked_model",
    "given_parameters",
    "onnx_faults",
    "parsed_model",
]

MAX_ONNX_BYTES = 50_000_000
MAX_NODES = 5_000
"""The largest number of nodes of a graph; a network of a hundred layers has a tenth of that."""
OPSETS = {"": range(13, 29), "ai.onnx.ml": range(1, 6)}
"""The allowed operator domains and versions, up to the newest that onnxruntime runs."""
_STANDARD = """
Abs Acos Acosh Add Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh Div Elu Erf Exp Floor Gelu Gemm HardSigmoid HardSwish
Identity LeakyRelu Log LogSoftmax MatMul Max Mean Min Mish Mod Mul Neg PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign
Sin Sinh Softmax Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu
And ArgMax ArgMin Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or TopK Where Xor
AveragePool BatchNormalization Conv ConvTranspose Einsum GlobalAveragePool GroupNormalization InstanceNormalization
LayerNormalization MaxPool RMSNormalization
CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare
Cast CastLike Concat Constant ConstantOfShape DepthToSpace Expand Flatten Gather GatherElements GatherND Pad Range
Reshape ScatterElements ScatterND Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze
GRU LSTM RNN
"""
_LEARNED = """
ArrayFeatureExtractor Binarizer Imputer LinearRegressor Normalizer SVMRegressor Scaler TreeEnsembleRegressor
"""
OPERATORS: dict[str, frozenset[str]] = {"": frozenset(_STANDARD.split()), "ai.onnx.ml": frozenset(_LEARNED.split())}
"""The allowed operators, by domain."""
PARAMETERS = "parameters"
"""The input of files of `unseen-physics` that are told h and c."""
_RECURRENT = ("GRU", "LSTM", "RNN")
_TEXT = 8  # onnx.TensorProto.STRING
_EXTERNAL = 1  # onnx.TensorProto.EXTERNAL


def onnx_faults(data: bytes, name: str = "closure.onnx", K: int | None = None) -> list[str]:
    """Return a line for everything in an ONNX file that is not allowed or prevents running it; nothing is run."""
    return checked_model(data, name, K)[2]


def checked_model(data: bytes, name: str, K: int | None) -> tuple[Any, StepForm | None, list[str]]:
    """Parse an ONNX file, once, and return the model, its form as a step if it is one, and a line for each fault."""
    import onnx

    try:
        model = parsed_model(data, name)
    except SubmissionError as error:
        return None, None, [str(error)]
    try:
        form = read_form(model)
    except SubmissionError as error:
        return model, None, [f"{name}: {each}" for each in str(error).splitlines()]
    found = [*_hidden(data, model), *_versions(model), *_nodes(model.graph), *_weights(model.graph)]
    faults = list(dict.fromkeys([*found, *_signature(model.graph, K, form)]))
    if not faults:
        try:
            onnx.checker.check_model(model, full_check=len(data) < 5_000_000)
            faults = list(_time_steps(model))
        except Exception as error:
            faults = [f"not a valid ONNX model: {short_message(error)}"]
    return model, form, [f"{name}: {each}" for each in shortened(faults)]


def parsed_model(data: bytes, name: str) -> Any:
    """Return the model in the bytes of a file, which is not checked; SubmissionError if it is none, or too large."""
    import onnx

    if len(data) > MAX_ONNX_BYTES:
        raise SubmissionError(f"{name}: expected at most {MAX_ONNX_BYTES:,} bytes, got {len(data):,}")
    try:
        return onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own class
        raise SubmissionError(f"{name}: not an ONNX file: {short_message(error)}") from error


def given_parameters(data: bytes, values: Sequence[float], name: str) -> bytes:
    """Return a file with numbers in the place of its input ``parameters``, (2,) or (1, 2); as it is if it has none."""
    from onnx import helper, numpy_helper

    model = parsed_model(data, name)
    constants = {each.name for each in model.graph.initializer}
    found = [each for each in model.graph.input if each.name == PARAMETERS and each.name not in constants]
    if not found:
        return data
    kind = found[0].type.tensor_type
    shape = [each.dim_value if each.HasField("dim_value") else None for each in kind.shape.dim]
    if shape not in ([len(values)], [1, len(values)]) or kind.elem_type not in (1, 11):  # float32 and float64
        raise SubmissionError(
            f"{name}: expected the input {PARAMETERS!r} to be float32 or float64 of shape ({len(values)},) or "
            f"(1, {len(values)}), got {tuple('n' if each is None else each for each in shape)}"
        )
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=dtype).reshape(shape), PARAMETERS))
    for each in found:
        model.graph.input.remove(each)
    return bytes(model.SerializeToString())


def _time_steps(model: Any) -> Iterator[str]:
    """Yield a fault for recurrent operators that may make more than one step, as inferred from the file's shapes."""
    nodes = [node for node in model.graph.node if node.op_type in _RECURRENT]
    if not nodes:
        return
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    known = {each.name: each.type.tensor_type.shape.dim for each in [*graph.value_info, *graph.input]}
    for node in nodes:
        dims = known.get(node.input[0])
        length = dims[0].dim_value if dims and dims[0].HasField("dim_value") else None
        if any(each.name == "layout" and each.i for each in node.attribute):
            yield f"{node.op_type}: expected the layout (time step, n, features); the runtime has no other"
        elif length != 1:
            came = "an unknown number" if length is None else str(length)
            yield f"{node.op_type}: expected one time step, (1, n, features), got {came}; memory is in `state`"
        if len(node.input) > 4 and node.input[4]:
            yield f"{node.op_type}: expected no lengths of sequences; there is one time step"


def bare_model(model: Any) -> Any:
    """Return a model with nothing but what is checked: the versions of its operators, each once, and the graph."""
    bare = type(model)(ir_version=model.ir_version)
    for domain, versions in _imported(model).items():
        if domain in OPSETS:  # no node has another one
            bare.opset_import.add(domain=domain, version=versions[0])
    bare.graph.CopyFrom(model.graph)
    return bare


def _hidden(data: bytes, model: Any) -> Iterator[str]:
    """Yield a fault for bytes that other readers may take for another model; they are removed from `model`."""
    if data[4:8] == b"ORTM":
        yield "bytes 4 to 8 are ORTM, which onnxruntime takes for a format of its own; expected a plain ONNX file"
    size = model.ByteSize()
    model.DiscardUnknownFields()
    if model.ByteSize() != size:
        yield f"{size - model.ByteSize():,} bytes are in fields that ONNX does not have; export it with a common tool"


def _imported(model: Any) -> dict[str, list[int]]:
    """Return the different versions that a file names for each domain of operators."""
    found: dict[str, list[int]] = {}
    for each in model.opset_import:
        versions = found.setdefault(_domain(each.domain), [])
        if each.version not in versions:
            versions.append(each.version)
    return found


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _versions(model: Any) -> Iterator[str]:
    imported = _imported(model)
    if "" not in imported:
        yield "expected an opset of the standard operators; is this an ONNX file?"
    for domain, versions in imported.items():
        label, allowed = domain or "ai.onnx", OPSETS.get(domain)
        if allowed is None:
            if any(node.domain == domain for node in model.graph.node):  # exporters list what they do not use
                yield f"operators of the domain {domain!r:.60} are not allowed; {OTHER_DOMAIN}"
        elif len(versions) > 1:
            yield f"expected each domain of operators once, got opsets {versions[:5]} of {label}; try {OTHER_OPSET}"
        elif versions[0] not in allowed:
            came = f"got {versions[0]}; try {OTHER_OPSET}"
            yield f"expected opset {allowed[0]} to {allowed[-1]} of {label}, {came}"
    if model.functions:
        yield f"functions in the file are not allowed; {INLINED} writes their operators out"
    if model.training_info:
        yield "training information is not allowed; export the model for inference"


def _nodes(graph: Any) -> Iterator[str]:
    if not 1 <= len(graph.node) <= MAX_NODES:
        yield f"expected 1 to {MAX_NODES:,} nodes, got {len(graph.node):,}"
        return
    for node in graph.node:
        domain = _domain(node.domain)
        if node.op_type not in OPERATORS.get(domain, ()):
            label = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            yield f"the operator {label!r:.80} is not allowed"
        if node.op_type == "BatchNormalization" and _learns(node):
            yield "BatchNormalization in training mode keeps what it sees; export the model for inference (eval())"
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                yield f"graphs inside of nodes are not allowed, got one in {node.op_type!r:.60}"
            if attribute.ref_attr_name:
                yield "references to attributes of functions are not allowed"
            if attribute.strings and domain == "":
                yield "texts are not allowed"


def _learns(node: Any) -> bool:
    """Return whether a BatchNormalization changes its running statistics."""
    training = any(each.name == "training_mode" and each.i != 0 for each in node.attribute)
    return training or len([name for name in node.output if name]) > 1


def tensors(graph: Any) -> Iterator[Any]:
    """Yield every constant tensor of a graph."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _weights(graph: Any) -> Iterator[str]:
    from onnx import numpy_helper

    sparse = graph.sparse_initializer or any(
        attribute.HasField("sparse_tensor") or attribute.sparse_tensors
        for node in graph.node
        for attribute in node.attribute
    )
    if sparse:
        yield "sparse tensors are not allowed"
    elsewhere = [each for each in tensors(graph) if each.data_location == _EXTERNAL or each.external_data]
    if elsewhere:
        more = f" (and {len(elsewhere) - 1:,} more)" if len(elsewhere) > 1 else ""
        label = f"the tensor {elsewhere[0].name!r:.60}{more}"
        yield f"{label} lies in another file; expected all weights in this one: {EXTERNAL_DATA}"
    for tensor in tensors(graph):
        label = f"the tensor {tensor.name!r:.60}"
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            continue
        if tensor.data_type == _TEXT:
            yield f"{label} holds texts"
        elif min(tensor.dims, default=0) < 0 or math.prod(tensor.dims) > 8 * MAX_ONNX_BYTES:
            yield f"{label} is said to be of shape {list(tensor.dims)[:8]}"
        else:
            # What the data are is checked before they are unpacked: an array is never larger than the file.
            size = max(len(tensor.raw_data), 8 * _n_stored(tensor))
            if math.prod(tensor.dims) > 8 * max(size, 1):
                yield f"{label} is said to be of shape {list(tensor.dims)[:8]}, but holds {size:,} bytes"
                continue
            try:
                values = numpy_helper.to_array(tensor)
            except Exception as error:
                yield f"{label} cannot be read: {short_message(error)}"
                continue
            if values.dtype.kind == "f" and np.isnan(values).any():
                yield f"{label} holds NaN"
    for node in graph.node:
        if any(math.isnan(value) for attribute in node.attribute for value in (*attribute.floats, attribute.f)):
            yield f"an attribute of {node.op_type!r:.60} is NaN"


def _n_stored(tensor: Any) -> int:
    return sum(len(getattr(tensor, f"{kind}_data")) for kind in ("float", "int32", "int64", "double", "uint64"))


def _signature(graph: Any, K: int | None, form: StepForm | None) -> Iterator[str]:
    """Yield the faults of the graph's inputs and outputs."""
    constants = {each.name for each in graph.initializer}
    inputs, outputs = [each for each in graph.input if each.name not in constants], list(graph.output)
    if any(each.name in constants for each in graph.input[:1]):
        yield "expected the first input not to have a value of its own"
    if form is None:
        for what, values in (("input X", inputs), ("output U", outputs)):
            if len(values) != 1:
                yield f"expected one {what}, got {len(values)}: {[each.name[:40] for each in values][:5]}; {STEP}"
        ends = [("input X", inputs[0], K)] if len(inputs) == 1 else []
        ends += [("output U", outputs[0], K)] if len(outputs) == 1 else []
    else:
        sizes = {"X": K, "U": K, "mean": K, **{kind: StepForm.size(getattr(form, kind)) for kind in KINDS}}
        sizes["state_out"] = sizes["state"]
        needed = {"X", "U", *(kind for kind in KINDS if sizes[kind]), *(("state_out",) if sizes["state"] else ())}
        ends = []
        for what, values, known in (("input", inputs, INPUTS), ("output", outputs, OUTPUTS)):
            wanted = [name for name in known if name in needed or name == "mean"]
            names = [each.name for each in values]
            if len(set(names)) < len(names) or set(names) - set(wanted) or (needed & set(known)) - set(names):
                came = [each[:40] for each in names][:8]
                yield f"expected the {what}s {wanted}, as its form says, got {came}; {STEP}"
                return
            ends += [(f"{what} {each.name}", each, sizes[each.name]) for each in values]
        if len({each.type.tensor_type.elem_type for what, each, _ in ends if what[6:] in KINDS or "state" in what}) > 1:
            yield "expected state, noise and uniform of one type, float32 or float64"
    said = ""
    for what, value, size in ends:
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or tensor.elem_type not in (1, 11):
            yield f"expected the {what} to be float32 or float64"
            continue
        dims = [each.dim_value if each.HasField("dim_value") else None for each in tensor.shape.dim]
        wrong = len(dims) == 2 and None not in (dims[1], size) and dims[1] != size
        learned = any(node.domain == "ai.onnx.ml" for node in graph.node)
        if wrong and learned and what == "output U" and dims == [None, 1] and not said:
            continue  # skl2onnx writes it of models of several outputs too; what comes is looked at when it runs
        if len(dims) != 2 or dims[0] is not None or wrong:
            remedy = shape_remedy(what == "input X", dims, K) if what in ("input X", "output U") else STEP
            if remedy == said:  # the output has this shape because the input has it
                continue
            said = remedy
            shown = tuple("n" if each is None else each for each in dims)
            expected = f"expected the {what} of shape (n, {'K' if size is None else size}), n free, got {shown}"
            yield f"{expected}; {remedy}"


def short_message(error: BaseException) -> str:
    """Return what an error of another library says, on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
