"""Tendencies against NumPy, against the truth's own kernels, and against Python's arithmetic on the texts."""

from __future__ import annotations

import random
import re
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.dynamics.truth import advance, random_state
from l96bench.equations import EquationSet
from l96bench.equations.grammar import FUNCTIONS
from l96bench.regimes import Regime, get_regime

K = 8
LORENZ = "dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + {F}"
X = np.random.default_rng(0).normal(2.0, 4.0, (20, K))
PLAIN: dict[str, Any] = {name: getattr(np, name) for name in FUNCTIONS}


class Ring:
    """A row whose index is periodic: what X is in the texts."""

    def __init__(self, row: NDArray[np.float64]) -> None:
        self.row = row

    def __getitem__(self, k: int) -> np.float64:
        return self.row[k % len(self.row)]


def by_python(text: str, states: NDArray[np.float64]) -> NDArray[np.float64]:
    """The right-hand side at all points and states, as Python itself evaluates it."""
    text = re.sub(r"(?<![\w.])(\d+)(?![\w.\]])", r"\1.0", text)
    with np.errstate(all="ignore"):
        return np.array([[eval(text, {**PLAIN, "X": Ring(row), "k": k}) for k in range(K)] for row in states])


def test_lorenz_96_is_what_numpy_says() -> None:
    expected = np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + 8.25
    tendency = EquationSet.parse([LORENZ.format(F=8.25)], K).tendency(X)
    np.testing.assert_allclose(tendency, expected, rtol=0, atol=1e-12)


def two_scale(regime: Regime) -> EquationSet:
    hcb, cb, c = regime.h * regime.c / regime.b, regime.b * regime.c, regime.c
    texts = [
        LORENZ.format(F=regime.F) + f" - {hcb}*sum(Y[k])",
        f"dY[k,j]/dt = -{cb}*Y[k,j+1]*(Y[k,j+2] - Y[k,j-1]) - {c}*Y[k,j] + {hcb}*X[k]",
    ]
    return EquationSet.parse(texts, regime.K, regime.J)


@pytest.mark.parametrize("id", ["wilks-f20", "arnold-c4", "weak-h01", "lorenz96-k40"])
def test_a_runge_kutta_step_is_that_of_the_truth(id: str) -> None:
    regime = get_regime(id)
    state = random_state(regime, [1, 2, 3])
    advance(regime, state, 2000)
    z = np.concatenate([part.ravel() for part in state])[None]
    equations = two_scale(regime) if regime.J else EquationSet.parse([LORENZ.format(F=regime.F)], regime.K)
    dt = 0.001
    k1 = equations.tendency(z)
    k2 = equations.tendency(z + dt / 2 * k1)
    k3 = equations.tendency(z + dt / 2 * k2)
    k4 = equations.tendency(z + dt * k3)
    advance(regime, state, 1, dt)
    expected = np.concatenate([part.ravel() for part in state])
    np.testing.assert_allclose((z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4))[0], expected, rtol=0, atol=1e-13)


def expression(rng: random.Random, depth: int) -> str:
    """A random expression with functions, quotients and powers of all kinds."""
    if depth == 0 or rng.random() < 0.1:
        return rng.choice(["X[k]", "X[k-1]", "X[k+2]", f"{rng.uniform(0.5, 2):.2f}", "2"])
    left, right = expression(rng, depth - 1), expression(rng, depth - 1)
    name = rng.choice(sorted(set(FUNCTIONS) - {"exp", "sinh", "cosh", "tan", "sign"}))
    return rng.choice(
        [
            f"({left} + {right})",
            f"({left} - {right})",
            f"{left}*{right}",
            f"({left})/({right})",
            f"({left})**2",
            f"({left})**-1",
            f"abs({left})**1.3",
            f"{name}({', '.join([left, right][: FUNCTIONS[name]])})",
        ]
    )


@pytest.mark.parametrize("seed", range(60))
def test_any_expression_has_the_value_that_python_gives_it(seed: int) -> None:
    text = expression(random.Random(seed), 3)
    try:
        with np.errstate(all="ignore"):
            expected = by_python(text, X[:4])
    except ZeroDivisionError:
        pytest.skip("a constant is divided by zero")
    equations = EquationSet.parse([text], K)
    finite = np.isfinite(expected)
    np.testing.assert_allclose(equations.tendency(X[:4])[finite], expected[finite], rtol=1e-7, atol=1e-7)
    again = EquationSet.parse(equations.texts(), K)
    assert again == equations
    np.testing.assert_array_equal(again.tendency(X), equations.tendency(X))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_numpys(name: str) -> None:
    arguments = ["0.1*X[k] + 0.2", "X[k+1]"][: FUNCTIONS[name]]
    values = [0.1 * X + 0.2, np.roll(X, -1, 1)][: FUNCTIONS[name]]
    with np.errstate(all="ignore"):
        expected = PLAIN[name](*values)
    equations = EquationSet.parse([f"{name}({', '.join(arguments)})"], K)
    np.testing.assert_allclose(equations.tendency(X), expected, rtol=1e-13)


def test_what_is_not_finite_is_silent() -> None:
    states = np.array([[0.0, -1.0, 1e300, np.nan, np.inf, 1.0, 2.0, -np.inf]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inverse = EquationSet.parse(["1/X[k]"], K).tendency(states)
        logarithm = EquationSet.parse(["log(X[k])"], K).tendency(states)
        power = EquationSet.parse(["X[k]**20 + exp(X[k])"], K).tendency(states)
        fraction = EquationSet.parse(["X[k]**0.5"], K).tendency(states)
    np.testing.assert_array_equal(inverse[0, [0, 1, 5]], [np.inf, -1.0, 1.0])
    assert logarithm[0, 0] == -np.inf
    assert np.isnan(logarithm[0, [1, 3, 7]]).all()
    assert power[0, 2] == np.inf
    assert np.isnan(fraction[0, 1])


def test_rows_do_not_depend_on_each_other_and_states_are_left_alone() -> None:
    equations = EquationSet.parse(["sin(X[k])*X[k-1]**2/(1 + X[k]**2) + X[k+1] - 3"], K)
    states = X.copy()
    together = equations.tendency(states)
    np.testing.assert_array_equal(states, X)
    for row, expected in zip(states, together, strict=True):
        np.testing.assert_array_equal(equations.tendency(row[None])[0], expected)
    np.testing.assert_array_equal(equations.tendency(np.asfortranarray(states)), together)
    np.testing.assert_array_equal(equations.tendency(states[::2]), together[::2])
    assert equations.tendency(np.empty((0, K))).shape == (0, K)


def test_equal_equations_have_equal_bits() -> None:
    one = EquationSet.parse(["(X[k] + 0.1)**3*(X[k+1] - X[k-2])"], K)
    other = EquationSet.parse(["-(X[k-2] - X[k+1])*(X[k] + 0.1)*(0.01 + X[k]/5 + X[k]**2)"], K)
    np.testing.assert_array_equal(one.tendency(X), other.tendency(X))


def test_an_empty_set_does_not_move() -> None:
    np.testing.assert_array_equal(EquationSet.parse([], K).tendency(X), np.zeros_like(X))


@pytest.mark.parametrize("shape", [(8,), (3, 7), (3, 9), (2, 3, 8)])
def test_states_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected states of shape \(n, 8\), got"):
        EquationSet.parse(["X[k]"], K).tendency(np.zeros(shape))
