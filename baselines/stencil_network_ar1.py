"""Stencil network + AR(1): the stencil network and a red-noise residual of its training errors (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="stencil network + AR(1)",
    kind="stochastic",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.AR1Regressor(
        l96bench.LocalRegressor(l96bench.TorchRegressor(random_state=seed), radius=2)
    ),
    seeds=range(5),
    description="The stencil network plus a first-order autoregression of its residual, independent at every point.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
