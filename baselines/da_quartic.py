"""Quartic increment: the correction at a point is a polynomial of degree 4 in the background there."""

import l96bench

entry = l96bench.Entry(
    name="quartic increment",
    kind="polynomial",
    inputs="background X_k",
    make=lambda task, seed: l96bench.PolynomialRegressor(degree=4),
    families=("da-increment",),
    description="Least squares of the increment on powers 0 to 4 of the background at the same point.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
