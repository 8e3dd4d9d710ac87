"""Ten files that other tools write, none with this package, go through `check` and `submit`."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from l96bench.submissions.folder import check_folder, submit_folder
from l96bench.tasks.registry import make_task

torch = pytest.importorskip("torch")

TASK, K = "online-rollout/wilks-f20-v2", 8
MADE_BY_JAX = Path(__file__).parent / "made_by_jax"
Data = tuple[NDArray, NDArray]


class Line(torch.nn.Module):
    """The line through the training data, to which each module below adds what it was never trained to."""

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.slope, self.offset = np.polyfit(data[0].ravel(), data[1].ravel(), 1)

    def line(self, x: Any) -> Any:
        return float(self.slope) * x + float(self.offset)


class RingGRU(Line):
    """A layer that sees the whole ring, with a state (1, n, 5)."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.gru, self.out = torch.nn.GRU(K, 5), torch.nn.Linear(5, K)

    def forward(self, x: Any, h: Any) -> Any:
        y, h = self.gru(x[None], h)
        return self.line(x) + 0.1 * self.out(y[0]), h


class RingLSTM(Line):
    """A layer with two states and noise among its inputs."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.lstm, self.out = torch.nn.LSTM(K + 2, 5), torch.nn.Linear(5, K)

    def forward(self, x: Any, h: Any, c: Any, z: Any) -> Any:
        y, (h, c) = self.lstm(torch.cat((x, z), 1)[None], (h, c))
        return self.line(x) + 0.1 * self.out(y[0]), h, c


class PointRNN(Line):
    """A cell shared by the points, whose state has a row for each point of each member."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.cell, self.out = torch.nn.RNNCell(1, 4), torch.nn.Linear(4, 1)

    def forward(self, x: Any, h: Any) -> Any:
        h = self.cell(x.reshape(-1, 1), h)
        return self.line(x) + 0.1 * self.out(h).reshape(-1, K), h


class CircularCNN(Line):
    """A convolution around the ring, a function of the present."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.layer = torch.nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular")

    def forward(self, x: Any) -> Any:
        return self.line(x) + 0.01 * self.layer(x[:, None])[:, 0]


class GaussianPolicy(torch.nn.Module):
    """The actor of an agent: its features, its action, and its standard deviation, as an action is drawn."""

    def __init__(self, data: Data) -> None:
        super().__init__()
        from gymnasium.spaces import Box
        from stable_baselines3.common.policies import ActorCriticPolicy

        low, high = np.full(K, -40.0, dtype=np.float32), np.full(K, 40.0, dtype=np.float32)
        self.policy = ActorCriticPolicy(Box(low, high), Box(low, high), lambda _: 1e-3, log_std_init=-1.0)

    def forward(self, x: Any, z: Any) -> Any:
        features = self.policy.mlp_extractor.forward_actor(x)
        return -0.8 * x + self.policy.action_net(features) + z * self.policy.log_std.exp()


def module(kind: Callable[[Data], Any], shapes: dict[str, tuple[Any, ...]], states: Sequence[str] = ()) -> Any:
    """Return what writes a module with torch's exporter, given the shape of each input with "n" for the rows."""

    def write(data: Data) -> bytes:
        torch.manual_seed(0)
        sizes: dict[Any, int] = {"n": 2, "nK": 2 * K}
        given = tuple(torch.zeros([sizes.get(size, size) for size in shape]) for shape in shapes.values())
        axes = {name: {shape.index(rows): rows for rows in sizes if rows in shape} for name, shape in shapes.items()}
        axes |= {"u": {0: "n"}, **{f"{name}_out": axes[name] for name in states}}
        file = io.BytesIO()
        torch.onnx.export(kind(data).eval(), given, file, input_names=[*shapes], dynamo=False, dynamic_axes=axes,
                          output_names=["u", *(f"{name}_out" for name in states)], opset_version=17)  # fmt: skip
        return file.getvalue()

    return write


def pipeline(data: Data) -> bytes:
    """A pipeline of scikit-learn, with skl2onnx's defaults."""
    from skl2onnx import to_onnx

    return bytes(to_onnx(make_pipeline(StandardScaler(), Ridge()).fit(*data), data[0][:1]).SerializeToString())


def forest(data: Data) -> bytes:
    """A forest of scikit-learn, in single precision."""
    from skl2onnx import to_onnx

    fitted = RandomForestRegressor(10, max_depth=7, random_state=0).fit(*data)
    return bytes(to_onnx(fitted, data[0][:1].astype(np.float32)).SerializeToString())


