"""Lanes in kernels against the same functions on arrays, bit for bit, and rings in lanes against rings in a row."""

from __future__ import annotations

import numpy as np
import pytest

from l96bench.dynamics import kernels
from l96bench.dynamics.lanes import WIDTH, fill, load, store, turn_left, turn_right
from l96bench.dynamics.truth import advance, random_state
from l96bench.jit import kernel
from l96bench.regimes import Regime


def arithmetic(cells, out, number):
    """Every function and operator of lanes, each with a row of its own."""
    a, b = load(cells, 0), load(cells, 2)
    store(out, 0, a + b)
    store(out, 1, a - b)
    store(out, 2, a * b)
    store(out, 3, turn_left(a))
    store(out, 4, turn_right(a))
    store(out, 5, fill(number) * a - b)
    kept = a
    for i in range(3):
        kept = load(cells, i) - kept
    store(out, 6, kept)


def test_lanes_are_four_numbers() -> None:
    cells = np.random.default_rng(0).standard_normal(3 * WIDTH)
    compiled, plain = np.zeros(7 * WIDTH), np.zeros(7 * WIDTH)
    kernel(arithmetic)(cells, compiled, 0.1)
    arithmetic(cells, plain, 0.1)
    np.testing.assert_array_equal(compiled, plain)
    assert compiled[3 * WIDTH] == cells[1]
    assert compiled[4 * WIDTH] == cells[WIDTH - 1]


def test_lanes_are_not_fused() -> None:
    """(1 + e) (1 - e) - 1 is -e^2 with a fused multiply-add, and 0 without."""
    small = 2.0**-30
    cells = np.repeat([1.0 + small, 1.0 - small, 1.0], WIDTH)

    @kernel
    def difference(cells, out):
        store(out, 0, load(cells, 0) * load(cells, 1) - load(cells, 2))

    out = np.ones(WIDTH)
    difference(cells, out)
    np.testing.assert_array_equal(out, 0.0)


@pytest.mark.parametrize("coupling", ["local", "flux"])
@pytest.mark.parametrize(("K", "J"), [(4, 1), (4, 2), (8, 32), (12, 5), (36, 10)])
def test_a_ring_in_lanes_has_the_bits_of_a_ring_in_a_row(K: int, J: int, coupling: str) -> None:
    """The kernel of three scales, with no Z, integrates the same equations without lanes."""
    regime = Regime("lanes", K, J, 15.0, c=4.0, coupling=coupling)
    X, Y = random_state(regime, [3])
    x, y, n_steps = X.copy(), Y.copy(), 200
    numbers = (regime.h * regime.c / regime.b, regime.c * regime.b, regime.c, 0.0, 0.0, 0.0)
    stages = np.empty((n_steps, 4, K))
    row = (x, y, np.empty((K, J, 0)), regime.F, *numbers, coupling == "flux", 0.001, n_steps, kernels.RECORD, stages)
    kernels.advance_three_scale(*row)
    lanes = np.empty((n_steps, 4, K))
    advance(regime, (X, Y), n_steps, stages=lanes, mode=kernels.RECORD)
    for came, expected in ((X, x), (Y, y), (lanes, stages)):
        np.testing.assert_array_equal(came, expected)
