"""A family of tasks as another package would define it, in one file: predict the mean of U over the ring from X."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import gymnasium
import numpy as np

import l96bench
from l96bench.metrics import Metric
from l96bench.tasks import Column, Content, Example, Parts, Reference, Task, Work, value_of

INFO = {"kind": "reference", "inputs": "none", "command": "task.references"}
FLOOR = l96bench.ModelInfo(name="mean of the training data", **INFO)
CEILING = l96bench.ModelInfo(name="the mean itself", **INFO)


@dataclass(frozen=True)
class RingMean(Task):
    """100 R² of the ring's mean U; a model is a function X (n, K) -> (n,), or has ``fit`` and ``predict`` like one."""

    mtu: float = 100.0

    family: ClassVar[str] = "ring-mean"
    title: ClassVar[str] = "Ring mean"
    question: ClassVar[str] = "Predict the mean of U. 0 points: its training mean. 100 points: the mean itself."
    columns: ClassVar[tuple[Column, ...]] = (Column("RMSE", "rmse", ".3f"),)
    glossary: ClassVar[tuple[Metric, ...]] = (
        Metric("rmse", "RMSE", "Root mean square error of the ring's mean U over the test states.", "X / MTU", "lower"),
    )
    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    default_regimes: ClassVar[tuple[str, ...]] = ("wilks-f20",)
    env_id: ClassVar[str | None] = "outsider/RingMean-v0"

    def make(self, split: str, progress: bool | None = None) -> dict[str, np.ndarray]:
        run = l96bench.simulate(
            self.regime_id, self.mtu, seed=self.splits.index(split), store_fast=False, progress=progress
        )
        return {"X": run.X, "mean": run.U.mean(axis=1)}

    def recipe(self, split: str) -> str:
        return super().recipe(split) + str(self.mtu)

    def in_miniature(self) -> Self:
        return replace(super().in_miniature(), mtu=20.0)

    def fit(self, model: Any, budget: float | None = None) -> float:
        if hasattr(model, "fit"):
            train = self.arrays("train")
            model.fit(train["X"], train["mean"])
        return 0.0

    def assess(self, model: Any, work: Work) -> Parts:
        test = self.arrays("test")
        return self._parts(np.asarray(getattr(model, "predict", model)(test["X"])))

    def _parts(self, predicted: np.ndarray) -> Parts:
        truth, base = self.arrays("test")["mean"], self.arrays("train")["mean"].mean()
        n = len(truth) // 40 * 40
        sse, sst = (np.square(truth - each)[:n].reshape(-1, 40).sum(axis=1) for each in (predicted, base))
        weights = self.weights(len(sse), "test")
        return Parts(
            score=float(100.0 * (1.0 - sse.sum() / sst.sum())),
            replicates=100.0 * (1.0 - (weights @ sse) / (weights @ sst)),
            method="block bootstrap",
            metrics={"rmse": value_of(float(np.sqrt(sse.sum() / n)), np.sqrt(weights @ sse / n))},
            failures=l96bench.Failures(of=n),
            digest=l96bench.array_digest(predicted),
        )

    @property
    def references(self) -> Mapping[str, Reference]:
        def floor() -> l96bench.Result:
            base = self.arrays("train")["mean"].mean()
            return self.result(FLOOR, self._parts(np.full_like(self.arrays("test")["mean"], base)))

        def ceiling() -> l96bench.Result:
            return self.result(CEILING, self._parts(np.array(self.arrays("test")["mean"])))

        return {"floor": Reference(FLOOR, floor), "ceiling": Reference(CEILING, ceiling)}

    def read_model(self, content: Content) -> Any:
        """The ring's mean of a closure in a file."""
        K = l96bench.get_regime(self.regime_id).K
        if content.kind == "onnx":
            closure = l96bench.OnnxClosure(content.value, K, content.name)
        else:
            closure = l96bench.EquationClosure(content.value, K)
        return lambda X: closure.predict(X).mean(axis=1)

    def export(self, model: Any) -> Content:
        """The ring's mean of a line in X is that of the same line at every point."""
        return Content("equations", "equations", [f"U[k] = {model.intercept!r} + ({model.slope!r})*X[k]"])

    @classmethod
    def example(cls) -> Example:
        content = Content("equations", "equations", ["U[k] = -0.9 * X[k]"])
        return Example("example line", "polynomial", "X", "A line.", cls("wilks-f20").id, content)


class RingLine:
    """A straight line from the ring's mean X to its mean U."""

    def fit(self, X: np.ndarray, mean: np.ndarray) -> None:
        self.slope, self.intercept = map(float, np.polyfit(X.mean(axis=1), mean, 1))

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.intercept + self.slope * X.mean(axis=1)


class RingMeanEnv(gymnasium.Env):
    """One state an episode."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (8,))
    action_space = gymnasium.spaces.Box(-50.0, 50.0, (1,))

    def __init__(self, regime: str) -> None:
        self.task = l96bench.make_task(f"ring-mean/{regime}-v1").miniature()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        arrays = self.task.arrays("train")
        row = int(self.np_random.integers(len(arrays["X"])))
        self.mean = arrays["mean"][row]
        return arrays["X"][row].astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return np.zeros(8, np.float32), -float(np.square(action[0] - self.mean)), True, False, {}


gymnasium.register("outsider/RingMean-v0", entry_point=RingMeanEnv)
