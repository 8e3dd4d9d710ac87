"""Closures from observations by increments, by state augmentation, and from the climate alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.assimilation import (
    AugmentedPolynomial,
    ClimateInversion,
    IncrementNetwork,
    IncrementPolynomial,
    Network,
    ObservedSeries,
    RedNoiseModel,
    observed_climate,
)
from l96bench.errors import L96BenchError, ModelError
from l96bench.estimators import TorchRegressor

K, F = 8, 20.0
TRUE = RedNoiseModel(np.array([[-0.5], [-0.9]]), 1.0, 0.2)


@cache
def observed(duration: float, points: tuple[int, ...] | None = None) -> ObservedSeries:
    rng = np.random.default_rng(0)
    states, X = rng.standard_normal((1, 2 * K)), []
    for time in range(round(duration / 0.2) + 25):
        states = TRUE.advance(states, F, rng, 20)
        if time >= 25:
            X.append(states[0, :K])
    values = np.array(X) + rng.standard_normal((len(X), K))
    if points is not None:
        values[:, [each for each in range(K) if each not in points]] = np.nan
    return ObservedSeries(values, Network(K, 0.2, 1.0, points=points), F)


def slope(coefficients: NDArray) -> float:
    """That of the polynomial over the states that occur."""
    x = np.linspace(-4.0, 10.0, 15)
    return float(np.polyfit(x, np.polynomial.polynomial.polyval(x, coefficients), 1)[0])


@pytest.mark.slow
def test_increments_have_the_sign_of_the_closure_and_too_little_of_it() -> None:
    found = IncrementPolynomial(degree=1).fit(observed(200.0))
    assert -0.9 < found.coef_[1] < -0.2
    np.testing.assert_array_equal(found.closure().coefficients, found.coef_)


@pytest.mark.slow
def test_every_pass_adds_damping_and_the_first_the_most() -> None:
    """Also beyond the truth's: the errors of backgrounds, which increments take back, are a part of the backgrounds."""
    found = [
        slope(IncrementPolynomial(degree=1, inflation=1.2, passes=passes).fit(observed(200.0)).coef_)
        for passes in (1, 2, 3)
    ]
    added = -np.diff([0.0, *found])
    assert added[0] > added[1] > added[2] > 0.0
    assert found[0] > -0.9 > found[2]
    with pytest.raises(L96BenchError, match="at least one pass"):
        IncrementPolynomial(passes=0).fit(observed(200.0))


@pytest.mark.slow
@pytest.mark.parametrize("points", [None, (0, 1, 3, 4, 5, 7)])
def test_a_network_of_one_point_finds_what_a_line_finds(points: tuple[int, ...] | None) -> None:
    """Both see the increments of the same filter, at the points that are observed."""
    series = observed(200.0, points)
    network = TorchRegressor(hidden=(8,), epochs=20, min_steps=300)
    found = IncrementNetwork(network, radius=0, inflation=1.2).fit(series)
    line = IncrementPolynomial(degree=1, inflation=1.2).fit(series)
    x = np.linspace(-2.0, 8.0, 11)[:, None].repeat(K, axis=1)
    fitted = np.polyfit(x[:, 0], found.closure().predict(x)[:, 0], 1)[0]
    assert fitted == pytest.approx(line.coef_[1], abs=0.12)
    assert abs(line.coef_[1]) > 0.25


@pytest.mark.slow
def test_a_second_pass_of_a_network_adds_damping() -> None:
    network = TorchRegressor(hidden=(8,), epochs=20, min_steps=300)
    x = np.linspace(-2.0, 8.0, 11)[:, None].repeat(K, axis=1)
    once, twice = (
        IncrementNetwork(network, radius=0, inflation=1.2, passes=passes).fit(observed(200.0)).closure().predict(x)
        for passes in (1, 2)
    )
    slopes = [np.polyfit(x[:, 0], each[:, 0], 1)[0] for each in (once, twice)]
    assert slopes[1] < 1.2 * slopes[0] < 0.0
    with pytest.raises(L96BenchError, match="at least one pass"):
        IncrementNetwork(passes=0).fit(observed(200.0))


@pytest.mark.slow
def test_augmentation_ends_near_the_closure() -> None:
    """Without the noise in its model the filter takes it for a stronger damping."""
    found = AugmentedPolynomial("wilks-f20", (1.0, 0.5)).fit(observed(200.0))
    np.testing.assert_allclose(found.coef_, [-0.5, -0.9], atol=0.5)


@pytest.mark.slow
def test_two_points_show_the_closure_by_their_climate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed_climate, "_DURATION", 20.0)
    found = ClimateInversion(degree=1, iterations=5).fit(observed(400.0, (0, 4)))
    assert found.model_.coefficients[1, 0] == pytest.approx(-0.9, abs=0.25)
    assert found.closure().K == K


@pytest.mark.parametrize("kind", [IncrementPolynomial, IncrementNetwork, AugmentedPolynomial, ClimateInversion])
def test_given_u(kind: type) -> None:
    rng = np.random.default_rng(0)
    X = 3.0 + 4.0 * rng.standard_normal((500, K))
    U = -0.5 - 0.9 * X
    model = kind()
    closure = model.given_U(X, U + 0.1 * rng.standard_normal(U.shape))
    predict = closure.model_.mean if kind is ClimateInversion else lambda X, M: closure.predict(X)
    assert np.abs(predict(X, X) - U).mean() < 0.05
    with pytest.raises(ModelError, match="not fitted"):
        model.closure()


@pytest.mark.parametrize("std", [0.0, 1.0])
def test_the_statistics_know_the_errors(std: float) -> None:
    """Those of states without errors, told of the errors, are those of states with them."""
    rng = np.random.default_rng(0)
    X = rng.gamma(2.0, 1.0, (40_000, 2, 4))
    exact = observed_climate._statistics(X, [0, 2], std)
    drawn = observed_climate._statistics(X + std * rng.standard_normal(X.shape), [0, 2], 0.0)
    np.testing.assert_allclose(drawn, exact, rtol=0.02)


def test_pairs_that_are_observed_have_distances() -> None:
    values = np.full((5, 1, 8), np.nan)
    values[..., [0, 4]] = 1.0
    assert observed_climate._distances(values) == [0, 4]


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(L96BenchError, match="rows of observations"):
        ClimateInversion().fit(observed(2.0))
    with pytest.raises(L96BenchError, match="at least one iteration, got iterations=0"):
        ClimateInversion(iterations=0).fit(observed(400.0))
    with pytest.raises(L96BenchError, match="36 points"):
        AugmentedPolynomial("wide-k36").fit(observed(2.0))
