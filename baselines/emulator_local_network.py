"""Local network emulator: one small network gives the whole step of the model (needs the torch extra)."""

from typing import Any

import l96bench
from l96bench.estimators import EmulatorRegressor


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    network = l96bench.LocalRegressor(l96bench.TorchRegressor(random_state=seed), radius=2)
    return EmulatorRegressor(network, F=task.regime.F).fit_trajectory(task.train_fine.X)


entry = l96bench.Entry(
    name="emulator, local network",
    kind="emulator",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    families=("online-rollout",),
    regimes=("wilks-f20", "arnold-c4"),
    source="Dueben and Bauer 2018, Geosci. Model Dev. 11, 3999-4009, doi:10.5194/gmd-11-3999-2018",
    description="Learns the step of 0.01 MTU, resolved terms and all, by a network 5-64-64-1 shared by all points.",
    trained_on="40,000 steps of 0.01 MTU from train, 2000 MTU",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
