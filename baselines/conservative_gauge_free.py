"""Gauge-free flux: a network for the one flux S that U_k = S_{k-1} - S_{k+1} determines (needs torch)."""

import l96bench
from l96bench.estimators import FluxRegressor

entry = l96bench.Entry(
    name="gauge-free flux",
    kind="constrained",
    inputs="X_{k-3..k+3}",
    make=lambda task, seed: FluxRegressor(l96bench.TorchRegressor(random_state=seed), radius=2),
    seeds=range(5),
    regimes=("conservative-f12",),
    description="A network 5-64-64-1 trained on the smallest S with U_k = S_{k-1} - S_{k+1}: sum_k U_k = 0 exactly.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
