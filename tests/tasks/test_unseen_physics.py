"""`unseen-physics`: its systems, what closures are told and given, the score, and files with h and c."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import l96bench
from l96bench.board.flags import doubts
from l96bench.data.systems import BEYOND, BOX, SYSTEM_TRACKS, TRAINING, draw_systems, system_words
from l96bench.dynamics.polynomial import Polynomial, fitted_coefficients
from l96bench.errors import L96BenchError, ModelError, SubmissionError, UnknownIdError
from l96bench.graphs.onnx_graph import Graph
from l96bench.regimes import Regime, seed_word
from l96bench.results.record import ModelInfo
from l96bench.results.score import Value
from l96bench.tasks.artifacts import Content
from l96bench.tasks.checks import check_task
from l96bench.tasks.parts import Work
from l96bench.tasks.registry import make_task

Array = NDArray[np.float64]
each_track = pytest.mark.parametrize("track", SYSTEM_TRACKS)
INFO = ModelInfo(name="a", kind="b", inputs="X", command="c")


def mini(track: str = "interpolate") -> Any:
    return make_task(f"unseen-physics/{track}-v1").miniature()


class Nearest:
    """The quartic of the training system with the nearest h."""

    def fit(self, systems: list[Any]) -> None:
        self.learned = {each.regime.h: fitted_coefficients(each.X, each.U, 4) for each in systems}

    def closure(self, dt: float, regime: Regime) -> Polynomial:
        return Polynomial(self.learned[min(self.learned, key=lambda h: abs(h - regime.h))])


class Wants:
    """An informed closure that does something with what it is told, or when it is made."""

    def __init__(self, what: str) -> None:
        self.what = what

    def closure(self, dt: float, regime: Regime) -> Any:
        if self.what == "truth":
            l96bench.simulate(regime, 1.0)
        if self.what == "data":
            _ = make_task("online-rollout/wilks-f20-v2").train.X
        if self.what == "id" and regime.id != "unseen":
            raise ValueError(f"it is told the id {regime.id}")
        if self.what == "fault":
            raise ValueError("my own fault")
        return Polynomial([0.0, -0.3])


class Remembers:
    """A blind closure that keeps what it is given."""

    deterministic = True

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.past: Array | None = None

    def remember(self, past: Array) -> None:
        self.past = past

    def step(self, X: Array) -> Array:
        assert self.past is not None
        return -0.3 * X + 0.0 * self.past.mean()


class Watches(Remembers):
    """A closure that also keeps all pasts in `GIVEN`."""

    def remember(self, past: Array) -> None:
        super().remember(past)
        GIVEN.append(past)


GIVEN: list[Array] = []


@pytest.mark.slow
@each_track
def test_the_contract_of_every_family(track: str) -> None:
    check_task(make_task(f"unseen-physics/{track}-v1"))


def places(system: Regime) -> list[float]:
    return [(getattr(system, name) - low) / (high - low) for name, (low, high) in BOX.items()]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 3, (4, 5)])
def test_where_the_systems_are(seed: Any) -> None:
    for kind in (TRAINING, "interpolate"):
        for system in draw_systems(kind, 4, seed):
            assert all(-1e-3 <= place <= 1.0 + 1e-3 for place in places(system))
            assert (system.K, system.J, system.b) == (8, 32, 10.0)
    least, most = BEYOND
    for system in draw_systems("extrapolate", 6, seed):
        beyond = [max(-place, place - 1.0) for place in places(system)]
        outside = [each for each in beyond if each > 1e-3]
        assert len(outside) in (1, 2)
        assert all(least - 1e-3 <= each <= most + 1e-3 for each in outside)


@pytest.mark.slow
def test_systems_are_turbulent_and_another_seed_draws_others() -> None:
    drawn = [system for seed in (None, 0, 1) for system in draw_systems("extrapolate", 4, seed)]
    assert len({(each.F, each.h, each.c) for each in drawn}) == len(drawn)
    for system in drawn[:4]:
        X = l96bench.simulate(system, 100.0, seed=7, spin_up=20.0, store_fast=False).X[:, 0]
        lagged = [abs(np.corrcoef(X[:-lag], X[lag:])[0, 1]) for lag in range(200, 401, 20)]
        assert np.mean(lagged) < 0.2
    with pytest.raises(UnknownIdError, match="interpolate"):
        draw_systems("interpolat", 1)


def test_training_data_are_the_truth_of_the_systems() -> None:
    task = mini()
    for i, samples in enumerate(task.train):
        words = (*system_words(TRAINING), i, seed_word("train"))
        run = l96bench.simulate(samples.regime, 30.0, seed=words, store_fast=False, progress=False)
        assert np.array_equal(samples.X, run.X)
        assert np.array_equal(samples.U, run.U)
    assert task.train[0].regime == mini("extrapolate").train[0].regime
    assert [each.id for each in task.systems] == ["interpolate-0", "interpolate-1"]


@each_track
def test_the_past_has_independent_errors_of_size_one(track: str) -> None:
    test = mini(track).tests[0]
    for key, split in (("", "climate"), ("_shift", "climate-shift")):
        starts = test.starts(key)
        n = len(starts.past)
        X = test.arrays(split)["X"]
        truth = np.concatenate([X[:, first - n : first] for first in test.cases.starts], axis=0)
        order = np.argsort([case % len(test.cases.starts) for case in range(len(starts.X))], kind="stable")
        errors = starts.past[:, order].swapaxes(0, 1) - truth
        assert abs(errors.mean()) < 4 / np.sqrt(errors.size)
        assert abs(errors.std() - 1.0) < 4 / np.sqrt(2 * errors.size)
        assert np.array_equal(starts.X, test.cases.initial(X))


@pytest.mark.slow
def test_restarts_are_given_errors_too() -> None:
    """An exact past would tell h and c, which a noisy one hides."""
    GIVEN.clear()
    mini().tests[0].assess(Watches(), Work())
    assert len(GIVEN) > 4
    for past in GIVEN:
        jumps = np.diff(past, n=2, axis=0)
        assert jumps.std() > 2.0  # errors alone make sqrt(6)


@pytest.mark.slow
def test_the_score_is_the_mean_over_systems() -> None:
    task, model = mini(), Nearest()
    assert task.fit(model) >= 0.0
    result = task.evaluate(model, INFO)
    own = [test.assess(test.as_run(model.closure(0.01, test.system)), Work()).score for test in task.tests]
    assert result.series["system_score"] == pytest.approx(own, abs=1e-4)  # six digits are kept
    assert result.score.value == pytest.approx(np.mean(own))
    assert result.metrics["worst_system"].value == pytest.approx(min(own), abs=1e-4)
    assert result.metrics["informed"].value == 1.0
    low, high = task.possible_scores(result)
    assert low <= result.score.value <= high
    with pytest.raises(ValueError, match="system_score"):
        task.possible_scores(result.model_copy(update={"series": result.series | {"system_score": [1.0]}}))


@pytest.mark.slow
def test_what_an_informed_closure_is_told() -> None:
    task = mini()
    told: list[Regime] = []

    class Told:
        def closure(self, dt: float, regime: Regime) -> Polynomial:
            told.append(regime)
            return Polynomial([0.0])

    run = task.as_run(Told())
    for system in task.systems:
        run.closure(system)
    assert [(each.F, each.h, each.c) for each in told] == [(each.F, each.h, each.c) for each in task.systems]
    assert {each.id for each in told} == {"unseen"}
    assert task.evaluate(Wants("id"), INFO).score.value >= 0.0


@pytest.mark.slow
@pytest.mark.parametrize("what", ["truth", "data"])
def test_a_closure_cannot_reach_the_truth(what: str) -> None:
    with pytest.raises(ModelError, match="neither be simulated nor read"):
        mini().evaluate(Wants(what), INFO)


@pytest.mark.slow
def test_faults_of_models_are_theirs() -> None:
    with pytest.raises(ModelError, match="my own fault"):
        mini().evaluate(Wants("fault"), INFO)

    class Fits:
        def fit(self, systems: list[Any]) -> None:
            l96bench.simulate(systems[0].regime, 1.0)

    with pytest.raises(ModelError, match="neither be simulated nor read"):
        mini().fit(Fits())


@pytest.mark.slow
def test_who_knows_the_registered_systems_falls_on_new_ones() -> None:
    """A closure that was fitted to the truth of the test systems, and is zero for any other."""
    task = mini()
    known = {}
    for system in task.systems:
        run = l96bench.simulate(system, 100.0, seed=11, store_fast=False, progress=False)
        known[system.F] = fitted_coefficients(run.X, run.U, 4)

    class Knows:
        def closure(self, dt: float, regime: Regime) -> Polynomial:
            return Polynomial(known.get(regime.F, np.zeros(1)))

    result = task.evaluate(Knows(), INFO)
    fall = result.metrics["new_systems_difference"]
    assert result.score.value - result.metrics["new_systems_score"].value == pytest.approx(fall.value)
    assert result.metrics["new_systems_score"].value < 1.0 < 60.0 < result.score.value
    certain = fall.model_copy(update={"low": 1.0})
    row = result.model_copy(update={"metrics": result.metrics | {"new_systems_difference": certain}})
    assert "falls" in {flag.kind for flag in doubts(row, None)}
    honest = result.model_copy(update={"metrics": result.metrics | {"new_systems_difference": Value(value=1.0, low=-1.0, high=3.0)}})  # fmt: skip # noqa: E501
    assert "falls" not in {flag.kind for flag in doubts(honest, None)}


def told_file(shape: tuple[int, ...] = (2,)) -> bytes:
    """An ONNX file of U = - h^2 c X / 20, with h and c as the input ``parameters``."""
    from onnx import TensorProto, helper

    graph = Graph()
    told = graph.reshape("parameters", 2)
    h, c = (graph.gather(told, np.array([i]), axis=0) for i in (0, 1))
    factor = graph.node("Mul", graph.node("Mul", graph.node("Mul", h, h), c), graph.constant([-0.05], np.float64))
    data = graph.model(graph.node("Mul", "X", factor), 8)
    data.graph.input.append(helper.make_tensor_value_info("parameters", TensorProto.DOUBLE, shape))
    return bytes(data.SerializeToString())


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2,), (1, 2)])
def test_a_file_with_parameters_is_an_informed_closure(shape: tuple[int, ...]) -> None:
    task = mini()

    class Same:
        def closure(self, dt: float, regime: Regime) -> Polynomial:
            return Polynomial([0.0, -0.05 * (regime.h * regime.h * regime.c)])

    content = Content("closure.onnx", "onnx", told_file(shape))
    task.check_content(content)
    result, same = task.evaluate_content(content, INFO), task.evaluate(Same(), INFO)
    assert result.metrics["informed"].value == 1.0
    assert result.series["system_score"] == pytest.approx(same.series["system_score"], abs=0.2)
    assert task.evaluate_content(content, INFO).predictions_digest == result.predictions_digest
    fresh = task.fresh(5)
    assert [each.F for each in fresh.systems] != [each.F for each in task.systems]
    assert 0.0 <= fresh.evaluate_content(content, INFO).score.value <= 100.0


def test_files_with_other_parameters_are_refused() -> None:
    for shape in ((3,), (2, 2), ()):
        with pytest.raises(SubmissionError, match="'parameters' to be float32 or float64 of shape"):
            mini().read_model(Content("closure.onnx", "onnx", told_file(shape)))
    with pytest.raises(SubmissionError, match="parameters"):
        make_task("online-rollout/wilks-f20-v2").miniature().read_model(Content("c.onnx", "onnx", told_file()))


@pytest.mark.slow
def test_blind_closures_and_their_files() -> None:
    task = mini()
    result = task.evaluate(Remembers(), INFO)
    assert result.metrics["informed"].value == 0.0
    content = task.export(Polynomial([0.1, -0.3]))
    filed, own = task.evaluate_content(content, INFO), task.evaluate(Polynomial([0.1, -0.3]), INFO)
    assert filed.predictions_digest == own.predictions_digest
    with pytest.raises(L96BenchError, match="sign"):
        task.check_trial(Polynomial([-0.1, 0.3]), own)


def test_a_budget_is_a_number_of_systems() -> None:
    seen: list[int] = []

    class Counts:
        def fit(self, systems: list[Any]) -> None:
            self.n = len(systems)

    for budget in (None, 2):
        model = Counts()
        mini().fit(model, budget)
        seen.append(model.n)
    assert seen == [3, 2]
    assert replace(mini(), n_training=2).train[0].X.shape == (600, 8)
