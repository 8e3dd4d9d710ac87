"""Attacks on the scores: what knows nothing must stay below the literature's closure, by the margin stated here.

All run on the real data of `wilks-f20`. The margins are in points of the score; each attack's own score stands in the
message of its assertion. Where a single block or member is spoiled, a third of the bootstrap's replicates do not hold
it, so that only the score is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.dynamics.polynomial import Polynomial
from l96bench.estimators.regressors import AR1Regressor, PolynomialRegressor
from l96bench.metrics.comparison import compare_paired
from l96bench.results.record import Result
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Offline:
    task: SubgridForcing
    honest: Result
    quartic: Polynomial
    predicted: Array


@dataclass(frozen=True)
class Online:
    task: OnlineRollout
    honest: Result
    quartic: Polynomial


def _quartic(task: Any) -> Polynomial:
    return PolynomialRegressor(degree=4).fit(task.train.X, task.train.U).closure()


@pytest.fixture(scope="module")
def real_offline(real_data: None) -> Offline:
    task = make_task("subgrid-forcing/wilks-f20-v1")
    assert isinstance(task, SubgridForcing)
    quartic = _quartic(task)
    return Offline(task, task.references["literature"].evaluate(), quartic, quartic.predict(task.test.X))


@pytest.fixture(scope="module")
def real_online(real_data: None) -> Online:
    task = make_task("online-rollout/wilks-f20-v2")
    assert isinstance(task, OnlineRollout)
    return Online(task, task.references["literature"].evaluate(), _quartic(task))


def assert_below(result: Result, honest: Result, margin: float, paired: bool = True) -> None:
    """The attack's score is at least `margin` points below the honest one, and beyond the paired uncertainty."""
    gap = honest.score.value - result.score.value
    said = f"{result.score.value:.2f} against {honest.score.value:.2f}: {gap:.2f} points below, expected {margin}"
    assert gap > margin, said
    a, b = result.score, honest.score
    assert not paired or compare_paired(a.replicates, a.value, b.replicates, b.value).high < 0.0, said
    assert np.isfinite(result.score.replicates).all()


# Offline: predictions of U.


def _outlier(values: Array, size: float) -> Array:
    values = values.copy()
    values.flat[12_345] = size
    return values


def _in_tenths(values: Array, change: Callable[[Array], Array]) -> Array:
    """One value in ten changed."""
    values = values.copy()
    values.ravel()[::10] = change(values.ravel()[::10])
    return values


def _shuffled(values: Array, across: str) -> Array:
    rng = np.random.default_rng(0)
    if across == "trajectory":
        return np.stack([each[rng.permutation(len(each))] for each in values])
    return rng.permutation(values.reshape(-1, values.shape[-1])).reshape(values.shape)


OFFLINE: dict[str, tuple[Callable[[Offline], Array], float]] = {
    "zeros": (lambda s: np.zeros_like(s.predicted), 150.0),
    "climatological mean": (lambda s: np.full_like(s.predicted, s.task.train.U.mean()), 84.0),
    "mean of the test set": (lambda s: np.full_like(s.predicted, s.task.test.U.mean()), 84.0),
    "mean of each point and trajectory": (lambda s: s.task.test.U.mean(axis=1, keepdims=True) + 0 * s.predicted, 84.0),
    "one outlier of 1e9": (lambda s: _outlier(s.predicted, 1e9), 0.02),
    "one outlier of -1e300": (lambda s: _outlier(s.predicted, -1e300), 0.02),
    "a tenth of outliers": (lambda s: _in_tenths(s.predicted, lambda U: U + 1e9), 900.0),
    "nan": (lambda s: np.full_like(s.predicted, np.nan), 84.0),
    "a tenth nan": (lambda s: _in_tenths(s.predicted, lambda U: U * np.nan), 5.0),
    "infinity": (lambda s: np.full_like(s.predicted, np.inf), 84.0),
    "minus infinity": (lambda s: np.full_like(s.predicted, -np.inf), 84.0),
    "blow-up": (lambda s: s.predicted * np.exp(np.minimum(s.task.test.time, 150.0))[:, None], 5000.0),
    "truth shuffled in time": (lambda s: _shuffled(s.task.test.U, "trajectory"), 150.0),
    "truth shuffled over everything": (lambda s: _shuffled(s.task.test.U, "all"), 150.0),
    "truth a tenth of an MTU late": (lambda s: np.roll(s.task.test.U, 4, axis=1), 30.0),
    "training set copied": (lambda s: s.task.train.U.reshape(s.predicted.shape), 150.0),
    "white noise of one std": (lambda s: s.predicted + _noise(s.predicted.shape, s.task.test.U.std()), 90.0),
    "white noise of a tenth": (lambda s: s.predicted + _noise(s.predicted.shape, 0.1 * s.task.test.U.std()), 0.9),
    "sign": (lambda s: -s.predicted, 300.0),
    "doubled": (lambda s: 2.0 * s.predicted, 100.0),
}


