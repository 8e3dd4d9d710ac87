"""GRU + AR(1): a closure with memory for the mean of U, red noise for what it leaves over (needs torch)."""

import l96bench
from l96bench.estimators import RecurrentRegressor

entry = l96bench.Entry(
    name="GRU + AR(1)",
    kind="stochastic",
    inputs="X_{k-2..k+2} and its past",
    make=lambda task, seed: l96bench.AR1Regressor(RecurrentRegressor(units=32, radius=2, random_state=seed)),
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    description="The GRU, and a first-order autoregression fitted to its residual.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
