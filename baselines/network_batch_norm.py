"""Stencil network trained with batch norm, which is folded into its weights (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, batch norm",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(
        l96bench.TorchRegressor(batch_norm=True, random_state=seed), radius=2
    ),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Ioffe and Szegedy (2015), ICML, arXiv:1502.03167",
    description="The stencil network with batch norm before each activation, folded into the weights afterwards.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
