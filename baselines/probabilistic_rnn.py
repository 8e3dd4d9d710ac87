"""Probabilistic RNN: a gated recurrent unit with noise inputs, trained by the energy score of paths (needs torch)."""

import l96bench
from l96bench.estimators import ProbabilisticRecurrentRegressor

entry = l96bench.Entry(
    name="probabilistic RNN",
    kind="generative",
    inputs="X_{k-2..k+2} and its past",
    make=lambda task, seed: ProbabilisticRecurrentRegressor(units=16, radius=2, random_state=seed),
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    source="idea: Parthipan et al. 2023, doi:10.5194/gmd-16-4501-2023",
    description="A gated recurrent unit that turns the past of X and noise into U, trained by a proper score of paths.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
