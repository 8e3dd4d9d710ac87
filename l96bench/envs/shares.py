"""Credit for the members of an ensemble in training: what each one's own choice changes in the score of all."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from l96bench.envs.online_rollout import OnlineRolloutVectorEnv
from l96bench.errors import L96BenchError

__all__ = ["MemberShares"]


class MemberShares(VectorWrapper):
    """The ensemble reward of `OnlineRollout`, less the part of it that is none of a member's own doing.

    Members run on their own, so the errors of the others do not depend on what member a does, and are noise in what it
    learns from. Without them the reward is its share, over M times the reward's unit::

        r_a = -|x_a - x*| + 1 / (M - 1) sum_{b != a} |x_a - x_b|

    Its derivative by x_a is that of the score, so that the same policies are best. But the shares do not add up to the
    score, and can be more than those of the truth: this is for training, not for judging a policy. Where an episode is
    terminated the reward stays as it is.

    Parameters
    ----------
    env : VectorEnv
        ``l96bench/OnlineRollout-v2`` with ``local=True, reward="ensemble", autoreset_mode="Disabled"``; else
        `L96BenchError`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> from l96bench.envs import MemberShares
    >>> options = dict(local=True, reward="ensemble", scale=1.0, autoreset_mode="Disabled")
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = MemberShares(gymnasium.make_vec("l96bench/OnlineRollout-v2", num_envs=16, **options))
    ...
    >>> seen, info = env.reset(seed=0)
    >>> env.step(0.0 * env.action_space.sample())[1].shape
    (16,)
    """

    def __init__(self, env: VectorEnv, difference: bool = False) -> None:
        super().__init__(env)
        inner = env.unwrapped
        ensemble = isinstance(inner, OnlineRolloutVectorEnv) and inner.members > 1 and inner.local
        if not ensemble or env.metadata["autoreset_mode"] is not AutoresetMode.DISABLED:
            raise L96BenchError(
                f"expected OnlineRollout-v2 with local=True, reward='ensemble', autoreset_mode='Disabled', got {env}"
            )
        self._inner: Any = inner
        self.difference = difference

    def reset(self, **kw):
        seen, info = self.env.reset(**kw)
        return self._alike(seen), info

    def _alike(self, seen):
        if self.difference:
            inner = self._inner
            C = len(inner.noise)
            by = seen.reshape(inner.n_systems, inner.members // 2, 2, inner.regime.K, -1)
            by[:, :, 1, :, -C:] = by[:, :, 0, :, -C:]
        return seen

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Step all rows; see `BatchedEnv.step`."""
        seen, rewards, terminated, truncated, infos = self.env.step(actions)
        seen = self._alike(seen)
        inner, M = self._inner, self._inner.members
        x = inner.reached.reshape(inner.n_systems, M, -1)
        error = np.abs(x - inner.truth[:, None])
        apart = np.abs(x[:, :, None] - x[:, None]).sum(axis=2)
        shares = (apart / (M - 1) - error) / M
        if self.difference:
            n = inner.n_systems
            twins = x.reshape(n, M // 2, 2, -1)
            others = np.abs(twins[:, :, :, None, None] - twins[:, None, None]).sum(axis=4)  # (n, pair, 2, pair, K)
            own = np.einsum("npqpk->npqk", others)
            apart = (others.sum(axis=3) - own).reshape(x.shape) / (M - 2)
            paid = (apart - error).reshape(twins.shape)
            shares = (paid - paid[:, :, ::-1]).reshape(x.shape) / M
        shares = shares.reshape(-1) / inner.unit
        return seen, np.where(terminated, rewards, shares), terminated, truncated, infos
