"""Network of seven points: the stencil network with three neighbours on either side (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, radius 3",
    kind="network",
    inputs="X_{k-3..k+3}",
    make=lambda task, seed: l96bench.LocalRegressor(l96bench.TorchRegressor(random_state=seed), radius=3),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="The stencil network with three neighbours on either side: 7-64-64-1 with GELU.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
