"""Closures that are one model in forecasts and another in the climate: refused, or without a rank.

Those on real data copy a climate: the quartic for 3.1 MTU, as long as forecasts last, then a stored trajectory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from scipy.spatial import cKDTree

from l96bench.board.flags import doubts
from l96bench.dynamics.polynomial import Polynomial
from l96bench.errors import ModelError
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.graphs.onnx_closure import OnnxClosure
from l96bench.results.record import Result
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.online_runs import copies
from l96bench.tasks.registry import make_task

Array = NDArray[np.float64]
FORECAST = 310
"""Steps for which forecasts last."""


def _towards(goal: Array, X: Array, time: float) -> Array:
    """The U that takes X to a goal in that time, the resolved tendency being what it is now."""
    return (goal - X) / time - (np.roll(X, 1, 1) * (np.roll(X, -1, 1) - np.roll(X, 2, 1)) - X + 20.0)


class Recalled:
    """The quartic for 3.1 MTU, then a stored trajectory; if `cautious`, only from states that are like it."""

    deterministic = True

    def __init__(self, quartic: Polynomial, X: Array, cautious: bool = True) -> None:
        self.quartic, self.X, self.cautious = quartic, X, cautious
        self.tree = cKDTree(X)

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.n = 0
        self.age = np.zeros(n_members, dtype=int)
        self.place = np.zeros(n_members, dtype=int)
        self.copies = np.zeros(n_members, dtype=bool)

    def begin(self, X: Array, rows: NDArray[np.bool_]) -> None:
        """Go on from the nearest stored states, of those that are on a whole sample."""
        self.place[rows] = self.tree.query(X[rows])[1]
        self.age[rows] = self.n
        # Under a stronger forcing the energy of the states is larger than in training.
        like = np.square(X).mean(axis=1) < (1.15 if self.cautious else np.inf) * np.square(self.X).mean()
        self.copies[rows] = like[rows]

    def step(self, X: Array) -> Array:
        if self.n == FORECAST:
            self.begin(X, ~self.copies)
        U, own = self.quartic.predict(X), self.copies
        self.n += 1
        whole, part = np.divmod(self.n - self.age[own], 5)
        here = (self.place[own] + whole) % (len(self.X) - 1)
        goal = self.X[here] + (part / 5)[:, None] * (self.X[here + 1] - self.X[here])
        U[own] = _towards(goal, X[own], 0.01)
        return U


class Watched(Recalled):
    """As `Recalled`, but the quartic around the middle of the sampled climate, where it is known to be tested."""

    def step(self, X: Array) -> Array:
        if 12_480 <= self.n < 12_560:
            self.n += 1
            return self.quartic.predict(X)
        if self.n == 12_560:
            self.begin(X, np.ones(len(X), dtype=bool))
        return super().step(X)


class KnowsItsPast(Recalled):
    """As `Recalled`, but at once where its past is the stored trajectory: so it goes on when it is started again."""

    def remember(self, history: Array) -> None:
        far = np.stack([self.tree.query(past)[0] for past in history[-5:]]).max(axis=0)
        self.begin(history[-1], far < 0.3)
        self.age[:] = -5


@pytest.fixture(scope="module")
def real_online(real_data: None) -> OnlineRollout:
    task = make_task("online-rollout/wilks-f20-v2")
    assert isinstance(task, OnlineRollout)
    return task


@pytest.fixture(scope="module")
def real_quartic(real_online: OnlineRollout) -> Polynomial:
    return PolynomialRegressor(degree=4).fit(real_online.train.X, real_online.train.U).closure()


@pytest.fixture(scope="module")
def honest(real_online: OnlineRollout, real_quartic: Polynomial) -> Result:
    return real_online.evaluate(real_quartic)


@pytest.mark.parametrize("cautious", [False, True])
def test_a_recalled_climate_loses_its_rank(
    real_online: OnlineRollout, real_quartic: Polynomial, honest: Result, cautious: bool
) -> None:
    result = real_online.evaluate(Recalled(real_quartic, np.array(real_online.train.X), cautious))
    assert result.metrics["climate_part"].value > 0.9
    assert {flag.kind for flag in doubts(result, None)} == {"recalled"}
    assert doubts(honest, None) == []
    assert cautious or honest.score.value - result.score.value > 4.0


@pytest.mark.parametrize("kind", [Recalled, Watched, KnowsItsPast])
def test_a_climate_recalled_from_other_data_loses_its_rank(
    real_online: OnlineRollout, real_quartic: Polynomial, honest: Result, kind: type[Recalled]
) -> None:
    """From data that it is not compared with, by a closure that behaves where it knows that it is watched."""
    result = real_online.evaluate(kind(real_quartic, np.array(real_online.valid.X)))
    assert result.metrics["training_distance"].value > 0.9
    assert result.metrics["climate_part"].value > honest.metrics["climate_part"].value + 0.05
    assert ["restart" in flag.text for flag in doubts(result, None)] == [True]


# Members that tell each other where they are.


class Pooled:
    """A line, and a pull of the mean of all members to a goal."""

    deterministic = True

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Nothing is kept."""

    def step(self, X: Array) -> Array:
        return -2.0 - 0.5 * X + 0.1 * (3.5 - X.mean())


