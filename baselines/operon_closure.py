"""Genetic programming as a closure: an expression for U_k, with fitted constants (needs the symbolic extra)."""

import l96bench


def model(task: l96bench.Task, seed: int) -> l96bench.EquationRegressor:
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
    return l96bench.EquationRegressor(l96bench.SymbolicRegression(search, radius=2, max_rows=1000))


entry = l96bench.Entry(
    name="genetic programming closure",
    kind="equations",
    inputs="X_{k-2..k+2}",
    make=model,
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Burlacu et al. 2020, GECCO '20 Companion, 1562-1570; pyoperon",
    description="Multi-objective genetic programming with fitted constants on 1,000 samples of U_k; sums and products.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
