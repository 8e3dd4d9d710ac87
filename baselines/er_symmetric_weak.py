"""Weak SINDy that knows the ring's symmetry and looks no further than two points (needs the sindy extra)."""

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SparseRegression:
    """The weak form, one equation for all points, candidates from a stencil."""
    from pysindy import STLSQ

    return l96bench.SparseRegression(
        l96bench.ThresholdSelection(STLSQ(alpha=1e-8, unbias=False)),
        l96bench.RingLibrary(radius=2, J=task.instances[0].observed_J, pooled=True),
        l96bench.WeakForm(),
        symmetric=True,
    )


entry = l96bench.Entry(
    name="symmetric weak SINDy",
    kind="sparse regression",
    inputs="states X_{k-2..k+2}",
    make=model,
    families=("equation-recovery",),
    source="Messenger and Bortz 2021, Multiscale Model. Simul. 19, 1474-1497; pysindy",
    description="SINDy in the weak form, one equation for all points; windows and threshold chosen from the data.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
