"""The bases of what trained policies become: the network, and what lies between it and the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from l96bench.dynamics.graph_builder import GraphBuilder
from l96bench.envs.actor import Actor, Learned
from l96bench.envs.closure_env import PointEnv
from l96bench.envs.scaling import REACH, Scaling
from l96bench.errors import ModelError
from l96bench.files import write_atomic
from l96bench.graphs.models import exported

__all__ = ["PointPolicy", "TrainedPolicy"]


class TrainedPolicy:
    """The base of what policies become.

    Parameters
    ----------
    actor : Actor
        From what a row observes, in its own units, to its action.

    Attributes
    ----------
    n_parameters : int
    learning_curve : dict of lists
        The curve of `l96bench.envs.training.train`; empty for other policies.

    Examples
    --------
    >>> import gymnasium, torch
    >>> from l96bench import tasks
    >>> from l96bench.envs import PolicyClosure, TrainedPolicy
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/SubgridForcing-v2", local=True)
    ...
    >>> policy = PolicyClosure.from_torch(torch.nn.Sequential(torch.nn.Linear(5, 1)), env)
    >>> isinstance(policy, TrainedPolicy), policy.n_parameters, policy.learning_curve
    (True, 6, {})
    """

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.learning_curve: dict[str, list[float]] = {}

    @classmethod
    def from_sb3(cls, model: Any, env: Any = None) -> Self:
        """Return what a model of stable-baselines3, sb3-contrib or sbx stands for.

        Raises `ModelError` if the policy has another form, or observes what a closure does not have.

        Parameters
        ----------
        model : PPO, A2C, TD3, DDPG, SAC, TQC, RecurrentPPO, ...
            With a ``MlpPolicy`` of fully connected layers, or RecurrentPPO with a ``MlpLstmPolicy``.
        env : optional
            The l96bench environment that it was trained in, where it is no longer ``model.get_env()``, as of a loaded
            model: with its wrappers, such as `RescaleAction`, and the `VecNormalize` that was saved beside the model,
            neither of which a model knows by itself.
        """
        return cls.of(Learned.from_sb3(model, env))

    @classmethod
    def from_torch(cls, network: torch.nn.Sequential, env: Any, std: Any = None) -> Self:
        """Return what a policy of any other library stands for.

        Raises `ModelError` if the network has another form, or observes what a closure does not have.

        Parameters
        ----------
        network : torch.nn.Sequential
            Of Linear layers with one activation between them, from a row's observation, as `env` shows it, to its
            action, in the box that `env` takes. A last Tanh squashes actions; without it they are cut off at the box.
        env : gymnasium environment
            The l96bench environment that it was trained in, with the wrappers around it. Its scaling, which is
            documented at `Scaling`, and that of the wrappers become part of the closure.
        std : array_like, optional
            Standard deviations of the actions, for `StochasticPolicyClosure`.
        """
        return cls.of(Learned.from_torch(network, env, std))

    @classmethod
    def of(cls, learned: Learned) -> Self:
        """Return what a trained policy stands for; `ModelError` if it observes what this kind does not have."""
        raise NotImplementedError

    @property
    def n_parameters(self) -> int:
        """The number of trained weights."""
        return self.actor.network.n_parameters

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.actor!r})"


class PointPolicy(TrainedPolicy):
    """The base of what policies become that see X and act at its points.

    Parameters
    ----------
    actor : Actor
        As for `TrainedPolicy`, with its attributes.
    index : (row, width) array of int
        The points that each row observes: stencils, or the whole state.
    scaling : Scaling
        Of the environment that the policy was trained in.

    Examples
    --------
    >>> import gymnasium, torch
    >>> from l96bench import tasks
    >>> from l96bench.envs import PointPolicy, PolicyClosure
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/SubgridForcing-v2", local=True)
    ...
    >>> policy = PolicyClosure.from_torch(torch.nn.Sequential(torch.nn.Linear(5, 1)), env)
    >>> isinstance(policy, PointPolicy), policy.index[0]
    (True, array([6, 7, 0, 1, 2]))
    """

    def __init__(self, actor: Actor, index: NDArray[np.int64], scaling: Scaling) -> None:
        super().__init__(actor)
        self.index, self.scaling = np.array(index), scaling
        self.K = len(self.index) * len(actor.network.intercepts_[-1])

    @classmethod
    def points(cls, learned: Learned) -> tuple[NDArray[np.int64], NDArray, NDArray, Scaling]:
        """Return the points that each row of a policy observes, their mean and std (width,), and the scaling.

        Raises `ModelError` if the policy observes other things than X.
        """
        inner = learned.between.env
        if not isinstance(inner, PointEnv):
            raise ModelError(f"expected a policy that sees X and acts at its points, got one of {inner}")
        index, (mean, std) = inner.observed, inner.shown
        if len(mean) > index.shape[1]:
            raise ModelError(
                f"expected a policy that observes X alone, got one of an environment that shows {len(mean)} values; "
                "try InformedPolicy.from_sb3 with told=True, PastPolicyClosure.from_sb3 with the past of UnseenPhysics "
                "alone, and MemoryPolicyClosure.from_sb3 with that of another environment, or noise"
            )
        if learned.n_inputs == index.size:  # a scalar environment lays side by side what points observe
            index, mean, std = index.reshape(1, -1), np.tile(mean, len(index)), np.tile(std, len(index))
        return index, mean, std, inner.scaling

    @property
    def reach_U(self) -> float:
        """The distance of an action of 1 from mean_U."""
        return REACH * self.scaling.std_U

    def observed(self, X: NDArray) -> NDArray:
        """Return what the rows of states X (n, K) observe, (n row, width), in its own units."""
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.K:
            raise ModelError(f"The policy was trained on K = {self.K} points; X has shape {X.shape}.")
        return X[:, self.index].reshape(-1, self.index.shape[1])

    def observed_graph(self, builder: GraphBuilder, x: str) -> str:
        """Return the graph of the network's inputs."""
        rows = builder.reshape(builder.gather(x, self.index), -1, self.index.shape[1])
        return builder.clipped(rows, self.actor.low, self.actor.high)

    def forcing(self, actions: NDArray, X: NDArray) -> NDArray:
        """Return U (n, K) of actions at the points of states X (n, K)."""
        return self.scaling.mean_U + self.reach_U * actions.reshape(X.shape)

    def forcing_graph(self, builder: GraphBuilder, outputs: str, K: int) -> str:
        """Return the graph of U (n, K), from that of the network's outputs."""
        actions = builder.node("Tanh", outputs) if self.actor.squashed else builder.clipped(outputs, -1.0, 1.0)
        return self.scaled_graph(builder, actions, K)

    def scaled_graph(self, builder: GraphBuilder, actions: str, K: int) -> str:
        """Return the graph of U (n, K), from that of actions."""
        scaled = builder.node("Mul", actions, builder.constant(self.reach_U, np.float64))
        return builder.reshape(builder.node("Add", scaled, builder.constant(self.scaling.mean_U, np.float64)), -1, K)

    def to_onnx(self, path: str | Path) -> Path:
        """Write the closure as an ONNX file, all scaling inside: from X (n, K) to U (n, K), and with its state."""
        path = Path(path)
        write_atomic(path, exported(self, self.K, path.name).data)
        return path

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.actor!r}, K={self.K})"
