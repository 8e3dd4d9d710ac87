"""Staggered flux: a network gives the flux at k + 1/2 and is trained on its differences (needs torch)."""

import l96bench
from l96bench.estimators import ConservativeNetwork

entry = l96bench.Entry(
    name="staggered flux",
    kind="constrained",
    inputs="X_{k-3..k+3}",
    make=lambda task, seed: ConservativeNetwork("staggered flux", radius=3, random_state=seed),
    seeds=range(5),
    regimes=("conservative-f12",),
    source="Yuval, O'Gorman and Hill 2021, Geophys. Res. Lett. 48, e2020GL091363, doi:10.1029/2020GL091363",
    description="U_k = G_{k-1/2} - G_{k+1/2}, G from a network 6-64-64-1 at the edges: sum_k U_k = 0 exactly.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
