"""Stencil network and red noise in the filter: every member has noise of its own (needs torch)."""

import l96bench
from l96bench.assimilation import ResolvedModel


def system(task: l96bench.ClosureTask, seed: int) -> l96bench.AssimilationSystem:
    """The resolved model under a network and an AR(1) residual, fitted to 500 MTU of the true coupling."""
    run = l96bench.simulate(task.regime, 500.0, seed=1, store_fast=False)
    model = l96bench.AR1Regressor(l96bench.LocalRegressor(l96bench.TorchRegressor(random_state=seed), radius=2)).fit(
        run.X, run.U
    )
    return l96bench.AssimilationSystem(ResolvedModel(task.regime, model), closure=model)


entry = l96bench.Entry(
    name="stencil network + AR(1)",
    kind="stochastic",
    inputs="X_{k-2..k+2}",
    make=system,
    seeds=range(5),
    families=("da-increment",),
    trained_on="500 MTU of X and U",
    source="form of the noise: Wilks 2005, doi:10.1256/qj.04.03",
    description="The stencil network plus a first-order autoregression of its residual, independent at every point.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
