"""Build ONNX graphs operator by operator; closures use it to write themselves."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import HISTORY_INTERVAL, name_of
from l96bench.dynamics.steps import Block, StepForm
from l96bench.errors import MissingExtraError, ModelError, NoGraphError, user_error, whole_sentences
from l96bench.graphs.step_form import FORM_KEY, KINDS, written_form

__all__ = ["OPSETS", "Graph"]

OPSETS = {"": 17, "ai.onnx.ml": 3}
"""The versions of the operators that are written."""
_IR = 8


class Graph:
    """An ONNX graph being written: each method adds operators and returns the name of their output.

    `regressor` and `transformer` write the graphs of scikit-learn's estimators. `foreign` says whether another library,
    skl2onnx or torch, wrote a part.
    """

    def __init__(self, regressor: Any = None, transformer: Any = None) -> None:
        self._regressor, self._transformer = regressor, transformer
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.foreign = False
        self.past = False
        self._blocks: dict[str, dict[str, tuple[Block, Any]]] = {kind: {} for kind in KINDS}
        self._following: dict[str, str] = {}
        self._mean = ""
        self._n_names = 0

    def name(self) -> str:
        """Return a new, unused name."""
        self._n_names += 1
        return f"v{self._n_names}"

    def constant(self, value: Any, dtype: Any) -> str:
        """Add a constant tensor."""
        from onnx import numpy_helper

        name = self.name()
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=dtype, order="C"), name))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add one operator with one output."""
        from onnx import helper

        output = output or self.name()
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def cast(self, x: str, dtype: Any) -> str:
        """Cast a tensor to float32 or float64."""
        from onnx import helper

        return self.node("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape a tensor; -1 is the remaining size."""
        return self.node("Reshape", x, self.constant(shape, np.int64))

    def gather(self, x: str, index: NDArray, axis: int = 1) -> str:
        """Take entries of a tensor along an axis, such as the stencils of all points."""
        return self.node("Gather", x, self.constant(index, np.int64), axis=axis)

    def largest(self, x: str, n: int) -> str:
        """Add the n-th largest number (rows, 1) of each row of x (rows, columns)."""
        from onnx import helper

        values, count = self.name(), self.constant([n], np.int64)
        self.nodes.append(helper.make_node("TopK", [x, count], [values, self.name()], axis=1))
        return self.gather(values, np.array([n - 1]))

    def polynomial(self, x: str, coefficients: NDArray) -> str:
        """Add ``sum_i c_i x^i`` in float64, with the same bits as `Polynomial`."""
        scalars = [self.constant(value, np.float64) for value in coefficients]
        if len(scalars) == 1:  # of the shape of x, whatever is in it
            shape = self.node("Shape", x)
            return self.node("Expand", scalars[0], shape)
        y = self.node("Mul", x, scalars[-1])
        for i, scalar in enumerate(scalars[-2::-1]):
            y = self.node("Add", y if i == 0 else self.node("Mul", y, x), scalar)
        return y

    def linear(self, x: str, weight: NDArray, bias: NDArray) -> str:
        """Add ``x weight^T + bias`` on the last axis."""
        product = self.node("MatMul", x, self.constant(np.asarray(weight).T, np.asarray(weight).dtype))
        return self.node("Add", product, self.constant(bias, np.asarray(weight).dtype))

    def clipped(self, x: str, low: Any, high: Any) -> str:
        """Add ``min(max(x, low), high)`` in float64."""
        at_least = self.node("Max", x, self.constant(low, np.float64))
        return self.node("Min", at_least, self.constant(high, np.float64))

    def columns(self, x: str) -> str:
        """Return the columns of x (n, width) and one of 1 as rows (width + 1, n), which are copied much faster."""
        one = self.node("Expand", self.constant([[1.0]], np.float64), self.node("Shape", self.gather(x, np.array([0]))))
        return self.node("Transpose", self.node("Concat", x, one, axis=1), perm=[1, 0])

    def closure(self, x: str, closure: Any, K: int) -> str:
        """Add a closure, U (n, K) for X (n, K) in float64; NoGraphError if it has no ``graph``."""
        if not callable(getattr(closure, "graph", None)):
            raise NoGraphError(
                f"no graph is known of {name_of(closure)}: expected a closure with graph(builder, x, K), an "
                "estimator of scikit-learn or a torch.nn.Module; see l96bench.export_onnx"
            )
        try:
            return str(closure.graph(self, x, K))
        except (ModelError, MissingExtraError):
            raise
        except Exception as error:
            raise user_error(f"{name_of(closure)}.graph", error) from error

    def regressor(self, x: str, estimator: Any, width: int) -> str:
        """Add a fitted regressor of float64 rows (n, width): one with ``graph``, or of scikit-learn."""
        if callable(getattr(estimator, "graph", None)) or self._regressor is None:
            return self.closure(x, estimator, width)
        return str(self._regressor(self, x, estimator, width))

    def transformed(self, x: str, transformer: Any, width: int) -> tuple[str, int]:
        """Add a fitted scikit-learn transformer of float64 rows (n, width), and return also the new width."""
        made: tuple[str, int] = self._transformer(self, x, transformer, width)
        return made

    def module(self, x: str, module: Any, K: int) -> str:
        """Add a ``torch.nn.Module`` in inference mode with torch's own exporter, float64 in and out."""
        import onnx
        import torch

        dtype = next((each.dtype for each in module.parameters()), torch.float32)
        training, axes = module.training, {name: {0: "n"} for name in "XU"}
        try:
            with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
                warnings.simplefilter("ignore")  # that there is a newer exporter, which needs more packages
                # What depends on X, but would become a constant.
                warnings.simplefilter("error", torch.jit.TracerWarning)  # type: ignore[attr-defined]
                file = Path(folder) / "closure.onnx"
                torch.onnx.export(module.eval(), (torch.zeros(2, K, dtype=dtype),), file, input_names=["X"],
                                  output_names=["U"], dynamic_axes=axes, opset_version=OPSETS[""],
                                  dynamo=False)  # fmt: skip
                model = onnx.load_model_from_string(file.read_bytes())
        except Exception as error:
            reason = whole_sentences(str(error))
            raise NoGraphError(f"torch cannot write {type(module).__name__}: {reason}") from error
        finally:
            module.train(training)
        return self.merged(x, model)

    def merged(self, x: str, model: Any) -> str:
        """Add the operators of a model that another library wrote, with `x` as its input; float64 in and out."""
        self.foreign = True
        single = model.graph.input[0].type.tensor_type.elem_type == 1
        names = {model.graph.input[0].name: self.cast(x, np.float32) if single else x, "": ""}

        def own(name: str) -> str:
            return names.setdefault(name, self.name())

        for tensor in model.graph.initializer:
            copy = type(tensor)()
            copy.CopyFrom(tensor)
            copy.name = own(tensor.name)
            self.constants.append(copy)
        for node in model.graph.node:
            copy = type(node)()
            copy.CopyFrom(node)
            copy.name = ""
            del copy.input[:], copy.output[:]
            copy.input.extend(own(each) for each in node.input)
            copy.output.extend(own(each) for each in node.output)
            self.nodes.append(copy)
        return self.cast(names[model.graph.output[0].name], np.float64)

    def state(
        self, size: int, dtype: Any, start: Any = 0.0, interval: float = HISTORY_INTERVAL, past: bool = True
    ) -> str:
        """Add columns (n, size) to the state; `keep` says how they go on."""
        self.past |= past
        return self._block("state", Block(size, interval, start), dtype)

    def noise(self, size: int, dtype: Any, interval: float = HISTORY_INTERVAL) -> str:
        """Add standard normal numbers (n, size)."""
        return self._block("noise", Block(size, interval), dtype)

    def uniform(self, size: int, dtype: Any, interval: float = HISTORY_INTERVAL) -> str:
        """Add numbers (n, size) that are uniform on [0, 1)."""
        return self._block("uniform", Block(size, interval), dtype)

    def keep(self, state: str, following: str) -> None:
        """Say what columns of the state are at the next step."""
        self._following[state] = following

    def mean(self, U: str) -> None:
        """Say what the mean of U is."""
        self._mean = U

    def _block(self, kind: str, block: Block, dtype: Any) -> str:
        name = self.name()
        self._blocks[kind][name] = block, np.dtype(dtype)
        return name

    @property
    def is_plain(self) -> bool:
        """Whether there is neither state nor random numbers."""
        return not any(self._blocks.values())

    @property
    def form(self) -> StepForm:
        """The state and the random numbers asked for, blocks of `HISTORY_INTERVAL` first."""
        blocks = {kind: tuple(block for _, block, _ in self._ordered(kind)) for kind in KINDS}
        return StepForm(**blocks, past=self.past)

    def _ordered(self, kind: str) -> list[tuple[str, Block, Any]]:
        found = [(name, *each) for name, each in self._blocks[kind].items()]
        return sorted(found, key=lambda each: not each[1].is_slow)

    def model(self, U: str, K: int) -> Any:
        """Return the complete ONNX model: X (n, K) float64 in, U (n, K) float64 out, and what a step has beside."""
        from onnx import TensorProto, helper

        ends = {"X": (TensorProto.DOUBLE, K)}, {"U": (TensorProto.DOUBLE, K)}
        self.node("Identity", U, output="U")
        written, self.nodes = self.nodes, []
        given = [dtype for kind in KINDS for _, _, dtype in self._ordered(kind)]
        single = bool(given) and all(dtype == np.float32 for dtype in given)
        number = TensorProto.FLOAT if single else TensorProto.DOUBLE
        for kind in KINDS:
            first = 0
            for name, block, dtype in self._ordered(kind):
                ends[0][kind] = number, first + block.size
                index = self.constant([first], np.int64), self.constant([first + block.size], np.int64)
                given_part = kind, *index, self.constant([1], np.int64)
                if single or dtype == np.float64:
                    self.node("Slice", *given_part, output=name)
                else:
                    self.node("Cast", self.node("Slice", *given_part), to=TensorProto.FLOAT, output=name)
                first += block.size
        self.nodes += written
        if states := self._ordered("state"):
            following = [(self._following[name], dtype) for name, _, dtype in states]
            kept = [each if single or dtype == np.float64 else self.cast(each, np.float64) for each, dtype in following]
            self.node("Concat", *kept, axis=1, output="state_out")
            ends[1]["state_out"] = ends[0]["state"]
        if self._mean and not self.form.deterministic:
            self.node("Identity", self._mean, output="mean")
            ends[1]["mean"] = ends[1]["U"]
        inputs, outputs = (
            [helper.make_tensor_value_info(name, dtype, ["n", size]) for name, (dtype, size) in each.items()]
            for each in ends
        )
        graph = helper.make_graph(self.nodes, "closure", inputs, outputs, self.constants)
        used = {node.domain for node in self.nodes} | {""}
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items() if domain in used]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
        if given:
            helper.set_model_props(model, {FORM_KEY: written_form(self.form)})
        return model
