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
    """A closure that follows another one, until the rows that began with X_0 above a bound get a kick."""

    deterministic = True

    def __init__(self, closure: Any, above: float = -np.inf, step: int = 41, kick: float = 1e6) -> None:
        self.closure, self.above, self.step_number, self.kick = closure, above, step, kick

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.n = 0

    def step(self, X: Array) -> Array:
        self.n += 1
        if self.n == 1:
            self.kicked = X[:, 0] > self.above
        U = self.closure.predict(X)
        return np.where(self.kicked[:, None] & (self.n == self.step_number), self.kick, U)


BOUND = 4.0
"""X_0 above which a part of the rows begins."""


@pytest.mark.slow
@pytest.mark.parametrize("kick", [1e6, np.nan, np.inf, -1e300])
def test_a_run_that_leaves_at_once_has_the_error_of_no_closure(
    online: OnlineRollout, quartic: Polynomial, everything_finite: Callable[[Result], bool], kick: float
) -> None:
    result = online.evaluate(Bomb(quartic, step=1, kick=kick))
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
    model = Bomb(quartic, BOUND)
    result, runs = online.evaluate(model), online.runs(model, False)
    survived, shifted = (int(runs.climates[key].survived.sum()) for key in ("", "_shift"))
    survival = result.metrics["survival"]
    assert survival.value == survived / 10
    assert 0 < survived < 10
    expected = binomtest(survived, 10).proportion_ci(0.95, method="wilson")
    assert (survival.low, survival.high) == pytest.approx((expected.low, expected.high))
    kicked = int((online.starts().X[:, 0] > BOUND).sum())
    assert result.failures.diverged == kicked + (10 - survived) + (5 - shifted)
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
            U[:, 0] = (target - X[:, 0]) / 0.01
            return U

        class Once(Bomb):
            def step(self, X: Array) -> Array:
                self.n += 1
                return closure(X) if self.n == 1 else np.full_like(X, -4.0)

        return online.evaluate(Once(None)).metrics["survival"].value

    assert kicked(8.0) == 1.0
    assert kicked(13.0) == 0.0


@pytest.mark.slow
def test_a_member_that_leaves_is_continued_without_closure(online: OnlineRollout, quartic: Polynomial) -> None:
    kicked = online.starts().X[:, 0] > BOUND
    assert 0 < kicked.sum() < len(kicked)
    some, whole, none = online.runs(Bomb(quartic, BOUND), False), online.runs(quartic, False), online.without_closure
    own, full, no = (each.forecasts.X for each in (some, whole, none))
    before = online.cases.leads < 0.405  # the kick is in the step from 0.40 to 0.41 MTU
    np.testing.assert_array_equal(own[:, ~kicked], full[:, ~kicked])
    np.testing.assert_array_equal(own[before], full[before])
    np.testing.assert_array_equal(own[~before][:, kicked], no[~before][:, kicked])
    assert (full[~before][:, kicked] != no[~before][:, kicked]).all()
    assert some.forecasts.diverged == kicked.sum()

    step = 1 + round((5.0 + 3.0) / 0.01)  # 3 MTU into the sampled climate
    late = online.runs(Bomb(quartic, BOUND, step), False)
    assert late.forecasts.diverged == 0
    for key in ("", "_shift"):
        run, whole_run, no_run = late.climates[key], whole.climates[key], none.climates[key]
        left = ~run.survived
        assert 0 < left.sum() < len(left)
        np.testing.assert_array_equal(run.X[:, ~left], whole_run.X[:, ~left])
        np.testing.assert_array_equal(run.X[:61, left], whole_run.X[:61, left])
        np.testing.assert_array_equal(run.X[61:, left], no_run.X[61:, left])


@pytest.mark.slow
def test_a_run_that_leaves_scores_between(online: OnlineRollout, quartic: Polynomial) -> None:
    result = online.evaluate(quartic)
    some = online.evaluate(Bomb(quartic, 7.0)).score
    assert 0.0 < some.value < result.score.value - 10.0
    assert some.low < some.value < some.high


# What a closure is told.

TOLD: list[tuple[int, Array, Array]] = []
"""Of every run of a `Listener`: the number of rows, their pasts and their first states."""


class Listener:
    """Keeps what a closure is told; the model itself is a line."""

    def __init__(self, deterministic: bool) -> None:
        self.deterministic = deterministic

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.n, self.past = n_members, np.empty(0)

    def remember(self, history: Array) -> None:
        self.past = history

    def step(self, X: Array) -> Array:
        if self.n:
            TOLD.append((self.n, self.past, X))
            self.n = 0
        return -2.0 - 0.5 * X


