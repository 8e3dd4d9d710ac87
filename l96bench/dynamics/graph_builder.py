"""The interface by which closures write their graphs."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from l96bench.dynamics.closures import HISTORY_INTERVAL


class GraphBuilder(Protocol):
    """A builder of a closure's ONNX graph: each method adds operators and returns the name of their output."""

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add one operator of ONNX with one output."""

    def constant(self, value: Any, dtype: Any) -> str:
        """Add a constant tensor."""

    def cast(self, x: str, dtype: Any) -> str:
        """Return a tensor as float32 or float64."""

    def reshape(self, x: str, *shape: int) -> str:
        """Return a tensor in another shape; -1 for what is left."""

    def gather(self, x: str, index: NDArray, axis: int = 1) -> str:
        """Return entries of a tensor along an axis, such as the stencils of all points."""

    def linear(self, x: str, weight: NDArray, bias: NDArray) -> str:
        """Add ``x weight^T + bias`` on the last axis."""

    def clipped(self, x: str, low: Any, high: Any) -> str:
        """Add ``min(max(x, low), high)``, float64."""

    def columns(self, x: str) -> str:
        """Return the columns of x (n, width) as rows (width + 1, n), the last one of ones."""

    def polynomial(self, x: str, coefficients: NDArray) -> str:
        """Add ``sum_i c_i x^i``, float64, by Horner's rule."""

    def closure(self, x: str, closure: Any, K: int) -> str:
        """Return the graph of another closure: U (n, K) for X (n, K), both float64."""

    def regressor(self, x: str, estimator: Any, width: int) -> str:
        """Return the graph of a fitted regressor of rows (n, width), float64: its own, or that of scikit-learn's."""

    def transformed(self, x: str, transformer: Any, width: int) -> tuple[str, int]:
        """Return the graph of a fitted transformer of rows (n, width), float64, and the new width."""

    def module(self, x: str, module: Any, K: int) -> str:
        """Return the graph of a ``torch.nn.Module`` in inference mode, float64 in and out."""

    def state(
        self, size: int, dtype: Any, start: Any = 0.0, interval: float = HISTORY_INTERVAL, past: bool = True
    ) -> str:
        """Return columns (n, size) of the state, driven through the past or not; see `l96bench.dynamics.steps`."""

    def keep(self, state: str, following: str) -> None:
        """Say what some columns, which `state` returned, are at the next step."""

    def noise(self, size: int, dtype: Any, interval: float = HISTORY_INTERVAL) -> str:
        """Return standard normal numbers (n, size)."""

    def uniform(self, size: int, dtype: Any, interval: float = HISTORY_INTERVAL) -> str:
        """Return numbers (n, size) that are uniform on [0, 1)."""

    def mean(self, U: str) -> None:
        """Say what the mean of U (n, K), float64, is given X and the state."""
