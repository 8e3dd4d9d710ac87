"""Gradient boosting with lags: gradient boosting, which also sees the stencil 0.05, 0.1 and 0.2 MTU ago."""

from sklearn.ensemble import HistGradientBoostingRegressor

import l96bench


def boosting(seed: int) -> HistGradientBoostingRegressor:
    """Forty trees of depth 5 on binned inputs: few, as a closure is called every step."""
    return HistGradientBoostingRegressor(max_iter=40, learning_rate=0.25, max_depth=5, random_state=seed)


entry = l96bench.Entry(
    name="gradient boosting, lags",
    kind="trees",
    inputs="X_{k-2..k+2} now and 0.05, 0.1 and 0.2 MTU ago",
    make=lambda task, seed: l96bench.LocalRegressor(boosting(seed), radius=2, lags=(0.05, 0.1, 0.2)),
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    regimes=("wilks-f20", "arnold-c4"),
    source="Friedman 2001, Ann. Stat. 29, 1189-1232; Ke et al. 2017, NeurIPS 30 (binned inputs)",
    description="At most 40 trees of depth 5 on inputs in 255 bins, learning rate 0.25, stopped early.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
