"""Climatological mean: U is the mean of the training U, whatever X is. The floor of every offline score."""

import l96bench

entry = l96bench.Entry(
    name="climatological mean",
    kind="constant",
    inputs="none",
    make=lambda task, seed: l96bench.PolynomialRegressor(degree=0),
    description="U is the mean of the training U at every point and time.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
