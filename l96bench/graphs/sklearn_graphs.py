"""Write graphs of scikit-learn's estimators by their class; skl2onnx writes those that are not known here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import linear_model
from sklearn.ensemble import BaseEnsemble, ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from sklearn.kernel_ridge import KernelRidge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor, RadiusNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVR, LinearSVR, NuSVR
from sklearn.tree import BaseDecisionTree, DecisionTreeRegressor

from l96bench.errors import NoGraphError, whole_sentences
from l96bench.estimators.prediction import boosting_nodes, is_trees, tree_nodes
from l96bench.graphs.onnx_graph import OPSETS, Graph

__all__ = ["regressor_graph", "transformer_graph"]

_LINEAR = """
ARDRegression BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lars LarsCV Lasso LassoCV LassoLars LassoLarsCV
LassoLarsIC LinearRegression MultiTaskElasticNet MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV
OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV PassiveAggressiveRegressor QuantileRegressor Ridge RidgeCV
SGDRegressor TheilSenRegressor
"""
_SINGLE = (BaseDecisionTree, BaseEnsemble, HistGradientBoostingRegressor, SVR, NuSVR, LinearSVR)
"""Estimators whose ONNX operators (trees, support vectors) support only float32."""


def regressor_graph(graph: Graph, x: str, estimator: Any, width: int) -> str:
    """Add a fitted regressor of rows (n, width), float64 in and out; NoGraphError if it has no graph."""
    writer = _known(_REGRESSORS, estimator, "predict") or _by_skl2onnx
    return writer(graph, x, estimator, width)


def transformer_graph(graph: Graph, x: str, transformer: Any, width: int) -> tuple[str, int]:
    """Add a fitted transformer of float64 rows (n, width), and return also its new width; NoGraphError if no graph."""
    writer = _known(_TRANSFORMERS, transformer, "transform")
    if writer is not None:
        return writer(graph, x, transformer, width)
    return _by_skl2onnx(graph, x, transformer, width), len(transformer.get_feature_names_out())


def _known(writers: dict[type, Any], estimator: Any, method: str) -> Any:
    """Return the writer of the first known base class; None if a class before it redefines the method."""
    for each in type(estimator).__mro__:
        if each in writers:
            return writers[each]
        if method in vars(each):
            break
    return None


def _pipeline(graph: Graph, x: str, estimator: Any, width: int) -> str:
    x, width = _steps(graph, x, estimator[:-1], width)
    return graph.regressor(x, estimator[-1], width)


def _steps(graph: Graph, x: str, transformer: Any, width: int) -> tuple[str, int]:
    for _, step in transformer.steps:
        if step not in (None, "passthrough"):
            x, width = transformer_graph(graph, x, step, width)
    return x, width


def _powers(graph: Graph, x: str, transformer: Any, width: int) -> tuple[str, int]:
    """Add products of columns (n, terms) with exponents (terms, columns)."""
    exponents = transformer.powers_
    n_columns, degree = exponents.shape[1], max(1, int(exponents.sum(axis=1).max()))
    factors = [np.repeat(np.arange(n_columns), row) for row in exponents]
    padded = [np.pad(each, (0, degree - len(each)), constant_values=n_columns) for each in factors]
    rows = graph.columns(x)
    product, *others = (graph.gather(rows, index, axis=0) for index in np.array(padded).T)
    for other in others:
        product = graph.node("Mul", product, other)
    return graph.node("Transpose", product, perm=[1, 0]), len(exponents)


def _scaled(graph: Graph, x: str, transformer: Any, width: int) -> tuple[str, int]:
    """Add ``(x - mean) / scale``."""
    if transformer.with_mean:
        x = graph.node("Sub", x, graph.constant(transformer.mean_, np.float64))
    if transformer.scale_ is not None:
        x = graph.node("Div", x, graph.constant(transformer.scale_, np.float64))
    return x, width


def _linear(graph: Graph, x: str, estimator: Any, width: int) -> str:
    coef = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    return graph.linear(x, coef, np.broadcast_to(estimator.intercept_, len(coef)))


def _multi_output(graph: Graph, x: str, estimator: Any, width: int) -> str:
    """Add the outputs of the estimators of each output side by side."""
    parts = (graph.reshape(graph.regressor(x, each, width), -1, 1) for each in estimator.estimators_)
    return graph.node("Concat", *parts, axis=1)


def _neighbors(graph: Graph, x: str, estimator: Any, width: int) -> str:
    """Add the mean of the targets of the nearest training rows, or of those within a radius, weighted or not."""
    metric, weights = estimator.effective_metric_, estimator.weights
    if metric != "euclidean" or weights not in ("uniform", "distance"):
        raise NoGraphError(f"neighbours come as ONNX with Euclidean distances, got {metric!r} and weights {weights!r}")
    targets = np.asarray(estimator._y, dtype=np.float64).reshape(len(estimator._fit_X), -1)
    squares = _distances(graph, x, 1.0, np.asarray(estimator._fit_X, dtype=np.float64))
    if isinstance(estimator, RadiusNeighborsRegressor):
        inside = graph.node("LessOrEqual", squares, graph.constant(estimator.radius**2, np.float64))
    else:
        negative = graph.node("Neg", squares)
        furthest = graph.node("Neg", graph.largest(negative, estimator.n_neighbors))
        inside = graph.node("LessOrEqual", squares, furthest)
    shares = graph.cast(inside, np.float64)
    if weights == "distance":
        least, one = graph.constant(1e-300, np.float64), graph.constant(1.0, np.float64)
        inverse = graph.node("Div", one, graph.node("Sqrt", graph.node("Max", squares, least)))
        shares = graph.node("Mul", shares, inverse)
    total = graph.node("ReduceSum", shares, graph.constant([1], np.int64), keepdims=1)
    return graph.node("Div", graph.node("MatMul", shares, graph.constant(targets, np.float64)), total)


def _gaussian_process(graph: Graph, x: str, estimator: Any, width: int) -> str:
    values = _kernel(graph, x, estimator.kernel_, estimator.X_train_)
    weights = estimator.alpha_ * estimator._y_train_std
    return graph.linear(values, np.atleast_2d(weights.T), np.atleast_1d(estimator._y_train_mean))


def _kernel_ridge(graph: Graph, x: str, estimator: Any, width: int) -> str:
    rows = estimator.X_fit_
    gamma = 1.0 / rows.shape[1] if estimator.gamma is None else estimator.gamma
    known = {"rbf": kernels.RBF((0.5 / gamma) ** 0.5), "linear": kernels.DotProduct(0.0)}
    if estimator.kernel not in known:
        raise NoGraphError(f"a KernelRidge comes as ONNX with the kernels {sorted(known)}, got {estimator.kernel!r}")
    weights = np.atleast_2d(estimator.dual_coef_.T)
    return graph.linear(_kernel(graph, x, known[estimator.kernel], rows), weights, np.zeros(len(weights)))


def _kernel(graph: Graph, x: str, kernel: Any, rows: NDArray) -> str:
    """Add a scikit-learn kernel, (n, M), between x and rows (M, width), in float64; NoGraphError if unknown."""

    def constant(value: Any) -> str:
        return graph.constant(value, np.float64)

    match kernel:
        case kernels.Sum() | kernels.Product():
            parts = [_kernel(graph, x, each, rows) for each in (kernel.k1, kernel.k2)]
            return graph.node("Add" if isinstance(kernel, kernels.Sum) else "Mul", *parts)
        case kernels.ConstantKernel():
            return constant([[kernel.constant_value]])
        case kernels.WhiteKernel():  # noise of the training data alone
            return constant([[0.0]])
        case kernels.DotProduct():
            return graph.linear(x, rows, np.array([kernel.sigma_0**2]))
        case kernels.RationalQuadratic():
            scaled = graph.node("Div", _distances(graph, x, kernel.length_scale, rows), constant(2.0 * kernel.alpha))
            return graph.node("Pow", graph.node("Add", scaled, constant(1.0)), constant(-kernel.alpha))
        case kernels.Matern() if kernel.nu in (0.5, 1.5, 2.5):
            squares = _distances(graph, x, kernel.length_scale, rows)
            z = graph.node("Sqrt", graph.node("Mul", squares, constant(2.0 * kernel.nu)))
            decay = graph.node("Exp", graph.node("Neg", z))
            if kernel.nu == 0.5:
                return decay
            factor = graph.node("Add", z, constant(1.0))
            if kernel.nu == 2.5:
                factor = graph.node("Add", factor, graph.node("Div", graph.node("Mul", z, z), constant(3.0)))
            return graph.node("Mul", factor, decay)
        case kernels.RBF() if not isinstance(kernel, kernels.Matern):
            return graph.node("Exp", graph.node("Mul", _distances(graph, x, kernel.length_scale, rows), constant(-0.5)))
    raise NoGraphError(f"the kernel {kernel} does not come as ONNX; try sums and products of RBF and Matern kernels")


def _distances(graph: Graph, x: str, length_scale: Any, rows: NDArray) -> str:
    """Add squared distances (n, M) between x and rows (M, width) in units of the length scale, in float64."""
    scaled = rows / length_scale
    x = graph.node("Div", x, graph.constant(np.broadcast_to(length_scale, rows.shape[1]), np.float64))
    own = graph.node("ReduceSumSquare", x, axes=[1])
    apart = graph.node("Add", graph.linear(x, -2.0 * scaled, np.square(scaled).sum(axis=1)), own)
    return graph.node("Max", apart, graph.constant(0.0, np.float64))


class Nodes(NamedTuple):
    """Arrays of the nodes of a decision tree: leaf flags, children, compared features and thresholds, values."""

    leaf: NDArray
    left: NDArray
    right: NDArray
    feature: NDArray
    threshold: NDArray
    value: NDArray


def _forest(graph: Graph, x: str, estimator: Any, width: int) -> str:
    """Add the mean (n, 1) of decision trees with float32 inputs, bit for bit as scikit-learn."""
    if not is_trees(estimator):
        return _by_skl2onnx(graph, x, estimator, width)
    trees = tree_nodes(estimator)
    nodes = [
        Nodes(tree.children_left < 0, tree.children_left, tree.children_right, tree.feature, tree.threshold,
              tree.value[:, 0, 0]) for tree in trees
    ]  # fmt: skip
    total = _trees(graph, graph.cast(graph.cast(x, np.float32), np.float64), nodes)
    return graph.node("Div", total, graph.constant(float(len(trees)), np.float64))


def _boosting(graph: Graph, x: str, estimator: Any, width: int) -> str:
    """Add the sum (n, 1) of a `HistGradientBoostingRegressor`'s trees and its baseline, bit for bit."""
    if not is_trees(estimator):
        return _by_skl2onnx(graph, x, estimator, width)
    trees, baseline = boosting_nodes(estimator), float(np.ravel(estimator._baseline_prediction)[0])
    names = ("is_leaf", "left", "right", "feature_idx", "num_threshold", "value")
    nodes = [Nodes(tree["is_leaf"].astype(bool), *(tree[name] for name in names[1:])) for tree in trees]
    return _trees(graph, x, nodes, baseline)


