"""Quadratic stencil regression: U_k from all monomials of degree 2 in X_{k-2} .. X_{k+2}."""

from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import l96bench

entry = l96bench.Entry(
    name="quadratic stencil regression",
    kind="polynomial",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(make_pipeline(PolynomialFeatures(2), LinearRegression()), radius=2),
    description="Least squares on the 21 monomials of degree 2 in the stencil of five points.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
