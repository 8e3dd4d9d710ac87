"""Likelihood of the past: the similarity RNN with the h and c under which a filter explains it best (needs torch)."""

import l96bench
from l96bench.estimators import PastLikelihoodRegressor

entry = l96bench.Entry(
    name="likelihood of the past, probabilistic RNN",
    kind="generative",
    inputs="X_{k-2..k+2} and its past",
    make=lambda task, seed: PastLikelihoodRegressor(random_state=seed),
    seeds=range(5),
    families=("unseen-physics",),
    source="Ljung 1999, System Identification (prediction-error estimates)",
    description="The similarity RNN; F, h and c make the innovations of a filter of the noisy past most likely.",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
