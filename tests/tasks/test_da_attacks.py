"""Assimilation skill on the real `dense` track: models that must not score well, and models that cannot be scored."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.assimilation.models import ResolvedModel
from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import L96BenchError, ModelError
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.metrics.comparison import compare_paired
from l96bench.results.record import Result
from l96bench.tasks.assimilation_system import AssimilationSystem
from l96bench.tasks.da_increment import DAIncrement

Array = NDArray[np.float64]


# Attacks.


class Shuffled:
    """Plays back the increments of the training set in an order of their own, whatever X is."""

    deterministic = True

    def __init__(self, rows: Array) -> None:
        self.rows = rows

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.rng = np.random.default_rng(0)

    def step(self, X: Array) -> Array:
        return self.rows[self.rng.integers(len(self.rows), size=len(X))]


class Noisy:
    """The linear correction and white noise."""

    deterministic = False

    def __init__(self, linear: Polynomial, std: float) -> None:
        self.linear, self.std = linear, std

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.rng = rng

    def step(self, X: Array) -> Array:
        return self.linear.predict(X) + self.std * self.rng.standard_normal(X.shape)


ATTACKS: dict[str, tuple[Callable[[SimpleNamespace], Any], float, int]] = {
    # name: (model, points that it must stay below the linear correction, test segments that diverge)
    "zeros": (lambda s: Polynomial([0.0]), 40.0, 0),
    "mean increment": (lambda s: Polynomial([s.task.train.U.mean()]), 30.0, 0),
    "constant that balances the mean": (lambda s: Polynomial([_balance(s.task)]), 25.0, 0),
    "huge": (lambda s: Polynomial([1e6]), 40.0, 10),
    "huge beyond squares": (lambda s: Polynomial([1e200]), 40.0, 10),
    "nan": (lambda s: lambda X: np.full_like(X, np.nan), 40.0, 10),
    "infinity": (lambda s: lambda X: np.full_like(X, np.inf), 40.0, 10),
    "nan where X is large": (lambda s: lambda X: np.where(X > 10.0, np.nan, s.linear.predict(X)), 40.0, 10),
    "blow-up": (lambda s: lambda X: X**3, 40.0, 10),
    "slow blow-up": (lambda s: Polynomial([0.0, 0.1]), 40.0, -1),
    "sign": (lambda s: Polynomial(-s.linear.coefficients), 80.0, 0),
    "ten times": (lambda s: Polynomial(10.0 * s.linear.coefficients), 20.0, -1),
    "increments shuffled in time": (lambda s: Shuffled(s.task.train.U), 30.0, 0),
    "test increments shuffled in time": (lambda s: Shuffled(s.task.test.U.reshape(-1, 8)), 30.0, 0),
    "white noise": (lambda s: Noisy(s.linear, 5.0 * float(s.task.test.U.std())), 5.0, -1),
}


def _balance(task: DAIncrement) -> float:
    """The constant with which <X dX/dt> = 0 on the backgrounds: F <X> + U <X> = <X²>, over a window."""
    X = task.train.X
    return float(np.mean(X**2) / np.mean(X) - task.regime.F) * task.track.window


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_stay_below_the_linear_correction(scored: SimpleNamespace, name: str, tmp_path: Path) -> None:
    make, margin, n_diverged = ATTACKS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the attacks overflow in their own code
        result = scored.task.evaluate(make(scored))
    gap = scored.honest.score.value - result.score.value
    said = f"{result.score.value:.2f} against {scored.honest.score.value:.2f}: {gap:.2f} points below"
    assert gap > margin, said
    a, b = result.score, scored.honest.score
    assert compare_paired(a.replicates, a.value, b.replicates, b.value).high < 0.0, said
    assert np.isfinite(a.replicates).all()
    assert result.failures.of == 10
    assert n_diverged in (-1, result.failures.diverged), result.failures
    if result.failures.diverged == 10:
        assert result.score.value == 0.0
        assert result.metrics["background_rmse"].value == scored.floor.metrics["background_rmse"].value
    for metric, value in result.metrics.items():
        assert not np.isnan(value.value), metric
    result.write(tmp_path / "result.json")
    assert Result.read(tmp_path / "result.json") == result


def test_zeros_are_the_floor_to_the_last_bit(scored: SimpleNamespace) -> None:
    result = scored.task.evaluate(Polynomial([0.0]))
    assert (result.score.value, result.score.low, result.score.high) == (0.0, 0.0, 0.0)
    assert result.predictions_digest == scored.floor.predictions_digest
    for name, value in scored.floor.metrics.items():
        assert result.metrics[name] == value


def test_the_increments_themselves_are_worth_little_without_the_order(scored: SimpleNamespace) -> None:
    """What helps in shuffled increments is their mean: they gain no more than the constant."""
    shuffled, mean = (
        scored.task.evaluate(model).score.value
        for model in (Shuffled(scored.task.train.U), Polynomial([scored.task.train.U.mean()]))
    )
    assert shuffled < mean + 3.0


# Unusable models.


class Raises:
    def predict(self, X: Array) -> Array:
        raise RuntimeError("broken")


class Late:
    """Fails in the middle of a cycle."""

    deterministic = True

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.n = 0

    def step(self, X: Array) -> Array:
        self.n += 1
        if self.n > 50:
            raise RuntimeError("broken")
        return np.zeros_like(X)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda X: X[:, :4], r"\(\d+, 8\)"),
        (lambda X: X.sum(axis=1), r"\(\d+, 8\)"),
        (lambda X: X.astype(complex), "complex"),
        (Polynomial, "class"),
        (Raises(), "broken"),
        (Late(), "broken"),
        (PolynomialRegressor(degree=1), "fit"),
        (object(), "object"),
        (PolynomialRegressor, "PolynomialRegressor"),
        (AssimilationSystem(Polynomial([0.0])), "ResolvedModel"),  # type: ignore[arg-type]
        (AssimilationSystem(ResolvedModel), "ResolvedModel"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_used_is_an_error(scored: SimpleNamespace, model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        scored.task.evaluate(model)


def test_a_model_of_another_ring_is_an_error(scored: SimpleNamespace) -> None:
    with pytest.raises(L96BenchError, match=r"40|points"):
        scored.task.evaluate(AssimilationSystem(ResolvedModel("da-k40")))
