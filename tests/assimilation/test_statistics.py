"""Consistency statistics against their definitions, and in an experiment where model and filter are perfect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from l96bench.assimilation.cycling import cycle
from l96bench.assimilation.ensemble_filters import ETKF
from l96bench.assimilation.models import ResolvedModel, TruthModel
from l96bench.assimilation.observations import Network
from l96bench.assimilation.record import Cycled
from l96bench.assimilation.statistics import innovation_statistics, rank_counts, spread_error_ratio
from l96bench.dynamics.truth import Trajectory, simulate
from l96bench.errors import L96BenchError
from l96bench.metrics.ensemble import rank_histogram, spread_skill_ratio

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def perfect() -> Cycled:
    """K 40, F 8, observed as by Sakov and Oke (2008), 40 members: hardly any inflation is needed."""
    truth = simulate("lorenz96-k40", 1701 * 0.05, interval=0.05, dt=0.05, n_trajectories=4, seed=3).X
    model, network = ResolvedModel("lorenz96-k40", dt=0.05), Network(40, 0.05, 1.0)
    return cycle(truth, model, ETKF(rotate=True), network, n_members=40, inflation=1.01, spin_up_cycles=200)


@pytest.mark.slow
def test_rank_histogram_is_flat(perfect: Cycled) -> None:
    """One MTU and five points apart the ranks are independent (their correlation is below 0.1): chi-squared, 0.1 %."""
    ranks = perfect.ranks[:, ::20, ::5]
    counts = rank_counts(replace(perfect, ranks=ranks))
    assert counts.sum() == ranks.size
    assert chisquare(counts).pvalue > 0.001
    for axis in (1, 2):
        pairs = [np.delete(ranks, index, axis).ravel() for index in (0, -1)]
        assert abs(np.corrcoef(*pairs)[0, 1]) < 0.1


@pytest.mark.slow
def test_spread_is_the_error(perfect: Cycled) -> None:
    assert perfect.n_diverged == 0
    assert spread_error_ratio(perfect) == pytest.approx(1, abs=0.15)


@pytest.mark.slow
def test_innovations_are_consistent(perfect: Cycled) -> None:
    """The Desroziers estimates recover R, and the errors that only the truth can tell."""
    found = innovation_statistics(perfect)
    assert (found.n, found.n_missing) == (4 * 1500 * 40, 0)
    assert found.ratio == pytest.approx(1, abs=0.01)
    assert found.observation_variance == pytest.approx(1, abs=0.01)
    assert found.background_variance == pytest.approx(np.mean(perfect.background_rmse**2), rel=0.1)
    assert found.analysis_variance == pytest.approx(np.mean(perfect.analysis_rmse**2), rel=0.1)
    assert found.background_variance + found.observation_variance == pytest.approx(found.variance, rel=1e-12)
    assert abs(found.bias) < 0.01


@pytest.mark.slow
def test_a_perfect_two_scale_model_is_reliable(wilks: Trajectory) -> None:
    """The ceiling of the dense track: the full equations as forecast model, X alone observed."""
    truth, model = wilks.X[:4, :301], TruthModel("wilks-f20", dt=0.005)
    run = cycle(truth, model, ETKF(), Network(8, 0.05, 1.0), inflation=1.02, spin_up_cycles=100)
    assert run.n_diverged == 0
    assert spread_error_ratio(run) == pytest.approx(1, abs=0.15)
    assert innovation_statistics(run).ratio == pytest.approx(1, abs=0.05)
    # Ranks 1 MTU and 4 points apart: 80 of them, in 3 bins of 7.
    ranks = run.ranks[:, ::20, ::4]
    assert chisquare(np.bincount(ranks.ravel() // 7, minlength=3)).pvalue > 0.001


def test_statistics_are_those_of_the_metrics(wilks: Trajectory) -> None:
    run = cycle(
        wilks.X[:3, :41], ResolvedModel("wilks-f20"), ETKF(), Network(8, 0.05, 1.0), n_members=6, inflation=2.0,
        store_ensembles=True,
    )  # fmt: skip
    assert run.background_ensembles is not None
    forecast, truth = np.moveaxis(run.background_ensembles, 1, 0), np.moveaxis(run.truth, 1, 0)
    np.testing.assert_allclose(rank_counts(run), rank_histogram(truth, forecast))
    np.testing.assert_allclose(rank_counts(run, every=3), rank_histogram(truth[::3], forecast[::3]))
    pooled = spread_skill_ratio(truth.reshape(1, 120, 8), forecast.reshape(1, 120, 6, 8))
    assert spread_error_ratio(run) == pytest.approx(pooled[0], rel=1e-12)


def test_an_overconfident_filter_is_found_out(wilks: Trajectory) -> None:
    settings = {"seed": 2, "spin_up_cycles": 100, "limit": 1e9}
    run = cycle(wilks.X[:3], ResolvedModel("wilks-f20"), ETKF(), Network(8, 0.05, 1.0), inflation=1.15, **settings)
    assert innovation_statistics(run).ratio > 1.5
    assert spread_error_ratio(run) < 0.7
    counts = rank_counts(run)
    assert min(counts[0], counts[-1]) > 2 * counts.mean()


@pytest.mark.slow
def test_after_a_divergence_nothing_counts(perfect: Cycled) -> None:
    gone = {name: getattr(perfect, name).copy() for name in ("background_mean", "background_spread", "innovations")}
    for array in gone.values():
        array[0, 100:] = np.nan
    ranks = perfect.ranks.copy()
    ranks[0, 100:] = -1
    found = replace(perfect, **gone, ranks=ranks)
    assert rank_counts(found).sum() == (3 * 1500 + 100) * 40
    assert innovation_statistics(found).n == (3 * 1500 + 100) * 40
    assert np.isfinite(spread_error_ratio(found))
    nothing = replace(perfect, **{name: np.full_like(array, np.nan) for name, array in gone.items()})
    assert np.isnan(spread_error_ratio(nothing))
    with pytest.raises(L96BenchError, match="no innovation"):
        innovation_statistics(nothing)
    with pytest.raises(L96BenchError, match="every >= 1"):
        rank_counts(perfect, every=0)
