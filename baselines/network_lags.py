"""Stencil network with memory: the stencil now, 0.05 and 0.1 MTU ago (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, 2 lags",
    kind="network",
    inputs="X_{k-2..k+2} now, 0.05 and 0.1 MTU ago",
    make=lambda task, seed: l96bench.LocalRegressor(
        l96bench.TorchRegressor(random_state=seed), radius=2, lags=(0.05, 0.1)
    ),
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    regimes=("wilks-f20", "arnold-c4"),
    description="The stencil network 15-64-64-1 of the present stencil and two earlier ones.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
