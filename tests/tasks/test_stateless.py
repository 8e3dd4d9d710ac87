"""A model of one state at a time has no memory, sees no other states and draws no random numbers of its own."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from l96bench import LocalRegressor, ModelError, Polynomial, PolynomialRegressor
from l96bench.dynamics.predictions import FreshCopy
from l96bench.tasks.registry import make_task
from l96bench.tasks.subgrid_forcing import SubgridForcing

Array = NDArray[np.float64]
LINE = Polynomial([-2.0, -0.5])
everything: list[Array] = []


class Remembers:
    """Adds the mean of all states that it has seen."""

    def __init__(self) -> None:
        self.seen: list[Array] = []

    def predict(self, X: Array) -> Array:
        self.seen.append(X)
        return LINE.predict(X) + 0.1 * np.concatenate(self.seen).mean(axis=0)


class RemembersAnswers(Remembers):
    """Answers a state as it did the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[bytes, Array] = {}

    def predict(self, X: Array) -> Array:
        U = super().predict(X)
        return np.stack([self.known.setdefault(x.tobytes(), u) for x, u in zip(X, U, strict=True)])


class RemembersInTheModule:
    def predict(self, X: Array) -> Array:
        everything.append(X)
        return LINE.predict(X) + 0.1 * np.concatenate(everything).mean(axis=0)


class RemembersInAFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def predict(self, X: Array) -> Array:
        with self.path.open("ab") as file:
            file.write(X.tobytes())
        return LINE.predict(X) + 0.01 * self.path.stat().st_size / X.nbytes


class StepsAmongOthers:
    """A stochastic closure that moves each state towards the mean of all."""

    deterministic = False

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.noise = rng.normal(size=(n_members, 8))

    def step(self, X: Array) -> Array:
        return LINE.predict(X) + self.noise + 0.1 * (X.mean(axis=0) - X)


def sees_others(X: Array) -> Array:
    return LINE.predict(X) + 0.1 * np.roll(X, 1, axis=0)


def counts(X: Array) -> Array:
    return LINE.predict(X) + 0.1 * (X.sum() > 0) * np.sign(X.mean(axis=0) - 2.5) * (X.max() - X)


def draws(X: Array) -> Array:
    return LINE.predict(X) + np.random.default_rng().normal(0.0, 0.1, X.shape)


@pytest.mark.parametrize("model", [Remembers(), RemembersAnswers(), StepsAmongOthers(), sees_others, counts, draws])
def test_what_is_not_stateless_is_refused(offline: SubgridForcing, model: Any) -> None:
    everything.clear()
    with pytest.raises(ModelError, match="expected the same U for the same state, whatever other states come with it"):
        offline.evaluate(model)


def test_a_method_that_is_replaced_in_one_object_is_not_taken_for_its_class(offline: SubgridForcing) -> None:
    """A polynomial keeps nothing; an object whose own `predict` is another function may keep anything."""
    model = PolynomialRegressor(degree=1).fit(offline.train.X, offline.train.U)
    honest = offline.score(model)
    model.predict = RemembersAnswers().predict
    with pytest.raises(ModelError, match="expected the same U for the same state"):
        offline.evaluate(model)
    del model.predict
    assert offline.score(model) == honest


class Noisy:
    """A stochastic closure without memory."""

    deterministic = False

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.noise = rng.normal(size=(n_members, 8))

    def step(self, X: Array) -> Array:
        return LINE.predict(X) + self.noise


@pytest.mark.slow
def test_what_is_stateless_is_scored(offline: SubgridForcing) -> None:
    forest = LocalRegressor(RandomForestRegressor(3, max_depth=4, random_state=0)).fit(offline.train.X, offline.train.U)
    for model in (LINE, LINE.predict, forest, Noisy(), lambda X: np.where(X > 5.0, np.nan, -X)):
        assert np.isfinite(offline.score(model))


@pytest.mark.real_data
def test_the_copy_has_a_process_of_its_own(tmp_path: Path) -> None:
    """What a model keeps outside of itself does not reach the copy; what the copy keeps in a file is noticed too."""
    task = make_task("subgrid-forcing/wilks-f20-v1")
    for model in (RemembersInTheModule(), RemembersInAFile(tmp_path / "states"), RemembersAnswers()):
        with pytest.raises(ModelError, match="expected the same U for the same state"):
            task.evaluate(model)
    assert task.score(LINE.predict) == task.score(LINE)


def pid(model: Any, X: Array) -> Array:
    return np.array([os.getpid()])


def ends(model: Any, X: Array) -> Array:
    os._exit(3)


@pytest.mark.slow
def test_a_copy_answers_as_long_as_its_context() -> None:
    X = np.ones((2, 8))
    with FreshCopy(LINE) as copy:
        first, second = copy.ask(pid, X), copy.ask(pid, X)
        assert first == second != os.getpid()
        np.testing.assert_array_equal(copy.ask(lambda model, X: model.predict(X), X), LINE.predict(X))
    with pytest.raises(ProcessLookupError):
        os.kill(int(first[0]), 0)
    with FreshCopy(LINE) as copy, pytest.raises(ModelError, match="ended with status 3"):
        copy.ask(ends, X)


def test_a_model_that_cannot_be_pickled_says_so(offline: SubgridForcing) -> None:
    lock = threading.Lock()

    def locked(X: Array) -> Array:
        with lock:
            return -X

    with pytest.raises(
        ModelError, match="expected a model that can be pickled; pickling raised TypeError: cannot pickle"
    ):
        offline.evaluate(locked)
