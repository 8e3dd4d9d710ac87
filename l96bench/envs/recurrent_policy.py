"""Recurrent policies as closures with a memory, and as ONNX files with a state."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import MODEL_DT
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.envs.actor import Actor, Layer, Learned
from l96bench.envs.scaling import Scaling
from l96bench.envs.trained_policy import PointPolicy

__all__ = ["RecurrentPolicyClosure"]


class RecurrentPolicyClosure(PointPolicy):
    """The most likely action of a policy with an LSTM, which remembers what it saw since the start of a run.

    Parameters
    ----------
    actor : Actor
        From the output of the memory to an action.
    index : (row, width) array of int
        As for `PointPolicy`, with its attributes.
    scaling : Scaling
        As for `PointPolicy`.
    memory : tuple of (weight, bias)
        The LSTM, as `Learned` has it, from the X that a row observes, in its own units.

    Examples
    --------
    >>> import gymnasium
    >>> import sb3_contrib
    >>> from l96bench import tasks
    >>> from l96bench.envs import RecurrentPolicyClosure, SB3VecEnv
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = SB3VecEnv(gymnasium.make_vec("l96bench/SubgridForcing-v2", num_envs=8, local=True))
    ...
    >>> model = sb3_contrib.RecurrentPPO("MlpLstmPolicy", env, n_steps=2, policy_kwargs={"lstm_hidden_size": 4})
    >>> closure = RecurrentPolicyClosure.from_sb3(model)
    >>> len(closure.memory)
    1
    """

    deterministic = True

    def __init__(self, actor: Actor, index: NDArray[np.int64], scaling: Scaling, memory: tuple[Layer, ...]) -> None:
        super().__init__(actor, index, scaling)
        self.memory = memory
        self.start(0, np.random.default_rng(0))

    @classmethod
    def of(cls, learned: Learned) -> Self:
        """Return what a trained policy stands for; `ModelError` unless it is recurrent and sees X alone."""
        index, mean, std, scaling = cls.points(learned)
        memory, actor = learned.remembering(mean, std)
        return cls(actor, index, scaling, memory)

    @property
    def n_parameters(self) -> int:
        """The number of trained weights, one bias for each gate."""
        return self.actor.network.n_parameters + sum(weight.size + bias.size for weight, bias in self.memory)

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget everything."""
        rows = n_members * len(self.index)
        self._kept = [np.zeros((2, rows, len(bias) // 4)) for _, bias in self.memory]

    def step(self, X: NDArray) -> NDArray:
        """Return the added tendency U (member, K) for the states X (member, K)."""
        passed = np.clip(self.observed(X), self.actor.low, self.actor.high)
        for (weight, bias), kept in zip(self.memory, self._kept, strict=True):
            gates = np.concatenate([passed, kept[0]], axis=1) @ weight.T + bias
            taken, left, new, shown = np.split(gates, 4, axis=1)
            kept[1] = _sigmoid(left) * kept[1] + _sigmoid(taken) * np.tanh(new)
            kept[0] = passed = _sigmoid(shown) * np.tanh(kept[1])
        return self.forcing(self.actor.acted(passed), np.asarray(X))

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Return the memory's graph and that of the actions; see `Closure`."""
        passed, rows = self.observed_graph(builder, x), len(self.index)
        for weight, bias in self.memory:
            n = len(bias) // 4
            output, cell = (builder.state(rows * n, np.float64, interval=MODEL_DT, past=False) for _ in range(2))
            given = builder.node("Concat", passed, builder.reshape(output, -1, n), axis=1)
            taken, left, new, shown = (
                builder.linear(given, weight[i * n : (i + 1) * n], bias[i * n : (i + 1) * n]) for i in range(4)
            )
            held = builder.node("Mul", builder.node("Sigmoid", left), builder.reshape(cell, -1, n))
            added = builder.node("Mul", builder.node("Sigmoid", taken), builder.node("Tanh", new))
            following = builder.node("Add", held, added)
            passed = builder.node("Mul", builder.node("Sigmoid", shown), builder.node("Tanh", following))
            builder.keep(output, builder.reshape(passed, -1, rows * n))
            builder.keep(cell, builder.reshape(following, -1, rows * n))
        return self.forcing_graph(builder, builder.regressor(passed, self.actor.network, n), K)


def _sigmoid(x: NDArray) -> NDArray:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))
