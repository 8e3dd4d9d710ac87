"""Lorenz-96 with free coefficients against SciPy, the truth's own kernels, and the identities of the equations."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from l96bench.dynamics import truth as textbook_truth
from l96bench.dynamics.generalized import Coefficients, advance, lyapunov_exponent, random_state, record
from l96bench.errors import L96BenchError
from l96bench.regimes import get_regime

Array = NDArray[np.float64]
ODD = Coefficients(0.8, 0.9, 1.3, 12.0, 0.7, 90.0, 101.0, 8.0, 1.2)
SIZES = [(8, 0), (8, 8), (8, 32), (4, 1), (5, 7)]
every_size = pytest.mark.parametrize(("K", "J"), SIZES)


def settled(o: Coefficients, K: int, J: int, n_steps: int = 3000) -> tuple[Array, Array]:
    X, Y = random_state(o, K, J, [5])
    advance(o, X, Y, n_steps)
    return X, Y


def after(o: Coefficients, state: tuple[Array, Array], n_steps: int, dt: float = 0.001) -> tuple[Array, Array]:
    X, Y = (part.copy() for part in state)
    advance(o, X, Y, n_steps, dt)
    return X, Y


def written_out(o: Coefficients, K: int, J: int, state: Array) -> Array:
    """The equations, index by index."""
    X, Y, M = state[:K], state[K:], K * J
    rates = np.empty_like(state)
    for k in range(K):
        rates[k] = o.a1 * X[k - 1] * X[(k + 1) % K] - o.a2 * X[k - 1] * X[k - 2] - o.d * X[k] + o.F
        rates[k] -= o.hx * sum(Y[k * J : (k + 1) * J])
    for m in range(M):
        rates[K + m] = -o.p1 * Y[(m + 1) % M] * Y[(m + 2) % M] + o.p2 * Y[(m + 1) % M] * Y[m - 1]
        rates[K + m] += o.hy * X[m // J] - o.c * Y[m]
    return rates


def kernel_tendency(o: Coefficients, state: tuple[Array, Array]) -> Array:
    """The right-hand side that the kernel integrates: (x(dt) - x(-dt)) / 2 dt, whose error is of order dt^2."""
    ahead, behind = (np.concatenate([part.ravel() for part in after(o, state, 1, dt)]) for dt in (1e-6, -1e-6))
    return (ahead - behind) / 2e-6


@every_size
def test_the_equations_are_those_written_out(K: int, J: int) -> None:
    state = settled(ODD, K, J)
    expected = written_out(ODD, K, J, np.concatenate([part.ravel() for part in state]))
    np.testing.assert_allclose(kernel_tendency(ODD, state), expected, atol=1e-7 * np.abs(expected).max())


@every_size
def test_trajectories_are_those_of_scipy(K: int, J: int) -> None:
    state = settled(ODD, K, J)
    flat = np.concatenate([part.ravel() for part in state])
    run = solve_ivp(lambda t, y: written_out(ODD, K, J, y), (0, 0.05), flat, method="DOP853", rtol=1e-12, atol=1e-12)
    X, Y = after(ODD, state, 500, 0.0001)
    np.testing.assert_allclose(np.concatenate([X, Y.ravel()]), run.y[:, -1], atol=1e-8)


@pytest.mark.parametrize("name", ["wilks-f18", "wilks-f20", "arnold-c4", "weak-h01", "wide-k36"])
def test_textbook_coefficients_give_the_truth(name: str) -> None:
    """To rounding, which the fast scale amplifies by about 19 per MTU: p (p1 q - p2 a) is not p1 p (q - a)."""
    regime = get_regime(name)
    o = Coefficients.of(regime)
    state = settled(o, regime.K, regime.J)
    x, y = (part.copy() for part in state)
    textbook_truth.advance(regime, (x, y), 200)
    X, Y = after(o, state, 200)
    np.testing.assert_allclose(X, x, atol=1e-12)
    np.testing.assert_allclose(Y, y, atol=1e-11)


def test_textbook_coefficients_give_the_single_scale_truth() -> None:
    regime = get_regime("lorenz96-k40")
    o = Coefficients.of(regime)
    state = settled(o, 40, 0)
    x = state[0].copy()
    textbook_truth.advance(regime, (x,), 2000)
    np.testing.assert_allclose(after(o, state, 2000)[0], x, atol=1e-12)


@every_size
def test_equal_advections_conserve_energy(K: int, J: int) -> None:
    """Without damping and forcing, and whatever equal couplings exchange, the sum of all squares is constant."""
    o = Coefficients(0.8, 0.8, 0.0, 0.0, 0.7, 9.0, 9.0, 0.0, 0.7)
    rng = np.random.default_rng(0)
    start = rng.standard_normal(K), rng.standard_normal((K, J))
    end = after(o, start, 1000)
    energy = [sum(np.sum(part**2) for part in state) for state in (start, end)]
    assert energy[1] == pytest.approx(energy[0], rel=1e-8)
    assert np.abs(end[0] - start[0]).max() > 0.1
    unequal = after(replace(o, a2=0.9), start, 1000)
    assert abs(sum(np.sum(part**2) for part in unequal) / energy[0] - 1) > 1e-4


@every_size
def test_phase_space_shrinks_by_the_damping(K: int, J: int) -> None:
    """The trace of the Jacobian is -(K d + K J c) everywhere, whatever the other coefficients are."""
    X, Y = (np.round(part, 3) for part in settled(ODD, K, J))
    trace = 0.0
    for place in range(K + K * J):
        # The right-hand side is quadratic, so that a central difference over any width is exact.
        shift = np.zeros(K + K * J)
        shift[place] = 0.5
        up, down = (
            kernel_tendency(ODD, (X + sign * shift[:K], Y + sign * shift[K:].reshape(K, J))) for sign in (1, -1)
        )
        trace += up[place] - down[place]
    assert trace == pytest.approx(-(K * ODD.d + K * J * ODD.c), rel=1e-6)


@every_size
def test_fourth_order(K: int, J: int) -> None:
    state, dt = settled(ODD, K, J), 0.001 if J else 0.01
    runs = [after(ODD, state, 40 * halving, dt / halving) for halving in (1, 2, 4)]
    for part in range(2 if J else 1):
        coarse, fine = (np.linalg.norm(runs[i][part] - runs[i + 1][part]) for i in range(2))
        assert 13 < coarse / fine < 19


@every_size
def test_translation_by_a_sector(K: int, J: int) -> None:
    state = settled(ODD, K, J)
    rolled = after(ODD, (np.roll(state[0], 1), np.roll(state[1], 1, axis=0)), 200)
    for mine, whole in zip(rolled, after(ODD, state, 200), strict=True):
        np.testing.assert_array_equal(mine, np.roll(whole, 1, axis=0))


@every_size
def test_records_are_the_states_of_an_advance(K: int, J: int) -> None:
    start = settled(ODD, K, J)
    X, Y = (part.copy() for part in start)
    xs, us, ys = record(ODD, X, Y, 4, 25)
    for i in range(4):
        x, y = after(ODD, start, 25 * i)
        np.testing.assert_array_equal(xs[i], x)
        np.testing.assert_array_equal(ys[i], y)
    np.testing.assert_array_equal(X, after(ODD, start, 100)[0])
    np.testing.assert_allclose(us, -ODD.hx * ys.sum(axis=2), atol=1e-13)
    X, Y = (part.copy() for part in start)
    lean = record(ODD, X, Y, 4, 25, store_fast=False)
    assert lean[2].shape == (0, K, J)
    np.testing.assert_array_equal(lean[0], xs)
    np.testing.assert_array_equal(lean[1], us)


def test_coefficients_of_a_regime() -> None:
    regime = get_regime("arnold-c4")
    assert Coefficients.of(regime) == Coefficients(1.0, 1.0, 1.0, 20.0, 0.4, 40.0, 40.0, 4.0, 0.4)
    assert Coefficients.of(get_regime("lorenz96-k40")) == Coefficients(1.0, 1.0, 1.0, 8.0)


@pytest.mark.parametrize("name", ["conservative-f12", "three-scale"])
def test_other_regimes_have_other_terms(name: str) -> None:
    with pytest.raises(L96BenchError, match="expected a regime with one or two scales and local coupling"):
        Coefficients.of(get_regime(name))


# Lyapunov exponents.


@pytest.mark.slow
def test_lyapunov_exponent_of_lorenz_96() -> None:
    """1.70 for K 40, F 8 (measured by an independent prototype). The standard error over 3,000 MTU is 0.01."""
    found = [lyapunov_exponent(Coefficients.of(get_regime("lorenz96-k40")), 40, words=(i,)) for i in range(3)]
    assert np.mean(found) == pytest.approx(1.70, abs=0.03)


@pytest.mark.slow
def test_lyapunov_exponent_is_the_growth_of_small_differences() -> None:
    """Of two runs of the truth's own kernel that start 1e-7 apart, brought back together every 0.1 MTU."""
    o, rng = Coefficients(0.8, 0.9, 0.9, 12.0), np.random.default_rng(1)
    X, none = settled(o, 8, 0, 20_000)
    other, growth = X + 1e-7 * rng.standard_normal(8), 0.0
    for i in range(5000):
        before = np.linalg.norm(other - X)
        for x in (X, other):
            advance(o, x, none, 10, 0.01)
        after = np.linalg.norm(other - X)
        growth += np.log(after / before) if i >= 100 else 0.0
        other = X + (other - X) * (1e-7 / after)
    assert lyapunov_exponent(o, 8) == pytest.approx(growth / 490, abs=0.1)


@pytest.mark.slow
def test_lyapunov_exponent_of_decay_and_of_units() -> None:
    """Without forcing all dies at the rate of the damping; in a time unit half as long, all is half as fast."""
    assert lyapunov_exponent(Coefficients(1.0, 1.0, 0.7, 0.0), 8, 200.0) == pytest.approx(-0.7, rel=1e-3)
    o = Coefficients(1.0, 1.1, 0.9, 10.0)
    slower = Coefficients(*(number / 2 for number in astuple(o)[:4]))
    assert lyapunov_exponent(slower, 8) == pytest.approx(lyapunov_exponent(o, 8) / 2, rel=0.03)


def test_fast_variables_are_no_clock() -> None:
    with pytest.raises(L96BenchError, match="expected a single-scale system"):
        lyapunov_exponent(ODD, 8)
