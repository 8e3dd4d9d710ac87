"""Stencil network with weight decay: 4,609 weights learn from 320,000 rows, and may not need it (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, weight decay",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(
        l96bench.TorchRegressor(weight_decay=0.01, random_state=seed), radius=2
    ),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Loshchilov and Hutter (2019), ICLR, arXiv:1711.05101",
    description="The stencil network with decoupled weight decay 0.01.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
