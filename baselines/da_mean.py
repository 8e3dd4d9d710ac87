"""Mean increment: the correction is the mean of the training increments, whatever the background is."""

import l96bench

entry = l96bench.Entry(
    name="mean increment",
    kind="constant",
    inputs="none",
    make=lambda task, seed: l96bench.PolynomialRegressor(degree=0),
    families=("da-increment",),
    source="bias correction: Dee and Da Silva 1998, Data assimilation in the presence of forecast bias",
    description="The mean of the training increments as a constant correction.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
