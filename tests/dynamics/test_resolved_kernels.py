"""The step of the resolved model against plain NumPy, and its members apart from one another."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.dynamics import resolved_kernels


def stepped(X: NDArray[np.float64], U: NDArray[np.float64], F: float) -> NDArray[np.float64]:
    """One step of 0.01 MTU of the members X under U, without limits."""
    n, X = len(X), X.copy()
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    resolved_kernels.advance_resolved(X, U, np.full(n, F), 0.01, low, high, np.zeros(n), np.full(n, -1), 0)
    return X


@pytest.mark.parametrize("K", [4, 5, 8, 36])
def test_resolved_step_is_the_reference(K: int, reference: SimpleNamespace) -> None:
    rng = np.random.default_rng(K)
    x, U = 5 * rng.standard_normal(K), 4 * rng.standard_normal(K)
    expected = reference.resolved_step(x, U, 20.0, 0.01)
    advanced = stepped(x[None], U[None], 20.0)[0]
    np.testing.assert_allclose(advanced, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("K", [4, 8, 40])
@pytest.mark.parametrize("n", [1, 2, 7, 16, 17, 100])
def test_a_member_does_not_depend_on_those_beside_it(K: int, n: int) -> None:
    rng = np.random.default_rng(n)
    X, U = 5 * rng.standard_normal((n, K)), 4 * rng.standard_normal((n, K))
    alone = [stepped(x[None], u[None], 20.0)[0] for x, u in zip(X, U, strict=True)]
    assert stepped(X, U, 20.0).tobytes() == np.array(alone).tobytes()


def test_members_that_left_stay_where_they_are() -> None:
    n = 40
    X, U = np.full((n, 8), 3.0), np.zeros((n, 8))
    left = np.where(np.arange(n) % 3 == 0, 5, -1)
    X[left >= 0] = 1.5
    X[1, 4] = np.nan
    limits = (np.full(n, -10.0), np.full(n, 10.0), np.full(n, 2.0))
    resolved_kernels.advance_resolved(X, U, np.full(n, 8.0), 0.01, *limits, left, 9)
    assert (X[::3] == 1.5).all()
    assert (X[1] == 2.0).all()
    assert left[1] == 9
    moved = np.flatnonzero((np.arange(n) % 3 != 0) & (np.arange(n) != 1))
    assert (left[moved] == -1).all()
    np.testing.assert_allclose(X[moved], stepped(np.full((1, 8), 3.0), np.zeros((1, 8)), 8.0)[0, 0])


@pytest.mark.parametrize("n", [1, 7, 40])
def test_members_may_have_a_polynomial_each(n: int, reference: SimpleNamespace) -> None:
    rng = np.random.default_rng(n)
    X0, coefficients = rng.normal(3.0, 4.0, (n, 8)), rng.normal(0.0, [3.0, 1.0, 0.05], (n, 3))
    limits = (np.full(n, -100.0), np.full(n, 100.0), np.zeros(n), np.full(n, -1))
    X, F = X0.copy(), np.full(n, 20.0)
    resolved_kernels.advance_polynomial(X, coefficients, F, 0.01, 10, *limits, 0)
    shared, expected = X0.copy(), X0.copy()
    for i in range(n):
        alone = X0[i : i + 1].copy()
        one = tuple(array[:1] for array in limits)
        resolved_kernels.advance_polynomial(alone, coefficients[i : i + 1], F[:1], 0.01, 10, *one, 0)
        assert alone.tobytes() == X[i].tobytes()
    resolved_kernels.advance_polynomial(shared, coefficients[:1], F, 0.01, 10, *limits, 0)
    assert shared[0].tobytes() == X[0].tobytes()
    for _ in range(10):
        a, b, c = (coefficients[:, d, None] for d in range(3))
        expected = reference.resolved_step(expected, a + b * expected + c * expected**2, 20.0, 0.01)
    np.testing.assert_allclose(X, expected, rtol=1e-10, atol=1e-10)
