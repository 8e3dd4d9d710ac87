"""Sparse regressions find systems that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import (
    ARDRegression,
    LassoCV,
    LassoLarsIC,
    LinearRegression,
    OrthogonalMatchingPursuitCV,
    Ridge,
)
from sklearn.model_selection import GridSearchCV

from l96bench.equations import EquationSet
from l96bench.equations.derivatives import SavitzkyGolay, WeakForm
from l96bench.equations.library import RingLibrary
from l96bench.equations.regression import SparseRegression, ThresholdSelection
from l96bench.errors import ModelError

pysindy = pytest.importorskip("pysindy")
STLSQ = pysindy.STLSQ


def selection() -> ThresholdSelection:
    return ThresholdSelection(STLSQ(alpha=1e-8, unbias=False))


@pytest.mark.slow
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("derivative", [SavitzkyGolay(), SavitzkyGolay(4, 5), WeakForm()])
@pytest.mark.parametrize("library", [RingLibrary(), RingLibrary(3, 2)])
def test_a_single_scale_is_found(ring: Any, symmetric: bool, derivative: Any, library: RingLibrary) -> None:
    model = SparseRegression(selection(), library, derivative, symmetric).fit(ring.X, ring.t)
    assert len(model.equations()) == (1 if symmetric else 6)
    assert ring.error(model.equations()) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("derivative", [SavitzkyGolay(), WeakForm()])
def test_two_scales_are_found(two_rings: Any, symmetric: bool, derivative: Any) -> None:
    library = RingLibrary(J=3, pooled=symmetric)
    model = SparseRegression(selection(), library, derivative, symmetric).fit(two_rings.X, two_rings.t)
    assert two_rings.error(model.equations()) < 0.1
    assert len(model.equations()) == (2 if symmetric else 16)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.01, 0.05, 0.1])
def test_symmetry_and_the_weak_form_find_what_noise_hides(ring: Any, noise: float) -> None:
    model = SparseRegression(selection(), RingLibrary(radius=2), WeakForm(), symmetric=True)
    assert ring.error(model.fit(ring.noisy(noise), ring.t).equations()) < 3 * noise
    plain = SparseRegression(selection(), derivative=SavitzkyGolay(4, 5))
    assert ring.error(plain.fit(ring.noisy(noise), ring.t).equations()) > ring.error(model.equations())


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        LassoCV(cv=3, fit_intercept=False),
        LassoLarsIC(),
        ARDRegression(),
        Ridge(1e-8),
        OrthogonalMatchingPursuitCV(),
        GridSearchCV(Ridge(), {"alpha": [1e-8, 1e-3]}),
        STLSQ(threshold=0.05),
        pysindy.SR3(reg_weight_lam=1e-3, unbias=True, max_iter=100),
        pysindy.SSR(kappa=1e-8),
    ],
    ids=lambda each: type(each).__name__,
)
def test_any_linear_regressor_of_scikit_learn_and_pysindy(ring: Any, estimator: Any) -> None:
    model = SparseRegression(estimator, RingLibrary(radius=2), symmetric=True, max_rows=1000).fit(ring.X, ring.t)
    tendency = ring.parse(model.equations()).tendency(ring.X)
    np.testing.assert_allclose(tendency, ring.true.tendency(ring.X), atol=0.03 * np.abs(tendency).max())


@pytest.mark.slow
def test_least_squares_is_numpys(ring: Any) -> None:
    model = SparseRegression(LinearRegression(fit_intercept=False), derivative=SavitzkyGolay(2, 3), max_rows=500)
    model.fit(ring.X, ring.t)
    every = -(-len(ring.X) // 500)
    rows, tendency = ring.X[1:-1][::every], ((ring.X[2:] - ring.X[:-2]) / 0.02)[::every]
    monomials = [(), *[(i,) for i in range(6)], *[(i, j) for i in range(6) for j in range(i, 6)]]
    features = np.column_stack([np.prod(rows[:, list(each)], axis=1) for each in monomials])
    expected = np.linalg.lstsq(features, tendency, rcond=None)[0]
    found = ring.parse(model.equations())
    for target in range(6):
        terms = found.monomials(target)
        for each, value in zip(monomials, expected[:, target], strict=True):
            key = tuple((i, each.count(i)) for i in sorted(set(each)))
            assert terms.get(key, 0.0) == pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.mark.slow
def test_an_intercept_belongs_to_the_constant(ring: Any) -> None:
    library = RingLibrary(radius=2)
    texts = [
        SparseRegression(LinearRegression(fit_intercept=intercept), library, symmetric=True).fit(ring.X, ring.t)
        for intercept in (True, False)
    ]
    values = [ring.parse(model.equations()).monomials(0)[()] for model in texts]
    assert values[0] == pytest.approx(values[1], rel=1e-6) == pytest.approx(9.5, rel=1e-3)


def test_coefficients_have_ten_digits(ring: Any) -> None:
    model = SparseRegression(selection(), RingLibrary(radius=2), symmetric=True).fit(ring.X, ring.t)
    found = ring.parse(model.equations()).monomials(0)
    (values,) = model.coefficients_
    assert sorted(found.values()) == pytest.approx(sorted(values[values != 0]), rel=5e-10)
    assert all(float(f"{value:.10g}") == value for value in found.values())


def test_copies_are_independent_and_equal(ring: Any) -> None:
    model = SparseRegression(selection(), RingLibrary(radius=2), WeakForm(), symmetric=True, max_rows=1000)
    copy = clone(model)
    assert copy.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    assert (copy.library, copy.derivative, copy.max_rows) == (RingLibrary(radius=2), WeakForm(), 1000)
    first = copy.fit(ring.X, ring.t).equations()
    assert not hasattr(model, "coefficients_")
    assert not hasattr(model.estimator, "coef_")
    assert clone(copy).set_params(max_rows=1000).fit(ring.X, ring.t).equations() == first


def test_what_is_no_trajectory(ring: Any) -> None:
    model = SparseRegression(LinearRegression())
    X, t = ring.X[:200], ring.t[:200]
    bad = X.copy()
    bad[3, 2] = np.nan
    for states, times, message in (
        (bad, t, "finite"),
        (X, t[:-1], "expected states"),
        (X[:, 0], t, "expected states"),
        (X, np.sort(np.r_[t[:-1], 0.5 * (t[0] + t[1])]), "regular interval"),
        (X, t[::-1], "regular interval"),
        (X[:3], t[:3], "samples"),
    ):
        with pytest.raises(ModelError, match=message):
            model.fit(states, times)


@pytest.mark.parametrize("symmetric", [True, False])
def test_what_never_moves_has_no_tendency(symmetric: bool) -> None:
    model = SparseRegression(selection(), derivative=WeakForm(), symmetric=symmetric)
    for states in (np.ones((200, 5)), np.zeros((200, 5))):
        texts = model.fit(states, 0.01 * np.arange(200)).equations()
        assert abs(EquationSet.parse(texts, 5).tendency(states)).max() < 1e-10


def test_regressors_without_coefficients(ring: Any) -> None:
    with pytest.raises(ModelError, match="coef_ for 28 candidates, got RandomForestRegressor"):
        SparseRegression(RandomForestRegressor(2, max_depth=2), max_rows=50).fit(ring.X, ring.t)


class TestThresholdSelection:
    """The choice of a threshold."""

    def problem(self, noise: float, true: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        A = rng.standard_normal((400, 20))
        return A, sum(value * A[:, i] for i, value in true.items()) + noise * rng.standard_normal(400)

    @pytest.mark.parametrize("noise", [0.0, 0.01, 0.1, 0.3])
    def test_it_needs_no_level_of_noise(self, noise: float) -> None:
        true = {2: 1.0, 7: -0.5, 11: 0.2}
        model = selection().fit(*self.problem(noise, true))
        assert set(np.flatnonzero(model.coef_)) == set(true)
        np.testing.assert_allclose(model.coef_[list(true)], list(true.values()), atol=0.1 * noise + 1e-6)

    def test_what_is_small_counts_where_little_is_left(self) -> None:
        true = {2: 1.0, 7: 0.02}
        assert set(np.flatnonzero(selection().fit(*self.problem(0.001, true)).coef_)) == {2, 7}
        assert set(np.flatnonzero(selection().fit(*self.problem(0.1, true)).coef_)) == {2}

    def test_the_triangle_stands_for_the_rows(self) -> None:
        A, b = self.problem(0.1, {2: 1.0, 7: -0.5, 11: 0.2})
        model = selection().fit(A, b)
        direct = STLSQ(threshold=model.threshold_, alpha=1e-8 * len(b), unbias=False).fit(A, b[:, None])
        np.testing.assert_allclose(model.coef_, direct.coef_[0], atol=1e-8)
        np.testing.assert_allclose(model.predict(A), A @ model.coef_)

    def test_any_parameter_can_be_the_threshold(self) -> None:
        A, b = self.problem(0.05, {2: 1.0, 7: -0.5})
        model = ThresholdSelection(pysindy.SR3(unbias=True), "reg_weight_lam", (1e-5, 1e-3, 1e-2)).fit(A, b)
        assert set(np.flatnonzero(model.coef_)) == {2, 7}
        assert model.threshold_ in (1e-5, 1e-3, 1e-2)
