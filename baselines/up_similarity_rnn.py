"""Similarity RNN: a gated recurrent unit with noise for U / (h c) given h X and its past, and log c (needs torch)."""

import l96bench
from l96bench.estimators import SimilarityRecurrentRegressor

entry = l96bench.Entry(
    name="similarity probabilistic RNN",
    kind="generative",
    inputs="X_{k-2..k+2} and its past, h and c",
    make=lambda task, seed: SimilarityRecurrentRegressor(random_state=seed),
    seeds=range(5),
    families=("unseen-physics",),
    source="scaled equations of the fast variables; idea: Parthipan et al. 2023, doi:10.5194/gmd-16-4501-2023",
    description="A gated recurrent unit with noise for U / (h c) given the path of h X, and log c.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
