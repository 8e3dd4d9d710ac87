"""PPO, climate reward: only the statistics of an episode count, no path of the truth (needs the rl extra)."""

from typing import Any

import l96bench

STEPS = 4_000_000


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    from l96bench.envs import train_ppo, training_rows

    return train_ppo(training_rows(task, "climate", episode_steps=200), gamma=0.99, steps=STEPS, seed=seed)


entry = l96bench.Entry(
    name="PPO, climate reward",
    kind="reinforcement learning",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="One policy 5-32-32-1 shared by all points; episodes of 2 MTU, discount 0.99.",
    trained_on="train, 2000 MTU, in OnlineRollout",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
