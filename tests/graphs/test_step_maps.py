"""Steps that other tools wrote, with states, names and layouts of their own, run as their authors ran them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from l96bench.dynamics.closures import checked_start, checked_step
from l96bench.dynamics.steps import SteppedClosure
from l96bench.errors import SubmissionError
from l96bench.graphs.onnx_step import OnnxStep, read_closure
from l96bench.graphs.step_checks import check_step
from l96bench.graphs.step_map import StepMap, rewritten

torch = pytest.importorskip("torch")

K, N = 8, 20
RNG = np.random.default_rng(0)
X = RNG.normal(2.5, 3.5, (N, K))


class RingGRU(torch.nn.Module):
    """Two layers that see the whole ring; state (layers, n, hidden)."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.out = torch.nn.GRU(K, 5, num_layers=2), torch.nn.Linear(5, K)

    def forward(self, x: Any, h: Any) -> Any:
        y, h = self.gru(x[None], h)
        return self.out(y[0]), h


class RingLSTM(torch.nn.Module):
    """One layer, batch first, with two states (1, n, hidden), and noise among its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = torch.nn.LSTM(K + 2, 5), torch.nn.Linear(5, K)

    def forward(self, x: Any, h: Any, c: Any, z: Any) -> Any:
        y, (h, c) = self.lstm(torch.cat((x, z), 1)[None], (h, c))
        return self.out(y[0]), h, c


class PointGRU(torch.nn.Module):
    """A cell shared by the points; its state has a row for each point of each member."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = torch.nn.GRUCell(3, 4), torch.nn.Linear(4, 1)

    def forward(self, x: Any, h: Any) -> Any:
        near = torch.stack([x.roll(1, 1), x, x.roll(-1, 1)], -1).reshape(-1, 3)
        h = self.cell(near, h)
        return self.out(h).reshape(-1, K), h


GRU = StepMap.model_validate({"X": "x", "U": "u", "state": {"input": "h", "output": "h_out", "axis": 1}})
LSTM = StepMap.model_validate(
    {
        "X": "x", "U": "u", "noise": "z",
        "state": [{"input": name, "output": f"{name}_out", "axis": 1, "start": 0.1} for name in "hc"],
    }
)  # fmt: skip
POINT = StepMap.model_validate(
    {"X": "x", "U": "u", "state": {"input": "h", "output": "h_out", "points": True}, "interval": 0.01}
)
SHAPES = {RingGRU: ((2, N, 5),), RingLSTM: ((1, N, 5), (1, N, 5), (N, 2)), PointGRU: ((N * K, 4),)}
CASES = [(RingGRU, GRU, "h"), (RingLSTM, LSTM, "hcz"), (PointGRU, POINT, "h")]


def exported(module: Any, names: str) -> bytes:
    """What torch's exporter writes with the names that its users give."""
    inputs = (torch.zeros(N, K), *(torch.zeros(shape) for shape in SHAPES[type(module)]))
    states = [f"{name}_out" for name in names if name != "z"]
    axes = {
        name: {1 if name[0] in "hc" and not isinstance(module, PointGRU) else 0: "rows"}
        for name in ["x", "u", *names, *states]
    }
    file = io.BytesIO()
    torch.onnx.export(module.eval(), inputs, file, input_names=["x", *names], output_names=["u", *states],
                      dynamic_axes=axes, opset_version=17, dynamo=False)  # fmt: skip
    return file.getvalue()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(("kind", "said", "names"), CASES)
def test_a_module_of_torch_runs_as_in_torch(kind: Callable[[], Any], said: StepMap, names: str) -> None:
    module = kind()
    closure = read_closure(rewritten(exported(module, names), said, K), K)
    assert isinstance(closure, SteppedClosure)
    step = closure.step_function
    assert isinstance(step, OnnxStep)
    check_step(step, X)
    shapes = SHAPES[kind]
    given = [RNG.normal(size=shape).astype(np.float32) for shape in shapes]
    with torch.inference_mode():
        U, *following = module(torch.from_numpy(X.astype(np.float32)), *map(torch.from_numpy, given))
    states = [each for each, name in zip(given, names, strict=True) if name != "z"]
    noise = given[-1] if "z" in names else np.empty((N, 0), dtype=np.float32)
    came, state, mean = step(X, columns(states, kind), noise, np.empty((N, 0), dtype=np.float32))
    assert mean is None
    np.testing.assert_allclose(came, U.numpy(), atol=1e-5)
    np.testing.assert_allclose(state, columns([each.numpy() for each in following], kind), atol=1e-5)


