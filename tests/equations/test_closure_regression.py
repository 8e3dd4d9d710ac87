"""Equations of U from states and U, as closures."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from l96bench.dynamics.closures import as_closure
from l96bench.equations import EquationClosure
from l96bench.equations.closure_regression import EquationRegressor
from l96bench.equations.library import RingLibrary
from l96bench.equations.regression import SparseRegression
from l96bench.equations.symbolic_regression import SymbolicRegression
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.tasks.parts import count_parameters

K = 8
X = np.random.default_rng(0).normal(2.0, 3.0, (500, K))
U = -1.2 * X + 0.03 * np.roll(X, 1, axis=1) * np.roll(X, -1, axis=1) - 0.5


def cubic(radius: int = 1, symmetric: bool = True) -> EquationRegressor:
    library = RingLibrary(degree=3, radius=radius)
    search = SparseRegression(LinearRegression(fit_intercept=False), library, symmetric=symmetric, max_rows=10_000)
    return EquationRegressor(search)


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_closure_that_is_in_the_library_is_found(symmetric: bool) -> None:
    model = cubic(symmetric=symmetric).fit(X, U)
    np.testing.assert_allclose(model.predict(X), U, atol=1e-7)
    closure = as_closure(model)
    assert isinstance(closure, EquationClosure)
    np.testing.assert_array_equal(closure.step(X), model.predict(X))
    terms = {key: value for key, value in closure.equations.monomials(3).items() if abs(value) > 1e-8}
    expected = {((3, 1),): -1.2, ((2, 1), (4, 1)): 0.03, (): -0.5}
    assert terms == pytest.approx(expected, abs=1e-8)
    assert len(model.equations()) == (1 if symmetric else K)
    assert model.equations()[0].startswith("U[k] = " if symmetric else "U[0] = ")


def test_powers_of_one_point_are_the_polynomial_regressor() -> None:
    noisy = U + np.random.default_rng(1).normal(size=U.shape)
    own, other = cubic(radius=0).fit(X, noisy), PolynomialRegressor(degree=3).fit(X, noisy)
    np.testing.assert_allclose(own.predict(X), other.predict(X), rtol=1e-7)
    assert count_parameters(own) == 4
    assert own.discoverer_.derivative is None


@pytest.mark.slow
def test_threshold_and_genetic_searches_are_taken_as_they_are() -> None:
    pysindy = pytest.importorskip("pysindy")
    search = SparseRegression(pysindy.STLSQ(threshold=0.05), RingLibrary(3, 1), symmetric=True, max_rows=10_000)
    model = EquationRegressor(search).fit(X, U)
    assert model.n_parameters == 3
    np.testing.assert_allclose(model.predict(X), U, atol=0.05)
    pytest.importorskip("gplearn")
    from gplearn.genetic import SymbolicRegressor

    genetic = SymbolicRegressor(population_size=100, generations=3, random_state=0)
    found = EquationRegressor(SymbolicRegression(genetic, radius=1)).fit(X, U)
    assert np.isfinite(found.predict(X)).all()
    assert found.equations()[0].startswith("U[k] = ")


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match="y must be U in the shape of X"):
        cubic().fit(X, U[:, :2])
    with pytest.raises(NotFittedError):
        clone(cubic().fit(X, U)).predict(X)
    with pytest.raises(ValueError, match="features"):
        cubic().fit(X, U).predict(X[:, :6])
