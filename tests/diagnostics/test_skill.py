from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from l96bench.diagnostics.closure.skill import skill_by_lead
from l96bench.diagnostics.closure.spread import rank_histogram
from l96bench.metrics import ensemble
from l96bench.tasks.online_scores import Forecasts


def _forecasts(rng: np.random.Generator, members: int = 5) -> tuple[np.ndarray, Forecasts]:
    truth = rng.standard_normal((3, 40, 4))
    X = truth[:, :, None] + rng.standard_normal((3, 40, members, 4))
    return truth, Forecasts(X, ensemble.crps(truth, X))


def test_undisturbed_weights_give_the_estimates_themselves() -> None:
    truth, forecasts = _forecasts(np.random.default_rng(0))
    curves = skill_by_lead(truth, forecasts, 0.3, np.ones((5, 40)))
    expected = {
        "rmse": ensemble.rmse_by_lead(truth, forecasts.X),
        "crps": forecasts.crps.mean(axis=1),
        "anomaly_correlation": ensemble.anomaly_correlation_by_lead(truth, forecasts.X, 0.3),
        "spread": ensemble.spread_by_lead(forecasts.X),
    }
    for name, value in expected.items():
        for part in curves[name]:
            np.testing.assert_allclose(part, value, rtol=1e-12)


def test_intervals_hold_the_estimate_and_have_a_width() -> None:
    rng = np.random.default_rng(1)
    truth, forecasts = _forecasts(rng)
    curve = skill_by_lead(truth, forecasts, 0.0, rng.multinomial(40, [1 / 40] * 40, size=500).astype(float))["rmse"]
    assert (curve.low <= curve.value).all()
    assert (curve.value <= curve.high).all()
    assert (curve.low < curve.high).all()


def test_the_spread_of_one_member_is_zero() -> None:
    truth, forecasts = _forecasts(np.random.default_rng(2), members=1)
    assert not skill_by_lead(truth, forecasts, 0.0, np.ones((5, 40)))["spread"].high.any()


def test_ranks_of_draws_from_the_truth_are_flat_within_the_binomial_envelope() -> None:
    rng = np.random.default_rng(3)
    n, members = 4000, 9
    draws = rng.standard_normal((1, n, members + 1, 1))
    found = rank_histogram(draws[:, :, 0], draws[:, :, 1:], rng)
    low, high = binom.ppf([0.0005, 0.9995], n, 1 / (members + 1))
    assert found.counts.sum() == n
    assert ((low <= found.counts) & (found.counts <= high)).all()
    assert found.outside == 0
    # Independent cases: the half-width is that of a binomial count, times the factor for ten ranks at once.
    std = binom.std(n, 1 / (members + 1))
    np.testing.assert_allclose((found.high - found.low) / (2 * std), 2.8, rtol=0.12)


def test_dependent_points_widen_the_envelope() -> None:
    rng = np.random.default_rng(4)
    draws = rng.standard_normal((1, 500, 10, 1))
    alone = rank_histogram(draws[:, :, 0], draws[:, :, 1:], np.random.default_rng(0))
    copied = np.repeat(draws, 4, axis=3)
    together = rank_histogram(copied[:, :, 0], copied[:, :, 1:], np.random.default_rng(0))
    np.testing.assert_allclose(together.counts, 4 * alone.counts)
    np.testing.assert_allclose(together.high - together.expected, 4 * (alone.high - alone.expected))


@pytest.mark.slow
def test_the_envelope_holds_reliable_ensembles_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    outside = 0
    for _ in range(200):
        shared = rng.standard_normal((1, 60, 1, 1))
        draws = shared + rng.standard_normal((1, 60, 6, 3))
        outside += rank_histogram(draws[:, :, 0], draws[:, :, 1:], rng, n_replicates=300).outside > 0
    assert 1 <= outside <= 22  # 10 expected; 0.999 quantiles of the binomial


def test_too_little_spread_is_found() -> None:
    rng = np.random.default_rng(6)
    truth = rng.standard_normal((1, 500, 2))
    found = rank_histogram(truth, 0.4 * rng.standard_normal((1, 500, 9, 2)), rng)
    assert found.counts[0] > found.high[0]
    assert found.counts[-1] > found.high[-1]


def test_one_member_has_no_ranks() -> None:
    with pytest.raises(ValueError, match="2 members"):
        rank_histogram(np.zeros((1, 3, 2)), np.zeros((1, 3, 1, 2)), np.random.default_rng(0))
