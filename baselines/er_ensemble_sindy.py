"""Ensemble SINDy: the median of SINDy on ten bootstraps of the samples (needs the sindy extra)."""

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SparseRegression:
    """A term stays if more than half of the bootstraps find it."""
    from pysindy import STLSQ, EnsembleOptimizer

    return l96bench.SparseRegression(
        EnsembleOptimizer(STLSQ(threshold=0.03, alpha=1e-8, unbias=False), bagging=True, n_models=10),
        l96bench.RingLibrary(J=task.instances[0].observed_J),
        max_rows=1000,
    )


entry = l96bench.Entry(
    name="ensemble SINDy",
    kind="sparse regression",
    inputs="states, the whole ring",
    make=model,
    families=("equation-recovery",),
    source="Fasel et al. 2022, Proc. R. Soc. A 478, 20210904; pysindy",
    description="Median of ten bootstraps of 1,000 samples, terms of less than 3 % of the tendency dropped.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
