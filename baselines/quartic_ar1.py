"""Fitted quartic + AR(1): the quartic and a red-noise residual, as in Wilks (2005), fitted to the exact coupling."""

import l96bench

entry = l96bench.Entry(
    name="fitted quartic + AR(1)",
    kind="stochastic",
    inputs="X_k",
    make=lambda task, seed: l96bench.AR1Regressor(l96bench.PolynomialRegressor(degree=4)),
    source="form: Wilks 2005, doi:10.1256/qj.04.03",
    description="The fitted quartic plus a first-order autoregression of its residual, independent at every point.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
