"""Lasso on all candidate terms, its penalty chosen by the Bayesian information criterion."""

from sklearn.linear_model import LassoLarsIC

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SparseRegression:
    """The path of least angles, up to the best criterion."""
    return l96bench.SparseRegression(
        LassoLarsIC(criterion="bic", fit_intercept=False),
        l96bench.RingLibrary(J=task.instances[0].observed_J),
    )


entry = l96bench.Entry(
    name="Lasso",
    kind="sparse regression",
    inputs="states, the whole ring",
    make=model,
    families=("equation-recovery",),
    source="Tibshirani 1996, J. R. Stat. Soc. B 58, 267-288; Zou et al. 2007, Ann. Stat. 35, 2173-2192",
    description="L1 penalty chosen by BIC, on all monomials of degree 2 in the ring.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
