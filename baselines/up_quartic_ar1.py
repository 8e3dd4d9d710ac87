"""Quartic with AR(1) for all systems (blind)."""

import l96bench
from l96bench.estimators import AR1Regressor, OneForAll, PolynomialRegressor

entry = l96bench.Entry(
    name="quartic + AR(1) for all systems",
    kind="polynomial",
    inputs="X_k",
    make=lambda task, seed: OneForAll(AR1Regressor(PolynomialRegressor(degree=4))),
    families=("unseen-physics",),
    source="Wilks 2005, doi:10.1256/qj.04.03",
    description="A quartic in X and red noise, fitted to all training systems together.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
