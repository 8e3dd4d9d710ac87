"""Likelihood of the past, quartic: the similarity quartic with the h and c under which a filter explains it best."""

import l96bench
from l96bench.estimators import PastLikelihoodRegressor, SimilarityPolynomial

entry = l96bench.Entry(
    name="likelihood of the past, quartic",
    kind="polynomial",
    inputs="X_k and the past",
    make=lambda task, seed: PastLikelihoodRegressor(SimilarityPolynomial(noise=False), random_state=seed),
    seeds=range(5),
    families=("unseen-physics",),
    source="Ljung 1999, System Identification (prediction-error estimates)",
    description="The similarity quartic; F, h and c make the innovations of a filter of the noisy past most likely.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
