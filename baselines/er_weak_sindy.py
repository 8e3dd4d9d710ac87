"""Weak SINDy: both sides averaged over windows, no derivative of noise (needs the sindy extra)."""

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SparseRegression:
    """SINDy on integrals against test functions, each equation by itself."""
    from pysindy import STLSQ

    return l96bench.SparseRegression(
        l96bench.ThresholdSelection(STLSQ(alpha=1e-8, unbias=False)),
        l96bench.RingLibrary(J=task.instances[0].observed_J),
        l96bench.WeakForm(),
    )


entry = l96bench.Entry(
    name="weak SINDy",
    kind="sparse regression",
    inputs="states, the whole ring",
    make=model,
    families=("equation-recovery",),
    source="Messenger and Bortz 2021, Multiscale Model. Simul. 19, 1474-1497; pysindy",
    description="SINDy in the weak form, each equation by itself; windows and threshold chosen from the data.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
