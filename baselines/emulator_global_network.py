"""Global network emulator: a network of the whole state gives the whole step (needs the torch extra)."""

from typing import Any

import l96bench
from l96bench.estimators import EmulatorRegressor


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    network = l96bench.TorchRegressor(hidden=(128, 128), epochs=40, random_state=seed)
    return EmulatorRegressor(network, F=task.regime.F).fit_trajectory(task.train_fine.X)


entry = l96bench.Entry(
    name="emulator, global network",
    kind="emulator",
    inputs="X",
    make=make,
    seeds=range(5),
    families=("online-rollout",),
    regimes=("wilks-f20", "arnold-c4"),
    source="Dueben and Bauer 2018, Geosci. Model Dev. 11, 3999-4009, doi:10.5194/gmd-11-3999-2018",
    description="Learns the step of 0.01 MTU, resolved terms and all, by a network K-128-128-K that knows no symmetry.",
    trained_on="40,000 steps of 0.01 MTU from train, 2000 MTU",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
