"""Cycles: equal to their parts, resumed, batched, diverged, and against the Kalman filter of a linear model."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from l96bench.assimilation.cycling import cycle
from l96bench.assimilation.ensemble_filters import ETKF, LETKF, EnKF, HybridEnKF
from l96bench.assimilation.filters import Filter, NoAssimilation, OptimalInterpolation, static_covariance
from l96bench.assimilation.inflation import Inflation
from l96bench.assimilation.models import AugmentedModel, ForecastModel, FunctionModel, ResolvedModel, TruthModel
from l96bench.assimilation.observations import Network, Observations
from l96bench.assimilation.record import Cycled, joined
from l96bench.assimilation.variational import ThreeDVar
from l96bench.dynamics.ar1 import AR1Closure
from l96bench.dynamics.draws import standard_normal
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.truth import Trajectory
from l96bench.errors import L96BenchError, ModelError

Array = NDArray[np.float64]
NETWORK = Network(8, 0.05, 1.0)
QUARTIC = Polynomial([-0.65, -1.26, 0.0043, 0.0075, -0.00032])
FIELDS = ("truth", "background_mean", "background_spread", "analysis_mean", "analysis_spread", "coefficient_mean")
FIELDS += ("coefficient_spread", "points", "innovations", "residuals", "observation_std", "ranks")


def assert_same(a: Cycled, b: Cycled, rows: slice = slice(None)) -> None:
    """Bit for bit, NaN in the same places."""
    for name in FIELDS:
        assert_array_equal(getattr(a, name)[rows], getattr(b, name), err_msg=name)
    assert_array_equal(a.diverged[rows], b.diverged)
    assert_array_equal(a.missing[rows], b.missing)
    assert_array_equal(a.time, b.time)


@pytest.mark.slow
def test_linear_model_is_the_kalman_filter(kalman_update: Any) -> None:
    """A damped rotation with model noise, 30 cycles: 2,000 members stay near the exact filter, to sampling errors."""
    K, n = 6, 2000
    rng = np.random.default_rng(0)
    M = 0.95 * np.linalg.qr(rng.standard_normal((K, K)))[0]
    noise, truth = np.random.default_rng(1), [rng.standard_normal(K)]
    for _ in range(30):
        truth.append(M @ truth[-1] + 0.3 * rng.standard_normal(K))
    network = Network(K, 1.0, (0.5,) * 3 + (1.0,) * 3, points=(0, 2, 3, 5))
    observations = network.draw(np.array(truth))
    start = truth[0] + rng.standard_normal((n, K))
    H, R = np.eye(K)[[0, 2, 3, 5]], np.diag(np.array([0.5, 0.5, 1.0, 1.0]) ** 2)

    model = FunctionModel(lambda x, t: x @ M.T + 0.3 * standard_normal(noise, x.shape), K)
    runs = [cycle(truth, model, f, observations, n_members=n, initial=start) for f in (EnKF(), ETKF(), ETKF(True))]
    mean, P = start.mean(axis=0), np.cov(start.T)
    for i in range(30):
        mean, P = M @ mean, M @ P @ M.T + 0.09 * np.eye(K)
        for run in runs:
            assert_allclose(run.background_mean[0, i], mean, atol=0.06)
            assert_allclose(run.background_spread[0, i], np.sqrt(np.diag(P)), rtol=0.08)
        mean, P = kalman_update(mean, P, H, R, observations.values[0, i])
        for run in runs:
            assert_allclose(run.analysis_mean[0, i], mean, atol=0.06)
            assert_allclose(run.analysis_spread[0, i], np.sqrt(np.diag(P)), rtol=0.08)


@pytest.mark.slow
def test_a_cycle_is_its_parts(wilks: Trajectory) -> None:
    """Model, filter and inflation called by hand give the same bits, and the statistics are those of the members."""
    truth, filter, inflation = wilks.X[:2, :11], ETKF(), Inflation(prior=1.1, posterior=1.2)
    run = cycle(truth, ResolvedModel("wilks-f20"), filter, NETWORK, seed=3, inflation=inflation, store_ensembles=True)
    assert run.background_ensembles is not None
    assert run.analysis_ensembles is not None
    model, observations = ResolvedModel("wilks-f20"), NETWORK.draw(truth, seed=3)
    for i in range(10):
        background, analysis = run.background_ensembles[:, i], run.analysis_ensembles[:, i]
        if i:
            rows = model.advance(run.analysis_ensembles[:, i - 1].reshape(40, 8), 0.05).reshape(2, 20, 8)
            assert_array_equal(background, inflation.before(rows))
        observed = observations.at(i)
        assert observed is not None
        assert_array_equal(analysis, inflation.after(filter.analyse(background, observed), background))
        assert_array_equal(run.background_mean[:, i], background.mean(axis=1))
        assert_allclose(run.analysis_spread[:, i], analysis.std(axis=1, ddof=1), rtol=1e-12)
        assert_array_equal(run.innovations[:, i], observed.values - background.mean(axis=1))
        assert_array_equal(run.residuals[:, i], observed.values - analysis.mean(axis=1))
        assert_array_equal(run.ranks[:, i], (background < truth[:, None, i + 1]).sum(axis=1))
    assert_array_equal(run.increments, run.analysis_mean - run.background_mean)
    assert_allclose(run.background_rmse, np.sqrt(np.mean((run.background_mean - truth[:, 1:]) ** 2, axis=2)))
    assert_allclose(run.pooled_rmse, np.sqrt(np.mean((run.background_mean - truth[:, 1:]) ** 2, axis=(1, 2))))
    assert_allclose(run.time, 0.05 * np.arange(1, 11))


B = static_covariance(np.random.default_rng(0).standard_normal((100, 8)) * 5, 0.1)
SETUPS: list[tuple[Callable[[], ForecastModel], Filter]] = [
    (lambda: ResolvedModel("wilks-f20", QUARTIC), ETKF()),
    (lambda: ResolvedModel("wilks-f20", lambda X: QUARTIC(X)), ETKF(rotate=True)),
    (lambda: ResolvedModel("wilks-f20", QUARTIC), LETKF(2.0, rotate=True)),
    (lambda: ResolvedModel("wilks-f20", QUARTIC), EnKF(radius=3.0)),
    (lambda: ResolvedModel("wilks-f20"), HybridEnKF(B, 0.5)),
    (lambda: ResolvedModel("wilks-f20"), ThreeDVar(B)),
    (lambda: ResolvedModel("wilks-f20"), OptimalInterpolation(B)),
    (lambda: ResolvedModel("wilks-f20"), NoAssimilation()),
    (lambda: AugmentedModel("wilks-f20", [0.0, 0.0], [1.0, 0.5]), ETKF()),
    (lambda: TruthModel("wilks-f20", dt=0.005, drive=0.2), LETKF(2.0)),
]
NAMES = ["etkf", "function", "letkf", "enkf", "hybrid", "3dvar", "oi", "free", "augmented", "two-scale"]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "filter"), SETUPS, ids=NAMES)
def test_a_batch_is_its_experiments_bit_for_bit(
    make: Callable[[], ForecastModel], filter: Filter, wilks: Trajectory
) -> None:
    truth, factors = wilks.X[:3, :13], np.array([1.05, 1.2, 1.4])
    network = Network(8, 0.05, 1.0, n_random=6)
    together = cycle(truth, make(), filter, network, n_members=6, seed=4, inflation=factors, spin_up_cycles=2)
    for i in range(3):
        alone = cycle(
            truth[i], make(), filter, network, n_members=6, seed=[(4, i)], inflation=factors[i], spin_up_cycles=2,
            limit=together.limit,
        )  # fmt: skip
        assert_same(together, alone, slice(i, i + 1))


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 5, 9])
@pytest.mark.parametrize(
    ("make", "filter"),
    [*SETUPS, (lambda: ResolvedModel("wilks-f20", AR1Closure(QUARTIC, 0.9, 1.0, 0.05)), ETKF(rotate=True))],
    ids=[*NAMES, "stochastic"],
)
def test_resumed_is_uninterrupted_bit_for_bit(
    make: Callable[[], ForecastModel], filter: Filter, stop: int, wilks: Trajectory
) -> None:
    truth, network = wilks.X[:2, :13], Network(8, 0.05, 1.0, n_random=6)
    settings: dict[str, Any] = {"inflation": 1.2, "spin_up_cycles": 3}
    whole = cycle(truth, make(), filter, network, seed=4, **settings)
    first = cycle(truth, make(), filter, network, seed=4, n_cycles=stop, **settings)
    cycle(wilks.X[5, :4], make(), filter, network)  # something else in between
    second = cycle(truth, make(), filter, network, state=pickle.loads(pickle.dumps(first.state)), **settings)
    assert_same(joined(first, second), whole)
    assert_array_equal(second.state.ensembles, whole.state.ensembles)


@pytest.mark.slow
def test_observations_do_not_depend_on_the_filter(wilks: Trajectory) -> None:
    network = Network(8, 0.05, 1.0, n_random=3)
    runs = [
        cycle(wilks.X[:2, :9], model, filter, network, seed=8, n_members=members)
        for model, filter, members in [
            (ResolvedModel("wilks-f20"), ETKF(rotate=True), 20),
            (ResolvedModel("wilks-f20", QUARTIC), EnKF(), 7),
            (ResolvedModel("wilks-f20"), NoAssimilation(), 1),
        ]
    ]
    drawn = network.draw(wilks.X[:2, :9], seed=8)
    for run in runs:
        assert_array_equal(run.points, drawn.points)
        assert_allclose(run.innovations + np.take_along_axis(run.background_mean, run.points, 2), drawn.values)


def test_equal_seeds_share_draws(wilks: Trajectory) -> None:
    truth = np.repeat(wilks.X[:1, :9], 2, axis=0)
    same = cycle(truth, ResolvedModel("wilks-f20"), EnKF(), NETWORK, seed=[7, 7])
    assert_array_equal(same.analysis_mean[0], same.analysis_mean[1])
    other = cycle(truth, ResolvedModel("wilks-f20"), EnKF(), NETWORK, seed=7)
    assert (other.analysis_mean[0] != other.analysis_mean[1]).all()


def test_every_third_window(wilks: Trajectory) -> None:
    run = cycle(wilks.X[0, :13], ResolvedModel("wilks-f20", QUARTIC), ETKF(), Network(8, 0.05, 1.0, every=3))
    moved = np.abs(run.increments[0]).max(axis=1) > 0
    assert np.flatnonzero(moved).tolist() == [2, 5, 8, 11]
    assert np.isnan(run.innovations[0, ~moved]).all()
    assert np.isfinite(run.innovations[0, moved]).all()
    assert_array_equal(run.analysis_spread[0, ~moved], run.background_spread[0, ~moved])  # no inflation either
    assert run.missing.tolist() == [0]


def test_missing_observations_are_counted_and_harmless(wilks: Trajectory) -> None:
    drawn = NETWORK.draw(wilks.X[:2, :41], seed=2)
    values = drawn.values.copy()
    values[0, 10:13] = np.nan
    values[1, 5, 2:] = np.nan
    observations = Observations(values, drawn.points, drawn.std, K=8, window=0.05)
    run = cycle(wilks.X[:2, :41], ResolvedModel("wilks-f20", QUARTIC), ETKF(), observations, seed=2, inflation=1.2)
    assert run.missing.tolist() == [24, 6]
    assert_array_equal(run.increments[0, 10:13], 0.0)
    assert_array_equal(run.analysis_spread[0, 10:13], run.background_spread[0, 10:13])
    assert np.isfinite(run.analysis_mean).all()
    assert run.n_diverged == 0


def test_records_are_assimilated_like_a_network(wilks: Trajectory) -> None:
    drawn = NETWORK.draw(wilks.X[0, :9], seed=2)
    cycles, points = np.indices((8, 8))
    shuffled = np.random.default_rng(0).permutation(64)
    records = Observations.from_records(
        *(array.ravel()[shuffled] for array in (0.05 * (cycles + 1), points, drawn.values[0])),
        1.0, K=8, window=0.05, n_cycles=8,
    )  # fmt: skip
    runs = [cycle(wilks.X[0, :9], ResolvedModel("wilks-f20"), ETKF(), o, seed=2) for o in (drawn, records)]
    assert_allclose(runs[1].analysis_mean, runs[0].analysis_mean, atol=1e-10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("attack", ["lost", "blow-up", "inflated", "never observed"])
def test_divergence_is_noted_and_never_scores_nan(attack: str, wilks: Trajectory) -> None:
    """The experiment is stopped and takes the climatological std from there on; its neighbour does not notice."""
    truth = wilks.X[:2, :121]
    model: ForecastModel = ResolvedModel("wilks-f20", QUARTIC)
    observations: Any = NETWORK
    inflation = Inflation(posterior=[1.2, 1.2])
    if attack == "blow-up":
        # U of the first experiment's rows explodes once X passes 12.
        model = ResolvedModel(
            "wilks-f20", lambda X: np.where((np.arange(len(X)) < 20)[:, None] & (X > 12), 1e3 * X, QUARTIC(X))
        )
    elif attack == "inflated":
        inflation = Inflation(posterior=[1.2, 1.2], rtps=[3.0, 0.0])
    else:
        drawn = NETWORK.draw(truth, seed=1)
        values = drawn.values.copy()
        values[0] = np.nan if attack == "never observed" else np.roll(values[0], 40, axis=0)
        observations = Observations(values, drawn.points, drawn.std, K=8, window=0.05)
    run = cycle(truth, model, ETKF(), observations, seed=1, inflation=inflation, spin_up_cycles=20)
    assert np.isfinite(run.diverged).tolist() == [True, False]
    assert run.n_diverged == 1
    assert 0.05 <= run.diverged[0] <= 6.0
    gone = run.time >= run.diverged[0] - 1e-9
    assert gone.any()
    assert np.isnan(run.background_mean[0, gone]).all()
    assert np.isfinite(run.background_mean[0, ~gone]).all()
    assert_array_equal(run.background_rmse[0, gone], run.limit)
    assert run.limit == pytest.approx(truth.std())
    assert np.isfinite(run.background_rmse).all()
    assert np.isfinite(run.pooled_rmse).all()
    assert np.isfinite(run.background_mean[1]).all()
    assert (run.ranks[0, gone] == -1).all()
    assert np.isfinite(run.state.ensembles).all()


def test_a_divergence_is_remembered_when_resumed(wilks: Trajectory) -> None:
    truth = wilks.X[:2, :61]
    model = ResolvedModel("wilks-f20")
    settings: dict[str, Any] = {"inflation": np.array([1.0, 1.6])}
    whole = cycle(truth, model, ETKF(), NETWORK, **settings)
    assert np.isfinite(whole.diverged).tolist() == [True, False]
    stop = round(whole.diverged[0] / 0.05) + 3
    first = cycle(truth, model, ETKF(), NETWORK, n_cycles=stop, **settings)
    second = cycle(truth, model, ETKF(), NETWORK, state=first.state, **settings)
    assert_same(joined(first, second), whole)
    assert np.isnan(second.background_mean[0]).all()


@pytest.mark.slow
def test_a_free_run_does_not_diverge(wilks: Trajectory) -> None:
    run = cycle(
        wilks.X[:2], TruthModel("wilks-f20", dt=0.005), NoAssimilation(), NETWORK, n_members=2, spin_up_cycles=300
    )
    assert run.n_diverged == 0
    # Error of the mean of two states that know nothing of the truth: variance 1 + 1/2 of the climate's.
    assert run.pooled_rmse.mean() == pytest.approx(np.sqrt(1.5) * wilks.X.std(), rel=0.1)


def test_a_closure_that_cannot_be_copied_cannot_be_resumed(wilks: Trajectory) -> None:
    class Handle(AR1Closure):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("a handle")

    model = ResolvedModel("wilks-f20", Handle(QUARTIC, 0.9, 1.0, 0.05))
    run = cycle(wilks.X[0, :9], model, ETKF(), NETWORK, n_cycles=4)
    assert np.isfinite(run.analysis_mean).all()
    with pytest.raises(ModelError, match="cannot be copied"):
        cycle(wilks.X[0, :9], model, ETKF(), NETWORK, state=run.state)


def call(**changes: Any) -> Cycled:
    settings: dict[str, Any] = {"truth": np.ones((9, 8)), "model": ResolvedModel("wilks-f20"), "filter": ETKF()}
    settings |= {"observations": NETWORK, "limit": 1e9} | changes
    return cycle(**settings)


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"truth": np.ones((9, 7))}, L96BenchError, r"truth \(time, 8\)"),
    ({"truth": np.ones((1, 8))}, L96BenchError, "the start and one sample a window"),
    ({"truth": np.full((9, 8), np.nan)}, L96BenchError, "finite truth"),
    ({"observations": Network(9, 0.05, 1.0)}, L96BenchError, "model's 8 points, got a network of 9"),
    ({"observations": NETWORK.draw(np.ones((5, 8)))}, L96BenchError, "1 experiments and 8 cycles"),
    ({"observations": NETWORK.draw(np.ones((2, 9, 8)))}, L96BenchError, "got 2 and 8"),
    ({"observations": Network(8, 0.055, 1.0)}, L96BenchError, "whole multiple"),
    ({"n_members": 1}, L96BenchError, "at least 2 members for ETKF, got 1"),
    ({"filter": NoAssimilation(), "n_members": 0}, L96BenchError, "at least 1 members"),
    ({"initial": np.ones((20, 9))}, L96BenchError, r"initial states \(1, 20, 8\)"),
    ({"initial": np.full((20, 8), np.inf)}, L96BenchError, "finite initial states"),
    ({"inflation": [1.0, 1.1]}, L96BenchError, "one for each of 1 experiments"),
    ({"inflation": 0.0}, L96BenchError, "posterior as a positive number"),
    ({"limit": -1.0}, L96BenchError, "positive limit"),
    ({"n_cycles": 9}, L96BenchError, "from 0 to the 8 that are left"),
    ({"spin_up_cycles": -1}, L96BenchError, "spin_up_cycles >= 0"),
    ({"seed": [1, 2]}, L96BenchError, "one for each of 1 experiments, got 2"),
    ({"filter": ETKF}, L96BenchError, "the class ETKF; try an instance"),
    ({"filter": "etkf"}, L96BenchError, r"a filter such as ETKF\(\), got str"),
    ({"model": QUARTIC}, ModelError, "ResolvedModel"),
    ({"filter": ThreeDVar(np.eye(5))}, L96BenchError, "covariance of 8 components like the states, got 5"),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(**changes)


def test_nothing_to_join() -> None:
    with pytest.raises(L96BenchError, match="at least one"):
        joined()
