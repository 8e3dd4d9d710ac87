"""Linear closure: U_k = a + b X_k by least squares."""

import l96bench

entry = l96bench.Entry(
    name="linear",
    kind="polynomial",
    inputs="X_k",
    make=lambda task, seed: l96bench.PolynomialRegressor(degree=1),
    description="U_k = a + b X_k, least squares on the exact coupling.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
