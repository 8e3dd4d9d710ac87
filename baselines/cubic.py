"""Fitted cubic: a polynomial of degree 3 in X_k by least squares on the exact coupling."""

import l96bench

entry = l96bench.Entry(
    name="fitted cubic",
    kind="polynomial",
    inputs="X_k",
    make=lambda task, seed: l96bench.PolynomialRegressor(degree=3),
    source="form: Arnold, Moroz and Palmer 2013, doi:10.1098/rsta.2011.0479",
    description="U_k as a polynomial of degree 3 in X_k, least squares on the exact coupling.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
