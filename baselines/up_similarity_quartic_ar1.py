"""Similarity quartic with AR(1): its noise depends on c, too (informed)."""

import l96bench
from l96bench.estimators import SimilarityPolynomial

entry = l96bench.Entry(
    name="similarity quartic + AR(1)",
    kind="polynomial",
    inputs="X_k, h and c",
    make=lambda task, seed: SimilarityPolynomial(),
    families=("unseen-physics",),
    source="scaled equations of the fast variables; Wilks 2005, doi:10.1256/qj.04.03",
    description="A quartic in h X for U / (h c), with red noise whose size and memory depend on c.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
