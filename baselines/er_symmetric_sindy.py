"""SINDy that knows the ring's symmetry: one equation, fitted to all points (needs the sindy extra)."""

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SparseRegression:
    """The same candidates as SINDy has, the same equation at every point."""
    from pysindy import STLSQ

    return l96bench.SparseRegression(
        l96bench.ThresholdSelection(STLSQ(alpha=1e-8, unbias=False)),
        l96bench.RingLibrary(J=task.instances[0].observed_J, pooled=True),
        symmetric=True,
    )


entry = l96bench.Entry(
    name="symmetric SINDy",
    kind="sparse regression",
    inputs="states, the whole ring",
    make=model,
    families=("equation-recovery",),
    source="Brunton et al. 2016, PNAS 113, 3932-3937; pysindy",
    description="SINDy with one equation for all points of the ring; threshold chosen from the data.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
