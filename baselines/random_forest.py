"""Random forest: ten trees, shared by all points, map X_{k-2} .. X_{k+2} to U_k."""

from sklearn.ensemble import RandomForestRegressor

import l96bench


def forest(seed: int) -> RandomForestRegressor:
    """Ten trees with at least 30 samples in a leaf, each grown on a quarter of the data."""
    return RandomForestRegressor(n_estimators=10, min_samples_leaf=30, max_samples=0.25, random_state=seed)


entry = l96bench.Entry(
    name="random forest",
    kind="trees",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(forest(seed), radius=2),
    seeds=range(5),
    regimes=("wilks-f18", "wilks-f20", "arnold-c4", "conservative-f12", "three-scale"),
    source="Breiman 2001, Mach. Learn. 45, 5-32",
    description="Ten trees of at least 30 samples a leaf, each grown on a quarter of the training data.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
