"""Conditional Markov chain: U jumps between quantiles given X, as X_k moves (Crommelin and Vanden-Eijnden 2008)."""

import l96bench
from l96bench.estimators import MarkovChainRegressor

entry = l96bench.Entry(
    name="conditional Markov chain",
    kind="stochastic",
    inputs="X_k and its past",
    make=lambda task, seed: MarkovChainRegressor(),
    families=("subgrid-forcing-memory", "online-rollout"),
    source="Crommelin and Vanden-Eijnden 2008, doi:10.1175/2008JAS2566.1",
    description="8 states in each of 16 bins of X_k; jumps each 0.05 MTU, given the bins of X_k before and after.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
