"""Stochastic network trained online: mean, spread and memory of U for the CRPS of ensemble forecasts (torch)."""

from typing import Any

import l96bench

STEPS = 500


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    from l96bench.estimators import OnlineStochasticRegressor

    model = OnlineStochasticRegressor(F=task.regime.F, horizon=0.5, steps=STEPS, random_state=seed)
    return model.fit(task.train.X, task.train.U)


entry = l96bench.Entry(
    name="stochastic network trained online",
    kind="trained online",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="Two outputs, mean and spread of red noise; trained on the CRPS of 2 members along 0.5 MTU.",
    trained_on="train, 2000 MTU, through forecasts of 0.5 MTU",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
