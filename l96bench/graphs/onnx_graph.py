"""Build ONNX graphs operator by operator; closures use it to write themselves."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import name_of
from l96bench.errors import ModelError, NoGraphError, user_error

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
        except ModelError:
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
            reason = " ".join(str(error).split())[:200]
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

    def model(self, U: str, K: int) -> Any:
        """Return the complete ONNX model: X (n, K) float64 in, U (n, K) float64 out."""
        from onnx import TensorProto, helper

        self.node("Identity", U, output="U")
        values = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", K]) for name in "XU"]
        graph = helper.make_graph(self.nodes, "closure", values[:1], values[1:], self.constants)
        used = {node.domain for node in self.nodes} | {""}
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items() if domain in used]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
