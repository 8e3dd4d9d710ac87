"""The ensemble smoother against the exact one, for a linear model with normal noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.assimilation.smoother import ensemble_smoother
from l96bench.errors import L96BenchError

A = np.array([[0.9, 0.3, 0.0], [-0.3, 0.8, 0.2], [0.0, 0.0, 0.6]])
Q = np.diag([0.0, 0.01, 0.5])
"""The noise of the third component is that of the model: it drives the second."""
STD, TIMES, START = 0.7, 12, np.diag([1.0, 2.0, 0.8])


def exact(values: NDArray) -> tuple[NDArray, NDArray, NDArray, float]:
    """Means, covariances and lag-one covariances of the Kalman smoother, and the log likelihood."""
    n, mean, P = len(A), np.zeros(len(A)), START
    filtered, forecast, log_likelihood = [], [], 0.0
    for time, value in enumerate(values):
        if time:
            mean, P = A @ mean, A @ P @ A.T + Q
        forecast.append((mean, P))
        seen = np.flatnonzero(~np.isnan(value))
        H = np.eye(n)[seen]
        S, gap = H @ P @ H.T + STD**2 * np.eye(len(seen)), value[seen] - mean[seen]
        gain = P @ H.T @ np.linalg.inv(S)
        log_likelihood -= 0.5 * (gap @ np.linalg.solve(S, gap) + np.linalg.slogdet(2 * np.pi * S)[1])
        mean, P = mean + gain @ gap, P - gain @ H @ P
        filtered.append((mean, P))
    means, covariances, lagged = [filtered[-1][0]], [filtered[-1][1]], []
    for (mean, P), (ahead, ahead_P) in zip(filtered[-2::-1], forecast[:0:-1], strict=True):
        J = P @ A.T @ np.linalg.inv(ahead_P)
        lagged.append(covariances[-1] @ J.T)
        means.append(mean + J @ (means[-1] - ahead))
        covariances.append(P + J @ (covariances[-1] - ahead_P) @ J.T)
    return np.array(means[::-1]), np.array(covariances[::-1]), np.array(lagged[::-1]), log_likelihood


def problem() -> tuple[NDArray, NDArray]:
    """Two series of observations of the first two components, with gaps."""
    rng = np.random.default_rng(3)
    states = [np.linalg.cholesky(START) @ rng.standard_normal((3, 2))]
    for _ in range(TIMES - 1):
        states.append(A @ states[-1] + np.sqrt(Q) @ rng.standard_normal((3, 2)))
    truth = np.array(states).swapaxes(1, 2)
    values = truth[..., :2] + STD * rng.standard_normal((TIMES, 2, 2))
    values[4, 0, 1] = values[5] = values[7, 1] = np.nan
    return values, truth


def smoothed(m: int, seed: int = 0, **options: object) -> object:
    rng = np.random.default_rng(seed)

    def advance(states: NDArray, time: int) -> NDArray:
        return states @ A.T + rng.standard_normal(states.shape) @ np.sqrt(Q)

    initial = rng.standard_normal((2, m, 3)) @ np.sqrt(START)
    return ensemble_smoother(advance, initial, problem()[0], STD, rng=rng, **options)


@pytest.mark.parametrize("lag", [None, TIMES])
@pytest.mark.parametrize("series", [0, 1])
def test_members_have_the_moments_of_the_kalman_smoother(series: int, lag: int | None) -> None:
    """Mean, covariance, covariance with the next time, and likelihood, to the sampling error of 20,000 members."""
    means, covariances, lagged, log_likelihood = exact(problem()[0][:, series])
    found = smoothed(20_000, lag=lag)
    states = found.states[:, series]
    scale = np.sqrt(np.einsum("tii->ti", covariances))
    assert np.abs((states.mean(axis=1) - means) / scale).max() < 0.05
    anomalies = states - states.mean(axis=1, keepdims=True)
    both = scale[:, :, None] * scale[:, None]
    got = np.einsum("tmi,tmj->tij", anomalies, anomalies) / (states.shape[1] - 1)
    assert np.abs((got - covariances) / both).max() < 0.05
    got = np.einsum("tmi,tmj->tij", anomalies[1:], anomalies[:-1]) / (states.shape[1] - 1)
    assert np.abs((got - lagged) / (scale[1:, :, None] * scale[:-1, None])).max() < 0.05
    assert found.log_likelihood[:, series].sum() == pytest.approx(log_likelihood, abs=0.1)


def test_error_falls_with_the_members() -> None:
    means = np.stack([exact(problem()[0][:, series])[0] for series in range(2)], axis=1)

    def error(m: int) -> float:
        squares = [np.square(smoothed(m, seed).states.mean(axis=2) - means).mean() for seed in range(8)]
        return float(np.sqrt(np.mean(squares)))

    assert error(1600) < 0.4 * error(100)


def test_in_a_filter_only_the_last_time_has_seen_everything() -> None:
    both, forth = smoothed(50), smoothed(50, lag=0)
    np.testing.assert_array_equal(both.states[-1], forth.states[-1])
    np.testing.assert_array_equal(both.log_likelihood, forth.log_likelihood)
    truth = problem()[1]
    errors = [np.square(each.states.mean(axis=2) - truth).mean() for each in (both, forth)]
    assert errors[0] < errors[1]


def test_inflation_widens() -> None:
    assert smoothed(50, inflation=1.3).states.var(axis=2).mean() > smoothed(50).states.var(axis=2).mean()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"initial": np.zeros((2, 3))}, "initial states"),
        ({"initial": np.zeros((3, 9, 3))}, "initial states"),
        ({"initial": np.zeros((2, 3, 3))}, "more members"),
        ({"std": 0.0}, "positive std"),
        ({"inflation": -1.0}, "positive std"),
    ],
)
def test_what_cannot_be_smoothed(change: dict[str, object], words: str) -> None:
    given = {"initial": np.zeros((2, 9, 3)), "values": np.zeros((4, 2, 2)), "std": 1.0, **change}
    with pytest.raises(L96BenchError, match=words):
        ensemble_smoother(lambda states, time: states, rng=np.random.default_rng(0), **given)
