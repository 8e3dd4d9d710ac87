"""The online family and its models: runs that leave, and closures of every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.linear_model import LinearRegression

from l96bench.dynamics.closures import as_closure
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.resolved import rollout
from l96bench.errors import ModelError
from l96bench.estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor
from l96bench.results.record import Result
from l96bench.tasks.online_rollout import OnlineRollout

Array = NDArray[np.float64]


# Runs that leave.


class Bomb:
    """A closure that follows another one, until some members get a kick."""

    deterministic = True

    def __init__(self, closure: Any, fraction: float, step: int = 41, kick: float = 1e6) -> None:
        self.closure, self.fraction, self.step_number, self.kick = closure, fraction, step, kick

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.kicked = np.arange(n_members) < round(self.fraction * n_members)
        self.n = 0

    def step(self, X: Array) -> Array:
        self.n += 1
        U = self.closure.predict(X)
        return np.where(self.kicked[:, None] & (self.n == self.step_number), self.kick, U)


@pytest.mark.slow
@pytest.mark.parametrize("kick", [1e6, np.nan, np.inf, -1e300])
def test_a_run_that_leaves_at_once_has_the_error_of_no_closure(
    online: OnlineRollout, quartic: Polynomial, everything_finite: Callable[[Result], bool], kick: float
) -> None:
    result = online.evaluate(Bomb(quartic, 1.0, step=1, kick=kick))
    floor = online.references["floor"].evaluate()
    assert result.score.value == 0.0
    assert result.metrics["survival"].value == 0.0
    assert result.metrics["forecast_part"].value == 0.0
    assert result.metrics["climate_part"].value == 0.0
    assert result.series["crps_by_lead"] == floor.series["crps_by_lead"]
    assert (result.failures.diverged, result.failures.of) == (30, 30)
    assert everything_finite(result)


@pytest.mark.slow
def test_survival_has_wilsons_interval(
    online: OnlineRollout, quartic: Polynomial, everything_finite: Callable[[Result], bool]
) -> None:
    result = online.evaluate(Bomb(quartic, 0.4))  # 8 of 20 forecasts, 4 of 10 climate runs, all of them unshifted
    survival, shifted = result.metrics["survival"], result.metrics["survival_shift"]
    assert (survival.value, shifted.value) == (0.2, 1.0)
    expected = binomtest(1, 5).proportion_ci(0.95, method="wilson")
    assert (survival.low, survival.high) == pytest.approx((expected.low, expected.high))
    assert result.failures.diverged == 8 + 4
    assert everything_finite(result)


@pytest.mark.slow
def test_the_range_is_ten_standard_deviations(online: OnlineRollout) -> None:
    mean, std = online.grids[""].mean[0], online.grids[""].std[0]
    truth = online.arrays("climate")["X"]
    assert (mean, std) == (pytest.approx(truth.mean()), pytest.approx(truth.std()))

    def kicked(size: float) -> float:
        """Survival when one X of every member is sent that many standard deviations from the mean in one step."""
        target = mean + size * std

        def closure(X: Array) -> Array:
            U = np.zeros_like(X)
            if len(X) == 10:
                U[:, 0] = (target - X[:, 0]) / 0.01
            return U

        class Once(Bomb):
            def step(self, X: Array) -> Array:
                self.n += 1
                return closure(X) if self.n == 1 else np.full_like(X, -4.0)

        return online.evaluate(Once(None, 1.0)).metrics["survival"].value

    assert kicked(8.0) == 1.0
    assert kicked(13.0) == 0.0


@pytest.mark.slow
def test_a_member_that_leaves_is_continued_without_closure(online: OnlineRollout, quartic: Polynomial) -> None:
    forecasts = online.forecasts(Bomb(quartic, 0.25), False)
    whole, none = online.forecasts(quartic, False), online.without_closure[0]
    before = online.cases.leads < 0.405  # the kick is in the step from 0.40 to 0.41 MTU
    np.testing.assert_array_equal(forecasts.X[:, 5:], whole.X[:, 5:])
    np.testing.assert_array_equal(forecasts.X[before, :5], whole.X[before, :5])
    np.testing.assert_array_equal(forecasts.X[~before, :5], none.X[~before, :5])
    assert (whole.X[~before, :5] != none.X[~before, :5]).all()
    assert forecasts.diverged == 5

    step = 1 + round((5.0 + 3.0) / 0.01)  # 3 MTU into the sampled climate
    climates, wholes = online.climates(Bomb(quartic, 0.3, step), False), online.climates(quartic, False)
    run, whole_run, no_run = climates[""], wholes[""], online.without_closure[1][""]
    np.testing.assert_array_equal(run.survived, [False] * 3 + [True] * 2)
    np.testing.assert_array_equal(run.X[:, 3:], whole_run.X[:, 3:])
    np.testing.assert_array_equal(run.X[:61, :3], whole_run.X[:61, :3])
    np.testing.assert_array_equal(run.X[61:, :3], no_run.X[61:, :3])
    np.testing.assert_array_equal(climates["_shift"].X, wholes["_shift"].X)


@pytest.mark.slow
def test_a_run_that_leaves_scores_between(online: OnlineRollout, quartic: Polynomial) -> None:
    result = online.evaluate(quartic)
    some = online.evaluate(Bomb(quartic, 0.2)).score
    assert 0.0 < some.value < result.score.value - 10.0
    assert some.low < some.value < some.high


# Models of every kind.


class Listener:
    """Keeps what a closure is told; the model itself is a line."""

    deterministic = True

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.histories: list[Array] = []
        self.first: list[Array] = []

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.starts.append(n_members)
        self.fresh = True

    def remember(self, history: Array) -> None:
        self.histories.append(history.copy())

    def step(self, X: Array) -> Array:
        if self.fresh:
            self.first.append(X.copy())
            self.fresh = False
        return -2.0 - 0.5 * X


@pytest.mark.slow
def test_a_closure_with_memory_is_told_the_past(online: OnlineRollout) -> None:
    model = Listener()
    result = online.evaluate(model)
    forecast, climate = model.histories[:2]
    starts = [40 + 40 * i for i in range(10)]
    cases = [trajectory[start - 40 : start] for trajectory in online.test.X for start in starts]
    np.testing.assert_array_equal(forecast, np.stack(cases, axis=1))
    np.testing.assert_array_equal(model.first[0], np.concatenate([each[starts] for each in online.test.X]))
    shifted = [trajectory[start - 40 : start] for trajectory in online.shift.X for start in starts]
    np.testing.assert_array_equal(climate, np.stack(cases[::4] + shifted[::4], axis=1))
    assert model.starts[:2] == [20, 10]
    assert result.score == online.evaluate(Polynomial([-2.0, -0.5])).score


@pytest.mark.slow
def test_lagged_models_use_their_history(online: OnlineRollout) -> None:
    model = LocalRegressor(LinearRegression(), lags=(0.05, 0.1)).fit(online.train.X, online.train.U)
    forecasts = online.forecasts(model, False)
    X0, history = online.cases.initial(online.test.X), online.cases.history(online.test.X)
    told, untold = (
        rollout(model.closure(), X0, 0.15, regime="wilks-f20", history=past).X[1:] for past in (history, None)
    )
    np.testing.assert_array_equal(forecasts.X[:2, :, 0], told)
    assert (forecasts.X[:2, :, 0] != untold).any()
    assert online.evaluate(model).metrics["rmse_1"].value < 3.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["polynomial", "function", "estimator", "stochastic"])
def test_the_same_closure_gets_the_same_result(online: OnlineRollout, quartic: Polynomial, kind: str) -> None:
    models: dict[str, Any] = {"polynomial": quartic, "function": quartic.predict}
    models["estimator"] = PolynomialRegressor().fit(online.train.X, online.train.U)
    models["stochastic"] = as_closure(AR1Regressor().fit(online.train.X, online.train.U))
    first, second = online.evaluate(models[kind]), online.evaluate(models[kind])
    assert first.predictions_digest == second.predictions_digest
    assert first.score == second.score
    assert first.metrics == second.metrics
    assert first.series == second.series


@pytest.mark.slow
def test_a_polynomial_in_the_kernel_is_the_same_polynomial(online: OnlineRollout, quartic: Polynomial) -> None:
    inside, outside = online.evaluate(quartic), online.evaluate(quartic.predict)
    assert inside.predictions_digest == outside.predictions_digest
    assert inside.score == outside.score


class Wrong:
    """Good for some steps, and then not."""

    deterministic = True

    def __init__(self, make: Any) -> None:
        self.make = make

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.n = 0

    def step(self, X: Array) -> Any:
        self.n += 1
        return np.zeros_like(X) if self.n < 20 else self.make(X)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Wrong(lambda X: X[0]), r"Wrong must return U .* of shape \(20, 8\).*got shape \(8,\)"),
        (Wrong(lambda X: X.T), r"got shape \(8, 20\).*transpose"),
        (Wrong(lambda X: X + 1j), "complex128"),
        (Wrong(lambda X: None), "got a NoneType"),
        (Wrong(lambda X: 1 / 0), "Wrong raised ZeroDivisionError: division by zero"),
        (PolynomialRegressor, "got the class PolynomialRegressor"),
        (PolynomialRegressor(), "Expected a fitted model"),
        ("quartic", "got a str"),
    ],
    ids=["shape", "transposed", "complex", "nothing", "error", "class", "unfitted", "name"],
)
def test_what_cannot_be_coupled_says_why(online: OnlineRollout, model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        online.evaluate(model)


@pytest.mark.slow
def test_a_regime_of_one_climate(online: OnlineRollout) -> None:
    """Three scales: no warmer climate, and nothing about it in the result."""
    task = type(online)("three-scale").miniature()
    result = task.evaluate(PolynomialRegressor(degree=3).fit(task.train.X, task.train.U))
    assert result.failures.of == 20 + 5
    assert not any(name.endswith("_shift") for name in result.metrics)
    assert 0.0 < result.score.value < 100.0
    assert task.references["ceiling"].score == 100.0
