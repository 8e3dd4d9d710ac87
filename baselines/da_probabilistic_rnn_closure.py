"""Probabilistic RNN in the filter: every member has a memory and noise of its own (needs torch)."""

import l96bench
from l96bench.assimilation import ResolvedModel
from l96bench.estimators import ProbabilisticRecurrentRegressor


def system(task: l96bench.ClosureTask, seed: int) -> l96bench.AssimilationSystem:
    """The resolved model under a generative recurrent closure, trained on 500 MTU of the true coupling."""
    run = l96bench.simulate(task.regime, 500.0, seed=1, store_fast=False)
    model = ProbabilisticRecurrentRegressor(units=16, radius=2, random_state=seed).fit(run.X, run.U)
    return l96bench.AssimilationSystem(ResolvedModel(task.regime, model), closure=model)


entry = l96bench.Entry(
    name="probabilistic RNN",
    kind="generative",
    inputs="X_{k-2..k+2} and its past",
    make=system,
    seeds=range(5),
    families=("da-increment",),
    trained_on="500 MTU of X and U",
    source="idea: Parthipan et al. 2023, doi:10.5194/gmd-16-4501-2023",
    description="A gated recurrent unit that turns the past of X and noise into U, trained by a proper score of paths.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
