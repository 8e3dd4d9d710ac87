"""Free network: no constraint, with the reach of the flux forms (needs torch)."""

import l96bench
from l96bench.estimators import ConservativeNetwork

entry = l96bench.Entry(
    name="free network, radius 3",
    kind="constrained",
    inputs="X_{k-3..k+3}",
    make=lambda task, seed: ConservativeNetwork("none", radius=3, random_state=seed),
    seeds=range(5),
    regimes=("conservative-f12",),
    description="A network 7-64-64-1 for U_k itself, which may make momentum.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
