"""Similarity quartic: U / (h c) as a quartic in h X whose coefficients are linear in 1 / c (informed)."""

import l96bench
from l96bench.estimators import SimilarityPolynomial

entry = l96bench.Entry(
    name="similarity quartic",
    kind="polynomial",
    inputs="X_k, h and c",
    make=lambda task, seed: SimilarityPolynomial(noise=False),
    families=("unseen-physics",),
    source="scaled equations of the fast variables",
    description="A quartic in h X for U / (h c), with coefficients that are linear in 1 / c.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
