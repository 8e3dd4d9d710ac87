"""Memory polynomial: U from quartics of X and U before, and a moving average of noise (Chorin and Lu 2015)."""

import l96bench
from l96bench.estimators import MemoryPolynomialRegressor

entry = l96bench.Entry(
    name="memory polynomial",
    kind="stochastic",
    inputs="X_k and its past",
    make=lambda task, seed: MemoryPolynomialRegressor(x_lags=2, u_lags=2),
    families=("subgrid-forcing-memory", "online-rollout"),
    source="Chorin and Lu 2015, doi:10.1073/pnas.1512080112",
    description="NARMAX: quartics of X_k now and 0.05 and 0.1 MTU before, U then, noise 0.05 MTU before.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
