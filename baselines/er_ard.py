"""Automatic relevance determination: a prior of its own for every coefficient, fitted by evidence."""

from sklearn.linear_model import ARDRegression

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SparseRegression:
    """Coefficients whose prior shrinks to nothing are left out."""
    return l96bench.SparseRegression(
        ARDRegression(fit_intercept=False, max_iter=50),
        l96bench.RingLibrary(J=task.instances[0].observed_J),
        max_rows=1000,
    )


entry = l96bench.Entry(
    name="ARD regression",
    kind="sparse regression",
    inputs="states, the whole ring",
    make=model,
    families=("equation-recovery",),
    source="Tipping 2001, J. Mach. Learn. Res. 1, 211-244",
    description="Relevance vector regression on all monomials of degree 2 in the ring, 1,000 samples.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
