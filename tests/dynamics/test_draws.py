"""Normal numbers against SciPy, and streams that neither overlap nor depend on each other's number."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import kstest

from l96bench.dynamics.draws import _quantiles, draw_normals, draw_subsets, standard_normal, streams
from l96bench.errors import L96BenchError


def test_quantiles_are_those_of_scipy() -> None:
    u = np.concatenate([np.random.default_rng(0).random(20_000), 10.0 ** -np.arange(1, 16), [0.0, 0.075, 0.5]])
    u = np.floor(u * 2.0**53) / 2.0**53
    found = u.copy()
    _quantiles(found)
    below = u < 0.5  # above, u + 2^-54 itself is rounded
    np.testing.assert_allclose(found[below], ndtri(u[below] + 2.0**-54), rtol=4e-15, atol=1e-15)
    mirrored = 1.0 - u[below] - 2.0**-53
    _quantiles(mirrored)
    np.testing.assert_allclose(mirrored, -found[below], rtol=1e-14, atol=1e-15)


def test_draws_are_normal() -> None:
    x = standard_normal(np.random.default_rng(1), (200, 500))
    assert kstest(x.ravel(), "norm").pvalue > 0.01
    assert x[:, :-1].ravel() @ x[:, 1:].ravel() / x[:, 1:].size == pytest.approx(0, abs=4 / np.sqrt(x.size))


def test_an_experiment_draws_the_same_alone() -> None:
    together = draw_normals(streams(7, 5, 2), (3, 4))
    np.testing.assert_array_equal(together[:2], draw_normals(streams(7, 2, 2), (3, 4)))
    np.testing.assert_array_equal(together[3], standard_normal(streams([[7, 3]], 1, 2)[0], (3, 4)))
    equal = draw_normals(streams([(1, 2), (1, 2), 5], 3, 2), (3, 4))
    np.testing.assert_array_equal(equal[0], equal[1])
    assert (equal[0] != equal[2]).all()


def test_purposes_are_independent() -> None:
    draws = np.array([draw_normals(streams(3, 4, purpose), (500,)).ravel() for purpose in range(5)])
    correlation = np.corrcoef(draws) - np.eye(5)
    assert np.abs(correlation).max() < 4 / np.sqrt(draws.shape[1])


def test_subsets_are_uniform() -> None:
    found = draw_subsets(np.random.default_rng(2), 20_000, 10, 4)
    assert (np.diff(found, axis=1) > 0).all()
    counts = np.bincount(found.ravel(), minlength=10)
    np.testing.assert_allclose(counts / 20_000, 0.4, atol=4 * np.sqrt(0.24 / 20_000))


def test_a_seed_for_each_experiment() -> None:
    with pytest.raises(L96BenchError, match="one for each of 3 experiments, got 2"):
        streams([1, 2], 3, 0)
