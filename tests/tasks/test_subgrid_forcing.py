"""The offline family: its score, and everything beside it, against computations of their own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import ModelError
from l96bench.estimators.regressors import AR1Regressor, PolynomialRegressor
from l96bench.metrics.comparison import compare_paired
from l96bench.results.record import Result
from l96bench.tasks.registry import make_task
from l96bench.tasks.sources import MINIATURE
from l96bench.tasks.subgrid_forcing import SubgridForcing
from l96bench.tasks.subgrid_forcing_memory import SubgridForcingMemory

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def result(offline: SubgridForcing, quartic: Polynomial) -> Result:
    return offline.evaluate(quartic)


def r2(truth: Array, prediction: Array, mean: float) -> float:
    return 1.0 - np.sum((truth - prediction) ** 2) / np.sum((truth - mean) ** 2)


# The score and its metrics.


def test_score_is_100_r2_about_the_training_mean(offline: SubgridForcing, quartic: Polynomial, result: Result) -> None:
    predicted = np.polynomial.polynomial.polyval(offline.test.X, quartic.coefficients)
    assert result.score.value == pytest.approx(100 * r2(offline.test.U, predicted, offline.train.U.mean()), abs=1e-9)
    assert result.metrics["r2"].value == pytest.approx(result.score.value / 100, abs=1e-12)
    assert result.metrics["rmse"].value == pytest.approx(np.sqrt(np.mean((predicted - offline.test.U) ** 2)))
    assert result.metrics["bias"].value == pytest.approx(np.mean(predicted - offline.test.U))
    assert (result.failures.non_finite, result.failures.diverged, result.failures.of) == (0, 0, offline.test.U.size)


@pytest.mark.real_data
def test_score_of_the_literatures_closure_is_the_one_that_is_known() -> None:
    """docs/facts.md, measured by an independent prototype: the fitted quartic reaches R² .847 to .848."""
    task = make_task("subgrid-forcing/wilks-f20-v1")
    result = task.references["literature"].evaluate()
    assert result.score.value == pytest.approx(84.75, abs=0.15)
    assert result.score.low < 84.8 < result.score.high


def test_shift_is_the_warmer_climate(offline: SubgridForcing, quartic: Polynomial, result: Result) -> None:
    predicted = quartic.predict(offline.shift.X)
    expected = r2(offline.shift.U, predicted, offline.train.U.mean())
    assert result.metrics["r2_shift"].value == pytest.approx(expected, abs=1e-12)
    assert result.metrics["bias_shift"].value == pytest.approx(np.mean(predicted - offline.shift.U))
    assert result.metrics["r2_shift"].value < result.metrics["r2"].value


def test_tails_are_bins_of_the_resolved_state(offline: SubgridForcing, quartic: Polynomial, result: Result) -> None:
    states, U, mean = offline.test.X, offline.test.U, float(offline.train.U.mean())
    predicted = quartic.predict(states)
    edges = np.quantile(states, [0.05, 0.25, 0.5, 0.75, 0.95])
    for name, low, high in [("00_05", -np.inf, edges[0]), ("25_50", edges[1], edges[2]), ("95_100", edges[4], np.inf)]:
        inside = (states >= low) & (states < high)
        expected = r2(U[inside], predicted[inside], mean)
        assert result.metrics[f"r2_quantile_{name}"].value == pytest.approx(expected, abs=1e-9)
    assert sum(name.startswith("r2_quantile_") for name in result.metrics) == 6


def test_budgets_are_fits_to_the_first_minutes_of_training(offline: SubgridForcing) -> None:
    model = PolynomialRegressor(degree=2)
    offline.fit(model)
    coefficients = model.coef_.copy()
    metrics = offline.evaluate(model, budgets=True).metrics
    for budget, n in [("10", 200), ("20", 400)]:
        # numpy.polyfit solves the same least squares in its own way.
        smaller = np.polyfit(offline.train.X[:n].ravel(), offline.train.U[:n].ravel(), 2)
        expected = r2(offline.test.U, np.polyval(smaller, offline.test.X), offline.train.U.mean())
        assert metrics[f"r2_budget_{budget}"].value == pytest.approx(expected, abs=1e-9)
        assert metrics[f"r2_budget_{budget}"].low <= metrics[f"r2_budget_{budget}"].value  # type: ignore[operator]
    np.testing.assert_array_equal(model.coef_, coefficients)
    assert not any("budget" in name for name in offline.evaluate(model).metrics)


def test_the_real_budgets_are_those_of_the_design() -> None:
    assert SubgridForcing.training_budgets == (10.0, 100.0, 1000.0)


def test_no_budgets_for_what_cannot_be_trained_again(offline: SubgridForcing) -> None:
    for model in (Polynomial([0.0, -1.0]), lambda X: -X):
        assert not any("budget" in name for name in offline.evaluate(model, budgets=True).metrics)


def test_references_stand_at_0_and_100_and_between(offline: SubgridForcing) -> None:
    floor, literature, ceiling = (offline.references[name] for name in ("floor", "literature", "ceiling"))
    assert floor.score == pytest.approx(0.0, abs=1e-12)
    assert ceiling.score == 100.0
    assert 80.0 < literature.score < 90.0
    assert {each.info.kind for each in (floor, literature, ceiling)} == {"reference"}
    exact = ceiling.evaluate().metrics
    assert (exact["rmse"].value, exact["bias"].value, exact["r2_shift"].value) == (0.0, 0.0, 1.0)


def test_a_regime_without_shift_is_scored_without_it() -> None:
    task = SubgridForcingWithoutShift()
    metrics = task.evaluate(Polynomial([-2.0, -0.5])).metrics
    assert "r2" in metrics
    assert not any(name.endswith("_shift") for name in metrics)


class SubgridForcingWithoutShift(SubgridForcing):
    """A regime of one climate, on made-up data."""

    def __init__(self) -> None:
        super().__init__("three-scale", source=MINIATURE)

    def make(self, split: str, progress: bool | None = None) -> dict[str, Array]:
        assert split in ("train", "test")
        X = np.random.default_rng(0).normal(size=(1 if split == "train" else 2, 400, 8))
        return {"X": X, "U": np.sin(X)}


# Stochastic models.


@pytest.fixture(scope="module")
def noisy(offline: SubgridForcing) -> AR1Regressor:
    return AR1Regressor().fit(offline.train.X, offline.train.U)


def test_crps_and_spread_of_a_gaussian_model_are_those_of_theory(offline: SubgridForcing, noisy: AR1Regressor) -> None:
    metrics = offline.evaluate(noisy).metrics
    error = noisy.predict(offline.test.X.reshape(-1, 8)).reshape(offline.test.U.shape) - offline.test.U
    # Gneiting and Raftery (2007), equation 21: the CRPS of a Gaussian; twenty members add E|x - x'| / 40.
    z = error / noisy.sigma_
    exact = noisy.sigma_ * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    expected = exact.mean() + 2 * noisy.sigma_ / np.sqrt(np.pi) / 40
    assert metrics["crps"].value == pytest.approx(expected, rel=0.01)
    rmse = np.sqrt(np.mean(error**2) + noisy.sigma_**2 / 20)
    assert metrics["spread_skill"].value == pytest.approx(np.sqrt(21 / 20) * noisy.sigma_ / rmse, rel=0.01)
    assert {"crps_shift", "spread_skill_shift"} <= set(metrics)
    assert metrics["r2"].value == pytest.approx(offline.evaluate(noisy.estimator_).metrics["r2"].value, rel=1e-12)


class Dice:
    """A stochastic closure without predict, which counts its starts."""

    deterministic = False
    starts = 0

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.starts += 1
        self.rng = rng

    def step(self, X: Array) -> Array:
        return -2.0 - 0.5 * X + self.rng.standard_normal(X.shape)


@pytest.mark.parametrize("family", ["offline", "memory"])
def test_a_stochastic_closure_is_drawn_twenty_times(request: pytest.FixtureRequest, family: str) -> None:
    task: SubgridForcing = request.getfixturevalue(family)
    model = Dice()
    result = task.evaluate(model)
    assert model.starts == 20 * 3 + 1  # test, shift, the comparison with its negative, and once to measure its cost
    assert result.metrics["crps"].value < result.metrics["rmse"].value
    assert task.evaluate(Dice()).predictions_digest == result.predictions_digest
    # The mean of twenty has a twentieth of the variance of the noise.
    still = task.evaluate(Polynomial([-2.0, -0.5])).metrics["rmse"].value
    assert result.metrics["rmse"].value == pytest.approx(np.sqrt(still**2 + 1 / 20), rel=0.005)


# Uncertainty.


def test_replicates_are_the_score_of_resampled_blocks(
    offline: SubgridForcing, quartic: Polynomial, result: Result
) -> None:
    mean, predicted = offline.train.U.mean(), quartic.predict(offline.test.X)
    blocks = [slice(start, start + 200) for start in range(0, 600, 200)]
    truths = [trajectory[block] for trajectory in offline.test.U for block in blocks]
    guesses = [trajectory[block] for trajectory in predicted for block in blocks]
    weights = offline.weights(6, "offline").astype(int)
    for replicate in (0, 17, 999):
        drawn = np.repeat(np.arange(6), weights[replicate])
        expected = 100 * r2(
            np.concatenate([truths[i] for i in drawn]), np.concatenate([guesses[i] for i in drawn]), float(mean)
        )
        assert result.score.replicates[replicate] == pytest.approx(expected, abs=1e-4)
    low, high = np.quantile(result.score.replicates, [0.025, 0.975])
    assert (result.score.low, result.score.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


def test_intervals_hold_their_estimates(result: Result) -> None:
    assert result.score.low < result.score.value < result.score.high
    for name in ("r2", "rmse", "bias", "r2_shift", "rmse_shift"):
        value = result.metrics[name]
        assert value.low is not None
        assert value.high is not None
        assert value.low < value.value < value.high


def test_two_entries_are_compared_in_pairs(offline: SubgridForcing, quartic: Polynomial, result: Result) -> None:
    other = offline.evaluate(Polynomial(1.01 * quartic.coefficients))
    first, second = np.array(result.score.replicates), np.array(other.score.replicates)
    assert np.corrcoef(first, second)[0, 1] > 0.98
    paired = compare_paired(first, result.score.value, second, other.score.value)
    assert paired.high - paired.low < 0.3 * (result.score.high - result.score.low)


@pytest.mark.real_data
def test_the_interval_is_as_wide_as_trajectories_differ() -> None:
    """On the real data: the standard error from ten independent trajectories, which the bootstrap does not use."""
    task = make_task("subgrid-forcing/wilks-f20-v1")
    model = PolynomialRegressor(degree=4)
    task.fit(model)
    score = task.evaluate(model).score
    each = [100 * r2(U, model.predict(X), task.train.U.mean()) for X, U in zip(task.test.X, task.test.U, strict=True)]
    assert score.value == pytest.approx(np.mean(each), abs=0.05)
    error = np.std(each, ddof=1) / np.sqrt(10)
    assert 0.5 < (score.high - score.low) / (2 * 1.96 * error) < 2.0


# Files of predictions.


@pytest.mark.parametrize("family", ["offline", "memory"])
def test_predictions_score_as_the_model_that_made_them(
    request: pytest.FixtureRequest, family: str, quartic: Polynomial
) -> None:
    task: SubgridForcing = request.getfixturevalue(family)
    result = task.evaluate(quartic)
    scored = task.evaluate_predictions(quartic.predict(task.test.X), quartic.predict(task.shift.X))
    assert scored.score == result.score
    assert scored.metrics == result.metrics
    assert scored.predictions_digest == result.predictions_digest
    assert scored.model.kind == "predictions"
    without = task.evaluate_predictions(quartic.predict(task.test.X))
    assert without.score == result.score
    assert not any(name.endswith("_shift") for name in without.metrics)


def test_predictions_are_checked_like_a_models(offline: SubgridForcing) -> None:
    U = offline.test.U
    for wrong in (U[0], U[:, 1:], U.reshape(-1, 8), U + 0j, U.astype(str), None):
        with pytest.raises(ModelError, match=r"predictions of test must return U .* shape \(2, 600, 8\)"):
            offline.evaluate_predictions(wrong)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="predictions of shift"):
        offline.evaluate_predictions(U, U[0])
    holes = np.where(offline.test.X > 6.0, np.nan, U)
    result = offline.evaluate_predictions(holes)
    assert result.failures.non_finite == np.sum(offline.test.X > 6.0)
    expected = r2(U, np.where(offline.test.X > 6.0, offline.train.U.mean(), U), offline.train.U.mean())
    assert result.score.value == pytest.approx(100 * expected, abs=1e-9)


def test_the_first_10_mtu_are_not_scored(memory: SubgridForcingMemory, quartic: Polynomial) -> None:
    spoiled = quartic.predict(memory.test.X)
    spoiled[:, :200] = 1e5
    result = memory.evaluate_predictions(spoiled)
    assert result.score == memory.evaluate(quartic).score
    U, mean = memory.test.U[:, 200:], float(memory.train.U.mean())
    expected = 100 * r2(U, quartic.predict(memory.test.X)[:, 200:], mean)
    assert result.score.value == pytest.approx(expected, abs=1e-9)
    spoiled[:, 200] = 1e5
    assert memory.evaluate_predictions(spoiled).score.value < expected - 10.0
