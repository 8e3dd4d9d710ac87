"""Fitted quartic: Wilks's polynomial of degree 4 in X_k, fitted to the exact coupling instead of finite differences."""

import l96bench

entry = l96bench.Entry(
    name="fitted quartic",
    kind="polynomial",
    inputs="X_k",
    make=lambda task, seed: l96bench.PolynomialRegressor(degree=4),
    source="form: Wilks 2005, doi:10.1256/qj.04.03",
    description="U_k as a polynomial of degree 4 in X_k, least squares on the exact coupling.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
