"""What a closure calls every step gives what scikit-learn's own predict gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from l96bench.estimators.prediction import fast_predict
from l96bench.tasks.cost import count_parameters

rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 5))
y = np.sin(X[:, 0]) * X[:, 1] + np.abs(X[:, 2]) + 0.1 * rng.normal(size=3000)
NEW = rng.normal(size=(701, 5)) * 2
SPLITS = HistGradientBoostingRegressor(max_iter=20, max_depth=4, random_state=0)

EXACT = [
    DecisionTreeRegressor(min_samples_leaf=5, random_state=0),
    RandomForestRegressor(4, max_depth=6, random_state=0),
    ExtraTreesRegressor(4, max_depth=6, random_state=0),
    Ridge(),
]
BOOSTED = [
    SPLITS,
    HistGradientBoostingRegressor(max_iter=7, max_leaf_nodes=100, random_state=0),
    HistGradientBoostingRegressor(loss="quantile", quantile=0.3, max_iter=5, random_state=0),
    HistGradientBoostingRegressor(loss="gamma", max_iter=5, random_state=0),
    HistGradientBoostingRegressor(categorical_features=[3], max_iter=5, random_state=0),
]


@pytest.mark.parametrize("estimator", EXACT, ids=lambda each: type(each).__name__)
def test_trees_and_others_give_the_same_bits(estimator: Any) -> None:
    estimator.fit(X, y)
    np.testing.assert_array_equal(fast_predict(estimator)(NEW), estimator.predict(NEW))


def test_rows_at_the_thresholds_of_trees_and_rows_that_are_not_finite() -> None:
    """A threshold has double precision, a row single precision: the number next to it decides."""
    forest = RandomForestRegressor(3, random_state=1).fit(X, y)
    predict = fast_predict(forest)
    for tree in (each.tree_ for each in forest.estimators_):
        split = tree.children_left >= 0
        rows = np.tile(tree.threshold[split][:, None], (1, 5)).astype(np.float32)
        for near in (rows, np.nextafter(rows, np.float32(np.inf)), np.nextafter(rows, np.float32(-np.inf))):
            np.testing.assert_array_equal(predict(near), forest.predict(near))
    wild = NEW[:40].copy()
    wild[::2, 1], wild[::3, 4], wild[5, 0] = np.inf, -np.inf, np.nan
    expected = sum(each.tree_.predict(wild.astype(np.float32))[:, 0] for each in forest.estimators_) / 3
    np.testing.assert_array_equal(predict(wild), expected)


def test_a_tree_without_a_split() -> None:
    tree = DecisionTreeRegressor().fit(X[:10], np.full(10, 2.5))
    assert (fast_predict(tree)(NEW) == 2.5).all()


@pytest.mark.slow
@pytest.mark.parametrize("estimator", BOOSTED, ids=range(len(BOOSTED)))
def test_boosting_gives_the_same_to_rounding(estimator: Any) -> None:
    rows, new = X.copy(), NEW.copy()
    rows[:, 3], new[:, 3] = rng.integers(0, 4, len(X)), rng.integers(0, 4, len(NEW))
    estimator.fit(rows, np.exp(y) if estimator.loss == "gamma" else y + (rows[:, 3] == 2))
    predict = fast_predict(estimator)
    np.testing.assert_allclose(predict(new), estimator.predict(new), rtol=1e-12, atol=1e-12)
    assert (predict != estimator.predict) == (estimator.loss != "gamma" and estimator.categorical_features != [3])


@pytest.mark.slow
def test_rows_that_blow_up_are_predicted_all_the_same() -> None:
    predict = fast_predict(SPLITS.fit(X, y))
    extreme = np.full((3, 5), [[np.inf], [-np.inf], [1e300]])
    np.testing.assert_allclose(predict(np.nan_to_num(extreme)), SPLITS.predict(np.nan_to_num(extreme)))
    assert np.isfinite(predict(extreme)).all()
    assert predict(np.full((1, 5), np.nan)).shape == (1,)


def test_parameters_of_boosted_trees_are_counted_as_those_of_forests_are() -> None:
    boosted = HistGradientBoostingRegressor(max_iter=3, max_leaf_nodes=2, max_depth=1, random_state=0).fit(X, y)
    assert count_parameters(boosted) == 3 * (2 + 1 + 1)  # a point, a threshold and two leaves each
    stump = DecisionTreeRegressor(max_depth=1).fit(X, y)
    assert count_parameters(stump) == 4
