"""PPO of subgrid forcing: a policy that is paid for the true U of states, with no model (needs the rl extra)."""

from typing import Any

import l96bench

STEPS = 1_000_000


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    import gymnasium

    from l96bench.envs import train_ppo

    env = gymnasium.make_vec(
        "l96bench/SubgridForcing-v2",
        num_envs=128 * task.regime.K,
        regime=task.regime_id,
        local=True,
        autoreset_mode="Disabled",
    )
    return train_ppo(env, gamma=0.0, steps=STEPS, seed=seed)


entry = l96bench.Entry(
    name="PPO of subgrid forcing",
    kind="reinforcement learning",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Schulman et al. 2017, arXiv:1707.06347",
    description="One policy 5-32-32-1 shared by all points; states of the training data, discount 0.",
    trained_on="train, 2000 MTU, in SubgridForcing",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
