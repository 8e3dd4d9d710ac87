"""Ensemble metrics against closed forms, and under permutation and attack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from l96bench.metrics import ensemble

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def reliable() -> tuple[Array, Array]:
    """Truth and 10 members drawn from one distribution, N(centre, 1) around centres of variance 9."""
    rng = np.random.default_rng(3)
    centre = 3 * rng.standard_normal((2, 500, 1, 8))
    draws = centre + rng.standard_normal((2, 500, 11, 8))
    return draws[:, :, 0], draws[:, :, 1:]


@pytest.mark.slow
def test_crps_of_a_gaussian_ensemble_has_its_closed_form() -> None:
    # Gneiting and Raftery 2007, section 4.2, for a Gaussian: sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)).
    mean, sigma, members = 1.5, 2.0, 4000
    forecast = norm.ppf((np.arange(members) + 0.5) / members, mean, sigma)[None, None, :, None]
    for y in (-4.0, 0.0, 1.5, 6.0):
        z = (y - mean) / sigma
        expected = sigma * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
        assert ensemble.crps(np.full((1, 1, 1), y), forecast)[0, 0] == pytest.approx(expected, abs=1e-3)


def test_crps_is_the_standard_estimator(reliable: tuple[Array, Array]) -> None:
    # Truth and m members from N(., 1): expectation (1 + 1 / m) / sqrt(pi); the fair estimator would give 1 / sqrt(pi).
    truth, forecast = reliable
    assert ensemble.crps(truth, forecast).mean() == pytest.approx(1.1 / np.sqrt(np.pi), rel=0.02)
    small = forecast[:, :3]
    pairs = np.abs(small[:, :, :, None] - small[:, :, None, :]).mean(axis=(2, 3)) / 2
    expected = (np.abs(small - truth[:, :3, None]).mean(axis=2) - pairs).mean(axis=-1)
    np.testing.assert_allclose(ensemble.crps(truth[:, :3], small), expected, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 2, 7, 20])
def test_crps_has_the_bits_of_the_library_scoringrules(members: int, scoringrules: Any) -> None:
    rng = np.random.default_rng(members)
    truth, forecast = rng.normal(2.5, 3.5, (3, 50, 8)), rng.normal(2.5, 3.5, (3, 50, members, 8)).round(1)
    truth[0] = forecast[0, :, 0]  # ties
    for lead in range(3):
        points = scoringrules.crps_ensemble(truth[lead], forecast[lead], m_axis=1, estimator="qd")
        np.testing.assert_array_equal(ensemble.crps(truth, forecast)[lead], points.mean(axis=-1))


def test_crps_of_one_member_is_the_absolute_error(reliable: tuple[Array, Array]) -> None:
    truth, forecast = reliable
    score = ensemble.crps(truth, forecast[:, :, :1])
    np.testing.assert_allclose(score, np.abs(forecast[:, :, 0] - truth).mean(axis=-1), rtol=1e-14)
    assert score.shape == truth.shape[:2]


def test_nothing_depends_on_the_order_of_members_cases_or_points(reliable: tuple[Array, Array]) -> None:
    truth, forecast = reliable
    rng = np.random.default_rng(0)
    members, cases, points = rng.permutation(10), rng.permutation(500), rng.permutation(8)
    moved_truth = truth[:, cases][..., points]
    moved = forecast[:, cases][:, :, members][..., points]
    np.testing.assert_allclose(ensemble.crps(moved_truth, moved), ensemble.crps(truth, forecast)[:, cases], rtol=1e-12)
    for metric in (ensemble.rmse_by_lead, ensemble.spread_skill_ratio, ensemble.rank_histogram):
        np.testing.assert_allclose(metric(moved_truth, moved), metric(truth, forecast), rtol=1e-12)


def test_a_reliable_ensemble_has_the_spread_of_its_error(reliable: tuple[Array, Array]) -> None:
    truth, forecast = reliable
    # Error of the mean of 10 members about an independent draw: variance 1 + 1 / 10.
    np.testing.assert_allclose(ensemble.rmse_by_lead(truth, forecast), np.sqrt(1.1), rtol=0.03)
    np.testing.assert_allclose(ensemble.spread_by_lead(forecast), np.sqrt(1.1), rtol=0.02)
    np.testing.assert_allclose(ensemble.spread_skill_ratio(truth, forecast), 1, atol=0.03)
    # Even two members: only the factor (m + 1) / m makes this hold.
    np.testing.assert_allclose(ensemble.spread_skill_ratio(truth, forecast[:, :, :2]), 1, atol=0.05)


@pytest.mark.filterwarnings("error")
def test_one_member_has_no_spread(reliable: tuple[Array, Array]) -> None:
    truth, forecast = reliable
    assert ensemble.spread_by_lead(forecast[:, :, :1]).tolist() == [0, 0]
    assert ensemble.spread_skill_ratio(truth, truth[:, :, None]).tolist() == [0, 0]


def test_anomaly_correlation() -> None:
    rng = np.random.default_rng(5)
    signal, noise = rng.standard_normal((2, 1, 2000, 8))
    truth = 4 + signal + noise
    # Correlation of s + n with s, of equal variances: 1 / sqrt(2).
    correlation = ensemble.anomaly_correlation_by_lead(truth, (4 + signal)[:, :, None], 4.0)
    assert correlation[0] == pytest.approx(np.sqrt(0.5), abs=0.01)
    exact = ensemble.anomaly_correlation_by_lead(truth, (4 + 3 * (truth - 4))[:, :, None], np.full(8, 4.0))
    assert exact[0] == pytest.approx(1)
    assert ensemble.anomaly_correlation_by_lead(truth, np.full((1, 2000, 1, 8), 4.0), 4.0)[0] == 0
    assert np.isfinite(ensemble.anomaly_correlation_by_lead(truth, 1e200 * truth[:, :, None], 4.0)).all()


def test_rank_histogram_of_a_reliable_ensemble_is_flat(reliable: tuple[Array, Array]) -> None:
    truth, forecast = reliable
    counts = ensemble.rank_histogram(truth, forecast)
    assert counts.shape == (11,)
    assert counts.sum() == truth.size
    expected = truth.size / 11
    assert ((counts - expected) ** 2 / expected).sum() < 29.6  # chi-squared, 10 degrees of freedom, 0.1 %
    assert (counts == np.round(counts)).all()


def test_ranks_by_hand() -> None:
    forecast = np.array([1.0, 2.0, 2.0, 5.0]).reshape(1, 1, 4, 1)

    def ranks(y: float) -> list[float]:
        return ensemble.rank_histogram(np.full((1, 1, 1), y), forecast).tolist()

    assert ranks(0.0) == [1, 0, 0, 0, 0]
    assert ranks(3.0) == [0, 0, 0, 1, 0]
    assert ranks(6.0) == [0, 0, 0, 0, 1]
    assert ranks(2.0) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0])
    assert ranks(5.0) == [0, 0, 0, 0.5, 0.5]


def test_valid_prediction_time() -> None:
    leads = np.array([0.5, 1.0, 1.5, 2.0])
    error = np.array([0.1, 0.8, 1.0, np.inf])
    assert ensemble.valid_prediction_time(error, leads, 2.0) == 1.5  # 0.8 equals the threshold and does not exceed it
    assert ensemble.valid_prediction_time(error, leads, 1.9) == 1.0
    assert ensemble.valid_prediction_time(error[:3], leads[:3], 100.0) == 1.5
    with pytest.raises(ValueError, match="equally long"):
        ensemble.valid_prediction_time(error, leads[:2], 2.0)
    with pytest.raises(ValueError, match="positive climatological_std"):
        ensemble.valid_prediction_time(error, leads, 0.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("attack", ["climate mean", "outlier", "shuffled", "noise", "blow-up"])
def test_attacks_score_far_above_the_crps_of_the_honest_ensemble(reliable: tuple[Array, Array], attack: str) -> None:
    truth, forecast = reliable
    rng = np.random.default_rng(6)
    outlier = forecast.copy()
    outlier[0, 0, 0, 0] = 1e9
    attacked, factor = {
        "climate mean": (np.zeros_like(forecast), 3.5),
        "outlier": (outlier, 1e3),
        "shuffled": (forecast[:, rng.permutation(500)], 4.0),
        "noise": (forecast + 3 * rng.standard_normal(forecast.shape), 1.4),
        "blow-up": (forecast * 1e200, 1e100),
    }[attack]
    assert ensemble.crps(truth, attacked).mean() > factor * ensemble.crps(truth, forecast).mean()
    for curve in (ensemble.rmse_by_lead(truth, attacked), ensemble.spread_by_lead(attacked)):
        assert not np.isnan(curve).any()


def test_wrong_shapes_and_values_are_refused() -> None:
    with pytest.raises(ValueError, match="lead, case, member, K"):
        ensemble.crps(np.zeros((2, 3, 4)), np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match="lead, case, member, K"):
        ensemble.rmse_by_lead(np.zeros((2, 3, 4)), np.zeros((2, 3, 5, 8)))
    with pytest.raises(ValueError, match="forecast must be finite"):
        ensemble.crps(np.zeros((1, 1, 1)), np.full((1, 1, 2, 1), np.nan))
    with pytest.raises(ValueError, match="lead, case, member, K"):
        ensemble.spread_by_lead(np.zeros((2, 3, 4)))
