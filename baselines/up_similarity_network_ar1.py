"""Similarity network with AR(1) (informed; needs torch)."""

import l96bench
from l96bench.estimators import SimilarityNetwork

entry = l96bench.Entry(
    name="similarity network + AR(1)",
    kind="network",
    inputs="X_{k-2..k+2}, h and c",
    make=lambda task, seed: SimilarityNetwork(random_state=seed),
    seeds=range(5),
    families=("unseen-physics",),
    source="scaled equations of the fast variables; Wilks 2005, doi:10.1256/qj.04.03",
    description="A network for U / (h c) given h X at five neighbouring points, and log c, with red noise.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
