"""Quartic closure in the filter: the closure of `subgrid-forcing`, fitted to the coupling, as the forecast model's."""

import l96bench
from l96bench.assimilation import ResolvedModel


def system(task: l96bench.ClosureTask, seed: int) -> l96bench.AssimilationSystem:
    """The resolved model under a quartic that is fitted to 500 MTU of the true coupling."""
    run = l96bench.simulate(task.regime, 500.0, seed=1, store_fast=False)
    closure = l96bench.PolynomialRegressor(degree=4).fit(run.X, run.U).closure()
    return l96bench.AssimilationSystem(ResolvedModel(task.regime, closure), closure=closure)


entry = l96bench.Entry(
    name="fitted quartic",
    kind="polynomial",
    inputs="X_k",
    make=system,
    families=("da-increment",),
    trained_on="500 MTU of X and U",
    source="form: Wilks 2005, doi:10.1256/qj.04.03",
    description="U_k as a polynomial of degree 4 in X_k, least squares on the exact coupling.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