@pytest.mark.slow
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_closure_cannot_tell_its_runs_apart(online: OnlineRollout, deterministic: bool) -> None:
    """All have 10 rows of the regime's forcing and 5 of the shifted one, each with its own past, in another order."""
    TOLD.clear()
    runs = online.runs(Listener(deterministic), False)
    del TOLD[:2]  # whether it draws random numbers of its own is asked first
    members = 1 if deterministic else 4
    again = 2 * 4 + 2  # two restarts at four times, and the check that members do not depend on others
    assert len(TOLD) == 15 * members // 10 + (15 * members % 10 > 0) + again  # forecasts, one goes on
    assert {told[0] for told in TOLD} == {15}
    pasts = {}
    for key in ("", "_shift"):
        starts = online.starts(key)
        pasts |= {X.tobytes(): (key, past) for X, past in zip(starts.X, starts.past.swapaxes(0, 1), strict=True)}
    orders = []
    for _, history, X in TOLD[:-again]:
        rows = [pasts[each.tobytes()] for each in X]
        orders.append("".join("s" if key else "." for key, _ in rows))
        assert orders[-1].count("s") == 5
        np.testing.assert_array_equal(history, np.stack([past for _, past in rows], axis=1))
    assert len(set(orders)) > 1
    # What a restart is told is its own past, and a state near it.
    for _, history, X in TOLD[-8:]:
        assert np.abs(X - history[-1]).mean() < 0.5 * X.std()
    if deterministic:
        np.testing.assert_array_equal(runs.forecasts.X, online.runs(Polynomial([-2.0, -0.5]), False).forecasts.X)


def test_no_case_is_told_of_another() -> None:
    """From the beginning of one past to the beginning of the next are 33 MTU, of which a case needs 5."""
    cases = OnlineRollout.cases
    assert cases.spacing - cases.memory - cases.lead >= 28.0
    assert cases.starts[-1] * cases.interval + cases.lead < 200.0
    assert cases.n_trajectories == 50


class Replay:
    """A line for the length of a forecast, then a copy of the training trajectory."""

    deterministic = True

    def __init__(self, X: Array, steps: int) -> None:
        self.X, self.steps = X, steps

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.n, self.place = 0, np.linspace(0, len(self.X) - 601, n_members).astype(int)

    def step(self, X: Array) -> Array:
        self.n += 1
        if self.n <= self.steps:
            return -2.0 - 0.5 * X
        whole, part = divmod(self.n - self.steps, 5)
        here, there = self.X[self.place + whole], self.X[self.place + whole + 1]
        goal = here + part / 5 * (there - here)
        return (goal - X) / 0.01 - (np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + 20.0)


@pytest.mark.slow
def test_a_recalled_climate_fails_both_tests(online: OnlineRollout, quartic: Polynomial) -> None:
    honest, copied = online.evaluate(quartic), online.evaluate(Replay(np.array(online.train.X), 310))
    assert honest.metrics["restart"].value < 1.5
    assert honest.metrics["training_distance"].value > 0.6
    assert copied.metrics["restart"].value > 3.0
    assert copied.metrics["training_distance"].value < 0.3


# Models of every kind.


@pytest.mark.slow
def test_lagged_models_use_their_history(online: OnlineRollout) -> None:
    model = LocalRegressor(LinearRegression(), lags=(0.05, 0.1)).fit(online.train.X, online.train.U)
    forecasts, starts = online.runs(model, False).forecasts, online.starts()
    told, untold = (
        rollout(model.closure(), starts.X, 0.15, regime="wilks-f20", history=past).X[1:] for past in (starts.past, None)
    )
    np.testing.assert_allclose(forecasts.X[:2, :, 0], told, rtol=1e-9)
    assert np.abs(forecasts.X[:2, :, 0] - untold).max() > 1e-3
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
        (Wrong(lambda X: X[0]), r"Wrong must return U .* of shape \(15, 8\).*got shape \(8,\)"),
        (Wrong(lambda X: X.T), r"got shape \(8, 15\).*transpose"),
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
def test_every_regime_has_two_climates(online: OnlineRollout) -> None:
    """Three scales: no offline test in a warmer climate, but a climate in it."""
    task = type(online)("three-scale").miniature()
    result = task.evaluate(PolynomialRegressor(degree=3).fit(task.train.X, task.train.U))
    assert not task.has_shift
    assert result.failures.of == 15 + 10 + 5
    assert "climate_part_shift" in result.metrics
    assert 0.0 < result.score.value < 100.0
    assert task.references["ceiling"].score == 100.0
