"""Models of this library and of scikit-learn as ONNX graphs, operator by operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l96bench.errors import ModelError

if TYPE_CHECKING:
    from l96bench.equations.equation_set import EquationSet

__all__ = ["OPSETS", "Graph", "Nodes"]

OPSETS = {"": 17, "ai.onnx.ml": 3}
"""Versions of the operators that are written."""
_IR = 8
_ITERATIONS = 7
"""Of Newton's method, for steps of 0.01 MTU on the attractor: to rounding."""


class Nodes(NamedTuple):
    """The nodes of a decision tree, an array each: whether it is a leaf, both children, what is compared, its value."""

    leaf: NDArray
    left: NDArray
    right: NDArray
    feature: NDArray
    threshold: NDArray
    value: NDArray


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
        rows = self._rows_and_one(x)
        product, *others = (self.gather(rows, index, axis=0) for index in np.array(padded).T)
        for other in others:
            product = self.node("Mul", product, other)
        return self.node("Transpose", product, perm=[1, 0])

    def scaled(self, x: str, mean: NDArray | None, scale: NDArray | None) -> str:
        """``(x - mean) / scale``, float64."""
        if mean is not None:
            x = self.node("Sub", x, self.constant(mean, np.float64))
        return x if scale is None else self.node("Div", x, self.constant(scale, np.float64))

    def clipped(self, x: str, low: Any, high: Any) -> str:
        """``min(max(x, low), high)``, float64."""
        at_least = self.node("Max", x, self.constant(low, np.float64))
        return self.node("Min", at_least, self.constant(high, np.float64))

    def equations(self, x: str, system: EquationSet) -> str:
        """The tendencies (n, K) that equations say, sums of products of whole powers, float64: the same bits.

        All targets are computed side by side, term by term, in the order of `EquationSet.tendency`. What a target has
        less of than others is filled up with factors of 1 and terms of 0, which change no bit.
        """
        K = system.n_targets
        terms = system.equations
        if any(isinstance(factor, str) or power < 1 for each in terms for key, _ in each for factor, power in key):
            raise ModelError("equations with functions or quotients do not come as ONNX; try export_equations")
        rows = self._rows_and_one(x)
        total = self.constant(np.zeros((K, 1)), np.float64)
        for i in range(max(1, *map(len, terms))):
            chosen = [each[i] if i < len(each) else ((), 0.0) for each in terms]
            product = self._monomials(rows, [list(key) for key, _ in chosen], K)
            value = self.constant([[value] for _, value in chosen], np.float64)
            total = self.node("Add", total, self.node("Mul", product, value))
        return self.node("Transpose", total, perm=[1, 0])

    def _rows_and_one(self, x: str) -> str:
        """The columns of x (n, width) and one of 1 as rows (width + 1, n), which are copied many times faster."""
        one = self.node("Expand", self.constant([[1.0]], np.float64), self.node("Shape", self.gather(x, np.array([0]))))
        return self.node("Transpose", self.node("Concat", x, one, axis=1), perm=[1, 0])

    def _monomials(self, rows: str, keys: list[list[tuple[Any, int]]], K: int) -> str:
        """A monomial for each target (K, n): the product of its factors, each a power by repeated multiplication."""
        product = ""
        for place in range(max(1, *map(len, keys))):
            factors = [key[place] if place < len(key) else (K, 1) for key in keys]
            power = ""
            for exponent in range(max(exponent for _, exponent in factors)):
                index = [int(factor) if exponent < own else K for factor, own in factors]
                value = self.gather(rows, np.array(index), axis=0)
                power = self.node("Mul", power, value) if power else value
            product = self.node("Mul", product, power) if product else power
        return product

    def gaussian_process(self, x: str, process: Any) -> str:
        """The mean (n, 1) of a `SparseGaussianProcess`, float32 but for its inputs, as its closure computes it."""
        inducing, scale = process.inducing_, 1.0 / process.length_scale_
        centre = inducing.mean(axis=0)
        z = ((inducing - centre) * scale).astype(np.float32)
        offset = (np.log(process.variance_) - 0.5 * np.square(z).sum(axis=1)).astype(np.float32)
        x = self.node("Mul", self.node("Sub", x, self.constant(centre, np.float64)), self.constant(scale, np.float64))
        x = self.cast(x, np.float32)
        half = self.node("Mul", self.node("ReduceSumSquare", x, axes=[1]), self.constant(0.5, np.float32))
        features = self.node("Exp", self.node("Sub", self.linear(x, z, offset), half))
        weights = process.weights_[None].astype(np.float32)
        return self.cast(self.linear(features, weights, np.array([process.mean_], dtype=np.float32)), np.float64)

    def kernel(self, x: str, kernel: Any, rows: NDArray) -> str:
        """The values (n, M) of a kernel of scikit-learn between x and rows (M, width), float64.

        Raises
        ------
        ModelError
            For a kernel that is not written here.
        """

        def constant(value: Any) -> str:
            return self.constant(value, np.float64)

        match type(kernel).__name__:
            case "Sum" | "Product" as both:
                parts = [self.kernel(x, each, rows) for each in (kernel.k1, kernel.k2)]
                return self.node("Add" if both == "Sum" else "Mul", *parts)
            case "ConstantKernel":
                return constant([[kernel.constant_value]])
            case "WhiteKernel":  # noise of the training data alone
                return constant([[0.0]])
            case "DotProduct":
                return self.linear(x, rows, np.array([kernel.sigma_0**2]))
            case "RBF":
                return self.node("Exp", self.node("Mul", self._distances(x, kernel.length_scale, rows), constant(-0.5)))
            case "RationalQuadratic":
                scaled = self.node("Div", self._distances(x, kernel.length_scale, rows), constant(2.0 * kernel.alpha))
                return self.node("Pow", self.node("Add", scaled, constant(1.0)), constant(-kernel.alpha))
            case "Matern" if kernel.nu in (0.5, 1.5, 2.5):
                squares = self._distances(x, kernel.length_scale, rows)
                z = self.node("Sqrt", self.node("Mul", squares, constant(2.0 * kernel.nu)))
                decay = self.node("Exp", self.node("Neg", z))
                if kernel.nu == 0.5:
                    return decay
                factor = self.node("Add", z, constant(1.0))
                if kernel.nu == 2.5:
                    factor = self.node("Add", factor, self.node("Div", self.node("Mul", z, z), constant(3.0)))
                return self.node("Mul", factor, decay)
        raise ModelError(f"the kernel {kernel} does not come as ONNX; try sums and products of RBF and Matern kernels")

    def _distances(self, x: str, length_scale: Any, rows: NDArray) -> str:
        """Squared distances (n, M) between x and rows (M, width) in units of the length scale, float64."""
        scaled = rows / length_scale
        x = self.node("Div", x, self.constant(np.broadcast_to(length_scale, rows.shape[1]), np.float64))
        own = self.node("ReduceSumSquare", x, axes=[1])
        apart = self.node("Add", self.linear(x, -2.0 * scaled, np.square(scaled).sum(axis=1)), own)
        return self.node("Max", apart, self.constant(0.0, np.float64))

    def forest(self, x: str, trees: list[Any]) -> str:
        """The mean (n, 1) of decision trees in the arithmetic of scikit-learn, inputs in float32: the same bits."""
        nodes = [
            Nodes(tree.children_left < 0, tree.children_left, tree.children_right, tree.feature, tree.threshold,
                  tree.value[:, 0, 0]) for tree in trees
        ]  # fmt: skip
        total = self.trees(self.cast(self.cast(x, np.float32), np.float64), nodes)
        return self.node("Div", total, self.constant(float(len(trees)), np.float64))

    def boosting(self, x: str, trees: list[NDArray], baseline: float) -> str:
        """The sum (n, 1) of the boosted trees of `HistGradientBoostingRegressor` and its baseline: the same bits."""
        names = ("is_leaf", "left", "right", "feature_idx", "num_threshold", "value")
        nodes = [Nodes(tree["is_leaf"].astype(bool), *(tree[name] for name in names[1:])) for tree in trees]
        return self.trees(x, nodes, baseline)

    def trees(self, x: str, trees: list[Nodes], start: float | None = None) -> str:
        """The sum (n, 1) of decision trees, float64, added to `start` in their order.

        The operator for trees compares in float64 but adds in float32. It therefore only finds the number of each
        tree's leaf, which is exact; the leaves' values are looked up and added in float64.
        """
        from onnx import numpy_helper

        first = np.cumsum([0, *(len(tree.leaf) for tree in trees)])
        all_nodes = Nodes(*map(np.concatenate, zip(*trees, strict=True)))
        leaf, own = all_nodes.leaf, np.concatenate([np.arange(len(tree.leaf)) for tree in trees])
        owner = np.repeat(np.arange(len(trees)), np.diff(first))
        found = self.node(
            "TreeEnsembleRegressor",
            x,
            domain="ai.onnx.ml",
            n_targets=len(trees),
            nodes_falsenodeids=np.where(leaf, 0, all_nodes.right).tolist(),
            nodes_featureids=np.where(leaf, 0, all_nodes.feature).tolist(),
            nodes_modes=["LEAF" if each else "BRANCH_LEQ" for each in leaf],
            nodes_nodeids=own.tolist(),
            nodes_treeids=owner.tolist(),
            nodes_truenodeids=np.where(leaf, 0, all_nodes.left).tolist(),
            nodes_values_as_tensor=numpy_helper.from_array(np.where(leaf, 0.0, all_nodes.threshold), "thresholds"),
            target_ids=owner[leaf].tolist(),
            target_nodeids=own[leaf].tolist(),
            target_treeids=owner[leaf].tolist(),
            target_weights_as_tensor=numpy_helper.from_array(own[leaf].astype(float), "leaves"),
        )
        number = self.node("Cast", found, to=7)  # int64
        index = self.node("Add", number, self.constant(first[:-1], np.int64))
        values = self.node("Gather", self.constant(all_nodes.value, np.float64), index, axis=0)
        columns = [self.gather(values, np.array([i])) for i in range(len(trees))]
        total = columns.pop(0) if start is None else self.constant([[start]], np.float64)
        for column in columns:
            total = self.node("Add", total, column)
        return total

    def forcing(self, x: str, target: str, K: int, dt: float) -> str:
        """F + U (n, K) that, held through one RK4 step of dt, takes the resolved model from x (n, K) to the target.

        Newton's iteration of `solve_forcing`, whose errors shrink a hundredfold and more each time.
        """
        scalars = {each: self.constant(each, np.float64) for each in (0.5, 2.0, 0.5 * dt, dt, dt / 6, 1 / dt)}

        def at(x: str, shift: int) -> str:
            return self.gather(x, (np.arange(K) + shift) % K)

        def times(factor: float, x: str) -> str:
            return self.node("Mul", x, scalars[factor])

        def advection(v: str, x: str) -> str:
            return self.node("Mul", at(v, -1), self.node("Sub", at(x, 1), at(x, -2)))

        def slope(x: str) -> str:
            return self.node("Add", self.node("Sub", advection(x, x), x), forcing)

        forcing = self.polynomial(x, np.zeros(1))
        for _ in range(_ITERATIONS):
            slopes = [slope(x)]
            for factor in (0.5 * dt, 0.5 * dt, dt):
                slopes.append(slope(self.node("Add", x, times(factor, slopes[-1]))))
            middle = times(2.0, self.node("Add", slopes[1], slopes[2]))
            total = self.node("Add", self.node("Add", slopes[0], middle), slopes[3])
            missing = self.node("Sub", target, self.node("Add", x, times(dt / 6, total)))
            change = self.node("Add", advection(missing, x), advection(x, missing))
            correction = self.node("Sub", times(1 / dt, missing), times(0.5, self.node("Sub", change, missing)))
            forcing = self.node("Add", forcing, correction)
        return forcing

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
        single = any(name in type(estimator).__name__ for name in ("Tree", "Forest", "Boost", "Bagging", "SV"))
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
