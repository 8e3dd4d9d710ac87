"""Rewrite a step that another tool wrote, with names and layouts of its own, to the form of `step_form`.

Files of recurrent networks have states of shapes like (layers, n, hidden), several of them, and inputs of shape
(1, n, K); `submission.yaml` says under ``step`` which is which.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from l96bench.dynamics.closures import HISTORY_INTERVAL, MODEL_DT
from l96bench.dynamics.steps import Block, StepForm
from l96bench.errors import SubmissionError
from l96bench.graphs.onnx_file import MAX_ONNX_BYTES, parsed_model
from l96bench.graphs.step_form import FORM_KEY, KINDS, form_faults, written_form

__all__ = ["Port", "StateMap", "StepMap", "rewritten"]

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
_FLOATS = (1, 11)  # onnx.TensorProto.FLOAT and DOUBLE
_MAX_RANK = 6
Name = Annotated[str, Field(min_length=1, max_length=200)]
Start = Annotated[tuple[float, ...], Field(strict=False, min_length=1, max_length=20_000)]


def _named(given: Any) -> Any:
    return {"name": given} if isinstance(given, str) else given


def _listed(given: Any) -> Any:
    return given if isinstance(given, list | tuple) else [given]


class TensorLayout(BaseModel):
    """The place of the rows in a tensor of a file.

    Attributes
    ----------
    axis : int
        The axis of the members, n.
    points : bool
        Whether this axis has n K rows, the K points of each member together, in place of n.
    """

    model_config = _STRICT

    axis: Annotated[int, Field(ge=0, lt=_MAX_RANK)] = 0
    points: bool = False


class Port(TensorLayout):
    """An input or output of a file, by its name."""

    name: Name


class StateMap(TensorLayout):
    """A state in a file: the input that takes it, the output that gives the next one, and how it begins.

    Attributes
    ----------
    input, output : str
    start : float, list of float, "normal" or "uniform"
        A number, one for each column in the order of the other axes, or random numbers.
    """

    input: Name
    output: Name
    start: float | Start | Literal["normal", "uniform"] = 0.0


Ports = Annotated[
    tuple[Annotated[Port, BeforeValidator(_named)], ...], Field(strict=False, max_length=20), BeforeValidator(_listed)
]
States = Annotated[tuple[StateMap, ...], Field(strict=False, max_length=20), BeforeValidator(_listed)]
OnePort = Annotated[Port, BeforeValidator(_named)]


class StepMap(BaseModel):
    """The description under ``step`` in `submission.yaml` of the inputs and outputs of a file.

    What is not said has the names of `step_form`: X, state, noise, uniform, U, state_out and mean.

    Attributes
    ----------
    interval : float
        MTU between the states: 0.05, the interval of the training data, or 0.01, the step of the resolved model.
    X, U, mean : Port
    state : list of StateMap
    noise, uniform : list of Port
    past : bool
        Whether the state is driven through the past before the start.
    """

    model_config = _STRICT

    interval: float = HISTORY_INTERVAL
    X: OnePort | None = None
    U: OnePort | None = None
    mean: OnePort | None = None
    state: States | None = None
    noise: Ports | None = None
    uniform: Ports | None = None
    past: bool = True

    def __str__(self) -> str:
        parts = [
            f"{kind} {', '.join(_label(each) for each in getattr(self, kind))}" for kind in KINDS if getattr(self, kind)
        ]
        return f"a step of {self.interval:g} MTU{' with ' if parts else ''}{'; '.join(parts)}"

    def ports(self, model: Any) -> tuple[dict[str, Sequence[Any]], dict[str, Port]]:
        """Return the inputs of each kind, ``X`` among them, and the outputs ``U`` and ``mean``, of a file."""
        inputs, outputs = ({each.name for each in part} for part in (model.graph.input, model.graph.output))
        given: dict[str, Sequence[Any]] = {"X": (self.X or Port(name="X"),)}
        usual = StateMap(input="state", output="state_out")
        given["state"] = self.state if self.state is not None else (usual,) * ("state" in inputs)
        for kind in ("noise", "uniform"):
            said = getattr(self, kind)
            given[kind] = said if said is not None else (Port(name=kind),) * (kind in inputs)
        found = {"U": self.U or Port(name="U")}
        if self.mean is not None or "mean" in outputs:
            found["mean"] = self.mean or Port(name="mean")
        return given, found


def rewritten(data: bytes, said: StepMap, K: int | None = None, name: str = "closure.onnx") -> bytes:
    """Return an ONNX file in the form of a step.

    Parameters
    ----------
    data : bytes
        The file, which is not run.
    said : StepMap
    K : int, optional
        Number of points; needed where an axis has n K rows.
    name : str
        Name in messages.

    Raises
    ------
    SubmissionError
        If the file is no ONNX file, or has not the inputs and outputs of which something is said.
    """
    model = parsed_model(data, name)
    given, found = said.ports(model)
    if faults := [f"{name}: {each}" for each in _faults(model, said, given, found)]:
        raise SubmissionError("\n".join(faults[:20]))
    return bytes(_Writer(model, said, K, name).model(given, found).SerializeToString())


def _faults(model: Any, said: StepMap, given: dict[str, Sequence[Any]], found: dict[str, Port]) -> Iterator[str]:
    """Yield what prevents the rewriting: names that the file has not, or has twice, and those that are left over."""
    if any(each.key == FORM_KEY for each in model.metadata_props):
        yield f"the file's metadata say its form, {FORM_KEY}; leave `step` away"
    if said.interval not in (HISTORY_INTERVAL, MODEL_DT):
        yield f"step: expected an interval of {HISTORY_INTERVAL} or {MODEL_DT} MTU, got {said.interval!r}"
    constants = {each.name for each in model.graph.initializer}
    inputs = [each.name for each in model.graph.input if each.name not in constants]
    outputs = [each.name for each in model.graph.output]
    wanted = [_label(each) for ports in given.values() for each in ports]
    given_out = [each.name for each in found.values()] + [each.output for each in given["state"]]
    for what, names, known in (("input", wanted, inputs), ("output", given_out, outputs)):
        for each in dict.fromkeys(names):
            if names.count(each) > 1:
                yield f"step: expected the {what} {each!r:.60} once, got it {names.count(each)} times"
            elif each not in known:
                yield f"step: the file has no {what} {each!r:.60}, but {[name[:40] for name in known][:8]}"
        if left := [each for each in known if each not in names]:
            yield f"step: what are the {what}s {[each[:40] for each in left][:8]} of the file? say it, or leave it out"
    if both := sorted(set(inputs) & set(outputs)):
        yield f"step: expected outputs that are computed, got the inputs {[each[:40] for each in both][:8]} themselves"


class _Writer:
    """A file being rewritten: its own graph under other names, between the inputs and outputs of a step."""

    def __init__(self, model: Any, said: StepMap, K: int | None, name: str) -> None:
        self.old, self.said, self.name = model, said, name
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.values = {each.name: each for each in [*model.graph.input, *model.graph.output]}
        self.K = K

    def model(self, given: dict[str, Sequence[Any]], found: dict[str, Port]) -> Any:
        """Return the model."""
        from onnx import TensorProto, helper

        [X] = given["X"]
        width = self._sizes(X)[1]
        K = width if not X.points else (self.K or 0)
        if X.points and (width != 1 or not K):
            raise SubmissionError(f"{self.name}: step: expected X of one number at each of the points, got {width}")
        self.K = K
        types = {self._type(_label(each)) for kind in KINDS for each in given[kind]} or {TensorProto.DOUBLE}
        number = TensorProto.FLOAT if types == {TensorProto.FLOAT} else TensorProto.DOUBLE
        inputs: dict[str, tuple[int, int]] = {"X": (self._type(X.name), K)}
        self._enter("X", X, K, self._type(X.name))
        blocks: dict[str, tuple[Block, ...]] = {}
        for kind in KINDS:
            first, own = 0, []
            for port in given[kind]:
                size = self._sizes(port)[1] * (K if port.points else 1)
                self._enter(kind, port, size, number, first)
                own.append(Block(size, self.said.interval, *((port.start,) if kind == "state" else ())))
                first += size
            blocks[kind] = tuple(own)
            if first:
                inputs[kind] = number, first
        form = StepForm(**blocks, past=self.said.past)
        if faults := [f"{self.name}: step: {each}" for each in form_faults(form)]:
            raise SubmissionError("\n".join(faults))
        self._own_graph()
        outputs = {key: (self._leave(key, port, K), K) for key, port in found.items()}
        if states := given["state"]:
            parts = [
                self._left(each.output, each, self._sizes(each)[1] * (K if each.points else 1), number)
                for each in states
            ]
            self._add("Concat", parts, "state_out", axis=1)
            outputs["state_out"] = inputs["state"]
        starts, stops = (
            [helper.make_tensor_value_info(name, kind, ["n", size]) for name, (kind, size) in each.items()]
            for each in (inputs, outputs)
        )
        graph = helper.make_graph(self.nodes, "step", starts, stops, self.constants)
        model = type(self.old)(ir_version=self.old.ir_version)
        model.opset_import.extend(self.old.opset_import)
        model.functions.extend(self.old.functions)
        model.graph.CopyFrom(graph)
        helper.set_model_props(model, {FORM_KEY: written_form(form)})
        return model

    def _enter(self, kind: str, port: Any, size: int, number: int, first: int = 0) -> None:
        """Add the way from columns of an input to the file's own input."""
        name, (others, _) = _label(port), self._sizes(port)
        if kind != "X":
            ends = (self._constant([end]) for end in (first, first + size))
            part = self._add("Slice", [kind, *ends, self._constant([1])])
        else:
            part = "X"
        if number != self._type(name):
            part = self._add("Cast", [part], to=self._type(name))
        rows = self._add("Reshape", [part, self._constant([-1, *others])])
        order = [*range(1, port.axis + 1), 0, *range(port.axis + 1, len(others) + 1)]
        self._add("Transpose", [rows], _own(name), perm=order)

    def _left(self, name: str, port: Any, size: int, number: int | None = None, output: str = "") -> str:
        """Add the way from an output of the file to columns (n, size)."""
        rank = len(self._dims(name))
        if port.axis >= rank:
            raise SubmissionError(f"{self.name}: step: {name!r:.60} has {rank} axes, no axis {port.axis}")
        order = [port.axis, *(i for i in range(rank) if i != port.axis)]
        rows = self._add("Transpose", [_own(name)], perm=order)
        last = "" if number not in (None, self._type(name)) else output
        flat = self._add("Reshape", [rows, self._constant([-1, size])], last)
        return flat if number in (None, self._type(name)) else self._add("Cast", [flat], output, to=number)

    def _leave(self, key: str, port: Port, K: int) -> int:
        """Add the way from an output of the file to U or its mean; return its type."""
        self._left(port.name, port, K, output=key)
        return self._type(port.name)

    def _own_graph(self) -> None:
        """Add the file's own operators and constants under names that meet no other."""
        for tensor in self.old.graph.initializer:
            self.constants.append(_renamed(tensor))
        for node in self.old.graph.node:
            copy = type(node)()
            copy.CopyFrom(node)
            del copy.input[:], copy.output[:]
            copy.input.extend(_own(each) for each in node.input)
            copy.output.extend(_own(each) for each in node.output)
            self.nodes.append(copy)

    def _sizes(self, port: Any) -> tuple[list[int], int]:
        """Return the sizes of a tensor's axes but that of the rows, and their product."""
        name = _label(port)
        dims = self._dims(name)
        if port.axis >= len(dims):
            raise SubmissionError(f"{self.name}: step: {name!r:.60} has {len(dims)} axes, no axis {port.axis}")
        others = dims[: port.axis] + dims[port.axis + 1 :]
        if not all(each and each > 0 for each in others):
            shown = tuple("n" if each is None else each for each in dims)
            raise SubmissionError(
                f"{self.name}: step: expected fixed sizes of {name!r:.60} but for axis {port.axis}, which is n, "
                f"got {shown}; say axis: .. where n stands, or export it with fixed sizes for the others"
            )
        sizes = [int(each) for each in others if each]
        if (size := math.prod(sizes)) > MAX_ONNX_BYTES:
            raise SubmissionError(f"{self.name}: step: expected fewer numbers a row of {name!r:.60}, got {size:,}")
        return sizes, size

    def _dims(self, name: str) -> list[int | None]:
        value = self.values[name].type
        dims = [each.dim_value if each.HasField("dim_value") else None for each in value.tensor_type.shape.dim]
        if not value.HasField("tensor_type") or not 1 <= len(dims) <= _MAX_RANK:
            raise SubmissionError(f"{self.name}: step: expected {name!r:.60} of 1 to {_MAX_RANK} axes, got {len(dims)}")
        return dims

    def _type(self, name: str) -> int:
        found = int(self.values[name].type.tensor_type.elem_type)
        if found not in _FLOATS:
            raise SubmissionError(f"{self.name}: step: expected {name!r:.60} to be float32 or float64")
        return found

    def _add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or f"step/{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def _constant(self, values: Sequence[int]) -> str:
        from onnx import numpy_helper

        name = f"step/c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))
        return name


def _label(port: Any) -> str:
    """Return the name of the file's input."""
    return str(getattr(port, "name", None) or port.input)


def _own(name: str) -> str:
    return f"file/{name}" if name else ""


def _renamed(tensor: Any) -> Any:
    copy = type(tensor)()
    copy.CopyFrom(tensor)
    copy.name = _own(tensor.name)
    return copy
