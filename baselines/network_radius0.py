"""Network of one point: the stencil network that sees X_k alone, as the literature's polynomials do (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, radius 0",
    kind="network",
    inputs="X_k",
    make=lambda task, seed: l96bench.LocalRegressor(l96bench.TorchRegressor(random_state=seed), radius=0),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="The stencil network without neighbours: 1-64-64-1 with GELU.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
