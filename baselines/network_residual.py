"""Residual stencil network: the deep one with a connection past each of its layers (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, residual",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(
        l96bench.TorchRegressor(hidden=6 * (32,), residual=True, epochs=12, batch_size=512, random_state=seed), radius=2
    ),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="He et al. (2016), CVPR, arXiv:1512.03385",
    description="The deep network, each hidden layer after the first adding its inputs to its outputs.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
