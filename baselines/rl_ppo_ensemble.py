"""PPO, ensemble reward: a stochastic closure, paid for the CRPS of its ensemble (needs the rl extra)."""

from typing import Any

import l96bench

STEPS = 1_000_000


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    from l96bench.envs import StochasticPolicyClosure, train_ppo, training_rows

    env = training_rows(task, "ensemble")
    return train_ppo(env, gamma=0.95, steps=STEPS, seed=seed, kind=StochasticPolicyClosure)


entry = l96bench.Entry(
    name="PPO, ensemble reward",
    kind="reinforcement learning",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    description="One policy 5-32-32-1 shared by all points, which keeps its noise; 2 members, episodes of 0.2 MTU.",
    trained_on="train, 2000 MTU, in OnlineRollout",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
