"""TD3, tendency reward: a deterministic policy that climbs a learned value of its actions (needs the rl extra)."""

from typing import Any

import l96bench

STEPS = 1_000_000


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    import numpy as np
    from stable_baselines3 import TD3
    from stable_baselines3.common.noise import NormalActionNoise

    from l96bench.envs import SB3VecEnv, train, training_rows

    env = training_rows(task, "tendency")
    model = TD3(
        "MlpPolicy",
        SB3VecEnv(env),
        gamma=0.0,
        batch_size=1024,
        train_freq=1,
        gradient_steps=8,
        learning_starts=10_240,
        learning_rate=lambda left: 1e-3 * left,
        action_noise=NormalActionNoise(np.zeros(1), np.full(1, 0.1)),
        policy_kwargs={"net_arch": [64, 64]},
        seed=1000 * seed,
        device="cpu",
    )
    return train(model, STEPS)


entry = l96bench.Entry(
    name="TD3, tendency reward",
    kind="reinforcement learning",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="One policy 5-64-64-1 shared by all points; a contextual bandit, discount 0.",
    trained_on="train, 2000 MTU, in OnlineRollout",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
