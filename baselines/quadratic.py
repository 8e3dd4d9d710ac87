"""Fitted quadratic: a polynomial of degree 2 in X_k by least squares on the exact coupling."""

import l96bench

entry = l96bench.Entry(
    name="fitted quadratic",
    kind="polynomial",
    inputs="X_k",
    make=lambda task, seed: l96bench.PolynomialRegressor(degree=2),
    description="U_k as a polynomial of degree 2 in X_k, least squares on the exact coupling.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
