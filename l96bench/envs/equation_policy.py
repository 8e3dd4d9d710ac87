"""Policies of `EquationRecovery` as methods that find equations: they write them for any trajectory of their track."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l96bench.data.instances import RecoveryTrack
from l96bench.envs.actor import Actor, Learned
from l96bench.envs.equation_data import (
    ACTION_SCALE,
    BLOCK,
    acted,
    block_of,
    candidates_of,
    normalized,
    seen,
    stacked,
    sums_of_block,
    texts_of,
)
from l96bench.envs.equation_recovery import EquationRecoveryVectorEnv
from l96bench.envs.trained_policy import TrainedPolicy
from l96bench.equations.regression import checked_trajectory
from l96bench.errors import ModelError

__all__ = ["EquationPolicy"]


class EquationPolicy(TrainedPolicy):
    """A policy of `EquationRecovery` as a model for `equation-recovery`, by its most likely actions.

    It sees of a trajectory what it saw in the environment, and writes as many times, each time seeing what its last
    equations leave; the last ones count.

    Parameters
    ----------
    actor : Actor
        As for `TrainedPolicy`, with its attributes.
    track : RecoveryTrack
        Whose trajectories it reads: their variables and their interval.
    local : bool
        Whether every point has coefficients of its own.
    n_steps : int
        Times that it writes equations.

    Examples
    --------
    >>> import gymnasium, torch
    >>> from l96bench.envs import EquationPolicy
    >>> env = gymnasium.make("l96bench/EquationRecovery-v2", track="single", episode_steps=2)
    >>> network = torch.nn.Sequential(torch.nn.Linear(*env.observation_space.shape, *env.action_space.shape))
    >>> policy = EquationPolicy.from_torch(network, env)
    >>> policy.n_steps, policy.local
    (2, False)
    """

    def __init__(self, actor: Actor, track: RecoveryTrack, local: bool, n_steps: int) -> None:
        super().__init__(actor)
        self.track, self.local, self.n_steps = track, local, n_steps

    @classmethod
    def of(cls, learned: Learned) -> Self:
        """Return what a trained policy stands for; `ModelError` unless it was trained in `EquationRecovery`."""
        inner = learned.between.env
        if not isinstance(inner, EquationRecoveryVectorEnv):
            raise ModelError(f"expected a policy of EquationRecovery, got one of {inner}; try PolicyClosure.from_sb3")
        mean, std = inner.shown
        if learned.n_inputs == inner.agents * len(mean):  # a scalar environment lays agents side by side
            mean, std = np.tile(mean, inner.agents), np.tile(std, inner.agents)
        return cls(learned.actor(mean, std), inner.track, inner.local, inner.episode_steps)

    def fit(self, X: ArrayLike, t: ArrayLike) -> Self:
        """Write the equations of states X (time, variable) at times t (time,) in MTU.

        Raises `ModelError` for data that are not of the policy's track, or shorter than a window of the weak form.
        """
        states, interval = checked_trajectory(X, t)
        track, candidates = self.track, candidates_of(self.track)
        n = sum(each.n_targets for each in candidates)
        if states.shape[1] != n or abs(interval - track.interval) > 1e-6 * track.interval:
            raise ModelError(
                f"expected {n} variables every {track.interval:g} MTU, as on the track {track.id} where the policy was "
                f"trained, got {states.shape[1]} every {interval:g}"
            )
        blocks = range(max(1, round(len(states) * interval / BLOCK)))
        found = stacked([sums_of_block(block_of(states, track, block), track) for block in blocks])
        gram, moment, square = (part.sum(axis=0) for part in found)
        gram, moment, scale = normalized(gram, moment, square, self.local)
        actions = np.zeros_like(moment)
        for _ in range(self.n_steps):
            actions = acted(self._act(gram, moment, actions)).reshape(moment.shape)
        self._texts = texts_of(candidates, actions, scale, self.local)
        return self

    def equations(self) -> list[str]:
        """Return the equations as texts."""
        return list(self._texts)

    def _act(self, gram: NDArray, moment: NDArray, actions: NDArray) -> NDArray[np.float32]:
        """Return the next actions (agent, action) after the present ones (agent, kind, term)."""
        coefficients = ACTION_SCALE * actions
        model = np.einsum("...c,...cd->...d", coefficients, gram)
        square = 1.0 + (coefficients * (model - 2.0 * moment)).sum(axis=-1)
        row = seen(moment, moment - model, actions, np.sqrt(np.maximum(square, 0.0)))
        inputs = row.astype(np.float32).reshape(-1, len(self.actor.low))
        return self.actor.actions(inputs.astype(np.float64)).astype(np.float32)
