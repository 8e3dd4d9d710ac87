"""Deep stencil network: as many weights as the stencil network's in six plain hidden layers (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, deep",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(
        l96bench.TorchRegressor(hidden=6 * (32,), epochs=12, batch_size=512, random_state=seed), radius=2
    ),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="A network of six hidden layers of 32 units with GELU, without connections past them.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
