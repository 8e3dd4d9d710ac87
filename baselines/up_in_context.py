"""In-context RNN: the similarity RNN with h and c that a network estimates from the noisy past (needs torch)."""

import l96bench
from l96bench.estimators import InContextRegressor

entry = l96bench.Entry(
    name="in-context probabilistic RNN",
    kind="generative",
    inputs="X_{k-2..k+2} and its past",
    make=lambda task, seed: InContextRegressor(random_state=seed),
    seeds=range(5),
    families=("unseen-physics",),
    source="Cranmer, Brehmer and Louppe 2020, doi:10.1073/pnas.1912789117 (estimates learned from simulations)",
    description="The similarity RNN; a network trained on synthetic systems estimates h and c from the noisy past.",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
