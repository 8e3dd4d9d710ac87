"""PPO on observations: one policy for all points, rewarded by its misfit to observations (needs the rl extra)."""

from typing import Any

from sklearn.base import BaseEstimator

import l96bench


class ObservedPolicy(BaseEstimator):
    """A policy that is trained on the observations that it is fitted to."""

    def __init__(self, track: str, random_state: int, steps: int = 4_000_000) -> None:
        self.track, self.random_state, self.steps = track, random_state, steps

    def fit(self, observations: Any) -> "ObservedPolicy":
        """Train PPO on 128 runs, each point an agent."""
        from l96bench.envs import ObservedClosureVectorEnv, train_ppo

        options: Any = {"episode_steps": 20, "autoreset_mode": "Disabled", "observations": observations}
        env = ObservedClosureVectorEnv(self.track, num_envs=128 * observations.K, local=True, **options)
        chosen: Any = {"gamma": 0.9, "learning_rate": 1e-2, "log_std_init": -2.0}
        self.policy = train_ppo(env, steps=self.steps, seed=self.random_state, looks=0, **chosen)
        return self

    def closure(self, dt: float) -> Any:
        """Return the policy's most likely actions as a closure."""
        return self.policy


def make(task: l96bench.ObservedClosure, seed: int) -> ObservedPolicy:
    return ObservedPolicy(task.regime_id, random_state=seed)


entry = l96bench.Entry(
    name="PPO on observations",
    kind="reinforcement learning",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    families=("observed-closure",),
    source="Schulman et al. 2017, arXiv:1707.06347",
    description="One policy 5-32-32-1 shared by all points; episodes of 0.2 MTU from analyses, discount 0.9.",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
