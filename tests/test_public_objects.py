"""Everything public pickles and deep-copies; estimators and closures are tried in their room."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, delayed

import l96bench
from l96bench import assimilation as da
from l96bench import metrics, tasks
from l96bench.envs import PPOOptions, Scaling
from l96bench.estimators import TorchRegressor

ROOMS = ["", ".assimilation", ".diagnostics", ".envs", ".equations", ".estimators", ".metrics", ".tasks"]


def public() -> dict[str, Any]:
    """Every public object by the place where it is found first."""
    found: dict[int, tuple[str, Any]] = {}
    for room in ROOMS:
        module = importlib.import_module(f"l96bench{room}")
        for name in module.__all__:
            found.setdefault(id(getattr(module, name)), (f"{module.__name__}.{name}", getattr(module, name)))
    return dict(found.values())


def mini(id: str) -> Any:
    return l96bench.make_task(id).miniature()


K = 8
NETWORK = da.Network(K, 0.05, 1.0)
INFO = l96bench.ModelInfo(name="a", kind="b", inputs="X", command="c")
DENSE = mini("da-increment/dense-v1")
INSTANCES: dict[str, Callable[[], Any]] = {
    "Block": lambda: l96bench.Block(3, 0.01, "normal"),
    "StepForm": lambda: l96bench.StepForm((l96bench.Block(3),), (l96bench.Block(8),)),
    "PPOOptions": lambda: PPOOptions(gamma=0.9),
    "AugmentedPolynomial": da.AugmentedPolynomial,
    "AssimilationSystem": lambda: DENSE.system(l96bench.Polynomial([0.0, -0.02])),
    "ArchivePart": lambda: da.ArchivePart("train", 1, 10),
    "Cases": lambda: l96bench.Cases(per_trajectory=3),
    "ClimateInversion": lambda: da.ClimateInversion(degree=3, random_state=2),
    "Column": lambda: tasks.Column("RMSE", "rmse", ".3f"),
    "Content": lambda: tasks.Content("a.yaml", "equations", ["U[k] = 0"]),
    "Described": lambda: tasks.Described(),
    "Cycled": lambda: DENSE.cycles(DENSE.system(lambda X: 0.0 * X)).run,
    "DistanceGrid": lambda: metrics.DistanceGrid.from_truth(mini("online-rollout/wilks-f20-v2").train.X[:, None], 0.05),
    "ETKF": lambda: da.ETKF(rotate=True),
    "EnKF": da.EnKF,
    "Entry": lambda: l96bench.Entry("a", "b", "X", make=np.full_like),
    "EquationSet": lambda: l96bench.EquationSet.parse(["X[k-1] - 2"], K, 0),
    "Example": tasks.SubgridForcing.example,
    "Expected": lambda: tasks.Expected({"test": (1, 2)}, "0" * 64),
    "ExpectationMaximization": lambda: da.ExpectationMaximization(degree=3, random_state=2),
    "Failures": lambda: l96bench.Failures(of=3),
    "FunctionModel": lambda: da.FunctionModel(np.multiply, K),
    "HybridEnKF": lambda: da.HybridEnKF(np.eye(K), 0.5),
    "IncrementNetwork": lambda: da.IncrementNetwork(radius=1),
    "IncrementPolynomial": lambda: da.IncrementPolynomial(degree=1),
    "Inflation": lambda: da.Inflation(posterior=np.array([1.1, 1.2])),
    "Metric": lambda: l96bench.Metric("rmse", "RMSE", "Error.", "X", "lower"),
    "LETKF": lambda: da.LETKF(2.0),
    "Layout": lambda: da.ResolvedModel("wilks-f20").layout,
    "Markdown": lambda: l96bench.Markdown("a"),
    "ModelInfo": lambda: INFO,
    "Network": lambda: NETWORK,
    "NetworkMaximization": lambda: da.NetworkMaximization(hidden=(8,), random_state=2),
    "NoAssimilation": da.NoAssimilation,
    "Observations": lambda: NETWORK.draw(np.ones((1, 5, K))),
    "SystemSamples": lambda: tasks.SystemSamples(l96bench.get_regime("wilks-f20"), np.ones((5, K)), np.zeros((5, K))),
    "ObservedSeries": lambda: da.ObservedSeries(np.ones((5, K)), NETWORK, 20.0),
    "ObservedTrack": lambda: da.OBSERVED_TRACKS["wilks-f20-fixed"],
    "OptimalInterpolation": lambda: da.OptimalInterpolation(np.eye(K)),
    "PublishedClosure": lambda: l96bench.PUBLISHED["wilks2005_f20"],
    "RedNoiseModel": lambda: da.RedNoiseModel(np.array([[0.0], [-1.0]]), 1.0, 0.5),
    "RedNoiseNetwork": lambda: da.RedNoiseNetwork(l96bench.TorchRegressor((4,)), 1, 1.0, 0.5),
    "Regime": lambda: l96bench.get_regime("wilks-f20"),
    "ResolvedModel": lambda: da.ResolvedModel("wilks-f20", l96bench.Polynomial([0.0, -1.0])),
    "Result": lambda: mini("subgrid-forcing/wilks-f20-v1").evaluate(l96bench.NoClosure(), progress=False),
    "RingLibrary": lambda: l96bench.RingLibrary(2, 1),
    "Rollout": lambda: l96bench.rollout(l96bench.NoClosure(), np.ones(K), 0.2, regime="wilks-f20"),
    "Samples": lambda: mini("subgrid-forcing/wilks-f20-v1").valid,
    "SavitzkyGolay": l96bench.SavitzkyGolay,
    "Scaling": lambda: Scaling(1.0, 2.0, 3.0, 4.0),
    "Smoothed": lambda: da.Smoothed(np.ones((2, 1, 3, 1)), np.ones((2, 1, 3, 1)), np.ones((2, 1))),
    "ThreeDVar": lambda: da.ThreeDVar(np.eye(K)),
    "Track": lambda: da.TRACKS["dense"],
    "Trajectory": lambda: l96bench.simulate("wilks-f20", 0.2, spin_up=0.1),
    "TruthModel": lambda: da.TruthModel("wilks-f20"),
    "VariationalNetwork": lambda: da.VariationalNetwork(hidden=(8,), random_state=2),
    "WeakForm": l96bench.WeakForm,
    "Work": tasks.Work,
}
"""Instances of the classes whose objects users hold."""
ELSEWHERE = ("estimators", "graphs", "diagnostics", "dynamics.closures", "dynamics.polynomial", "dynamics.ar1")
"""Rooms and modules whose objects have tests of this kind of their own, or are pictures."""


def same(first: Any, second: Any) -> bool:
    """Whether two objects hold the same numbers and texts, all the way down."""
    if isinstance(first, np.ndarray):
        return bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if type(first) is not type(second):
        return False
    fields = [
        name for name in (*getattr(first, "__dict__", ()), *getattr(first, "__slots__", ())) if name != "__weakref__"
    ]
    if callable(first) or not fields:
        return bool(first == second)
    return all(same(getattr(first, name, None), getattr(second, name, None)) for name in fields)


@pytest.mark.parametrize("place", public())
def test_what_is_public_is_found_again_by_its_name(place: str) -> None:
    """Classes, functions and constants are pickled by reference or by value, and stay what they are."""
    thing = public()[place]
    again = pickle.loads(pickle.dumps(thing))
    assert again is thing or same(again, thing) or again == thing
    assert copy.deepcopy(thing) is thing or same(copy.deepcopy(thing), thing)


@pytest.mark.slow
@pytest.mark.parametrize("name", INSTANCES)
def test_objects_pickle_and_copy(name: str) -> None:
    thing = INSTANCES[name]()
    assert type(thing).__name__ == name
    for again in (pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing), copy.copy(thing)):
        assert same(again, thing)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["Cycled", "Observations", "ObservedSeries", "Result", "Rollout", "Samples", "Smoothed", "Trajectory"]
)
def test_data_print_as_one_short_line(name: str) -> None:
    text = repr(INSTANCES[name]())
    assert text.startswith(f"{name}(")
    assert len(text) < 200
    assert "\n" not in text


@pytest.mark.parametrize("id", [family(family.default_regimes[0]).id for family in tasks.families().values()])
def test_a_task_is_small_whatever_it_has_read(id: str) -> None:
    task = mini(id)
    for name in ("train", "instances"):
        getattr(task, name, None)
    assert len(pickle.dumps(task)) < 5000
    for again in (pickle.loads(pickle.dumps(task)), copy.deepcopy(task)):
        assert again == task
        assert hash(again) == hash(task)


def test_no_public_class_of_a_data_holder_is_forgotten() -> None:
    missing = [
        place
        for place, thing in public().items()
        if inspect.isclass(thing)
        and hasattr(thing, "__dataclass_fields__")
        and not issubclass(thing, l96bench.Task)
        and not any(thing.__module__.startswith(f"l96bench.{room}") for room in ELSEWHERE)
        and thing.__name__ not in INSTANCES
    ]
    assert missing == ["l96bench.Unit", "l96bench.assimilation.InnovationStatistics", "l96bench.assimilation.Observed", "l96bench.envs.Actor", "l96bench.envs.Learned", "l96bench.metrics.Draws", "l96bench.metrics.Moments", "l96bench.metrics.PairedComparison", "l96bench.metrics.SupportScores", "l96bench.tasks.Parts", "l96bench.tasks.Reference"]  # fmt: skip # noqa: E501


def score(task: l96bench.Task, model: Any) -> float:
    return task.score(model)


@pytest.mark.slow
def test_joblib_works_over_tasks_and_models() -> None:
    """In spawned processes, which share nothing with this one."""
    own = [mini(id) for id in ("subgrid-forcing/wilks-f20-v1", "subgrid-forcing/arnold-c4-v1")]
    models = [l96bench.Polynomial([0.0, -1.0]), TorchRegressor(hidden=(4,), epochs=1)]
    X = own[0].train
    models[1].fit(np.array(X.X), np.array(X.U))
    jobs = [(task, model) for task in own for model in models]
    assert Parallel(n_jobs=2)(delayed(score)(*job) for job in jobs) == [score(*job) for job in jobs]
