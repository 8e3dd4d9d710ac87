"""Ensembles in reinforcement learning: agents whose randomness is rewarded for a good probability forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorWrapper
from numpy.typing import NDArray

from l96bench.envs.checks import checked_seeds
from l96bench.envs.online_rollout import OnlineRolloutVectorEnv
from l96bench.errors import L96BenchError
from l96bench.metrics.bounds import BOUND

__all__ = ["EnsembleRolloutVectorEnv"]


class EnsembleRolloutVectorEnv(VectorWrapper):
    """`OnlineRolloutVectorEnv` with members: several systems start from each state of the truth.

    The reward is the row's own share in minus the fair CRPS of the M members of its point (Ferro 2014, Q. J. R.
    Meteorol. Soc. 140, 1917-1923), in units of the standard deviation of X:

        r_a = -|x_a - x*| + 1 / (M - 1) sum_{b != a} |x_a - x_b|

    It is what member a's choice changes in the score of the whole ensemble, so that what is best for each is best for
    all. (With half of the second term the rewards would add up to the score itself; but then no member is paid for the
    distance that it gives the others, and agents learn to act alike.) A policy that samples its actions, as PPO's does,
    keeps as much randomness as makes the best forecast; see `l96bench.envs.policy.StochasticPolicyClosure`. Episodes
    end together for all members of a state. The autoreset mode is ``DISABLED``.

    Parameters
    ----------
    regime, **options
        As for `OnlineRolloutVectorEnv`.
    num_envs : int
        Rows: members times states times K. Row ``(m n_states + i) K + k`` is point k of member m of state i.
    members : int
        M, at least 2.
    """

    env: OnlineRolloutVectorEnv

    def __init__(self, regime: str = "wilks-f20", *, num_envs: int, members: int = 2, **options: Any) -> None:
        inner = OnlineRolloutVectorEnv(
            regime, num_envs=num_envs, local=True, autoreset_mode=AutoresetMode.DISABLED, **options
        )
        if members < 2 or inner.n_systems % members or inner.reward != "forecast":
            raise L96BenchError(
                "expected from 2 members on, the forecast reward, and as many systems as make whole ensembles; got "
                f"{members} members, the {inner.reward} reward and {inner.n_systems} systems of {inner.agents} rows"
            )
        super().__init__(inner)
        self.members = members

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin episodes; state i is seeded `seed` + i, for all its members. A mask must be equal for these."""
        states = self.env.n_systems // self.members
        mask = (options or {}).get("reset_mask")
        if mask is not None and (self._by_member(mask) != self._by_member(mask)[0]).any():
            raise L96BenchError("expected reset_mask to be equal for all members of a state")
        seeds: Any = None if seed is None else checked_seeds(seed, states) * self.members
        if seeds is None and not self.env.generators:
            seeds = np.random.SeedSequence().generate_state(states).tolist() * self.members
        return self.env.reset(seed=seeds, options=options)

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Step all rows; those whose companions blew up are truncated with them."""
        observations, losses, terminated, truncated, infos = self.env.step(actions)
        std = self.env.scaling.std_X
        x, truth = (self._by_member(X.reshape(-1)) / std for X in (self.env.X, self.env.truth))
        apart = np.abs(x[:, None] - x).sum(axis=1) / (self.members - 1)
        gone = self._by_member(terminated)
        ended = gone.any(axis=0)
        # What is left of an episode that blew up counts as an error of 2 BOUND in every step.
        worst = self._by_member(losses) / (2.0 * BOUND)
        rewards = np.where(gone, worst, np.where(ended, 0.0, apart) - np.abs(x - truth))
        truncated = (truncated | np.tile(ended, self.members)) & ~terminated
        return observations, rewards.reshape(-1), terminated, truncated, infos

    def _by_member(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return values of rows as (member, state and point)."""
        return np.asarray(rows).reshape(self.members, -1)
