"""Flux form: a network gives S_k and is trained on U_k = S_{k-1} - S_{k+1} (needs torch)."""

import l96bench
from l96bench.estimators import ConservativeNetwork

entry = l96bench.Entry(
    name="flux form",
    kind="constrained",
    inputs="X_{k-3..k+3}",
    make=lambda task, seed: ConservativeNetwork("flux", radius=2, random_state=seed),
    seeds=range(5),
    regimes=("conservative-f12",),
    source="Yuval, O'Gorman and Hill 2021, Geophys. Res. Lett. 48, e2020GL091363, doi:10.1029/2020GL091363",
    description="U_k = S_{k-1} - S_{k+1}, S_k from a network 5-64-64-1 trained end to end: sum_k U_k = 0 exactly.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
