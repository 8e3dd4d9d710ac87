"""Policies of `UnseenPhysics` that observe more than X: told h and c, or the past, they make closures of systems."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from l96bench.envs.actor import Actor, Learned
from l96bench.envs.policy import PolicyClosure
from l96bench.envs.scaling import Scaling
from l96bench.envs.trained_policy import PointPolicy
from l96bench.envs.unseen_physics import TOLD, UnseenPhysicsVectorEnv
from l96bench.errors import ModelError
from l96bench.regimes import Regime

__all__ = ["InformedPolicy", "PastPolicyClosure"]


class PastPolicyClosure(PointPolicy):
    """The most likely action of a policy that observes the past, too, as a closure with memory.

    A run is given its past by `remember`, and every member keeps the end of it, as an agent does during an episode.

    Parameters
    ----------
    actor : Actor
        From what a row observes, in its own units, to its action.
    index : (row, width) array of int
        As for `PointPolicy`, with its attributes.
    scaling : Scaling
        As for `PointPolicy`.
    n_past : int
        Observations of the past, the latest last.

    Examples
    --------
    >>> import gymnasium, torch
    >>> import numpy as np
    >>> from l96bench import tasks
    >>> from l96bench.envs import PastPolicyClosure
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/UnseenPhysics-v1", past=2, episode_steps=10, scale=1.0)
    ...
    >>> closure = PastPolicyClosure.from_torch(torch.nn.Sequential(torch.nn.Linear(24, 8)), env)
    >>> closure.remember(np.zeros((2, 1, 8)))
    >>> closure.step(np.ones((1, 8))).shape
    (1, 8)
    """

    deterministic = True

    def __init__(self, actor: Actor, index: NDArray[np.int64], scaling: Scaling, n_past: int) -> None:
        super().__init__(actor, index, scaling)
        self.n_past = n_past
        self._past: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, learned: Learned) -> Self:
        """Return what a trained policy stands for.

        Raises `ModelError` unless it was trained in `UnseenPhysics` with a past, and without being told h and c.
        """
        actor, inner = _learned(learned)
        if inner.told or not inner.past:
            other = "InformedPolicy" if inner.told else "PolicyClosure"
            raise ModelError(f"expected a policy of an environment with past and without told; try {other}.from_sb3")
        return cls(actor, inner.observed, inner.scaling, inner.past)

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        """Forget the past."""
        self._past = None

    def remember(self, past: NDArray[np.float64]) -> None:
        """Keep the end of the past (time, member, K), 0.05 MTU apart, the latest last."""
        if len(past) < self.n_past:
            raise ModelError(f"expected a past of at least {self.n_past} observations, got {len(past)}")
        seen = np.asarray(past, dtype=np.float64)[-self.n_past :, :, self.index]  # (time, member, row, width)
        self._past = np.moveaxis(seen, 0, 2).reshape(seen.shape[1], len(self.index), -1)

    def step(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the added tendency U (member, K) for the states X (member, K)."""
        if self._past is None:
            raise ModelError("expected a past before the first step, as unseen-physics gives; try remember(past)")
        seen = np.concatenate([np.asarray(X, dtype=np.float64)[:, self.index], self._past], axis=2)
        return self.forcing(self.actor.actions(seen.reshape(-1, seen.shape[2])), np.asarray(X))


class InformedPolicy(PointPolicy):
    """A policy that is told h and c: it makes the closure of each system, an informed model of `unseen-physics`.

    Parameters
    ----------
    actor : Actor
        From what a row observes, in its own units, h and c last, to its action.
    index : (row, width) array of int
        As for `PointPolicy`, with its attributes.
    scaling : Scaling
        As for `PointPolicy`.
    n_past : int
        Observations of the past between X and h.

    Examples
    --------
    >>> import gymnasium, torch
    >>> import l96bench
    >>> from l96bench import tasks
    >>> from l96bench.envs import InformedPolicy
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = gymnasium.make("l96bench/UnseenPhysics-v1", told=True, episode_steps=10, scale=1.0)
    ...
    >>> policy = InformedPolicy.from_torch(torch.nn.Sequential(torch.nn.Linear(10, 8)), env)
    >>> policy.closure(0.01, l96bench.get_regime("wilks-f20"))
    PolicyClosure(8-8, K=8)
    """

    def __init__(self, actor: Actor, index: NDArray[np.int64], scaling: Scaling, n_past: int = 0) -> None:
        super().__init__(actor, index, scaling)
        self.n_past = n_past

    @classmethod
    def of(cls, learned: Learned) -> Self:
        """Return what a trained policy stands for; `ModelError` unless it is of `UnseenPhysics` with ``told=True``."""
        actor, inner = _learned(learned)
        if not inner.told:
            other = "PastPolicyClosure" if inner.past else "PolicyClosure"
            raise ModelError(f"expected a policy of an environment with told=True; try {other}.from_sb3")
        return cls(actor, inner.observed, inner.scaling, inner.past)

    def closure(self, dt: float, regime: Regime) -> PolicyClosure | PastPolicyClosure:
        """Return the closure of a system: the network with its h and c in the bias of the first layer."""
        actor = self.actor.given(np.array([getattr(regime, name) for name in TOLD]))
        if self.n_past:
            return PastPolicyClosure(actor, self.index, self.scaling, self.n_past)
        return PolicyClosure(actor, self.index, self.scaling)


def _learned(learned: Learned) -> tuple[Actor, UnseenPhysicsVectorEnv]:
    """Return the actor of a policy, and the environment that it was trained in; ModelError for another one."""
    inner = learned.between.env
    if not isinstance(inner, UnseenPhysicsVectorEnv):
        raise ModelError(f"expected a policy trained in UnseenPhysics-v1, got one of {type(inner).__name__}")
    return learned.actor(*inner.shown), inner
