"""SR3: sparse relaxed regularized regression, its threshold chosen from the data (needs the sindy extra)."""

import l96bench

RELAXATION = 1.0
VALUES = [0.5 * threshold**2 / RELAXATION for threshold in (0.003, 0.01, 0.03, 0.1, 0.3)]


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SparseRegression:
    """The penalty counts the terms; its weights stand for thresholds of 0.3 to 30 % of the tendency."""
    from pysindy import SR3

    optimizer = SR3(relax_coeff_nu=RELAXATION, max_iter=50, tol=1e-6, unbias=True)
    return l96bench.SparseRegression(
        l96bench.ThresholdSelection(optimizer, "reg_weight_lam", VALUES),
        l96bench.RingLibrary(J=task.instances[0].observed_J),
    )


entry = l96bench.Entry(
    name="SR3",
    kind="sparse regression",
    inputs="states, the whole ring",
    make=model,
    families=("equation-recovery",),
    source="Champion et al. 2020, IEEE Access 8, 169259-169271; pysindy",
    description="Relaxed L0 regression, each equation by itself; threshold chosen from the data.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
