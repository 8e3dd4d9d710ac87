"""Credit for the members of an ensemble in training: what each one's own choice changes in the score of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from l96bench.envs.online_rollout import OnlineRolloutVectorEnv
from l96bench.errors import L96BenchError

__all__ = ["MemberShares", "TwinShares"]


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

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        inner = env.unwrapped
        ensemble = isinstance(inner, OnlineRolloutVectorEnv) and inner.reward == "ensemble" and inner.local
        if not ensemble or env.metadata["autoreset_mode"] is not AutoresetMode.DISABLED:
            raise L96BenchError(
                f"expected OnlineRollout-v2 with local=True, reward='ensemble', autoreset_mode='Disabled', got {env}"
            )
        self._inner: Any = inner

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Step all rows; see `BatchedEnv.step`."""
        seen, rewards, terminated, truncated, infos = self.env.step(actions)
        x = self._inner.X.reshape(self._inner.n_systems, self._inner.members, -1)
        shares = self._shared(x, np.abs(x - self._inner.truth[:, None])).reshape(-1)
        shares /= self._inner.members * self._inner.scale * self._inner.scaling.std_X
        return seen, np.where(terminated, rewards, shares), terminated, truncated, infos

    def _shared(self, x: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the shares of members x (system, member, K) with these errors, M times, in units of X."""
        apart = np.abs(x[:, :, None] - x[:, None]).sum(axis=2) / (x.shape[1] - 1)
        return np.asarray(apart - error)


class TwinShares(MemberShares):
    """The ensemble rewards of `OnlineRollout` with noise: what a member's own exploration changes in the score.

    Members 2m and 2m + 1 are twins: they see the same noise. So what tells them apart is nothing but how their actions
    were explored, and the reward of each is its advantage over its twin, against all members but these two::

        r_a = s_a - s_twin,        s_a = -|x_a - x*| + mean_b |x_a - x_b|

    over M times the reward's unit. The twin's part does not depend on what member a does: it is the best baseline that
    there is (Williams 1992, doi:10.1007/BF00992696), and a value network is not needed. The rewards of twins add up to
    zero. This is for training alone, as `MemberShares` is.

    Parameters
    ----------
    env : VectorEnv
        As for `MemberShares`, with `noise` and an even number of members from 4 on; else `L96BenchError`.

    Examples
    --------
    >>> import gymnasium
    >>> from l96bench import tasks
    >>> from l96bench.envs import TwinShares
    >>> options = dict(local=True, reward="ensemble", members=4, noise=[0.1], scale=1.0, autoreset_mode="Disabled")
    >>> with tasks.tasks_given_as(lambda task: task.miniature()):  # a small sample, which needs no data
    ...     env = TwinShares(gymnasium.make_vec("l96bench/OnlineRollout-v2", num_envs=32, **options))
    ...
    >>> seen, info = env.reset(seed=0)
    >>> bool((seen[:8, -1] == seen[8:16, -1]).all())
    True
    """

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        memory, members = self._inner.memory, self._inner.members
        if memory is None or not memory.noise or members % 2 or members < 4:
            raise L96BenchError(f"expected noise and an even number of members from 4 on, got {env}")

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin new episodes; see `BatchedEnv.reset`."""
        seen, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self._alike(seen), infos

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Step all rows; see `BatchedEnv.step`."""
        seen, rewards, terminated, truncated, infos = super().step(actions)
        return self._alike(seen), rewards, terminated, truncated, infos

    def _alike(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """Show every second member the noise of the one before."""
        by_pair = seen.reshape(self._inner.n_systems, self._inner.members // 2, 2, self._inner.regime.K, -1)
        noises = by_pair[..., -len(self._inner.memory.noise) :]
        noises[:, :, 1] = noises[:, :, 0]
        return seen

    def _shared(self, x: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
        n, M, K = x.shape
        apart = np.abs(x[:, :, None] - x[:, None]).reshape(n, M, M // 2, 2, K).sum(axis=(2, 3))
        between = np.abs(x[:, 0::2] - x[:, 1::2])
        apart -= np.repeat(between, 2, axis=1)
        own = (apart / (M - 2) - error).reshape(n, M // 2, 2, K)
        return np.asarray(own - own[:, :, ::-1]).reshape(x.shape)
