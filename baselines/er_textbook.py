"""Textbook equation, textbook coefficients: what can be recalled without a look at the data."""

import l96bench


def textbook(task: l96bench.EquationRecovery, seed: int) -> l96bench.KnownEquations:
    """The system around which the coefficients are drawn, the same for all instances."""
    return l96bench.KnownEquations(task.instances[0].textbook_texts)


entry = l96bench.Entry(
    name="textbook equation",
    kind="recall",
    inputs="nothing",
    make=textbook,
    families=("equation-recovery",),
    source="Lorenz 1996, Predictability: A problem partly solved",
    description="The right terms with the textbook's coefficients: the floor of whoever remembers the equations.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
