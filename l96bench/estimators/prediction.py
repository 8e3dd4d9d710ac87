"""scikit-learn's regressors without the checks of their predict, for closures that call them at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """A forest's predict, in the same order of operations, by the kernel that all trees are walked with."""

    def __init__(self, trees: list[Any]) -> None:
        self.trees = trees
        self.packed = _packed(
            [(each.children_left, each.children_right) for each in trees],
            [each.max_depth for each in trees],
            np.concatenate([each.feature for each in trees]),
            _below(np.concatenate([each.threshold for each in trees])),
            np.concatenate([each.value[:, 0, 0] for each in trees]),
        )

    def __call__(self, rows: NDArray) -> NDArray:
        with np.errstate(over="ignore"):  # a member that blows up becomes infinite, as it soon would anyway
            rows = np.ascontiguousarray(rows, dtype=np.float32)
        total = np.zeros(len(rows))
        if np.isnan(rows).any():  # where these go is a rule of scikit-learn's
            for tree in self.trees:
                total += tree.predict(rows)[:, 0]
        else:
            _add_trees(rows, *self.packed, total)
        return total / len(self.trees)


def _below(thresholds: Array) -> NDArray[np.float32]:
    """Return the largest numbers of single precision that are not above some of double precision.

    A number of single precision is at most the one exactly if it is at most the other.
    """
    single = thresholds.astype(np.float32)
    return np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)


def _packed(
    children: Sequence[tuple[NDArray, NDArray]],
    depths: Sequence[int],
    feature: NDArray,
    threshold: NDArray,
    value: Array,
) -> tuple[NDArray, ...]:
    """Return the trees that `_add_trees` walks, level by level, so that the left child stands behind the right one.

    A leaf is its own child: all rows walk equally far, which costs less than to ask each whether it has arrived.
    """
    order, child, roots, first = [], [], [], 0
    for sides in children:
        left, right = (np.asarray(each, np.int64) for each in sides)
        levels, inner = [np.zeros(1, np.int64)], np.flatnonzero(left[:1] > 0)
        while inner.size:
            levels.append(np.stack([right[inner], left[inner]], axis=1).ravel())
            inner = levels[-1][left[levels[-1]] > 0]
        own = np.concatenate(levels)
        place = np.empty(len(own), np.int64)
        place[own] = np.arange(len(own))
        child.append(first + np.where(left[own] > 0, place[right[own]], place[own]))
        order.append(first + own)
        roots.append(first)
        first += len(own)
    places, at = np.concatenate(order), np.concatenate(child)
    leaf = at == np.arange(first)
    thresholds = np.where(leaf, np.nan, threshold[places]).astype(threshold.dtype)  # nothing is below
    features = np.where(leaf, 0, feature[places]).astype(np.int32)
    child_of, values = at.astype(np.int32), value[places].astype(np.float64)
    return np.array(roots), np.array(depths, np.int64), features, thresholds, child_of, values


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
    """The sum of boosted trees."""

    def __init__(self, estimator: HistGradientBoostingRegressor) -> None:
        trees = boosting_nodes(estimator)
        nodes = np.concatenate(trees)
        self.base = float(np.ravel(estimator._baseline_prediction)[0])
        self.packed = _packed(
            [(each["left"], each["right"]) for each in trees],
            [each["depth"].max() for each in trees],
            nodes["feature_idx"],
            nodes["num_threshold"].astype(np.float64),
            nodes["value"],
        )

    def __call__(self, rows: NDArray) -> NDArray:
        out = np.full(len(rows), self.base)
        _add_trees(np.ascontiguousarray(rows, dtype=np.float64), *self.packed, out)
        return out


@kernel
def _add_trees(
    rows: NDArray,
    roots: NDArray[np.int64],
    depths: NDArray[np.int64],
    feature: NDArray[np.int32],
    threshold: NDArray,
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
                    node[i] = child[at] + np.int32(flat[(start + i) * width + feature[at]] <= threshold[at])
            for i in range(n):
                out[start + i] += value[node[i]]
