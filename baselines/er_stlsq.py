"""SINDy: sequentially thresholded least squares, its threshold chosen from the data (needs the sindy extra)."""

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SparseRegression:
    """Small coefficients are dropped and the others fitted again, for each equation by itself."""
    from pysindy import STLSQ

    return l96bench.SparseRegression(
        l96bench.ThresholdSelection(STLSQ(alpha=1e-8, unbias=False)),
        l96bench.RingLibrary(J=task.instances[0].observed_J),
    )


entry = l96bench.Entry(
    name="SINDy (STLSQ)",
    kind="sparse regression",
    inputs="states, the whole ring",
    make=model,
    families=("equation-recovery",),
    source="Brunton et al. 2016, PNAS 113, 3932-3937; pysindy",
    description="Sequentially thresholded least squares, each equation by itself; threshold chosen from the data.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
