"""Stencil network for increments: a small network, shared by all points, sees five points of the background."""

import l96bench

entry = l96bench.Entry(
    name="increment network",
    kind="network",
    inputs="background X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(
        l96bench.TorchRegressor(weight_decay=0.01, random_state=seed), radius=2
    ),
    seeds=range(5),
    families=("da-increment",),
    source="form: Brajard et al. 2021, Phil. Trans. R. Soc. A 379, 20200086",
    description="A network 5-64-64-1 with GELU, trained on the increments with weight decay.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
