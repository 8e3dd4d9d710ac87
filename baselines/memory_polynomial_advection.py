"""Memory polynomial with advection: it sees what the resolved tendency misses (Chorin and Lu 2015)."""

import l96bench
from l96bench.estimators import MemoryPolynomialRegressor

entry = l96bench.Entry(
    name="memory polynomial with advection",
    kind="stochastic",
    inputs="X_{k-2..k+1} and the past",
    make=lambda task, seed: MemoryPolynomialRegressor(x_lags=2, u_lags=2, advection=True),
    families=("subgrid-forcing-memory", "online-rollout"),
    source="Chorin and Lu 2015, doi:10.1073/pnas.1512080112",
    description="NARMAX with the resolved advection: it can infer U from the X of the last 0.1 MTU.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
