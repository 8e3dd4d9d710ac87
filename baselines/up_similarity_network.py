"""Similarity network: U / (h c) given h X at five points, and log c (informed; needs torch)."""

import l96bench
from l96bench.estimators import SimilarityNetwork

entry = l96bench.Entry(
    name="similarity network",
    kind="network",
    inputs="X_{k-2..k+2}, h and c",
    make=lambda task, seed: SimilarityNetwork(noise=False, random_state=seed),
    seeds=range(5),
    families=("unseen-physics",),
    source="scaled equations of the fast variables",
    description="A network for U / (h c) given h X at five neighbouring points, and log c.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
