"""PPO of increments: a policy that corrects the forecast model inside of its filter's cycle (needs the rl extra)."""

from typing import Any

import l96bench

STEPS = 1_000_000


def make(task: l96bench.DAIncrement, seed: int) -> Any:
    import gymnasium

    from l96bench.envs import train_ppo

    env = gymnasium.make_vec(
        "l96bench/DAIncrement-v2",
        num_envs=64 * task.regime.K,
        track=task.regime_id,
        local=True,
        episode_steps=20,
        autoreset_mode="Disabled",
    )
    return train_ppo(env, gamma=0.5, steps=STEPS, seed=seed, learning_rate=5e-3, looks=0)


entry = l96bench.Entry(
    name="PPO of increments",
    kind="reinforcement learning",
    inputs="background X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    families=("da-increment",),
    source="Schulman et al. 2017, arXiv:1707.06347",
    description="One policy 5-32-32-1 shared by all points, paid for the next backgrounds; 20 windows, discount 0.5.",
    trained_on="the training archive's truth, in DAIncrement",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