def _noise(shape: tuple[int, ...], std: float) -> Array:
    return std * np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("name", OFFLINE)
def test_offline(real_offline: Offline, name: str) -> None:
    make, margin = OFFLINE[name]
    result = real_offline.task.evaluate_predictions(make(real_offline))
    assert_below(result, real_offline.honest, margin, paired=not name.startswith("one outlier"))
    if name.startswith("one outlier"):
        # A value so far away is cut off, so that one of 320,000 weighs little; but it is counted and shown.
        assert result.failures.diverged == 1


def test_offline_nan_where_the_model_is_unsure(real_offline: Offline) -> None:
    """Leaving out what is hard is no way up: where the quartic explains least, the mean explains still less."""
    states = real_offline.task.test.X
    low, high = np.quantile(states, [0.25, 0.5])
    holes = np.where((states > low) & (states < high), np.nan, real_offline.predicted)
    result = real_offline.task.evaluate_predictions(holes)
    assert result.failures.non_finite == pytest.approx(states.size / 4, rel=1e-3)
    assert_below(result, real_offline.honest, 2.0)


@pytest.mark.slow
def test_offline_noise_is_no_way_to_a_better_crps(offline: SubgridForcing) -> None:
    """CRPS is proper: overconfident and underconfident members are both worse than those of the right spread."""
    model = AR1Regressor().fit(offline.train.X, offline.train.U)
    right = offline.evaluate(model).metrics["crps"].value
    sigma = model.sigma_
    for factor in (0.25, 4.0):
        model.sigma_ = factor * sigma
        assert offline.evaluate(model).metrics["crps"].value > 1.1 * right


# Online: closures.


