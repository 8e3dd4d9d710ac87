"""scikit-learn's regressors without the checks of their predict, for closures that call them at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from l96bench.jit import kernel

Array = NDArray[np.float64]
_FORESTS = (RandomForestRegressor, ExtraTreesRegressor)
_BLOCK = 256
"""Rows that walk through a tree side by side."""


def fast_predict(estimator: Any) -> Callable[[NDArray], NDArray]:
    """Return the predict of a fitted regressor of one output without scikit-learn's checks, if its kind is known."""
    if hasattr(estimator, "predict_unchecked"):
        unchecked: Callable[[NDArray], NDArray] = estimator.predict_unchecked
        return unchecked
    if is_trees(estimator):
        if type(estimator) is HistGradientBoostingRegressor:
            return _Boosted(estimator)
        return _Forest(tree_nodes(estimator))
    predict: Callable[[NDArray], NDArray] = estimator.predict
    return predict


def is_trees(estimator: Any) -> bool:
    """Return whether a regressor is decision trees of one output, without categories or a link function."""
    if type(estimator) is HistGradientBoostingRegressor:
        return is_plain_boosting(estimator)
    return type(estimator) in (DecisionTreeRegressor, *_FORESTS) and estimator.n_outputs_ == 1


class _Forest:
    """A forest's predict, in the same order of operations, without a pool of threads for every call."""

    def __init__(self, trees: list[Any]) -> None:
        self.trees = trees

    def __call__(self, rows: NDArray) -> NDArray:
        with np.errstate(over="ignore"):  # a member that blows up becomes infinite, as it soon would anyway
            rows = np.ascontiguousarray(rows, dtype=np.float32)
        total = np.zeros(len(rows))
        for tree in self.trees:
            total += tree.predict(rows)[:, 0]
        return total / len(self.trees)


def is_plain_boosting(estimator: HistGradientBoostingRegressor) -> bool:
    """Return whether all splits compare a number with a threshold, and the loss has no link function."""
    nodes = boosting_nodes(estimator)
    return estimator.loss in ("squared_error", "absolute_error", "quantile") and not any(
        tree["is_categorical"].any() for tree in nodes
    )


def tree_nodes(estimator: Any) -> list[Any]:
    """Return the trees of a forest, or a decision tree alone."""
    return [tree.tree_ for tree in getattr(estimator, "estimators_", [estimator])]


def boosting_nodes(estimator: HistGradientBoostingRegressor) -> list[NDArray]:
    """Return the nodes of every tree, which scikit-learn offers no public way to."""
    return [tree.nodes for (tree,) in estimator._predictors]


class _Boosted:
    """The sum of boosted trees, all of them in flat arrays that one kernel walks."""

    def __init__(self, estimator: HistGradientBoostingRegressor) -> None:
        trees = boosting_nodes(estimator)
        roots = np.cumsum([0, *map(len, trees)])
        nodes = np.concatenate(trees)
        shift = np.repeat(roots[:-1], np.diff(roots))
        leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
        # A leaf is its own child: all rows walk equally far, which costs less than to ask each whether it has arrived.
        child = np.stack([nodes["right"] + shift, nodes["left"] + shift], axis=1)
        child = np.where(leaf[:, None], own[:, None], child).ravel().astype(np.int32)
        feature = np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32)
        threshold, value = nodes["num_threshold"].astype(np.float64), nodes["value"].astype(np.float64)
        depths = np.array([tree["depth"].max() for tree in trees])
        self.base = float(np.ravel(estimator._baseline_prediction)[0])
        self.trees = roots, depths, feature, threshold, child, value

    def __call__(self, rows: NDArray) -> NDArray:
        out = np.full(len(rows), self.base)
        _add_trees(np.ascontiguousarray(rows, dtype=np.float64), *self.trees, out)
        return out


@kernel
def _add_trees(
    rows: Array,
    roots: NDArray[np.int64],
    depths: NDArray[np.int64],
    feature: NDArray[np.int32],
    threshold: Array,
    child: NDArray[np.int32],
    value: Array,
    out: Array,
) -> None:
    """Add the leaves that rows (n, feature) fall into to out (n,): tree by tree and level by level, for the caches."""
    width = rows.shape[1]
    flat = rows.ravel()
    node = np.empty(_BLOCK, np.int32)
    for start in range(0, rows.shape[0], _BLOCK):
        n = min(_BLOCK, rows.shape[0] - start)
        for tree in range(depths.shape[0]):
            node[:] = roots[tree]
            for _ in range(depths[tree]):
                for i in range(n):
                    at = node[i]
                    below = flat[(start + i) * width + feature[at]] <= threshold[at]
                    node[i] = child[2 * at + np.int32(below)]
            for i in range(n):
                out[start + i] += value[node[i]]
