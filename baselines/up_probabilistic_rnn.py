"""Probabilistic RNN for all systems: blind, with the memory of its hidden state (needs torch)."""

import l96bench
from l96bench.estimators import OneForAll, ProbabilisticRecurrentRegressor

entry = l96bench.Entry(
    name="probabilistic RNN for all systems",
    kind="generative",
    inputs="X_{k-2..k+2} and its past",
    make=lambda task, seed: OneForAll(ProbabilisticRecurrentRegressor(units=16, radius=2, random_state=seed)),
    seeds=range(5),
    families=("unseen-physics",),
    source="idea: Parthipan et al. 2023, doi:10.5194/gmd-16-4501-2023",
    description="A gated recurrent unit with noise, fitted to all training systems, driven through the noisy past.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
