"""GRU: a gated recurrent unit shared by all points, its state carried through the rollout (needs torch)."""

import l96bench
from l96bench.estimators import RecurrentRegressor

entry = l96bench.Entry(
    name="GRU",
    kind="recurrent network",
    inputs="X_{k-2..k+2} and its past",
    make=lambda task, seed: RecurrentRegressor(units=32, radius=2, random_state=seed),
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    regimes=("wilks-f20", "arnold-c4"),
    source="Cho et al. 2014, arXiv:1406.1078",
    description="A gated recurrent unit of 32 units shared by all points, stepped every 0.05 MTU of its own time.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
