"""Cubic + AR(1) (Arnold et al. 2013): additive red noise."""

import l96bench
from l96bench.estimators import StochasticRegressor

entry = l96bench.Entry(
    name="fitted cubic + AR(1)",
    kind="stochastic",
    inputs="X_k",
    make=lambda task, seed: StochasticRegressor(),
    source="form: Arnold, Moroz and Palmer 2013, doi:10.1098/rsta.2011.0479",
    description="The fitted cubic plus a first-order autoregression of its residual.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
