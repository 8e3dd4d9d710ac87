"""Tendencies from trajectories, against calculus and plain sums."""

from __future__ import annotations

import numpy as np
import pytest

from l96bench.equations.derivatives import SavitzkyGolay, WeakForm, best_window
from l96bench.errors import ModelError

H = 0.01
T = H * np.arange(600)
WAVE, SLOPE = np.column_stack([np.sin(3 * T), np.cos(2 * T)]), np.column_stack([3 * np.cos(3 * T), -2 * np.sin(2 * T)])


def test_local_polynomials_are_exact_for_polynomials() -> None:
    states = np.column_stack([T**3 - T, 2 * T**2])
    smooth, (scheme,) = SavitzkyGolay(3, 9).schemes([states], H, [1])
    np.testing.assert_allclose(smooth[0], states, atol=1e-10)
    np.testing.assert_allclose(scheme.tendency, np.column_stack([3 * T**2 - 1, 4 * T])[4:-4], atol=1e-8)
    np.testing.assert_array_equal(scheme.project(states), states[4:-4])


def test_the_shortest_windows_are_central_differences() -> None:
    _, (scheme,) = SavitzkyGolay(2, 3).schemes([WAVE], H, [1])
    np.testing.assert_allclose(scheme.tendency, (WAVE[2:] - WAVE[:-2]) / (2 * H), atol=1e-12)
    _, (scheme,) = SavitzkyGolay(4, 5).schemes([WAVE], H, [1])
    fourth = (8 * (WAVE[3:-1] - WAVE[1:-3]) - (WAVE[4:] - WAVE[:-4])) / (12 * H)
    np.testing.assert_allclose(scheme.tendency, fourth, atol=1e-11)


def test_the_weak_form_is_plain_sums_over_windows() -> None:
    half, stride = 12, 7
    _, (scheme,) = WeakForm(half, power=3).schemes([WAVE], H, [stride])
    u = np.arange(-half, half + 1) / half
    weight = (1 - u**2) ** 3 / np.sum((1 - u**2) ** 3)
    derivative = -6 * u * (1 - u**2) ** 2 / np.sum((1 - u**2) ** 3) / (half * H)
    derivative /= -np.sum(derivative * u * half * H)
    ends = range(-(-2 * half // stride) * stride, len(T), stride)
    windows = np.array([WAVE[end - 2 * half : end + 1] for end in ends])
    np.testing.assert_allclose(scheme.project(WAVE), np.einsum("w,nwv->nv", weight, windows), atol=1e-13)
    np.testing.assert_allclose(scheme.tendency, -np.einsum("w,nwv->nv", derivative, windows), atol=1e-11)


@pytest.mark.parametrize("half_width", [None, 10, 30])
def test_the_weak_form_integrates_by_parts(half_width: int | None) -> None:
    _, (scheme,) = WeakForm(half_width).schemes([WAVE], H, [1])
    np.testing.assert_allclose(scheme.tendency, scheme.project(SLOPE), atol=2e-4)


@pytest.mark.parametrize("derivative", [SavitzkyGolay(), WeakForm()])
def test_noise_is_reduced(derivative: SavitzkyGolay | WeakForm) -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal(WAVE.shape)
    smooth, (scheme,) = derivative.schemes([WAVE + noise], H, [1])
    error = np.sqrt(np.mean((scheme.tendency - scheme.project(SLOPE)) ** 2))
    central = np.sqrt(np.mean(((noise[2:] - noise[:-2]) / (2 * H)) ** 2))
    assert error < 0.06 * central
    assert len(smooth[0]) == len(WAVE)


def test_kinds_of_variables_have_windows_of_their_own_and_the_same_times() -> None:
    noisy = WAVE + 0.1 * np.random.default_rng(0).standard_normal(WAVE.shape)
    fast = np.column_stack([np.sin(40 * T), np.cos(40 * T)])
    (smooth_slow, smooth_fast), (slow, quick) = SavitzkyGolay().schemes([noisy, fast], H, [2, 3])
    alone, _ = SavitzkyGolay().schemes([fast], H, [3])
    np.testing.assert_array_equal(smooth_fast, alone[0])
    assert len(smooth_slow) == len(smooth_fast)
    first, second = slow.project(T[:, None])[:, 0], quick.project(T[:, None])[:, 0]
    assert first[0] == second[0]
    np.testing.assert_allclose([np.diff(first).max(), np.diff(second).max()], [2 * H, 3 * H])
    np.testing.assert_allclose(quick.tendency[:, 0], 40 * np.cos(40 * second), atol=0.1)


def test_more_noise_asks_for_longer_windows() -> None:
    noise = np.random.default_rng(0).standard_normal(WAVE.shape)
    lengths = [best_window(WAVE + level * noise, 5) for level in (0.0, 0.001, 0.01, 0.1)]
    assert lengths == sorted(lengths)
    assert lengths[0] == 7
    assert best_window(T[:, None] + noise, 1) > 50


def test_cross_validation_is_that_of_points_left_out() -> None:
    # For a linear smoother, leaving a point out of its own window gives the residual divided by 1 - h_0.
    values = WAVE + 0.02 * np.random.default_rng(0).standard_normal(WAVE.shape)
    scores = {}
    for window in (7, 13, 25, 45, 85):
        offsets = np.arange(-(window // 2), window // 2 + 1)
        others = offsets[offsets != 0]
        fits = [np.polynomial.polynomial.polyfit(others, values[i + others], 3)[0] for i in range(60, len(T) - 60, 3)]
        scores[window] = np.mean((np.array(fits) - values[60 : len(T) - 60 : 3]) ** 2)
    best = min(scores, key=scores.__getitem__)
    assert best / 2 < best_window(values, 3) < 2 * best


def test_too_few_samples() -> None:
    for derivative in (SavitzkyGolay(), SavitzkyGolay(2, 3), WeakForm(), WeakForm(5)):
        with pytest.raises(ModelError, match="sample"):
            derivative.schemes([WAVE[:2]], H, [1])