def columns(states: list[NDArray], kind: Any) -> NDArray:
    """The states of a file side by side, member first."""
    if kind is PointGRU:
        return states[0].reshape(N, -1)
    return np.concatenate([np.moveaxis(each, 1, 0).reshape(N, -1) for each in states], axis=1)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_its_closure_goes_through_the_past_as_in_torch() -> None:
    """0.05 MTU a past state, and then, every fifth step of a run, 0.05 MTU from its own state."""
    module = RingGRU()
    closure = read_closure(rewritten(exported(module, "h"), GRU, K), K)
    trajectory = np.cumsum(RNG.normal(size=(12, N, K)), axis=0)
    checked_start(closure, N, np.random.default_rng(0), trajectory[:8])
    h = torch.zeros(2, N, 5)
    with torch.inference_mode():
        for i, x in enumerate(trajectory):
            u, h = module(torch.from_numpy(x.astype(np.float32)), h)
            if i >= 8:
                came, *_ = [checked_step(closure, x) for _ in range(5)]
                np.testing.assert_allclose(came, u.numpy(), atol=1e-5)


# ------------------------------------------------------------------------------------------------ files by hand


def by_hand(phi: float = 0.9, *, state: str = "state", noise: str = "noise") -> onnx.ModelProto:
    """U = -X + e, e an AR(1) of variance 1, in float64."""
    nodes = [
        helper.make_node("Mul", [state, "phi"], ["kept"]),
        helper.make_node("Mul", [noise, "innovation"], ["new"]),
        helper.make_node("Add", ["kept", "new"], ["state_out"]),
        helper.make_node("Neg", ["X"], ["mean"]),
        helper.make_node("Add", ["mean", "state_out"], ["U"]),
    ]
    values = [
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", K]) for name in names]
        for names in (("X", state, noise), ("U", "state_out", "mean"))
    ]
    constants = [
        numpy_helper.from_array(np.array(value), name)
        for name, value in (("phi", phi), ("innovation", np.sqrt(1 - phi**2)))
    ]
    graph = helper.make_graph(nodes, "ar1", *values, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_graph_by_hand_with_the_usual_names_says_its_interval_alone() -> None:
    said = StepMap.model_validate(
        {"interval": 0.01, "state": {"input": "state", "output": "state_out", "start": "normal"}, "past": False}
    )
    closure = read_closure(rewritten(by_hand().SerializeToString(), said), K)
    assert isinstance(closure, SteppedClosure)
    assert not closure.deterministic
    assert not hasattr(closure, "remember")
    checked_start(closure, 4000, np.random.default_rng(0))
    steps = np.stack([checked_step(closure, np.zeros((4000, K))) for _ in range(8)])
    assert steps.std(axis=(1, 2)) == pytest.approx(np.ones(8), abs=0.02)
    assert np.mean(steps[2] * steps[5]) == pytest.approx(0.9**3, abs=0.02)
    assert (closure.last_mean == 0).all()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"X": "x"}, r"no input 'x', but \['X', 'state', 'noise'\]"),
        ({"noise": []}, r"what are the inputs \['noise'\] of the file"),
        ({"noise": ["noise", "noise"]}, "expected the input 'noise' once, got it 2 times"),
        ({"noise": ["noise", "state"]}, "expected the input 'state' once, got it 2 times"),
        ({"uniform": "noise"}, "expected the input 'noise' once, got it 2 times"),
        ({"state": {"input": "state", "output": "U"}}, "expected the output 'U' once, got it 2 times"),
        ({"state": {"input": "state", "output": "state"}}, "no output 'state'"),
        ({"state": {"input": "state", "output": "state_out", "axis": 2}}, "has 2 axes, no axis 2"),
        ({"state": {"input": "state", "output": "state_out", "axis": 1}}, "expected fixed sizes"),
        ({"state": {"input": "state", "output": "state_out", "start": [1.0, 2.0]}}, "expected a start of 8 numbers"),
        ({"interval": 0.02}, "expected an interval of 0.05 or 0.01 MTU, got 0.02"),
        ({"mean": "state_out"}, "expected the output 'state_out' once, got it 2 times"),
    ],
)  # fmt: skip
def test_what_the_file_has_not_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(SubmissionError, match=message):
        rewritten(by_hand().SerializeToString(), StepMap.model_validate(said), K)


def test_a_step_without_a_description_says_where_it_is_described() -> None:
    with pytest.raises(SubmissionError, match=r"expected one input X, got 3.*`step:` in submission.yaml"):
        read_closure(by_hand().SerializeToString(), K)
