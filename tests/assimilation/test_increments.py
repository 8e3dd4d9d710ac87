"""Increments carry the model error: without closure, what is missing is U.

Over a window w the model without closure drifts from the truth by about w U; as observations become exact the analysis
takes all of it back, and as windows become short, increment / w becomes U.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.assimilation.cycling import cycle
from l96bench.assimilation.ensemble_filters import ETKF
from l96bench.assimilation.models import ResolvedModel
from l96bench.assimilation.observations import Network
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.truth import simulate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Learned:
    """Tendencies from increments, the U they stand for, and the background they belong to."""

    tendency: Array
    U: Array
    X: Array


def learned(window: float, sigma: float, inflation: float, closure: Polynomial | None = None) -> Learned:
    run = simulate("wilks-f20", 1001 * window, interval=window, seed=2, n_trajectories=4, store_fast=False)
    model = ResolvedModel("wilks-f20", closure, dt=min(window, 0.01))
    done = cycle(run.X, model, ETKF(), Network(8, window, sigma), inflation=inflation, spin_up_cycles=50)
    assert done.n_diverged == 0
    return Learned(done.increments / window, run.U[:, 51:], done.background_mean)


def conditional(X: Array, values: Array) -> Array:
    """Means of the values in eight bins of X that are equally full."""
    edges = np.quantile(X, np.linspace(0, 1, 9))
    which = np.clip(np.searchsorted(edges, X) - 1, 0, 7)
    return np.array([values[which == i].mean() for i in range(8)])


@pytest.mark.slow
def test_noisy_observations_give_the_sign() -> None:
    """The dense track itself: sigma 1, so that the analysis takes back only part of the error."""
    found = learned(0.05, 1.0, 1.6)
    assert found.U.mean() == pytest.approx(-3.9, abs=0.3)
    assert 0.25 * found.U.mean() > found.tendency.mean() > found.U.mean()
    assert np.corrcoef(conditional(found.X, found.tendency), conditional(found.X, found.U))[0, 1] > 0.95


@pytest.mark.slow
def test_exact_observations_and_short_windows_give_U() -> None:
    """The error of the mean falls with the window: 2 % of it at .005 MTU, U's mean being -3.9 and its std 4.7."""
    errors, gaps = [], []
    for window in (0.02, 0.01, 0.005):
        found = learned(window, 0.01 * window, 10.0)
        errors.append(abs(found.tendency.mean() - found.U.mean()))
        gap = conditional(found.X, found.tendency) - conditional(found.X, found.U)
        gaps.append(np.sqrt(np.mean(gap**2)))
    assert errors[-1] < 0.025 * 3.9
    assert gaps[-1] < 0.025 * 4.7
    np.testing.assert_allclose(np.divide(errors[1:], errors[:-1]), 0.5, atol=0.07)
    np.testing.assert_allclose(np.divide(gaps[1:], gaps[:-1]), 0.5, atol=0.07)
    assert np.corrcoef(found.tendency.ravel(), found.U.ravel())[0, 1] > 0.99


@pytest.mark.slow
def test_a_good_closure_leaves_little() -> None:
    """With a fitted quartic the increments keep no mean and no dependence on X, and its residual is a fifth of U."""
    run = simulate("wilks-f20", 200.0, seed=3, store_fast=False)
    quartic = Polynomial(np.polynomial.Polynomial.fit(run.X.ravel(), run.U.ravel(), 4).convert().coef)
    found = learned(0.01, 0.0001, 10.0, quartic)
    assert abs(found.tendency.mean()) < 0.1
    assert np.abs(conditional(found.X, found.tendency)).max() < 0.15 * found.U.std()
    residual = found.U - quartic(found.X)
    assert np.corrcoef(found.tendency.ravel(), residual.ravel())[0, 1] > 0.9
