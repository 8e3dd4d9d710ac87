"""What is wrong with a model without a word: the literature's sign, and random numbers of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from l96bench import AR1Regressor, LocalRegressor, ModelError, Polynomial, PolynomialRegressor
from l96bench.dynamics.ar1 import AR1Closure
from l96bench.errors import ModelWarning, SubmissionError
from l96bench.results.record import ModelInfo
from l96bench.submissions.export import export_equations, export_onnx, export_predictions
from l96bench.submissions.score import score_model
from l96bench.tasks.artifacts import Content
from l96bench.tasks.closure_task import sign_fault
from l96bench.tasks.da_increment import DAIncrement
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing
from l96bench.tasks.subgrid_forcing_memory import SubgridForcingMemory

Array = NDArray[np.float64]
LINE = Polynomial([-2.0, -0.5])
WILKS = [0.262, 1.45, -0.0121, -0.00713, 0.000296]
"""Wilks (2005), F = 20, doi:10.1256/qj.04.03: what is subtracted from dX/dt."""
INFO = ModelInfo(name="a", kind="b", inputs="X", command="c")


# The sign.


def tried(task: Any, content: Content) -> None:
    """What `check` does with a file on a miniature."""
    task.check_trial(content, task.evaluate_content(content, INFO))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equations", "onnx"])
@pytest.mark.parametrize("family", ["offline", "online", "memory"])
def test_a_published_closure_with_the_literatures_sign_is_told(
    family: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    task = request.getfixturevalue(family)
    for sign in (-1.0, 1.0):
        closure = Polynomial(sign * np.array(WILKS))
        value: Any = [closure.equation]
        if kind == "onnx":
            value = export_onnx(closure, tmp_path / "closure.onnx", 8).read_bytes()
        content = Content("closure", kind, value)
        if sign < 0.0:
            tried(task, content)
            continue
        with (
            pytest.warns(ModelWarning, match="U is of opposite sign"),
            pytest.raises(SubmissionError, match="negative"),
        ):
            tried(task, content)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        lambda X: 0.5 * X,
        lambda X: 2.0 * X + 3.0,
        AR1Closure(Polynomial([2.0, 0.5]), 0.9, 1.0, 0.05),
        torch.nn.Sequential(torch.nn.Identity()),
    ],
)
def test_a_wrong_sign_is_a_warning_in_python(model: Any, offline: SubgridForcing) -> None:
    with pytest.warns(ModelWarning, match=r"opposite sign.*its mean square error is .*, and that of its negative"):
        assert offline.score(model) < 0.0


@pytest.mark.slow
def test_predictions_of_the_wrong_sign_are_told_too(
    offline: SubgridForcing, miniature_registry: Path, tmp_path: Path
) -> None:
    path = export_predictions(tmp_path / "p.npz", offline, -LINE.predict(offline.test.X))
    with pytest.warns(ModelWarning, match="opposite sign"):
        score_model(str(path), offline.id)


def test_what_is_merely_bad_has_no_wrong_sign() -> None:
    truth = np.random.default_rng(0).normal(-3.0, 4.0, (500, 8))
    noise = np.random.default_rng(1).normal(0.0, 9.0, truth.shape)
    for U in (np.zeros_like(truth), noise, truth, 0.2 * truth, 3.0 * truth, -0.1 * truth, np.full_like(truth, np.inf)):
        assert sign_fault(U, truth) == ""
    for U in (-truth, -0.3 * truth, -1.8 * truth, -truth + 0.3 * noise):
        assert "opposite sign" in sign_fault(U, truth)


@pytest.mark.slow
def test_good_models_are_not_told_of_signs(offline: SubgridForcing, online: OnlineRollout) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for task in (offline, online):
            task.evaluate(PolynomialRegressor(2).fit(np.array(task.train.X), np.array(task.train.U)))


# Random numbers.


class Draws:
    """A predictor with random numbers of its own."""

    def __init__(self, size: float = 1.0) -> None:
        self.rng, self.size = np.random.default_rng(0), size

    def predict(self, X: Array) -> Array:
        return LINE.predict(X) + self.rng.normal(0.0, self.size, X.shape)


class DrawsAtItsStart(Draws):
    """A closure that says that it is deterministic."""

    deterministic = True

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.shift = self.rng.normal(0.0, self.size, (n_members, 8))

    def step(self, X: Array) -> Array:
        return LINE.predict(X) + self.shift


class UsesTheGivenOneAndSaysNot(DrawsAtItsStart):
    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.shift = rng.normal(0.0, self.size, (n_members, 8))


class HasItsOwnBesideTheGivenOne(DrawsAtItsStart):
    deterministic = False


def draws_from_the_global_state(X: Array) -> Array:
    return LINE.predict(X) + np.random.normal(0.0, 1.0, X.shape)  # noqa: NPY002


def drops_out(X: Array) -> Any:
    return -0.5 * torch.nn.functional.dropout(torch.from_numpy(X), 0.3, training=True)


class OfMemory(Draws):
    """A model along trajectories: with a closure, and noise of its own in predict."""

    def closure(self, dt: float = 0.01) -> Any:
        return LINE


HIDDEN: dict[str, Callable[[], Any]] = {
    "predictor": Draws,
    "small noise": lambda: Draws(0.01),
    "at its start": DrawsAtItsStart,
    "says that it is deterministic": UsesTheGivenOneAndSaysNot,
    "not the given generator": HasItsOwnBesideTheGivenOne,
    "global state": lambda: draws_from_the_global_state,
    "dropout": lambda: drops_out,
    "a function with a generator": lambda: Draws().predict,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HIDDEN)
def test_random_numbers_of_its_own_are_found_online(name: str, online: OnlineRollout) -> None:
    with pytest.raises(ModelError, match="draws random numbers of its own"):
        online.evaluate(HIDDEN[name](), progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["predictor", "global state", "dropout", "a function with a generator"])
def test_random_numbers_of_its_own_are_found_offline(name: str, offline: SubgridForcing) -> None:
    with pytest.raises(ModelError, match="random numbers of its own"):
        offline.evaluate(HIDDEN[name]())


@pytest.mark.slow
def test_random_numbers_of_its_own_are_found_along_trajectories(memory: SubgridForcingMemory) -> None:
    with pytest.raises(ModelError, match="draws random numbers of its own"):
        memory.evaluate(OfMemory(1e-2))


@pytest.mark.slow
def test_random_numbers_of_its_own_are_found_in_assimilation() -> None:
    task = DAIncrement("dense").miniature()
    with pytest.raises(ModelError, match="draws random numbers of its own"):
        task.evaluate(lambda X: -0.02 * Draws().predict(X) + np.random.normal(0.0, 1e-2, X.shape))  # noqa: NPY002


@pytest.fixture
def trained(online: OnlineRollout) -> tuple[Array, Array]:
    return np.array(online.train.X), np.array(online.train.U)


@pytest.mark.slow
def test_declared_noise_is_welcome(online: OnlineRollout, trained: tuple[Array, Array]) -> None:
    for model in (AR1Regressor(), AR1Regressor(LocalRegressor()), LocalRegressor(lags=(0.05,))):
        online.evaluate(model.fit(*trained), progress=False)


@pytest.mark.slow
def test_equations_of_the_wrong_sign_are_told_by_check(
    miniature_registry: Path, in_process: None, tmp_path: Path
) -> None:
    from l96bench.submissions.folder import check_folder
    from tests.examples import filled_example

    filled_example(tmp_path / "mine", "online-rollout")
    for text, wrong in ((f"-({'+'.join(f'{c}*X[k]**{i}' for i, c in enumerate(WILKS))})", 0), ("1.45*X[k]", 1)):
        export_equations([f"U[k] = {text}"], tmp_path / "mine" / "equations.yaml")
        found = check_folder(tmp_path / "mine")
        assert len(found.faults) == wrong
        assert all("opposite sign" in each for each in found.faults)
