"""Network trained online, 0.05 MTU: the stencil network goes on learning through five steps of the model (torch)."""

from typing import Any

import l96bench

STEPS = 1600


def make(task: l96bench.ClosureTask, seed: int) -> Any:
    from l96bench.estimators import OnlineNetworkRegressor

    model = OnlineNetworkRegressor(F=task.regime.F, horizon=0.05, steps=STEPS, random_state=seed)
    return model.fit(task.train.X, task.train.U)


entry = l96bench.Entry(
    name="network trained online, 0.05 MTU",
    kind="trained online",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="The stencil network, then trained on the squared error of X along forecasts of 0.05 MTU.",
    trained_on="train, 2000 MTU, through forecasts of 0.05 MTU",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
