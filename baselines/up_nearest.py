"""Nearest system: the quartic with AR(1) of the training system whose F, h and c are nearest (informed)."""

import l96bench
from l96bench.estimators import AR1Regressor, NearestSystem, PolynomialRegressor

entry = l96bench.Entry(
    name="nearest system, quartic + AR(1)",
    kind="polynomial",
    inputs="X_k, F, h and c",
    make=lambda task, seed: NearestSystem(AR1Regressor(PolynomialRegressor(degree=4))),
    families=("unseen-physics",),
    source="Wilks 2005, doi:10.1256/qj.04.03",
    description="The quartic with red noise of the training system with the nearest parameters.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
