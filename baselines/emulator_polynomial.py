"""Local polynomial emulator: the whole step of the model from all monomials of degree 3 in X_{k-2} .. X_{k+2}."""

from typing import Any

from sklearn.linear_model import LinearRegression

import l96bench
from l96bench.estimators import EmulatorRegressor


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    library = l96bench.RingLibrary(degree=3, radius=2)
    search = l96bench.SparseRegression(LinearRegression(fit_intercept=False), library, symmetric=True, max_rows=320_000)
    emulator = EmulatorRegressor(l96bench.EquationRegressor(search), F=task.regime.F)
    return emulator.fit_trajectory(task.train_fine.X)


entry = l96bench.Entry(
    name="emulator, local polynomial",
    kind="emulator",
    inputs="X_{k-2..k+2}",
    make=make,
    families=("online-rollout",),
    regimes=("wilks-f20", "arnold-c4"),
    source="Dueben and Bauer 2018, Geosci. Model Dev. 11, 3999-4009, doi:10.5194/gmd-11-3999-2018",
    description="Learns the step of 0.01 MTU, resolved terms and all: least squares on the 56 monomials of degree 3.",
    trained_on="40,000 steps of 0.01 MTU from train, 2000 MTU",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
