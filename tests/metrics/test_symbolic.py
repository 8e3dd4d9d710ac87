"""Metrics of equations against scikit-learn, SciPy and results known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from sklearn.metrics import precision_recall_fscore_support

from l96bench.metrics.symbolic import (
    best_coefficients,
    coefficient_error,
    forecast_rmse,
    operator_residual,
    support_scores,
)

ONE = (range(2),)
TWO = (range(1), range(1, 4))


def terms(*pairs: tuple[int, str]) -> set:
    return set(pairs)


# Terms.


def test_support_scores_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    library = [(target, name) for target in range(2) for name in "abcdefgh"]
    for _ in range(20):
        true, found = rng.random(len(library)) < 0.4, rng.random(len(library)) < 0.4
        expected = precision_recall_fscore_support(true, found, average="binary", zero_division=0)[:3]
        chosen = [{term for term, here in zip(library, mask, strict=True) if here} for mask in (found, true)]
        scores = support_scores(*chosen, ONE)
        assert (scores.precision, scores.recall, scores.f1) == pytest.approx(expected)


def test_a_term_counts_for_its_own_target_only() -> None:
    assert support_scores(terms((0, "a")), terms((1, "a")), ONE).f1 == 0.0


def test_groups_count_alike_however_many_targets_they_have() -> None:
    """All of the small group and none of the large one, and the other way round."""
    small, large = terms((0, "a")), {(target, "a") for target in (1, 2, 3)}
    for found in (small, large):
        scores = support_scores(found, small | large, TWO)
        assert (scores.precision, scores.recall, scores.f1) == (0.5, 0.5, 0.5)


def test_an_empty_equation_has_nothing() -> None:
    scores = support_scores(set(), terms((0, "a")), ONE)
    assert (scores.precision, scores.recall, scores.f1) == (0.0, 0.0, 0.0)


# Coefficients.


def test_coefficient_error_by_hand() -> None:
    true = {(0, "x"): 3.0, (1, "y"): 4.0}
    assert coefficient_error(true, true, ONE) == 0.0
    assert coefficient_error({}, true, ONE) == 1.0
    assert coefficient_error({term: -value for term, value in true.items()}, true, ONE) == 2.0
    # A missed 4 and a false 12: sqrt(16 + 144) / 5.
    assert coefficient_error({(0, "x"): 3.0, (0, "z"): 12.0}, true, ONE) == pytest.approx(np.sqrt(160) / 5)


def test_coefficient_error_is_averaged_over_groups() -> None:
    true = {(0, "x"): 1.0, (2, "x"): 1e6}
    assert coefficient_error(true | {(0, "x"): 1.5}, true, TWO) == pytest.approx((0.5 + 0.0) / 2)


def test_coefficients_whose_squares_overflow_are_no_nan() -> None:
    assert coefficient_error({(0, "x"): 1e200}, {(0, "x"): 1.0}, ONE[:1]) == pytest.approx(1e200)


# Tendencies.


def test_residual_of_a_multiple_is_its_distance_from_one() -> None:
    f = np.random.default_rng(0).normal(size=(50, 4))
    for factor in (0.0, 0.9, 1.0, -1.0, 1e200):
        assert operator_residual(factor * f, f, (range(4),)) == pytest.approx(abs(factor - 1.0))


def test_residual_of_noise_is_its_share_of_the_variance() -> None:
    """Independent noise of variance s on a tendency of variance 1: sqrt(s)."""
    rng = np.random.default_rng(0)
    f, noise = rng.normal(size=(2, 100_000, 2))
    assert operator_residual(f + 0.1 * noise, f, ONE) == pytest.approx(0.1, rel=0.02)


def test_residual_is_averaged_over_groups() -> None:
    f = np.random.default_rng(0).normal(size=(50, 4))
    predicted = f.copy()
    predicted[:, 1:] = 0.0
    assert operator_residual(predicted, f, TWO) == pytest.approx(0.5)


def test_residual_of_what_is_not_finite_is_an_error() -> None:
    f = np.ones((3, 2))
    with pytest.raises(ValueError, match="must be finite"):
        operator_residual(np.where(np.eye(3, 2) > 0, np.nan, f), f, ONE)


def test_best_coefficients_are_those_of_the_normal_equations() -> None:
    rng = np.random.default_rng(3)
    features, tendency = rng.normal(size=(200, 5)) * [1, 1e-3, 1e3, 1, 1e-200], rng.normal(size=(200, 3))
    support = np.array([[1, 1, 1, 1, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=bool)
    expected = np.zeros((3, 5))
    for target, own in enumerate(support):
        some = features[:, own]
        expected[target, own] = np.linalg.solve(some.T @ some, some.T @ tendency[:, target])
    np.testing.assert_allclose(best_coefficients(features, tendency, support), expected, rtol=1e-8)
    assert best_coefficients(features[:, :0], tendency, support[:, :0]).shape == (3, 0)


def test_best_coefficients_of_dependent_terms_are_the_shortest() -> None:
    x = np.random.default_rng(3).normal(size=(50, 1))
    found = best_coefficients(np.hstack([x, x]), 3.0 * x, np.ones((1, 2), dtype=bool))
    np.testing.assert_allclose(found, [[1.5, 1.5]])
    with pytest.raises(ValueError, match="features must be finite"):
        best_coefficients(np.full((50, 1), np.inf), x, np.ones((1, 1), dtype=bool))


# Forecasts.


def test_rmse_of_a_wrong_decay_is_that_of_its_solution() -> None:
    """dx/dt = -x against exp(-1.1 t), from two starts: the RMSE is known."""
    t, starts = np.arange(0, 2.01, 0.1), np.array([[1.0, 3.0], [2.0, -1.0]])
    truth = starts[:, None] * np.exp(-1.1 * t)[:, None]
    rmse = forecast_rmse(lambda x: -x, truth, interval=0.1, dt=0.01, K=2, stop=10.0)
    expected = np.sqrt(np.mean(starts**2)) * np.abs(np.exp(-t) - np.exp(-1.1 * t))
    np.testing.assert_allclose(rmse, expected, atol=1e-9)
    first = np.sqrt(np.mean(starts[:, 0] ** 2)) * np.abs(np.exp(-t) - np.exp(-1.1 * t))
    only = forecast_rmse(lambda x: -x, truth, interval=0.1, dt=0.01, K=1, stop=10.0)
    np.testing.assert_allclose(only, first, atol=1e-9)


def lorenz(x: np.ndarray) -> np.ndarray:
    return np.roll(x, 1, -1) * (np.roll(x, -1, -1) - np.roll(x, 2, -1)) - x + 8.0


@pytest.mark.slow
def test_the_true_equations_follow_an_integration_by_scipy() -> None:
    start = lorenz(np.sin(np.arange(8.0)))
    run = solve_ivp(lambda _, x: lorenz(x), (0, 2), start, "DOP853", np.arange(0, 2.01, 0.05), rtol=1e-11, atol=1e-11)
    rmse = forecast_rmse(lorenz, run.y.T[None], interval=0.05, dt=0.0025, K=8, stop=1.0)
    assert rmse.shape == (41,)
    assert rmse.max() < 3e-5


def test_integration_stops_at_the_first_lead_that_is_wrong() -> None:
    calls = []

    def explode(x: np.ndarray) -> np.ndarray:
        calls.append(1)
        return x**3

    truth = np.ones((2, 100, 1))
    rmse = forecast_rmse(explode, truth, interval=0.05, dt=0.05, K=1, stop=0.4)
    assert rmse[0] == 0.0
    wrong = np.flatnonzero(np.isinf(rmse))
    assert rmse[wrong[0] - 1] <= 0.4
    assert np.isinf(rmse[wrong[0] :]).all()
    assert len(calls) == 4 * wrong[0]


def test_a_run_that_is_not_finite_is_infinitely_wrong_and_warns_of_nothing() -> None:
    rmse = forecast_rmse(lambda x: np.full_like(x, np.nan), np.ones((2, 5, 1)), interval=0.1, dt=0.1, K=1, stop=1.0)
    assert rmse.tolist() == [0.0] + 4 * [np.inf]
