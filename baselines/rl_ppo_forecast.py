"""PPO, forecast reward: errors grow through the model for 0.2 MTU, and count all the way (needs the rl extra)."""

from typing import Any

import l96bench

STEPS = 1_000_000


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    from l96bench.envs import train_ppo, training_rows

    return train_ppo(training_rows(task, "forecast"), gamma=0.95, steps=STEPS, seed=seed)


entry = l96bench.Entry(
    name="PPO, forecast reward",
    kind="reinforcement learning",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    description="One policy 5-32-32-1 shared by all points; episodes of 0.2 MTU, discount 0.9.",
    trained_on="train, 2000 MTU, in OnlineRollout",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
