"""Linear increment: the correction at a point is a + b times the background there, by least squares."""

import l96bench

entry = l96bench.Entry(
    name="linear increment",
    kind="polynomial",
    inputs="background X_k",
    make=lambda task, seed: l96bench.PolynomialRegressor(degree=1),
    families=("da-increment",),
    source="Leith 1978, Annu. Rev. Fluid Mech. 10, 107-128",
    description="Least squares of the increment on the background at the same point.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
