"""Cubic + white noise (Arnold et al. 2013): additive white noise."""

import l96bench
from l96bench.estimators import StochasticRegressor

entry = l96bench.Entry(
    name="fitted cubic + white noise",
    kind="stochastic",
    inputs="X_k",
    make=lambda task, seed: StochasticRegressor(white=True),
    source="form: Arnold, Moroz and Palmer 2013, doi:10.1098/rsta.2011.0479",
    description="The fitted cubic plus white noise of the variance of its residual, held for 0.05 MTU.",
    regimes=("wilks-f20", "arnold-c4"),
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
