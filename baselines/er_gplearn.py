"""Genetic programming with gplearn: one expression for all points (needs the symbolic extra)."""

import l96bench


def model(task: l96bench.EquationRecovery, seed: int) -> l96bench.SymbolicRegression:
    """200 programs of sums and products, 8 generations, on 200 samples."""
    from gplearn.genetic import SymbolicRegressor

    search = SymbolicRegressor(
        population_size=200,
        generations=8,
        tournament_size=10,
        function_set=("add", "sub", "mul"),
        metric="mse",
        parsimony_coefficient=0.001,
        random_state=seed,
    )
    return l96bench.SymbolicRegression(search, J=task.instances[0].observed_J, max_rows=200)


entry = l96bench.Entry(
    name="genetic programming (gplearn)",
    kind="symbolic regression",
    inputs="states X_{k-2..k+2}",
    make=model,
    families=("equation-recovery",),
    source="Koza 1992, Genetic Programming; gplearn",
    description="1,600 programs of sums, differences and products; one equation for all points.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
