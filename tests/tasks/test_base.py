"""What all tasks share: data that nobody can change, training budgets, weights, records."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor, VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from l96bench.dynamics.polynomial import NoClosure, Polynomial
from l96bench.errors import L96BenchError, ModelError, UnknownIdError
from l96bench.estimators.regressors import LocalRegressor, PolynomialRegressor
from l96bench.results.record import Cost, Environment, Result
from l96bench.tasks.base import Task
from l96bench.tasks.closure_task import Samples
from l96bench.tasks.cost import count_parameters, measure_cost
from l96bench.tasks.equation_recovery import EquationRecovery
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.parts import N_REPLICATES, SCORER_VERSION, describe, value_of
from l96bench.tasks.registry import list_tasks, make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing

X = np.random.default_rng(0).normal(2.5, 4.0, (300, 8))


def test_samples_know_their_times_and_budgets() -> None:
    samples = Samples(np.arange(80.0).reshape(1, 10, 8), np.arange(80.0).reshape(1, 10, 8) + 1.0, 0.05)
    np.testing.assert_allclose(samples.time, [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45])
    assert samples.prefix(0.5).X.shape == (1, 10, 8)
    np.testing.assert_array_equal(samples.prefix(0.1).U, samples.U[:, :2])
    for wrong in (0.0, -1.0, 0.55):
        with pytest.raises(L96BenchError, match=r"a budget between 0\.05 and 0\.5 MTU, got"):
            samples.prefix(wrong)


@pytest.mark.parametrize("name", ["train", "valid", "test", "shift"])
def test_data_are_read_only(offline: SubgridForcing, name: str) -> None:
    samples: Samples = getattr(offline, name)
    for array in (samples.X, samples.U, samples.prefix(1.0).X):
        with pytest.raises(ValueError, match="read-only"):
            array[..., 0] = 0.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        samples.interval = 1.0  # type: ignore[misc]


@pytest.mark.real_data
def test_real_data_are_read_only_and_as_large_as_documented() -> None:
    task = make_task("subgrid-forcing/wilks-f20-v1")
    assert (task.train.X.shape, task.train.U.shape) == ((40_000, 8), (40_000, 8))
    assert task.test.X.shape == task.shift.U.shape == (10, 4_000, 8)
    assert task.train.interval == task.test.interval == 0.05
    for array in (task.train.X, task.test.U):
        with pytest.raises(ValueError, match="read-only"):
            array[..., 0] = 0.0


def test_tasks_are_frozen_and_compare_by_what_they_are() -> None:
    assert SubgridForcing("wilks-f20") == SubgridForcing("wilks-f20", 1)
    assert SubgridForcing("wilks-f20") != SubgridForcing("wilks-f18")
    assert OnlineRollout("wilks-f20") != SubgridForcing("wilks-f20")
    assert OnlineRollout("arnold-c4", 3).id == "online-rollout/arnold-c4-v3"
    with pytest.raises(dataclasses.FrozenInstanceError):
        SubgridForcing("wilks-f20").version = 2  # type: ignore[misc]


def test_a_regime_without_a_shifted_climate_says_so() -> None:
    task = make_task("subgrid-forcing/three-scale-v1")
    assert not task.has_shift
    with pytest.raises(UnknownIdError, match="three-scale has no split 'shift'"):
        _ = task.shift


class Learner:
    """Keeps what it was given, and spoils it."""

    def fit(self, X: NDArray, y: NDArray) -> None:
        self.X, self.y = X.copy(), y.copy()
        X[:] = y[:] = 0.0


def test_fit_gives_copies_of_the_training_data_and_takes_time(offline: SubgridForcing) -> None:
    model = Learner()
    assert offline.fit(model) >= 0.0
    np.testing.assert_array_equal(model.X, offline.train.X)
    np.testing.assert_array_equal(model.y, offline.train.U)
    offline.fit(model, budget=10.0)
    np.testing.assert_array_equal(model.X, offline.train.X[:200])
    np.testing.assert_array_equal(model.y, offline.train.U[:200])
    assert np.ptp(offline.train.X) > 1.0


def test_what_cannot_be_fitted_is_left_alone_and_what_fails_says_how(offline: SubgridForcing) -> None:
    assert offline.fit(NoClosure()) == 0.0
    with pytest.raises(ModelError, match=r"PolynomialRegressor\.fit raised ValueError: degree must be a whole number"):
        offline.fit(PolynomialRegressor(degree=-1))
    with pytest.raises(L96BenchError, match="a budget between"):
        offline.fit(PolynomialRegressor(), budget=1e6)


def test_the_base_scores_nothing() -> None:
    with pytest.raises(TypeError, match="abstract method"):
        Task("wilks-f20")  # type: ignore[abstract]


def test_bootstrap_weights_are_those_of_the_task_and_the_purpose() -> None:
    task = SubgridForcing("wilks-f20")
    weights = task.weights(20, "offline")
    assert weights.shape == (N_REPLICATES, 20)
    np.testing.assert_array_equal(weights.sum(axis=1), 20.0)
    np.testing.assert_array_equal(SubgridForcing("wilks-f20").weights(20, "offline"), weights)
    others = [task.weights(20, "other"), SubgridForcing("wilks-f18").weights(20, "offline")]
    others.append(SubgridForcing("wilks-f20", 2).weights(20, "offline"))
    assert all((other != weights).any() for other in others)
    # Each block is drawn once a replicate on average, with a binomial's variance.
    assert weights.mean() == 1.0
    assert weights.var() == pytest.approx(1.0 - 1.0 / 20, rel=0.05)


def test_an_interval_of_a_metric_always_holds_it() -> None:
    skewed = value_of(0.0, np.linspace(1.0, 2.0, 100))
    assert (skewed.value, skewed.low) == (0.0, 0.0)
    assert value_of(1.5, np.linspace(1.0, 2.0, 1001)).low == pytest.approx(1.025)


class Odd:
    """A model that means other things by the names that sklearn uses."""

    steps = 5
    n_parameters = "many"
    coef_ = estimators_ = None

    def predict(self, X: NDArray) -> NDArray:
        return -X


def fitted(model: Any, rows: int = 300) -> Any:
    return model.fit(X[:rows], -X[:rows])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Polynomial([1.0, 2.0, 3.0]), 3),
        (NoClosure(), 1),
        (fitted(PolynomialRegressor(4)), 5),
        (fitted(LinearRegression()), 8 * 8 + 8),
        (fitted(make_pipeline(StandardScaler(), LinearRegression())), 8 * 8 + 8),
        (fitted(LocalRegressor(LinearRegression(), radius=2)), 5 + 1),
        (fitted(LocalRegressor(make_pipeline(StandardScaler(), LinearRegression()))), 5 + 1),
        (fitted(GridSearchCV(PolynomialRegressor(), {"degree": [1]}, cv=2)), 2),
        # A tree of one split is one point, one threshold and two values.
        (fitted(LocalRegressor(RandomForestRegressor(3, max_depth=1))), 3 * 4),
        (fitted(LocalRegressor(GradientBoostingRegressor(n_estimators=3, max_depth=1))), 3 * 4),
        (fitted(MultiOutputRegressor(LinearRegression())), 8 * (8 + 1)),
        (fitted(LocalRegressor(VotingRegressor([("a", LinearRegression())]))), 5 + 1),
        (lambda X: -X, None),
        (Odd(), None),
        (SimpleNamespace(coefficients=abs), None),  # a method of that name
        (None, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameters_are_counted_where_it_can_be_told(model: Any, expected: int | None) -> None:
    assert count_parameters(model) == expected


def test_a_model_without_a_description_gets_one() -> None:
    info = describe(PolynomialRegressor(degree=3))
    assert (info.name, info.kind, info.description) == (
        "PolynomialRegressor",
        "unnamed",
        "PolynomialRegressor(degree=3)",
    )
    assert len(describe(Polynomial(np.ones(1000))).description) == 500


def test_cost_is_measured_for_whatever_can_be_called(offline: SubgridForcing) -> None:
    cost = measure_cost(offline.regime, Polynomial([0.0, -1.0]), 2.5)
    assert cost.training_seconds == 2.5
    assert cost.microseconds_per_call is not None
    assert cost.kernel_steps_per_call is not None
    assert 0.0 < cost.microseconds_per_call < 1e4
    # A step of the truth costs about a microsecond, so the two numbers are within a factor of twenty.
    assert 0.05 < cost.microseconds_per_call / cost.kernel_steps_per_call < 20.0
    assert measure_cost(offline.regime, None, None) == Cost()


def test_tasks_name_all_the_data_that_their_results_rest_on() -> None:
    ids = ("subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2")
    offline, online = (make_task(id).data_digests for id in ids)
    assert set(offline) == {f"wilks-f20/{part}" for part in _paths("train", "test", "shift")}
    climates = {f"climate{suffix}/X" for suffix in ("", "-twin", "-shift", "-shift-twin")}
    everything = _paths("train") | climates | {"perfect/X"}
    assert set(online) == {f"wilks-f20/{part}" for part in everything}
    assert all(len(digest) == 64 for digest in online.values())


def _paths(*splits: str) -> set[str]:
    return {f"{split}/{array}" for split in splits for array in "XU"}


def test_a_result_says_what_was_scored_and_how(offline: SubgridForcing, tmp_path: Any) -> None:
    model = PolynomialRegressor(degree=4)
    seconds = offline.fit(model)
    result = offline.evaluate(model, training_seconds=seconds)
    assert (result.task, result.task_version, result.split) == (offline.id, 1, "test")
    assert result.scorer_version == SCORER_VERSION
    assert result.cost.training_seconds == seconds
    assert result.model.parameters == 5
    assert result.environment == Environment.current()
    assert len(result.score.replicates) == N_REPLICATES
    result.write(tmp_path / "result.json")
    assert Result.read(tmp_path / "result.json") == result


@pytest.mark.slow
def test_score_is_the_score_of_evaluate(offline: SubgridForcing, online: OnlineRollout) -> None:
    for task in (offline, online):
        assert task.score(Polynomial([0.0, -1.0])) == task.evaluate(Polynomial([0.0, -1.0])).score.value


@pytest.mark.parametrize("id", list_tasks())
def test_every_registered_task_stands_for_a_regime_or_track_with_data(id: str) -> None:
    task = make_task(id)
    assert task.id == id
    if task.family == "da-increment":
        assert task.regime.id == {"dense": "wilks-f20", "sparse": "da-k40"}[task.regime_id]
        assert not task.has_shift
        assert set(task.references) == {"floor", "ceiling"}
    elif task.family == "observed-closure":
        assert task.regime_id.startswith(f"{task.regime.id}-")
        assert set(task.references) == {"floor", "literature", "ceiling"}
    elif task.family == "unseen-physics":
        assert task.form == "8"
        assert set(task.references) == {"floor", "literature", "ceiling"}
    elif task.family == "equation-recovery":
        assert isinstance(task, EquationRecovery)
        assert task.track.id == task.regime_id
        assert set(task.references) == {"floor", "literature", "ceiling"}
    else:
        assert task.regime.id == task.regime_id
        assert task.has_shift == (task.regime.scales == 2)
        assert set(task.references) == {"floor", "literature", "ceiling"}


def test_the_tree_has_named_dimensions_and_the_regimes_parameters(offline: SubgridForcing) -> None:
    tree = offline.to_xarray()
    assert set(tree.children) == {"train", "valid", "test", "shift"}
    assert tree["train"]["X"].dims == ("time", "k")
    assert tree["test"]["U"].dims == ("trajectory", "time", "k")
    for name in tree.children:
        samples: Samples = getattr(offline, name)
        for array in "XU":
            np.testing.assert_array_equal(tree[name][array], getattr(samples, array))
        np.testing.assert_array_equal(tree[name]["time"], samples.time)
        attributes = tree[name].attrs
        assert (attributes["task"], attributes["split"]) == (offline.id, name)
        assert attributes["F"] == (24.0 if name == "shift" else 20.0)
        assert {key: attributes[key] for key in "KJhbc"} == {"K": 8, "J": 32, "h": 1.0, "b": 10.0, "c": 10.0}
    assert tree["test"]["time"].attrs["units"] == "MTU"
