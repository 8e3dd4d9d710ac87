"""Convolutional emulator: a circular convolutional network gives the whole step (needs the torch extra)."""

from typing import Any

import l96bench
from l96bench.estimators import EmulatorRegressor, RingNetwork


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    network = RingNetwork(random_state=seed)
    return EmulatorRegressor(network, F=task.regime.F).fit_trajectory(task.train_fine.X)


entry = l96bench.Entry(
    name="emulator, CNN",
    kind="emulator",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    families=("online-rollout",),
    regimes=("wilks-f20", "arnold-c4"),
    source="Dueben and Bauer 2018, Geosci. Model Dev. 11, 3999-4009, doi:10.5194/gmd-11-3999-2018",
    description="Learns the step of 0.01 MTU, resolved terms and all, by two circular convolutions of 32 channels.",
    trained_on="40,000 steps of 0.01 MTU from train, 2000 MTU",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
