"""Penalized mean: the momentum that the network makes is added to its loss (needs torch)."""

import l96bench
from l96bench.estimators import ConservativeNetwork

entry = l96bench.Entry(
    name="penalized mean",
    kind="constrained",
    inputs="X_{k-3..k+3}",
    make=lambda task, seed: ConservativeNetwork("penalty", weight=10.0, radius=3, random_state=seed),
    seeds=range(5),
    regimes=("conservative-f12",),
    source="Beucler et al. 2021, Phys. Rev. Lett. 126, 098302, doi:10.1103/PhysRevLett.126.098302",
    description="The free network with 10 (sum_k U_k)^2 / K in its loss beside the squared errors.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
