"""Stencil network: one small network, shared by all points, maps X_{k-2} .. X_{k+2} to U_k (needs the torch extra)."""

import l96bench

entry = l96bench.Entry(
    name="stencil network",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(l96bench.TorchRegressor(random_state=seed), radius=2),
    seeds=range(5),
    description="A network 5-64-64-1 with GELU, trained by Adam on the squared error of U.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
