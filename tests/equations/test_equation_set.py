"""Sets made from coefficients, compared, stored, and written so that they read the same."""

from __future__ import annotations

import pickle
import random
from itertools import combinations_with_replacement

import numpy as np
import pytest

from l96bench.equations import EquationSet, Monomial
from l96bench.errors import EquationError

K, J = 6, 4


def library(n: int, degree: int = 2) -> list[Monomial]:
    """All monomials of n variables up to a degree."""
    found = []
    for d in range(degree + 1):
        for chosen in combinations_with_replacement(range(n), d):
            found.append(tuple((i, chosen.count(i)) for i in sorted(set(chosen))))
    return found


def test_coefficients_of_a_library() -> None:
    monomials = library(K)
    assert len(monomials) == 28
    coefficients = np.random.default_rng(0).normal(size=(K, 28)) * (np.random.default_rng(1).random((K, 28)) < 0.5)
    equations = EquationSet.from_coefficients(monomials, coefficients, K)
    assert equations.n_terms == np.count_nonzero(coefficients)
    for target, row in enumerate(coefficients):
        expected = {key: value for key, value in zip(monomials, row, strict=True) if value}
        assert equations.monomials(target) == expected
        assert {key for t, key in equations.support if t == target} == set(expected)
    states = np.random.default_rng(2).normal(size=(10, K))
    features = np.array([[np.prod([x[i] ** e for i, e in each]) for each in monomials] for x in states])
    np.testing.assert_allclose(equations.tendency(states), features @ coefficients.T, rtol=1e-12, atol=1e-12)


def test_a_library_may_be_written_as_texts() -> None:
    names = ["1", "X[0]", "X[1]*X[0]", "X[2]**2", "sin(X[3])", "X[0] + 2*X[1]"]
    coefficients = np.zeros((K, 6))
    coefficients[1] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    made = EquationSet.from_coefficients(names, coefficients, K)
    read = EquationSet.parse(["dX[1]/dt = 1 + 2*X[0] + 3*X[0]*X[1] + 4*X[2]^2 + 5*sin(X[3]) + 6*X[0] + 12*X[1]"], K)
    assert made == read
    states = np.random.default_rng(2).normal(size=(10, K))
    np.testing.assert_array_equal(made.tendency(states), read.tendency(states))


def test_the_monomials_of_a_set_are_a_library() -> None:
    equations = EquationSet.parse(["sin(2*X[k])**2*X[k+1] - X[k]/(1 + X[k]**2) + 3/X[k] + 1"], K)
    monomials = sorted({key for _, key in equations.support}, key=str)
    coefficients = [[equations.monomials(t).get(key, 0.0) for key in monomials] for t in range(K)]
    again = EquationSet.from_coefficients(monomials, coefficients, K)
    assert again == equations
    states = np.random.default_rng(2).normal(size=(10, K))
    np.testing.assert_array_equal(again.tendency(states), equations.tendency(states))


@pytest.mark.parametrize(
    ("monomials", "coefficients", "says"),
    [
        ([()], np.zeros((K, 2)), r"expected finite coefficients of shape \(6, 1\)"),
        ([()], np.zeros((1, K)), r"expected finite coefficients of shape \(6, 1\)"),
        ([()], np.full((K, 1), np.nan), "with 6 that are not finite"),
        ([((6, 1),)], np.ones((K, 1)), r"the library has the monomial \(\(6, 1\),\)\. Expected different factors"),
        ([((-1, 1),)], np.ones((K, 1)), "the library has the monomial"),
        ([((0, 0),)], np.ones((K, 1)), "the library has the monomial"),
        ([((0, 21),)], np.ones((K, 1)), "the library has the monomial"),
        ([((0, 15), (1, 15))], np.ones((K, 1)), "the library has the monomial"),
        ([((0, 1), (0, 1))], np.ones((K, 1)), "the library has the monomial"),
        ([(("X[0] + 1", 1),)], np.ones((K, 1)), "the library has the monomial"),
        (["10*X[0]"], np.full((K, 1), 1e308), r"the coefficients of dX\[0\]/dt are too large"),
        (["X[k]"], np.ones((K, 1)), "the index k means nothing here"),
        (["import os"], np.ones((K, 1)), "expected an operator before 'os'"),
    ],
)
def test_unusable_libraries_are_refused(monomials: list[Monomial | str], coefficients: np.ndarray, says: str) -> None:
    with pytest.raises(EquationError, match=says):
        EquationSet.from_coefficients(monomials, coefficients, K)


def test_a_set_is_a_value() -> None:
    one, other = EquationSet.parse(["X[k]*2"], K), EquationSet.parse(["X[k] + X[k]"], K)
    assert one == other
    assert len({one, other}) == 1
    assert one != EquationSet.parse(["X[k]*2"], K + 1)
    assert one != EquationSet.parse(["2.5*X[k]"], K)
    with pytest.raises(AttributeError):
        one.K = 3  # type: ignore[misc]
    one.monomials(0).clear()
    assert one.monomials(0) == {((0, 1),): 2.0}
    assert repr(one) == "EquationSet(K=6, J=0)"
    assert (one.n_targets, one.n_terms) == (K, K)
    assert EquationSet.parse([], K, J).n_targets == K + K * J