class Replay:
    """Plays back a recorded U, whatever X is; every member from a place of its own, or all from one."""

    deterministic = True

    def __init__(self, U: Array) -> None:
        self.U = U

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.place = np.linspace(0, len(self.U), n_members, endpoint=False).astype(int)
        self.n = 0

    def step(self, X: Array) -> Array:
        row = self.U[(self.place + self.n // 5) % len(self.U)]
        self.n += 1
        return row


def _towards(goal: Array, X: Array, time: float) -> Array:
    """The U that takes X to a goal in that time, the resolved tendency being what it is now."""
    return (goal - X) / time - (np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + 20.0)


class Nudge(Replay):
    """Copies the training set into the model: U is whatever moves X onto a stretch of the training trajectory."""

    def step(self, X: Array) -> Array:
        part = self.n % 5 / 5
        here = self.place + self.n // 5
        self.n += 1
        target = (1 - part) * self.U[here % len(self.U)] + part * self.U[(here + 1) % len(self.U)]
        return _towards(target, X, 0.05)


@dataclass
class Altered:
    """The quartic, changed by a function of its U, the number of the step and a generator."""

    quartic: Polynomial
    change: Callable[[Array, int, np.random.Generator], Array]
    deterministic: bool = True

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.rng, self.n = rng, 0

    def step(self, X: Array) -> Array:
        self.n += 1
        return self.change(self.quartic.predict(X), self.n, self.rng)


def _at(step: int, value: float) -> Callable[[Array, int, np.random.Generator], Array]:
    """One value of one point, for all members, at one step."""

    def change(U: Array, n: int, rng: np.random.Generator) -> Array:
        if n == step:
            U[:, 3] = value
        return U

    return change


def _one_member(step: int, value: float) -> Callable[[Array, int, np.random.Generator], Array]:
    def change(U: Array, n: int, rng: np.random.Generator) -> Array:
        if n == step:
            U[7, 3] = value
        return U

    return change


def _white(std: float) -> Callable[[Array, int, np.random.Generator], Array]:
    return lambda U, n, rng: U + std * rng.standard_normal(U.shape)


def _rows(values: Array) -> Array:
    return np.array(values).reshape(-1, values.shape[-1])


ONLINE: dict[str, tuple[Callable[[Online], Any], float]] = {
    "zeros": (lambda s: Polynomial([0.0]), 75.0),
    "climatological mean": (lambda s: Polynomial([s.task.train.U.mean()]), 45.0),
    "constant that balances the mean": (lambda s: Polynomial([_balancing(s.task)]), 40.0),
    "one outlier of 1e9 in every run": (lambda s: Altered(s.quartic, _at(20_000, 1e9)), 75.0),
    "one outlier of 1e9 in one run": (lambda s: Altered(s.quartic, _one_member(20_000, 1e9)), 0.5),
    "nan": (lambda s: lambda X: np.full_like(X, np.nan), 75.0),
    "infinity": (lambda s: lambda X: np.full_like(X, np.inf), 75.0),
    "nan late": (lambda s: Altered(s.quartic, _at(24_900, np.nan)), 75.0),
    "blow-up": (lambda s: lambda X: X**3, 75.0),
    "slow blow-up": (lambda s: Polynomial([0.0, 1.2]), 60.0),
    "truth shuffled in time": (lambda s: Replay(_shuffled(_rows(s.task.test.U), "all")), 45.0),
    "training set copied": (lambda s: Replay(_rows(s.task.train.U)), 45.0),
    "training climate copied": (lambda s: Nudge(_rows(s.task.train.X)), 25.0),
    "white noise of ten std": (lambda s: Altered(s.quartic, _white(44.0), deterministic=False), 40.0),
    "sign": (lambda s: Polynomial(-s.quartic.coefficients), 75.0),
}


def _balancing(task: OnlineRollout) -> float:
    """The constant with which the mean of dX/dt vanishes on the truth's energy: <X dX/dt> = 0, F <X> + U <X> = <X²>."""
    X = task.train.X
    return float(np.mean(X**2) / np.mean(X) - task.regime.F)


@pytest.mark.parametrize("name", ONLINE)
def test_online(real_online: Online, name: str) -> None:
    make, margin = ONLINE[name]
    result = real_online.task.evaluate(make(real_online))
    assert_below(result, real_online.honest, margin, paired=not name.endswith("in one run"))


def test_online_white_noise_is_worth_no_more_than_the_literatures_noise(real_online: Online) -> None:
    """White noise makes a stochastic closure of the quartic: not better than AR(1) noise, and more of it is worse."""
    honest = real_online.task.evaluate(AR1Regressor().fit(real_online.task.train.X, real_online.task.train.U)).score
    moderate, strong = (
        real_online.task.evaluate(Altered(real_online.quartic, _white(std), deterministic=False)).score
        for std in (4.4, 20.0)
    )
    gain = compare_paired(moderate.replicates, moderate.value, honest.replicates, honest.value)
    assert gain.low < 0.0, f"white noise gains {gain}"
    assert honest.value - strong.value > 0.5, f"{strong.value:.2f} against {honest.value:.2f}"


def test_online_a_good_climate_alone_is_half_the_score(real_online: Online) -> None:
    """The training climate played back has the truth's climate, and a forecast that knows nothing."""
    result = real_online.task.evaluate(Nudge(_rows(real_online.task.train.X)))
    assert result.metrics["climate_part"].value > 0.8
    assert result.metrics["forecast_part"].value < 0.1
    assert result.score.value < 55.0


def test_online_a_good_forecast_alone_is_half_the_score(real_online: Online) -> None:
    """The quartic for 3 MTU, then a constant: the forecast is as good, and the climate is the constant's."""

    class Sprinter(Altered):
        def step(self, X: Array) -> Array:
            self.n += 1
            return self.quartic.predict(X) if self.n <= 300 else np.full_like(X, -3.5)

    result = real_online.task.evaluate(Sprinter(real_online.quartic, _white(0.0)))
    assert result.metrics["forecast_part"].value == pytest.approx(
        real_online.honest.metrics["forecast_part"].value, rel=1e-9
    )
    assert_below(result, real_online.honest, 10.0)
