"""Filters against the Kalman filter, against each other where they must agree, and against bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from l96bench.assimilation.ensemble_filters import ETKF, LETKF, EnKF, HybridEnKF
from l96bench.assimilation.filters import Filter, NoAssimilation, OptimalInterpolation, static_covariance
from l96bench.assimilation.layout import GLOBAL, Layout, gaspari_cohn
from l96bench.assimilation.observations import Observed
from l96bench.assimilation.variational import ThreeDVar
from l96bench.errors import L96BenchError

Array = NDArray[np.float64]
N = 8
RNG = np.random.default_rng(0)
ROOT = np.eye(N) + 0.4 * RNG.standard_normal((N, N))
B = ROOT @ ROOT.T
MEAN = RNG.standard_normal(N)
POINTS = np.array([1, 6, 3, 4, 0])
STD = np.array([0.5, 1.0, 2.0, 0.8, 1.5])
VALUES = RNG.standard_normal(5)
OBSERVED = Observed(VALUES[None], POINTS[None], STD[None])
H, R = np.eye(N)[POINTS], np.diag(STD**2)

FILTERS: list[Filter] = [
    ETKF(),
    ETKF(rotate=True),
    LETKF(2.0),
    LETKF(2.0, rotate=True),
    EnKF(),
    EnKF(radius=2.0),
    HybridEnKF(B, 0.5, radius=2.0),
    OptimalInterpolation(B),
    OptimalInterpolation(B, mean=MEAN),
    ThreeDVar(B),
    NoAssimilation(),
]


def ensemble(m: int, seed: int = 1) -> Array:
    """m draws from N(MEAN, B)."""
    return MEAN + np.random.default_rng(seed).standard_normal((m, N)) @ ROOT.T


def covariance(members: Array) -> Array:
    return np.cov(members.T)


@pytest.mark.parametrize("m", [4, 6, 20, 200])
@pytest.mark.parametrize("filter", [ETKF(), ETKF(rotate=True), LETKF(np.inf)])
def test_square_roots_are_exact_for_the_sample_covariance(filter: Filter, m: int, kalman_update: Any) -> None:
    background = ensemble(m)
    mean, P = kalman_update(background.mean(axis=0), covariance(background), H, R, VALUES)
    analysis = filter.analyse(background, OBSERVED, np.random.default_rng(2))
    assert_allclose(analysis.mean(axis=0), mean, atol=1e-10)
    assert_allclose(covariance(analysis), P, atol=1e-10)


@pytest.mark.parametrize("m", [4, 20])
def test_letkf_without_localization_is_the_etkf(m: int) -> None:
    background = ensemble(m)
    etkf = ETKF().analyse(background, OBSERVED)
    assert_array_equal(LETKF(np.inf).analyse(background, OBSERVED), etkf)
    assert_allclose(LETKF(1e9).analyse(background, OBSERVED), etkf, atol=1e-12)


@pytest.mark.slow
def test_enkf_mean_is_exact_for_the_sample_covariance(kalman_update: Any) -> None:
    """The perturbations have mean zero; the covariance is right on average over them."""
    background = ensemble(12)
    mean, P = kalman_update(background.mean(axis=0), covariance(background), H, R, VALUES)
    draws = [EnKF().analyse(background, OBSERVED, np.random.default_rng(i)) for i in range(3000)]
    assert_allclose(draws[0].mean(axis=0), mean, atol=1e-12)
    average = np.mean([covariance(draw) for draw in draws], axis=0)
    assert_allclose(average, P, atol=5 * np.max(np.std([covariance(draw) for draw in draws], axis=0)) / np.sqrt(3000))


@pytest.mark.slow
@pytest.mark.parametrize("filter", [EnKF(), ETKF(), ETKF(rotate=True), LETKF(np.inf), HybridEnKF(B, 0.3)])
def test_large_ensembles_are_the_kalman_filter(filter: Filter, kalman_update: Any) -> None:
    """200,000 members know B to 1 / sqrt(200,000) = 0.2 %; the analysis to a few times that."""
    background = ensemble(200_000) if not isinstance(filter, (ETKF, LETKF)) else ensemble(1500)
    tolerance = 10 / np.sqrt(len(background))
    mean, P = kalman_update(MEAN, B, H, R, VALUES)
    analysis = filter.analyse(background, OBSERVED, np.random.default_rng(3))
    assert_allclose(analysis.mean(axis=0), mean, atol=tolerance)
    assert_allclose(covariance(analysis), P, atol=tolerance)


def test_optimal_interpolation_and_3dvar_are_the_kalman_update(kalman_update: Any) -> None:
    background = ensemble(3)
    oi, var = (filter.analyse(background, OBSERVED) for filter in (OptimalInterpolation(B), ThreeDVar(B)))
    for i in range(3):
        assert_allclose(oi[i], kalman_update(background[i], B, H, R, VALUES)[0], atol=1e-12)
    assert_allclose(var, oi, atol=1e-9)
    climate = OptimalInterpolation(B, mean=MEAN).analyse(background, OBSERVED)
    assert_allclose(climate, np.tile(kalman_update(MEAN, B, H, R, VALUES)[0], (3, 1)), atol=1e-12)


def test_3dvar_minimizes_its_cost_function() -> None:
    background = ensemble(1)
    precision = np.linalg.inv(B)

    def cost(x: Array) -> float:
        d, e = x - background[0], VALUES - x[POINTS]
        return float(0.5 * d @ precision @ d + 0.5 * np.sum((e / STD) ** 2))

    minimum = ThreeDVar(B).analyse(background, OBSERVED)[0]
    rng = np.random.default_rng(5)
    assert all(cost(minimum + 1e-4 * rng.standard_normal(N)) > cost(minimum) for _ in range(50))


def test_hybrid_between_its_ends() -> None:
    background, rng = ensemble(10), np.random.default_rng
    assert_allclose(
        HybridEnKF(B, 0.0).analyse(background, OBSERVED, rng(1)),
        EnKF().analyse(background, OBSERVED, rng(1)),
        atol=1e-12,
    )
    static = HybridEnKF(B, 1.0).analyse(background, OBSERVED, rng(1)).mean(axis=0)
    assert_allclose(static, OptimalInterpolation(B).analyse(background, OBSERVED).mean(axis=0), atol=1e-12)


def test_localized_enkf_is_the_kalman_filter_of_the_tapered_covariance(kalman_update: Any) -> None:
    background = ensemble(6)
    distance = np.abs(np.arange(N) - np.arange(N)[:, None])
    P = covariance(background) * gaspari_cohn(np.minimum(distance, N - distance), 1.7)
    mean = kalman_update(background.mean(axis=0), P, H, R, VALUES)[0]
    assert_allclose(
        EnKF(radius=1.7).analyse(background, OBSERVED, np.random.default_rng(0)).mean(axis=0), mean, atol=1e-12
    )


def test_letkf_is_a_kalman_filter_at_every_point(kalman_update: Any) -> None:
    """With the precision of each observation multiplied by the taper (Hunt et al. 2007, section 2.3)."""
    background, radius = ensemble(6), 1.3
    analysis = LETKF(radius).analyse(background, OBSERVED)
    P = covariance(background)
    for k in range(N):
        distance = np.abs(POINTS - k)
        taper = gaspari_cohn(np.minimum(distance, N - distance), radius)
        near = taper > 0
        local = np.diag(STD[near] ** 2 / taper[near])
        mean, Pa = kalman_update(background.mean(axis=0), P, H[near], local, VALUES[near])
        assert analysis[:, k].mean() == pytest.approx(mean[k], abs=1e-12)
        assert analysis[:, k].var(ddof=1) == pytest.approx(Pa[k, k], abs=1e-12)


@pytest.mark.parametrize("filter", [LETKF(0.4), EnKF(radius=0.4)])
def test_localization_leaves_far_points_alone_and_global_components_in(filter: Filter) -> None:
    background = ensemble(6)
    background = np.concatenate([background, background[:, 6:7] + background[:, 1:2], background[:, 2:3]], axis=1)
    layout = Layout(N, (*range(N), GLOBAL, 2))
    analysis = filter.analyse(background, OBSERVED, np.random.default_rng(0), layout)
    assert_array_equal(analysis[:, [2, 5, 7, 9]], background[:, [2, 5, 7, 9]])  # not observed, nor on an observed point
    assert (analysis[:, [0, 1, 3, 4, 6, 8]] != background[:, [0, 1, 3, 4, 6, 8]]).all()
    alone = ETKF() if isinstance(filter, LETKF) else EnKF()
    full = alone.analyse(background, OBSERVED, np.random.default_rng(0), layout)
    if isinstance(filter, LETKF):
        assert_allclose(analysis[:, 8], full[:, 8], atol=1e-12)  # all observations, in full
    # The EnKF's gain also depends on H P H', which is tapered: only its P H' is not.


@pytest.mark.parametrize("filter", FILTERS, ids=lambda filter: type(filter).__name__)
def test_a_missing_observation_is_no_observation(filter: Filter) -> None:
    background = ensemble(6)
    values = VALUES.copy()
    values[2] = np.nan
    kept = [0, 1, 3, 4]
    missing = filter.analyse(background, Observed(values[None], POINTS[None], STD[None]), np.random.default_rng(0))
    less = Observed(VALUES[None, kept], POINTS[None, kept], STD[None, kept])
    if isinstance(filter, (EnKF, HybridEnKF)):  # what is drawn depends on how many there are, the mean does not
        missing, less_analysis = missing.mean(axis=0), filter.analyse(background, less).mean(axis=0)
    else:
        less_analysis = filter.analyse(background, less, np.random.default_rng(0))
    assert_allclose(missing, less_analysis, atol=1e-9)
    none = Observed(np.full((1, 5), np.nan), POINTS[None], STD[None])
    untouched = filter.analyse(background, none, np.random.default_rng(0))
    if isinstance(filter, OptimalInterpolation) and filter.mean is not None:
        assert_allclose(untouched, np.tile(MEAN, (6, 1)))
    elif not getattr(filter, "rotate", False):
        assert_allclose(untouched, background, atol=1e-13)


@pytest.mark.parametrize("filter", FILTERS, ids=lambda filter: type(filter).__name__)
def test_a_batch_is_its_experiments_bit_for_bit(filter: Filter) -> None:
    backgrounds = np.array([ensemble(6, seed) for seed in range(4)])
    rng = np.random.default_rng(1)
    observed = Observed(
        rng.standard_normal((4, 3)), np.array([rng.permutation(N)[:3] for _ in range(4)]), rng.uniform(0.5, 2, (4, 3))
    )
    before = backgrounds.copy()
    together = filter.analyse(backgrounds, observed, [np.random.default_rng(i) for i in range(4)])
    assert_array_equal(backgrounds, before)
    for i in range(4):
        one = Observed(observed.values[i : i + 1], observed.points[i : i + 1], observed.std[i : i + 1])
        assert_array_equal(together[i], filter.analyse(backgrounds[i], one, np.random.default_rng(i)))


def test_static_covariance_is_that_of_the_ring() -> None:
    k = np.arange(N)
    distance = np.minimum((k - k[:, None]) % N, (k[:, None] - k) % N)
    true = 4.0 * 0.6**distance
    X = 2 + np.random.default_rng(0).standard_normal((50_000, N)) @ np.linalg.cholesky(true).T
    found = static_covariance(X.reshape(100, 500, N), scale=0.5)
    assert_allclose(found, 0.5 * true, atol=0.03)
    assert_array_equal(found, np.roll(np.roll(found, 1, 0), 1, 1))
    assert_allclose(static_covariance(X, homogeneous=False), np.cov(X.T), atol=1e-12)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: ETKF().analyse(ensemble(1), OBSERVED), "at least 2 members for ETKF, got 1"),
    (lambda: EnKF().analyse(ensemble(1), OBSERVED), "at least 2 members for EnKF, got 1"),
    (lambda: ETKF().analyse(ensemble(4)[:, :5], OBSERVED), "components and points up to 6"),
    (lambda: ETKF().analyse(ensemble(4)[0], OBSERVED), r"ensemble \(member, n\)"),
    (lambda: ETKF().analyse(np.ones((2, 4, N)), OBSERVED), "observations of 1 experiments"),
    (lambda: ETKF().analyse(ensemble(4), OBSERVED, None, Layout.ring(N, 1)), "states of 9 components"),
    (lambda: LETKF(0.0), "positive localization radius"),
    (lambda: EnKF(radius=-1.0), "positive localization radius"),
    (lambda: HybridEnKF(B, 1.5), "from 0 to 1, got 1.5"),
    (lambda: OptimalInterpolation(B[:4]), r"finite covariance \(n, n\)"),
    (lambda: OptimalInterpolation(np.triu(B)), "symmetric, positive"),
    (lambda: ThreeDVar(-B), "positive semi-definite"),
    (lambda: ThreeDVar(B, tolerance=0.0), "tolerance between 0 and 1"),
    (lambda: ThreeDVar(B).analyse(np.ones((2, 9)), OBSERVED), "covariance of 9 components like the states, got 8"),
    (lambda: static_covariance(np.ones((1, N))), "at least 2 states"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(L96BenchError, match=message):
        make()