def test_a_set_can_be_stored() -> None:
    equations = EquationSet.parse(["sin(X[k])/(1 + X[k-1]**2) - X[k]"], K)
    states = np.random.default_rng(2).normal(size=(10, K))
    for used in (False, True):
        again = pickle.loads(pickle.dumps(equations))
        assert again == equations
        np.testing.assert_array_equal(again.tendency(states), equations.tendency(states))
        assert again.texts() == equations.texts(), used


@pytest.mark.parametrize(
    ("text", "n_terms"),
    [
        ("sin(X[k])", 1),
        ("maximum(0, X[k])", 1),
        ("maximum(X[k] + X[k-1] + 1, -1e9)", 3),
        ("maximum(maximum(X[k] + X[k-1], -1e9) + X[k+1], -1e9)", 3),
        ("maximum(X[k], X[k-1]) + X[k]", 3),
        ("maximum(X[k] + X[k-1], -1e9) * maximum(X[k+1] + X[k-2], -1e9)", 4),
        ("maximum(0, X[k]) * maximum(X[k+1] + X[k-2], -1e9)", 2),
        ("1 / (1 + X[k]**2)", 2),
        ("(1 + X[k]**2)**1.5", 2),
        ("maximum(X[k] + X[k-1] + 1, -1e9)**3", 27),
        ("1 / (1 / (X[k] + X[k-1]))", 2),
    ],
)
def test_monomials_count_wherever_they_stand(text: str, n_terms: int) -> None:
    """As many as without the function around them, where that is the polynomial itself; at least one."""
    equations = EquationSet.parse([text], K=8)
    assert equations.n_terms == 8 * n_terms
    assert len(equations.support | equations.inner_terms) == 8 * n_terms


@pytest.mark.parametrize("seed", range(20))
def test_random_sets_read_as_they_are_written(seed: int) -> None:
    rng = random.Random(seed)
    fast = seed % 2 * J
    monomials = library(K + K * fast, 2 if fast else 3)
    coefficients = np.zeros((K + K * fast, len(monomials)))
    for row in coefficients:
        for column in rng.sample(range(len(monomials)), rng.randint(0, 6)):
            row[column] = rng.choice([1.0, -1.0, rng.gauss(0, 1), rng.gauss(0, 1) * 10 ** rng.randint(-300, 300)])
    equations = EquationSet.from_coefficients(monomials, coefficients, K, fast)
    texts = equations.texts()
    assert len(texts) == K + K * fast
    assert EquationSet.parse(texts, K, fast) == equations
    rng.shuffle(texts)
    assert EquationSet.parse(texts, K, fast) == equations


SYMMETRIC = [
    ["dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8.1"],
    ["dX[k]/dt = X[k-3]*X[k+3] + X[k-2]**3/7"],
    ["dX[k]/dt = sin(X[k-1] + X[k+1]/3)*X[k] - maximum(X[k], X[k-1])"],
    ["dX[k]/dt = X[k]/(X[k] + 2*X[k+1] + 1/3) + X[k-1]**0.3 + 1/X[k+2]"],
    ["dX[k]/dt = X[k]/(1 + sin(X[k-1])/(1 + X[k+1]**2))"],
    ["dX[k]/dt = 0"],
    ["dX[k]/dt = -X[k] - 1.5*sum(Y[k])", "dY[k,j]/dt = -10*Y[k,j+1]*(Y[k,j+2] - Y[k,j-1]) - Y[k,j] + X[k]"],
    ["dX[k]/dt = Y[k,0]*Y[k,3] - Y[k-1,2]", "dY[k,j]/dt = Y[k+1,j]*Y[k-2,j-1] + X[k+1]"],
    ["dX[k]/dt = sum(Y[k-1])**2 - sum(Y[k+1])", "dY[k,j]/dt = sum(Y[k]) - sin(Y[k,j-3])"],
]


@pytest.mark.parametrize("texts", SYMMETRIC, ids=lambda texts: texts[0])
def test_what_is_the_same_all_around_is_written_once(texts: list[str]) -> None:
    fast = J * ("Y" in "".join(texts))
    equations = EquationSet.parse(texts, K, fast)
    written = equations.texts()
    assert EquationSet.parse(written, K, fast) == equations
    assert equations.n_equations == len(written) == len(texts)
    assert len(equations.latex()) == len(texts)
    assert [text.split("=")[0] for text in written[:1]] == ["dX[k]/dt "]


def test_one_different_coefficient_is_seen() -> None:
    everywhere = EquationSet.parse(["dX[k]/dt = 0.3*X[k-1] - X[k]"], K)
    texts = [f"dX[{k}]/dt = {0.3 if k != 3 else 0.30000000000000004}*X[{(k - 1) % K}] - X[{k}]" for k in range(K)]
    other = EquationSet.parse(texts, K)
    assert other != everywhere
    assert len(other.texts()) == K
    assert other.texts()[3] == "dX[3]/dt = 0.30000000000000004*X[2] - X[3]"
