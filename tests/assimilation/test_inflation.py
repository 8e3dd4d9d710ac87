"""Inflation and relaxation against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from l96bench.assimilation.inflation import Inflation, spread
from l96bench.errors import L96BenchError

RNG = np.random.default_rng(0)
BACKGROUND = 3 + 2 * RNG.standard_normal((4, 6, 5))
ANALYSIS = 1 + RNG.standard_normal((4, 6, 5))


@pytest.mark.parametrize(
    "inflation", [Inflation(posterior=1.3), Inflation(rtpp=0.4), Inflation(rtps=0.7), Inflation(1, 1.1, 0.2, 0.9)]
)
def test_means_stay(inflation: Inflation) -> None:
    assert_allclose(inflation.after(ANALYSIS, BACKGROUND).mean(axis=1), ANALYSIS.mean(axis=1), atol=1e-14)


def test_formulas() -> None:
    prior, posterior = spread(BACKGROUND), spread(ANALYSIS)
    assert_allclose(spread(Inflation(prior=1.3).before(BACKGROUND)), 1.3 * prior)
    assert_allclose(spread(Inflation(posterior=1.3).after(ANALYSIS, BACKGROUND)), 1.3 * posterior)
    relaxed = spread(Inflation(rtps=0.7).after(ANALYSIS, BACKGROUND))
    assert_allclose(relaxed, 0.3 * posterior + 0.7 * prior)
    kept = Inflation(rtpp=1.0).after(ANALYSIS, BACKGROUND)
    assert_allclose(kept - kept.mean(axis=1, keepdims=True), BACKGROUND - BACKGROUND.mean(axis=1, keepdims=True))
    half = Inflation(rtpp=0.5).after(ANALYSIS, BACKGROUND)
    mixed = 0.5 * (
        BACKGROUND - BACKGROUND.mean(axis=1, keepdims=True) + ANALYSIS - ANALYSIS.mean(axis=1, keepdims=True)
    )
    assert_allclose(half - half.mean(axis=1, keepdims=True), mixed, atol=1e-14)


def test_nothing_is_nothing() -> None:
    none = Inflation()
    assert none.before(BACKGROUND) is BACKGROUND
    assert none.after(ANALYSIS, BACKGROUND) is ANALYSIS


def test_one_factor_an_experiment() -> None:
    factors = np.array([1.0, 1.1, 1.2, 1.3])
    found = Inflation(factors, factors, 0.1 * factors, 0.2 * factors).for_experiments(4)
    for i, f in enumerate(factors):
        alone, one = Inflation(f, f, 0.1 * f, 0.2 * f), slice(i, i + 1)
        assert_array_equal(found.before(BACKGROUND)[one], alone.before(BACKGROUND[one]))
        assert_array_equal(found.after(ANALYSIS, BACKGROUND)[one], alone.after(ANALYSIS[one], BACKGROUND[one]))


def test_no_spread_is_not_divided_by() -> None:
    equal = np.ones((1, 3, 2))
    assert_array_equal(Inflation(rtps=0.5).after(equal, BACKGROUND[:1, :3, :2]), equal)


@pytest.mark.parametrize(
    "wrong", [{"prior": 0.0}, {"posterior": -1.0}, {"posterior": np.nan}, {"rtpp": 1.1}, {"rtps": -0.1}]
)
def test_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(L96BenchError, match=f"expected {next(iter(wrong))} as a"):
        Inflation(**wrong)


def test_wrong_number_of_factors() -> None:
    with pytest.raises(L96BenchError, match="one for each of 3 experiments"):
        Inflation(posterior=[1.0, 1.1]).for_experiments(3)
