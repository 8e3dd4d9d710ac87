"""GRU with the inferred past: it is also told what U must have been, given how X moved (needs torch)."""

import l96bench
from l96bench.estimators import RecurrentRegressor

entry = l96bench.Entry(
    name="GRU, inferred past",
    kind="recurrent network",
    inputs="X_{k-3..k+3} and its past",
    make=lambda task, seed: RecurrentRegressor(units=32, radius=3, infer_past=True, random_state=seed),
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    regimes=("wilks-f20", "arnold-c4"),
    source="idea: Chorin and Lu 2015, doi:10.1073/pnas.1512080112",
    description="The GRU, told what the last change of X leaves over of the resolved tendency: the U before.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
