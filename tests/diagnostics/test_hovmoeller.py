from __future__ import annotations

import numpy as np

from l96bench.diagnostics.closure.hovmoeller import run_beside
from l96bench.diagnostics.figures import conditional
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.resolved import rollout


def test_a_model_run_from_its_own_trajectory_does_not_differ() -> None:
    linear = Polynomial([0.5, -0.8])
    truth = rollout(linear, np.arange(8.0), 2.0, regime="wilks-f20", progress=False).X[:, 0]
    found = run_beside(linear, truth, regime="wilks-f20", interval=0.05)
    assert not found.rms.any()
    other = run_beside(Polynomial([0.6, -0.8]), truth, regime="wilks-f20", interval=0.05)
    assert other.rms[0] == 0.0
    assert other.rms[-1] > other.rms[1] > 0.0


def test_a_function_of_the_point_has_no_range_given_the_point() -> None:
    X = np.random.default_rng(0).normal(size=(5000, 8))
    found = conditional(X, 2.0 * X, n_bins=20)
    np.testing.assert_allclose(found.mean, 2.0 * found.X)
    width = np.diff(found.X).min()
    assert (found.high - found.low < 2.5 * width).all()
    noisy = conditional(X, 2.0 * X + np.random.default_rng(1).normal(size=X.shape), n_bins=20)
    # The 10th and 90th percentiles of a normal distribution are 1.2816 standard deviations from its mean.
    middle = np.abs(noisy.X) < 1.0
    np.testing.assert_allclose((noisy.high - noisy.low)[middle], 2 * 1.2816, rtol=0.08)
