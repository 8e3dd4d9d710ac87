"""Cubic stencil regression: U_k from all monomials of degree 3 in X_{k-2} .. X_{k+2}, what SINDy chooses from."""

from sklearn.linear_model import LinearRegression

import l96bench

entry = l96bench.Entry(
    name="cubic stencil regression",
    kind="equations",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.EquationRegressor(
        l96bench.SparseRegression(
            LinearRegression(fit_intercept=False),
            l96bench.RingLibrary(degree=3, radius=2),
            symmetric=True,
            max_rows=320_000,
        )
    ),
    description="Least squares on the 56 monomials of degree 3 in five points: the full library as one equation.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