def _trees(graph: Graph, x: str, trees: list[Nodes], start: float | None = None) -> str:
    """Add the float64 sum (n, 1) of decision trees, added to `start` in their order.

    The operator for trees compares in float64 but adds in float32. It therefore only finds the index of each tree's
    leaf, which is exact; the leaves' values are looked up and added in float64.
    """
    from onnx import numpy_helper

    first = np.cumsum([0, *(len(tree.leaf) for tree in trees)])
    all_nodes = Nodes(*map(np.concatenate, zip(*trees, strict=True)))
    leaf, own = all_nodes.leaf, np.concatenate([np.arange(len(tree.leaf)) for tree in trees])
    owner = np.repeat(np.arange(len(trees)), np.diff(first))
    found = graph.node(
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
    number = graph.node("Cast", found, to=7)  # int64
    index = graph.node("Add", number, graph.constant(first[:-1], np.int64))
    values = graph.node("Gather", graph.constant(all_nodes.value, np.float64), index, axis=0)
    columns = [graph.gather(values, np.array([i])) for i in range(len(trees))]
    total = columns.pop(0) if start is None else graph.constant([[start]], np.float64)
    for column in columns:
        total = graph.node("Add", total, column)
    return total


def _by_skl2onnx(graph: Graph, x: str, estimator: Any, width: int) -> str:
    """Add any fitted estimator with skl2onnx."""
    name = type(estimator).__name__
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = FloatTensorType if isinstance(estimator, _SINGLE) else DoubleTensorType
    try:
        model = to_onnx(estimator, initial_types=[("x", kind([None, width]))], target_opset=OPSETS)
    except Exception as error:  # skl2onnx raises many classes
        reason = whole_sentences(str(error), 200)
        raise NoGraphError(
            f"skl2onnx cannot write {name}: {reason} Try an estimator that it knows, such as a network or a forest"
        ) from error
    return graph.merged(x, model)


_REGRESSORS: dict[type, Callable[[Graph, str, Any, int], str]] = {
    Pipeline: _pipeline,
    GaussianProcessRegressor: _gaussian_process,
    KernelRidge: _kernel_ridge,
    MultiOutputRegressor: _multi_output,
    **dict.fromkeys((KNeighborsRegressor, RadiusNeighborsRegressor), _neighbors),
    HistGradientBoostingRegressor: _boosting,
    **dict.fromkeys((DecisionTreeRegressor, ExtraTreesRegressor, RandomForestRegressor), _forest),
    **dict.fromkeys((getattr(linear_model, name) for name in _LINEAR.split() if hasattr(linear_model, name)), _linear),
}
_TRANSFORMERS: dict[type, Callable[[Graph, str, Any, int], tuple[str, int]]] = {
    Pipeline: _steps,
    PolynomialFeatures: _powers,
    StandardScaler: _scaled,
}
