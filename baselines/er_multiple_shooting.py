"""Multiple shooting: the equations are integrated from states that are estimated too; knows the ring's symmetry."""

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.MultipleShooting:
    """Without fast variables, what is not seen may act, and small terms are taken for it."""
    J = task.instances[0].observed_J
    return l96bench.MultipleShooting(J=J, share=0.02 if J else 0.05)


entry = l96bench.Entry(
    name="multiple shooting",
    kind="sparse regression",
    inputs="states X_{k-2..k+2}",
    make=model,
    families=("equation-recovery",),
    source="Bock 1983, in Numerical Treatment of Inverse Problems in Differential and Integral Equations, 95-121",
    description="One equation for all points, integrated over windows with estimated initial states.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
