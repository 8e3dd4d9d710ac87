"""Least squares on all candidate terms, none of which is ever left out."""

from sklearn.linear_model import LinearRegression

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SparseRegression:
    """45 monomials for each X_k, and no thought of sparsity."""
    return l96bench.SparseRegression(
        LinearRegression(fit_intercept=False),
        l96bench.RingLibrary(J=task.instances[0].observed_J),
    )


entry = l96bench.Entry(
    name="least squares",
    kind="regression",
    inputs="states, the whole ring",
    make=model,
    families=("equation-recovery",),
    source="",
    description="Least squares on all monomials of degree 2 in the ring; tendencies from local polynomials.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