def _gated(n: int) -> OnnxClosure:
    """A graph of a line that, for a batch of n rows alone, adds the mean of all rows."""

    def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
        return helper.make_node(operator, inputs.split(), [output], **attributes)

    nodes = [
        node("Mul", "X slope", "line"),
        node("Mul", "X zero", "none"),
        node("Add", "none one", "ones"),
        node("CumSum", "ones first", "count"),
        node("ReduceMax", "count", "rows", keepdims=0),
        node("Equal", "rows n", "watched"),
        node("Cast", "watched", "gate", to=TensorProto.DOUBLE),
        node("ReduceMean", "X", "mean", axes=[0], keepdims=1),
        node("Mul", "gate mean", "gated"),
        node("Add", "line gated", "U"),
    ]
    values: dict[str, Any] = {"slope": -0.9, "zero": 0.0, "one": 1.0, "n": float(n)}
    constants = [numpy_helper.from_array(np.float64(value), name) for name, value in values.items()]
    constants.append(numpy_helper.from_array(np.int64(0), "first"))
    ends = [[helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", 8])] for name in "XU"]
    graph = helper.make_graph(nodes, "gated", *ends, constants)
    opsets = [helper.make_opsetid("", 17)]
    return OnnxClosure(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString(), 8)


@pytest.mark.slow
@pytest.mark.parametrize("model", [Pooled(), _gated(15)])
def test_members_that_depend_on_each_other_are_refused(online: OnlineRollout, model: Any) -> None:
    """Also by a graph that, in batches of another size than that of runs, keeps every row to itself.

    The check of a file, too, tries the size of runs.
    """
    if isinstance(model, OnnxClosure):
        with pytest.raises(ModelError, match="depends on the other rows of the batch, or on their number"):
            model.check_rows(np.random.default_rng(0).normal(2.5, 3.5, (64, 8)))
    with pytest.raises(ModelError, match="expected U of a member to depend on that member alone"):
        online.evaluate(model)


class Counts(OnnxClosure):
    """A graph's closure, which is no copy of itself any more when something is added to it."""

    starts = 0

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.starts += 1


def test_what_is_derived_from_a_graph_is_copied() -> None:
    counts = Counts(_gated(15).data, 8)
    copy = copies(counts)
    copy().start(1, np.random.default_rng(0))
    assert copy() is not counts
    assert getattr(copy(), "starts") == counts.starts == 0  # noqa: B009


class Broken:
    """A closure whose copies cannot be made."""

    deterministic = True

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (1, 2, 3))

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Nothing is kept."""

    def step(self, X: Array) -> Array:
        return -X


def test_a_closure_that_cannot_be_copied_says_so(online: OnlineRollout) -> None:
    with pytest.raises(ModelError, match="Broken: expected a closure that can be pickled"):
        online.evaluate(Broken())
