"""Network of three points: the stencil network with one neighbour on either side (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, radius 1",
    kind="network",
    inputs="X_{k-1..k+1}",
    make=lambda task, seed: l96bench.LocalRegressor(l96bench.TorchRegressor(random_state=seed), radius=1),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="The stencil network with one neighbour on either side: 3-64-64-1 with GELU.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
