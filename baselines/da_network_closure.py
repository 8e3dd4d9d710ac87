"""Stencil network closure in the filter: the network of `subgrid-forcing` as the forecast model's closure."""

import l96bench
from l96bench.assimilation import ResolvedModel


def system(task: l96bench.ClosureTask, seed: int) -> l96bench.AssimilationSystem:
    """The resolved model under a network that is trained on 500 MTU of the true coupling."""
    run = l96bench.simulate(task.regime, 500.0, seed=1, store_fast=False)
    model = l96bench.LocalRegressor(l96bench.TorchRegressor(random_state=seed), radius=2).fit(run.X, run.U)
    return l96bench.AssimilationSystem(ResolvedModel(task.regime, model), closure=model)


entry = l96bench.Entry(
    name="stencil network",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=system,
    seeds=range(5),
    families=("da-increment",),
    trained_on="500 MTU of X and U",
    description="A network 5-64-64-1 with GELU, trained by Adam on the squared error of U.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
