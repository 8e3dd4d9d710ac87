"""Quartic and red noise in the filter: every member of the ensemble has noise of its own."""

import l96bench
from l96bench.assimilation import ResolvedModel


def system(task: l96bench.ClosureTask, seed: int) -> l96bench.AssimilationSystem:
    """The resolved model under a quartic and an AR(1) residual, fitted to 500 MTU of the true coupling."""
    run = l96bench.simulate(task.regime, 500.0, seed=1, store_fast=False)
    model = l96bench.AR1Regressor(l96bench.PolynomialRegressor(degree=4)).fit(run.X, run.U)
    return l96bench.AssimilationSystem(ResolvedModel(task.regime, model), closure=model)


entry = l96bench.Entry(
    name="fitted quartic + AR(1)",
    kind="stochastic",
    inputs="X_k",
    make=system,
    families=("da-increment",),
    trained_on="500 MTU of X and U",
    source="form: Wilks 2005, doi:10.1256/qj.04.03",
    description="The fitted quartic plus a first-order autoregression of its residual, independent at every point.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
