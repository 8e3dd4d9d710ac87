from __future__ import annotations

import numpy as np
import pytest

from l96bench.diagnostics.closure.climate import climate_curves
from l96bench.diagnostics.closure.regimes import joint_density, leading_waves, wave_amplitudes, wave_regimes
from l96bench.metrics import time_series


@pytest.mark.parametrize("K", [8, 9])
def test_amplitudes_are_those_of_the_waves_that_are_there(K: int) -> None:
    k = np.arange(K)
    X = 1.5 + 3.0 * np.cos(2 * np.pi * 2 * k / K + 0.7) + 0.5 * np.sin(2 * np.pi * k / K)
    found = wave_amplitudes(X[None, None], 1.5)[0, 0]
    np.testing.assert_allclose(found, [0.5, 3.0, 0.0, 0.0], atol=1e-12)
    assert leading_waves(found) == (2, 1)


def test_the_shortest_wave_has_the_amplitude_of_its_crests() -> None:
    X = 2.0 * (-1.0) ** np.arange(8)
    np.testing.assert_allclose(wave_amplitudes(X[None, None], 0.0)[0, 0], [0, 0, 0, 2.0], atol=1e-12)


def test_waves_are_the_empirical_orthogonal_functions_of_a_symmetric_ring() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 8)) @ np.array([np.roll([1, 0.7, 0.2, 0, 0, 0, -0.3, 0.1], i) for i in range(8)])
    shifted = np.concatenate([np.roll(X, i, axis=1) for i in range(8)])
    shifted = np.concatenate([shifted, shifted[:, ::-1]])
    values = np.linalg.eigvalsh(np.cov(shifted.T, bias=True))[::-1]
    amplitudes = wave_amplitudes(shifted[:, None], shifted.mean())
    power = np.square(amplitudes).mean(axis=(0, 1)) * [0.5, 0.5, 0.5, 1.0]  # mean square over the ring
    pairs = power * 8 / np.array([2, 2, 2, 1])  # variance in units of each normalized function
    # The mean over the ring is an EOF too, of wavenumber 0.
    expected = sorted([*np.repeat(pairs[:3], 2), pairs[3], 8 * np.var(shifted.mean(axis=1))], reverse=True)
    np.testing.assert_allclose(values, expected, rtol=0.02)


def test_occupation_and_persistence_of_a_known_sequence() -> None:
    second = np.array([0, 0, 1, 1, 1, 0, 0, 0, 1, 0], dtype=float)[:, None]
    amplitudes = np.stack([np.full_like(second, 0.5), second], axis=-1)
    found = wave_regimes(amplitudes, (1, 2), 0.1)
    assert found.occupation == pytest.approx((0.6, 0.4))
    assert found.persistence == pytest.approx((0.6 / 3, 0.4 / 2))


def test_a_regime_that_is_never_visited_has_no_length() -> None:
    amplitudes = np.stack([np.ones((5, 2)), np.zeros((5, 2))], axis=-1)
    found = wave_regimes(amplitudes, (1, 2), 0.1)
    assert found.occupation == (1.0, 0.0)
    assert found.persistence == pytest.approx((0.5, 0.0))


def test_densities_overlap_wholly_with_themselves_and_not_with_what_is_elsewhere() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 20_000))
    same = joint_density((x, y), (x, y), 20)
    assert same.overlap == pytest.approx(1.0, abs=0.003)  # less what lies outside of the bins
    cell = np.diff(same.x)[:, None] * np.diff(same.y)
    assert (same.truth * cell).sum() == pytest.approx(0.998, abs=0.001)
    assert joint_density((x, y), (x + 100.0, y), 20).overlap == 0.0


def test_curves_are_those_of_the_metrics_and_the_density_adds_up() -> None:
    X = np.random.default_rng(0).standard_normal((600, 3, 4))
    found = climate_curves(X, 0.05, np.linspace(-6, 6, 61), max_lag=2.0, segment=10.0)
    assert (found.density * 0.2).sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(found.autocorrelation, time_series.autocorrelation(X, 0.05, 2.0)[1])
    np.testing.assert_array_equal(found.spectrum, time_series.spectrum(X, 0.05, 10.0)[1])
