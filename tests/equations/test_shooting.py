"""Multiple shooting finds systems that are known, and its parts agree with SciPy, NumPy and finite differences."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from sklearn.base import clone

from l96bench.equations import EquationSet
from l96bench.equations.library import RingLibrary
from l96bench.equations.shooting import MultipleShooting
from l96bench.equations.shooting_fit import Ring, Shots, fit, prune
from l96bench.equations.shooting_kernels import normal_equations
from l96bench.equations.shooting_windows import Record
from l96bench.errors import ModelError


def shots(seed: int = 0, windows: int = 2, samples: int = 3, n: int = 5, inputs: int = 5) -> Shots:
    rng = np.random.default_rng(seed)
    return Shots(
        rng.standard_normal((windows, samples, n)),
        rng.random((windows, samples, n)),
        rng.standard_normal((windows, n)),
        rng.standard_normal((windows, samples - 1, 5, inputs)),
        0.02,
    )


def slow_ring(degree: int = 2) -> Ring:
    """The ring of X of five points with two fast variables each, whose sums are the inputs."""
    return Ring.of(RingLibrary(degree, 2, 2, pooled=True).candidates(15)[0])


@pytest.mark.parametrize("degree", [2, 3])
def test_steps_are_those_of_finite_differences(degree: int) -> None:
    """The step solves the normal equations whose right-hand side is minus half the gradient of the sum of squares."""
    ring, given = slow_ring(degree), shots()
    c = np.random.default_rng(1).standard_normal(len(ring.factors)) * 0.3
    _, hessians, gradients = normal_equations(
        given.observed, given.weights, given.initial, given.inputs, given.dt, ring.index, ring.factors, c, True, True
    )
    for place in range(5):
        moved = [replace(given, initial=given.initial + sign * 1e-5 * np.eye(5)[place]) for sign in (1, -1)]
        slope = (moved[0].sums(ring, c) - moved[1].sums(ring, c)) / 2e-5
        np.testing.assert_allclose(gradients[:, place], -0.5 * slope, rtol=1e-5, atol=1e-7)
    for term in range(len(c)):
        unit = 1e-5 * np.eye(len(c))[term]
        slope = (given.sums(ring, c + unit) - given.sums(ring, c - unit)) / 2e-5
        np.testing.assert_allclose(gradients[:, 5 + term], -0.5 * slope, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(hessians, hessians.transpose(0, 2, 1), atol=1e-12)
    assert np.linalg.eigvalsh(hessians[0]).min() > -1e-9


def test_a_trajectory_is_that_of_scipy() -> None:
    text = "dX[k]/dt = 1.2*X[k-1]*X[k+1] - 1.1*X[k-1]*X[k-2] - 0.9*X[k] + 9.5"
    system, (candidates,) = EquationSet.parse([text], 6, 0), RingLibrary(2, 2).candidates(6)
    values = {"1": 9.5, "X[k]": -0.9, "X[k-1]*X[k+1]": 1.2, "X[k-2]*X[k-1]": -1.1}
    c = np.array([values.get(symbol, 0.0) for symbol in candidates.symbols()])
    start, empty = np.random.default_rng(0).random(6), np.empty((81, 0))
    run = Ring.of(candidates).run(start, empty, 0.005, c)
    true = solve_ivp(lambda _, x: system.tendency(x[None])[0], (0.0, 0.2), start, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(run[-1], true.y[:, -1], rtol=1e-6)


def test_inputs_are_functions_of_time() -> None:
    """dX/dt = S(t), a sum of sectors that is quadratic in time, which RK4 integrates exactly."""
    ring = slow_ring(0)
    times = np.linspace(0.0, 1.0, 9)[:, None] * np.ones(5)
    run = ring.run(np.zeros(5), 3.0 * times**2, 0.25, np.array([0.0, 1.0]))
    np.testing.assert_allclose(run[:, 0], np.linspace(0.0, 1.0, 5) ** 3, atol=1e-14)


def test_a_constant_tendency_is_the_slope_of_a_regression_line() -> None:
    """Where dX/dt = c, the most likely c of noisy windows is the slope of parallel regression lines."""
    (candidates,) = RingLibrary(0, 1).candidates(4)
    observed = np.random.default_rng(2).standard_normal((3, 6, 4))
    given = Shots(observed, np.ones(observed.shape), observed[:, 0].copy(), np.empty((3, 5, 3, 0)), 0.1)
    c, after, hessian, total = fit(Ring.of(candidates), np.zeros(1), given)
    lines = observed.transpose(1, 0, 2).reshape(6, 12)
    slopes, offsets = np.polyfit(0.1 * np.arange(6), lines, 1)
    assert c[0] == pytest.approx(slopes.mean(), rel=1e-6)
    np.testing.assert_allclose(after.initial.ravel(), offsets + (slopes - c[0]) * 0.25, atol=1e-6)
    assert hessian[0, 0] == pytest.approx(12 * np.var(0.1 * np.arange(6)) * 6)
    assert total == pytest.approx(after.sums(Ring.of(candidates), c).sum())


def test_a_term_costs_what_a_regression_loses_without_it() -> None:
    rng = np.random.default_rng(3)
    A = rng.standard_normal((200, 4)) @ rng.standard_normal((4, 4))
    b = A @ [1.0, 0.02, -2.0, 0.01] + 0.1 * rng.standard_normal(200)
    c = np.linalg.lstsq(A, b, rcond=None)[0]

    def loss(terms: list[int]) -> float:
        return float(np.sum((b - A[:, terms] @ np.linalg.lstsq(A[:, terms], b, rcond=None)[0]) ** 2))

    costs = [np.sqrt((loss([i for i in range(4) if i != term]) - loss([0, 1, 2, 3])) / 0.01) for term in range(4)]
    cheapest = int(np.argmin(costs))
    for factor, kept in ((0.999, True), (1.001, False)):
        least = np.full(4, factor * costs[cheapest])
        assert (cheapest in prune(c, A.T @ A, 0.01, least, np.zeros(4))) is kept
    assert not len(prune(c, A.T @ A, 0.01, np.zeros(4), np.full(4, 2.0)))


def test_windows_are_halves_of_longer_ones() -> None:
    record = Record(np.random.default_rng(0).random((201, 6)), 0.05, 5, np.empty((201, 0)))
    windows = list(record.windows(30.0, 0.8))
    assert [length for length, _ in windows] == [1, 2, 4, 8, 16]
    for (length, rows), (_, longer) in pairwise(windows):
        np.testing.assert_array_equal(rows[::2], longer)
        np.testing.assert_array_equal(rows[1::2], longer + length)
        assert rows.max() + length <= 200
    assert record.shots(windows[0][1], 1, calm=0.5).weights[:, 1].astype(bool).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
def test_a_single_scale_is_found(ring: Any) -> None:
    model = MultipleShooting().fit(ring.X, ring.t)
    assert len(model.equations()) == 1
    assert ring.error(model.equations()) < 1e-5
    assert ring.error(model.fit(ring.X[::5], ring.t[::5]).equations()) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.01, 0.05, 0.1])
def test_noise_is_known_to_be_there(ring: Any, noise: float) -> None:
    assert ring.error(MultipleShooting().fit(ring.noisy(noise), ring.t).equations()) < noise


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 5])
def test_two_scales_are_found(two_rings: Any, every: int) -> None:
    model = MultipleShooting(radius=None, J=3, share=0.02).fit(two_rings.X[::every], two_rings.t[::every])
    assert len(model.equations()) == 2
    assert two_rings.error(model.equations()) < 0.02


@pytest.mark.slow
def test_it_is_an_estimator_whose_fit_repeats(ring: Any) -> None:
    model = MultipleShooting(share=0.1)
    assert clone(model).get_params() == model.get_params()
    first = model.fit(ring.noisy(0.1)[:500], ring.t[:500]).equations()
    assert clone(model).fit(ring.noisy(0.1)[:500], ring.t[:500]).equations() == first


def test_equations_that_blow_up_are_an_error() -> None:
    ring = slow_ring()
    given = shots()
    with pytest.raises(ModelError, match="blow up"):
        fit(ring, np.full(len(ring.factors), np.inf), given)


@pytest.mark.parametrize(
    ("model", "n", "message"),
    [
        (MultipleShooting(dt=0.0), 100, "dt > 0"),
        (MultipleShooting(J=3), 100, "give RingLibrary its J"),
        (MultipleShooting(radius=3), 100, "stencil"),
        (MultipleShooting(), 1, "expected states"),
        (MultipleShooting(), 4, "expected at least"),
    ],
)
def test_bad_input_is_an_error(model: MultipleShooting, n: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        model.fit(np.random.default_rng(0).random((n, 6)), 0.05 * np.arange(n))


def test_irregular_times_are_an_error() -> None:
    with pytest.raises(ModelError, match="regular"):
        MultipleShooting().fit(np.ones((50, 6)), np.arange(50) ** 1.1)
