"""PPO of equations: a policy that reads correlations and writes coefficients (needs the rl extra)."""

from typing import Any

import l96bench

STEPS = 1_600_000


def make(task: l96bench.EquationRecovery, seed: int) -> Any:
    import gymnasium

    from l96bench.envs import EquationPolicy, train_ppo

    env = gymnasium.make_vec(
        "l96bench/EquationRecovery-v2", num_envs=128, track=task.regime_id, autoreset_mode="Disabled"
    )
    return train_ppo(
        env,
        gamma=0.0,
        steps=STEPS,
        seed=seed,
        kind=EquationPolicy,
        looks=0,
        batch_size=1024,
        learning_rate=3e-3,
        net_arch=(64, 64),
        log_std_init=-3.0,
    )


entry = l96bench.Entry(
    name="PPO of equations",
    kind="reinforcement learning",
    inputs="correlations of candidate terms",
    make=make,
    seeds=range(5),
    families=("equation-recovery",),
    source="Schulman et al. 2017, arXiv:1707.06347",
    description="One policy with two layers of 64 units, which rewrites its equations 20 times; discount 0.",
    trained_on="ten other instances of the track, whose true equations the reward knows",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
