"""Random forest for increments: five trees, shared by all points, see five points of the background."""

from sklearn.ensemble import RandomForestRegressor

import l96bench


def forest(seed: int) -> RandomForestRegressor:
    """Five trees with at least 200 samples in a leaf: increments are noisy."""
    return RandomForestRegressor(n_estimators=5, min_samples_leaf=200, max_samples=0.25, random_state=seed)


entry = l96bench.Entry(
    name="increment forest",
    kind="trees",
    inputs="background X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(forest(seed), radius=2),
    seeds=range(5),
    families=("da-increment",),
    source="Breiman 2001, Mach. Learn. 45, 5-32",
    description="Five trees of at least 200 samples a leaf, each grown on a quarter of the increments.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
