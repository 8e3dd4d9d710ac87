"""Closures that are written as equations, in the resolved model."""

from __future__ import annotations

import numpy as np
import pytest

from l96bench.dynamics.closures import Closure, as_closure, checked_step
from l96bench.dynamics.polynomial import Polynomial
from l96bench.equations import EquationClosure
from l96bench.errors import EquationError
from l96bench.tasks.parts import count_parameters

K = 8
X = np.random.default_rng(0).normal(3.0, 4.0, (30, K))


@pytest.mark.parametrize("text", ["-0.3 - 1.9*X[k] + 0.02*X[k]**2", "U[k] = (0.02*X[k] - 1.9)*X[k] - 0.3"])
def test_a_polynomial_in_words_is_that_polynomial(text: str) -> None:
    closure = EquationClosure([text], K)
    np.testing.assert_allclose(closure.predict(X), Polynomial([-0.3, -1.9, 0.02]).predict(X), rtol=1e-12, atol=1e-12)
    assert as_closure(closure) is closure
    assert isinstance(closure, Closure)
    assert closure.deterministic
    np.testing.assert_array_equal(checked_step(closure, X), closure.predict(X))
    assert repr(closure) == "EquationClosure(['U[k] = 0.02*X[k]**2 - 1.9*X[k] - 0.3'], K=8)"


def test_parameters_are_what_has_to_be_written_down() -> None:
    shared = EquationClosure(["U[k] = -0.3 - 1.9*X[k] + 0.02*X[k-1]**2"], K)
    assert sorted(shared.coefficients) == [-1.9, -0.3, 0.02]
    assert shared.n_parameters == count_parameters(shared) == 3
    own = EquationClosure([f"U[{k}] = {k}*X[{k}] - 1" for k in range(K)], K)
    assert own.n_parameters == count_parameters(own) == 2 * K - 1
    np.testing.assert_allclose(own.predict(X), np.arange(K) * X - 1)
    assert EquationClosure([], K).n_parameters == 0


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["dX[k]/dt = X[k]"], r"expected U\[k\] or U\[3\] left of '='"),
        (["U[k] = Y[k,0]"], "this system has no fast variables Y"),
        (["U[k] = X[k]", "U[3] = 1"], r"gives the tendency of X\[3\] again"),
        (["U[k,j] = 1"], r"expected U\[k\] or U\[3\] left of '=', got 'U\[k,j\]'"),
        (["U[k] = __import__('os')"], "unexpected '_'"),
    ],
)
def test_what_is_no_closure_is_refused(texts: list[str], says: str) -> None:
    with pytest.raises(EquationError, match=says):
        EquationClosure(texts, K)
