"""Expressions of genetic programming say in the grammar what they say by themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from l96bench.equations import EquationSet
from l96bench.equations.symbolic_regression import SymbolicRegression, expression
from l96bench.errors import ModelError

K = 5


def gplearn(**parameters: Any) -> Any:
    genetic = pytest.importorskip("gplearn.genetic")
    return genetic.SymbolicRegressor(population_size=60, generations=3, random_state=0, **parameters)


def pyoperon(**parameters: Any) -> Any:
    module = pytest.importorskip("pyoperon.sklearn")
    default = {"population_size": 100, "max_evaluations": 5000, "optimizer_iterations": 3, "random_state": 1}
    return module.SymbolicRegressor(**default | parameters)


def data() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).uniform(0.5, 2.0, (200, K))
    return X, X[:, 0] * X[:, 3] - 0.7 * np.sin(X[:, 1]) + np.log(X[:, 2]) + 1.5


@pytest.mark.slow
@pytest.mark.parametrize("functions", ["add sub mul", "add mul sin cos abs max", "sub div sqrt log neg inv min"])
def test_programs_of_gplearn(functions: str) -> None:
    X, y = data()
    for seed in range(5):
        model = gplearn(function_set=functions.split()).set_params(random_state=seed).fit(X, y)
        text = expression(model, [f"X[{k}]" for k in range(K)])
        read = EquationSet.parse([f"dX[0]/dt = {text}"], K)
        with np.errstate(all="ignore"):
            values, expected = read.tendency(X)[:, 0], model.predict(X)
        plain = np.isfinite(values) & (np.abs(expected) < 100)  # where nothing is protected
        assert plain.mean() > 0.5
        assert np.isclose(values, expected, rtol=1e-6, atol=1e-6)[plain].mean() > 0.95


@pytest.mark.parametrize("symbols", ["add,sub,mul,constant,variable", "add,mul,div,sin,exp,sqrt,constant,variable"])
def test_trees_of_pyoperon(symbols: str) -> None:
    X, y = data()
    model = pyoperon(allowed_symbols=symbols).fit(X, y)
    text = expression(model, [f"X[{k}]" for k in range(K)])
    read = EquationSet.parse([f"dX[0]/dt = {text}"], K)
    np.testing.assert_allclose(read.tendency(X)[:, 0], model.predict(X).ravel(), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_pyoperon_finds_a_single_scale(ring: Any) -> None:
    search = pyoperon(
        allowed_symbols="add,sub,mul,constant,variable",
        objectives=["r2", "length"],
        model_selection_criterion="bayesian_information_criterion",
        max_evaluations=20_000,
        max_length=30,
    )
    model = clone(SymbolicRegression(search, max_rows=300)).fit(ring.X, ring.t)
    (text,) = model.equations()
    assert text.startswith("dX[k]/dt = ")
    found = ring.parse([text])
    assert found.support >= ring.true.support
    for target, monomial in ring.true.support:
        assert found.monomials(target)[monomial] == pytest.approx(ring.true.monomials(target)[monomial], rel=0.01)
    assert clone(model).fit(ring.X, ring.t).equations() == [text]


@pytest.mark.slow
def test_two_scales_see_each_other(two_rings: Any) -> None:
    model = SymbolicRegression(gplearn(function_set=("add", "sub", "mul")), radius=1, J=3, max_rows=100)
    texts = model.fit(two_rings.X, two_rings.t).equations()
    assert [text.partition("=")[0] for text in texts] == ["dX[k]/dt ", "dY[k,j]/dt "]
    assert two_rings.parse(texts).tendency(two_rings.X).shape == two_rings.X.shape


def test_what_has_no_expression() -> None:
    X, y = data()
    with pytest.raises(ModelError, match="gplearn or pyoperon, got LinearRegression"):
        expression(LinearRegression().fit(X, y), [])
    functions = pytest.importorskip("gplearn.functions")
    cube = functions.make_function(function=lambda x: x**3, name="cube", arity=1)
    fitted = SimpleNamespace(_program=SimpleNamespace(program=[cube, 0]))
    with pytest.raises(ModelError, match="'cube' has no counterpart"):
        expression(fitted, ["X[0]"])
