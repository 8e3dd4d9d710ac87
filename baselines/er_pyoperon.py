"""Genetic programming with pyoperon, constants fitted by least squares (needs the symbolic extra)."""

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SymbolicRegression:
    """20,000 evaluations of fit and length; the Bayesian information criterion chooses from the Pareto front."""
    from pyoperon.sklearn import SymbolicRegressor

    search = SymbolicRegressor(
        allowed_symbols="add,sub,mul,constant,variable",
        objectives=["r2", "length"],
        model_selection_criterion="bayesian_information_criterion",
        population_size=200,
        max_evaluations=20_000,
        optimizer_iterations=5,
        max_length=30,
        max_depth=8,
        random_state=seed,
    )
    return l96bench.SymbolicRegression(search, J=task.instances[0].observed_J, max_rows=300)


entry = l96bench.Entry(
    name="genetic programming (pyoperon)",
    kind="symbolic regression",
    inputs="states X_{k-2..k+2}",
    make=model,
    families=("equation-recovery",),
    source="Burlacu et al. 2020, GECCO '20 Companion, 1562-1570; pyoperon",
    description="Multi-objective genetic programming with fitted constants; one equation for all points.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
