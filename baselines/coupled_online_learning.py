"""Coupled online learning: the network's model runs beside a truth that is nudged to follow it (Rasp 2020; torch)."""

from typing import Any

import l96bench

STEPS = 1500


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    from l96bench.estimators import CoupledOnlineRegressor

    model = CoupledOnlineRegressor(task.regime, duration=0.04 * STEPS, pairs=32, random_state=seed)
    return model.fit(task.train.X, task.train.U)


entry = l96bench.Entry(
    name="coupled online learning",
    kind="trained online",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Rasp 2020, Geosci. Model Dev. 13, 2185-2196, doi:10.5194/gmd-13-2185-2020",
    description="The stencil network, which goes on learning from 32 truth runs nudged to its model's.",
    trained_on="train, 2000 MTU, then 1920 MTU of truth nudged to the model",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
