"""Files that are run as described: closures and filters of the library, said in plain data, without code."""

from __future__ import annotations

import copy
import hashlib
import inspect
import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LinearRegression

import l96bench
from l96bench import assimilation
from l96bench.assimilation import (
    ETKF,
    LETKF,
    AugmentedModel,
    EnKF,
    HybridEnKF,
    NoAssimilation,
    OptimalInterpolation,
    ResolvedModel,
    ThreeDVar,
    TruthModel,
    static_covariance,
)
from l96bench.assimilation.filters import BatchFilter
from l96bench.errors import L96BenchError, ModelError, SubmissionError
from l96bench.results.record import ModelInfo
from l96bench.submissions.artifacts import Artifact
from l96bench.tasks.artifacts import EQUATIONS, Content
from l96bench.tasks.da_increment import DAIncrement
from l96bench.tasks.described import FILTERS, NOTHING_SAID, Assimilation, Described, describe_filter

K = 8
RNG = np.random.default_rng(0)
STATES = RNG.normal(2.5, 3.5, (200, K))
HOMOGENEOUS, ANY = (static_covariance(STATES, 0.02, homogeneous=each) for each in (True, False))
INFO = ModelInfo(name="a", kind="b", inputs="X", command="c")
MADE: list[Any] = [
    ETKF(),
    ETKF(rotate=True),
    LETKF(3.0),
    LETKF(0.1, rotate=True),
    EnKF(),
    EnKF(7.3),
    HybridEnKF(HOMOGENEOUS, 0.5),
    HybridEnKF(ANY, 1.0, 2.0),
    OptimalInterpolation(HOMOGENEOUS),
    OptimalInterpolation(ANY, mean=2.5),
    OptimalInterpolation(ANY, mean=np.arange(8.0)),
    ThreeDVar(ANY, tolerance=1e-5),
    NoAssimilation(),
]


def said(**fields: Any) -> Described:
    return Described(Assimilation.model_validate(fields))


def written(texts: list[str], **fields: Any) -> Content:
    return Content("closure.yaml", EQUATIONS, texts, said(**fields) if fields else NOTHING_SAID)


def test_every_filter_can_be_said_and_comes_back_with_the_same_bits() -> None:
    public = [getattr(assimilation, name) for name in assimilation.__all__]
    library = {each for each in public if inspect.isclass(each) and issubclass(each, BatchFilter)}
    assert {type(each) for each in MADE} == set(FILTERS.values()) == library
    for filter in MADE:
        told = describe_filter(filter)
        again = type(told).model_validate_json(told.model_dump_json(exclude_unset=True)).made(K, STATES)
        assert type(again) is type(filter)
        for name in inspect.signature(type(filter)).parameters:
            assert_array_equal(getattr(again, name), getattr(filter, name))
        described = said(filter=told.model_dump(exclude_unset=True))
        assert pickle.loads(pickle.dumps(described)) == copy.deepcopy(described) == described
        assert len(str(described)) < 200


def test_a_homogeneous_covariance_is_said_by_its_first_row() -> None:
    assert describe_filter(ThreeDVar(HOMOGENEOUS)).model_dump()["covariance"] == tuple(HOMOGENEOUS[0].tolist())
    assert len(describe_filter(ThreeDVar(ANY)).model_dump()["covariance"][0]) == K


def test_a_covariance_is_estimated_as_the_library_does_it() -> None:
    told = said(filter={"name": "HybridEnKF", "covariance": {"scale": 0.02}, "weight": 0.5}).assimilation
    assert told is not None
    assert told.filter is not None
    made: Any = told.filter.made(K, STATES)
    assert_array_equal(made.covariance, HOMOGENEOUS)
    assert (made.weight, made.radius) == (0.5, math.inf)
    assert (
        str(told)
        == "model of increments in HybridEnKF (covariance estimated with scale 0.02 homogeneous true, weight 0.5)"
    )


class Mine(LETKF):
    """A filter of one's own, which may do anything."""


