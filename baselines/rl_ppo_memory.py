"""PPO with memory and red noise: a policy that draws U from the past of X, paid for its CRPS (needs the rl extra)."""

from typing import Any

import l96bench

STEPS = 16_000_000
NOISE = {"wilks-f20": 0.08, "arnold-c4": 0.15}
"""MTU over which the noise's correlation falls to 1/e, chosen by the score on a fresh draw of other states."""


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    import gymnasium

    from l96bench.envs import MemoryPolicyClosure, TwinShares, train_ppo

    env = gymnasium.make_vec(
        "l96bench/OnlineRollout-v2",
        num_envs=512 * task.regime.K,
        regime=task.regime_id,
        local=True,
        reward="ensemble",
        members=4,
        episode_steps=1,
        past=10,
        noise=[NOISE[task.regime_id]],
        autoreset_mode="Disabled",
    )
    options: Any = {"n_steps": 2, "net_arch": (64, 64), "activation": "gelu", "vf_coef": 0.0, "learning_rate": 4e-3}
    options |= {"clip_range": 0.3, "log_std_init": -2.5, "log_std_final": -4.5}
    return train_ppo(TwinShares(env), gamma=0.0, steps=STEPS, seed=seed, kind=MemoryPolicyClosure, **options)


entry = l96bench.Entry(
    name="PPO with memory and red noise",
    kind="reinforcement learning",
    inputs="X_{k-2..k+2} and its past",
    make=make,
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    regimes=("wilks-f20", "arnold-c4"),
    source="Schulman et al. 2017, arXiv:1707.06347",
    description="One policy 56-64-64-1 shared by all points, which sees 0.5 MTU of past and noise; one-step episodes.",
    trained_on="train, 2000 MTU, in OnlineRollout",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