def by_hand(
    nodes: Sequence[tuple[str, list[str], str]], inputs: Sequence[str], outputs: Sequence[str], **values: float
) -> bytes:
    """A graph of plain onnx with columns (n, K) and scalar constants."""
    ends = (
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", K]) for name in names]
        for names in (inputs, outputs)
    )
    constants = [numpy_helper.from_array(np.array(value, dtype=np.float64), name) for name, value in values.items()]
    graph = helper.make_graph(
        [helper.make_node(kind, given, [made]) for kind, given, made in nodes], "g", *ends, constants
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def red_noise(data: Data) -> bytes:
    """A line with a first-order autoregression by hand."""
    slope, offset = np.polyfit(data[0].ravel(), data[1].ravel(), 1)
    nodes = [
        ("Mul", ["X", "slope"], "a"), ("Add", ["a", "offset"], "mean"), ("Mul", ["state", "phi"], "kept"),
        ("Mul", ["noise", "psi"], "new"), ("Add", ["kept", "new"], "state_out"), ("Mul", ["state_out", "size"], "e"),
        ("Add", ["mean", "e"], "U"),
    ]  # fmt: skip
    return by_hand(nodes, ("X", "state", "noise"), ("U", "state_out", "mean"), slope=slope, offset=offset, phi=0.9,
                   psi=np.sqrt(1 - 0.81), size=1.0)  # fmt: skip


def two_values(data: Data) -> bytes:
    """A line, above or below which a residual stays until it jumps: a Markov chain of two states."""
    slope, offset = np.polyfit(data[0].ravel(), data[1].ravel(), 1)
    nodes = [
        ("Mul", ["X", "slope"], "a"), ("Add", ["a", "offset"], "line"), ("Less", ["coin", "chance"], "jumps"),
        ("Neg", ["side"], "other"), ("Where", ["jumps", "other", "side"], "next"), ("Add", ["line", "next"], "U"),
    ]  # fmt: skip
    return by_hand(nodes, ("X", "side", "coin"), ("U", "next"), slope=slope, offset=offset, chance=0.2)


def by_jax(name: str) -> Callable[[Data], bytes]:
    return lambda _: (MADE_BY_JAX / name).read_bytes()


N = {"X": "x", "U": "u"}
FILES: dict[str, tuple[Callable[[Data], bytes], dict[str, Any]]] = {
    "torch GRU": (
        module(RingGRU, {"x": ("n", K), "h": (1, "n", 5)}, "h"),
        N | {"state": {"input": "h", "output": "h_out", "axis": 1}},
    ),
    "torch LSTM with noise": (
        module(RingLSTM, {"x": ("n", K), "h": (1, "n", 5), "c": (1, "n", 5), "z": ("n", 2)}, "hc"),
        N | {"noise": "z", "state": [{"input": each, "output": f"{each}_out", "axis": 1} for each in "hc"]},
    ),
    "torch RNN of points": (
        module(PointRNN, {"x": ("n", K), "h": ("nK", 4)}, "h"),
        N | {"interval": 0.01, "state": {"input": "h", "output": "h_out", "points": True}},
    ),
    "torch CNN": (module(CircularCNN, {"x": ("n", K)}), {}),
    "policy": (module(GaussianPolicy, {"x": ("n", K), "z": ("n", K)}), N | {"noise": "z"}),
    "scikit-learn pipeline": (pipeline, {}),
    "scikit-learn forest": (forest, {}),
    "onnx, red noise": (
        red_noise,
        {"interval": 0.01, "past": False, "state": {"input": "state", "output": "state_out"}},
    ),
    "onnx, Markov chain": (
        two_values,
        {"uniform": "coin", "past": False, "state": {"input": "side", "output": "next", "start": [1.0, -1.0] * 4}},
    ),
    "Equinox GRU": (
        by_jax("equinox_gru.onnx"),
        {"X": "in_0", "U": "add_out_6", "state": {"input": "in_1", "output": "add_out_5"}},
    ),
    "Flax network": (by_jax("flax_network.onnx"), {}),
}  # fmt: skip


def in_a_folder(name: str, step: dict[str, Any], folder: Path) -> Path:
    """A submission of a file, with what is said of its step."""
    train = make_task(TASK).train
    folder.mkdir()
    (folder / "closure.onnx").write_bytes(FILES[name][0]((np.array(train.X), np.array(train.U))))
    fields = {
        "schema": "l96bench/submission/2", "name": name, "authors": ["Some One"], "kind": "example", "inputs": "X",
        "description": "An example.", "tasks": [TASK], "artifacts": "closure.onnx", "license": "CC0-1.0",
        "training": [{"regime": "wilks-f20", "split": "train"}],
    }  # fmt: skip
    (folder / "submission.yaml").write_text(yaml.safe_dump(fields | ({"step": step} if step else {})))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [{"interval": 0.02}, {"unknown": 1}, {"past": "maybe"}])
def test_a_fault_in_what_is_said_of_a_step_is_told_alone(
    wrong: dict[str, Any], tmp_path: Path, miniature_registry: Path, in_process: None
) -> None:
    """Nothing is said of the file's inputs, which nobody knows then."""
    name = "onnx, red noise"
    found = check_folder(in_a_folder(name, FILES[name][1] | wrong, tmp_path / "mine"))
    [fault] = found.faults
    assert "step" in fault
    assert next(iter(wrong)) in fault


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_tool_is_checked_and_submitted(
    name: str, tmp_path: Path, miniature_registry: Path, in_process: None
) -> None:
    folder = in_a_folder(name, FILES[name][1], tmp_path / "mine")
    found = check_folder(folder)
    assert (found.faults, found.notes) == ([], [])
    [row] = submit_folder(folder, tmp_path / "board")
    assert row.model.name == name
    assert row.score.value == found.scores[TASK]
    assert row.score.value > 40.0
