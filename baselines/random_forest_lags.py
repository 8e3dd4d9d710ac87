"""Random forest with lags: the random forest, which also sees the stencil 0.05, 0.1 and 0.2 MTU ago."""

from sklearn.ensemble import RandomForestRegressor

import l96bench


def forest(seed: int) -> RandomForestRegressor:
    """Six trees, each grown on a tenth of the data; a split chooses from a third of the inputs."""
    return RandomForestRegressor(
        n_estimators=6, min_samples_leaf=40, max_samples=0.1, max_features=1 / 3, random_state=seed
    )


entry = l96bench.Entry(
    name="random forest, lags",
    kind="trees",
    inputs="X_{k-2..k+2} now and 0.05, 0.1 and 0.2 MTU ago",
    make=lambda task, seed: l96bench.LocalRegressor(forest(seed), radius=2, lags=(0.05, 0.1, 0.2)),
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    regimes=("wilks-f20", "arnold-c4"),
    source="Breiman 2001, Mach. Learn. 45, 5-32",
    description="Six trees of at least 40 samples a leaf, each grown on a tenth of the training data.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
