"""Stencil network with longer memory: five earlier stencils, all inputs made uncorrelated (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, whitened lags",
    kind="network",
    inputs="X_{k-2..k+2} now and 0.05 .. 0.25 MTU ago",
    make=lambda task, seed: l96bench.LocalRegressor(
        l96bench.TorchRegressor(whiten=True, random_state=seed), radius=2, lags=(0.05, 0.1, 0.15, 0.2, 0.25)
    ),
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    regimes=("wilks-f20", "arnold-c4"),
    description="A network 30-64-64-1 of the present stencil and five earlier ones, trained on whitened inputs.",
    source="Kessy, Lewin and Strimmer (2018), Am. Stat. 72, 309-314: ZCA-cor whitening",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
