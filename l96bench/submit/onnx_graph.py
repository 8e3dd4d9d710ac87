"""Models of this library and of scikit-learn as ONNX graphs, operator by operator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.errors import ModelError

__all__ = ["OPSETS", "Graph"]

OPSETS = {"": 17, "ai.onnx.ml": 3}
"""Versions of the operators that are written."""
_IR = 8


class Graph:
    """An ONNX graph that grows: each method adds operators and gives the name of what comes out."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._n_names = 0

    def name(self) -> str:
        """A name that is not taken."""
        self._n_names += 1
        return f"v{self._n_names}"

    def constant(self, value: Any, dtype: Any) -> str:
        """A constant tensor."""
        from onnx import numpy_helper

        name = self.name()
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=dtype, order="C"), name))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """One operator with one output."""
        from onnx import helper

        output = output or self.name()
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def cast(self, x: str, dtype: Any) -> str:
        """A tensor as float32 or float64."""
        from onnx import helper

        return self.node("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, x: str, *shape: int) -> str:
        """A tensor in another shape; -1 for what is left."""
        return self.node("Reshape", x, self.constant(shape, np.int64))

    def gather(self, x: str, index: NDArray, axis: int = 1) -> str:
        """Entries of a tensor along an axis, such as the stencils of all points."""
        return self.node("Gather", x, self.constant(index, np.int64), axis=axis)

    def polynomial(self, x: str, coefficients: NDArray) -> str:
        """``sum_i c_i x^i``, float64, in the arithmetic of `Polynomial`: the same bits."""
        scalars = [self.constant(value, np.float64) for value in coefficients]
        if len(scalars) == 1:  # of the shape of x, whatever is in it
            shape = self.node("Shape", x)
            return self.node("Expand", scalars[0], shape)
        y = self.node("Mul", x, scalars[-1])
        for i, scalar in enumerate(scalars[-2::-1]):
            y = self.node("Add", y if i == 0 else self.node("Mul", y, x), scalar)
        return y

    def linear(self, x: str, weight: NDArray, bias: NDArray) -> str:
        """``x weight^T + bias`` on the last axis."""
        product = self.node("MatMul", x, self.constant(np.asarray(weight).T, np.asarray(weight).dtype))
        return self.node("Add", product, self.constant(bias, np.asarray(weight).dtype))

    def activated(self, x: str, activation: str, dtype: Any) -> str:
        """An activation of `TorchRegressor`."""
        match activation:
            case "tanh":
                return self.node("Tanh", x)
            case "relu":
                return self.node("Relu", x)
            case "silu":
                return self.node("Mul", x, self.node("Sigmoid", x))
            case "gelu":
                erf = self.node("Erf", self.node("Mul", x, self.constant(2**-0.5, dtype)))
                half = self.node("Mul", x, self.constant(0.5, dtype))
                return self.node("Mul", half, self.node("Add", erf, self.constant(1.0, dtype)))
        raise ModelError(f"expected one of the activations tanh, relu, silu and gelu, got {activation!r}")

    def layers(self, x: str, network: Any, mixing: Any = None) -> str:
        """The layers of a `TorchRegressor` or `RingNetwork`, float32; `mixing` gathers what a layer sees."""
        pairs = [
            (coef.reshape(len(coef), -1), bias) for coef, bias in zip(network.coefs_, network.intercepts_, strict=True)
        ]
        width = network.coefs_[0].shape[-1]
        for i, (weight, bias) in enumerate(pairs[:-1]):
            seen = x if mixing is None else mixing(x, width)
            z = self.activated(self.linear(seen, weight, bias), network.activation, np.float32)
            x = self.node("Add", x, z) if getattr(network, "residual", False) and i and width == len(weight) else z
            width = len(weight)
        return self.linear(x, *pairs[-1])

    def powers(self, x: str, exponents: NDArray) -> str:
        """Products of columns (n, terms) with these exponents (terms, columns), float64: polynomial features."""
        n_columns, degree = exponents.shape[1], max(1, int(exponents.sum(axis=1).max()))
        factors = [np.repeat(np.arange(n_columns), row) for row in exponents]
        padded = [np.pad(each, (0, degree - len(each)), constant_values=n_columns) for each in factors]
        first = self.gather(x, np.array([0]))
        one = self.node("Expand", self.constant([[1.0]], np.float64), self.node("Shape", first))
        columns = self.gather(self.node("Concat", x, one, axis=1), np.array(padded))
        return self.node("ReduceProd", columns, axes=[2], keepdims=0)

    def scaled(self, x: str, mean: NDArray | None, scale: NDArray | None) -> str:
        """``(x - mean) / scale``, float64."""
        if mean is not None:
            x = self.node("Sub", x, self.constant(mean, np.float64))
        return x if scale is None else self.node("Div", x, self.constant(scale, np.float64))

    def forest(self, x: str, trees: list[Any]) -> str:
        """The mean (n, 1) of decision trees in the arithmetic of scikit-learn: the same bits.

        The operator for trees computes in float32. It therefore only finds the number of each tree's leaf, which is
        exact; the leaves' values are looked up in float64 and added in the trees' order.
        """
        first = np.cumsum([0, *(tree.node_count for tree in trees)])
        leaf = np.concatenate([tree.children_left < 0 for tree in trees])
        # In scikit-learn a float32 is compared with a float64: the next float32 below says the same.
        threshold = np.concatenate([tree.threshold for tree in trees])
        rounded = threshold.astype(np.float32)
        rounded = np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)
        own = np.concatenate([np.arange(tree.node_count) for tree in trees])
        owner = np.repeat(np.arange(len(trees)), np.diff(first))
        children = [np.concatenate([getattr(tree, f"children_{side}") for tree in trees]) for side in ("left", "right")]
        feature = np.concatenate([tree.feature for tree in trees])
        found = self.node(
            "TreeEnsembleRegressor",
            self.cast(x, np.float32),
            domain="ai.onnx.ml",
            n_targets=len(trees),
            nodes_falsenodeids=np.where(leaf, 0, children[1]).tolist(),
            nodes_featureids=np.where(leaf, 0, feature).tolist(),
            nodes_modes=["LEAF" if each else "BRANCH_LEQ" for each in leaf],
            nodes_nodeids=own.tolist(),
            nodes_treeids=owner.tolist(),
            nodes_truenodeids=np.where(leaf, 0, children[0]).tolist(),
            nodes_values=np.where(leaf, 0, rounded).tolist(),
            target_ids=owner[leaf].tolist(),
            target_nodeids=own[leaf].tolist(),
            target_treeids=owner[leaf].tolist(),
            target_weights=own[leaf].astype(float).tolist(),
        )
        number = self.node("Cast", found, to=7)  # int64
        index = self.node("Add", number, self.constant(first[:-1], np.int64))
        table = self.constant(np.concatenate([tree.value[:, 0, 0] for tree in trees]), np.float64)
        values = self.node("Gather", table, index, axis=0)
        total = self.gather(values, np.array([0]))
        for i in range(1, len(trees)):
            total = self.node("Add", total, self.gather(values, np.array([i])))
        return self.node("Div", total, self.constant(float(len(trees)), np.float64))

    def sklearn(self, x: str, estimator: Any, width: int) -> str:
        """Any fitted estimator of scikit-learn, of rows (n, width), as skl2onnx writes it; float64 in and out.

        Raises
        ------
        ModelError
            If there is no way to write it.
        """
        try:
            from skl2onnx import to_onnx
            from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
        except ImportError as error:
            raise ModelError(
                f"exporting {type(estimator).__name__} needs skl2onnx; try pip install 'l96bench[export]'"
            ) from error
        # The operators for trees and for support vectors know float32 alone.
        single = any(name in type(estimator).__name__ for name in ("Tree", "Forest", "Boosting", "SV"))
        kind = FloatTensorType if single else DoubleTensorType
        try:
            model = to_onnx(estimator, initial_types=[("x", kind([None, width]))], target_opset=OPSETS)
        except Exception as error:  # skl2onnx raises many classes
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"skl2onnx cannot write {type(estimator).__name__}: {reason}") from error
        return self.cast(self.merged(self.cast(x, np.float32) if single else x, model), np.float64)

    def merged(self, x: str, model: Any) -> str:
        """The operators of another model, with `x` as its input."""
        names = {model.graph.input[0].name: x, "": ""}

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
        return names[model.graph.output[0].name]

    def model(self, U: str, K: int) -> Any:
        """The whole as an ONNX model: X (n, K) float64 in, U (n, K) float64 out."""
        from onnx import TensorProto, helper

        self.node("Identity", U, output="U")
        values = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", K]) for name in "XU"]
        graph = helper.make_graph(self.nodes, "closure", values[:1], values[1:], self.constants)
        used = {node.domain for node in self.nodes} | {""}
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items() if domain in used]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
