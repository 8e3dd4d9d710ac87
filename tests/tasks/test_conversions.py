"""A model is made a graph once in an evaluation, whatever the family."""

from __future__ import annotations

import numpy as np
import pytest

from l96bench.dynamics.closures import Stateless
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.tasks.registry import make_task


class Counted(Stateless):
    """A closure that counts how often its graph is asked for."""

    written = 0

    def predict(self, X: np.ndarray) -> np.ndarray:
        return -0.5 * X

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        self.written += 1
        return builder.node("Mul", x, builder.constant(-0.5, np.float64))


@pytest.mark.slow
@pytest.mark.parametrize("id", ["subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"])
def test_a_model_is_converted_once_an_evaluation(id: str) -> None:
    model = Counted()
    make_task(id).miniature().evaluate(model, progress=False)
    assert model.written == 1
