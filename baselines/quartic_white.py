"""Fitted quartic + white noise: the quartic and a residual drawn anew, at every point, each 0.05 MTU."""

import l96bench
from l96bench.estimators import StochasticRegressor

entry = l96bench.Entry(
    name="fitted quartic + white noise",
    kind="stochastic",
    inputs="X_k",
    make=lambda task, seed: StochasticRegressor(l96bench.PolynomialRegressor(degree=4), white=True),
    source="form: Wilks 2005, doi:10.1256/qj.04.03",
    description="The fitted quartic plus white noise of the variance of its residual, held for 0.05 MTU.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
