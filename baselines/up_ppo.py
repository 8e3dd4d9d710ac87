"""PPO for unseen physics: one policy for all points and systems, which is told h and c (needs the rl extra)."""

from typing import Any

from sklearn.base import BaseEstimator

import l96bench


class ToldPolicy(BaseEstimator):
    """A policy that is trained on the systems that it is fitted to."""

    def __init__(self, random_state: int, steps: int = 4_000_000) -> None:
        self.random_state, self.steps = random_state, steps

    def fit(self, systems: Any) -> "ToldPolicy":
        """Train PPO on 128 runs, each point an agent."""
        from l96bench.envs import InformedPolicy, UnseenPhysicsVectorEnv, train_ppo

        options: Any = {"episode_steps": 20, "autoreset_mode": "Disabled", "reward": "forecast", "told": True}
        rows = 128 * systems[0].regime.K
        env = UnseenPhysicsVectorEnv(num_envs=rows, local=True, systems=systems, **options)
        self.policy = train_ppo(
            env, gamma=0.95, steps=self.steps, seed=self.random_state, kind=InformedPolicy, learning_rate=5e-3, looks=0
        )
        return self

    def closure(self, dt: float, regime: Any) -> Any:
        """Return the policy's most likely actions, told h and c of the system."""
        return self.policy.closure(dt, regime)


def make(task: l96bench.UnseenPhysics, seed: int) -> ToldPolicy:
    return ToldPolicy(random_state=seed)


entry = l96bench.Entry(
    name="PPO, told h and c",
    kind="reinforcement learning",
    inputs="X_{k-2..k+2}, h and c",
    make=make,
    seeds=range(5),
    families=("unseen-physics",),
    source="Schulman et al. 2017, arXiv:1707.06347",
    description="One policy 7-32-32-1 shared by all points and systems; episodes of 0.2 MTU, discount 0.95.",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
