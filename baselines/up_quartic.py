"""Quartic for all systems: one polynomial, fitted to the X and U of all training systems (blind)."""

import l96bench
from l96bench.estimators import OneForAll, PolynomialRegressor

entry = l96bench.Entry(
    name="quartic for all systems",
    kind="polynomial",
    inputs="X_k",
    make=lambda task, seed: OneForAll(PolynomialRegressor(degree=4)),
    families=("unseen-physics",),
    source="one closure for all, as in Wilks 2005, doi:10.1256/qj.04.03",
    description="A quartic in X, fitted to all training systems together.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
