"""Decision tree: one tree, shared by all points, maps X_{k-2} .. X_{k+2} to U_k."""

from sklearn.tree import DecisionTreeRegressor

import l96bench

entry = l96bench.Entry(
    name="decision tree",
    kind="trees",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(
        DecisionTreeRegressor(min_samples_leaf=200, random_state=seed), radius=2
    ),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees",
    description="One tree of at least 200 samples a leaf; the seed only breaks ties between splits.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)