@pytest.mark.parametrize(
    ("filter", "reason"),
    [
        (Mine(3.0), "expected a filter of l96bench.assimilation .*, got Mine"),
        (LETKF(math.inf), "no file can say this: radius"),
        (EnKF(1e9), "no file can say this: radius"),
    ],
)
def test_other_filters_cannot_be_said(filter: Any, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        describe_filter(filter)


@pytest.mark.parametrize(
    ("filter", "reason"),
    [
        ({"name": "ThreeDVar", "covariance": [1.0, 0.5, 0.5]}, "expected 8 numbers in a row"),
        ({"name": "ThreeDVar", "covariance": [[1.0, 0.0], [0.0, 1.0]]}, "expected 8 numbers in a row"),
        ({"name": "OptimalInterpolation", "covariance": {"scale": 1}, "mean": [1, 2, 3]}, "mean: expected 8 numbers"),
    ],
)
def test_what_does_not_fit_the_track_is_refused_without_data(
    filter: dict[str, Any], reason: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    task = DAIncrement("dense")
    task.check_content(written(["U[k] = 0"], role="closure", filter={"name": "ThreeDVar", "covariance": {"scale": 1}}))
    with pytest.raises(SubmissionError, match=f"closure.yaml: assimilation.filter: .*{reason}"):
        task.check_content(written(["U[k] = 0"], role="closure", filter=filter))
    assert not (tmp_path / "cache").exists()


def test_the_digest_is_of_the_file_and_of_what_is_said() -> None:
    plain, again = Artifact("a.onnx", b"file"), Artifact("b.onnx", b"file", Described())
    assert plain.digest == again.digest == hashlib.sha256(b"file").hexdigest()
    others = [
        Artifact("a.onnx", b"file", said(**fields)).digest
        for fields in ({"role": "closure"}, {"filter": {"name": "ETKF"}}, {"filter": {"name": "EnKF", "radius": 3}})
    ]
    assert len({plain.digest, *others}) == 4


@pytest.fixture(scope="module")
def task() -> DAIncrement:
    return DAIncrement("dense").miniature()


@pytest.fixture(scope="module")
def models(task: DAIncrement) -> dict[str, Any]:
    """Systems and models of increments, by name."""
    run = l96bench.simulate(task.regime, 20.0, seed=1, store_fast=False)
    quartic = l96bench.PolynomialRegressor(degree=4).fit(run.X, run.U).closure()
    stencil = l96bench.LocalRegressor(LinearRegression(), radius=2).fit(run.X, run.U)
    increments = l96bench.LocalRegressor(LinearRegression(), radius=1).fit(task.train.X, task.train.U)
    polynomial = l96bench.PolynomialRegressor(degree=1).fit(task.train.X, task.train.U)
    B = static_covariance(task.train.X, scale=0.02)

    def system(closure: Any, filter: Any = None) -> l96bench.AssimilationSystem:
        return l96bench.AssimilationSystem(ResolvedModel(task.regime, closure), filter, closure)

    return {
        "quartic": system(quartic),
        "quartic in LETKF": system(quartic, LETKF(3.0, rotate=True)),
        "stencil in EnKF": system(stencil, EnKF(4.0)),
        "hybrid alone": system(None, HybridEnKF(B, 0.5)),
        "quartic in 3D-Var": system(quartic, ThreeDVar(B)),
        "increments": increments,
        "increments in EnKF": replace(task.system(increments), filter=EnKF()),
        "polynomial of increments": polynomial,
        "polynomial in LETKF": replace(task.system(polynomial), filter=LETKF(4.0)),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("quartic", "quartic in LETKF", "stencil in EnKF", "hybrid alone", "quartic in 3D-Var"),
        *("increments", "increments in EnKF", "polynomial of increments", "polynomial in LETKF"),
    ],
)
def test_a_file_and_its_description_score_what_the_original_scores(
    name: str, task: DAIncrement, models: dict[str, Any]
) -> None:
    live, content = task.evaluate(models[name], INFO, progress=False), task.export(models[name])
    file = task.evaluate_content(content, INFO)
    assert (file.score, file.predictions_digest) == (live.score, live.predictions_digest)
    shared = live.metrics.keys() & file.metrics.keys()
    assert {key: file.metrics[key] for key in shared} == {key: live.metrics[key] for key in shared}
    assert live.metrics.keys() - shared <= ({"r2_increment", "r2_error"} if "polynomial" in name else set())
    assert (content.described == NOTHING_SAID) == (name == "increments")


@pytest.mark.slow
def test_a_filter_alone_is_a_file_without_closure(task: DAIncrement) -> None:
    """The track's filter without closure is the floor, and another filter what it is by itself."""
    assert task.evaluate_content(written(["U[k] = 0"], role="closure"), INFO).score.value == 0.0
    filter = EnKF(4.0)
    alone = task.evaluate(l96bench.AssimilationSystem(ResolvedModel(task.regime), filter), progress=False)
    content = written(["U[k] = 0"], role="closure", filter={"name": "EnKF", "radius": 4})
    assert task.evaluate_content(content, INFO).score == alone.score


@pytest.mark.slow
def test_a_closure_without_its_role_is_told_what_to_say(task: DAIncrement) -> None:
    quartic = ["U[k] = -0.262 - 1.45*X[k] + 0.0121*X[k]**2 + 0.00713*X[k]**3 - 0.000296*X[k]**4"]
    content = written(quartic)
    with pytest.raises(SubmissionError, match=r"the filter diverged .* say `assimilation: \{role: closure\}`"):
        task.check_trial(content, task.evaluate_content(content, INFO))
    content = written(quartic, role="closure")
    result = task.evaluate_content(content, INFO)
    task.check_trial(content, result)
    assert result.score.value > 50.0


def test_what_no_file_holds_is_refused(task: DAIncrement) -> None:
    regime = task.regime
    for model in (
        AugmentedModel(regime, [0.0, 0.0], [1.0, 0.5]),
        TruthModel(regime),
        ResolvedModel(regime, F=21.0),
        ResolvedModel(regime, dt=0.005),
        ResolvedModel("arnold-c4"),
    ):
        with pytest.raises(L96BenchError, match="expected a closure of the resolved model, got"):
            task.export(l96bench.AssimilationSystem(model))
