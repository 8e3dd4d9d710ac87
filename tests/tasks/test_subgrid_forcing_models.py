"""The offline family and its models: what they are shown, what they may return, and what they may remember."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import ModelError
from l96bench.estimators.regressors import LocalRegressor, PolynomialRegressor
from l96bench.tasks.subgrid_forcing import SubgridForcing
from l96bench.tasks.subgrid_forcing_memory import SubgridForcingMemory

Array = NDArray[np.float64]


class Recorder:
    """A model that keeps every batch of states that it is asked about, and spoils it."""

    def __init__(self) -> None:
        self.batches: list[Array] = []

    def predict(self, X: Array) -> Array:
        self.batches.append(X.copy())
        X[:] = 0.0
        return np.zeros(X.shape)


class Returns:
    def __init__(self, make: Callable[[Array], Any]) -> None:
        self.make = make

    def predict(self, X: Array) -> Any:
        return self.make(X)


# What a model sees.


@pytest.mark.slow
def test_rows_come_shuffled_and_as_copies(offline: SubgridForcing) -> None:
    model = Recorder()
    first = offline.evaluate(model)
    rows = np.concatenate(model.batches[: _batches(offline)])
    truth = offline.test.X.reshape(-1, 8)
    assert rows.shape == truth.shape
    place = {row.tobytes(): i for i, row in enumerate(truth)}
    order = np.array([place[row.tobytes()] for row in rows])
    np.testing.assert_array_equal(np.sort(order), np.arange(len(truth)))
    # In a random order, one pair of neighbours is expected; in the order of time, all are.
    assert np.sum(np.abs(np.diff(order)) == 1) <= 6
    again = Recorder()
    assert offline.evaluate(again).score == first.score
    assert all((a == b).all() for a, b in zip(model.batches, again.batches, strict=False))


def _batches(task: SubgridForcing) -> int:
    return -(-task.test.X[..., 0].size // 4000)


def test_models_with_memory_are_refused_without_it(offline: SubgridForcing) -> None:
    """States in random order have no past."""
    lagged = LocalRegressor(LinearRegression(), lags=(0.05,)).fit(offline.train.X, offline.train.U)
    with pytest.raises(ModelError, match=r"one with a memory.*try subgrid-forcing-memory"):
        offline.score(lagged)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["estimator", "function", "closure", "predictor"])
def test_every_kind_of_model_gets_the_same_score(offline: SubgridForcing, kind: str) -> None:
    linear = PolynomialRegressor(degree=1).fit(offline.train.X, offline.train.U)

    class Stepper:
        deterministic = True

        def start(self, n_members: int, rng: np.random.Generator) -> None:
            self.n = n_members

        def step(self, X: Array) -> Array:
            assert len(X) == self.n
            return linear.predict(X)

    class Predictor:
        def predict(self, X: Array) -> list[list[float]]:
            return linear.predict(X).tolist()

    models: dict[str, Any] = {"estimator": linear, "function": linear.predict, "closure": Stepper()}
    result = offline.evaluate(models.get(kind, Predictor()))
    expected = offline.evaluate(linear)
    assert result.score.value == pytest.approx(expected.score.value, abs=1e-9)
    assert "crps" not in result.metrics


# What cannot be scored, and what is counted.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_count_as_the_climatological_mean(
    offline: SubgridForcing, quartic: Polynomial, value: float
) -> None:
    def broken(X: Array, instead: float) -> Array:
        return np.where(X > 6.0, instead, quartic.predict(X))

    result = offline.evaluate(lambda X: broken(X, value))
    by_hand = offline.evaluate(lambda X: broken(X, float(offline.train.U.mean())))
    assert result.failures.non_finite == np.sum(offline.test.X > 6.0) > 100
    assert result.score == by_hand.score
    assert result.metrics == by_hand.metrics
    assert result.predictions_digest == by_hand.predictions_digest
    assert by_hand.failures.non_finite == 0


class NotFitted(PolynomialRegressor):
    pass


class Raises:
    def predict(self, X: Array) -> Array:
        raise KeyError("no such thing")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Returns(lambda X: X[:, 0]), r"Returns\.predict must return U .* of shape \(1200, 8\).*got shape \(1200,\)"),
        (Returns(lambda X: X[:, :1]), r"got shape \(1200, 1\).*LocalRegressor"),
        (Returns(lambda X: X.T), r"got shape \(8, 1200\).*transpose"),
        (Returns(lambda X: X[1:]), r"got shape \(1199, 8\)"),
        (Returns(lambda X: X + 0j), r"dtype complex128"),
        (Returns(lambda X: X.astype(str)), r"dtype <U"),
        (Returns(lambda X: X.astype(object)), r"dtype object"),
        (Returns(lambda X: X > 0), r"dtype bool"),
        (Returns(lambda X: None), r"got a NoneType"),
        (Returns(lambda X: "U"), r"got a str"),
        (Raises(), r"Raises\.predict raised KeyError: 'no such thing' for X of shape \(1200, 8\)"),
        (lambda X: X @ np.ones(3), r"raised ValueError"),
        (lambda X: X[0], r"must return U .*got shape \(8,\)"),
        (NotFitted(), r"Expected a fitted model, got a NotFitted"),
        (PolynomialRegressor, r"got the class PolynomialRegressor\. Try an instance"),
        (3, r"Expected an object with predict.*got an int"),
        (None, r"got a NoneType"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_used_says_what_was_expected_and_what_came(
    offline: SubgridForcing, memory: SubgridForcingMemory, model: Any, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        offline.evaluate(model)
    with pytest.raises(ModelError):
        memory.evaluate(model)


def test_enormous_predictions_have_a_finite_score(offline: SubgridForcing) -> None:
    result = offline.evaluate(lambda X: np.full_like(X, 1e300))
    assert -2e4 < result.score.value < -5e3  # every value 10 std from the mean: 100 (1 - about 10**2)
    assert result.failures.non_finite == 0
    assert result.failures.diverged == result.failures.of


# Models that draw members of their own.


def test_crps_is_that_of_the_members_that_were_drawn(offline: SubgridForcing) -> None:
    class Sampler(Recorder):
        def sample(self, X: Array, n_members: int, rng: np.random.Generator) -> Array:
            self.rows = np.concatenate([getattr(self, "rows", X[:0]), self.batches[-1]])
            draws = rng.normal(-2.0, 4.0, (n_members, *X.shape))
            self.draws = np.concatenate([getattr(self, "draws", draws[:, :0]), draws], axis=1)
            return draws

    model = Sampler()
    metrics = offline.evaluate(model).metrics
    n = offline.test.X[..., 0].size
    place = {row.tobytes(): i for i, row in enumerate(offline.test.X.reshape(-1, 8))}
    truth = offline.test.U.reshape(-1, 8)[[place[row.tobytes()] for row in model.rows[:n]]]
    draws = model.draws[:, :n]
    pairs = sum(np.abs(draws - member).mean() for member in draws) / len(draws)
    assert metrics["crps"].value == pytest.approx(np.abs(draws - truth).mean() - pairs / 2, abs=1e-9)
    spread = np.sqrt(21 / 20 * draws.var(axis=0, ddof=1).mean())
    skill = np.sqrt(np.mean((draws.mean(axis=0) - truth) ** 2))
    assert metrics["spread_skill"].value == pytest.approx(spread / skill, rel=1e-9)


def test_members_that_are_not_finite_are_counted(offline: SubgridForcing) -> None:
    class Sampler(Returns):
        def sample(self, X: Array, n_members: int, rng: np.random.Generator) -> Array:
            draws = np.repeat(self.make(X)[None], n_members, axis=0)
            draws[3] = np.where(X > 6.0, np.nan, draws[3])
            return draws

    result = offline.evaluate(Sampler(lambda X: -X))
    assert result.failures.non_finite == np.sum(offline.test.X > 6.0)
    assert result.score == offline.evaluate(Returns(lambda X: -X)).score


def test_samples_of_the_wrong_shape_are_refused(offline: SubgridForcing) -> None:
    class Sampler(Returns):
        def sample(self, X: Array, n_members: int, rng: np.random.Generator) -> Array:
            return X

    with pytest.raises(ModelError, match=r"Sampler\.sample must return U .* \(20, 1200, 8\).*got shape \(1200, 8\)"):
        offline.evaluate(Sampler(lambda X: X))


# Memory.


@pytest.mark.slow
def test_lags_are_allowed_and_worth_something(memory: SubgridForcingMemory) -> None:
    lagged = LocalRegressor(LinearRegression(), lags=(0.05, 0.1))
    plain = LocalRegressor(LinearRegression())
    for model in (lagged, plain):
        memory.fit(model)
    assert memory.score(lagged) > memory.score(plain) + 3.0


class WithClosure(Recorder):
    """An estimator whose predictions along a trajectory a function makes, and whose closure is a line."""

    def __init__(self, make: Callable[[Array], Array]) -> None:
        super().__init__()
        self.make = make

    def predict(self, X: Array) -> Array:
        self.batches.append(X.copy())
        return self.make(X)

    def closure(self, dt: float = 0.01) -> Polynomial:
        return Polynomial([-2.0, -0.5])


def test_trajectories_come_whole_and_in_time_order(memory: SubgridForcingMemory) -> None:
    model = WithClosure(np.zeros_like)
    memory.evaluate(model)
    np.testing.assert_array_equal(np.stack(model.batches[:2]), memory.test.X)
    np.testing.assert_array_equal(np.stack(model.batches[2:4]), memory.shift.X)


def test_without_a_closure_a_model_has_no_memory(memory: SubgridForcingMemory) -> None:
    for peek in (lambda X: np.roll(X, -1, axis=0), lambda X: np.roll(X, 1, axis=0), lambda X: X - X.mean(axis=0)):
        with pytest.raises(ModelError, match="expected the same U for the same state"):
            memory.evaluate(Returns(peek))
    assert memory.score(Returns(lambda X: -X)) == pytest.approx(memory.score(Polynomial([0.0, -1.0])))


def test_predictions_that_are_better_than_the_closure_are_refused(memory: SubgridForcingMemory) -> None:
    """By the rows before and after, which no closure sees."""
    features = lambda X: np.concatenate([np.roll(X, shift, axis=0) for shift in (-1, 0, 1)], axis=1)  # noqa: E731
    fitted = LinearRegression().fit(features(memory.train.X), memory.train.U)
    with pytest.raises(ModelError, match=r"expected WithClosure.predict to use no later states"):
        memory.evaluate(WithClosure(lambda X: fitted.predict(features(X))))
    SMOOTHERS[:] = [lambda X: fitted.predict(features(X))]
    with pytest.raises(ModelError, match=r"use no later states.*and that of the closure"):
        memory.evaluate(WithClosure(recalls))


SMOOTHERS: list[Callable[[Array], Array]] = []
KNOWN: dict[bytes, Array] = {}


def recalls(X: Array) -> Array:
    """Predictions from later states; of a state that was seen before, those of then."""
    return np.stack([KNOWN.setdefault(x.tobytes(), u) for x, u in zip(X, SMOOTHERS[0](X), strict=True)])


class Cancels:
    """A closure whose noise is opposite in consecutive rows, so that the mean of its draws is better than they seem."""

    deterministic = False

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Nothing is kept."""

    def step(self, X: Array) -> Array:
        return -2.0 - 0.5 * X + 10.0 * (-1.0) ** np.arange(len(X))[:, None]


def test_later_states_are_found_behind_noise_and_within_the_slack(memory: SubgridForcingMemory) -> None:
    class Noisy(WithClosure):
        def closure(self, dt: float = 0.01) -> Any:
            return Cancels()

    for share in (1.0, 0.01):
        line = lambda X, share=share: -2.0 - 0.5 * ((1.0 - share) * X + share * np.roll(X, -1, axis=0))  # noqa: E731
        for model in (Noisy(line), WithClosure(line)):
            with pytest.raises(ModelError, match=r"but U changes by up to .* where nothing but later states do"):
                memory.evaluate(model)


@pytest.mark.parametrize("causal", [lambda X: X.astype(np.float32), lambda X: np.full(X.shape, np.nan)])
def test_a_model_of_the_present_is_scored(memory: SubgridForcingMemory, causal: Callable[[Array], Array]) -> None:
    for model in (Returns(causal), WithClosure(causal)):
        assert np.isfinite(memory.evaluate(model).score.value)
