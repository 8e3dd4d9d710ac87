"""Policies that see the past of their run, and noise, as closures with a memory, and as ONNX files with a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from l96bench.dynamics.closures import MODEL_DT
from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.dynamics.past_states import PastStates
from l96bench.dynamics.steps import Block, StepForm, SteppedClosure
from l96bench.envs.actor import Actor, Learned
from l96bench.envs.closure_env import ClosureEnv
from l96bench.envs.memory import red_decay
from l96bench.envs.scaling import Scaling
from l96bench.envs.trained_policy import PointPolicy
from l96bench.errors import ModelError

__all__ = ["MemoryPolicyClosure"]


class MemoryPolicyClosure(PointPolicy, SteppedClosure):
    """The most likely action of a policy that sees the past of its run, or red noise, as `OnlineRollout` shows them.

    With a noise it is a stochastic closure: what the policy makes of the noise is its draw. A run is given its past by
    `remember`, as in `online-rollout`; without one its first state stands in for it.

    Parameters
    ----------
    actor : Actor
        From what a row observes, in its own units, to its action.
    index : (row, width) array of int
        As for `PointPolicy`, with its attributes.
    scaling : Scaling
        As for `PointPolicy`.
    n_past : int
        Past states that a row observes behind X, 0.05 MTU apart, the latest last.
    noise : sequence of float
        Times in MTU of the red noises that it observes behind them.

    Examples
    --------
    >>> import gymnasium, torch
    >>> from l96bench import tasks
    >>> from l96bench.envs import MemoryPolicyClosure
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/OnlineRollout-v2", local=True, past=2, noise=[0.1])
    ...
    >>> closure = MemoryPolicyClosure.from_torch(torch.nn.Sequential(torch.nn.Linear(16, 1)), env)
    >>> closure, closure.deterministic
    (MemoryPolicyClosure(16-1, K=8), False)
    """

    def __init__(
        self, actor: Actor, index: NDArray[np.int64], scaling: Scaling, n_past: int, noise: Sequence[float] = ()
    ) -> None:
        PointPolicy.__init__(self, actor, index, scaling)
        self.n_past, self.noise = n_past, tuple(noise)
        SteppedClosure.__init__(self, _MemoryStep(self))

    @classmethod
    def of(cls, learned: Learned) -> Self:
        """Return what a trained policy stands for; `ModelError` unless its environment shows past or noise."""
        inner = learned.between.env
        if not isinstance(inner, ClosureEnv) or inner.memory is None:
            raise ModelError(f"expected a policy trained in an environment with past or noise, got one of {inner}")
        if learned.n_inputs != inner.shown.shape[1]:
            raise ModelError("expected a policy of a batch of rows, got one of a scalar environment with local=True")
        return cls(learned.actor(*inner.shown), inner.observed, inner.scaling, inner.memory.past, inner.memory.noise)


class _MemoryStep:
    """The step of a `MemoryPolicyClosure`; its state is the past and the noises."""

    dtype = np.float64

    def __init__(self, policy: MemoryPolicyClosure) -> None:
        self.policy, self.K, self.n_parameters = policy, policy.K, policy.n_parameters
        decay = red_decay(policy.noise)
        self.factors = decay, np.sqrt(1.0 - decay**2)
        self.states = PastStates(self.K, policy.n_past) if policy.n_past else None
        n = len(policy.noise) * self.K
        red = Block(n, MODEL_DT, "normal"), Block(n, MODEL_DT)
        state, noise = (((each,) if n else ()) for each in red)
        past = () if self.states is None else (self.states.block,)
        self.form = StepForm((*past, *state), noise, past=self.states is not None)

    def __call__(
        self, X: NDArray, state: NDArray, noise: NDArray, uniform: NDArray
    ) -> tuple[NDArray, NDArray, NDArray | None]:
        """Return U (n, K) and the next state; see `l96bench.dynamics.steps.Step`."""
        policy, n = self.policy, noise.shape[1]
        states, following = np.asarray(X, dtype=np.float64)[:, None], state[:, :0]
        if self.states is not None:
            states, following = self.states(X, state[:, : self.states.block.size])
        frames = states[:, [0, *range(policy.n_past, 0, -1)]][..., policy.index].swapaxes(1, 2)
        seen = frames.reshape(len(X) * len(policy.index), -1)
        if n:
            kept, fresh = (np.repeat(factor, self.K) for factor in self.factors)
            red = kept * state[:, state.shape[1] - n :] + fresh * noise
            own = red.reshape(len(X), len(policy.noise), len(policy.index), -1).swapaxes(1, 2)
            seen = np.hstack([seen, own.reshape(len(seen), -1)])
            following = np.hstack([following, red])
        return policy.forcing(policy.actor.actions(seen), X), following, None

    def graph(self, builder: GraphBuilder, x: str, K: int) -> str:
        """Add the step's graph; see `Closure`."""
        policy, n_rows = self.policy, len(self.policy.index)
        everything = x if self.states is None else self.states.graph(builder, x)
        index = np.concatenate([i * K + policy.index for i in (0, *range(policy.n_past, 0, -1))], axis=1)
        seen = builder.reshape(builder.gather(everything, index), -1, n_rows, index.shape[1])
        if n := len(policy.noise) * K:
            before = builder.state(n, np.float64, "normal", MODEL_DT, past=False)
            kept, fresh = (
                builder.node("Mul", builder.constant(np.repeat(factor, K), np.float64), each)
                for factor, each in zip(self.factors, (before, builder.noise(n, np.float64, MODEL_DT)), strict=True)
            )
            red = builder.node("Add", kept, fresh)
            builder.keep(before, red)
            by_row = np.arange(n).reshape(len(policy.noise), n_rows, -1).swapaxes(0, 1).reshape(n_rows, -1)
            own = builder.reshape(builder.gather(red, by_row), -1, n_rows, by_row.shape[1])
            seen = builder.node("Concat", seen, own, axis=2)
        width = len(policy.actor.low)
        inputs = builder.clipped(builder.reshape(seen, -1, width), policy.actor.low, policy.actor.high)
        outputs = builder.regressor(inputs, policy.actor.network, width)
        return policy.forcing_graph(builder, outputs, K)

    def __repr__(self) -> str:
        return f"MemoryStep({self.policy!r})"
